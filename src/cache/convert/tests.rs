//! Each protocol's answers are told by a small model of the provider in both forms, and by a
//! collector that adds a stream up as the SDKs do. Every way around must give the same.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod chat;
mod gemini;
mod others;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![15 => "[a-c \"\\\\\n\u{1}é😀]{0,12}", 1 => "[a😀]{4090,4100}"]
}

/// A tool's arguments, as a model writes them.
fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![Just(json!({})), text().prop_map(|t| json!({"a \"b\"": t, "n": [1.50, null]}))]
}

/// `text` in pieces, as a provider would cut it: at characters.
fn cut(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size.max(1)).map(|piece| piece.iter().collect()).collect()
}

fn sse<'a>(events: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let mut out = Vec::new();
    for (name, data) in events {
        crate::protocol::sse::write(&mut out, name, data.to_string().as_bytes());
    }
    String::from_utf8(out).unwrap()
}

fn to_stream(operation: Operation, answer: &Value, usage: bool) -> String {
    let stream = convert(operation, Form::Json, answer.to_string().as_bytes(), usage);
    let stream = String::from_utf8(stream.unwrap()).unwrap();
    assert!(stream.lines().all(|line| line.len() < 64 << 10), "a line that clients cannot read");
    stream
}

fn to_json(operation: Operation, stream: &str) -> Value {
    let json = convert(operation, Form::Stream, stream.as_bytes(), true).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// The data of every event, which must be framed as the provider frames it.
fn data(stream: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for event in stream.strip_suffix("\n\n").unwrap().split("\n\n") {
        let (name, data) = match event.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: "), data),
            None => (None, event),
        };
        let data = data.strip_prefix("data: ").unwrap();
        if data == "[DONE]" {
            continue;
        }
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, data["type"].as_str().filter(|_| name.is_some()));
        all.push(data);
    }
    all
}

fn refused(operation: Operation, from: Form, body: &str) -> Obstacle {
    convert(operation, from, body.as_bytes(), true).unwrap_err()
}

/// Many servers write their JSON in lines, and a line break within an event ends its data.
#[test]
fn an_answer_in_many_lines_becomes_events_of_one_each() {
    let tool =
        json!({"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\n}"}});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}});
    let said = json!({"role": "assistant", "content": "a\nb", "refusal": null, "annotations": [], "tool_calls": [tool]});
    let part = json!({"type": "output_text", "text": "a\nb", "annotations": [], "logprobs": []});
    let item = json!({"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]});
    let block = json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1, {"b": 2}]}});
    for (operation, answer) in [
        (
            Operation::Chat,
            json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": said, "logprobs": null, "finish_reason": "tool_calls"}], "usage": usage}),
        ),
        (
            Operation::Completion,
            json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [{"index": 0, "text": "a\nb", "logprobs": null, "finish_reason": "stop"}], "usage": usage}),
        ),
        (
            Operation::Responses,
            json!({"id": "r", "object": "response", "created_at": 1, "status": "completed", "error": null, "incomplete_details": null, "model": "m", "output": [item], "text": {"format": {"type": "text"}}, "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}),
        ),
        (
            Operation::Messages,
            json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "a\nb"}, block], "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_5m_input_tokens": 0}}}),
        ),
        (
            Operation::OllamaChat,
            json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "a\nb", "tool_calls": [{"function": {"name": "f", "arguments": {"a": {"b": 1}}}}]}, "done": true, "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 2}),
        ),
        (
            Operation::GeminiStream,
            json!({"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "a\nb"}, {"functionCall": {"name": "f", "args": {"a": {"b": 1}}}}]}}], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}, "modelVersion": "m"}),
        ),
    ] {
        for break_ in ["\n", "\r\n"] {
            let lines = serde_json::to_string_pretty(&answer).unwrap().replace('\n', break_);
            let stream = convert(operation, Form::Json, lines.as_bytes(), true).unwrap();
            let stream = String::from_utf8(stream).unwrap();
            let plain = |line: &str| {
                line.is_empty()
                    || ["event: ", "data: ", "{"].iter().any(|begin| line.starts_with(begin))
            };
            assert!(!stream.contains('\r') && stream.lines().all(plain), "{operation:?} {stream}");
            assert_eq!(to_json(operation, &stream), answer, "{operation:?}");
        }
    }
}

#[test]
fn an_answer_of_one_form_has_no_other() {
    for operation in [Operation::Embedding, Operation::OllamaEmbed, Operation::Other] {
        assert_eq!(refused(operation, Form::Json, "{}"), Obstacle::NoOtherForm);
    }
}

#[test]
fn a_stream_without_its_end_is_no_answer() {
    let cases = [
        (Operation::Chat, chat::STREAM),
        (Operation::Messages, others::MESSAGES),
        (Operation::OllamaChat, others::OLLAMA),
        (Operation::GeminiStream, gemini::STREAM),
    ];
    for (operation, stream) in cases {
        assert!(convert(operation, Form::Stream, stream.as_bytes(), true).is_ok());
        // The last byte may miss: it ends nothing but the frame.
        for end in 0..stream.len() - 3 {
            let cut = stream.as_bytes().get(..end).unwrap();
            assert!(convert(operation, Form::Stream, cut, true).is_err(), "{operation:?} {end}");
        }
    }
}

#[test]
fn an_error_is_no_answer_in_any_form() {
    let error = r#"{"error":{"message":"no"}}"#;
    for operation in Operation::ALL {
        for from in [Form::Json, Form::Stream] {
            let stream = format!("data: {error}\n\ndata: [DONE]\n\n");
            let body = if from == Form::Json { error } else { &stream };
            assert!(convert(operation, from, body.as_bytes(), true).is_err(), "{operation:?}");
        }
    }
}

#[test]
fn an_answer_that_would_grow_beyond_the_cap_is_refused() {
    let large = "x".repeat(100_000);
    let choices: Vec<_> = (0..50)
        .map(|index| {
            json!({"index": index, "message": {"role": "assistant", "content": "hi"},
            "finish_reason": "stop"})
        })
        .collect();
    let answer = json!({"object": "chat.completion", "id": large, "choices": choices});
    let answer = answer.to_string();
    assert_eq!(refused(Operation::Chat, Form::Json, &answer), Obstacle::TooLarge);
}

proptest! {
    #[test]
    fn any_bytes_are_converted_or_refused(bytes: Vec<u8>, operation in 0..9_usize, stream: bool) {
        let operation = *Operation::ALL.get(operation).unwrap();
        let from = if stream { Form::Stream } else { Form::Json };
        let _ = convert(operation, from, &bytes, true);
    }

    /// Answers with one byte changed: whatever comes of them, it comes without a panic.
    #[test]
    fn damaged_answers_are_converted_or_refused(at: usize, byte: u8, which in 0..4_usize) {
        let (operation, from, body) = [
            (Operation::Chat, Form::Stream, chat::STREAM),
            (Operation::Chat, Form::Json, chat::JSON),
            (Operation::Messages, Form::Stream, others::MESSAGES),
            (Operation::OllamaChat, Form::Stream, others::OLLAMA),
        ][which];
        let mut body = body.as_bytes().to_vec();
        let at = at % body.len();
        body[at] = byte;
        let _ = convert(operation, from, &body, true);
    }
}
