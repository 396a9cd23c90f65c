//! Which requests share an answer: a digest over everything that can change it.
//!
//! BLAKE3, not SHA-256: as collision-resistant, and five times faster where it runs. Every part is
//! fed with its length in front, so no two lists of parts are the same bytes.

use std::fmt;

use memchr::memmem;

use super::caller::tells_who_calls;
use super::canonical::{Canonical, Fault};
use crate::host::Pairs;
use crate::protocol::Operation;

/// In front of every key outside this process, with the version of what goes into the digest.
pub const CACHE_KEY_PREFIX: &str = "llm-cache:v1:";

/// The identity of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// What makes a request's answer its own besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub tenant: Tenant<'a>,
    /// The host that was asked, in any case: two virtual hosts may lead to different servers.
    pub host: &'a [u8],
    pub operation: Operation,
    /// Whose model it is: two providers may call different ones by the same name.
    pub provider: &'a str,
    /// Where that is: two configurations in one process may call different servers by one name.
    pub cluster: &'a str,
    /// What the model of the body was resolved to; it stands for the body's `model`.
    pub model: &'a str,
    /// The cluster of Envoy's route as the request came. A route with a cluster of its own goes
    /// there, whatever the gateway chose: two virtual hosts, or two routes that look at a header.
    pub route: &'a [u8],
    /// The path, as far as it says more than operation and model.
    pub path: &'a [u8],
    /// The query of the path, without its question mark.
    pub query: &'a [u8],
    /// The request headers; those that change answers are picked out here.
    pub headers: &'a Pairs,
    /// Further headers that an answer depends on, by the configuration: lower case, sorted.
    pub vary: &'a [Box<str>],
    /// The digest of the certificate that the caller showed to Envoy; empty if it showed none.
    pub certificate: &'a [u8],
}

/// Who may share an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant<'a> {
    /// Everyone.
    Global,
    /// One consumer of the configuration.
    Consumer(&'a str),
    /// Callers who say the same of themselves, or nothing, where the gateway itself knows no
    /// consumer. It is picked out of the headers: all that could tell who calls, since which one a
    /// provider looks at is not known here.
    Caller,
}

/// Why a request has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncacheable {
    #[error("no operation with answers to share")]
    Operation,
    /// The answer depends on what the provider keeps, or the call changes that.
    #[error("depends on state at the provider")]
    Stateful,
    #[error(transparent)]
    Body(#[from] Fault),
}

