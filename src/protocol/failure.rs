//! A provider's error answer, read for what it tells the caller.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Dialect;

/// What a provider said went wrong. The message may quote the prompt: it is for the caller, and for
/// no log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    pub message: Cow<'a, str>,
    shape: Option<Dialect>,
}

impl<'a> Told<'a> {
    /// `None` if the body is no JSON error of any known shape.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let body: Body<'a> = serde_json::from_slice(body).ok()?;
        let Some(error) = body.error else {
            // FastAPI servers and Cohere.
            return Some(Self { message: text(body.message.or(body.detail)?)?, shape: None });
        };
        if let Some(message) = text(error) {
            return Some(Self { message, shape: Some(Dialect::Ollama) });
        }
        let error: Object<'a> = serde_json::from_str(error.get()).ok()?;
        let anthropic = body.kind.and_then(text).is_some_and(|kind| kind == "error");
        let openai = error.kind.is_some() && error.param.is_some() && error.code.is_some();
        let number = error.code.is_some_and(|code| code.get().parse::<u16>().is_ok());
        let gemini = number && error.status.is_some_and(|status| text(status).is_some());
        let shape = if gemini {
            Some(Dialect::Gemini)
        } else if anthropic && error.kind.is_some() {
            Some(Dialect::Anthropic)
        } else {
            openai.then_some(Dialect::OpenAi)
        };
        Some(Self { message: text(error.message?)?, shape })
    }

    /// Whether the body is just what clients of `dialect` expect, with nothing missing.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.shape == Some(dialect)
    }
}

fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(json.get()).ok().map(|Text(text)| text)
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// `RawValue` and not `Value`: a member that is `null` is there, one that is absent is not.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    param: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Option<(String, Option<Dialect>)> {
        Told::read(body.as_bytes()).map(|told| (told.message.into_owned(), told.shape))
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
        ];
        for (body, shape) in cases {
            assert_eq!(read(body), Some(("m".to_owned(), shape)), "{body}");
        }
    }

    #[test]
    fn what_is_no_error_tells_nothing() {
        for body in
            ["", "<html>", "null", "[]", "{}", r#"{"error":{}}"#, r#"{"error":{"message":1}}"#]
        {
            assert_eq!(read(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in ".{0,80}") {
            let _ = read(&body);
        }
    }
}
