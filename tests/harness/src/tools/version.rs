//! Versions that are compared.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    /// Reads `1.40.0`, with anything behind the third number (`1.41.0-dev`).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let patch = parts.next()?;
        let digits = patch.find(|c: char| !c.is_ascii_digit()).unwrap_or(patch.len());
        Some(Self { major, minor, patch: patch[..digits].parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        assert!(Version::parse("1.9.12") < Version::parse("1.39.0"));
        assert_eq!(Version::parse("1.41.0-dev").unwrap().to_string(), "1.41.0");
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in ["", "1", "1.40", "1.x.0", "v1.40.0", "1.40.x"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
