use proptest::prelude::*;
use serde_json::{Value, json};

use super::field::Field;
use super::*;
use crate::protocol::{Endpoint, Path, text};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]"#;

fn chat(more: &str) -> String {
    format!("{CHAT}{more}}}")
}

/// Code and param of the refusal.
fn refusal(body: &str, operation: Operation) -> (&'static str, Option<String>) {
    let error = Probe::read(body.as_bytes(), operation).unwrap_err();
    assert_eq!(error.status(), 400);
    (error.code.unwrap(), error.param.map(Cow::into_owned))
}

#[test]
fn a_plain_chat_asks_for_one_answer_and_no_stream() {
    let body = chat("");
    let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
    let model = probe.model.clone().unwrap();
    assert_eq!(model.name, "m");
    assert_eq!(&body.as_bytes()[model.span.start..model.span.end], b"\"m\"");
    assert!(!probe.stream && !probe.asked_for_usage());
    assert_eq!((probe.max_output_tokens, probe.choices), (None, 1));
    assert_eq!((probe.needs, probe.media), (Needs::default(), Media::default()));
    assert_eq!(probe.open, Open { at: 1, empty: false });
}

#[test]
fn what_is_needed_is_read_for_each_operation() {
    use Operation::{Chat, Completion, Messages, OllamaChat, OllamaGenerate, Responses};
    let with = |body: &str, operation| {
        let probe = Probe::read(body.as_bytes(), operation).unwrap();
        (probe.stream, probe.max_output_tokens, probe.choices, probe.needs, probe.media.parts)
    };
    let none = Needs::default();
    let tools = Needs { tools: true, ..none };
    let vision = Needs { vision: true, ..none };
    let reasoning = Needs { reasoning: true, ..none };
    #[rustfmt::skip]
    let cases = [
        (chat(r#","stream":true,"max_tokens":5,"max_completion_tokens":7,"n":3"#), Chat, (true, Some(7), 3, none, 0)),
        (chat(r#","stream":null,"max_tokens":null,"n":null,"tools":[],"reasoning_effort":"none""#), Chat, (false, None, 1, none, 0)),
        (chat(r#","tools":[{"type":"function"}]"#), Chat, (false, None, 1, tools, 0)),
        (chat(r#","reasoning_effort":"low""#), Chat, (false, None, 1, reasoning, 0)),
        (r#"{"messages":[{"role":"user","content":[{"image_url":{"url":"data:"},"type":"image_url"},{"type":"text","text":""},{"type":"file"}]}]}"#.into(), Chat, (false, None, 1, vision, 2)),
        (r#"{"prompt":["a","b"],"best_of":4,"n":2,"max_tokens":9}"#.into(), Completion, (false, Some(9), 8, none, 0)),
        (r#"{"prompt":[1,2,3]}"#.into(), Completion, (false, None, 1, none, 0)),
        (r#"{"prompt":[[1],[2]]}"#.into(), Completion, (false, None, 2, none, 0)),
        (r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image"}]}]}],"max_tokens":1,"thinking":{"type":"disabled"}}"#.into(), Messages, (false, Some(1), 1, vision, 1)),
        (r#"{"messages":[{"role":"user","content":""}],"max_tokens":1,"thinking":{"type":"enabled","budget_tokens":9}}"#.into(), Messages, (false, Some(1), 1, reasoning, 0)),
        (r#"{"input":[{"role":"user","content":[{"type":"input_image"}]}],"max_output_tokens":3}"#.into(), Responses, (false, Some(3), 1, vision, 1)),
        (r#"{"input":"x","reasoning":{"effort":"high"}}"#.into(), Responses, (false, None, 1, reasoning, 0)),
        (r#"{"input":"x","max_tokens":3}"#.into(), Responses, (false, None, 1, none, 0)),
        (r#"{"messages":[],"options":{"num_predict":11}}"#.into(), OllamaChat, (true, Some(11), 1, none, 0)),
        (r#"{"stream":false,"options":{"num_predict":-1},"think":true}"#.into(), OllamaChat, (false, None, 1, reasoning, 0)),
        (r#"{"prompt":"x","images":["aGk="]}"#.into(), OllamaGenerate, (true, None, 1, vision, 1)),
    ];
    for (body, operation, expected) in cases {
        assert_eq!(with(&body, operation), expected, "{body}");
    }
}

#[test]
fn media_counts_its_own_bytes_only() {
    let part = r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#;
    let body = format!(r#"{{"messages":[{{"role":"user","content":["text", {part}]}}]}}"#);
    let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
    assert_eq!(probe.media, Media { parts: 1, bytes: part.len(), tokens: PART_TOKENS });
}

#[test]
fn each_mistake_is_named_with_its_param() {
    use Operation::{Chat, Completion, Embedding, Messages, Other, Responses};
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(257));
    #[rustfmt::skip]
    let cases = [
        ("", Chat, "invalid_json", None),
        ("[]", Chat, "invalid_json", None),
        ("\"x\"", Other, "invalid_json", None),
        ("{}x", Other, "invalid_json", None),
        ("{\"a\":NaN}", Other, "invalid_json", None),
        ("{}", Chat, "missing_field", Some("messages")),
        ("{}", Completion, "missing_field", Some("prompt")),
        ("{}", Embedding, "missing_field", Some("input")),
        ("{}", Responses, "missing_field", Some("input")),
        ("{}", Messages, "missing_field", Some("messages")),
        (r#"{"messages":[{"role":"user"}]}"#, Messages, "missing_field", Some("max_tokens")),
        (r#"{"messages":"x"}"#, Chat, "invalid_type", Some("messages")),
        (r#"{"messages":null}"#, Chat, "invalid_type", Some("messages")),
        (r#"{"messages":[]}"#, Chat, "invalid_value", Some("messages")),
        (r#"{"messages":[{"role":"user"},1]}"#, Chat, "invalid_type", Some("messages[1]")),
        (r#"{"messages":[{"role":"user"},{}]}"#, Chat, "missing_field", Some("messages[1].role")),
        (r#"{"messages":[{"role":1}]}"#, Chat, "invalid_type", Some("messages[0].role")),
        (r#"{"messages":[{"role":"user","content":1}]}"#, Chat, "invalid_type", Some("messages[0].content")),
        (r#"{"model":1}"#, Chat, "invalid_type", Some("model")),
        (r#"{"model":null}"#, Other, "invalid_type", Some("model")),
        (r#"{"model":""}"#, Other, "invalid_value", Some("model")),
        (r#"{"model":"a\u0000"}"#, Other, "invalid_value", Some("model")),
        (r#"{"model":"a\r\nx-evil: 1"}"#, Other, "invalid_value", Some("model")),
        (r#"{"model":"\ud800"}"#, Other, "invalid_value", Some("model")),
        (&long, Other, "invalid_value", Some("model")),
        (r#"{"stream":"true"}"#, Chat, "invalid_type", Some("stream")),
        (r#"{"stream_options":true}"#, Chat, "invalid_type", Some("stream_options")),
        (r#"{"stream_options":{"include_usage":1}}"#, Chat, "invalid_type", Some("stream_options.include_usage")),
        (r#"{"max_tokens":-1}"#, Chat, "invalid_value", Some("max_tokens")),
        (r#"{"max_tokens":1.5}"#, Chat, "invalid_value", Some("max_tokens")),
        (r#"{"max_tokens":99999999999999999999}"#, Chat, "invalid_value", Some("max_tokens")),
        (r#"{"n":"2"}"#, Chat, "invalid_type", Some("n")),
        (r#"{"prompt":[]}"#, Completion, "invalid_value", Some("prompt")),
        (r#"{"input":{}}"#, Embedding, "invalid_type", Some("input")),
    ];
    for (body, operation, code, param) in cases {
        assert_eq!(refusal(body, operation), (code, param.map(str::to_owned)), "{body}");
    }
}

#[test]
fn a_second_model_is_refused_however_it_is_spelled() {
    for key in ["model", r"mod\u0065l", r"\u006d\u006F\u0064\u0065\u006c"] {
        let body = chat(&format!(r#","{key}":"other""#));
        assert_eq!(refusal(&body, Operation::Chat), ("duplicate_field", Some("model".into())));
    }
    // What Go's reader takes for the same key.
    for (key, field) in [
        ("Model", "model"),
        ("MODEL", "model"),
        (r"\u004dodel", "model"),
        ("ſtream", "stream"),
        ("max_toKens", "max_tokens"),
    ] {
        let body = chat(&format!(r#","{key}":"other""#));
        assert_eq!(refusal(&body, Operation::Chat), ("invalid_value", Some(field.into())), "{key}");
    }
    for field in Field::ALL {
        let body = format!(r#"{{"{0}":"a","{0}":"a"}}"#, field.name());
        assert_eq!(
            refusal(&body, Operation::Other),
            ("duplicate_field", Some(field.name().into()))
        );
        assert_eq!(Field::exact(field.name().as_bytes()), Some(field));
    }
}

#[test]
fn an_escaped_key_is_the_same_key() {
    let body = r#"{"mod\u0065l":"a\u002fb","m\u0065ssages":[{"role":"user"}],"\ud800":1}"#;
    let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
    assert_eq!(probe.model.unwrap().name, "a/b");
}

#[test]
fn unknown_members_of_any_shape_pass() {
    let body = chat(r#","x":{"model":1,"messages":[]},"X-Y":[[{}]],"é":"\ud800""#);
    assert_eq!(Probe::read(body.as_bytes(), Operation::Chat).unwrap().model.unwrap().name, "m");
}

#[test]
fn a_body_cut_at_any_byte_is_refused_as_json() {
    let body = chat(
        r#","stream":true,"stream_options":{"include_usage":true},"max_tokens":12,"tools":[{"a":"é"}]"#,
    );
    assert!(Probe::read(body.as_bytes(), Operation::Chat).unwrap().asked_for_usage());
    for cut in 0..body.len() {
        let error = Probe::read(&body.as_bytes()[..cut], Operation::Chat).unwrap_err();
        assert_eq!(error.code, Some("invalid_json"), "{cut}");
    }
}

#[test]
fn errors_never_repeat_the_prompt() {
    for more in [r#","secret":"sesame"x"#, r#","stream":"sesame""#, r#","n":"sesame""#] {
        let error = Probe::read(chat(more).as_bytes(), Operation::Chat).unwrap_err();
        assert!(!error.message.contains("sesame"), "{}", error.message);
    }
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop::sample::select(Operation::ALL.to_vec())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,8}|type|content", inner, 0..4)
                .prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(operation in any_operation(), body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Probe::read(&body, operation);
        let _ = Probe::read(&[b"{\"messages\":[{\"content\":".as_slice(), &body].concat(), operation);
    }

    #[test]
    fn the_probe_sees_what_serde_json_sees(
        model in "[^\\p{Cc}]{1,40}".prop_filter("shown", |name| name.chars().all(text::is_shown)),
        stream in any::<Option<bool>>(),
        usage in any::<Option<bool>>(),
        max in any::<Option<u64>>(),
        content in any_value(),
        extra in prop::collection::btree_map("x_[a-z\"\\\\é]{0,8}", any_value(), 0..4),
        pretty in any::<bool>(),
    ) {
        prop_assume!(model.len() <= MAX_MODEL_BYTES);
        prop_assume!(content.is_string() || content.is_array() || content.is_null());
        let mut value = json!({
            "model": model, "stream": stream, "max_tokens": max,
            "messages": [{"role": "user", "content": content}],
            "stream_options": usage.map(|usage| json!({"include_usage": usage})),
        });
        for (key, extra) in extra {
            value[key] = extra;
        }
        let body = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
        let found = probe.model.as_ref().unwrap();
        prop_assert_eq!(&found.name, &model);
        let span = &body.as_bytes()[found.span.start..found.span.end];
        prop_assert_eq!(serde_json::from_slice::<String>(span).unwrap(), model);
        prop_assert_eq!(probe.stream, stream.unwrap_or(false));
        prop_assert_eq!(probe.asked_for_usage(), usage.unwrap_or(false));
        prop_assert_eq!(probe.max_output_tokens, max);
    }

    /// Whatever passes parses, and to the same model.
    #[test]
    fn mangled_bodies_pass_only_if_they_parse(at in 0usize..120, byte in any::<u8>(), operation in any_operation()) {
        let mut body = chat(r#","stream":true,"max_tokens":12,"input":"a","prompt":["é"]"#).into_bytes();
        if let Some(place) = body.get_mut(at) {
            *place = byte;
        }
        if let Ok(probe) = Probe::read(&body, operation) {
            let value: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(probe.model.as_ref().map(|model| &*model.name), value.get("model").and_then(Value::as_str));
        }
    }
}

mod gemini {
    use super::*;
    use crate::protocol::edit::Edits;

    fn source(method: &str) -> Source {
        let path = format!("/v1beta/models/org%2Fm:{method}?alt=sse");
        let path = Path::read(path.as_bytes());
        assert!(matches!(Endpoint::of(b"POST", &path), Endpoint::Call(_)));
        Source::of(&path, std::iter::empty())
    }

    fn read(
        body: &str,
        operation: Operation,
    ) -> Result<(bool, Option<u64>, u64, Needs, usize), Error> {
        let source = source("generateContent");
        let probe = source.read(body.as_bytes(), operation)?;
        assert_eq!(probe.model.unwrap().name, "org/m");
        let Probe { stream, max_output_tokens, choices, needs, media, .. } = probe;
        Ok((stream, max_output_tokens, choices, needs, media.parts))
    }

    const CONTENTS: &str = r#""contents":[{"parts":[{"text":"hi"}]}]"#;

    #[test]
    fn what_is_needed_is_read_in_both_spellings() {
        use Operation::{GeminiBatchEmbed, GeminiEmbed, GeminiGenerate, GeminiStream};
        let none = Needs::default();
        let vision = Needs { vision: true, ..none };
        let tools = Needs { tools: true, ..none };
        let reasoning = Needs { reasoning: true, ..none };
        let with = |more: &str| format!("{{{CONTENTS}{more}}}");
        #[rustfmt::skip]
        let cases = [
            (with(r#","generationConfig":{"maxOutputTokens":7,"candidateCount":2}"#), GeminiStream, (true, Some(7), 2, none, 0)),
            (with(r#","generation_config":{"max_output_tokens":"7"}"#), GeminiGenerate, (false, Some(7), 1, none, 0)),
            (with(r#","generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}"#), GeminiGenerate, (false, None, 1, reasoning, 0)),
            (with(r#","generationConfig":{"thinking_config":{"thinking_budget":0}}"#), GeminiGenerate, (false, None, 1, none, 0)),
            (with(r#","tools":[{"functionDeclarations":[]}]"#), GeminiGenerate, (false, None, 1, tools, 0)),
            (with(r#","tools":[]"#), GeminiGenerate, (false, None, 1, none, 0)),
            (r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"aGk="}},{"file_data":{"mime_type":"audio/wav","file_uri":"x"}}]}]}"#.into(), GeminiGenerate, (false, None, 1, vision, 2)),
            (r#"{"content":{"parts":[{"text":"a"}]}}"#.into(), GeminiEmbed, (false, None, 1, none, 0)),
            (r#"{"requests":[{"model":"models/org/m","content":{"parts":[{"text":"a"}]}}]}"#.into(), GeminiBatchEmbed, (false, None, 1, none, 0)),
        ];
        for (body, operation, expected) in cases {
            assert_eq!(read(&body, operation), Ok(expected), "{body}");
        }
    }

    #[test]
    fn mistakes_are_named_by_their_field() {
        use Operation::{GeminiBatchEmbed, GeminiEmbed, GeminiGenerate};
        let with = |more: &str| format!("{{{CONTENTS},{more}}}");
        let many = vec![r#"{"content":{}}"#; MAX_PLACES + 1].join(",");
        let cases = [
            ("{}".into(), GeminiGenerate, "contents"),
            ("{}".into(), GeminiEmbed, "content"),
            ("{}".into(), GeminiBatchEmbed, "requests"),
            (r#"{"requests":[]}"#.into(), GeminiBatchEmbed, "requests"),
            (format!(r#"{{"requests":[{many}]}}"#), GeminiBatchEmbed, "requests"),
            (r#"{"contents":[]}"#.into(), GeminiGenerate, "contents"),
            (with(r#""generationConfig":1"#), GeminiGenerate, "generationConfig"),
            (
                with(r#""generationConfig":{},"generation_config":{}"#),
                GeminiGenerate,
                "generationConfig",
            ),
            (
                with(r#""generationConfig":{"maxOutputTokens":-1}"#),
                GeminiGenerate,
                "generationConfig.maxOutputTokens",
            ),
            (
                with(r#""generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}"#),
                GeminiGenerate,
                "generationConfig.maxOutputTokens",
            ),
            (with(r#""model":"models/other""#), GeminiGenerate, "model"),
            (
                r#"{"requests":[{"content":{}},{"model":"models/other"}]}"#.into(),
                GeminiBatchEmbed,
                "requests[1].model",
            ),
            (
                r#"{"requests":[{"model":"models/org/m","mod\u0065l":"models/x"}]}"#.into(),
                GeminiBatchEmbed,
                "requests[0].model",
            ),
        ];
        for (body, operation, field) in cases {
            let error = read(&body, operation).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(field), "{body}");
            assert_eq!(error.status(), 400);
        }
    }

    #[test]
    fn the_model_is_renamed_wherever_it_stands() {
        let source = source("batchEmbedContents");
        let body = r#"{"requests":[{"model":"models/org/m","content":{}},{"content":{},"model":"org/m"}]}"#;
        let probe = source.read(body.as_bytes(), Operation::GeminiBatchEmbed).unwrap();
        let mut edits = Edits::default();
        edits.set_model(&probe, "new:1");
        let expected = r#"{"requests":[{"model":"models/new:1","content":{}},{"content":{},"model":"models/new:1"}]}"#;
        assert_eq!(edits.apply(body.as_bytes()), expected.as_bytes());
        let path = probe.path_with("new:1").unwrap();
        assert_eq!(path, b"/v1beta/models/new%3A1:batchEmbedContents?alt=sse");
        assert_eq!(probe.path_with("org/m"), None);
    }

    #[test]
    fn other_methods_are_read_for_their_model_only() {
        let source = source("countTokens");
        let body = r#"{"generateContentRequest":{"model":"models/org/m","contents":[]}}"#;
        let probe = source.read(body.as_bytes(), Operation::Other).unwrap();
        assert_eq!((probe.model.unwrap().name.as_ref(), probe.places.len()), ("org/m", 1));
    }
}
