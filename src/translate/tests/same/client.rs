//! An answer as a client's SDK reads it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Seen;
use crate::protocol::sse;

/// A request that wants to be told all.
pub(super) fn request(client: &str, stream: bool) -> Value {
    match client {
        "openai" => {
            let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": stream});
            if stream {
                request["stream_options"] = json!({"include_usage": true});
            }
            request
        }
        "anthropic" => json!({
            "model": "m", "max_tokens": 8000, "messages": [{"role": "user", "content": "x"}],
            "thinking": {"type": "enabled", "budget_tokens": 1024}, "stream": stream,
        }),
        "responses" => json!({"model": "m", "input": "x", "stream": stream}),
        // Its path says whether it is a stream.
        "gemini" => json!({
            "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": true}},
        }),
        "ollama" => {
            json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": stream, "think": true})
        }
        "ollama_generate" => json!({"model": "m", "prompt": "x", "stream": stream, "think": true}),
        _ => panic!("no requests of {client}"),
    }
}

pub(super) fn whole(client: &str, body: &[u8]) -> Seen {
    let answer: Value = serde_json::from_slice(body).unwrap();
    match client {
        "openai" => openai(&answer),
        "anthropic" => anthropic(&answer),
        "responses" => responses(&answer),
        "gemini" => gemini(&answer),
        "ollama" => ollama(&answer),
        "ollama_generate" => generated(&answer),
        _ => panic!("no answers for {client}"),
    }
}

pub(super) fn stream(client: &str, body: &[u8]) -> Seen {
    let text = std::str::from_utf8(body).unwrap();
    let json = |data: &[u8]| -> Value { serde_json::from_slice(data).unwrap() };
    let events: Vec<Value> = if client.starts_with("ollama") {
        text.split_terminator('\n').map(|line| json(line.as_bytes())).collect()
    } else {
        let frames = text.split_terminator("\n\n");
        let data = frames.map(|frame| sse::event(frame.as_bytes()).unwrap().data.into_owned());
        let mut all: Vec<Vec<u8>> = data.collect();
        let done = client == "openai";
        assert_eq!(all.last().unwrap() == b"[DONE]", done, "{text}");
        all.truncate(all.len() - usize::from(done));
        all.iter().map(|data| json(data)).collect()
    };
    match client {
        "openai" => openai(&openai_accumulated(&events)),
        "anthropic" => anthropic(&anthropic_accumulated(&events)),
        "responses" => responses(&responses_accumulated(&events)),
        "gemini" => gemini(&gemini_accumulated(&events)),
        "ollama" => ollama(&ollama_accumulated(&events, "message")),
        "ollama_generate" => generated(&ollama_accumulated(&events, "response")),
        _ => panic!("no streams for {client}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn parsed(arguments: &Value) -> Value {
    serde_json::from_str(arguments.as_str().unwrap()).unwrap_or_else(|_| panic!("{arguments}"))
}

fn append(to: &mut Value, piece: &Value) {
    *to = (text(to) + &text(piece)).into();
}

fn openai(answer: &Value) -> Seen {
    let choice = &answer["choices"][0];
    let message = &choice["message"];
    assert_eq!(message["role"], "assistant");
    let call = |call: &Value| {
        (text(&call["id"]), text(&call["function"]["name"]), parsed(&call["function"]["arguments"]))
    };
    Seen {
        id: text(&answer["id"]),
        model: text(&answer["model"]),
        text: text(&message["content"]),
        refusal: text(&message["refusal"]),
        thinking: text(&message["reasoning_content"]),
        signed: message["thinking_blocks"].as_array().cloned().unwrap_or_default(),
        calls: message["tool_calls"].as_array().into_iter().flatten().map(call).collect(),
        end: text(&choice["finish_reason"]),
        usage: answer["usage"].clone(),
    }
}

fn openai_accumulated(chunks: &[Value]) -> Value {
    let mut message = json!({"role": null});
    let mut calls: BTreeMap<u64, Value> = BTreeMap::new();
    let mut all = json!({"id": chunks[0]["id"], "model": chunks[0]["model"], "choices": [{}]});
    for chunk in chunks {
        assert_eq!((&chunk["id"], &chunk["model"]), (&all["id"], &all["model"]));
        if !chunk["usage"].is_null() {
            all["usage"] = chunk["usage"].clone();
        }
        let Some(choice) = chunk["choices"].get(0) else { continue };
        let delta = &choice["delta"];
        if !delta["role"].is_null() {
            assert!(message["role"].is_null());
            message["role"] = delta["role"].clone();
        }
        for key in ["content", "refusal", "reasoning_content"] {
            append(&mut message[key], &delta[key]);
        }
        for block in delta["thinking_blocks"].as_array().into_iter().flatten() {
            let blocks = &mut message["thinking_blocks"];
            match blocks.as_array_mut() {
                Some(blocks) => blocks.push(block.clone()),
                None => *blocks = json!([block]),
            }
        }
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            let call =
                calls.entry(piece["index"].as_u64().unwrap()).or_insert(json!({"function": {}}));
            if !piece["id"].is_null() {
                assert!(call["id"].is_null(), "a call has one id");
                call["id"] = piece["id"].clone();
            }
            for key in ["name", "arguments"] {
                append(&mut call["function"][key], &piece["function"][key]);
            }
        }
        if !choice["finish_reason"].is_null() {
            assert!(all["choices"][0]["finish_reason"].is_null(), "it ends once");
            all["choices"][0]["finish_reason"] = choice["finish_reason"].clone();
        }
    }
    assert!(calls.keys().copied().eq(0..calls.len() as u64), "{calls:?}");
    message["tool_calls"] = calls.into_values().collect();
    all["choices"][0]["message"] = message;
    all
}

fn anthropic(answer: &Value) -> Seen {
    assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")));
    let mut seen = Seen {
        id: text(&answer["id"]),
        model: text(&answer["model"]),
        end: text(&answer["stop_reason"]),
        usage: answer["usage"].clone(),
        ..Seen::default()
    };
    for block in answer["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => seen.text += block["text"].as_str().unwrap(),
            "thinking" => {
                seen.thinking += block["thinking"].as_str().unwrap();
                if block["signature"] != "" {
                    seen.signed.push(block.clone());
                }
            }
            "redacted_thinking" => seen.signed.push(block.clone()),
            "tool_use" => {
                seen.calls.push((text(&block["id"]), text(&block["name"]), block["input"].clone()))
            }
            other => panic!("{other}"),
        }
    }
    seen
}

