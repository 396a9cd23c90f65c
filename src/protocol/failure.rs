//! A provider's error answer, read for what it tells the caller.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Dialect;

/// What a provider said went wrong. The message may quote the prompt: it is for the caller, and for
/// no log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub message: String,
    shape: Option<Dialect>,
}

impl Told {
    /// `None` if the body says nothing for people: it is empty, a page, or no whole document.
    pub fn read(body: &[u8]) -> Option<Self> {
        let Ok(root) = serde_json::from_slice(body) else { return Self::plain(body) };
        let Value::Object(root) = root else {
            // Google's OpenAI endpoint puts its errors into a list.
            return Some(Self { message: words(&root, MAX_DEPTH)?, shape: None });
        };
        let Some(error) = root.get("error").filter(|error| !error.is_null()) else {
            return Some(Self { message: members(&root, MAX_DEPTH)?, shape: None });
        };
        match error {
            Value::String(text) => {
                // Some servers say only the status's name there, and the rest beside it.
                let beside = root.get("message").and_then(Value::as_str);
                let beside = beside.filter(|message| !message.is_empty());
                let shape = beside.is_none().then_some(Dialect::Ollama);
                let message = beside.unwrap_or(text).to_owned();
                Some(Self { message, shape })
            }
            Value::Object(error) => {
                Some(Self { message: members(error, MAX_DEPTH)?, shape: shape(&root, error) })
            }
            other => Some(Self { message: words(other, MAX_DEPTH)?, shape: None }),
        }
    }

    /// Text that is no document: what a proxy or a small server says.
    fn plain(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?.trim();
        let is_other = text.starts_with(['<', '{', '[', '"']);
        if text.is_empty() || is_other {
            return None;
        }
        let message = text.chars().filter(|c| !c.is_control() || *c == '\n').take(MAX_PLAIN);
        Some(Self { message: message.collect(), shape: None })
    }

    /// Whether the body is just what clients of `dialect` expect, with nothing missing.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.shape == Some(dialect)
    }
}

/// Whose error this is, if nothing of it is missing.
fn shape(root: &Map<String, Value>, error: &Map<String, Value>) -> Option<Dialect> {
    if !error.get("message").is_some_and(Value::is_string) {
        return None;
    }
    let kind = error.get("type").is_some_and(|kind| !kind.is_null());
    let openai = kind && error.contains_key("param") && error.contains_key("code");
    let number = error.get("code").and_then(Value::as_u64).is_some_and(|code| code < 1000);
    if number && error.get("status").is_some_and(Value::is_string) {
        Some(Dialect::Gemini)
    } else if kind && root.get("type").and_then(Value::as_str) == Some("error") {
        Some(Dialect::Anthropic)
    } else {
        openai.then_some(Dialect::OpenAi)
    }
}

/// What a value says, wherever in it.
fn words(value: &Value, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Array(all) => {
            let all = all.iter().filter_map(|one| words(one, depth)).take(MAX_TOLD);
            Some(all.collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
        }
        Value::Object(object) => members(object, depth),
        _ => None,
    }
}

