//! What makes a call's answer its own: everything that decides what is answered, and to whom.

use std::borrow::Cow;

use super::{Routed, Service};
use crate::cache::key::{Subject, Tenant};
use crate::cache::policy::{Directives, Scope, Skip};
use crate::cache::record::Form;
use crate::cache::{Cache, Question, Wants};
use crate::host::{Host, Pairs};
use crate::protocol::{Dialect, query};

/// What a call asks the cache, or why the cache has no part in it.
pub(super) fn question(
    routed: &Routed,
    headers: &Pairs,
    body: &[u8],
    directives: &Directives,
    cache: &Cache,
    service: &Service,
    host: &impl Host,
) -> Result<Question, Skip> {
    // What has no part in the cache asks the host for nothing.
    cache.admits(routed.call.operation, &routed.asked, directives)?;
    let path = path(routed.call.dialect, headers);
    let query = path.iter().position(|byte| *byte == b'?').and_then(|at| path.get(at..));
    let first = routed.hops.first();
    let settings = service.config.cache.as_ref();
    let tenant = tenant(routed, service);
    // A route may look at anything, and lead to a cluster of its own.
    let route = host.property(&["xds", "cluster_name"]).unwrap_or_default();
    let subject = Subject {
        tenant,
        host: virtual_host(headers, host),
        operation: routed.call.operation,
        provider: first.map_or("", |hop| &hop.target.provider.name),
        cluster: first.map_or("", |hop| &hop.target.provider.cluster),
        model: first.map_or("", |hop| &hop.model),
        route: &route,
        path: place(routed.call.dialect, &path),
        query: query.and_then(|query| query.get(1..)).unwrap_or_default(),
        headers,
        vary: settings.map_or(&[], |cache| &cache.vary),
        certificate: &certificate(tenant, headers, host),
    };
    let form = if routed.stream { Form::Stream } else { Form::Json };
    let wants = Wants { form, usage: routed.asked_for_usage };
    cache.question(&subject, body, wants, directives)
}

/// What a caller without another name showed to Envoy. It can only do so over TLS.
fn certificate(tenant: Tenant<'_>, headers: &Pairs, host: &impl Host) -> Vec<u8> {
    if tenant != Tenant::Caller || headers.get(":scheme") != Some(b"https") {
        return Vec::new();
    }
    host.property(&["connection", "sha256_peer_certificate_digest"]).unwrap_or_default()
}

/// The path, in its one spelling. Gemini's names the model, and in which form an answer is to come;
/// what is left of it is the version of the API.
fn place(dialect: Dialect, path: &[u8]) -> &[u8] {
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    match dialect {
        Dialect::Gemini => {
            let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
            parts.next().unwrap_or_default()
        }
        _ => path,
    }
}

/// The path with the parameters that an answer depends on. One of Gemini's says in which form it is
/// to come.
fn path(dialect: Dialect, headers: &Pairs) -> Cow<'_, [u8]> {
    let path = headers.get(":path").unwrap_or_default();
    if dialect != Dialect::Gemini {
        return path.into();
    }
    query::without(path, &["alt", "$alt"]).map_or(path.into(), Cow::Owned)
}

/// Who may share the answer: nobody who could not have asked for it.
fn tenant<'a>(routed: &Routed, service: &'a Service) -> Tenant<'a> {
    let scope = service.config.cache.as_ref().map_or(Scope::Consumer, |cache| cache.policy.scope);
    match (scope, service.consumer(&routed.call)) {
        (Scope::Global, _) => Tenant::Global,
        (Scope::Consumer, Some(consumer)) => Tenant::Consumer(&consumer.name),
        (Scope::Consumer, None) => Tenant::Caller,
    }
}

/// The host that was asked. Its port says nothing if it is the scheme's own or the one that Envoy
/// listens on: then it only led here.
fn virtual_host<'a>(headers: &'a Pairs, host: &impl Host) -> &'a [u8] {
    let [authority, scheme] = headers.first([":authority", ":scheme"]);
    let authority = authority.unwrap_or_default();
    let Some((name, port)) = split(authority) else { return authority };
    let default = if scheme == Some(b"https") { HTTPS } else { HTTP };
    let listens = || {
        let port = host.property(&["destination", "port"]).ok()?;
        Some(u64::from_le_bytes(port.try_into().ok()?))
    };
    if port == default || listens() == Some(port) { name } else { authority }
}

/// A host and its port. The last part of an IPv6 address without brackets is none.
fn split(authority: &[u8]) -> Option<(&[u8], u64)> {
    let at = authority.iter().rposition(|byte| *byte == b':')?;
    let (name, port) = (authority.get(..at)?, authority.get(at.checked_add(1)?..)?);
    let plain = port.iter().all(u8::is_ascii_digit) && !port.starts_with(b"0");
    let whole = name.ends_with(b"]") || !name.contains(&b':');
    let port = std::str::from_utf8(port).ok().filter(|_| plain && whole)?;
    Some((name, port.parse().ok()?))
}

const HTTP: u64 = 80;
const HTTPS: u64 = 443;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn a_port_that_only_led_here_says_nothing() {
        let fake = Fake::new();
        let of = |scheme: &str, authority: &str| {
            let headers: Pairs =
                [(":scheme", scheme), (":authority", authority)].into_iter().collect();
            String::from_utf8(virtual_host(&headers, &fake).to_vec()).unwrap()
        };
        fake.give_property(&["destination", "port"], &10_000_u64.to_le_bytes());
        for (scheme, authority, host) in [
            ("http", "a.example", "a.example"),
            ("http", "a.example:80", "a.example"),
            ("http", "a.example:443", "a.example:443"),
            ("https", "a.example:443", "a.example"),
            ("https", "a.example:80", "a.example:80"),
            ("http", "a.example:10000", "a.example"),
            ("http", "a.example:10001", "a.example:10001"),
            ("http", "[::1]:10000", "[::1]"),
            ("http", "[::1]", "[::1]"),
            ("http", "::1:80", "::1:80"),
            ("http", "a.example:080", "a.example:080"),
            ("http", "a.example:", "a.example:"),
            ("http", "a.example:99999999999999999999", "a.example:99999999999999999999"),
            ("http", "a.example:+80", "a.example:+80"),
            ("http", ":80", ""),
            ("http", "", ""),
        ] {
            assert_eq!(of(scheme, authority), host, "{scheme} {authority}");
        }
        fake.start_stream();
        fake.give_property(&["destination", "port"], b"80");
        assert_eq!(of("http", "a.example:12344"), "a.example:12344");
    }
}
