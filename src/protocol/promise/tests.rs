use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A whole answer of every API.
fn whole() -> Vec<(Operation, Value)> {
    let contents = json!({"parts": [{"text": "hi"}], "role": "model"});
    vec![
        (
            Operation::Chat,
            json!({"id": "1", "object": "chat.completion", "error": null, "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"},
            ]}),
        ),
        (
            Operation::Completion,
            json!({"object": "text_completion", "choices": [
                {"index": 0, "text": "hi", "finish_reason": "length"},
            ]}),
        ),
        (
            Operation::Responses,
            json!({"object": "response", "status": "completed", "error": null, "output": [
                {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
            ]}),
        ),
        (
            Operation::Messages,
            json!({"type": "message", "role": "assistant", "stop_reason": "end_turn", "content": [
                {"type": "text", "text": "hi"},
            ]}),
        ),
        (
            Operation::OllamaChat,
            json!({"message": {"role": "assistant", "content": "hi"}, "done": true, "done_reason": "stop"}),
        ),
        (
            Operation::OllamaGenerate,
            json!({"response": "hi", "done": true, "done_reason": "length", "context": [1]}),
        ),
        (
            Operation::GeminiGenerate,
            json!({"candidates": [{"content": contents, "finishReason": "STOP", "index": 0}]}),
        ),
        (
            Operation::Embedding,
            json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}),
        ),
        (Operation::OllamaEmbed, json!({"embeddings": [[0.5, 1]]})),
        (Operation::GeminiEmbed, json!({"embedding": {"values": [0.5]}})),
        (Operation::GeminiBatchEmbed, json!({"embeddings": [{"values": [0.5]}]})),
    ]
}

fn judged(operation: Operation, answer: &Value) -> Result<(), Lack> {
    json(operation, answer.to_string().as_bytes(), None)
}

/// The whole answer with another value at `at`; null takes nothing away, but says nothing either.
fn with(operation: Operation, at: &str, value: Value) -> Result<(), Lack> {
    let all = whole();
    let mut answer = all.iter().find(|(of, _)| *of == operation).unwrap().1.clone();
    *answer.pointer_mut(at).unwrap_or_else(|| panic!("{operation:?} {at}")) = value;
    judged(operation, &answer)
}

#[test]
fn a_whole_answer_of_every_api_is_one() {
    for (operation, answer) in whole() {
        assert_eq!(judged(operation, &answer), Ok(()), "{operation:?}");
        let pretty = serde_json::to_string_pretty(&answer).unwrap();
        assert_eq!(json(operation, pretty.as_bytes(), None), Ok(()), "{operation:?}");
    }
}

#[test]
fn what_servers_say_instead_is_an_answer_of_no_api() {
    for body in [
        "{}",
        "[]",
        "null",
        "1",
        "\"hi\"",
        "hi",
        "<html></html>",
        r#"{"choices":[]}"#,
        r#"{"choices":{}}"#,
        r#"{"choices":[null]}"#,
        r#"{"choices":[{}]}"#,
        r#"[null,null,null,[{"message":{"content":"hi"},"finish_reason":"stop"}]]"#,
        r#"{"choices":[[0,{"content":"hi"},{"content":"hi"},"hi","stop"]]}"#,
        r#"{"choices":[{"text":"hi","finish_reason":"error","finish_reason":"stop"}]}"#,
        r#"{"data":[]}"#,
        r#"{"candidates":[]}"#,
        r#"{"content":[]}"#,
        r#"{"embeddings":[]}"#,
        r#"{"embeddings":[[]]}"#,
        r#"{"embedding":{"values":[]}}"#,
        r#"{"detail":"Not Found"}"#,
        r#"{"message":"no"}"#,
        r#"{"object":"error","message":"no","code":40301}"#,
        r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
        r#"{"error":{"message":"no"}}"#,
        r#"{"error":"no"}"#,
        r#"{"error":{}}"#,
        r#"{"status":"queued","output":[]}"#,
        r#"{"status":"completed","output":[]}"#,
        r#"{"done":true}"#,
        r#"{"done":true,"done_reason":"load","response":""}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
        "",
        "  ",
    ] {
        for operation in Operation::ALL {
            assert!(json(operation, body.as_bytes(), None).is_err(), "{operation:?} {body}");
            let stream = format!("data: {body}\n\ndata: [DONE]\n\n");
            for stream in [&stream, body] {
                let judged = super::stream(operation, stream.as_bytes());
                assert!(judged.is_err(), "{operation:?} {stream}");
            }
        }
    }
}

#[test]
fn an_error_beside_an_answer_is_an_error() {
    for (operation, answer) in whole() {
        for (key, value) in [
            ("error", json!({"message": "no"})),
            ("error", json!("no")),
            ("object", json!("error")),
            ("type", json!("error")),
        ] {
            let mut answer = answer.clone();
            answer[key] = value;
            assert_eq!(judged(operation, &answer), Err(Lack::Success), "{operation:?} {key}");
        }
    }
}

