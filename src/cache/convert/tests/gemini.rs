//! Gemini: what a client collects is the parts of all events, texts of one kind put together.

use super::*;

pub(super) const STREAM: &str = concat!(
    r#"data: {"candidates":[{"content":{"parts":[{"text":"The "}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":4},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
    "\n\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":"sky"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
    "\n\n",
);

fn collected(stream: &str) -> Vec<Value> {
    let mut parts: Vec<Value> = Vec::new();
    for event in data(stream) {
        let new = event["candidates"][0]["content"]["parts"].as_array().cloned();
        for part in new.unwrap_or_default() {
            match (parts.last_mut(), part["text"].as_str()) {
                (Some(last), Some(text)) if joins(last, &part) => {
                    last["text"] = json!(format!("{}{text}", last["text"].as_str().unwrap()));
                }
                _ => parts.push(part),
            }
        }
    }
    parts
}

/// Whether two parts are texts of one kind.
fn joins(last: &Value, next: &Value) -> bool {
    let kind = |part: &Value| part.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let plain = |part: &Value| kind(part).iter().all(|key| matches!(&**key, "text" | "thought"));
    plain(last) && plain(next) && last["thought"] == next["thought"]
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        (text(), any::<bool>()).prop_map(|(text, thought)| match thought {
            true => json!({"text": text, "thought": true}),
            false => json!({"text": text}),
        }),
        text().prop_map(|text| json!({"text": text, "thoughtSignature": "c2ln"})),
        arguments().prop_map(|args| json!({"functionCall": {"name": "f", "args": args}})),
    ]
}

#[test]
fn a_published_stream_is_the_published_answer() {
    let expected = json!({
        "candidates": [{"content": {"parts": [{"text": "The sky"}], "role": "model"}, "index": 0,
            "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2},
        "modelVersion": "gemini-2.5-flash", "responseId": "r1",
    });
    assert_eq!(to_json(Operation::GeminiStream, STREAM), expected);
}

#[test]
fn candidates_are_kept_apart() {
    let candidate = |index: u32, text: &str| {
        json!({"content": {"parts": [{"text": text}],
        "role": "model"}, "finishReason": "STOP", "index": index})
    };
    let json = json!({"candidates": [candidate(0, "a"), candidate(1, "b")]});
    let made = to_stream(Operation::GeminiGenerate, &json, false);
    assert_eq!(to_json(Operation::GeminiStream, &made), json);
}

#[test]
fn what_did_not_end_or_is_not_known_is_refused() {
    let cases = [
        (r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#, Obstacle::Unfinished),
        (r#"{"candidates":[]}"#, Obstacle::Unfinished),
        ("[]", Obstacle::Malformed),
    ];
    for (body, obstacle) in cases {
        assert_eq!(refused(Operation::GeminiGenerate, Form::Json, body), obstacle, "{body}");
    }
    let twice = STREAM.replace("\"index\":0", "\"index\":0,\"groundingMetadata\":{}");
    assert_eq!(refused(Operation::GeminiStream, Form::Stream, &twice), Obstacle::Unknown);
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let made = to_stream(Operation::GeminiGenerate, &blocked, false);
    assert_eq!(to_json(Operation::GeminiStream, &made), blocked);
}

proptest! {
    #[test]
    fn gemini_is_the_same_in_both_forms(parts in vec(part(), 1..5)) {
        // As the provider would have said it: texts of one kind in one part.
        let mut joined: Vec<Value> = Vec::new();
        for part in parts {
            if !joined.last().is_some_and(|last| joins(last, &part)) {
                joined.push(part);
            }
        }
        let json = json!({"candidates": [{"content": {"parts": joined, "role": "model"},
            "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 4},
            "modelVersion": "gemini-2.5-flash", "responseId": "r1"});
        let made = to_stream(Operation::GeminiGenerate, &json, false);
        prop_assert_eq!(&json!(collected(&made)), &json["candidates"][0]["content"]["parts"]);
        prop_assert_eq!(&to_json(Operation::GeminiStream, &made), &json);
    }
}