impl Key {
    /// The key of a request with this JSON `body`.
    pub fn of(subject: &Subject<'_>, body: &[u8]) -> Result<Self, Uncacheable> {
        let operation = tag(subject.operation).ok_or(Uncacheable::Operation)?;
        let body = Canonical::of(body)?;
        let mut digest = Digest::new();
        digest.part(CACHE_KEY_PREFIX.as_bytes());
        let (kind, name) = match subject.tenant {
            Tenant::Global => ("global", &b""[..]),
            Tenant::Consumer(name) => ("consumer", name.as_bytes()),
            Tenant::Caller => ("caller", &b""[..]),
        };
        digest.part(kind.as_bytes());
        digest.part(name);
        if subject.tenant == Tenant::Caller {
            digest.headers(subject.headers, tells_who_calls);
            digest.part(subject.certificate);
        }
        digest.lower(subject.host);
        digest.part(operation.as_bytes());
        digest.part(subject.provider.as_bytes());
        digest.part(subject.cluster.as_bytes());
        digest.part(subject.model.as_bytes());
        digest.part(subject.route);
        digest.part(subject.path);
        digest.part(subject.query);
        digest.headers(subject.headers, varies);
        for name in subject.vary {
            digest.part(name.as_bytes());
            digest.headers(subject.headers, |header| header == name.as_bytes());
        }
        for (name, member) in body.members() {
            match effect(subject.operation, name) {
                Effect::Keyed => digest.part(member),
                Effect::LeftOut => {}
                Effect::StatefulUnless(harmless) => {
                    if !harmless.iter().any(|value| member.ends_with(value)) {
                        return Err(Uncacheable::Stateful);
                    }
                }
                Effect::StatefulWith(parts) => {
                    if parts.iter().any(|part| memmem::find(member, part).is_some()) {
                        return Err(Uncacheable::Stateful);
                    }
                    digest.part(member);
                }
            }
        }
        Ok(digest.finish())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The name of the entry outside this process.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CACHE_KEY_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Small parts are put together first: each has a price of its own to hash.
struct Digest {
    hasher: blake3::Hasher,
    small: Vec<u8>,
}

impl Digest {
    fn new() -> Self {
        Self { hasher: blake3::Hasher::new(), small: Vec::with_capacity(SMALL) }
    }

    fn part(&mut self, bytes: &[u8]) {
        self.length(bytes);
        if bytes.len() > SMALL.saturating_sub(self.small.len()) {
            self.flush();
            self.hasher.update(bytes);
        } else {
            self.small.extend_from_slice(bytes);
        }
    }

    fn length(&mut self, bytes: &[u8]) {
        self.small.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    }

    fn flush(&mut self) {
        self.hasher.update(&self.small);
        self.small.clear();
    }

    fn finish(mut self) -> Key {
        self.flush();
        Key(self.hasher.finalize().into())
    }

    fn lower(&mut self, bytes: &[u8]) {
        self.length(bytes);
        self.small.extend(bytes.iter().map(u8::to_ascii_lowercase));
    }

    fn headers(&mut self, headers: &Pairs, picked: impl Fn(&[u8]) -> bool) {
        for (name, value) in headers.iter().filter(|(name, _)| picked(name)) {
            self.part(name);
            self.part(value);
        }
        // No header name is empty, so this ends their list.
        self.part(b"");
    }
}

/// What a top-level member of a request does to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Keyed,
    LeftOut,
    /// Makes the request depend on state at the provider, unless the member is one of these.
    StatefulUnless(&'static [&'static [u8]]),
    /// Has the provider do something for the caller, if one of these stands in it; else in the key.
    StatefulWith(&'static [&'static [u8]]),
}

/// Everything is in the key but this closed list. Both forms of an answer share a key, so `stream`
/// and its options are never in it; `model` is there as what it resolved to. A Responses answer
/// repeats the request's other members, so nothing else of theirs is left out.
fn effect(operation: Operation, member: &[u8]) -> Effect {
    match (operation, member) {
        (_, b"model" | b"stream") => Effect::LeftOut,
        (
            Operation::Chat,
            b"stream_options"
            | b"user"
            | b"metadata"
            | b"store"
            | b"service_tier"
            | b"prompt_cache_key"
            | b"prompt_cache_retention"
            | b"safety_identifier",
        )
        | (Operation::Completion, b"stream_options" | b"user")
        | (Operation::Embedding, b"user")
        | (Operation::Responses, b"stream_options")
        | (Operation::Messages, b"metadata" | b"service_tier")
        | (
            Operation::OllamaChat | Operation::OllamaGenerate | Operation::OllamaEmbed,
            b"keep_alive",
        ) => Effect::LeftOut,
        (
            Operation::GeminiGenerate | Operation::GeminiStream,
            b"labels" | b"store" | b"serviceTier" | b"service_tier",
        ) => Effect::LeftOut,
        (
            Operation::GeminiGenerate | Operation::GeminiStream,
            b"cachedContent" | b"cached_content",
        ) => Effect::StatefulUnless(&[b":null"]),
        (Operation::Responses, b"conversation") | (Operation::Messages, b"container") => {
            Effect::StatefulUnless(&[b":null"])
        }
        (Operation::Messages, b"mcp_servers") => Effect::StatefulUnless(&[b":null", b":[]"]),
        (Operation::Responses, b"background") => Effect::StatefulUnless(&[b":null", b":false"]),
        (Operation::Responses, b"tools") => Effect::StatefulWith(&ACTING_TOOLS),
        _ => Effect::Keyed,
    }
}

