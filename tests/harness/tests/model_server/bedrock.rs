use llm_gateway::protocol::eventstream::Decoder;
use serde_json::{Value, json};

use crate::{
    client::{Answer, post, post_with},
    server,
};

const CLAUDE: &str = "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0";

fn request(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": text}]}]})
}

fn with_tools(text: &str) -> Value {
    let mut request = request(text);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool =
        |name: &str| json!({"toolSpec": {"name": name, "inputSchema": {"json": schema.clone()}}});
    request["toolConfig"] = json!({"tools": [tool("weather"), tool("time")]});
    request
}

/// The names and payloads of a stream whose every checksum is right.
fn messages(answer: &Answer) -> Vec<(String, Value)> {
    let (mut decoder, mut rest, mut all) = (Decoder::default(), answer.body.as_slice(), Vec::new());
    while let Some(message) = decoder.next(&mut rest) {
        let message = message.expect("a message");
        assert_eq!(message.is_error, message.name.ends_with("Exception"));
        all.push((message.name.to_owned(), serde_json::from_slice(message.payload).unwrap()));
    }
    all
}

#[test]
fn an_answer_has_every_published_field() {
    let server = server();
    let answer = post_with(
        server.address(),
        &format!("{CLAUDE}/converse"),
        &[("x-sim", "cached=1")],
        &request("hello there"),
    );
    assert!(answer.header("x-amzn-requestid").is_some());
    assert_eq!(
        answer.json(),
        json!({"output": {"message": {"role": "assistant",
                "content": [{"text": "You said: hello there"}]}},
            "stopReason": "end_turn", "metrics": {"latencyMs": 1},
            "usage": {"inputTokens": 1, "outputTokens": 4, "totalTokens": 6,
                "cacheReadInputTokens": 1, "cacheWriteInputTokens": 0}})
    );
}

#[test]
fn a_stream_says_the_same_as_the_message() {
    let server = server();
    let mut request = with_tools("call weather and time");
    request["inferenceConfig"] = json!({"maxTokens": 4096});
    request["additionalModelRequestFields"] =
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let whole = post(server.address(), &format!("{CLAUDE}/converse"), &request).json();
    let stream = post(server.address(), &format!("{CLAUDE}/converse-stream"), &request);
    assert_eq!(stream.header("content-type"), Some("application/vnd.amazon.eventstream"));
    let mut blocks: Vec<(Value, String)> = Vec::new();
    for (name, data) in messages(&stream) {
        let index = data["contentBlockIndex"].as_u64().unwrap_or_default() as usize;
        if name.starts_with("contentBlock") && blocks.len() <= index {
            blocks.push((json!({}), String::new()));
        }
        match name.as_str() {
            "contentBlockStart" => blocks[index].0 = data["start"]["toolUse"].clone(),
            "contentBlockDelta" => {
                let delta = &data["delta"];
                let text = delta["toolUse"]["input"].as_str();
                let text = text.or(delta["reasoningContent"]["text"].as_str());
                blocks[index].1 += text.unwrap_or_default();
            }
            "messageStop" => assert_eq!(data["stopReason"], whole["stopReason"]),
            "metadata" => assert_eq!(data["usage"], whole["usage"]),
            _ => {}
        }
    }
    let content = &whole["output"]["message"]["content"];
    assert_eq!(blocks[0].1, content[0]["reasoningContent"]["reasoningText"]["text"]);
    for index in 1..=2 {
        let call = &content[index]["toolUse"];
        assert_eq!(blocks[index].0["toolUseId"], call["toolUseId"]);
        assert_eq!(serde_json::from_str::<Value>(&blocks[index].1).unwrap(), call["input"]);
    }
    assert_eq!(blocks.len(), 3);
}

#[test]
fn the_result_of_a_tool_is_answered_with_text() {
    let server = server();
    let mut request = with_tools("call weather");
    let called = post(server.address(), &format!("{CLAUDE}/converse"), &request).json();
    let turn = called["output"]["message"].clone();
    let id = turn["content"][0]["toolUse"]["toolUseId"].clone();
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(turn);
    messages.push(json!({"role": "user", "content": [
        {"toolResult": {"toolUseId": id, "content": [{"text": "20 C"}]}}]}));
    let end = post(server.address(), &format!("{CLAUDE}/converse"), &request).json();
    assert_eq!(end["output"]["message"]["content"][0]["text"], "The tool said: 20 C");
}

