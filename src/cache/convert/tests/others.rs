//! Anthropic's messages, OpenAI's responses, Ollama.

use super::*;

#[derive(Clone, Debug)]
enum Block {
    Text(String, Vec<String>),
    Thinking(String),
    Tool(String, Value),
    Redacted(String),
    Result(Value),
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        (text(), vec("[a-z]{0,4}", 0..2)).prop_map(|(text, cites)| Block::Text(text, cites)),
        text().prop_map(Block::Thinking),
        ("[a-z]{1,5}", arguments()).prop_map(|(name, input)| Block::Tool(name, input)),
        "[A-Za-z]{0,8}".prop_map(Block::Redacted),
        arguments().prop_map(Block::Result),
    ]
}

impl Block {
    fn whole(&self) -> Value {
        match self {
            Self::Text(text, cites) => json!({"type": "text", "text": text,
                "citations": cites.iter().map(|c| json!({"cited_text": c})).collect::<Vec<_>>()}),
            Self::Thinking(text) => {
                json!({"type": "thinking", "thinking": text, "signature": "c2ln"})
            }
            Self::Tool(name, input) => {
                json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": input})
            }
            Self::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
            Self::Result(content) => json!({"type": "web_search_tool_result", "content": content}),
        }
    }

    fn begun(&self) -> Value {
        let mut begun = self.whole();
        for (key, empty) in [
            ("text", json!("")),
            ("citations", json!([])),
            ("thinking", json!("")),
            ("signature", json!("")),
            ("input", json!({})),
        ] {
            if begun.get(key).is_some() {
                begun[key] = empty;
            }
        }
        begun
    }

    fn deltas(&self, size: usize) -> Vec<Value> {
        let part = |kind: &str, key: &str, text: &str| -> Vec<Value> {
            cut(text, size).iter().map(|piece| json!({"type": kind, key: piece})).collect()
        };
        match self {
            Self::Text(text, cites) => {
                let cites = cites.iter().map(
                    |cite| json!({"type": "citations_delta", "citation": {"cited_text": cite}}),
                );
                part("text_delta", "text", text).into_iter().chain(cites).collect()
            }
            Self::Thinking(text) => {
                let mut all = part("thinking_delta", "thinking", text);
                all.push(json!({"type": "signature_delta", "signature": "c2ln"}));
                all
            }
            Self::Tool(_, input) => {
                let mut all = vec![json!({"type": "input_json_delta", "partial_json": ""})];
                if *input != json!({}) {
                    all.extend(part("input_json_delta", "partial_json", &input.to_string()));
                }
                all
            }
            Self::Redacted(_) | Self::Result(_) => Vec::new(),
        }
    }
}

fn message(blocks: &[Block]) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": blocks.iter().map(Block::whole).collect::<Vec<_>>(),
        "stop_reason": "stop_sequence", "stop_sequence": "END",
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 3, "output_tokens": 77,
            "service_tier": "standard"}})
}

fn message_stream(blocks: &[Block], size: usize) -> String {
    let mut events = Vec::new();
    let mut event = |name: &'static str, mut data: Value| {
        data["type"] = json!(name);
        events.push((name, data));
    };
    event(
        "message_start",
        json!({"message": {"id": "msg_1", "type": "message",
        "role": "assistant", "model": "claude", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": {"input_tokens": 10, "cache_read_input_tokens": 3,
            "output_tokens": 1, "service_tier": "standard"}}}),
    );
    for (index, block) in blocks.iter().enumerate() {
        event("content_block_start", json!({"index": index, "content_block": block.begun()}));
        if index == 0 {
            event("ping", json!({}));
        }
        for delta in block.deltas(size) {
            event("content_block_delta", json!({"index": index, "delta": delta}));
        }
        event("content_block_stop", json!({"index": index}));
    }
    event(
        "message_delta",
        json!({"delta": {"stop_reason": "stop_sequence",
        "stop_sequence": "END"}, "usage": {"input_tokens": 10, "cache_read_input_tokens": 3,
        "output_tokens": 77}}),
    );
    event("message_stop", json!({}));
    sse(events)
}

