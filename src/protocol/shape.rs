//! Whether a whole answer is what was asked for: a JSON document that holds what the API promises.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Operation;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Answer,
    /// An answer in the API's own form that says that it failed.
    Failure,
    /// Nothing that was asked for: no JSON, an error, a document without an answer in it.
    Nothing,
}

impl Shape {
    /// The whole body of an answer that is no stream.
    pub fn of(operation: Operation, body: &[u8]) -> Self {
        let body = body.strip_prefix(MARK).unwrap_or(body);
        let Ok(text) = simdutf8::basic::from_utf8(body) else { return Self::Nothing };
        let Ok(root) = serde_json::from_str::<Root>(text) else { return Self::Nothing };
        if operation == Operation::Other || operation == Operation::Models {
            return Self::Answer;
        }
        if operation == Operation::Responses {
            return match (&root.output, root.failed || root.error.says_something()) {
                (Value::List { .. }, true) => Self::Failure,
                (Value::List { .. }, false) => Self::Answer,
                _ => Self::Nothing,
            };
        }
        let holds = match operation {
            Operation::Chat | Operation::Completion => root.choices.is_list_of_objects(),
            Operation::Embedding => root.data.is_list_of_objects(),
            Operation::Messages => matches!(root.content, Value::List { .. }),
            Operation::OllamaChat => matches!(root.message, Value::Object { .. }),
            Operation::OllamaGenerate => matches!(root.response, Value::Text { .. }),
            Operation::OllamaEmbed | Operation::GeminiBatchEmbed => {
                matches!(root.embeddings, Value::List { len: 1.., .. })
            }
            Operation::GeminiGenerate | Operation::GeminiStream => {
                root.candidates.is_list_of_objects()
                    || matches!(root.feedback, Value::Object { len: 1.. })
            }
            Operation::GeminiEmbed => matches!(root.embedding, Value::Object { len: 1.. }),
            Operation::Responses | Operation::Other | Operation::Models => false,
        };
        if holds && !root.error.says_something() { Self::Answer } else { Self::Nothing }
    }
}

/// The member of the root object without which there is no answer; empty where there is none.
pub fn member(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat | Operation::Completion => "choices",
        Operation::Embedding => "data",
        Operation::Responses => "output",
        Operation::Messages => "content",
        Operation::OllamaChat => "message",
        Operation::OllamaGenerate => "response",
        Operation::OllamaEmbed | Operation::GeminiBatchEmbed => "embeddings",
        Operation::GeminiGenerate | Operation::GeminiStream => "candidates",
        Operation::GeminiEmbed => "embedding",
        Operation::Other | Operation::Models => "",
    }
}

/// Whether a JSON document that is not whole yet may still be an object.
pub fn may_be_object(beginning: &[u8]) -> bool {
    let beginning = beginning.strip_prefix(MARK).unwrap_or(beginning);
    // Of a mark that is not whole nothing is known.
    beginning.trim_ascii_start().first().is_none_or(|first| *first == b'{' || *first == MARK_BEGINS)
}

