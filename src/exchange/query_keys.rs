//! Keys in the query of a path, where Google's clients may put them. Paths are written into logs and
//! spans, so the keys are moved to headers before anything else is done.

use super::request::report;
use crate::error::Dialect;
use crate::host::{Host, Map, Pairs, SafeValue};
use crate::protocol::query;

/// The headers without keys in the path, as they now are; `None` where nothing has changed.
pub(super) fn lift(dialect: Dialect, headers: &Pairs, host: &impl Host) -> Option<Pairs> {
    let path = headers.get(":path").filter(|_| dialect == Dialect::Gemini)?;
    let without = query::without(path, &PARAMETERS.map(|(name, _)| name))?;
    let mut lifted: Vec<(&[u8], &[u8])> = headers.iter().collect();
    for (name, value) in lifted.iter_mut().filter(|(name, _)| *name == b":path") {
        (*name, *value) = (b":path", &without);
    }
    let mut keys: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, header) in PARAMETERS {
        let known = |(known, _): &(&str, Vec<u8>)| *known == header;
        // A header that is there comes first.
        if headers.get(header).is_some() || keys.iter().any(known) {
            continue;
        }
        if let Some(value) = query::value(path, name) {
            let scheme: &[u8] = if header == "authorization" { b"Bearer " } else { b"" };
            keys.push((header, [scheme, &value].concat()));
        }
    }
    lifted.extend(keys.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())));
    let set = |name: &str, value: &[u8]| {
        // What no header can say is a key of nobody's.
        if let Some(value) = SafeValue::new(value) {
            report(host.set_header(Map::RequestHeaders, name, value), "keys", host);
        }
    };
    set(":path", &without);
    keys.iter().for_each(|(name, value)| set(name, value));
    Some(Pairs::from_abi(Pairs::encode(lifted.iter().copied())))
}

/// Each with the header that says the same.
const PARAMETERS: [(&str, &str); 3] = [
    ("key", "x-goog-api-key"),
    ("access_token", "authorization"),
    ("oauth_token", "authorization"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Headers as _;
    use crate::host::fake::Fake;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn keys_become_headers_and_the_path_forgets_them() {
        let cases: [(Headers<'_>, &str, Headers<'_>); 4] = [
            (&[], "/a?key=k&alt=sse", &[("x-goog-api-key", "k")]),
            (&[("x-goog-api-key", "h")], "/a?alt=sse&k%65y=k", &[("x-goog-api-key", "h")]),
            (
                &[],
                "/a?access_token=a%2Fb&oauth_token=c&alt=sse",
                &[("authorization", "Bearer a/b")],
            ),
            (&[], "/a?key=a%0d%0ab&alt=sse", &[]),
        ];
        for (given, path, expected) in cases {
            let host = Fake::new();
            host.give_headers(Map::RequestHeaders, given.iter().copied().chain([(":path", path)]));
            let headers = host.headers(Map::RequestHeaders).unwrap();
            let lifted = lift(Dialect::Gemini, &headers, &host).unwrap();
            let now = host.headers(Map::RequestHeaders).unwrap();
            assert_eq!(now.get(":path"), Some(&b"/a?alt=sse"[..]), "{path}");
            assert_eq!(lifted.get(":path"), now.get(":path"));
            for (name, value) in expected {
                assert_eq!(now.text(name), Some(*value), "{path}");
                assert_eq!(lifted.text(name), Some(*value), "{path}");
            }
            assert_eq!(now.iter().count(), 1 + expected.len(), "{path}");
        }
    }

    #[test]
    fn other_clients_paths_are_left_alone() {
        let host = Fake::new();
        host.give_headers(Map::RequestHeaders, [(":path", "/a?key=k")]);
        let headers = host.headers(Map::RequestHeaders).unwrap();
        assert_eq!(lift(Dialect::OpenAi, &headers, &host), None);
        host.give_headers(Map::RequestHeaders, [(":path", "/a?alt=sse")]);
        let headers = host.headers(Map::RequestHeaders).unwrap();
        assert_eq!(lift(Dialect::Gemini, &headers, &host), None);
    }
}