/// What Anthropic's SDK has of a stream after each event; here, at the end.
fn message_collected(stream: &str) -> Value {
    let mut all = Value::Null;
    let mut inputs: Vec<String> = Vec::new();
    for event in data(stream) {
        let index = event["index"].as_u64().unwrap_or_default() as usize;
        match event["type"].as_str().unwrap() {
            "message_start" => all = event["message"].clone(),
            "content_block_start" => {
                let content = all["content"].as_array_mut().unwrap();
                assert_eq!(content.len(), index);
                content.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let (block, delta) = (&mut all["content"][index], &event["delta"]);
                let append = |place: &mut Value, more: &Value| {
                    *place = json!(place.as_str().unwrap().to_owned() + more.as_str().unwrap());
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "citations_delta" => {
                        block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
                    }
                    _ => inputs[index].push_str(delta["partial_json"].as_str().unwrap()),
                }
            }
            "content_block_stop" if !inputs[index].is_empty() => {
                all["content"][index]["input"] = serde_json::from_str(&inputs[index]).unwrap();
            }
            "message_delta" => {
                for part in [&event["delta"], &json!({})] {
                    for (key, value) in part.as_object().unwrap() {
                        all[key] = value.clone();
                    }
                }
                for (key, value) in event["usage"].as_object().unwrap() {
                    all["usage"][key] = value.clone();
                }
            }
            _ => {}
        }
    }
    all
}

#[derive(Clone, Debug)]
enum Item {
    Message(Vec<(String, Vec<String>)>),
    Refusal(String),
    Reasoning(Vec<String>),
    Call(String, Value),
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        vec((text(), vec("[a-z]{0,4}", 0..2)), 0..3).prop_map(Item::Message),
        text().prop_map(Item::Refusal),
        vec(text(), 0..2).prop_map(Item::Reasoning),
        ("[a-z]{1,5}", arguments()).prop_map(|(name, arguments)| Item::Call(name, arguments)),
    ]
}

fn response(items: &[Item]) -> Value {
    let items = items.iter().enumerate().map(|(at, item)| match item {
        Item::Message(parts) => json!({"id": format!("msg_{at}"), "type": "message",
            "role": "assistant", "status": "completed", "content": parts.iter()
                .map(|(text, notes)| json!({"type": "output_text", "text": text, "logprobs": [],
                    "annotations": notes})).collect::<Vec<_>>()}),
        Item::Refusal(text) => json!({"id": format!("msg_{at}"), "type": "message",
            "role": "assistant", "status": "completed",
            "content": [{"type": "refusal", "refusal": text}]}),
        Item::Reasoning(parts) => json!({"id": format!("rs_{at}"), "type": "reasoning",
            "summary": parts.iter().map(|text| json!({"type": "summary_text", "text": text}))
                .collect::<Vec<_>>()}),
        Item::Call(name, arguments) => json!({"id": format!("fc_{at}"), "type": "function_call",
            "status": "completed", "call_id": "call_1", "name": name,
            "arguments": arguments.to_string()}),
    });
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "error": null, "incomplete_details": null, "model": "gpt-4o", "temperature": 1.0,
        "output": items.collect::<Vec<_>>(), "usage": {"input_tokens": 5, "output_tokens": 6}})
}

