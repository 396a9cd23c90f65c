//! Numbers for headers and filter state, which want text.

use super::SafeValue;

/// A number in decimal digits, without an allocation: a request writes half a dozen.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// At their end, the first one at `start`.
    digits: [u8; DIGITS],
    start: usize,
}

impl Decimal {
    pub fn new(number: impl TryInto<u64>) -> Self {
        let mut rest = number.try_into().unwrap_or(u64::MAX);
        let mut written = Self { digits: [b'0'; DIGITS], start: DIGITS };
        for (index, digit) in written.digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            written.start = index;
            if rest == 0 {
                break;
            }
        }
        written
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }

    pub fn value(&self) -> SafeValue<'_> {
        SafeValue(self.as_bytes())
    }
}

/// Of the largest number.
const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_reads_as_it_prints(number in prop_oneof![any::<u64>(), 0u64..200]) {
            let (written, printed) = (Decimal::new(number), number.to_string());
            prop_assert_eq!(written.as_bytes(), printed.as_bytes());
        }
    }

    #[test]
    fn what_is_no_u64_is_the_largest() {
        assert_eq!(Decimal::new(u128::MAX).as_bytes(), b"18446744073709551615");
        assert_eq!(Decimal::new(0u64).as_bytes(), b"0");
        assert_eq!(Decimal::new(usize::MIN).value().as_bytes(), b"0");
    }
}
