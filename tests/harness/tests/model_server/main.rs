//! The built-in model server, seen from outside.

mod anthropic;
mod client;
mod controls;
mod http2;
mod ollama;
mod openai;

use harness::model_server::{ModelServer, Options};
use serde_json::{Value, json};

fn server() -> ModelServer {
    ModelServer::start(Options::default()).expect("a free port")
}

fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

fn chat_stream(model: &str, text: &str) -> Value {
    let mut request = chat(model, text);
    request["stream"] = json!(true);
    request
}
