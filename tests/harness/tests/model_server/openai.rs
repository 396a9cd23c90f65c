use serde_json::{Value, json};

use crate::{
    chat, chat_stream,
    client::{get, post, post_with, send},
    server,
};

const CHAT: &str = "/v1/chat/completions";

#[test]
fn a_chat_completion_has_every_published_field() {
    let server = server();
    let answer = post(server.address(), CHAT, &chat("sim-model", "hello there"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    let mut json = answer.json();
    assert!(json["id"].as_str().is_some_and(|id| id.starts_with("chatcmpl-")));
    assert!(json["created"].as_u64().is_some_and(|time| time > 1_700_000_000));
    json["id"] = json!("");
    json["created"] = json!(0);
    assert_eq!(
        json,
        json!({
            "id": "", "object": "chat.completion", "created": 0, "model": "sim-model",
            "choices": [{"index": 0, "message": {"role": "assistant",
                "content": "You said: hello there", "refusal": null, "annotations": []},
                "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
            "service_tier": "default", "system_fingerprint": "fp_sim",
        })
    );
}

#[test]
fn a_chat_stream_says_the_same_as_the_document() {
    let server = server();
    let mut request = chat_stream("sim-model", "hello there");
    request["n"] = json!(2);
    let stream = post(server.address(), CHAT, &request);
    assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(stream.text().ends_with("data: [DONE]\n\n") && stream.complete);
    let events = stream.events();
    assert!(events.iter().all(|event| event.get("usage").is_none()), "none was asked for");

    request["stream"] = json!(false);
    let document = post(server.address(), CHAT, &request).json();
    for index in 0..2 {
        let of_choice = |event: &&Value| event["choices"][0]["index"] == index;
        let deltas: Vec<&Value> = events.iter().filter(of_choice).collect();
        let text: String =
            deltas.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(document["choices"][index]["message"]["content"], text);
        assert_eq!(deltas[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(deltas[deltas.len() - 1]["choices"][0]["finish_reason"], "stop");
    }
}

#[test]
fn usage_in_a_stream_is_null_until_its_own_last_chunk() {
    let server = server();
    let mut request = chat_stream("sim-model", "hello");
    request["stream_options"] = json!({"include_usage": true});
    let events = post(server.address(), CHAT, &request).events();
    let (last, others) = events.split_last().unwrap();
    assert!(others.iter().all(|event| event.get("usage") == Some(&Value::Null)));
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 3);
}

#[test]
fn tools_are_called_in_parallel_and_the_result_ends_the_turn() {
    let server = server();
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters":
            {"type": "object", "properties": {"city": {"type": "string"}}}}})
    };
    let mut request = chat("sim-model", "call weather and time");
    request["tools"] = json!([tool("weather"), tool("time")]);
    let document = post(server.address(), CHAT, &request).json();
    let choice = &document["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null)
    );
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[1]["function"]["arguments"], r#"{"city":"call weather and time"}"#);

    request["stream"] = json!(true);
    let events = post(server.address(), CHAT, &request).events();
    let deltas = events.iter().filter_map(|e| e.pointer("/choices/0/delta/tool_calls/0"));
    let second: Vec<&Value> = deltas.filter(|delta| delta["index"] == 1).collect();
    assert_eq!(
        (&second[0]["id"], &second[0]["function"]["name"]),
        (&calls[1]["id"], &json!("time"))
    );
    let arguments: String =
        second.iter().filter_map(|delta| delta["function"]["arguments"].as_str()).collect();
    assert_eq!(calls[1]["function"]["arguments"], arguments);

    request["stream"] = json!(false);
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    for (call, text) in calls.iter().zip(["20 C", "noon"]) {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": text}));
    }
    let end = post(server.address(), CHAT, &request).json();
    assert_eq!(end["choices"][0]["message"]["content"], "The tool said: 20 C noon");
}

#[test]
fn structured_output_fits_its_schema() {
    let server = server();
    let mut request = chat("sim-model", "Rome");
    request["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "a",
        "schema": {"type": "object", "properties": {"city": {"type": "string"}}}}});
    let answer = post(server.address(), CHAT, &request).json();
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"city":"Rome"}"#);
}

