//! The recipes in `envoy/`: each loads as it is shipped, and does what its first lines say.

mod cache;
mod ecds;
mod grpc;
mod istio;
mod jwt;
mod local;
mod one_provider;
mod otel;
mod providers;
mod ratelimit;
mod rls;
mod shipped;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use harness::envoy::{Bootstrap, Envoy};
use harness::{http, root, target_dir, wasm};
use serde_json::Value;

use crate::support::{self, CHAT, model_server};

/// A file in `envoy/` as text, so that a test can put its own paths in.
fn text(name: &str) -> String {
    fs::read_to_string(root().join("envoy").join(name)).unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|part| serde_norway::from_str(part).unwrap()).collect()
}

/// On free ports, with the built filter.
fn recipe(text: &str) -> Bootstrap {
    Bootstrap::parse(text).unwrap().any_ports().module(wasm::module().unwrap())
}

fn chat(model: &str, text: &str) -> Value {
    let mut request = support::chat(text);
    request["model"] = model.into();
    request
}

fn post(envoy: &Envoy, path: &str, headers: &[(&str, &str)], body: &Value) -> http::Answer {
    let url = envoy.url("gateway").unwrap() + path;
    let headers = [&[("content-type", "application/json")], headers].concat();
    http::post(&url, &headers, body.to_string().as_bytes()).unwrap()
}

/// A new folder for the files of one test.
fn fresh_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = target_dir().join("e2e").join(format!("recipe-{}-{count}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// As an operator replaces a file under a program that watches it: whole, by a move.
fn replace_file(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(next, path).unwrap();
}

/// The file with a provider's key, made as `providers.yaml` tells.
fn key_file(name: &str, key: &str) -> String {
    text("keys/example.yaml").replace("NAME", name).replace("KEY", key)
}