/// An operation as it stands in the digest.
fn tag(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Chat => Some("openai.chat"),
        Operation::Completion => Some("openai.completion"),
        Operation::Embedding => Some("openai.embedding"),
        Operation::Responses => Some("openai.responses"),
        Operation::Messages => Some("anthropic.messages"),
        Operation::OllamaChat => Some("ollama.chat"),
        Operation::OllamaGenerate => Some("ollama.generate"),
        Operation::OllamaEmbed => Some("ollama.embed"),
        // Two forms of one answer.
        Operation::GeminiGenerate | Operation::GeminiStream => Some("gemini.generate"),
        Operation::GeminiEmbed => Some("gemini.embed"),
        Operation::GeminiBatchEmbed => Some("gemini.batch_embed"),
        Operation::Other | Operation::Models => None,
    }
}

/// Whether a request header can turn on features that answers show: all of the providers' own.
fn varies(header: &[u8]) -> bool {
    VARYING.iter().any(|prefix| header.starts_with(prefix))
}

/// As much as the hash takes at once.
const SMALL: usize = 1024;

const VARYING: [&[u8]; 3] = [b"anthropic-", b"openai-", b"x-amzn-bedrock-"];

/// Tools that the provider itself runs, and that change something there or elsewhere. In canonical
/// JSON this text stands nowhere but in a member: a quote inside a string has an escape before it.
const ACTING_TOOLS: [&[u8]; 3] = [b"\"type\":\"mcp\"", b"\"container\":\"", b"\"container_id\":\""];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(operation: Operation, headers: &Pairs) -> Subject<'_> {
        let tenant = Tenant::Consumer("web-app");
        let (provider, cluster, model) = ("openai", "openai", "gpt-4o");
        let (route, path, query, certificate) = (b"", b"", b"", b"");
        Subject {
            tenant,
            host: b"",
            operation,
            provider,
            cluster,
            model,
            route,
            path,
            query,
            headers,
            vary: &[],
            certificate,
        }
    }

    fn key(operation: Operation, body: &str) -> Result<Key, Uncacheable> {
        Key::of(&subject(operation, &Pairs::default()), body.as_bytes())
    }

    /// Every member of the published request schemas.
    const PUBLISHED: [(Operation, &str); 8] = [
        (
            Operation::Chat,
            "messages model audio frequency_penalty function_call functions logit_bias logprobs \
             max_completion_tokens max_tokens metadata modalities n parallel_tool_calls prediction \
             presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort \
             response_format safety_identifier seed service_tier stop store stream stream_options \
             temperature tool_choice tools top_logprobs top_p user verbosity web_search_options",
        ),
        (
            Operation::Completion,
            "model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n \
             presence_penalty seed stop stream stream_options suffix temperature top_p user",
        ),
        (Operation::Embedding, "input model dimensions encoding_format user"),
        (
            Operation::Responses,
            "background context_management conversation include input instructions \
             max_output_tokens max_tool_calls metadata model parallel_tool_calls \
             previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning \
             safety_identifier service_tier store stream stream_options temperature text \
             tool_choice tools top_logprobs top_p truncation user",
        ),
        (
            Operation::Messages,
            "max_tokens messages model cache_control container context_management diagnostics \
             fallback_credit_token fallbacks inference_geo mcp_servers metadata output_config \
             output_format service_tier speed stop_sequences stream system temperature thinking \
             tool_choice tools top_k top_p",
        ),
        (
            Operation::GeminiGenerate,
            "model contents tools toolConfig safetySettings systemInstruction generationConfig \
             cachedContent labels serviceTier store",
        ),
        (
            Operation::GeminiEmbed,
            "model content taskType title outputDimensionality embedContentConfig",
        ),
        (Operation::GeminiBatchEmbed, "requests"),
    ];

    /// What does not change an answer, and nothing else.
    const LEFT_OUT: [(Operation, &str); 8] = [
        (
            Operation::Chat,
            "metadata model prompt_cache_key prompt_cache_retention safety_identifier \
             service_tier store stream stream_options user",
        ),
        (Operation::Completion, "model stream stream_options user"),
        (Operation::Embedding, "model user"),
        (Operation::Responses, "model stream stream_options"),
        (Operation::Messages, "metadata model service_tier stream"),
        (Operation::GeminiGenerate, "labels model serviceTier store"),
        (Operation::GeminiEmbed, "model"),
        (Operation::GeminiBatchEmbed, ""),
    ];

    const STATEFUL: [(Operation, &str); 5] = [
        (Operation::GeminiGenerate, "cachedContent"),
        (Operation::Messages, "mcp_servers"),
        (Operation::Responses, "background"),
        (Operation::Responses, "conversation"),
        (Operation::Messages, "container"),
    ];

    #[test]
    fn every_published_member_changes_the_key_or_is_on_the_list() {
        for ((operation, published), (_, left_out)) in PUBLISHED.into_iter().zip(LEFT_OUT) {
            let left_out: Vec<_> = left_out.split_whitespace().collect();
            let mut seen = Vec::new();
            let bare = key(operation, "{}").unwrap();
            for member in published.split_whitespace() {
                if STATEFUL.contains(&(operation, member)) {
                    let body = format!("{{\"{member}\":true}}");
                    assert_eq!(key(operation, &body), Err(Uncacheable::Stateful), "{member}");
                    continue;
                }
                let one = key(operation, &format!("{{\"{member}\":1}}")).unwrap();
                let two = key(operation, &format!("{{\"{member}\":2}}")).unwrap();
                assert_eq!(one == two, one == bare, "{operation:?} {member}");
                if one == two {
                    seen.push(member);
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, left_out, "{operation:?}");
        }
    }

    #[test]
    fn a_member_that_is_not_published_yet_is_in_the_key() {
        for operation in Operation::ALL.into_iter().filter(|o| tag(*o).is_some()) {
            let keys: Vec<_> = ["{}", r#"{"new_field":1}"#, r#"{"new_field":2}"#]
                .map(|body| key(operation, body).unwrap())
                .into();
            assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        }
    }

    #[test]
    fn state_at_the_provider_that_is_switched_off_does_not_matter() {
        for body in [r#"{"background":false}"#, r#"{"background":null,"conversation":null}"#] {
            assert!(key(Operation::Responses, body).is_ok(), "{body}");
        }
        for body in [r#"{"container":null}"#, r#"{"mcp_servers":[]}"#] {
            assert!(key(Operation::Messages, body).is_ok(), "{body}");
        }
    }

    #[test]
    fn tools_that_act_at_the_provider_are_not_answered_from_the_cache() {
        for (tool, stateful) in [
            (r#"{"type":"mcp","server_url":"x"}"#, true),
            (r#"{"server_url":"x", "type" : "m\u0063p"}"#, true),
            (r#"{"type":"code_interpreter","container":"cntr_1"}"#, true),
            (r#"{"type":"shell","environment":{"container_id":"cntr_1"}}"#, true),
            (r#"{"type":"code_interpreter","container":{"type":"auto"}}"#, false),
            (r#"{"type":"web_search"}"#, false),
            (r#"{"type":"function","name":"mcp","description":"\"type\":\"mcp\""}"#, false),
        ] {
            let answered = key(Operation::Responses, &format!("{{\"tools\":[{tool}]}}"));
            assert_eq!(answered == Err(Uncacheable::Stateful), stateful, "{tool}");
        }
        let with = |name| format!(r#"{{"tools":[{{"type":"function","name":"{name}"}}]}}"#);
        let keys = ["a", "b"].map(|name| key(Operation::Responses, &with(name)).unwrap());
        assert_ne!(keys[0], keys[1]);
    }

    #[test]
    fn the_list_names_top_level_members_only() {
        let with = |user| format!(r#"{{"messages":[{{"user":{user},"stream":{user}}}]}}"#);
        assert_ne!(key(Operation::Chat, &with(1)), key(Operation::Chat, &with(2)));
    }

    #[test]
    fn a_left_out_member_is_known_in_any_spelling() {
        let plain = key(Operation::Chat, r#"{"user":"a"}"#);
        assert_eq!(plain, key(Operation::Chat, r#"{"us\u0065r":"b"}"#));
    }

    #[test]
    fn tenants_operations_models_queries_and_features_are_apart() {
        let none = Pairs::default();
        let beta: Pairs = [("anthropic-beta", "a")].into_iter().collect();
        let other: Pairs = [("anthropic-beta", "b")].into_iter().collect();
        let project: Pairs = [("openai-project", "a")].into_iter().collect();
        let unrelated: Pairs = [("user-agent", "x"), ("cookie", "a")].into_iter().collect();
        let region = [Box::from("x-region")];
        let base = subject(Operation::Chat, &none);
        let of = |subject: Subject<'_>| Key::of(&subject, b"{\"messages\":[]}").unwrap();
        let keys = [
            of(base),
            of(Subject { tenant: Tenant::Consumer("other"), ..base }),
            of(Subject { tenant: Tenant::Consumer(""), ..base }),
            of(Subject { tenant: Tenant::Caller, ..base }),
            of(Subject { tenant: Tenant::Global, ..base }),
            of(Subject { operation: Operation::OllamaChat, ..base }),
            of(Subject { operation: Operation::Responses, ..base }),
            of(Subject { model: "gpt-4o-mini", ..base }),
            of(Subject { provider: "azure", ..base }),
            of(Subject { cluster: "openai-eu", ..base }),
            of(Subject { query: b"beta=true", ..base }),
            of(Subject { host: b"a.example", ..base }),
            of(Subject { host: b"a.example:8080", ..base }),
            of(Subject { host: b"b.example", ..base }),
            of(Subject { path: b"v1beta", ..base }),
            of(Subject { route: b"other", ..base }),
            of(Subject { vary: &region, ..base }),
            of(Subject { headers: &beta, ..base }),
            of(Subject { headers: &other, ..base }),
            of(Subject { headers: &project, ..base }),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
        assert_eq!(keys[0], of(Subject { headers: &unrelated, ..base }));
        let host = |host| of(Subject { host, ..base });
        assert_eq!(host(b"a.example"), host(b"A.Example"));
    }

    #[test]
    fn callers_with_other_credentials_are_apart_whichever_header_holds_them() {
        let same = ("authorization", "Bearer same");
        let lists: [&[(&str, &str)]; 10] = [
            &[("cookie", "session=a")],
            &[("cookie", "session=b")],
            &[("x-forwarded-client-cert", "Hash=a")],
            &[],
            &[same],
            &[("authorization", "Bearer other")],
            &[("x-api-key", "Bearer same")],
            &[same, ("x-api-key", "a")],
            &[same, ("x-api-key", "b")],
            &[same, ("api-key", "a")],
        ];
        let keys = lists.map(|list| {
            let headers: Pairs = list.iter().copied().collect();
            let tenant = Tenant::Caller;
            Key::of(&Subject { tenant, ..subject(Operation::Chat, &headers) }, b"{}").unwrap()
        });
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
        let headers: Pairs = [same].into_iter().collect();
        let consumer = subject(Operation::Chat, &headers);
        assert_eq!(Key::of(&consumer, b"{}"), key(Operation::Chat, "{}"), "a consumer's many keys");
    }

    fn with(headers: &[(&str, &str)], vary: &[Box<str>]) -> Key {
        let headers: Pairs = headers.iter().copied().collect();
        Key::of(&Subject { vary, ..subject(Operation::Chat, &headers) }, b"{}").unwrap()
    }

    #[test]
    fn a_header_that_answers_vary_by_is_in_the_key_with_all_of_its_values() {
        let vary = [Box::from("x-plan"), Box::from("x-region")];
        let lists: [&[(&str, &str)]; 9] = [
            &[],
            &[("x-region", "")],
            &[("x-region", "eu")],
            &[("x-region", "us")],
            &[("x-region", "EU")],
            &[("x-region", "eu"), ("x-region", "us")],
            &[("x-region", "us"), ("x-region", "eu")],
            &[("x-region", "eu,us")],
            &[("x-plan", "eu")],
        ];
        let keys = lists.map(|list| with(list, &vary));
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
        // What is not named has no say, nor has the order of different headers.
        assert_eq!(with(&[("x-tier", "gold")], &vary), keys[0]);
        let pair = [("x-plan", "a"), ("x-region", "b")];
        assert_eq!(with(&pair, &vary), with(&[pair[1], pair[0]], &vary));
        assert_ne!(with(&[], &vary), with(&[], &vary[..1]));
        let nothing: &[Box<str>] = &[];
        assert_eq!(with(&[("x-region", "eu")], nothing), with(&[], nothing));
    }

    #[test]
    fn callers_without_a_consumer_are_apart_by_all_that_tells_who_they_are() {
        let key = |headers: &[(&str, &str)], certificate: &[u8]| {
            let headers: Pairs = headers.iter().copied().collect();
            let base = subject(Operation::Chat, &headers);
            Key::of(&Subject { tenant: Tenant::Caller, certificate, ..base }, b"{}").unwrap()
        };
        for name in [
            "ocp-apim-subscription-key",
            "apikey",
            "x-litellm-api-key",
            "x-forwarded-user",
            "x-auth-request-email",
            "x-goog-iap-jwt-assertion",
            "x-amzn-oidc-data",
            "x-consumer-username",
            "cf-access-jwt-assertion",
            "remote-user",
        ] {
            let of = |value| key(&[(name, value)], b"");
            assert_ne!(of("a"), of("b"), "{name}");
            assert_ne!(of(""), key(&[], b""), "{name}");
            assert_eq!(of("a"), of("a"), "{name}");
        }
        assert_eq!(key(&[("user-agent", "a")], b""), key(&[("traceparent", "b")], b""));
        assert_ne!(key(&[], b"a"), key(&[], b""));
        assert_ne!(key(&[], b"a"), key(&[], b"b"));
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        let none = Pairs::default();
        let base = subject(Operation::Chat, &none);
        let ab = Subject { tenant: Tenant::Consumer("ab"), model: "c", ..base };
        let a = Subject { tenant: Tenant::Consumer("a"), model: "bc", ..base };
        assert_ne!(Key::of(&ab, b"{}"), Key::of(&a, b"{}"));
    }

    /// Entries outlive the process that wrote them once a second level keeps them: what goes into
    /// the digest changes only together with the version of the prefix.
    #[test]
    fn the_digest_is_the_one_of_version_1() {
        let body = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}],"n":1.0}"#;
        assert_eq!(
            key(Operation::Chat, body).unwrap().to_string(),
            "llm-cache:v1:afb1a9d9c81aa7c093c26e6106d4c9f2e39af565b1ff9cce175d4d22aaa8b93a"
        );
    }

    #[test]
    fn only_json_of_known_operations_has_a_key() {
        assert_eq!(key(Operation::Other, "{}"), Err(Uncacheable::Operation));
        assert_eq!(key(Operation::Chat, "{"), Err(Uncacheable::Body(Fault::Syntax)));
        assert_eq!(key(Operation::Chat, "[]"), Err(Uncacheable::Body(Fault::NotAnObject)));
    }

    proptest! {
        #[test]
        fn different_prompts_have_different_keys(a in ".{0,40}", b in ".{0,40}") {
            let of = |prompt: &str| {
                let body = serde_json::json!({ "messages": [{ "role": "user", "content": prompt }] });
                key(Operation::Chat, &body.to_string()).ok()
            };
            prop_assert_eq!(of(&a) == of(&b), a == b);
        }
    }
}
