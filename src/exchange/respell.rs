//! The request's line as it goes on: in the spelling that was judged, and without keys.
//!
//! Google's clients may put keys into the query. Paths are written into logs and spans, so they are
//! moved to headers before anything else is done.

use super::Service;
use super::request::report;
use crate::host::{Host, Map, Pairs, SafeValue};
use crate::protocol::path::is_post;
use crate::protocol::{Path, query};

/// The headers as they now are; `None` where nothing has changed.
pub(super) fn respell(headers: &Pairs, service: &Service, host: &impl Host) -> Option<Pairs> {
    let path = headers.get(":path")?;
    let read = Path::read(path);
    let method = headers.get(":method").filter(|name| is_post(name) && *name != b"POST");
    let is_googles = read.is_googles() || headers.get("x-goog-api-key").is_some();
    let without = || query::without(read.as_bytes(), &PARAMETERS.map(|(name, _)| name));
    // A key of the gateway's own goes nowhere, wherever it stands.
    let hides = is_googles || service.config.auth.hides_credentials();
    let without = hides.then(without).flatten();
    if without.is_none() && method.is_none() && !read.is_respelled() {
        return None;
    }
    let keys = match without.is_some() && is_googles {
        true => keys(&read, headers),
        false => Vec::new(),
    };
    let written = without.as_deref().unwrap_or(read.as_bytes());
    let mut ours: Vec<(&str, &[u8])> = vec![(":path", written)];
    ours.extend(method.map(|_| (":method", &b"POST"[..])));
    ours.extend(keys.iter().map(|(name, value)| (*name, value.as_slice())));
    for (name, value) in &ours {
        // What no header can say is a key of nobody's.
        if let Some(value) = SafeValue::new(value) {
            report(host.set_header(Map::RequestHeaders, name, value), "request line", host);
        }
    }
    let set = |name: &[u8]| ours.iter().any(|(own, _)| own.as_bytes() == name);
    let kept = headers.iter().filter(|(name, _)| !set(name));
    let ours = ours.iter().map(|(name, value)| (name.as_bytes(), *value));
    Some(Pairs::from_abi(Pairs::encode(ours.chain(kept))))
}

/// The keys in the query, each as the header that says the same. A header that is there comes first.
fn keys(path: &Path<'_>, headers: &Pairs) -> Vec<(&'static str, Vec<u8>)> {
    let mut keys: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, header) in PARAMETERS {
        let known = |(known, _): &(&str, Vec<u8>)| *known == header;
        if headers.get(header).is_some() || keys.iter().any(known) {
            continue;
        }
        if let Some(value) = query::value(path.as_bytes(), name) {
            let scheme: &[u8] = if header == "authorization" { b"Bearer " } else { b"" };
            keys.push((header, [scheme, &value].concat()));
        }
    }
    keys
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
    use crate::config;
    use crate::host::Headers as _;
    use crate::host::fake::Fake;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    /// The headers as they are told to the rest of the filter, and as they go on.
    fn respelled(config: &str, given: &[(&str, &str)]) -> Option<(Pairs, Pairs)> {
        let host = Fake::new();
        let config = config::Gateway::from_bytes(config.as_bytes()).unwrap();
        let service = Service::open(config, &host).unwrap();
        host.give_headers(Map::RequestHeaders, given.iter().copied());
        let headers = host.headers(Map::RequestHeaders).unwrap();
        let respelled = respell(&headers, &service, &host)?;
        Some((respelled, host.headers(Map::RequestHeaders).unwrap()))
    }

    const OPEN: &str = r#"{"providers": {"p": {"models": ["m"]}}}"#;
    const KEYED: &str = r#"{"providers": {"p": {"models": ["m"]}}, "auth": {"mode": "required"},
        "consumers": [{"name": "c", "key_sha256":
        "c48a01f49fd0f2cc404bc3cbbc80e91457a3d41bb429a695243de4c61794155c"}]}"#;

    #[test]
    fn keys_become_headers_and_the_path_forgets_them() {
        let cases: [(Headers<'_>, &str, Headers<'_>); 4] = [
            (&[], "?key=k&alt=sse", &[("x-goog-api-key", "k")]),
            (&[("x-goog-api-key", "h")], "?alt=sse&k%65y=k", &[("x-goog-api-key", "h")]),
            (&[], "?access_token=a%2Fb&oauth_token=c&alt=sse", &[("authorization", "Bearer a/b")]),
            (&[], "?key=a%0d%0ab&alt=sse", &[]),
        ];
        for (given, query, expected) in cases {
            let path = format!("/v1beta/models/m:x{query}");
            let given: Vec<_> = given.iter().copied().chain([(":path", &*path)]).collect();
            let (told, now) = respelled(OPEN, &given).unwrap();
            assert_eq!(now.get(":path"), Some(&b"/v1beta/models/m:x?alt=sse"[..]), "{path}");
            assert_eq!(told.get(":path"), now.get(":path"));
            for (name, value) in expected {
                assert_eq!(now.text(name), Some(*value), "{path}");
                assert_eq!(told.text(name), Some(*value), "{path}");
            }
            assert_eq!(now.iter().count(), 1 + expected.len(), "{path}");
        }
    }

    #[test]
    fn keys_of_the_gateways_own_are_taken_out_of_every_path() {
        for path in ["/v1/chat/completions?key=k", "/other?x=y&k%65y=k"] {
            assert_eq!(respelled(OPEN, &[(":path", path)]), None, "{path}");
            let (told, now) = respelled(KEYED, &[(":path", path)]).unwrap();
            assert!(!now.text(":path").unwrap().contains("=k"), "{path}");
            // Other clients than Google's have a header for it.
            assert_eq!((told.iter().count(), now.iter().count()), (1, 1), "{path}");
        }
        assert_eq!(respelled(KEYED, &[(":path", "/v1/x?alt=sse")]), None);
    }

    #[test]
    fn what_was_judged_goes_on() {
        let odd = [(":method", "post"), (":path", "/V1//Messages;a?b"), ("x", "1"), ("x", "2")];
        let (told, now) = respelled(OPEN, &odd).unwrap();
        for headers in [told, now] {
            assert_eq!(headers.text(":path"), Some("/v1/messages?b"));
            assert_eq!(headers.text(":method"), Some("POST"));
            assert_eq!(headers.all("x").count(), 2);
        }
        let plain = [(":method", "POST"), (":path", "/v1/messages?b")];
        assert_eq!(respelled(OPEN, &plain), None);
    }
}
