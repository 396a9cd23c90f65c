use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::*;

/// One request with every field of the API that is acted on.
fn full() -> Value {
    json!({
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "What is in this image?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "hologram", "hologram": {"url": "x"}}
            ]},
            {"role": "assistant", "reasoning_content": "hm", "tool_calls": [
                {"type": "function", "id": "call_1", "function": {"name": "f", "arguments": "{}"}},
                {"type": "custom", "id": "call_2", "custom": {"name": "g", "input": "x"}}
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "42"},
            {"role": "assistant", "refusal": "no"}
        ],
        "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false},
        "max_completion_tokens": 10,
        "n": 1,
        "stop": ["a", "b"],
        "temperature": 0.5,
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}},
            {"type": "custom", "custom": {"name": "g"}}
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": true}},
        "metadata": {"a": "b"}
    })
}

#[test]
fn a_request_is_read_as_far_as_it_is_acted_on_and_written_whole() {
    let body = full().to_string();
    let request = ChatCompletionRequest::from_json(body.as_bytes()).unwrap();
    assert_eq!(request.messages.len(), 6);
    assert_eq!(request.rest.names().collect::<Vec<_>>(), ["metadata"]);
    assert_eq!(serde_json::from_slice::<Value>(&request.to_json()).unwrap(), full());
    assert!(matches!(&request.stop, Some(TextOr::Other(words)) if words == &["a", "b"]));
    let content = &request.messages[2].content;
    assert!(matches!(content, Some(TextOr::Other(parts)) if matches!(&parts[4], Part::Other(_))));
}

#[test]
fn mistakes_are_named_as_openai_names_them() {
    let cases = [
        (json!([{"content": "x"}]), "missing_field", "messages[0].role"),
        (json!([{"role": "robot"}]), "invalid_value", "messages[0].role"),
        (json!([{"role": "user", "content": 1}]), "invalid_type", "messages[0].content"),
        (
            json!([{"role": "user", "content": [{"text": "x"}]}]),
            "missing_field",
            "messages[0].content[0].type",
        ),
        (
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]),
            "invalid_type",
            "messages[0].content[0].image_url",
        ),
        (
            json!([{"role": "assistant", "tool_calls": [{"type": "function", "id": "a", "function": {"name": "f"}}]}]),
            "missing_field",
            "messages[0].tool_calls[0].function.arguments",
        ),
    ];
    for (messages, code, param) in cases {
        let body = json!({ "messages": messages }).to_string();
        let error = ChatCompletionRequest::from_json(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (Some(code), Some(param)));
    }
}

#[test]
fn answers_have_null_where_openai_has_null() {
    let answer = ChatCompletionResponse {
        choices: vec![Choice {
            index: Some(0),
            finish_reason: Some("tool_calls".into()),
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(
        String::from_utf8(answer.to_json()).unwrap(),
        r#"{"choices":[{"index":0,"message":{"content":null,"refusal":null},"finish_reason":"tool_calls"}]}"#
    );
}

#[test]
fn a_stream_event_is_read() {
    let body = br#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\""}}]},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}"#;
    let chunk = ChatCompletionChunk::from_json(body).unwrap();
    let choice = chunk.choices.unwrap().remove(0);
    let call = choice.delta.unwrap().tool_calls.unwrap().remove(0);
    assert_eq!(call.function.unwrap().arguments.unwrap(), "{\"");
}

#[test]
fn embeddings_take_texts_and_tokens() {
    let input = |body: &'static str| EmbeddingRequest::from_json(body.as_bytes()).map(|r| r.input);
    use embeddings::Input;
    assert_eq!(input(r#"{"input":"a"}"#), Ok(Input::Text("a".into())));
    assert_eq!(input(r#"{"input":["a","b"]}"#), Ok(Input::Texts(vec!["a".into(), "b".into()])));
    assert!(matches!(input(r#"{"input":[[1,2]]}"#), Ok(Input::Tokens(_))));
    let param = |body| input(body).unwrap_err().param.unwrap();
    assert_eq!(param(r#"{"input":[]}"#), "input");
    assert_eq!(param(r#"{"input":{}}"#), "input");
    assert_eq!(param(r#"{"input":["a",1]}"#), "input[1]");
    let body = br#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10, -1e-3]}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    assert_eq!(EmbeddingResponse::from_json(body).unwrap().to_json(), body);
}

#[test]
fn items_of_the_responses_api_need_not_say_that_they_are_messages() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "u"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "e"},
        {"type": "item_reference", "id": "x"}
    ], "text": {"format": {"type": "json_schema", "name": "s", "schema": {}}}, "store": false});
    let bytes = body.to_string();
    let request = ResponsesRequest::from_json(bytes.as_bytes()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&request.to_json()).unwrap(), body);
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null|true|-?[1-9][0-9]{0,18}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just(r#""\ud83d\ude00\u0041\/""#.to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[ {}]", v.join(" ,"))),
            prop::collection::vec(("[a-z]{1,6}", inner), 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(k, v)| format!("\"{k}\" : {v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// At every level: in the request, a message, a part, a tool, a function.
    #[test]
    fn unknown_fields_survive_byte_for_byte(
        value in any_json(),
        key in "x_[a-z]{0,8}|x_\\\\u00[46][1-9a]",
    ) {
        let more = format!(r#","{key}":{value}"#);
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"a"{more}}},{{"type":"image_url","image_url":{{"url":"u"{more}}}}}],"tool_calls":[{{"type":"function","id":"i","function":{{"name":"f","arguments":"" {more}}}}}]{more}}}],"tools":[{{"type":"function","function":{{"name":"f"{more}}}{more}}}]{more}}}"#
        );
        let written = ChatCompletionRequest::from_json(body.as_bytes()).unwrap().to_json();
        let written = String::from_utf8(written).unwrap();
        prop_assert_eq!(written.matches(&more).count(), 7);
        let again = ChatCompletionRequest::from_json(written.as_bytes()).unwrap().to_json();
        prop_assert_eq!(again, written.into_bytes());

        let body = format!(r#"{{"data":[{{"index":0,"embedding":{value}{more}}}]{more}}}"#);
        prop_assert_eq!(EmbeddingResponse::from_json(body.as_bytes()).unwrap().to_json(), body.into_bytes());
    }

    #[test]
    fn no_bytes_panic(body in any_json(), key in "messages|input|choices|data|output") {
        let body = format!(r#"{{"{key}":{body}}}"#);
        let _ = ChatCompletionRequest::from_json(body.as_bytes());
        let _ = ChatCompletionResponse::from_json(body.as_bytes());
        let _ = ChatCompletionChunk::from_json(body.as_bytes());
        let _ = EmbeddingRequest::from_json(body.as_bytes());
        let _ = EmbeddingResponse::from_json(body.as_bytes());
        let _ = ResponsesRequest::from_json(body.as_bytes());
        let _ = ResponsesResponse::from_json(body.as_bytes());
    }
}
