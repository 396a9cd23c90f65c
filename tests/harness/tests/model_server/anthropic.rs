use serde_json::{Value, json};

use crate::{
    client::{get, post, post_with},
    server,
};

const MESSAGES: &str = "/v1/messages";

fn request(model: &str, text: &str) -> Value {
    json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
}

#[test]
fn a_message_has_every_published_field() {
    let server = server();
    let answer = post(server.address(), MESSAGES, &request("m+cached=1", "hello there"));
    assert!(answer.header("request-id").is_some_and(|id| id.starts_with("req_")));
    let mut json = answer.json();
    assert!(json["id"].as_str().is_some_and(|id| id.starts_with("msg_")));
    json["id"] = json!("");
    assert_eq!(
        json,
        json!({"id": "", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "You said: hello there"}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 1, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 1,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 4, "service_tier": "standard"}})
    );
}

#[test]
fn a_stream_says_the_same_as_the_message() {
    let server = server();
    let mut request = request("m", "call weather");
    request["max_tokens"] = json!(2048);
    request["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    request["tools"] = json!([{"name": "weather", "input_schema":
        {"type": "object", "properties": {"city": {"type": "string"}}}}]);
    let message = post(server.address(), MESSAGES, &request).json();
    request["stream"] = json!(true);
    let stream = post(server.address(), MESSAGES, &request);
    let events = stream.events();
    let names = stream.text().lines().filter_map(|line| line.strip_prefix("event: "));
    assert!(names.eq(events.iter().filter_map(|event| event["type"].as_str())));
    assert_eq!(
        (&events[0]["type"], &events[events.len() - 1]["type"]),
        (&json!("message_start"), &json!("message_stop"))
    );
    assert!(events.iter().any(|event| event["type"] == "ping"));

    let mut blocks: Vec<Value> = Vec::new();
    let mut arguments = String::new();
    for event in &events {
        let delta = &event["delta"];
        let append = |block: &mut Value, key: &str| {
            block[key] =
                json!(format!("{}{}", block[key].as_str().unwrap(), delta[key].as_str().unwrap()));
        };
        match (event["type"].as_str().unwrap(), delta["type"].as_str()) {
            ("content_block_start", _) => blocks.push(event["content_block"].clone()),
            (_, Some("thinking_delta")) => append(&mut blocks[0], "thinking"),
            (_, Some("signature_delta")) => append(&mut blocks[0], "signature"),
            (_, Some("input_json_delta")) => arguments += delta["partial_json"].as_str().unwrap(),
            _ => {}
        }
    }
    blocks[1]["input"] = serde_json::from_str(&arguments).unwrap();
    assert_eq!(json!(blocks), message["content"]);
    let end = &events[events.len() - 2];
    assert_eq!(
        (&end["delta"]["stop_reason"], &end["usage"]),
        (&message["stop_reason"], &message["usage"])
    );
    assert_eq!(message["stop_reason"], "tool_use");
    let start = &events[0]["message"];
    assert_eq!(
        (&start["usage"]["input_tokens"], &start["usage"]["output_tokens"]),
        (&message["usage"]["input_tokens"], &json!(1))
    );
}

#[test]
fn the_result_of_a_tool_is_answered_with_text() {
    let server = server();
    let mut request = request("m", "call weather");
    request["tools"] = json!([{"name": "weather", "input_schema": {"type": "object"}}]);
    let called = post(server.address(), MESSAGES, &request).json();
    let id = called["content"][0]["id"].clone();
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": called["content"]}));
    messages.push(json!({"role": "user", "content":
        [{"type": "tool_result", "tool_use_id": id, "content": "20 C"}]}));
    let end = post(server.address(), MESSAGES, &request).json();
    assert_eq!(
        (&end["content"][0]["text"], &end["stop_reason"]),
        (&json!("The tool said: 20 C"), &json!("end_turn"))
    );
}

#[test]
fn stop_sequences_and_limits_are_named() {
    let server = server();
    let mut request = request("m", "hello there");
    request["stop_sequences"] = json!([" there"]);
    let stopped = post(server.address(), MESSAGES, &request).json();
    assert_eq!(
        (&stopped["stop_reason"], &stopped["stop_sequence"]),
        (&json!("stop_sequence"), &json!(" there"))
    );
    request["max_tokens"] = json!(1);
    assert_eq!(post(server.address(), MESSAGES, &request).json()["stop_reason"], "max_tokens");
}

#[test]
fn tokens_are_counted_as_a_message_would_cost() {
    let server = server();
    let request = request("m", "hello there");
    let count = post(server.address(), "/v1/messages/count_tokens", &request).json();
    let message = post(server.address(), MESSAGES, &request).json();
    assert_eq!(count, json!({"input_tokens": message["usage"]["input_tokens"]}));
}

#[test]
fn errors_are_written_as_anthropic_writes_them() {
    let server = server();
    let error = |request: &Value| {
        let answer = post(server.address(), MESSAGES, request);
        let json = answer.json();
        assert_eq!(
            (&json["type"], json["request_id"].as_str()),
            (&json!("error"), answer.header("request-id"))
        );
        (answer.status, json["error"].clone())
    };
    assert_eq!(
        error(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}]})),
        (400, json!({"type": "invalid_request_error", "message": "max_tokens: Field required"}))
    );
    assert_eq!(error(&request("m+status=529", "x")).1["type"], "overloaded_error");
    let mut stream = request("m+error-event=3", "x");
    stream["stream"] = json!(true);
    let stream = post(server.address(), MESSAGES, &stream);
    assert!(stream.text().contains("event: error\ndata: {\"error\":{\"message\":\"Overloaded\""));
}

#[test]
fn models_have_anthropics_shape_for_anthropics_clients() {
    let server = server();
    let version = [("anthropic-version", "2023-06-01")];
    let list = get(server.address(), "/v1/models", &version).json();
    assert_eq!((&list["has_more"], &list["data"][0]["type"]), (&json!(false), &json!("model")));
    assert_eq!(list["data"][0], get(server.address(), "/v1/models/sim-model", &version).json());
}

#[test]
fn a_key_is_required_in_anthropics_header() {
    let options = crate::Options { key: Some("k".to_owned()), ..Default::default() };
    let server = crate::ModelServer::start(options).unwrap();
    let refused = post(server.address(), MESSAGES, &request("m", "x"));
    assert_eq!(
        (refused.status, &refused.json()["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    assert_eq!(
        post_with(server.address(), MESSAGES, &[("x-api-key", "k")], &request("m", "x")).status,
        200
    );
}
