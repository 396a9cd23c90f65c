use serde_json::{Value, json};

use super::answer::Delta;
use super::*;

fn same(written: &[u8], expected: &Value) {
    assert_eq!(&serde_json::from_slice::<Value>(written).unwrap(), expected);
}

#[test]
fn a_request_is_written_as_it_was_read() {
    let body = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 1024,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "a", "citations": null},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1.0, "a": 2}},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "42"}], "is_error": false},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "title": "A"}
            ]}
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        "service_tier": "auto"
    });
    let bytes = body.to_string();
    let request = MessagesRequest::from_json(bytes.as_bytes()).unwrap();
    same(&request.to_json(), &body);
}

#[test]
fn events_are_read() {
    let event = |body: &'static str| crate::protocol::wire::read::<Event<'_>>(body.as_bytes());
    let body = r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}"#;
    let Ok(Event::BlockDelta(delta)) = event(body) else { panic!() };
    assert!(matches!(delta.delta, Delta::InputJson(delta) if delta.partial_json == "{\"a"));
    assert!(matches!(event(r#"{"type": "ping"}"#), Ok(Event::Other(_))));
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert!(matches!(event(body), Ok(Event::Error(_))));
}
