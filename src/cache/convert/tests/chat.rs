//! OpenAI's chat and text completions.

use super::*;

#[derive(Clone, Debug)]
struct Choice {
    content: Option<String>,
    refusal: Option<String>,
    reasoning: Option<String>,
    tools: Vec<(String, Value)>,
    notes: Vec<String>,
    logprobs: bool,
    finish: &'static str,
}

fn choice() -> impl Strategy<Value = Choice> {
    (
        option::of(text()),
        option::weighted(0.2, text()),
        option::of(text()),
        vec(("[a-z_]{1,8}", arguments()), 0..3),
        vec("[a-z]{0,4}", 0..2),
        any::<bool>(),
        prop_oneof![Just("stop"), Just("length"), Just("tool_calls"), Just("content_filter")],
    )
        .prop_map(|(content, refusal, reasoning, tools, notes, logprobs, finish)| {
            let logprobs = logprobs && content.is_some();
            Choice { content, refusal, reasoning, tools, notes, logprobs, finish }
        })
}

fn usage() -> Value {
    json!({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
        "completion_tokens_details": {"reasoning_tokens": 2}})
}

fn entry(token: &str) -> Value {
    json!({"token": token, "logprob": -0.10, "bytes": token.as_bytes(), "top_logprobs": []})
}

/// The log probabilities of a text in tokens of `size` characters.
fn logprobs(text: &str, size: usize) -> Value {
    match cut(text, size).iter().map(|token| entry(token)).collect::<Vec<_>>() {
        none if none.is_empty() => Value::Null,
        all => json!({"content": all, "refusal": null}),
    }
}

/// What OpenAI answers without `stream`.
fn whole(choices: &[Choice], size: usize) -> Value {
    let choices: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let notes: Vec<_> = choice.notes.iter().map(|note| json!({"type": note})).collect();
            let mut message = json!({"role": "assistant", "content": choice.content,
            "refusal": choice.refusal, "annotations": notes});
            if let Some(reasoning) = &choice.reasoning {
                message["reasoning_content"] = json!(reasoning);
            }
            if !choice.tools.is_empty() {
                message["tool_calls"] = choice
                    .tools
                    .iter()
                    .enumerate()
                    .map(|(at, (name, arguments))| {
                        json!({"id": format!("call_{at}"), "type": "function",
                    "function": {"name": name, "arguments": arguments.to_string()}})
                    })
                    .collect();
            }
            let text = choice.content.as_deref().filter(|_| choice.logprobs);
            json!({"index": index, "message": message, "finish_reason": choice.finish,
            "logprobs": text.map_or(Value::Null, |text| logprobs(text, size))})
        })
        .collect();
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_741_570_283,
        "model": "gpt-4o-2024-08-06", "choices": choices, "usage": usage(),
        "service_tier": "default", "system_fingerprint": "fp_1"})
}

/// What OpenAI answers with `stream`, in tokens of `size` characters.
fn streamed(choices: &[Choice], size: usize, with_usage: bool) -> String {
    let mut events = Vec::new();
    let mut chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk",
            "created": 1_741_570_283, "model": "gpt-4o-2024-08-06", "service_tier": "default",
            "system_fingerprint": "fp_1", "choices": choices, "obfuscation": "xyz"});
        if with_usage {
            chunk["usage"] = usage;
        }
        events.push(("", chunk));
    };
    let mut parts: Vec<Vec<Value>> = Vec::new();
    for (index, choice) in choices.iter().enumerate() {
        let mut mine = Vec::new();
        let mut delta = |delta: Value, logprobs: Value| {
            mine.push(json!({"index": index, "delta": delta, "logprobs": logprobs,
                "finish_reason": null}));
        };
        let empty = choice.content.as_ref().map(|_| "");
        delta(json!({"role": "assistant", "content": empty, "refusal": null}), Value::Null);
        let reasoning = choice.reasoning.as_ref();
        reasoning.into_iter().for_each(|_| delta(json!({"reasoning_content": ""}), Value::Null));
        for token in cut(choice.reasoning.as_deref().unwrap_or_default(), size) {
            delta(json!({"reasoning_content": token}), Value::Null);
        }
        for token in cut(choice.content.as_deref().unwrap_or_default(), size) {
            let logprobs = if choice.logprobs { logprobs(&token, size) } else { Value::Null };
            delta(json!({"content": token}), logprobs);
        }
        if let Some(refusal) = &choice.refusal {
            delta(json!({"refusal": ""}), Value::Null);
            cut(refusal, size).iter().for_each(|t| delta(json!({"refusal": t}), Value::Null));
        }
        for note in &choice.notes {
            delta(json!({"annotations": [{"type": note}]}), Value::Null);
        }
        for (at, (name, arguments)) in choice.tools.iter().enumerate() {
            let head = json!({"index": at, "id": format!("call_{at}"), "type": "function",
                "function": {"name": name, "arguments": ""}});
            delta(json!({"tool_calls": [head]}), Value::Null);
            for token in cut(&arguments.to_string(), size) {
                let part = json!({"index": at, "function": {"arguments": token}});
                delta(json!({"tool_calls": [part]}), Value::Null);
            }
        }
        mine.push(json!({"index": index, "delta": {}, "logprobs": null,
            "finish_reason": choice.finish}));
        mine.reverse();
        parts.push(mine);
    }
    // The choices come side by side.
    while parts.iter().any(|mine| !mine.is_empty()) {
        for part in parts.iter_mut().filter_map(Vec::pop) {
            chunk(json!([part]), Value::Null);
        }
    }
    if with_usage {
        chunk(json!([]), usage());
    }
    sse(events) + "data: [DONE]\n\n"
}