#[test]
fn what_is_cut_or_goes_on_is_not_whole() {
    for (operation, answer) in whole() {
        let text = answer.to_string();
        for end in 0..text.len() {
            let cut = json(operation, text.as_bytes().get(..end).unwrap(), None);
            assert!(cut.is_err(), "{operation:?} {end}");
            // Half a number is no number.
            let number = text.as_bytes().get(end.wrapping_sub(1)) == Some(&b'.');
            assert!(cut == Err(Lack::Rest) || number, "{operation:?} {end}");
        }
        for more in ["}", "{}", ",", "x", "\0", "null", &text] {
            let longer = format!("{text}{more}");
            assert_eq!(json(operation, longer.as_bytes(), None), Err(Lack::Content), "{longer}");
        }
        let mut latin = text.clone().into_bytes();
        latin.splice(1..1, *b"\"x\":\"\xff\",");
        assert_eq!(json(operation, &latin, None), Err(Lack::Content), "{operation:?}");
    }
}

#[test]
fn an_end_counts_if_the_answer_is_all_there() {
    let places = [
        (Operation::Chat, "/choices/0/finish_reason"),
        (Operation::Completion, "/choices/0/finish_reason"),
        (Operation::Messages, "/stop_reason"),
        (Operation::OllamaChat, "/done_reason"),
        (Operation::OllamaGenerate, "/done_reason"),
        (Operation::GeminiGenerate, "/candidates/0/finishReason"),
    ];
    let bad = [
        json!(null),
        json!(""),
        json!("error"),
        json!("content_filter"),
        json!("insufficient_system_resource"),
        json!("abort"),
        json!("cancelled"),
        json!("refusal"),
        json!("pause_turn"),
        json!("load"),
        json!("SAFETY"),
        json!("RECITATION"),
        json!("PROHIBITED_CONTENT"),
        json!("BLOCKLIST"),
        json!("SPII"),
        json!("MALFORMED_FUNCTION_CALL"),
        json!("UNEXPECTED_TOOL_CALL"),
        json!("OTHER"),
        json!("FINISH_REASON_UNSPECIFIED"),
        json!(1),
        json!(true),
        json!([]),
        json!(["stop"]),
        json!({"stop": 1}),
    ];
    for (operation, at) in places {
        for reason in &bad {
            let judged = with(operation, at, reason.clone());
            assert_eq!(judged, Err(Lack::End), "{operation:?} {reason}");
        }
        for reason in ["stop", "length", "tool_calls", "end_turn", "max_tokens", "MAX_TOKENS"] {
            assert_eq!(with(operation, at, json!(reason)), Ok(()), "{operation:?} {reason}");
        }
    }
    assert_eq!(with(Operation::OllamaChat, "/done", json!(false)), Err(Lack::End));
    for status in ["queued", "in_progress", "failed", "cancelled", "incomplete", ""] {
        let judged = with(Operation::Responses, "/status", json!(status));
        assert_eq!(judged, Err(Lack::End), "{status}");
    }
    for (reason, expected) in
        [("max_output_tokens", Ok(())), ("content_filter", Err(Lack::End)), ("", Err(Lack::End))]
    {
        let mut answer = whole()[2].1.clone();
        answer["status"] = json!("incomplete");
        answer["incomplete_details"] = json!({"reason": reason});
        assert_eq!(judged(Operation::Responses, &answer), expected, "{reason}");
    }
}

#[test]
fn every_choice_has_its_end_and_says_something() {
    let mut two = whole()[0].1.clone();
    let other = json!({"index": 1, "message": {"content": "ho"}, "finish_reason": "stop"});
    two["choices"].as_array_mut().unwrap().push(other);
    assert_eq!(judged(Operation::Chat, &two), Ok(()));
    two["choices"][1]["finish_reason"] = json!(null);
    assert_eq!(judged(Operation::Chat, &two), Err(Lack::End));
    two["choices"][1] = json!({"index": 1, "finish_reason": "stop"});
    assert_eq!(judged(Operation::Chat, &two), Err(Lack::Content));

    for (message, expected) in [
        (json!({"role": "assistant", "content": null}), Err(Lack::Content)),
        (json!({"role": "assistant", "content": "", "annotations": []}), Err(Lack::Content)),
        (json!({"role": "assistant", "content": []}), Err(Lack::Content)),
        (json!("hi"), Err(Lack::Content)),
        (json!(null), Err(Lack::Content)),
        (json!({"content": null, "tool_calls": [{"id": "1"}]}), Ok(())),
        (json!({"content": null, "refusal": "no"}), Ok(())),
        (json!({"content": null, "reasoning_content": "hm"}), Ok(())),
        (json!({"content": [{"type": "text", "text": "hi"}]}), Ok(())),
    ] {
        let judged = with(Operation::Chat, "/choices/0/message", message.clone());
        assert_eq!(judged, expected, "{message}");
    }
    for (content, expected) in [
        (json!([]), Err(Lack::Content)),
        (json!([{"type": "text", "text": ""}]), Err(Lack::Content)),
        (json!([{"type": "tool_use", "id": "1", "name": "f", "input": {}}]), Ok(())),
        (json!([{"type": "thinking", "thinking": "hm"}]), Ok(())),
    ] {
        assert_eq!(with(Operation::Messages, "/content", content.clone()), expected, "{content}");
    }
    let said = |parts| with(Operation::GeminiGenerate, "/candidates/0/content/parts", parts);
    assert_eq!(said(json!([{"text": "", "thought": true}])), Err(Lack::Content));
    assert_eq!(said(json!([{"functionCall": {"name": "f"}}])), Ok(()));
}

