//! The provider role: what one attempt leaves for the next, and where a provider has a call.

use std::collections::BTreeSet;
use std::rc::Rc;

use llm_gateway::attempt::{Service, State};
use llm_gateway::config::Provider;
use llm_gateway::handoff::{self, Left, Refusal, Step};
use llm_gateway::host::fake::Fake;
use llm_gateway::host::{Buffer, Event, Flow, Headers, Map};
use llm_gateway::protocol::{Operation, Path};

use super::choose;

/// Whatever a caller sends and whatever a filter leaves behind, no attempt sees the credential of
/// another, nor a header that the caller did not send, nor lacks one that it did.
pub(crate) fn handoff(data: &[u8]) {
    notes(data);
    let Some((path, data)) = choose(data, &PATHS) else { return };
    let (sent, left) = data.split_at(data.len() / 2);
    let sent: Vec<_> = lines(sent).filter(|(name, _)| !is_reserved(name)).collect();
    let left: Vec<_> = lines(left).filter(|(name, _)| !name.starts_with(b":")).collect();
    let steps = PROVIDERS.map(|(cluster, _)| Step { cluster, provider: cluster, model: "model" });
    let host = Fake::new();
    handoff::announce(&host, steps.into_iter()).expect("filter state");
    let fixed = [
        (&b":path"[..], path.as_bytes()),
        (b":authority", b"gateway"),
        (b":method", b"POST"),
        (b"content-type", b"application/json"),
    ];
    let first = fixed.into_iter().chain(sent.iter().map(|(name, value)| (&**name, &**value)));
    host.give_headers(Map::RequestHeaders, first);
    for (number, (_, configuration)) in PROVIDERS.iter().enumerate() {
        let service = service(configuration);
        let (state, flow) =
            State::default().step(&service, Event::RequestHeaders { end: false }, &host);
        // Made on the headers alone, or with the body.
        if flow == Flow::Pause && host.replies().is_empty() {
            host.give_body(Buffer::RequestBody, br#"{"model":"model","messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":5}"#);
            let _ = state.step(&service, Event::RequestBody { size: 88, end: true }, &host);
        }
        if !host.replies().is_empty() {
            return;
        }
        let headers = host.headers(Map::RequestHeaders).expect("headers");
        for (other, (cluster, _)) in PROVIDERS.iter().enumerate() {
            let carries = headers
                .iter()
                .any(|(_, value)| contains(value, format!("key-of-{cluster}").as_bytes()));
            assert_eq!(carries, other == number, "{cluster} at attempt {number}: {headers:?}");
        }
        assert!(!headers.iter().any(|(name, _)| name.starts_with(b"x-llm-")), "{headers:?}");
        let known: BTreeSet<&[u8]> = sent.iter().map(|(name, _)| &**name).collect();
        for (name, _) in headers.iter().filter(|(name, _)| !is_owned(name)) {
            assert!(known.contains(name), "{:?} came from nowhere", String::from_utf8_lossy(name));
        }
        // What a filter behind this attempt left, and Envoy.
        let now: Vec<(Vec<u8>, Vec<u8>)> =
            headers.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        let now = now
            .iter()
            .map(|(n, v)| (&**n, &**v))
            .filter(|(name, _)| !left.iter().any(|(gone, value)| gone == name && value.is_empty()));
        let now: Vec<(Vec<u8>, Vec<u8>)> = now
            .chain(left.iter().map(|(n, v)| (&**n, &**v)))
            .map(|(n, v)| (n.to_vec(), v.to_vec()))
            .collect();
        host.give_headers(Map::RequestHeaders, now);
    }
}

/// What is read of any filter state, and what was announced.
fn notes(data: &[u8]) {
    let host = Fake::new();
    for name in [handoff::CHAIN, handoff::ORIGINAL, handoff::REFUSED] {
        host.give_property(&[name], data);
    }
    if let Some(left) = Left::read(&host) {
        let before = left.steps().count();
        let _ = left.advance(&host);
        assert!(Left::read(&host).is_none_or(|rest| rest.steps().count() <= before));
    }
    assert!(Refusal::read(&host).len() <= data.len() / 2);
    let service = service(PROVIDERS[0].1);
    host.give_headers(
        Map::RequestHeaders,
        [(":path", "/v1/chat/completions"), (":method", "POST")],
    );
    let _ = State::default().step(&service, Event::RequestHeaders { end: true }, &host);

    let text = String::from_utf8_lossy(data);
    let names: Vec<&str> =
        text.split(|c: char| c.is_control()).filter(|name| !name.is_empty()).take(24).collect();
    let host = Fake::new();
    let steps: Vec<_> = names
        .chunks_exact(3)
        .map(|part| Step { cluster: part[0], provider: part[1], model: part[2] })
        .collect();
    handoff::announce(&host, steps.iter().copied()).expect("filter state");
    let mut left = Left::read(&host);
    assert_eq!(left.is_some(), steps.len() > 1);
    for step in steps.iter().filter(|_| steps.len() > 1) {
        let now = left.take().expect("attempts are left");
        assert_eq!(now.steps().next(), Some(*step));
        now.advance(&host).expect("filter state");
        left = Left::read(&host);
    }
}

/// A provider's path is under its base, names its model and nothing that a caller can choose.
pub(crate) fn paths(data: &[u8]) {
    let Some((configuration, path)) = choose(data, &CONFIGURATIONS) else { return };
    if path.contains(&0) || path.iter().any(u8::is_ascii_control) {
        return;
    }
    let host = Fake::new();
    let steps = ["deployment-1", "other"].map(|model| Step { cluster: "a", provider: "a", model });
    handoff::announce(&host, steps.into_iter()).expect("filter state");
    host.give_headers(
        Map::RequestHeaders,
        [
            (&b":path"[..], path),
            (b":authority", b"gateway"),
            (b":method", b"POST"),
            (b"content-type", b"application/json"),
        ],
    );
    let service = service(configuration);
    let (state, flow) =
        State::default().step(&service, Event::RequestHeaders { end: false }, &host);
    if flow == Flow::Pause && host.replies().is_empty() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":5}"#;
        host.give_body(Buffer::RequestBody, body);
        let _ = state.step(&service, Event::RequestBody { size: body.len(), end: true }, &host);
    }
    if let [reply] = &host.replies()[..] {
        assert!((400..600).contains(&reply.status));
        return;
    }
    let made = host.header(Map::RequestHeaders, ":path").pop().expect("a path");
    let asked = Path::read(path);
    let is_call = asked.call().is_some_and(|operation| operation != Operation::Other);
    let provider = provider(configuration);
    let base = provider.base_path.as_bytes();
    if is_call {
        assert!(made.starts_with(base), "{:?}", String::from_utf8_lossy(&made));
    }
    if configuration.contains("azure_openai") {
        let text = String::from_utf8_lossy(&made);
        let (before, query) = text.split_once('?').unwrap_or((&text, ""));
        let versions =
            query.split('&').filter(|part| part.to_ascii_lowercase().starts_with("api-version="));
        assert_eq!(versions.count(), 1, "{text}");
        assert!(query.contains("api-version=2024-10-21"), "{text}");
        assert!(
            !before.contains("..") && !before.contains("//") && !before.contains('%'),
            "{text}"
        );
        if let Some((_, rest)) = before.split_once("/deployments/") {
            assert!(rest.starts_with("deployment-1/"), "{text}");
        }
    }
    assert!(!made.iter().any(|byte| byte.is_ascii_control()));
}