/// Whether bytes are one whole JSON object.
pub fn is_object(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.starts_with(b"{")
        && simdutf8::basic::from_utf8(body)
            .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// The members of an answer that matter. Of a member that stands twice the last one counts, as in
/// every SDK.
#[derive(Default)]
struct Root {
    choices: Value,
    data: Value,
    output: Value,
    content: Value,
    message: Value,
    response: Value,
    embeddings: Value,
    embedding: Value,
    candidates: Value,
    feedback: Value,
    error: Value,
    /// The responses API says so in words.
    failed: bool,
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Root;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
        let mut root = Root::default();
        while let Some(Key(name)) = map.next_key()? {
            let place = match name {
                Name::Choices => &mut root.choices,
                Name::Data => &mut root.data,
                Name::Output => &mut root.output,
                Name::Content => &mut root.content,
                Name::Message => &mut root.message,
                Name::Response => &mut root.response,
                Name::Embeddings => &mut root.embeddings,
                Name::Embedding => &mut root.embedding,
                Name::Candidates => &mut root.candidates,
                Name::Feedback => &mut root.feedback,
                Name::Error => &mut root.error,
                Name::Status => {
                    root.failed = matches!(map.next_value()?, Value::Text { failed: true, .. });
                    continue;
                }
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = map.next_value()?;
        }
        Ok(root)
    }
}

enum Name {
    Choices,
    Data,
    Output,
    Content,
    Message,
    Response,
    Embeddings,
    Embedding,
    Candidates,
    Feedback,
    Error,
    Status,
    Other,
}

struct Key(Name);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(match name {
                    "choices" => Name::Choices,
                    "data" => Name::Data,
                    "output" => Name::Output,
                    "content" => Name::Content,
                    "message" => Name::Message,
                    "response" => Name::Response,
                    "embeddings" => Name::Embeddings,
                    "embedding" => Name::Embedding,
                    "candidates" => Name::Candidates,
                    "promptFeedback" => Name::Feedback,
                    "error" => Name::Error,
                    "status" => Name::Status,
                    _ => Name::Other,
                }))
            }
        }
        from.deserialize_identifier(Read)
    }
}

/// What a value is, without what is in it.
#[derive(Clone, Copy, Default)]
enum Value {
    #[default]
    Nothing,
    False,
    Scalar,
    Text {
        len: usize,
        failed: bool,
    },
    List {
        len: usize,
        objects: bool,
    },
    Object {
        len: usize,
    },
}

impl Value {
    fn is_list_of_objects(self) -> bool {
        matches!(self, Self::List { len: 1.., objects: true })
    }

    /// Whether it is more than a way of saying that there is none.
    fn says_something(self) -> bool {
        !matches!(
            self,
            Self::Nothing
                | Self::False
                | Self::Text { len: 0, .. }
                | Self::List { len: 0, .. }
                | Self::Object { len: 0 }
        )
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(if value { Value::Scalar } else { Value::False })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Scalar)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text { len: text.len(), failed: text == "failed" })
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Some(first) = seq.next_element::<Element>()? else {
            return Ok(Value::List { len: 0, objects: false });
        };
        let mut len = 1usize;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            len = len.saturating_add(1);
        }
        Ok(Value::List { len, objects: first.is_object })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut len = 0usize;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            len = len.saturating_add(1);
        }
        Ok(Value::Object { len })
    }
}

/// The first of a list.
struct Element {
    is_object: bool,
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(from)?;
        Ok(Self { is_object: raw.get().starts_with('{') })
    }
}