#[test]
fn what_bedrock_refuses_is_refused() {
    let server = server();
    let cases: [crate::Case<'_>; 9] = [
        (&|it| it["stream"] = json!(true), "extraneous key [stream]"),
        (&|it| it["messages"][0]["role"] = json!("assistant"), "must start with a user message"),
        (&|it| it["messages"][0]["role"] = json!("developer"), "messages[0].role"),
        (&|it| it["messages"][0]["content"] = json!("text"), "messages[0].content"),
        (&|it| it["messages"][0]["content"][0] = json!({"text": " "}), "is blank"),
        (
            &|it| {
                it["messages"][0]["content"][0] =
                    json!({"image": {"format": "jpg", "source": {"bytes": "aGk="}}})
            },
            "format",
        ),
        (
            &|it| {
                it["messages"][0]["content"][0] =
                    json!({"toolResult": {"toolUseId": "a", "content": []}})
            },
            "toolUse blocks of previous turn",
        ),
        (&|it| it["inferenceConfig"] = json!({"temperature": 1.5}), "inferenceConfig.temperature"),
        (
            &|it| it["additionalModelRequestFields"] = json!({"reasoning_effort": "low"}),
            "Extra inputs",
        ),
    ];
    for (edit, words) in cases {
        let mut request = with_tools("x");
        edit(&mut request);
        let answer = post(server.address(), &format!("{CLAUDE}/converse"), &request);
        assert_eq!(answer.status, 400);
        let kind = answer.header("x-amzn-errortype").unwrap_or_default();
        assert!(kind.starts_with("ValidationException:"), "{kind}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn embeddings_are_made_in_the_makers_words() {
    let server = server();
    let titan = json!({"inputText": "a b", "dimensions": 256, "normalize": true});
    let titan =
        post(server.address(), "/model/amazon.titan-embed-text-v2%3A0/invoke", &titan).json();
    assert_eq!(titan["embedding"].as_array().map(Vec::len), Some(256));
    assert_eq!(titan["inputTextTokenCount"], 2);
    let cohere = json!({"texts": ["a b", "c"], "input_type": "search_document", "embedding_types": ["float"]});
    let cohere = post(server.address(), "/model/cohere.embed-v4%3A0/invoke", &cohere).json();
    assert_eq!(cohere["embeddings"]["float"].as_array().map(Vec::len), Some(2));
    assert_eq!(cohere["response_type"], "embeddings_by_type");
}

#[test]
fn failures_are_named_in_a_header_and_in_an_exception() {
    let server = server();
    let told = |method: &str, controls: &str| {
        let path = format!("{CLAUDE}/{method}");
        post_with(server.address(), &path, &[("x-sim", controls)], &request("x"))
    };
    for (status, name) in [
        (429, "ThrottlingException"),
        (503, "ServiceUnavailableException"),
        (424, "ModelErrorException"),
    ] {
        let answer = told("converse", &format!("status={status}"));
        assert!(answer.header("x-amzn-errortype").is_some_and(|it| it.starts_with(name)));
        assert!(answer.json()["message"].is_string());
    }
    let stream = messages(&told("converse-stream", "error-event=2"));
    let (name, data) = &stream[2];
    assert_eq!((stream.len(), name.as_str()), (3, "internalServerException"));
    assert!(data["message"].is_string());
}

#[test]
fn a_key_is_a_bearers_or_a_signatures() {
    let options = crate::Options { key: Some("AKID".to_owned()), ..Default::default() };
    let server = crate::ModelServer::start(options).unwrap();
    let status = |headers: &[(&str, &str)]| {
        post_with(server.address(), &format!("{CLAUDE}/converse"), headers, &request("x")).status
    };
    let signature = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/bedrock/aws4_request, \
        SignedHeaders=host, Signature=0";
    assert_eq!(status(&[("authorization", signature)]), 200);
    assert_eq!(status(&[("authorization", "Bearer AKID")]), 200);
    assert_eq!(status(&[("x-api-key", "AKID")]), 403);
}
