//! Moments for people and for clients.

use std::fmt;

use super::Timestamp;

/// Shows a moment as `2026-01-02T03:04:05.678Z`; with `{:.0}` without the fraction.
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.seconds();
        let (days, second) = (seconds / 86400, seconds % 86400);
        // Years that begin in March have their leap day last: 400 of them are 146,097 days, and
        // five months of them 153 days. Day 0 of that count is 0000-03-01.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millis = self.0.millis() % 1000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match f.precision() {
            Some(0) => f.write_str("Z"),
            _ => write!(f, ".{millis:03}Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Rfc3339(Timestamp(millis * 1_000_000)).to_string(), expected);
        }
    }

    #[test]
    fn dates_of_known_days() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(format!("{:.0}", Rfc3339(Timestamp(seconds * 1_000_000_000))), text);
        }
    }

    proptest! {
        /// The date counted day by day, as a calendar does.
        #[test]
        fn dates_equal_a_count_by_years_and_months(seconds in 0..18_000_000_000u64) {
            let leap = |y: u64| y.is_multiple_of(4) && !y.is_multiple_of(100) || y.is_multiple_of(400);
            let mut days = seconds / 86400;
            let mut year = 1970;
            while days >= 365 + u64::from(leap(year)) {
                days -= 365 + u64::from(leap(year));
                year += 1;
            }
            let mut month = 1;
            for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                if days < length {
                    break;
                }
                days -= length;
                month += 1;
            }
            let date = format!("{year:04}-{month:02}-{:02}T", days + 1);
            let shown = format!("{:.0}", Rfc3339(Timestamp(seconds * 1_000_000_000)));
            prop_assert_eq!(shown.get(..date.len()), Some(&*date));
        }
    }
}
