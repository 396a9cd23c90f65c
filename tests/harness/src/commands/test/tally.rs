//! Counting test results.

use std::fmt;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Tally {
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; ...`
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |what: &str| -> Option<u64> {
            counts.split("; ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            // Nothing else filters.
            skipped: count("ignored")? + count("filtered out")?,
        })
    }

    /// `test a::b ... ok`, with its name.
    pub(super) fn of_test(line: &str) -> Option<(&str, Self)> {
        let (name, how) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let one = match how.split([' ', ',']).next()? {
            "ok" => Self { passed: 1, ..Self::default() },
            "FAILED" => Self { failed: 1, ..Self::default() },
            "ignored" => Self { skipped: 1, ..Self::default() },
            _ => return None,
        };
        Some((name, one))
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_and_summed() {
        let mut total = Tally::of_line(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        )
        .unwrap();
        total += Tally::of_line(
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; finished in 1s",
        )
        .unwrap();
        assert_eq!(total.to_string(), "13 passed, 2 failed, 4 skipped");
    }

    #[test]
    fn a_test_is_counted_by_its_line() {
        let of = |line| Tally::of_test(line).map(|(name, tally)| (name, tally.to_string()));
        assert_eq!(of("test a::b ... ok"), Some(("a::b", "1 passed, 0 failed, 0 skipped".into())));
        assert_eq!(of("test c ... FAILED"), Some(("c", "0 passed, 1 failed, 0 skipped".into())));
        let ignored = of("test d ... ignored, takes long");
        assert_eq!(ignored, Some(("d", "0 passed, 0 failed, 1 skipped".into())));
        assert_eq!(of("test e has been running for over 60 seconds"), None);
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["test a::b ... ok", "running 3 tests", "test result: ok.", "  test result: x"]
        {
            assert_eq!(Tally::of_line(line), None, "{line}");
        }
    }
}
