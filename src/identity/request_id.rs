//! Request ids.

use std::fmt;

use crate::host::{Random, Timestamp};

/// 1 to 128 visible ASCII characters: safe in a header, in a log line and in a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl RequestId {
    /// The id that came with the request, if it may be used.
    pub fn accept(header: Option<&[u8]>) -> Option<Self> {
        let given = header?;
        let mut bytes = [0; MAX_LENGTH];
        if given.is_empty() || !given.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        bytes.get_mut(..given.len())?.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
        Some(Self { bytes, length: given.len() })
    }

    /// A new id: a UUID of version 7, which sorts by time.
    pub fn mint(now: Timestamp, random: &impl Random) -> Self {
        let mut uuid = [0; 16];
        // Without randomness the nanoseconds keep ids apart well enough for a log.
        if random.fill(&mut uuid).is_err() {
            uuid = u128::from(now.0).to_be_bytes();
        }
        let tail = u128::from_be_bytes(uuid) & RANDOM_BITS;
        let time = u128::from(now.millis()) << 80;
        Self::hyphenated((time | VERSION_7 | VARIANT | tail).to_be_bytes())
    }

    pub fn as_str(&self) -> &str {
        let used = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(used).unwrap_or_default()
    }

    fn hyphenated(uuid: [u8; 16]) -> Self {
        let mut digits = uuid.into_iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex);
        let mut bytes = [0; MAX_LENGTH];
        for (i, to) in bytes.iter_mut().take(UUID_LENGTH).enumerate() {
            *to = if matches!(i, 8 | 13 | 18 | 23) { b'-' } else { digits.next().unwrap_or(b'0') };
        }
        Self { bytes, length: UUID_LENGTH }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn hex(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble & 15) - 10,
    }
}

const MAX_LENGTH: usize = 128;
const UUID_LENGTH: usize = 36;
const VERSION_7: u128 = 0x7 << 76;
const VARIANT: u128 = 0b10 << 62;
const RANDOM_BITS: u128 = (0xfff << 64) | (u64::MAX >> 2) as u128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Status;

    struct Bytes(u8);
    impl Random for Bytes {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), Status> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    struct Broken;
    impl Random for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), Status> {
            Err(Status::InternalFailure)
        }
    }

    #[test]
    fn a_given_id_is_kept_if_it_is_visible_ascii_of_bounded_length() {
        for good in ["x", "0e3a-77", "req_abc.DEF~!", &"a".repeat(128)] {
            assert_eq!(RequestId::accept(Some(good.as_bytes())).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\r\nb", "a\tb", "é", "\x7f", &"a".repeat(129)] {
            assert_eq!(RequestId::accept(Some(bad.as_bytes())), None, "{bad:?}");
        }
        assert_eq!(RequestId::accept(None), None);
        assert_eq!(RequestId::accept(Some(b"\xff\xfe")), None);
    }

    #[test]
    fn a_minted_id_is_a_uuid_of_version_7_with_its_time_in_front() {
        let now = Timestamp(0x0189_abcd_ef01 * 1_000_000);
        assert_eq!(
            RequestId::mint(now, &Bytes(0)).as_str(),
            "0189abcd-ef01-7000-8000-000000000000"
        );
        assert_eq!(
            RequestId::mint(now, &Bytes(0xff)).as_str(),
            "0189abcd-ef01-7fff-bfff-ffffffffffff"
        );
    }

    #[test]
    fn without_randomness_ids_of_different_moments_still_differ() {
        let mint = |nanos| RequestId::mint(Timestamp(nanos), &Broken);
        assert_ne!(mint(1_700_000_000_000_000_000), mint(1_700_000_000_000_001_000));
    }
}