/// What OpenAI's SDK has put together before the last event, which has the whole.
fn response_collected(stream: &str) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for (number, event) in data(stream).into_iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        let kind = event["type"].as_str().unwrap().strip_prefix("response.").unwrap();
        if matches!(kind, "created" | "in_progress") {
            assert_eq!(event["response"]["status"], "in_progress");
            assert_eq!((&event["response"]["output"], number < 2), (&json!([]), true));
            continue;
        }
        if kind == "output_item.added" {
            items.push(event["item"].clone());
            continue;
        }
        if kind == "completed" {
            break;
        }
        let item = &mut items[event["output_index"].as_u64().unwrap() as usize];
        if kind == "output_item.done" {
            // What is told by pieces is what is told at once.
            if item.get("status").is_some() {
                item["status"] = json!("completed");
            }
            assert_eq!(*item, event["item"]);
            continue;
        }
        assert_eq!(item["id"], event["item_id"]);
        let (list, index) = match event.get("summary_index") {
            Some(index) => ("summary", index),
            None => ("content", &event["content_index"]),
        };
        if kind.ends_with("part.added") {
            item[list].as_array_mut().unwrap().push(event["part"].clone());
            continue;
        }
        let part = match index.as_u64() {
            Some(index) => &mut item[list][index as usize],
            None => &mut *item,
        };
        let key = match kind.split('.').next().unwrap() {
            "output_text" | "reasoning_summary_text" => "text",
            "refusal" => "refusal",
            "function_call_arguments" => "arguments",
            _ => "",
        };
        match kind.rsplit('.').next().unwrap() {
            "delta" => {
                let text = part[key].as_str().unwrap().to_owned();
                part[key] = json!(text + event["delta"].as_str().unwrap());
            }
            "added" => {
                part["annotations"].as_array_mut().unwrap().push(event["annotation"].clone())
            }
            "done" if key.is_empty() => assert_eq!(*part, event["part"]),
            "done" => assert_eq!(part[key], event[key]),
            other => panic!("{other}"),
        }
    }
    items
}

proptest! {
    #[test]
    fn a_message_is_the_same_in_both_forms(blocks in vec(block(), 0..4), size in 1..40_usize) {
        let (json, stream) = (message(&blocks), message_stream(&blocks, size));
        let operation = Operation::Messages;
        prop_assert_eq!(&to_json(operation, &stream), &json);
        let made = to_stream(operation, &json, false);
        prop_assert_eq!(&message_collected(&made), &json);
        prop_assert_eq!(&message_collected(&stream), &json);
        prop_assert_eq!(&to_json(operation, &made), &json);
    }

    #[test]
    fn a_response_is_the_same_in_both_forms(items in vec(item(), 0..4)) {
        let json = response(&items);
        let made = to_stream(Operation::Responses, &json, false);
        prop_assert_eq!(&json!(response_collected(&made)), &json["output"]);
        prop_assert_eq!(&to_json(Operation::Responses, &made), &json);
    }

    #[test]
    fn ollama_is_the_same_in_both_forms(
        said in text(), thinking in option::of(text()), tools in vec(arguments(), 0..2),
        chat: bool, size in 1..40_usize, probable: bool,
    ) {
        let operation = if chat { Operation::OllamaChat } else { Operation::OllamaGenerate };
        let thinking = thinking.filter(|thinking| !thinking.is_empty());
        let say = |text: &str, thinking: Option<&str>| {
            let mut said = json!({});
            said[if chat { "content" } else { "response" }] = json!(text);
            if let Some(thinking) = thinking {
                said["thinking"] = json!(thinking);
            }
            if chat {
                said["role"] = json!("assistant");
                return json!({"message": said});
            }
            said
        };
        let with = |mut said: Value, extra: Value| {
            said.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            said
        };
        let totals = json!({"model": "llama3.2", "created_at": "2023-12-12T14:13:43.416799Z",
            "done": true, "done_reason": "stop", "total_duration": 5_191_566_416_u64,
            "prompt_eval_count": 26, "eval_count": 298});
        let calls: Vec<_> = tools.iter().map(|arguments| json!({"function": {"name": "f",
            "arguments": arguments}})).collect();
        let part = |said: Value| with(said, json!({"model": "llama3.2", "created_at": "later",
            "done": false}));
        let probability = |piece: &str| json!({"logprobs": [{"token": piece}]});

        let mut json = with(say(&said, thinking.as_deref()), totals.clone());
        let mut lines: Vec<Value> = cut(thinking.as_deref().unwrap_or_default(), size).iter()
            .map(|piece| part(say("", Some(piece)))).collect();
        let pieces = cut(&said, size);
        for piece in &pieces {
            let line = part(say(piece, None));
            lines.push(if probable { with(line, probability(piece)) } else { line });
        }
        if probable && !pieces.is_empty() {
            json["logprobs"] = pieces.iter().map(|piece| json!({"token": piece})).collect();
        }
        if chat && !calls.is_empty() {
            json["message"]["tool_calls"] = json!(calls);
            let mut line = part(say("", None));
            line["message"]["tool_calls"] = json!(calls);
            lines.push(line);
        }
        lines.push(with(say("", None), totals));
        let stream: String = lines.iter().map(|line| line.to_string() + "\n").collect();

        prop_assert_eq!(&to_json(operation, &stream), &json);
        let made = to_stream(operation, &json, false);
        for line in made.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            prop_assert!(line["done"].is_boolean() && line["model"] == "llama3.2");
        }
        prop_assert_eq!(&to_json(operation, &made), &json);
    }
}

