//! Recipes for servers of one's own, without keys.

use harness::envoy::{Envoy, Launch};
use harness::http;
use harness::model_server::ModelServer;
use serde_json::json;

use super::{CHAT, chat, model_server, post, recipe, text};

#[test]
fn ollama_answers_clients_of_openai_and_its_own() {
    let ollama = model_server();
    let bootstrap = recipe(&text("ollama.yaml")).endpoint("ollama", ollama.address()).unwrap();
    let envoy = Launch::new(bootstrap).start().unwrap();

    let answer = post(&envoy, CHAT, &[], &chat("llama3.2:1b", "Hello"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json().unwrap()["choices"][0]["message"]["content"], "You said: Hello");

    let mut native = chat("any other", "Hello");
    native["stream"] = json!(false);
    let answer = post(&envoy, "/api/chat", &[], &native);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json().unwrap()["message"]["content"], "You said: Hello");

    let tags = http::get(&format!("{}/api/tags", envoy.url("gateway").unwrap())).unwrap();
    assert_eq!(tags.status, 200, "what is no call of a model passes");
    assert_no_internal_header(&ollama);
}

#[test]
fn the_cluster_header_leads_each_model_to_its_server_and_no_further() {
    let (ollama, vllm) = (model_server(), model_server());
    let envoy = cluster_header(&ollama, &vllm);
    for (model, server, name) in [
        ("llama3.2:1b", &ollama, "llama3.2:1b"),
        ("small", &ollama, "llama3.2:1b"),
        ("Qwen/Qwen3-8B", &vllm, "Qwen/Qwen3-8B"),
        ("large", &vllm, "Qwen/Qwen3-8B"),
    ] {
        let before = server.total();
        let answer = post(&envoy, CHAT, &[], &chat(model, "Hello"));
        assert_eq!((answer.status, server.total() - before), (200, 1), "{model}");
        assert_eq!(server.requests().last().unwrap().json()["model"], name, "{model}");
    }
    assert_eq!((ollama.total(), vllm.total()), (2, 2));
    assert_no_internal_header(&ollama);
    assert_no_internal_header(&vllm);
}

#[test]
fn a_client_cannot_choose_the_cluster_itself() {
    let (ollama, vllm) = (model_server(), model_server());
    let envoy = cluster_header(&ollama, &vllm);
    let claim = [("x-llm-cluster", "vllm")];
    let answer = post(&envoy, CHAT, &claim, &chat("small", "Hello"));
    assert_eq!((answer.status, ollama.total(), vllm.total()), (200, 1, 0));

    for (path, status) in [("/", 404), ("/v1/unknown", 404), ("/api/tags", 405)] {
        let url = envoy.url("gateway").unwrap() + path;
        let answer = http::post(&url, &[("x-llm-cluster", "vllm")], b"").unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    assert_eq!((ollama.total(), vllm.total()), (1, 0));
}

fn cluster_header(ollama: &ModelServer, vllm: &ModelServer) -> Envoy {
    let bootstrap = recipe(&text("cluster_header.yaml"))
        .endpoint("ollama", ollama.address())
        .and_then(|recipe| recipe.endpoint("vllm", vllm.address()))
        .unwrap();
    Launch::new(bootstrap).start().unwrap()
}

fn assert_no_internal_header(server: &ModelServer) {
    for request in server.requests() {
        let internal = request.headers.iter().find(|(name, _)| name.starts_with("x-llm-"));
        assert_eq!(internal, None, "{}", request.path);
    }
}
