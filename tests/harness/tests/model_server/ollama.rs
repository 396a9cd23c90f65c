use serde_json::{Value, json};

use crate::{
    chat,
    client::{get, post},
    server,
};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON a line")).collect()
}

#[test]
fn a_chat_streams_unless_told_otherwise() {
    let server = server();
    let mut request = chat("llama", "hello there");
    let stream = post(server.address(), "/api/chat", &request);
    assert_eq!(stream.header("content-type"), Some("application/x-ndjson"));
    let parts = lines(stream.text());
    request["stream"] = json!(false);
    let whole = post(server.address(), "/api/chat", &request).json();

    let text: String = parts.iter().filter_map(|p| p["message"]["content"].as_str()).collect();
    assert_eq!(whole["message"], json!({"role": "assistant", "content": text}));
    let (last, others) = parts.split_last().unwrap();
    assert!(others.iter().all(|part| part["done"] == false && part.get("eval_count").is_none()));
    for key in ["model", "done", "done_reason", "prompt_eval_count", "eval_count"] {
        assert_eq!(last[key], whole[key], "{key}");
    }
    assert_eq!((&whole["prompt_eval_count"], &whole["eval_count"]), (&json!(2), &json!(4)));
    assert_eq!((&whole["model"], &whole["done"]), (&json!("llama"), &json!(true)));
}

#[test]
fn tools_are_called_with_arguments_that_are_objects() {
    let server = server();
    let mut request = chat("llama", "call f");
    request["think"] = json!(true);
    request["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters":
        {"type": "object", "properties": {"a": {"type": "boolean"}}}}}]);
    let parts = lines(post(server.address(), "/api/chat", &request).text());
    let call = json!([{"function": {"name": "f", "arguments": {"a": true}}}]);
    assert!(parts.iter().any(|part| part["message"]["tool_calls"] == call));
    assert_eq!(parts[0]["message"]["thinking"], "The");
    assert_eq!(parts[parts.len() - 1]["done_reason"], "stop");
}

#[test]
fn generate_answers_as_stream_and_as_document() {
    let server = server();
    let mut request = json!({"model": "llama", "prompt": "hello", "options": {"num_predict": 2}});
    let parts = lines(post(server.address(), "/api/generate", &request).text());
    let text: String = parts.iter().filter_map(|part| part["response"].as_str()).collect();
    request["stream"] = json!(false);
    let whole = post(server.address(), "/api/generate", &request).json();
    assert_eq!((&whole["response"], &whole["done_reason"]), (&json!(text), &json!("length")));
    assert_eq!(text, "You said:");
}

#[test]
fn embeddings_and_tags_are_answered() {
    let server = server();
    let request = json!({"model": "e", "input": ["a b", "c"], "dimensions": 4});
    let embedded = post(server.address(), "/api/embed", &request).json();
    assert_eq!(embedded["embeddings"].as_array().map(Vec::len), Some(2));
    assert_eq!(embedded["embeddings"][0].as_array().map(Vec::len), Some(4));
    assert_eq!(embedded["prompt_eval_count"], 3);
    let tags = get(server.address(), "/api/tags", &[]).json();
    assert_eq!(tags["models"][0]["name"], "sim-model");
}

#[test]
fn errors_are_a_text() {
    let server = server();
    let error = post(server.address(), "/api/chat", &chat("m+status=500", "x"));
    assert_eq!(error.status, 500);
    assert!(error.json()["error"].is_string());
    let cut = lines(post(server.address(), "/api/chat", &chat("m+error-event=1", "x")).text());
    assert!(cut.len() == 2 && cut[1]["error"].is_string());
}