/// Adds up as OpenAI's SDKs do: strings are joined, objects merged, lists merged by index or
/// appended.
fn add(all: &mut Value, more: &Value) {
    match (&mut *all, more) {
        (_, Value::Null) => {}
        (Value::String(all), Value::String(more)) => all.push_str(more),
        (Value::Object(all), Value::Object(more)) => {
            for (key, value) in more {
                let place = all.entry(key.clone()).or_insert(Value::Null);
                match key.as_str() {
                    "index" | "type" | "id" | "role" => *place = value.clone(),
                    _ => add(place, value),
                }
            }
        }
        (Value::Array(all), Value::Array(more)) => {
            for item in more {
                let index = item.get("index").filter(|index| index.is_u64());
                match all.iter_mut().find(|old| index.is_some() && old.get("index") == index) {
                    Some(old) => add(old, item),
                    None => all.push(item.clone()),
                }
            }
        }
        (all, more) => *all = more.clone(),
    }
}

/// What a client has of a stream in the end, and how the first and last of its chunks look.
fn collected(stream: &str) -> Value {
    assert!(stream.ends_with("data: [DONE]\n\n"));
    let mut all = json!({"choices": []});
    for mut chunk in data(stream) {
        let members = chunk.as_object_mut().unwrap();
        members.remove("obfuscation");
        let choices = members.remove("choices").unwrap();
        let usage = members.remove("usage");
        all["head"] = chunk;
        if let Some(usage) = usage {
            add(&mut all["usage"], &usage);
            all["asked"] = json!(true);
        }
        add(&mut all["choices"], &choices);
    }
    let choices = all["choices"].as_array_mut().unwrap();
    choices.sort_by_key(|choice| choice["index"].as_u64());
    // Null or nothing: a client cannot tell.
    for choice in choices {
        choice.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    all
}

proptest! {
    #[test]
    fn a_chat_is_the_same_in_both_forms(
        choices in vec(choice(), 1..4), size in 1..40_usize, with_usage: bool,
    ) {
        let (json, stream) = (whole(&choices, size), streamed(&choices, size, true));
        prop_assert_eq!(&to_json(Operation::Chat, &stream), &json);
        let made = to_stream(Operation::Chat, &json, with_usage);
        let expected = streamed(&choices, size, with_usage);
        prop_assert_eq!(collected(&made), collected(&expected));
        prop_assert_eq!(&to_json(Operation::Chat, &to_stream(Operation::Chat, &json, true)), &json);
    }

    #[test]
    fn a_text_completion_is_the_same_in_both_forms(
        texts in vec(text(), 1..3), size in 1..20_usize, with_usage: bool, probable: bool,
    ) {
        let logprobs = |tokens: &[String]| match tokens {
            [] => Value::Null,
            _ if !probable => Value::Null,
            _ => json!({"tokens": tokens, "token_logprobs": tokens.iter().map(|_| -1.50)
                .collect::<Vec<_>>(), "top_logprobs": null}),
        };
        let head = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"});
        let with = |extra: Value| {
            let mut all = head.clone();
            all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            all
        };
        let choices: Vec<_> = texts.iter().enumerate().map(|(index, text)| json!({"text": text,
            "index": index, "logprobs": logprobs(&cut(text, size)), "finish_reason": "stop"}))
            .collect();
        let json = with(json!({"choices": choices, "usage": usage()}));
        let mut events = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            for token in cut(text, size) {
                events.push(json!([{"text": token, "index": index,
                    "logprobs": logprobs(std::slice::from_ref(&token)), "finish_reason": null}]));
            }
            events.push(json!([{"text": "", "index": index, "logprobs": null,
                "finish_reason": "stop"}]));
        }
        let streamed = |with_usage: bool| {
            let mut events: Vec<_> = events.iter().map(|choices| {
                let mut extra = json!({"choices": choices});
                with_usage.then(|| extra["usage"] = Value::Null);
                ("", with(extra))
            }).collect();
            with_usage.then(|| events.push(("", with(json!({"choices": [], "usage": usage()})))));
            sse(events) + "data: [DONE]\n\n"
        };
        let operation = Operation::Completion;
        prop_assert_eq!(&to_json(operation, &streamed(true)), &json);
        let made = to_stream(operation, &json, with_usage);
        prop_assert_eq!(collected(&made), collected(&streamed(with_usage)));
        prop_assert_eq!(&to_json(operation, &to_stream(operation, &json, true)), &json);
    }
}

