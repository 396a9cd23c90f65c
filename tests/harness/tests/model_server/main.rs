//! The built-in model server, seen from outside.

mod anthropic;
mod azure;
mod bedrock;
mod client;
mod cohere;
mod controls;
mod gemini;
mod http2;
mod ollama;
mod openai;
mod strict;

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

/// What is done to a request, and words of the refusal that it gets.
type Case<'a> = (&'a dyn Fn(&mut Value), &'a str);