#[test]
fn log_probabilities_name_each_token() {
    let server = server();
    let mut request = chat("sim-model", "é");
    request["logprobs"] = json!(true);
    let answer = post(server.address(), CHAT, &request).json();
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(
        (content.len(), &content[2]["token"], &content[2]["bytes"]),
        (3, &json!(" é"), &json!([32, 195, 169]))
    );
}

#[test]
fn errors_are_written_as_openai_writes_them() {
    let options = crate::Options {
        unknown_models: vec!["gone".to_owned()],
        key: Some("k".to_owned()),
        ..Default::default()
    };
    let server = crate::ModelServer::start(options).unwrap();
    let key = [("authorization", "Bearer k")];
    let error = |status: u16, message: &str, param: Value, code: Value| {
        let kind = "invalid_request_error";
        (status, json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
    };
    let post = |headers: &[(&str, &str)], body: &Value| {
        let answer = post_with(server.address(), CHAT, headers, body);
        (answer.status, answer.json())
    };

    assert_eq!(post(&[], &chat("m", "x")).1["error"]["code"], "invalid_api_key");
    assert_eq!(
        post(&key, &chat("gone", "x")),
        error(
            404,
            "The model `gone` does not exist or you do not have access to it.",
            Value::Null,
            json!("model_not_found")
        )
    );
    assert_eq!(
        post(&key, &json!({"model": "m"})),
        error(
            400,
            "Missing required parameter: 'messages'.",
            json!("messages"),
            json!("missing_required_parameter")
        )
    );
    assert_eq!(
        post(&key, &json!({"messages": []})),
        error(400, "you must provide a model parameter", Value::Null, Value::Null)
    );
    let broken = send(server.address(), "POST", CHAT, &key, b"{\"model\"").unwrap();
    assert_eq!(
        (broken.status, &broken.json()["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    let nowhere = get(server.address(), "/v1/nowhere", &key);
    assert_eq!(
        (nowhere.status, nowhere.json()["error"]["message"].clone()),
        (404, json!("Invalid URL (GET /v1/nowhere)"))
    );
}

#[test]
fn completions_answer_as_document_and_as_stream() {
    let server = server();
    let mut request = json!({"model": "m", "prompt": "hello"});
    let document = post(server.address(), "/v1/completions", &request).json();
    assert_eq!(
        (&document["object"], &document["choices"][0]["text"]),
        (&json!("text_completion"), &json!("You said: hello"))
    );
    request["stream"] = json!(true);
    request["stream_options"] = json!({"include_usage": true});
    let events = post(server.address(), "/v1/completions", &request).events();
    let text: String =
        events.iter().filter_map(|e| e.pointer("/choices/0/text")?.as_str()).collect();
    assert_eq!(text, "You said: hello");
    assert_eq!(events[events.len() - 1]["usage"], document["usage"]);
}

#[test]
fn embeddings_are_the_same_as_numbers_and_as_base64() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let server = server();
    let mut request = json!({"model": "m", "input": ["one two", "three"], "dimensions": 8});
    let numbers = post(server.address(), "/v1/embeddings", &request).json();
    assert_eq!(numbers["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    request["encoding_format"] = json!("base64");
    let base64 = post(server.address(), "/v1/embeddings", &request).json();
    for index in 0..2 {
        let numbers = numbers["data"][index]["embedding"].as_array().unwrap();
        let bytes = STANDARD.decode(base64["data"][index]["embedding"].as_str().unwrap()).unwrap();
        let floats = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
        let numbers: Vec<f32> = numbers.iter().map(|x| x.as_f64().unwrap() as f32).collect();
        assert_eq!(floats.collect::<Vec<_>>(), numbers);
    }
    assert_ne!(numbers["data"][0]["embedding"], numbers["data"][1]["embedding"]);
}

#[test]
fn models_are_listed_and_found() {
    let server = server();
    let list = get(server.address(), "/v1/models", &[]).json();
    assert_eq!(list["data"][0], get(server.address(), "/v1/models/sim-model", &[]).json());
    assert_eq!(get(server.address(), "/v1/models/none", &[]).status, 404);
}

#[test]
fn calls_that_pass_through_are_answered() {
    let server = server();
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper+header=x-a:1\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n12345\r\n--b--\r\n";
    let kind = [("content-type", "multipart/form-data; boundary=b")];
    let address = server.address();
    let text = send(address, "POST", "/v1/audio/transcriptions", &kind, form.as_bytes()).unwrap();
    assert_eq!(
        (text.json()["text"].clone(), text.header("x-a")),
        (json!("You sent 5 bytes."), Some("1"))
    );

    let speech = post(address, "/v1/audio/speech", &json!({"model": "tts", "input": "hi"}));
    assert_eq!((speech.header("content-type"), speech.body.len()), (Some("audio/mpeg"), 256));
    let image = post(address, "/v1/images/generations", &json!({"model": "i", "prompt": "a cat"}));
    assert_eq!(image.json()["data"][0]["revised_prompt"], "a cat");
    let moderation = post(address, "/v1/moderations", &json!({"input": "hi"}));
    assert_eq!(moderation.json()["results"][0]["flagged"], false);
    let rerank = json!({"model": "r", "query": "red fox", "documents": ["a dog", "a red fox"]});
    assert_eq!(post(address, "/v1/rerank", &rerank).json()["results"][0]["index"], 1);
}

#[test]
fn a_response_stream_builds_up_the_response_it_ends_with() {
    let server = server();
    let mut request = json!({"model": "m", "input": "call f now", "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "f", "parameters":
            {"type": "object", "properties": {"a": {"type": "string"}}}}]});
    let document = post(server.address(), "/v1/responses", &request).json();
    request["stream"] = json!(true);
    let stream = post(server.address(), "/v1/responses", &request);
    assert!(!stream.text().contains("[DONE]"));
    let events = stream.events();
    let named: Vec<&str> =
        stream.text().lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(
            (&event["sequence_number"], &event["type"]),
            (&json!(number), &json!(named[number]))
        );
    }

    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let done: Vec<&Value> = of("response.output_item.done").iter().map(|e| &e["item"]).collect();
    let last = &events[events.len() - 1];
    assert_eq!((named[0], named[1]), ("response.created", "response.in_progress"));
    assert_eq!(last["type"], "response.completed");
    assert_eq!(json!(done), last["response"]["output"]);
    let arguments: String = of("response.function_call_arguments.delta")
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(arguments, r#"{"a":"call f now"}"#);
    assert_eq!(last["response"]["usage"], document["usage"]);
    assert_eq!(document["usage"]["output_tokens_details"]["reasoning_tokens"], 5);
    assert_eq!(document["output"][1]["arguments"], arguments);
}

#[test]
fn a_response_that_hits_its_limit_is_incomplete() {
    let server = server();
    let mut request = json!({"model": "m", "input": "hello", "max_output_tokens": 1});
    let document = post(server.address(), "/v1/responses", &request).json();
    assert_eq!(document["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(document["output"][0]["content"][0]["text"], "You");
    request["stream"] = json!(true);
    let events = post(server.address(), "/v1/responses", &request).events();
    let text: Vec<&Value> = events
        .iter()
        .filter(|e| e["type"] == "response.output_text.delta")
        .map(|e| &e["delta"])
        .collect();
    assert_eq!(
        (text, &events[events.len() - 1]["type"]),
        (vec![&json!("You")], &json!("response.incomplete"))
    );
}