/// Blocks come one after the other: each is begun, added to and ended.
fn anthropic_accumulated(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut blocks: Vec<Value> = Vec::new();
    let mut open: Option<String> = None;
    let mut stopped = false;
    for event in events {
        assert!(!stopped);
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert!(open.is_none() && event["index"] == blocks.len());
                open = Some(String::new());
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                let json = open.as_mut().unwrap();
                assert_eq!(event["index"], blocks.len() - 1);
                let block = blocks.last_mut().unwrap();
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => append(&mut block["signature"], &delta["signature"]),
                    "input_json_delta" => json.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(event["index"], blocks.len() - 1);
                let json = open.take().unwrap();
                if !json.is_empty() {
                    blocks.last_mut().unwrap()["input"] = serde_json::from_str(&json).unwrap();
                }
            }
            "message_delta" => {
                assert!(open.is_none());
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (key, count) in event["usage"].as_object().unwrap() {
                    message["usage"][key] = count.clone();
                }
            }
            "message_stop" => stopped = true,
            "ping" => {}
            other => panic!("{other}"),
        }
    }
    assert!(stopped);
    message["content"] = blocks.into();
    message
}

fn responses(answer: &Value) -> Seen {
    let mut seen = Seen {
        id: text(&answer["id"]),
        model: text(&answer["model"]),
        end: format!("{} {}", answer["status"], answer["incomplete_details"]),
        usage: answer["usage"].clone(),
        ..Seen::default()
    };
    for item in answer["output"].as_array().unwrap() {
        match item["type"].as_str().unwrap() {
            "reasoning" => {
                item["summary"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .for_each(|part| seen.thinking += &text(&part["text"]));
            }
            "message" => {
                for part in item["content"].as_array().unwrap() {
                    seen.text += &text(&part["text"]);
                    seen.refusal += &text(&part["refusal"]);
                }
            }
            "function_call" => seen.calls.push((
                text(&item["call_id"]),
                text(&item["name"]),
                parsed(&item["arguments"]),
            )),
            other => panic!("{other}"),
        }
    }
    seen
}

/// What the deltas add up to, which has to be what the last event says.
fn responses_accumulated(events: &[Value]) -> Value {
    let mut items: Vec<Value> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        let kind = event["type"].as_str().unwrap();
        let index = event["output_index"].as_u64().map(|index| usize::try_from(index).unwrap());
        let part = |key: &str| usize::try_from(event[key].as_u64().unwrap()).unwrap();
        match kind {
            "response.output_item.added" => {
                assert_eq!(index, Some(items.len()));
                items.push(event["item"].clone());
            }
            "response.content_part.added" => {
                let content = items[index.unwrap()]["content"].as_array_mut().unwrap();
                assert_eq!(content.len(), part("content_index"));
                content.push(event["part"].clone());
            }
            "response.reasoning_summary_part.added" => {
                items[index.unwrap()]["summary"]
                    .as_array_mut()
                    .unwrap()
                    .push(event["part"].clone());
            }
            "response.output_text.delta" => {
                append(
                    &mut items[index.unwrap()]["content"][part("content_index")]["text"],
                    &event["delta"],
                );
            }
            "response.refusal.delta" => {
                append(
                    &mut items[index.unwrap()]["content"][part("content_index")]["refusal"],
                    &event["delta"],
                );
            }
            "response.reasoning_summary_text.delta" => {
                append(
                    &mut items[index.unwrap()]["summary"][part("summary_index")]["text"],
                    &event["delta"],
                );
            }
            "response.function_call_arguments.delta" => {
                append(&mut items[index.unwrap()]["arguments"], &event["delta"]);
            }
            "response.output_item.done" => {
                let item = &mut items[index.unwrap()];
                if item["arguments"] == "" {
                    item["arguments"] = "{}".into();
                }
                if event["item"].get("status").is_some() {
                    item["status"] = event["item"]["status"].clone();
                }
                assert_eq!(*item, event["item"]);
            }
            _ => {}
        }
    }
    let last = events.last().unwrap();
    assert!(
        ["response.completed", "response.incomplete"].contains(&last["type"].as_str().unwrap())
    );
    assert_eq!(last["response"]["output"], Value::from(items));
    last["response"].clone()
}