/// The bytes, so that nobody changes the framing by accident.
#[test]
fn a_stream_looks_as_openai_sends_it() {
    let made =
        String::from_utf8(convert(Operation::Chat, Form::Json, JSON.as_bytes(), true).unwrap());
    assert_eq!(made.unwrap(), STREAM);
    let made = convert(Operation::Chat, Form::Stream, STREAM.as_bytes(), false).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&made).unwrap(),
        serde_json::from_str::<Value>(JSON).unwrap()
    );
}

#[test]
fn tokens_that_are_known_are_the_pieces() {
    let choice = Choice {
        content: Some("one two".to_owned()),
        refusal: None,
        reasoning: None,
        tools: Vec::new(),
        notes: Vec::new(),
        logprobs: true,
        finish: "stop",
    };
    let made = to_stream(Operation::Chat, &whole(&[choice], 3), false);
    let pieces: Vec<_> = data(&made)
        .iter()
        .filter_map(|chunk| {
            let choice = &chunk["choices"][0];
            let token = choice["logprobs"]["content"][0]["token"].as_str()?;
            assert_eq!(choice["delta"]["content"], token);
            Some(token.to_owned())
        })
        .collect();
    assert_eq!(pieces, ["one", " tw", "o"]);
}

#[test]
fn what_nobody_can_be_sure_of_is_refused() {
    let choice = |extra: &str| {
        format!(r#"{{"id":"1","object":"chat.completion","choices":[{{"index":0,{extra}}}]}}"#)
    };
    let message = |extra: &str| {
        choice(&format!(r#""message":{{"role":"assistant",{extra}}},"finish_reason":"stop""#))
    };
    for (body, why) in [
        (message(r#""content":[{"type":"text","text":"x"}]"#), Obstacle::Unknown),
        (message(r#""content":null,"audio":{"id":"a"}"#), Obstacle::Unknown),
        (message(r#""content":null,"tool_calls":[{"type":"function"}]"#), Obstacle::Unknown),
        (message(r#""content":"a","reasoning":{"x":1}"#), Obstacle::Unknown),
        (
            choice(r#""message":{"role":"assistant","content":"x"},"finish_reason":null"#),
            Obstacle::Unfinished,
        ),
        (
            choice(
                r#""message":{"role":"assistant","content":null},"finish_reason":"stop","logprobs":{"content":[1]}"#,
            ),
            Obstacle::Unknown,
        ),
        (choice(r#""message":"x","finish_reason":"stop""#), Obstacle::Malformed),
        (r#"{"object":"list","choices":[]}"#.to_owned(), Obstacle::Malformed),
    ] {
        assert_eq!(refused(Operation::Chat, Form::Json, &body), why, "{body}");
    }
    let chunk = |id: &str, choice: &str| {
        format!("data: {{\"id\":\"{id}\",\"choices\":[{{{choice}}}]}}\n\n")
    };
    let text = r#""index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null"#;
    let stop = r#""index":0,"delta":{},"finish_reason":"stop""#;
    let end = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
    let good = chunk("1", text) + &chunk("1", stop) + end;
    assert!(convert(Operation::Chat, Form::Stream, good.as_bytes(), true).is_ok());
    for (stream, why) in [
        (chunk("1", text) + &chunk("2", stop) + end, Obstacle::Conflict),
        (chunk("1", text) + &chunk("1", stop) + "data: [DONE]\n\n", Obstacle::NoUsage),
        (chunk("1", text) + end, Obstacle::Unfinished),
        (end.to_owned(), Obstacle::Malformed),
        (chunk("1", r#""index":0,"delta":{"audio":{"id":"a"}}"#) + &good, Obstacle::Unknown),
        (chunk("1", r#""index":0,"delta":{"tool_calls":[{"id":"a"}]}"#) + &good, Obstacle::Unknown),
        (
            chunk("1", r#""index":0,"delta":{"new":"a"}"#)
                + &chunk("1", r#""index":0,"delta":{"new":"b"}"#)
                + &good,
            Obstacle::Unknown,
        ),
        (format!("data: {{\"id\":\ndata: \"1\"}}\n\n{good}"), Obstacle::Malformed),
    ] {
        assert_eq!(refused(Operation::Chat, Form::Stream, &stream), why, "{stream}");
    }
}

/// What other servers add is kept.
#[test]
fn members_of_other_servers_are_kept() {
    let json = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "provider": "p", "choices": [{"index": 0, "message": {"role": "assistant",
            "content": "a", "reasoning": "b", "reasoning_details": [{"text": "b"}]},
            "finish_reason": "stop", "native_finish_reason": "STOP"}],
        "usage": usage()});
    assert_eq!(to_json(Operation::Chat, &to_stream(Operation::Chat, &json, true)), json);
}

#[rustfmt::skip]
pub(super) const JSON: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1741570283,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \ud83d\ude00","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11},"system_fingerprint":"fp_1"}"#;

pub(super) const STREAM: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":"Hi \ud83d\ude00"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o","system_fingerprint":"fp_1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#,
    "\n\ndata: [DONE]\n\n",
);
