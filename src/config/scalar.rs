//! Durations, sizes and numbers as people write them.

use std::fmt;
use std::time::Duration;

/// "250ms", "30s", "5m", "1h", "1d": a whole number and one unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (count, unit) = split(text)?;
    let (_, millis) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
    count.checked_mul(*millis).map(Duration::from_millis)
}

/// "512B", "64KiB", "8MiB", "1GiB", in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (count, unit) = split(text)?;
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    count.checked_mul(*bytes)
}

/// A decimal number: "60", "2.50", "1e3".
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    (!text.is_empty() && text.bytes().all(plain)).then(|| text.parse().ok())?
}

/// 0 to 2^53, where doubles are exact.
pub(super) fn whole(number: f64) -> Option<u64> {
    let exact = (0.0..=MAX_WHOLE as f64).contains(&number) && number.fract() == 0.0;
    exact.then_some(number as u64)
}

/// A duration as [`duration`] reads it.
pub(super) struct Span(pub Duration);

/// A size as [`size`] reads it.
pub(super) struct Bytes(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        in_units(f, millis, &DURATIONS)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_units(f, self.0, &SIZES)
    }
}

fn in_units(f: &mut fmt::Formatter<'_>, count: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |unit: &&(&str, u64)| count > 0 && count.is_multiple_of(unit.1);
    match units.iter().rfind(fits).or(units.first()) {
        Some((name, size)) => write!(f, "{}{name}", count.checked_div(*size).unwrap_or(count)),
        None => write!(f, "{count}"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    Some((count.parse().ok()?, unit))
}

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const MAX_WHOLE: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("31d", Some(2_678_400_000)),
            ("0s", Some(0)),
            ("30", None),
            ("s", None),
            ("", None),
            ("1.5s", None),
            ("-1s", None),
            ("1 s", None),
            ("1w", None),
            ("1S", None),
            ("1h30m", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, bytes) in [
            ("1B", Some(1)),
            ("64KiB", Some(65536)),
            ("8MiB", Some(8 << 20)),
            ("1GiB", Some(1 << 30)),
            ("64KB", None),
            ("64kib", None),
            ("64", None),
            ("é", None),
            ("18446744073709551615KiB", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn they_are_shown_in_the_largest_unit_that_fits() {
        for text in ["250ms", "30s", "90s", "5m", "1h", "36h", "31d", "0ms"] {
            assert_eq!(Span(duration(text).unwrap()).to_string(), text);
        }
        for text in ["1B", "1025B", "64KiB", "8MiB", "1GiB", "0B"] {
            assert_eq!(Bytes(size(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for (text, expected) in [
            ("2.50", Some(2.5)),
            ("10000000000", Some(1e10)),
            ("1e3", Some(1000.0)),
            ("-1", Some(-1.0)),
            ("inf", None),
            ("nan", None),
            ("0x10", None),
            ("1_000", None),
            ("2,50", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        for (number, expected) in [
            (60.0, Some(60)),
            (0.0, Some(0)),
            (9_007_199_254_740_992.0, Some(1 << 53)),
            (9_007_199_254_740_994.0, None),
            (1.5, None),
            (-1.0, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(whole(number), expected, "{number}");
        }
    }
}