#[test]
fn there_are_as_many_embeddings_as_were_asked_for() {
    for (operation, request, count) in [
        (Operation::Embedding, json!({"input": "a"}), Some(1)),
        (Operation::Embedding, json!({"input": ["a", "b"]}), Some(2)),
        (Operation::Embedding, json!({"input": [1, 2, 3]}), Some(1)),
        (Operation::Embedding, json!({"input": [[1, 2], [3]]}), Some(2)),
        (Operation::Embedding, json!({"input": []}), Some(0)),
        (Operation::Embedding, json!({}), None),
        (Operation::OllamaEmbed, json!({"input": ["a", "b", "c"]}), Some(3)),
        (Operation::GeminiBatchEmbed, json!({"requests": [{}, {}]}), Some(2)),
        (Operation::GeminiEmbed, json!({"content": {}}), Some(1)),
        (Operation::Chat, json!({"input": "a"}), None),
    ] {
        let counted = places(operation, request.to_string().as_bytes());
        assert_eq!(counted, count, "{operation:?} {request}");
    }
    for (operation, answer) in whole().into_iter().skip(7) {
        let answer = answer.to_string();
        for (places, expected) in
            [(None, true), (Some(1), true), (Some(2), false), (Some(0), false)]
        {
            let judged = json(operation, answer.as_bytes(), places);
            assert_eq!(judged.is_ok(), expected, "{operation:?} {places:?}");
        }
    }
    let base64 = json!({"data": [{"embedding": "AACAPw=="}]});
    assert_eq!(judged(Operation::Embedding, &base64), Ok(()));
    for data in [json!([{}]), json!([{"embedding": null}]), json!([{"embedding": ""}]), json!([1])]
    {
        let judged = with(Operation::Embedding, "/data", data.clone());
        assert_eq!(judged, Err(Lack::Content), "{data}");
    }
}

fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// A whole stream of every API that has them, as its events.
fn streams() -> Vec<(Operation, Vec<Value>)> {
    let chat = |delta: Value, end: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": end}]});
    let text = |text: &str, end: Value| json!({"choices": [{"index": 0, "text": text, "finish_reason": end}]});
    let part =
        |text: &str| json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    let response = whole()[2].1.clone();
    vec![
        (
            Operation::Chat,
            vec![
                json!({"choices": [], "prompt_filter_results": []}),
                chat(json!({"role": "assistant", "content": ""}), json!(null)),
                chat(json!({"content": "hi"}), json!(null)),
                chat(json!({}), json!("stop")),
                json!({"choices": [], "usage": {"prompt_tokens": 1}}),
            ],
        ),
        (Operation::Completion, vec![text("hi", json!(null)), text("", json!("length"))]),
        (
            Operation::Responses,
            vec![
                json!({"type": "response.created", "response": {"status": "in_progress", "error": null, "output": []}}),
                json!({"type": "response.output_text.delta", "delta": "hi"}),
                json!({"type": "response.completed", "response": response}),
            ],
        ),
        (
            Operation::Messages,
            vec![
                json!({"type": "message_start", "message": {"content": [], "stop_reason": null}}),
                json!({"type": "ping"}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}),
                json!({"type": "message_stop"}),
            ],
        ),
        (
            Operation::GeminiStream,
            vec![
                json!({"candidates": [part("hi")]}),
                json!({"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": {}}),
            ],
        ),
    ]
}

fn judged_stream(operation: Operation, events: &[Value]) -> Result<(), Lack> {
    super::stream(operation, sse(events).as_bytes())
}

