//! The values of each dimension of the table.

use serde_json::{Value, json};

use super::rows::{Body, Caller, Credential, Door};

/// A call as one client's protocol has it.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) providers: &'static [&'static str],
    pub(super) body: fn(&str) -> Value,
    pub(super) streams: bool,
}

/// Another way to write the same path, or nearly the same.
pub(super) type Spelling = fn(&str) -> String;

/// All but the last segment, and the last: a model's name is spelled in one way.
fn ends(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap()
}

pub(super) const SPELLINGS: [Spelling; 16] = [
    |path| path.to_owned(),
    |path| {
        if path.contains(':') {
            let (head, last) = ends(path);
            format!("{}/{last}", head.to_uppercase())
        } else {
            path.to_uppercase()
        }
    },
    |path| {
        let first = ["/chat", "/mod", "/mess", "/emb", "/res", "/comp"];
        let upper = |path: String, part: &&str| path.replacen(*part, &part.to_uppercase(), 1);
        first.iter().fold(path.to_owned(), upper)
    },
    |path| {
        let (head, last) = ends(path);
        format!("{head};v=1/{last}")
    },
    |path| format!("{path};v=1"),
    |path| format!("/{path}"),
    |path| {
        let (head, last) = ends(path);
        format!("{head}//{last}")
    },
    |path| {
        let (head, last) = ends(path);
        format!("{head}%2f{last}")
    },
    |path| {
        let (head, last) = ends(path);
        format!("{head}%2F{last}")
    },
    |path| path.replacen("/v", "/%76", 1).replacen("/api", "/%61pi", 1),
    |path| path.replacen("/chat", "/%63hat", 1).replacen("/models", "/%6dodels", 1),
    |path| format!("{path}/"),
    |path| {
        let (head, last) = ends(path);
        format!("{head}/./{last}")
    },
    |path| {
        let (head, last) = ends(path);
        format!("{head}/x/../{last}")
    },
    |path| {
        let (head, last) = ends(path);
        format!("{head}/x/%2e%2e/{last}")
    },
    // Another path.
    |path| {
        path.trim_start_matches("/v1beta")
            .trim_start_matches("/v1")
            .trim_start_matches("/api")
            .to_owned()
    },
];

pub(super) const DOORS: [Door; 3] = [Door::Closed, Door::Open, Door::Trusted];
pub(super) const METHODS: [&str; 8] =
    ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "UPGRADE"];

pub(super) const CONTENT_TYPES: [(&[&str], Body); 16] = [
    (&["application/json"], Body::Json),
    (&[], Body::Json),
    (&["text/plain"], Body::Json),
    (&["text/json"], Body::Json),
    (&["application/json, x"], Body::Json),
    (&["application/json", "text/plain"], Body::Json),
    (&["APPLICATION/JSON; Charset=UTF-8"], Body::Json),
    (&["application/x-www-form-urlencoded"], Body::Json),
    (&["application/octet-stream"], Body::Json),
    (&["application/vnd.api+json"], Body::Json),
    (&["multipart/form-data; boundary=b"], Body::Form),
    (&["application/octet-stream"], Body::Garbage),
    (&["application/x-www-form-urlencoded"], Body::Pairs),
    (&["text/plain"], Body::Pairs),
    (&["application/json"], Body::Garbage),
    (&[], Body::Empty),
];

pub(super) const FULL: Caller = Caller { name: "full", key: "sk-of-full-1234", cheap_only: false };
pub(super) const NARROW: Caller =
    Caller { name: "narrow", key: "sk-of-narrow-1234", cheap_only: true };
/// Has used up all that it may.
pub(super) const SPENT: Caller =
    Caller { name: "spent", key: "sk-of-spent-1234", cheap_only: false };

const fn by(
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    is_good: bool,
) -> Credential {
    Credential { name, headers, query: "", is_good, in_body: false, in_query: None }
}

const fn in_query(name: &'static str, query: &'static str, good: bool) -> Credential {
    Credential { name, headers: &[], query, is_good: false, in_body: false, in_query: Some(good) }
}

pub(super) const NOBODY: Credential = by("none", &[], false);

/// The first is the usual one.
pub(super) fn credentials(door: Door) -> Vec<Credential> {
    if door == Door::Trusted {
        return vec![
            by("named", &[("x-consumer", "NAME")], true),
            NOBODY,
            by("unknown name", &[("x-consumer", "nobody")], false),
            by("two names", &[("x-consumer", "NAME"), ("x-consumer", "full")], false),
            by("a key in place of a name", &[("authorization", "Bearer KEY")], false),
        ];
    }
    vec![
        by("bearer", &[("authorization", "Bearer KEY")], true),
        NOBODY,
        by("wrong", &[("authorization", "Bearer sk-wrong")], false),
        by("bearer in lower case", &[("authorization", "bearer KEY")], true),
        by("x-api-key", &[("x-api-key", "KEY")], true),
        by("api-key", &[("api-key", "KEY")], true),
        by("x-goog-api-key", &[("x-goog-api-key", "KEY")], true),
        by(
            "right before wrong",
            &[("authorization", "Bearer KEY"), ("x-api-key", "sk-wrong")],
            true,
        ),
        by(
            "wrong before right",
            &[("authorization", "Bearer sk-wrong"), ("x-api-key", "KEY")],
            false,
        ),
        by(
            "another scheme beside a key",
            &[("authorization", "Basic c2s="), ("api-key", "KEY")],
            true,
        ),
        by("another scheme", &[("authorization", "Basic KEY")], false),
        by("no scheme", &[("authorization", "KEY")], false),
        by("empty", &[("authorization", "Bearer "), ("x-key", "KEY")], false),
        by("a cookie", &[("cookie", "authorization=KEY; api-key=KEY")], false),
        by("for a proxy", &[("proxy-authorization", "Bearer KEY")], false),
        by("a name", &[("x-consumer", "NAME"), ("x-llm-consumer", "NAME")], false),
        Credential { in_body: true, ..by("in the body", &[], false) },
        in_query("key in the query", "key=KEY", true),
        in_query("token in the query", "access_token=KEY", true),
        in_query("wrong key in the query", "key=sk-wrong", false),
    ]
}

