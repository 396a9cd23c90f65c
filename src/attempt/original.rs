//! The request's headers before any attempt, so that the next one can put them back.
//!
//! Envoy hands the headers to each attempt as the one before left them: without this, a credential
//! of one provider would reach the next, whether this role set it or a filter behind it did. So the
//! first attempt notes all of them, in filter state, which only Envoy and the filters of this
//! request see.

use super::{INTERNAL, write};
use crate::handoff::ORIGINAL;
use crate::host::{Host, Map, Pairs, Status};

/// Header names with the value each had at first.
#[derive(Debug, Default)]
pub struct Original(Vec<(Box<str>, Value)>);

/// `None`: the header was not there.
type Value = Option<Box<[u8]>>;

impl Original {
    /// What the first attempt noted; if this is the first, all headers of now.
    pub fn read_or_note(headers: &Pairs, host: &impl Host) -> Self {
        let read = Self::read(host);
        if !read.0.is_empty() {
            return read;
        }
        let mut all = Self::default();
        for (name, _) in headers.iter().filter(|(name, _)| !is_apart(name)) {
            if let Ok(name) = std::str::from_utf8(name) {
                all.note(headers, name);
            }
        }
        all
    }

    /// What earlier attempts noted.
    fn read(host: &impl Host) -> Self {
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

    /// Puts back every header that `but` does not name; what came since then goes.
    pub fn restore(
        &self,
        headers: &Pairs,
        host: &impl Host,
        but: impl Fn(&str) -> bool,
    ) -> Result<(), Status> {
        for (name, value) in self.0.iter().filter(|(name, _)| !but(name)) {
            if headers.get(name) != value.as_deref() {
                write(Map::RequestHeaders, name, value.as_deref(), host)?;
            }
        }
        for (name, _) in headers.iter().filter(|(name, _)| !self.0.is_empty() && !is_apart(name)) {
            let known = |name| self.is_noted(name) || but(name);
            if !std::str::from_utf8(name).is_ok_and(known) {
                host.remove_header(Map::RequestHeaders, name)?;
            }
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

    /// The names of what was there at first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let there = self.0.iter().filter(|(_, value)| value.is_some());
        there.map(|(name, _)| &**name)
    }

    pub fn is_noted(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(noted, _)| **noted == *name).map(|(_, value)| value)
    }
}

/// Headers that are no provider's business, or that Envoy writes for each attempt. Of the
/// pseudo-headers, path and authority are noted by the attempt that changes them.
fn is_apart(name: &[u8]) -> bool {
    [&b":"[..], b"x-envoy-", INTERNAL].iter().any(|prefix| name.starts_with(prefix))
}

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Headers;
    use crate::host::fake::Fake;

    fn attempt(host: &Fake) {
        let headers = host.headers(Map::RequestHeaders).unwrap();
        let original = Original::read_or_note(&headers, host);
        original.restore(&headers, host, |name| name == "x-ours").unwrap();
        original.save(host).unwrap();
    }

    #[test]
    fn an_attempt_sees_nothing_of_the_one_before() {
        let host = Fake::new();
        let first = [(":path", "/v1"), ("accept", "a"), ("accept", "b"), ("x-ours", "0")];
        let also = [("x-goog-api-key", "c"), ("x-llm-cluster", "first")];
        host.give_headers(Map::RequestHeaders, first.into_iter().chain(also));
        attempt(&host);
        // What a filter behind the first attempt left: a new header, another value, one gone.
        let left = [(":path", "/v1"), ("accept", "a"), ("accept", "b"), ("x-ours", "1")];
        let later = [("x-goog-api-key", "secret"), ("x-amz-security-token", "secret")];
        let envoys = [("x-envoy-attempt-count", "2")];
        host.give_headers(Map::RequestHeaders, left.into_iter().chain(later).chain(envoys));
        attempt(&host);
        let expected: Pairs =
            left.into_iter().chain([("x-goog-api-key", "c")]).chain(envoys).collect();
        let sorted = |pairs: &Pairs| {
            let mut all: Vec<_> = pairs.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(&host.headers(Map::RequestHeaders).unwrap()), sorted(&expected));
    }

    #[test]
    fn a_header_that_an_attempt_removed_comes_back() {
        let host = Fake::new();
        host.give_headers(Map::RequestHeaders, [("authorization", "Bearer mine"), ("a", "1")]);
        attempt(&host);
        host.give_headers(Map::RequestHeaders, [("a", "1")]);
        attempt(&host);
        let headers = host.headers(Map::RequestHeaders).unwrap();
        assert_eq!(headers.get("authorization"), Some(&b"Bearer mine"[..]));
    }
}
