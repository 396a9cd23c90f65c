use serde_json::{Value, json};

use crate::{
    client::{get, post, post_with},
    server,
};

const OLD: &str = "/v1beta/models/gemini-2.5-flash";
const NEW: &str = "/v1beta/models/gemini-3-pro";

fn request(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

fn with_tools(text: &str) -> Value {
    let mut request = request(text);
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let declare = |name: &str| json!({"name": name, "parametersJsonSchema": parameters});
    request["tools"] = json!([{"functionDeclarations": [declare("weather"), declare("time")]}]);
    request
}

#[test]
fn an_answer_has_every_published_field() {
    let server = server();
    let mut json =
        post(server.address(), &format!("{OLD}:generateContent"), &request("hello there")).json();
    assert!(json["responseId"].as_str().is_some_and(|id| id.len() == 24));
    json["responseId"] = json!("");
    assert_eq!(
        json,
        json!({"candidates": [{"content": {"parts": [{"text": "You said: hello there"}],
                "role": "model"}, "finishReason": "STOP", "index": 0}],
            "modelVersion": "gemini-2.5-flash", "responseId": "",
            "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 4,
                "totalTokenCount": 6,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}]}})
    );
}

#[test]
fn a_stream_says_the_same_as_an_event_stream_and_as_a_list() {
    let server = server();
    let mut request = request("hello there");
    request["generationConfig"] =
        json!({"thinkingConfig": {"includeThoughts": true}, "candidateCount": 2});
    let whole = post(server.address(), &format!("{OLD}:generateContent"), &request).json();
    let events = post(server.address(), &format!("{OLD}:streamGenerateContent?alt=sse"), &request);
    assert_eq!(events.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let list = post(server.address(), &format!("{OLD}:streamGenerateContent"), &request);
    assert_eq!(list.header("content-type"), Some("application/json; charset=UTF-8"));
    let list = list.json().as_array().cloned().unwrap();
    for events in [events.events(), list] {
        for index in 0..2 {
            let text = |thought: bool| -> String {
                let candidates = events.iter().flat_map(|it| it["candidates"].as_array().unwrap());
                candidates
                    .filter(|it| it["index"] == index)
                    .map(|it| &it["content"]["parts"][0])
                    .filter(|part| (part["thought"] == true) == thought)
                    .filter_map(|part| part["text"].as_str())
                    .collect()
            };
            let parts = &whole["candidates"][index]["content"]["parts"];
            assert_eq!(
                json!([text(true), text(false)]),
                json!([parts[0]["text"], parts[1]["text"]])
            );
        }
        let last = &events[events.len() - 1];
        assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
        assert_eq!(last["candidates"][1]["finishReason"], "STOP");
        assert!(
            events[..events.len() - 1]
                .iter()
                .all(|it| it["candidates"][0].get("finishReason").is_none())
        );
    }
    assert_eq!(whole["usageMetadata"]["thoughtsTokenCount"], 10);
}

#[test]
fn functions_are_called_and_their_results_answered() {
    let server = server();
    let mut request = with_tools("call weather and time");
    let called = post(server.address(), &format!("{NEW}:generateContent"), &request).json();
    let turn = &called["candidates"][0]["content"];
    assert_eq!(turn["parts"][0]["functionCall"]["name"], "weather");
    assert_eq!(turn["parts"][1]["functionCall"]["args"], json!({"city": "call weather and time"}));
    assert!(turn["parts"][0]["thoughtSignature"].is_string());

    let contents = request["contents"].as_array_mut().unwrap();
    contents.push(turn.clone());
    let result = |name: &str, text: &str| json!({"functionResponse": {"name": name, "response": {"result": text}}});
    contents.push(
        json!({"role": "user", "parts": [result("weather", "20 C"), result("time", "noon")]}),
    );
    let end = post(server.address(), &format!("{NEW}:generateContent"), &request).json();
    assert_eq!(end["candidates"][0]["content"]["parts"][0]["text"], "The tool said: 20 C noon");

    let mut lost = request.clone();
    lost["contents"][2]["parts"].as_array_mut().unwrap().pop();
    let mut unsigned = request;
    unsigned["contents"][1]["parts"][0].as_object_mut().unwrap().remove("thoughtSignature");
    for (request, words) in [(lost, "number of function response parts"), (unsigned, "signature")] {
        let refused = post(server.address(), &format!("{NEW}:generateContent"), &request);
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(words), "{}", refused.text());
        if words == "signature" {
            let old = post(server.address(), &format!("{OLD}:generateContent"), &request);
            assert_eq!(old.status, 200, "older models do not sign");
        }
    }
}