fn members(object: &Map<String, Value>, depth: usize) -> Option<String> {
    let text = NAMES.iter().find_map(|name| words(object.get(*name)?, depth))?;
    // FastAPI says beside each mistake where it is.
    let at = object.get("loc").and_then(Value::as_array).map(|at| {
        let parts = at.iter().filter_map(|part| match part {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        parts.collect::<Vec<_>>().join(".")
    });
    match at.filter(|at| !at.is_empty()) {
        Some(at) => Some(format!("{at}: {text}")),
        None => Some(text),
    }
}

/// The text without what looks like a key: a provider may quote what it was sent, and where that
/// was the operator's it is no caller's business.
pub fn without_keys(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0usize;
    let mut after_bearer = false;
    for (at, token) in tokens(text) {
        let is_key = token.len() >= MIN_KEY
            && (after_bearer || KEYS.iter().any(|prefix| token.starts_with(prefix)));
        after_bearer = token.eq_ignore_ascii_case("bearer");
        if is_key {
            out.push_str(text.get(done..at).unwrap_or_default());
            out.push_str(HIDDEN);
            done = at.saturating_add(token.len());
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// The same for one secret, whatever it looks like.
pub fn without(secret: &str, body: &[u8]) -> Option<Vec<u8>> {
    let found = memchr::memmem::find_iter(body, secret);
    let mut places = found.filter(|_| secret.len() >= MIN_SECRET).peekable();
    places.peek()?;
    let mut out = Vec::with_capacity(body.len());
    let mut done = 0usize;
    for at in places {
        out.extend_from_slice(body.get(done..at).unwrap_or_default());
        out.extend_from_slice(HIDDEN.as_bytes());
        done = at.saturating_add(secret.len());
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    Some(out)
}

/// Runs of what keys are made of, and where they begin.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.~+/*".contains(c);
    let pieces = text.split(move |c: char| !is_part(c));
    let mut at = 0usize;
    pieces.filter_map(move |piece| {
        let begins = at;
        let end = at.saturating_add(piece.len());
        let separator = text.get(end..).and_then(|rest| rest.chars().next());
        at = end.saturating_add(separator.map_or(0, char::len_utf8));
        (!piece.is_empty()).then_some((begins, piece))
    })
}

/// Where providers put their words, the likeliest first.
const NAMES: [&str; 13] = [
    "message",
    "error",
    "detail",
    "msg",
    "errors",
    "error_message",
    "errorMessage",
    "error_description",
    "Message",
    "description",
    "title",
    "reason",
    "text",
];

/// What keys of the usual providers begin with.
const KEYS: [&str; 14] = [
    "sk-", "sk_", "gsk_", "xai-", "AIza", "ya29.", "AKIA", "ASIA", "hf_", "pplx-", "nvapi-", "fw_",
    "tgp_", "eyJ",
];
const MIN_KEY: usize = 16;
const MIN_SECRET: usize = 6;
const HIDDEN: &str = "***";

/// Of a list of mistakes so many are told.
const MAX_TOLD: usize = 8;
/// Words stand at most so deep.
const MAX_DEPTH: usize = 6;
/// Of a text that is no document no more characters are told.
const MAX_PLAIN: usize = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Option<(String, Option<Dialect>)> {
        Told::read(body.as_bytes()).map(|told| (told.message, told.shape))
    }

    #[test]
    fn each_shape_is_known() {
        let cases = [
            (
                r#"{"error":{"message":"m","type":"t","param":null,"code":null}}"#,
                Some(Dialect::OpenAi),
            ),
            (r#"{"error":{"message":"m","type":"t","param":"p"}}"#, None),
            (
                r#"{"error":{"message":"m","code":400,"status":"INVALID_ARGUMENT"}}"#,
                Some(Dialect::Gemini),
            ),
            (r#"{"error":{"message":"m","code":"400","status":"INVALID_ARGUMENT"}}"#, None),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                Some(Dialect::Anthropic),
            ),
            (r#"{"error":"m"}"#, Some(Dialect::Ollama)),
            (r#"{"message":"m"}"#, None),
            (r#"{"detail":"m"}"#, None),
            (r#"{"error":"Bad Request","message":"m"}"#, None),
            (r#"{"error":{"error":"m"}}"#, None),
            (r#"{"error":["m"]}"#, None),
            (r#"[{"error":{"message":"m","code":400,"status":"INVALID_ARGUMENT"}}]"#, None),
            (r#"{"success":false,"errors":[{"code":1,"message":"m"}],"result":null}"#, None),
            (r#"{"error":null,"title":"m","status":400}"#, None),
            (r#"{"object":"error","message":"m","code":400}"#, None),
            (r#""m""#, None),
            (" m\r\n", None),
        ];
        for (body, shape) in cases {
            assert_eq!(read(body), Some(("m".to_owned(), shape)), "{body}");
        }
    }

    #[test]
    fn what_is_no_error_tells_nothing() {
        for body in [
            "",
            " ",
            "<html>",
            "null",
            "[]",
            "{}",
            "1",
            "\"\"",
            r#"{"error":{}}"#,
            r#"{"error":{"message":1}}"#,
            r#"{"error":{"message":"cu"#,
            r#"[{"error"#,
            "\"cut",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn each_mistake_of_a_list_is_told_with_its_place() {
        let body = r#"{"detail":[{"loc":["body","messages",0,"x"],"msg":"Extra inputs","type":"extra_forbidden"},{"loc":["body"],"msg":"no"}]}"#;
        let told = "body.messages.0.x: Extra inputs; body: no";
        assert_eq!(read(body), Some((told.to_owned(), None)));
    }

    #[test]
    fn keys_are_not_told() {
        for (text, told) in [
            (
                "Incorrect API key provided: sk-proj-0123456789abcdef.",
                "Incorrect API key provided: ***",
            ),
            (
                "header 'authorization: Bearer 0123456789abcdef' (bad)",
                "header 'authorization: Bearer ***' (bad)",
            ),
            ("key=AIzaSy0123456789abcdef&x", "key=***&x"),
            ("key AIzaSy0123456789abcdef, \u{e9}", "key ***, \u{e9}"),
            ("the task sk-1 is short", "the task sk-1 is short"),
        ] {
            assert_eq!(without_keys(text), told);
        }
        let body = br#"{"error":"s3cr3t and s3cr3t."}"#;
        assert_eq!(without("s3cr3t", body).unwrap(), br#"{"error":"*** and ***."}"#);
        assert_eq!(without("other-key", body), None);
        assert_eq!(without("", body), None);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in ".{0,80}") {
            let _ = read(&body);
            let _ = without_keys(&body);
        }
    }
}
