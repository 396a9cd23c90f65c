//! Every pair against the files under `tests/golden`, and against anything at all.
//!
//! `tests/golden/<pair>/<case>/`, and `<pair>.<pair>` for two of them, holds what goes in and, with `.out`, what comes out of it:
//! `request.json`, `response.json`, `error.json` (`{"status", "body"}`), `stream.sse` or another
//! ending; `context.json` has what differs from [`context`]. `UPDATE_GOLDEN=1` writes what comes
//! out: read the difference before it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::answer::Streams;
use super::*;
use crate::protocol::Dialect;

mod same;

fn context() -> Context {
    Context {
        upstream_model: "upstream-model".into(),
        model: "asked-model".into(),
        request_id: "req-1".into(),
        created: 1_700_000_000,
        default_max_tokens: 4096,
        ..Context::default()
    }
}

fn context_of(case: &Path) -> Context {
    let mut context = context();
    if let Some(Value::Object(given)) = read_json(&case.join("context.json")) {
        for (key, value) in given {
            match key.as_str() {
                "upstream_model" => context.upstream_model = value.as_str().unwrap().into(),
                "stream" => context.stream = value.as_bool().unwrap(),
                "default_max_tokens" => context.default_max_tokens = value.as_u64().unwrap(),
                _ => panic!("{}: {key}", case.display()),
            }
        }
    }
    context
}

#[test]
fn golden_files_come_out_as_they_are_written() {
    let mut seen = Vec::new();
    for directory in directories(&golden()) {
        let route = route(&directory);
        for case in directories(&directory) {
            seen.push(route.client);
            let context = context_of(&case);
            let mut asked =
                Asked { stream: true, usage: true, thinking: true, ..Default::default() };
            if let Some(body) = read(&case.join("request.json")) {
                let out = match route.request(&body, &context) {
                    Ok(translated) => {
                        asked = translated.asked.clone();
                        let body: Value = serde_json::from_slice(&translated.body).unwrap();
                        json!({"path": translated.path, "headers": translated.headers, "warnings": translated.warnings, "body": body})
                    }
                    Err(error) => refusal(&error),
                };
                check_json(&case.join("request.out.json"), &out);
            }
            if let Some(body) = read(&case.join("response.json")) {
                let out = match route.response(&body, &context, &asked) {
                    Ok(body) => serde_json::from_slice(&body).unwrap(),
                    Err(error) => refusal(&error),
                };
                check_json(&case.join("response.out.json"), &out);
            }
            if let Some(error) = read_json(&case.join("error.json")) {
                let status = u16::try_from(error["status"].as_u64().unwrap()).unwrap();
                let body = match &error["body"] {
                    Value::String(text) => text.clone(),
                    body => body.to_string(),
                };
                check_json(
                    &case.join("error.out.json"),
                    &refusal(&route.error(status, body.as_bytes())),
                );
            }
            for ending in ["sse", "jsonl", "hex"] {
                if let Some(body) = read(&case.join(format!("stream.{ending}"))) {
                    let body = if ending == "hex" { from_hex(&body) } else { body };
                    let asked =
                        Asked { stream: true, usage: true, thinking: true, ..asked.clone() };
                    let lines = route.client.operation().dialect() == Dialect::Ollama;
                    let out = if lines { "stream.out.jsonl" } else { "stream.out.sse" };
                    check_stream(route, &case.join(out), &context, &asked, &body);
                }
            }
        }
    }
    for pair in Pair::ALL {
        assert!(seen.contains(pair), "{} has no case", pair.name());
    }
}

/// `<pair>`, or `<pair>.<pair>`.
fn route(directory: &Path) -> Route {
    let name = directory.file_name().unwrap().to_str().unwrap();
    let pair = |name: &str| {
        let found = Pair::ALL.iter().find(|pair| pair.name() == name);
        *found.unwrap_or_else(|| panic!("no pair {name}"))
    };
    match name.split_once('.') {
        None => pair(name).into(),
        Some((client, provider)) => Route::through(pair(client), pair(provider)),
    }
}

