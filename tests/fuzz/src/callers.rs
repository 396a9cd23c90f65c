//! Who is calling.

use llm_gateway::cache::key::{Key, Subject, Tenant};
use llm_gateway::config::Gateway;
use llm_gateway::host::Pairs;
use llm_gateway::identity::{CREDENTIAL_HEADERS, client_ip, limiter_key};
use llm_gateway::protocol::Operation;

/// Nobody is taken for another, and nobody without a right key for anyone.
pub(crate) fn callers(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let headers = headers(data);
    let mode = ["optional", "required"][usize::from(kind) % 2];
    let by_header = kind & 0x80 == 0x80;
    let gateway = Gateway::from_bytes(configuration(mode, by_header).as_bytes());
    let auth = gateway.expect("a configuration of our own").auth;
    let found = auth.identify(&headers);
    let named = found.as_ref().ok().copied().flatten();
    let named = named.map(|id| auth.consumer(id).expect("of this configuration").name.to_string());
    if by_header {
        let said: Vec<_> = headers.iter().filter(|(name, _)| *name == b"x-consumer").collect();
        match &named {
            Some(name) => assert!(said.len() == 1 && said[0].1 == name.as_bytes()),
            // Said and not believed is refused.
            None => assert!(said.is_empty() || found.is_err()),
        }
    } else if let Some(name) = &named {
        let (_, key) = KEYS.iter().find(|(known, _)| known == name).expect("a consumer");
        let brings = |value: &[u8]| value.windows(key.len()).any(|part| part == key.as_bytes());
        let brought = headers.iter().any(|(name, value)| {
            CREDENTIAL_HEADERS.iter().any(|known| known.as_bytes() == name) && brings(value)
        });
        assert!(brought, "{name} without its key");
    }
    if mode == "required" {
        assert!(found.is_err() || named.is_some(), "nobody passes unknown");
    }
    if let Err(error) = &found {
        assert_eq!(error.status(), 401);
        assert!(!KEYS.iter().any(|(_, key)| error.message.contains(key)));
    }
    shared_answers(&headers);
    addresses(data);
}

fn configuration(mode: &str, by_header: bool) -> String {
    let consumers = KEYS.iter().zip(DIGESTS).map(|((name, _), digest)| match by_header {
        true => format!(r#"{{"name":"{name}"}}"#),
        false => format!(r#"{{"name":"{name}","key_sha256":"{digest}"}}"#),
    });
    let consumers = consumers.collect::<Vec<_>>().join(",");
    let header = if by_header { r#","consumer_header":"x-consumer""# } else { "" };
    format!(
        r#"{{"providers":{{"p":{{"models":["m"]}}}},"auth":{{"mode":"{mode}"}},"consumers":[{consumers}]{header}}}"#
    )
}

/// Callers who are told apart in any way share no answer; the others do.
fn shared_answers(headers: &Pairs) {
    let key = |headers: &Pairs| {
        let subject = Subject {
            tenant: Tenant::Caller,
            host: b"",
            operation: Operation::Chat,
            provider: "p",
            cluster: "c",
            model: "m",
            route: b"",
            path: b"",
            query: b"",
            headers,
            vary: &[],
            certificate: b"",
        };
        Key::of(&subject, br#"{"messages":[]}"#).expect("a request")
    };
    let before = key(headers);
    assert_eq!(before, key(headers));
    for name in IDENTITIES {
        let with = headers.iter().chain([(name.as_bytes(), &b"somebody-else"[..])]);
        let with = Pairs::from_abi(Pairs::encode(with));
        assert_ne!(key(&with), before, "{name} tells nobody apart");
    }
}

/// What a client writes itself never counts, and what counts is always one address.
fn addresses(data: &[u8]) {
    let claimed: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    let source = b"192.0.2.1:4000";
    let known = client_ip(std::iter::empty(), source, 0);
    assert_eq!(client_ip(claimed.iter().copied(), source, 0), known);
    for hops in 1..4 {
        let ours = claimed.iter().copied().chain([&b"198.51.100.7"[..]]);
        let found = client_ip(ours, source, hops);
        if hops == 1 {
            assert_eq!(found.map(|ip| ip.to_string()).as_deref(), Some("198.51.100.7"));
        }
        if let Some(ip) = found {
            assert_eq!(limiter_key(ip), limiter_key(ip.to_canonical()));
        }
    }
}

/// `name: value` on each line.
fn headers(data: &[u8]) -> Pairs {
    let lines = data.split(|byte| *byte == b'\n').take(30);
    let header = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b':')?;
        Some((line[..at].to_ascii_lowercase(), line[at + 1..].trim_ascii().to_vec()))
    };
    let all: Vec<_> = lines.filter_map(header).collect();
    Pairs::from_abi(Pairs::encode(all.iter().map(|(name, value)| (&**name, &**value))))
}

const KEYS: [(&str, &str); 2] = [("web", "sk-web-0123"), ("job", "sk-job-4567")];
/// SHA-256 of the keys.
const DIGESTS: [&str; 2] = [
    "ee52bb1afe1755b488e8d8d4bd6d47f37e165365febf1db664fb48089bd8552d",
    "9795064c660b856e5db0742d3dff88cadb03ad8a9eab0ec41c80d4582df2fae8",
];
/// By which callers are known, to this gateway or to whoever stands before it.
const IDENTITIES: [&str; 12] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "ocp-apim-subscription-key",
    "apikey",
    "x-litellm-api-key",
    "x-forwarded-user",
    "x-auth-request-email",
    "x-goog-iap-jwt-assertion",
    "x-amzn-oidc-data",
];