const MARK: &[u8] = b"\xef\xbb\xbf";
const MARK_BEGINS: u8 = 0xef;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_api_has_what_it_promises() {
        for (operation, body) in ANSWERS {
            assert_eq!(
                Shape::of(*operation, body.as_bytes()),
                Shape::Answer,
                "{operation:?} {body}"
            );
            let marked = [MARK, body.as_bytes(), b"\n"].concat();
            assert_eq!(Shape::of(*operation, &marked), Shape::Answer, "{operation:?}");
            for end in 0..body.len() {
                let cut = &body.as_bytes()[..end];
                assert_eq!(
                    Shape::of(*operation, cut),
                    Shape::Nothing,
                    "{operation:?} cut at {end}"
                );
                assert!(may_be_object(cut), "{operation:?} cut at {end}");
            }
            let error = body.replacen('{', r#"{"error":{"message":"m"},"#, 1);
            assert_ne!(Shape::of(*operation, error.as_bytes()), Shape::Answer, "{error}");
            let none = body.replacen('{', r#"{"error":null,"#, 1);
            assert_eq!(Shape::of(*operation, none.as_bytes()), Shape::Answer, "{none}");
        }
    }

    #[test]
    fn what_holds_no_answer_is_none() {
        for operation in Operation::ALL {
            for body in [
                "",
                " ",
                "{}",
                "[]",
                "null",
                "1",
                "\"text\"",
                "<html>",
                "data: {}\n\n",
                "{}{}",
                r#"{"choices":[]}"#,
                r#"{"choices":null}"#,
                r#"{"choices":{}}"#,
                r#"{"choices":[null]}"#,
                r#"{"data":[]}"#,
                r#"{"embeddings":[]}"#,
                r#"{"candidates":[]}"#,
                r#"{"embedding":null}"#,
                r#"{"detail":"Not Found"}"#,
                r#"{"object":"error","message":"m"}"#,
                r#"{"error":"m"}"#,
                r#"{"type":"error","error":{"type":"t","message":"m"}}"#,
                r#"{"promptFeedback":{}}"#,
                r#"[{"error":{"code":400}}]"#,
            ] {
                let lenient = matches!(operation, Operation::Other | Operation::Models);
                if !lenient {
                    assert_eq!(
                        Shape::of(operation, body.as_bytes()),
                        Shape::Nothing,
                        "{operation:?} {body}"
                    );
                }
            }
            let broken = b"{\"choices\":[{\"text\":\"\xff\"}],\"content\":[]}";
            assert_eq!(Shape::of(operation, broken), Shape::Nothing, "{operation:?}");
        }
    }

    #[test]
    fn a_response_that_failed_is_an_answer_that_says_so() {
        let failed = r#"{"object":"response","status":"failed","error":{"code":"server_error","message":"m"},"output":[]}"#;
        assert_eq!(Shape::of(Operation::Responses, failed.as_bytes()), Shape::Failure);
        let queued = r#"{"object":"response","status":"queued","background":true,"output":[]}"#;
        assert_eq!(Shape::of(Operation::Responses, queued.as_bytes()), Shape::Answer);
    }

    #[test]
    fn a_prompt_that_was_blocked_is_an_answer() {
        let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{}}"#;
        assert_eq!(Shape::of(Operation::GeminiGenerate, blocked.as_bytes()), Shape::Answer);
    }

    #[test]
    fn the_last_of_two_members_counts_as_in_every_sdk() {
        let twice = r#"{"choices":[],"choices":[{"text":"t"}]}"#;
        assert_eq!(Shape::of(Operation::Completion, twice.as_bytes()), Shape::Answer);
    }

    #[test]
    fn depth_is_no_matter() {
        let deep =
            format!(r#"{{"choices":[{{}}],"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Shape::of(Operation::Chat, deep.as_bytes()), Shape::Answer);
    }

    const ANSWERS: &[(Operation, &str)] = &[
        (
            Operation::Chat,
            r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"é\n"}}],"usage":{"prompt_tokens":1}}"#,
        ),
        (Operation::Completion, r#"{"choices":[{"text":"t"}]}"#),
        (Operation::Embedding, r#"{"object":"list","data":[{"embedding":[0.1,-1e-3]}]}"#),
        (
            Operation::Responses,
            r#"{"object":"response","status":"completed","output":[{"type":"message"}]}"#,
        ),
        (Operation::Messages, r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#),
        (Operation::OllamaChat, r#"{"message":{"role":"assistant","content":""},"done":true}"#),
        (Operation::OllamaGenerate, r#"{"response":"","done":true,"done_reason":"load"}"#),
        (Operation::OllamaEmbed, r#"{"embeddings":[[0.1]]}"#),
        (Operation::GeminiGenerate, r#"{"candidates":[{"finishReason":"STOP"}]}"#),
        (Operation::GeminiEmbed, r#"{"embedding":{"values":[0.1]}}"#),
        (Operation::GeminiBatchEmbed, r#"{"embeddings":[{"values":[0.1]}]}"#),
    ];

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
            for operation in Operation::ALL {
                Shape::of(operation, &body);
            }
        }
    }
}