/// Whole, and cut at every byte.
fn check_stream(route: Route, file: &Path, context: &Context, asked: &Asked, body: &[u8]) {
    let run = |chunks: &[&[u8]]| {
        let mut stream = Streams::new(route, context, asked);
        let mut out = Vec::new();
        chunks.iter().for_each(|chunk| stream.chunk(chunk, &mut out));
        stream.end(&mut out);
        String::from_utf8(out).unwrap()
    };
    let whole = run(&[body]);
    for cut in 0..body.len() {
        assert_eq!(run(&[&body[..cut], &body[cut..]]), whole, "{} cut at {cut}", file.display());
    }
    let bytes: Vec<_> = body.chunks(1).collect();
    assert_eq!(run(&bytes), whole, "{} byte by byte", file.display());
    if update() {
        fs::write(file, &whole).unwrap();
    }
    assert_eq!(whole, fs::read_to_string(file).unwrap_or_default(), "{}", file.display());
}

fn check_json(file: &Path, value: &Value) {
    if update() {
        fs::write(file, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
    }
    let expected = read_json(file).unwrap_or_default();
    assert_eq!(value, &expected, "{}\n{value:#}", file.display());
}

fn refusal(error: &Error) -> Value {
    json!({"error": {"kind": format!("{:?}", error.kind), "message": error.message, "param": error.param, "code": error.code, "retry": format!("{:?}", error.retry)}})
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn directories(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap_or_else(|error| panic!("{}: {error}", of.display()));
    let mut all: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    all
}

fn read(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok()
}

fn read_json(path: &Path) -> Option<Value> {
    read(path).map(|body| {
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

fn from_hex(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u32> = text.iter().filter_map(|b| char::from(*b).to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn an_answer_is_an_error_a_whole_one_or_a_stream() {
    let ask = |stream: bool| {
        let mut call = Call::new(Pair::OpenAiToAnthropic, context());
        let body = json!({"messages": [{"role": "user", "content": "x"}], "stream": stream});
        call.request(body.to_string().as_bytes()).unwrap();
        call
    };
    let answer = ask(true).answer(200, b"text/event-stream; charset=utf-8");
    assert!(answer.is_stream());
    assert_eq!(answer.content_type(), "text/event-stream");

    // A server that does not stream.
    assert!(!ask(true).answer(200, b"application/json").is_stream());

    let answer = ask(true).answer(529, b"application/json");
    assert!(!answer.is_stream());
    let error =
        answer.whole(br#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#);
    assert_eq!(error.unwrap_err().kind, crate::error::Kind::ServiceUnavailable);

    let error = ask(false).answer(200, b"application/json").whole(b"{}").unwrap_err();
    assert_eq!((error.kind, error.param), (crate::error::Kind::Provider, None));
}

#[test]
fn a_stream_that_cannot_be_understood_ends_with_an_error_event() {
    for pair in Pair::ALL.iter().copied().filter(|pair| pair.framing() == Framing::EventStream) {
        let mut stream = Streams::new(pair.into(), &context(), &Asked::default());
        let mut out = Vec::new();
        stream.chunk(b"data: {\"type\":\n\ndata: x\n\n", &mut out);
        stream.end(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("could not be understood").count(), 1, "{pair:?} {text}");
        assert!(!text.contains("[DONE]"));
    }
}

#[test]
fn what_is_read_of_an_answer_is_bounded() {
    let answer =
        |status| Call::new(Pair::OpenAiToAnthropic, context()).answer(status, b"application/json");
    assert_eq!((answer(200).limit(), answer(400).limit()), (MAX_ANSWER, MAX_ERROR));
    let body = vec![b' '; MAX_ANSWER + 1];
    assert_eq!(answer(200).whole(&body).unwrap_err().message, failure::too_large().message);
}

#[test]
fn a_stream_tells_what_it_keeps_and_gives_it_up_when_it_is_ended() {
    for pair in Pair::ALL.iter().copied() {
        let asked = Asked { stream: true, ..Asked::default() };
        let call = Call { asked, ..Call::new(pair, context()) };
        let mut answer = call.answer(200, b"");
        let mut out = Vec::new();
        // An event that does not end; of Amazon's framing the first message is long.
        let mut begun = b"data: {".to_vec();
        if pair.framing() == Framing::Aws {
            let lengths = [900_000_u32, 0].map(u32::to_be_bytes).concat();
            let checksum = crate::protocol::eventstream::crc32(&lengths).to_be_bytes();
            begun = [&lengths[..], &checksum].concat();
        }
        begun.resize(100_000, b'x');
        answer.chunk(&begun, &mut out);
        assert!(answer.kept() >= 100_000, "{pair:?}: {}", answer.kept());
        assert!(out.is_empty());
        answer.fail(&crate::held::overloaded(), &mut out);
        assert_eq!(answer.kept(), 0);
        let told = String::from_utf8(out.clone()).unwrap();
        assert_eq!(told.matches("is busy").count(), 1, "{pair:?}: {told}");
        answer.chunk(&begun, &mut out);
        answer.end(&mut out);
        assert_eq!(out.len(), told.len());
    }
}

/// Objects with keys that the protocols know and values of every type.
fn any_json() -> impl Strategy<Value = Value> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0u64..5).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words.clone()).prop_map(Value::from),
        "data:image/png;base64,AA|https://x/|\\{\\}|.{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(words.clone()).prop_map(str::to_owned),
                inner,
                0..6
            )
            .prop_map(Value::from_iter),
        ]
    })
}

/// Keys and type words of all protocols.
const WORDS: &str =
    "model messages role content type text user assistant system tool tools function
    name arguments id tool_calls tool_call_id image_url url stream max_tokens stop tool_choice auto
    required response_format json_schema schema reasoning_effort low thinking tool_use tool_result
    input source base64 data media_type delta index usage choices finish_reason message error
    message_start content_block_start content_block_delta content_block content_block_stop
    message_delta message_stop text_delta thinking_delta signature_delta input_json_delta
    stop_reason partial_json signature input_tokens output_tokens candidates parts functionCall args
    finishReason usageMetadata done embedding embeddings output items call_id output_text
    input_text function_call function_call_output reasoning summary";

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_answered_by_every_pair(
        body in any_json(),
        messages in prop::collection::vec(any_json(), 0..3),
        events in prop::collection::vec(any_json(), 0..6),
        status in 100u16..600,
    ) {
        let context = context();
        let asked = Asked { stream: true, usage: true, thinking: true, ..Default::default() };
        let mut wrapped = json!({"messages": messages, "input": messages, "max_tokens": 5, "choices": messages, "content": messages, "output": messages});
        if let Value::Object(members) = &body {
            members.iter().for_each(|(key, value)| wrapped[key] = value.clone());
        }
        for &pair in Pair::ALL {
            for body in [body.to_string(), wrapped.to_string()] {
                if let Ok(translated) = pair.request(body.as_bytes(), &context) {
                    prop_assert!(serde_json::from_slice::<Value>(&translated.body).is_ok());
                }
                if let Ok(answer) = pair.response(body.as_bytes(), &context, &asked) {
                    prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
                }
                prop_assert!(pair.error(status, body.as_bytes()).message.len() <= 2 * failure::MAX_MESSAGE);
            }
            let mut stream = pair.stream(&context, &asked);
            let mut out = Vec::new();
            for event in &events {
                let _ = stream.event(b"", event.to_string().as_bytes(), &mut out);
            }
            let _ = stream.end(&mut out);
            prop_assert!(std::str::from_utf8(&out).is_ok());
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..80), status in any::<u16>()) {
        for &pair in Pair::ALL {
            let _ = pair.request(&body, &context());
            let _ = pair.response(&body, &context(), &Asked::default());
            let _ = pair.error(status, &body);
            let mut stream = Streams::new(pair.into(), &context(), &Asked::default());
            let mut out = Vec::new();
            stream.chunk(&body, &mut out);
            stream.end(&mut out);
        }
    }
}
