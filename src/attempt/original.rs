//! What earlier attempts changed of a request, so that the next one can put it back.
//!
//! Envoy hands the headers to each attempt as the one before left them: without this, a credential
//! of one provider would reach the next. The note lives in filter state, which only Envoy and the
//! filters of this request see.

use super::write;
use crate::handoff::ORIGINAL;
use crate::host::{Host, Map, Pairs, Status};

/// Header names with the value each had at first.
#[derive(Debug, Default)]
pub struct Original(Vec<(Box<str>, Value)>);

/// `None`: the header was not there.
type Value = Option<Box<[u8]>>;

impl Original {
    /// What earlier attempts noted.
    pub fn read(host: &impl Host) -> Self {
        let Ok(noted) = host.property(&[ORIGINAL]) else { return Self::default() };
        let noted = Pairs::from_abi(noted);
        let entry = |(name, value): (&[u8], &[u8])| {
            let name = std::str::from_utf8(name).ok()?;
            let value = match value.split_first()? {
                (&PRESENT, value) => Some(value.into()),
                _ => None,
            };
            Some((name.into(), value))
        };
        Self(noted.iter().filter_map(entry).collect())
    }

    /// The first value of a header before any attempt; `headers` are those of now.
    pub fn value<'a>(&'a self, headers: &'a Pairs, name: &str) -> Option<&'a [u8]> {
        match self.find(name) {
            Some(noted) => noted.as_deref(),
            None => headers.get(name),
        }
    }

    /// Puts back every noted header that `but` does not name.
    pub fn restore(&self, host: &impl Host, but: impl Fn(&str) -> bool) -> Result<(), Status> {
        for (name, value) in self.0.iter().filter(|(name, _)| !but(name)) {
            write(Map::RequestHeaders, name, value.as_deref(), host)?;
        }
        Ok(())
    }

    /// Notes a header as it was before this attempt, unless an earlier one did.
    pub fn note(&mut self, headers: &Pairs, name: &str) {
        if self.find(name).is_none() {
            self.0.push((name.into(), headers.get(name).map(Into::into)));
        }
    }

    /// For the attempts that follow.
    pub fn save(&self, host: &impl Host) -> Result<(), Status> {
        let entries: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Some(value) => [&[PRESENT], &**value].concat(),
                    None => vec![ABSENT],
                };
                (name, value)
            })
            .collect();
        let pairs = entries.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
        host.set_filter_state(ORIGINAL, &Pairs::encode(pairs))
    }

    pub fn is_noted(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(noted, _)| **noted == *name).map(|(_, value)| value)
    }
}

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
