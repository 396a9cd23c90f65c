use serde_json::{Value, json};

use crate::{
    client::{post, post_with},
    server,
};

const CHAT: &str = "/v2/chat";

fn with_tools(text: &str) -> Value {
    let mut request = crate::chat("command-a", text);
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": parameters}});
    request["tools"] = json!([tool("weather"), tool("time")]);
    request
}

#[test]
fn an_answer_has_every_published_field() {
    let server = server();
    let mut json = post(server.address(), CHAT, &crate::chat("command-a", "hello there")).json();
    assert!(json["id"].as_str().is_some_and(|id| id.len() == 36));
    json["id"] = json!("");
    let counts = json!({"input_tokens": 2, "output_tokens": 4});
    assert_eq!(
        json,
        json!({"id": "", "finish_reason": "COMPLETE", "message": {"role": "assistant",
                "content": [{"type": "text", "text": "You said: hello there"}]},
            "usage": {"billed_units": counts, "tokens": counts, "cached_tokens": 0}})
    );
}

#[test]
fn a_stream_says_the_same_as_the_message() {
    let server = server();
    let mut request = with_tools("call weather and time");
    let whole = post(server.address(), CHAT, &request).json();
    assert_eq!(whole["finish_reason"], "TOOL_CALL");
    request["stream"] = json!(true);
    let stream = post(server.address(), CHAT, &request);
    let events = stream.events();
    let names = stream.text().lines().filter_map(|line| line.strip_prefix("event: "));
    assert!(names.eq(events.iter().filter_map(|event| event["type"].as_str())));
    let (mut plan, mut calls) = (String::new(), Vec::<Value>::new());
    for event in &events {
        let message = &event["delta"]["message"];
        plan += message["tool_plan"].as_str().unwrap_or_default();
        match event["type"].as_str() {
            Some("tool-call-start") => calls.push(message["tool_calls"].clone()),
            Some("tool-call-delta") => {
                let call = &mut calls[event["index"].as_u64().unwrap() as usize]["function"];
                let piece = message["tool_calls"]["function"]["arguments"].as_str().unwrap();
                call["arguments"] = json!(call["arguments"].as_str().unwrap().to_owned() + piece);
            }
            _ => {}
        }
    }
    assert_eq!(json!(plan), whole["message"]["tool_plan"]);
    assert_eq!(json!(calls), whole["message"]["tool_calls"]);
    let end = &events[events.len() - 1]["delta"];
    assert_eq!((&end["finish_reason"], &end["usage"]), (&whole["finish_reason"], &whole["usage"]));
    assert!(stream.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn the_results_of_tools_are_answered_with_text() {
    let server = server();
    let mut request = with_tools("call weather and time");
    let called = post(server.address(), CHAT, &request).json()["message"].clone();
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(called.clone());
    for (index, text) in ["20 C", "noon"].into_iter().enumerate() {
        let id = &called["tool_calls"][index]["id"];
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
    }
    let end = post(server.address(), CHAT, &request).json();
    assert_eq!(end["message"]["content"][0]["text"], "The tool said: 20 C noon");
    request["messages"].as_array_mut().unwrap().pop();
    assert_eq!(post(server.address(), CHAT, &request).status, 400, "a call without its result");
}

#[test]
fn what_cohere_refuses_is_refused() {
    let server = server();
    let cases: [crate::Case<'_>; 9] = [
        (&|it| it["stop"] = json!(["a"]), "parameter 'stop' is not a valid field"),
        (&|it| it["messages"][0]["role"] = json!("developer"), "messages[0].role"),
        (&|it| it["messages"][0]["content"] = json!([{"type": "image"}]), "content[0].type"),
        (&|it| it["messages"] = json!([{"role": "assistant", "content": "a"}]), "last message"),
        (
            &|it| it["messages"] = json!([{"role": "tool", "tool_call_id": "x", "content": "a"}]),
            "'x' not found",
        ),
        (&|it| it["p"] = json!(1), "p must be a number from 0.01 to 0.99"),
        (&|it| it["stop_sequences"] = json!(["1", "2", "3", "4", "5", "6"]), "stop_sequences"),
        (&|it| it["tool_choice"] = json!("required"), "tool_choice"),
        (&|it| it["response_format"] = json!({"type": "json_object"}), "with tools"),
    ];
    for (edit, words) in cases {
        let mut request = with_tools("x");
        edit(&mut request);
        let answer = post(server.address(), CHAT, &request);
        assert_eq!(answer.status, 400);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn embeddings_want_to_know_what_for() {
    let server = server();
    let mut request = json!({"model": "embed-v4.0", "texts": ["a b", "c"], "embedding_types": ["float"], "output_dimension": 256});
    assert_eq!(post(server.address(), "/v2/embed", &request).status, 400);
    request["input_type"] = json!("search_query");
    let answer = post(server.address(), "/v2/embed", &request).json();
    assert_eq!(answer["embeddings"]["float"][1].as_array().map(Vec::len), Some(256));
    assert_eq!(answer["meta"]["billed_units"], json!({"input_tokens": 3}));
}

#[test]
fn errors_are_a_message_and_an_end() {
    let server = server();
    let limited = post(server.address(), CHAT, &crate::chat("m+status=429", "x"));
    assert_eq!((limited.status, limited.json()["message"].is_string()), (429, true));
    let broken = post(server.address(), CHAT, &crate::chat_stream("m+error-event=2", "x")).events();
    assert_eq!(
        (&broken[2]["type"], &broken[2]["delta"]["finish_reason"]),
        (&json!("message-end"), &json!("ERROR"))
    );

    let options = crate::Options { key: Some("k".to_owned()), ..Default::default() };
    let server = crate::ModelServer::start(options).unwrap();
    let status = |headers: &[(&str, &str)]| {
        post_with(server.address(), CHAT, headers, &crate::chat("m", "x")).status
    };
    assert_eq!(status(&[("authorization", "Bearer k")]), 200);
    assert_eq!(status(&[("x-api-key", "k")]), 401);
}