fn gemini(answer: &Value) -> Seen {
    let candidate = &answer["candidates"][0];
    let mut seen = Seen {
        id: text(&answer["responseId"]),
        model: text(&answer["modelVersion"]),
        end: text(&candidate["finishReason"]),
        usage: answer["usageMetadata"].clone(),
        ..Seen::default()
    };
    for part in candidate["content"]["parts"].as_array().unwrap() {
        if let Some(call) = part.get("functionCall") {
            seen.calls.push((text(&call["id"]), text(&call["name"]), call["args"].clone()));
        } else if part["thought"] == true {
            seen.thinking += &text(&part["text"]);
        } else {
            seen.text += &text(&part["text"]);
        }
        if let Some(signature) = part.get("thoughtSignature") {
            seen.signed.push(signature.clone());
        }
    }
    seen
}

fn gemini_accumulated(events: &[Value]) -> Value {
    let mut all = events.last().unwrap().clone();
    assert!(!all["candidates"][0]["finishReason"].is_null());
    let mut parts = Vec::new();
    for event in events {
        assert_eq!(event["responseId"], all["responseId"]);
        parts
            .extend(event["candidates"][0]["content"]["parts"].as_array().unwrap().iter().cloned());
    }
    all["candidates"][0]["content"]["parts"] = parts.into();
    all
}

fn ollama(answer: &Value) -> Seen {
    let message = &answer["message"];
    let call = |call: &Value| {
        (text(&call["id"]), text(&call["function"]["name"]), call["function"]["arguments"].clone())
    };
    Seen {
        text: text(&message["content"]),
        thinking: text(&message["thinking"]),
        calls: message["tool_calls"].as_array().into_iter().flatten().map(call).collect(),
        ..counted(answer)
    }
}

/// It has no calls.
fn generated(answer: &Value) -> Seen {
    Seen { text: text(&answer["response"]), thinking: text(&answer["thinking"]), ..counted(answer) }
}

fn counted(answer: &Value) -> Seen {
    assert_eq!(answer["done"], true);
    Seen {
        model: text(&answer["model"]),
        end: text(&answer["done_reason"]),
        usage: json!([answer["prompt_eval_count"], answer["eval_count"]]),
        ..Seen::default()
    }
}

/// Texts are appended and calls collected; the last line is that of the whole.
fn ollama_accumulated(lines: &[Value], kind: &str) -> Value {
    let (last, before) = lines.split_last().unwrap();
    assert!(before.iter().all(|line| line["done"] == false));
    let mut all = last.clone();
    let of = |line: &Value| if kind == "message" { line["message"].clone() } else { line.clone() };
    let said = if kind == "message" { "content" } else { "response" };
    let mut whole = of(last);
    for key in [said, "thinking"] {
        let pieces = lines.iter().map(|line| text(&of(line)[key]));
        whole[key] = pieces.collect::<String>().into();
    }
    let calls = lines.iter().flat_map(|line| of(line)["tool_calls"].as_array().cloned());
    whole["tool_calls"] = calls.flatten().collect();
    if kind == "message" {
        all["message"] = whole;
        return all;
    }
    whole
}