/// `name: value` on each line, names in lower case as Envoy has them.
pub(crate) fn lines(data: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    data.split(|byte| *byte == b'\n').take(40).filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
        let (name, value) = (line[..at].to_ascii_lowercase(), line[at + 1..].trim_ascii().to_vec());
        let token = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
        let safe = !value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
            && !contains(&value, b"key-of-");
        (token && safe).then_some((name, value))
    })
}

/// Of a caller: what the test itself sends, and what the gateway role has removed before.
fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b":")
        || name.starts_with(b"x-llm-")
        || name.starts_with(b"x-envoy-")
        || name == b"content-type"
}

/// Headers that the role may set by itself.
fn is_owned(name: &[u8]) -> bool {
    is_reserved(name)
        || [&b"authorization"[..], b"x-api-key", b"content-length", b"anthropic-version", b"accept"]
            .contains(&name)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn service(configuration: &str) -> Service {
    Service::new(provider(configuration), &Rc::default())
}

fn provider(configuration: &str) -> Provider {
    let read = |name: &str| Some(format!("key-of-{}", name.to_ascii_lowercase()));
    Provider::from_bytes(configuration.as_bytes(), &read).expect("a configuration of our own")
}

/// Clusters with what their providers want.
const PROVIDERS: [(&str, &str); 3] = [
    ("one", r#"{"provider":"one","auth":{"bearer_env":"ONE"},"host":"one.example"}"#),
    (
        "two",
        r#"{"provider":"two","api":"anthropic","auth":{"header":"x-api-key","env":"TWO"},"host":"two.example"}"#,
    ),
    ("three", r#"{"provider":"three","auth":{"header":"x-api-key","env":"THREE"}}"#),
];

const PATHS: [&str; 4] =
    ["/v1/chat/completions", "/v1/messages", "/v1/embeddings?a=b", "/v1/images/generations"];

const CONFIGURATIONS: [&str; 6] = [
    r#"{"provider":"a","api":"azure_openai","host":"a.example"}"#,
    r#"{"provider":"a","api":"azure_openai","base_path":"/deep/er"}"#,
    r#"{"provider":"a","base_path":"/other/base"}"#,
    r#"{"provider":"a","api":"gemini"}"#,
    r#"{"provider":"a","api":"bedrock"}"#,
    r#"{"provider":"a","api":"ollama"}"#,
];