/// What every row sends and no provider may see.
pub(super) const UNWANTED: [(&str, &str); 7] = [
    ("cookie", "session=of-the-caller"),
    ("proxy-authorization", "Basic of-the-caller"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-host", "of-the-caller"),
    ("x-forwarded-proto", "https"),
    ("x-envoy-external-address", "203.0.113.7"),
    ("x-llm-cluster", "exp"),
];

fn messages(model: &str) -> Value {
    json!({"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Hello"}]})
}

fn contents(_: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]})
}

const CHATS: &[&str] = &["fast", "exp", "claude", "google", "llama"];
const EMBEDDERS: &[&str] = &["fast", "exp", "google", "llama"];

pub(super) const CALLS: [Call; 17] = [
    Call { path: "/v1/chat/completions", providers: CHATS, body: messages, streams: false },
    Call {
        path: "/v1/chat/completions",
        providers: &["fast", "exp"],
        body: |model| json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "Hello"}]}),
        streams: true,
    },
    Call {
        path: "/v1/completions",
        providers: &["fast", "exp"],
        body: |model| json!({"model": model, "prompt": "Hello", "max_tokens": 16}),
        streams: false,
    },
    Call {
        path: "/v1/embeddings",
        providers: EMBEDDERS,
        body: |model| json!({"model": model, "input": "Hello"}),
        streams: false,
    },
    Call {
        path: "/v1/responses",
        providers: CHATS,
        body: |model| json!({"model": model, "input": "Hello", "max_output_tokens": 16}),
        streams: false,
    },
    Call { path: "/v1/messages", providers: CHATS, body: messages, streams: false },
    Call {
        path: "/api/chat",
        providers: CHATS,
        body: |model| json!({"model": model, "stream": false, "messages": [{"role": "user", "content": "Hello"}]}),
        streams: false,
    },
    Call {
        path: "/api/generate",
        providers: CHATS,
        body: |model| json!({"model": model, "stream": false, "prompt": "Hello"}),
        streams: false,
    },
    Call {
        path: "/api/embed",
        providers: EMBEDDERS,
        body: |model| json!({"model": model, "input": "Hello"}),
        streams: false,
    },
    Call {
        path: "/v1beta/models/MODEL:generateContent",
        providers: CHATS,
        body: contents,
        streams: false,
    },
    Call {
        path: "/v1/models/MODEL:generateContent",
        providers: CHATS,
        body: contents,
        streams: false,
    },
    Call {
        path: "/v1beta/models/MODEL:streamGenerateContent?alt=sse",
        providers: &["fast", "exp", "google"],
        body: contents,
        streams: true,
    },
    Call {
        path: "/v1beta/models/MODEL:embedContent",
        providers: EMBEDDERS,
        body: |_| json!({"content": {"parts": [{"text": "Hello"}]}}),
        streams: false,
    },
    Call {
        path: "/v1/rerank",
        providers: &["fast", "exp"],
        body: |model| json!({"model": model, "query": "x", "documents": ["y"]}),
        streams: false,
    },
    Call {
        path: "/v1/moderations",
        providers: &["fast", "exp"],
        body: |model| json!({"input": "x", "model": model}),
        streams: false,
    },
    Call {
        path: "/v1/something/new",
        providers: &["fast", "exp"],
        body: |model| json!({"model": model}),
        streams: false,
    },
    Call {
        path: "/v1/images/edits",
        providers: &["fast", "exp"],
        body: |model| json!({"model": model, "prompt": "x"}),
        streams: false,
    },
];

/// Nothing that names a model where the gateway looks.
pub(super) const NO_CALLS: [&str; 20] = [
    "/",
    "/chat/completions",
    "/rerank",
    "/tokenize",
    "/v1",
    "/v1/files",
    "/v1/files/x/content",
    "/v1/batches",
    "/v1/vector_stores/x",
    "/v1/realtime?model=fast-dear",
    "/v2/chat/completions",
    "/api/pull",
    "/api/create",
    "/api/delete",
    "/api/embeddings",
    "/api/tags",
    "/v1/models",
    "/v1beta/models",
    "/metrics",
    "/__admin",
];