#[test]
fn a_response_that_failed_or_goes_on_has_no_other_form() {
    for status in ["failed", "in_progress", "queued", "cancelled"] {
        let mut json = response(&[]);
        json["status"] = json!(status);
        let refused = refused(Operation::Responses, Form::Json, &json.to_string());
        assert_eq!(refused, Obstacle::Unfinished, "{status}");
    }
    let mut json = response(&[]);
    json["output"] = json!([{"id": "ws_1", "type": "web_search_call", "status": "completed"}]);
    let refused = refused(Operation::Responses, Form::Json, &json.to_string());
    assert_eq!(refused, Obstacle::Unknown);
}

#[test]
fn messages_of_another_kind_are_refused() {
    let json = message(&[]);
    let with = |key: &str, value: Value| {
        let mut json = json.clone();
        json[key] = value;
        refused(Operation::Messages, Form::Json, &json.to_string())
    };
    assert_eq!(with("content", json!([{"type": "hologram"}])), Obstacle::Unknown);
    assert_eq!(with("content", json!("text")), Obstacle::Malformed);
    assert_eq!(with("stop_reason", Value::Null), Obstacle::Unfinished);
    for (from, to, why) in [
        ("text_delta", "hologram_delta", Obstacle::Unknown),
        ("\"ping\"", "\"hologram\"", Obstacle::Unknown),
        ("\"ping\"", "\"error\"", Obstacle::Unfinished),
        ("\"index\":0,\"delta\"", "\"index\":1,\"delta\"", Obstacle::Malformed),
        ("\"usage\"", "\"other\"", Obstacle::Conflict),
        (",\"usage\":{\"output_tokens\":15}", "", Obstacle::NoUsage),
    ] {
        let stream = MESSAGES.replace(from, to);
        let stream = match why {
            Obstacle::NoUsage => {
                stream.replace(r#","usage":{"input_tokens":25,"output_tokens":1}"#, "")
            }
            _ => stream,
        };
        assert_eq!(refused(Operation::Messages, Form::Stream, &stream), why, "{from}");
    }
}

/// As in Anthropic's own documentation.
pub(super) const MESSAGES: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#,
    "\n\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\nevent: ping\n",
    r#"data: {"type": "ping"}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
    "\n\nevent: content_block_stop\n",
    r#"data: {"type":"content_block_stop","index":0}"#,
    "\n\nevent: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}"#,
    "\n\nevent: message_stop\n",
    r#"data: {"type":"message_stop"}"#,
    "\n\n",
);

pub(super) const OLLAMA: &str = concat!(
    r#"{"model":"llama3.2","created_at":"a","message":{"role":"assistant","content":"The"},"done":false}"#,
    "\n",
    r#"{"model":"llama3.2","created_at":"b","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":298}"#,
    "\n",
);