#[test]
fn structured_answers_fit_their_schema() {
    let server = server();
    let mut request = request("Rome");
    let schema = json!({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}});
    request["generation_config"] =
        json!({"response_mime_type": "application/json", "response_schema": schema});
    let answer = post(server.address(), &format!("{OLD}:generateContent"), &request).json();
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], r#"{"city":"Rome"}"#);
}

#[test]
fn what_google_refuses_is_refused() {
    let server = server();
    let refusal = |edit: &dyn Fn(&mut Value)| {
        let mut request = with_tools("x");
        edit(&mut request);
        let answer = post(server.address(), &format!("{OLD}:generateContent"), &request);
        assert_eq!(
            (answer.status, &answer.json()["error"]["status"]),
            (400, &json!("INVALID_ARGUMENT"))
        );
        answer.json()["error"]["message"].as_str().unwrap().to_owned()
    };
    let cases: [crate::Case<'_>; 8] = [
        (&|it| it["n"] = json!(1), "Unknown name \"n\": Cannot find field."),
        (&|it| it["contents"] = json!([]), "contents is not specified"),
        (&|it| it["contents"][0]["role"] = json!("assistant"), "contents[0].role"),
        (
            &|it| {
                it["contents"][0]["parts"][0]["inlineData"] =
                    json!({"mimeType": "image/png", "data": "aGk="})
            },
            "oneof",
        ),
        (
            &|it| {
                it["contents"][0]["parts"] =
                    json!([{"inlineData": {"mimeType": "image/png", "data": "?"}}])
            },
            "base64",
        ),
        (
            &|it| it["generationConfig"] = json!({"temperature": "1"}),
            "generationConfig.temperature",
        ),
        (
            &|it| it["generationConfig"] = json!({"responseSchema": {"type": "OBJECT"}}),
            "response_mime_type",
        ),
        (
            &|it| it["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["other"]}}),
            "other",
        ),
    ];
    for (edit, words) in cases {
        let message = refusal(edit);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn tokens_and_embeddings_are_counted_and_models_listed() {
    let server = server();
    let count = post(server.address(), &format!("{OLD}:countTokens"), &request("a b c")).json();
    assert_eq!(count["totalTokens"], 3);
    let embed = |text: &str| json!({"model": "models/e", "content": {"parts": [{"text": text}]}, "outputDimensionality": 4});
    let batch = json!({"requests": [embed("a b"), embed("c")]});
    let batch = post(server.address(), "/v1beta/models/e:batchEmbedContents", &batch).json();
    let one = post(server.address(), "/v1beta/models/e:embedContent", &embed("c")).json();
    assert_eq!(batch["embeddings"][1], one["embedding"]);
    assert_eq!(one["embedding"]["values"].as_array().map(Vec::len), Some(4));
    assert_eq!(batch["usageMetadata"]["promptTokenCount"], 3);

    let list = get(server.address(), "/v1beta/models", &[]).json();
    assert_eq!(list["models"][0]["name"], "models/sim-model");
    for (path, headers) in [
        ("/v1beta/models/sim-model", &[][..]),
        ("/v1/models/sim-model", &[("x-goog-api-key", "k")]),
    ] {
        assert_eq!(get(server.address(), path, headers).json(), list["models"][0]);
    }
}

#[test]
fn errors_are_written_as_google_writes_them() {
    let server = server();
    let told = |path: &str, controls: &str| {
        post_with(server.address(), path, &[("x-sim", controls)], &request("x"))
    };
    let limited = told(&format!("{OLD}:generateContent"), "status=429").json();
    assert_eq!(limited["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(limited["error"]["details"][0]["retryDelay"], "1s");
    let list = told(&format!("{OLD}:streamGenerateContent"), "status=503").json();
    assert_eq!(
        (&list[0]["error"]["code"], &list[0]["error"]["status"]),
        (&json!(503), &json!("UNAVAILABLE"))
    );
    let broken = told(&format!("{OLD}:streamGenerateContent?alt=sse"), "error-event=1").events();
    assert_eq!(broken[1]["error"]["status"], "UNAVAILABLE");
}

#[test]
fn a_key_is_required_in_googles_header_or_query() {
    let options = crate::Options { key: Some("k".to_owned()), ..Default::default() };
    let server = crate::ModelServer::start(options).unwrap();
    let path = format!("{OLD}:generateContent");
    let status = |path: &str, headers: &[(&str, &str)]| {
        post_with(server.address(), path, headers, &request("x")).status
    };
    assert_eq!(status(&path, &[("x-goog-api-key", "k")]), 200);
    assert_eq!(status(&format!("{path}?key=k"), &[]), 200);
    assert_eq!(status(&path, &[("authorization", "Bearer k")]), 403);
    let wrong = post_with(server.address(), &path, &[("x-goog-api-key", "w")], &request("x"));
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
}