#[test]
fn a_whole_stream_of_every_api_is_one() {
    for (operation, events) in streams() {
        assert_eq!(judged_stream(operation, &events), Ok(()), "{operation:?}");
        let commented = format!(": hi\n\n{}data: [DONE]\n\n", sse(&events));
        assert_eq!(super::stream(operation, commented.as_bytes()), Ok(()), "{operation:?}");
    }
    for (operation, said) in [
        (Operation::OllamaChat, r#""message":{"content":"hi"}"#),
        (Operation::OllamaGenerate, r#""response":"hi""#),
    ] {
        let lines =
            format!("{{{said},\"done\":false}}\n{{\"done\":true,\"done_reason\":\"stop\"}}\n");
        assert_eq!(super::stream(operation, lines.as_bytes()), Ok(()), "{operation:?}");
        let more = format!("{lines}{{{said}}}\n");
        assert_eq!(super::stream(operation, more.as_bytes()), Err(Lack::Content));
        for (from, to) in [
            ("stop", "load"),
            ("true", "false"),
            (",\"done_reason\":\"stop\"", ""),
            (said, "\"response\":\"\""),
            ("{\"done\":true", "{\"error\":\"no\",\"done\":true"),
            ("}\n{", "}{"),
        ] {
            let lines = lines.replace(from, to);
            assert!(super::stream(operation, lines.as_bytes()).is_err(), "{lines}");
        }
    }
}

#[test]
fn a_stream_needs_its_words_its_end_and_nothing_else() {
    for (operation, events) in streams() {
        for at in 0..events.len() {
            let mut garbled = sse(&events[..at]);
            garbled.push_str("data: {\"choices\":[{\"delta\":{\"con\n\n");
            garbled.push_str(&sse(&events[at..]));
            assert!(super::stream(operation, garbled.as_bytes()).is_err(), "{operation:?} {at}");
            for other in [
                json!({"error": {"message": "no"}}),
                json!({"object": "error", "message": "no"}),
                json!({"type": "error"}),
                json!([]),
                json!("hi"),
            ] {
                let mut with = events.clone();
                with.insert(at, other.clone());
                assert!(judged_stream(operation, &with).is_err(), "{operation:?} {at} {other}");
            }
        }
        let mut failed = events.clone();
        failed.push(json!({"error": "no"}));
        assert_eq!(judged_stream(operation, &failed), Err(Lack::Success), "{operation:?}");
        let named = format!("{}event: error\ndata: {{\"choices\":[]}}\n\n", sse(&events));
        assert_eq!(super::stream(operation, named.as_bytes()), Err(Lack::Success), "{operation:?}");
        // The last that tells of the end, and the one that says something.
        let needed: &[usize] = match operation {
            Operation::Chat => &[2, 3],
            Operation::Responses => &[2],
            Operation::Messages => &[0, 2, 3, 4, 5, 6],
            _ => &[0, 1],
        };
        for gone in needed {
            let mut without = events.clone();
            without.remove(*gone);
            assert!(judged_stream(operation, &without).is_err(), "{operation:?} {gone}");
        }
    }
}

#[test]
fn every_choice_of_a_stream_ends_well() {
    let event = |index: u32, text: &str, end: Value| json!({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": end}]});
    let both =
        [event(0, "a", json!(null)), event(1, "b", json!("stop")), event(0, "", json!("stop"))];
    assert_eq!(judged_stream(Operation::Chat, &both), Ok(()));
    assert_eq!(judged_stream(Operation::Chat, &both[..2]), Err(Lack::End));
    for bad in [json!("error"), json!("content_filter"), json!(""), json!(1)] {
        let mut events = both.to_vec();
        events.push(event(1, "", bad.clone()));
        assert_eq!(judged_stream(Operation::Chat, &events), Err(Lack::End), "{bad}");
        // What follows does not heal it.
        events.push(event(1, "", json!("stop")));
        assert_eq!(judged_stream(Operation::Chat, &events), Err(Lack::End), "{bad}");
    }
    let many: Vec<_> = (0..200).map(|index| event(index, "a", json!("stop"))).collect();
    assert_eq!(judged_stream(Operation::Chat, &many), Err(Lack::Content));
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>, operation in 0..Operation::ALL.len()) {
        let operation = Operation::ALL[operation];
        let _ = json(operation, &bytes, None);
        let _ = super::stream(operation, &bytes);
        let _ = places(operation, &bytes);
    }

    /// Whatever an answer has beside what matters, in whatever order, it is judged the same.
    #[test]
    fn other_members_have_no_say(
        which in 0..11_usize,
        value in prop_oneof![
            Just(json!(null)), Just(json!(1.5)), Just(json!("stop")), Just(json!([{"a": []}])),
        ],
        key in "x_[a-z]{1,6}",
    ) {
        let (operation, mut answer) = whole().swap_remove(which);
        answer[&key] = value;
        prop_assert_eq!(judged(operation, &answer), Ok(()));
    }
}
