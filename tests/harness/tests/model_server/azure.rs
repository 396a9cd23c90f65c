use serde_json::json;

use crate::{
    chat, chat_stream,
    client::{post, post_with},
    server,
};

const DEPLOYMENT: &str = "/openai/deployments/my-gpt";

#[test]
fn a_deployment_answers_as_its_model_and_tells_what_its_filters_found() {
    let server = server();
    let path = format!("{DEPLOYMENT}/chat/completions?api-version=2024-10-21");
    // A deployment stands for the model, whatever the body says.
    let whole = post(server.address(), &path, &chat("other", "hello there"));
    assert!(whole.header("apim-request-id").is_some());
    let whole = whole.json();
    assert_eq!(whole["model"], "my-gpt");
    assert_eq!(whole["choices"][0]["message"]["content"], "You said: hello there");
    assert_eq!(whole["choices"][0]["content_filter_results"]["hate"]["filtered"], false);
    let events = post(server.address(), &path, &chat_stream("other", "hello there")).events();
    assert_eq!((&events[0]["choices"], &events[0]["id"]), (&json!([]), &json!("")));
    assert!(events[0]["prompt_filter_results"].is_array());
    let text: String =
        events.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "You said: hello there");
}

#[test]
fn other_operations_and_the_newer_paths_are_there() {
    let server = server();
    let version = "api-version=2025-04-01-preview";
    for (path, body) in [
        (format!("{DEPLOYMENT}/completions?{version}"), json!({"prompt": "x"})),
        (format!("{DEPLOYMENT}/embeddings?{version}"), json!({"input": "x"})),
        (format!("/openai/responses?{version}"), json!({"model": "m", "input": "x"})),
        ("/openai/v1/chat/completions".to_owned(), chat("m", "x")),
        ("/openai/v1/embeddings".to_owned(), json!({"model": "m", "input": "x"})),
        ("/openai/v1/responses".to_owned(), json!({"model": "m", "input": "x"})),
    ] {
        assert_eq!(post(server.address(), &path, &body).status, 200, "{path}");
    }
}

#[test]
fn a_version_is_required_at_deployments() {
    let server = server();
    for query in ["", "?api-version=", "?api-version=latest", "?api-version=2024-10"] {
        let path = format!("{DEPLOYMENT}/chat/completions{query}");
        let answer = post(server.address(), &path, &chat("m", "x"));
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.json(),
            json!({"error": {"code": "404", "message": "Resource not found"}})
        );
    }
}

#[test]
fn errors_are_azures_own_or_the_models() {
    let options = crate::Options {
        key: Some("k".to_owned()),
        unknown_models: vec!["gone".to_owned()],
        ..Default::default()
    };
    let server = crate::ModelServer::start(options).unwrap();
    let send = |deployment: &str, headers: &[(&str, &str)], text: &str| {
        let path =
            format!("/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21");
        post_with(server.address(), &path, headers, &chat("m", text))
    };
    assert_eq!(send("d", &[("x-api-key", "k")], "x").json()["error"]["code"], "401");
    assert_eq!(send("d", &[("authorization", "Bearer k")], "x").status, 200);
    let key = ("api-key", "k");
    assert_eq!(send("gone", &[key], "x").json()["error"]["code"], "DeploymentNotFound");
    let limited = send("d", &[key, ("x-sim", "status=429")], "x");
    assert_eq!(limited.json()["error"]["code"], "429");
    let path = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    let refused = post_with(server.address(), path, &[key], &json!({"messages": []}));
    assert_eq!(refused.json()["error"]["type"], "invalid_request_error");
}
