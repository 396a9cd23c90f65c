//! What OpenAI, Anthropic and Ollama refuse of a request.

use serde_json::{Value, json};

use crate::{client::post, server};

fn refusals(path: &str, cases: &[(Value, &str)]) {
    let server = server();
    for (request, words) in cases {
        let answer = post(server.address(), path, request);
        assert_eq!(answer.status, 400, "{request}");
        assert!(answer.text().contains(words), "{request}: {}", answer.text());
    }
}

fn user() -> Value {
    json!({"role": "user", "content": "x"})
}

#[test]
fn openai() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let assistant = |ids: &[&str]| json!({"role": "assistant", "tool_calls": ids.iter().map(|id| call(id)).collect::<Vec<_>>()});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "y"});
    let cases = [
        (json!([{"role": "model", "content": "x"}]), "messages[0].role"),
        (json!([{"role": "user", "content": 1}]), "messages[0].content"),
        (json!([{"role": "user"}]), "messages[0].content"),
        (json!([{"role": "user", "content": [{"type": "image"}]}]), "messages[0].content[0].type"),
        (
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}]),
            "image_url.url",
        ),
        (json!([user(), result("a")]), "must be a response"),
        (
            json!([user(), assistant(&["a", "b"]), result("a"), user()]),
            "did not have response messages: b",
        ),
        (json!([user(), assistant(&["a"])]), "did not have response messages: a"),
        (json!([user(), {"role": "assistant", "tool_calls": [{"id": "a"}]}]), "tool_calls[0].type"),
        (
            json!([user(), {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]}]),
            "arguments",
        ),
    ];
    let chat = |messages| json!({"model": "m", "messages": messages});
    refusals("/v1/chat/completions", &cases.map(|(messages, words)| (chat(messages), words)));
}

#[test]
fn anthropic() {
    let base = |edit: &dyn Fn(&mut Value)| {
        let mut request = json!({"model": "m", "max_tokens": 2000, "messages": [user()]});
        edit(&mut request);
        request
    };
    let used = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]});
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b"}]});
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    refusals(
        "/v1/messages",
        &[
            (base(&|it| it["n"] = json!(1)), "n: Extra inputs are not permitted"),
            (base(&|it| it["messages"][0]["role"] = json!("tool")), "messages.0.role"),
            (
                base(&|it| it["messages"][0]["content"] = json!([{"type": "text", "text": ""}])),
                "non-empty",
            ),
            (
                base(&|it| it["messages"][0]["content"] = json!([{"type": "image_url"}])),
                "image_url",
            ),
            (
                base(
                    &|it| it["messages"][0]["content"] = json!([{"type": "image", "source": {"type": "base64", "media_type": "image/bmp"}}]),
                ),
                "image.source.media_type",
            ),
            (
                base(&|it| it["messages"] = json!([user(), used, user()])),
                "without `tool_result` blocks immediately after: a",
            ),
            (
                base(&|it| it["messages"] = json!([user(), used, result])),
                "unexpected `tool_use_id`",
            ),
            (
                base(&|it| it["tools"] = json!([{"name": "f", "input_schema": {}}])),
                "tools.0.custom.input_schema.type",
            ),
            (
                base(&|it| {
                    it["tools"] = json!([{"name": "f.g", "input_schema": {"type": "object"}}])
                }),
                "tools.0.name",
            ),
            (base(&|it| it["tool_choice"] = json!({"type": "any"})), "while providing tools"),
            (base(&|it| it["temperature"] = json!(1.5)), "temperature"),
            (
                base(&|it| (it["thinking"], it["max_tokens"]) = (thinking.clone(), json!(1024))),
                "greater than `thinking.budget_tokens`",
            ),
            (
                base(&|it| (it["thinking"], it["temperature"]) = (thinking.clone(), json!(0.5))),
                "only be set to 1",
            ),
        ],
    );
}

#[test]
fn ollama() {
    let chat = |message: Value| json!({"model": "m", "stream": false, "messages": [message]});
    let call = json!({"function": {"name": "f", "arguments": "{}"}});
    let mut format = chat(user());
    format["format"] = json!("xml");
    refusals(
        "/api/chat",
        &[
            (chat(json!({"role": "developer", "content": "x"})), "invalid role"),
            (chat(json!({"role": "user", "content": [{"type": "text"}]})), "cannot unmarshal"),
            (
                chat(
                    json!({"role": "user", "content": "x", "images": ["data:image/png;base64,aGk="]}),
                ),
                "base64",
            ),
            (chat(json!({"role": "assistant", "tool_calls": [call]})), "cannot unmarshal"),
            (format, "invalid format"),
        ],
    );
}
