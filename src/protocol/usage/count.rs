//! A count as servers write it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::Error;
use crate::protocol::json::{Kind, Scanner};
use crate::protocol::wire::{Path, Wire};

/// A count of tokens. Reading one never fails, so that no answer is lost for a wrong count in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// Not there, or null.
    #[default]
    Absent,
    /// A whole number of at most [`MAX_COUNT`], also if it is written as 12.0.
    Is(u64),
    /// Whatever else. Who counts like that is not believed in what it says beside it either.
    Absurd,
}

impl Count {
    pub fn get(self) -> Option<u64> {
        match self {
            Self::Is(count) => Some(count),
            Self::Absent | Self::Absurd => None,
        }
    }

    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Absent { other } else { self }
    }

    /// The greater one; what is absurd stays so.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        match (self, other) {
            (Self::Absurd, _) | (_, Self::Absurd) => Self::Absurd,
            (Self::Is(one), Self::Is(other)) => Self::Is(one.max(other)),
            (known, Self::Absent) | (Self::Absent, known) => known,
        }
    }

    /// Of digits as JSON has them.
    fn parse(number: &[u8]) -> Self {
        let text = std::str::from_utf8(number).unwrap_or_default();
        match text.parse::<u64>() {
            Ok(count) => count.into(),
            Err(_) => text.parse::<f64>().map_or(Self::Absurd, Self::from),
        }
    }
}

impl From<u64> for Count {
    fn from(count: u64) -> Self {
        if count <= MAX_COUNT { Self::Is(count) } else { Self::Absurd }
    }
}

impl From<f64> for Count {
    fn from(count: f64) -> Self {
        // In this range the cast is exact for what has no fraction.
        let whole = (0.0..=MAX_COUNT as f64).contains(&count) && count.fract() == 0.0;
        if whole { Self::Is(count as u64) } else { Self::Absurd }
    }
}

impl From<Option<u64>> for Count {
    fn from(count: Option<u64>) -> Self {
        count.map_or(Self::Absent, Self::from)
    }
}

impl<'a> Wire<'a> for Count {
    fn read(scanner: &mut Scanner<'a>, _: &Path<'_>) -> Result<Self, Error> {
        Ok(match scanner.kind()? {
            Kind::Null => scanner.null().map(|()| Self::Absent)?,
            Kind::Number => Self::parse(scanner.number()?),
            _ => scanner.skip().map(|_| Self::Absurd)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.get().write(out);
    }

    fn absent(_: &Path<'_>) -> Result<Self, Error> {
        Ok(Self::Absent)
    }

    fn is_absent(&self) -> bool {
        self.get().is_none()
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count::Absent)
    }

    fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
        Ok(count.into())
    }

    fn visit_i64<E>(self, count: i64) -> Result<Count, E> {
        Ok(u64::try_from(count).map_or(Count::Absurd, Count::from))
    }

    fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
        Ok(count.into())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count::Absurd)
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count::Absurd)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count::Absurd)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Count, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count::Absurd)
    }
}

/// More than any answer has: a batch of 2048 texts of 8192 tokens is 17 million.
pub const MAX_COUNT: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wire;

    #[test]
    fn a_count_is_a_whole_number_that_an_answer_can_have() {
        let digits = "9".repeat(300);
        let cases = [
            ("null", Count::Absent),
            ("0", Count::Is(0)),
            ("12", Count::Is(12)),
            ("12.0", Count::Is(12)),
            ("1e3", Count::Is(1000)),
            ("-0", Count::Is(0)),
            ("1000000000", Count::Is(MAX_COUNT)),
            ("1000000001", Count::Absurd),
            ("1000000000.5", Count::Absurd),
            ("9223372036854775808", Count::Absurd),
            ("18446744073709551616", Count::Absurd),
            ("1e30", Count::Absurd),
            ("-1", Count::Absurd),
            ("-1.0", Count::Absurd),
            ("0.5", Count::Absurd),
            ("true", Count::Absurd),
            (r#""12""#, Count::Absurd),
            ("[1]", Count::Absurd),
            (r#"{"a":[1]}"#, Count::Absurd),
            (&digits, Count::Absurd),
        ];
        for (json, expected) in cases {
            assert_eq!(wire::read::<Count>(json.as_bytes()), Ok(expected), "{json}");
            assert_eq!(serde_json::from_str::<Count>(json).unwrap(), expected, "{json}");
        }
        // Beyond what a double can hold, one reader calls it a mistake.
        assert_eq!(wire::read::<Count>(b"1e999"), Ok(Count::Absurd));
        assert!(serde_json::from_str::<Count>("1e999").is_err());
    }

    #[test]
    fn only_what_is_known_is_written() {
        assert_eq!(wire::write(&Count::Is(7)), b"7");
        assert!(
            Count::Absent.is_absent() && Count::Absurd.is_absent() && !Count::Is(0).is_absent()
        );
    }
}
