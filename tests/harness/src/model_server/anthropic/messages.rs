//! `POST /v1/messages` and `/v1/messages/count_tokens`.

use serde_json::{Value, json};

use super::check;
use crate::model_server::{
    answer::{Finish, Input, Prompt, Reply, Tool, ToolChoice, Usage},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    let prompt = prompt(call)?;
    if prompt.max_tokens.is_none() {
        return Err(missing("max_tokens"));
    }
    let reply = Reply::new(&prompt, &call.controls, 0);
    Ok(match call.flag("stream") {
        Some(true) => Answer::Stream(Framing::Sse, events(call, &reply)),
        _ => Answer::Json(message(call, &reply)),
    })
}

pub(crate) fn count_tokens(call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::Json(json!({"input_tokens": prompt(call)?.input.tokens()})))
}

pub(super) fn missing(field: &str) -> Fault {
    Fault::new(400, format!("{field}: Field required"))
}

fn prompt(call: &Call) -> Result<Prompt, Fault> {
    if call.model.is_empty() {
        return Err(missing("model"));
    }
    let messages = call.array("messages").ok_or_else(|| missing("messages"))?;
    if messages.is_empty() {
        return Err(Fault::new(400, "messages: at least one message is required"));
    }
    check::request(&call.json)?;
    let mut prompt = Prompt::default();
    content(call.json.get("system"), &mut prompt.input);
    for message in messages {
        let (text, tool_result) = content(message.get("content"), &mut prompt.input);
        if message["role"] == "user" {
            (prompt.last, prompt.tool_result) = (text, tool_result);
        }
    }
    for tool in call.array("tools").into_iter().flatten() {
        prompt.input.part();
        if let Some(name) = tool.get("name").and_then(Value::as_str) {
            let schema = tool.get("input_schema").cloned().unwrap_or_default();
            prompt.tools.push(Tool { name: name.to_owned(), schema });
        }
    }
    let choice = call.json.get("tool_choice");
    let field = |key: &str| choice.and_then(|choice| choice.get(key));
    prompt.choice = match field("type").and_then(Value::as_str) {
        Some("none") => ToolChoice::None,
        Some("any") => ToolChoice::Required,
        Some("tool") => {
            ToolChoice::Named(field("name").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        _ => ToolChoice::Auto,
    };
    prompt.one_call_only = field("disable_parallel_tool_use") == Some(&json!(true));
    prompt.schema = call
        .json
        .pointer("/output_config/format/schema")
        .or(call.json.pointer("/output_format/schema"))
        .cloned();
    prompt.max_tokens = call.u64("max_tokens");
    let stop = call.array("stop_sequences").into_iter().flatten();
    prompt.stop = stop.filter_map(Value::as_str).map(str::to_owned).collect();
    prompt.thinking = matches!(
        call.json.pointer("/thinking/type").and_then(Value::as_str),
        Some("enabled" | "adaptive")
    );
    Ok(prompt)
}

/// Counts a content and returns its text, and whether it brings a tool's result.
fn content(value: Option<&Value>, input: &mut Input) -> (String, bool) {
    let mut tool_result = false;
    let text = match value {
        Some(Value::String(text)) => {
            input.text(text);
            text.clone()
        }
        Some(Value::Array(blocks)) => {
            let mut texts = Vec::new();
            for block in blocks {
                match block.get("type").and_then(Value::as_str) {
                    Some("tool_result") => {
                        tool_result = true;
                        texts.push(content(block.get("content"), input).0);
                    }
                    Some("tool_use") => input.text(&block["input"].to_string()),
                    Some("thinking") => input.text(block["thinking"].as_str().unwrap_or_default()),
                    _ => match block.get("text").and_then(Value::as_str) {
                        Some(text) => {
                            input.text(text);
                            texts.push(text.to_owned());
                        }
                        None => input.part(),
                    },
                }
            }
            texts.join(" ")
        }
        _ => String::new(),
    };
    (text, tool_result)
}

fn message(call: &Call, reply: &Reply) -> Value {
    let mut blocks = Vec::new();
    if !reply.thinking.is_empty() {
        blocks.push(json!({"type": "thinking", "thinking": reply.thinking.concat(),
            "signature": SIGNATURE}));
    }
    if reply.calls.is_empty() {
        blocks.push(json!({"type": "text", "text": reply.text()}));
    }
    for tool in &reply.calls {
        blocks.push(json!({"type": "tool_use", "id": format!("toolu_{}", tool.id),
            "name": tool.name, "input": tool.arguments}));
    }
    let (reason, sequence) = stop(&reply.finish);
    let mut message = envelope(call);
    message["content"] = json!(blocks);
    message["stop_reason"] = json!(reason);
    message["stop_sequence"] = json!(sequence);
    if !call.controls.no_usage {
        message["usage"] = usage(&reply.usage, reply.usage.output);
    }
    message
}

fn events(call: &Call, reply: &Reply) -> Vec<Event> {
    let reports_usage = !call.controls.no_usage;
    let mut start = envelope(call);
    if reports_usage {
        start["usage"] = usage(&reply.usage, 1);
    }
    let mut events = vec![event("message_start", json!({"message": start}))];

    let thinking = reply.thinking.iter().map(|t| json!({"type": "thinking_delta", "thinking": t}));
    let text = reply.tokens.iter().map(|t| json!({"type": "text_delta", "text": t}));
    let mut blocks: Vec<(Value, Vec<Value>)> = Vec::new();
    if !reply.thinking.is_empty() {
        let signature = json!({"type": "signature_delta", "signature": SIGNATURE});
        let head = json!({"type": "thinking", "thinking": "", "signature": ""});
        blocks.push((head, thinking.chain([signature]).collect()));
    }
    if reply.calls.is_empty() {
        blocks.push((json!({"type": "text", "text": ""}), text.collect()));
    }
    for tool in &reply.calls {
        let head = json!({"type": "tool_use", "id": format!("toolu_{}", tool.id),
            "name": tool.name, "input": {}});
        let fragments = std::iter::once(String::new()).chain(tool.fragments());
        let deltas =
            fragments.map(|json| json!({"type": "input_json_delta", "partial_json": json}));
        blocks.push((head, deltas.collect()));
    }
    for (index, (head, deltas)) in blocks.into_iter().enumerate() {
        events.push(event("content_block_start", json!({"index": index, "content_block": head})));
        if index == 0 {
            events.push(event("ping", json!({})));
        }
        let delta =
            |delta| event("content_block_delta", json!({"index": index, "delta": delta})).token();
        events.extend(deltas.into_iter().map(delta));
        events.push(event("content_block_stop", json!({"index": index})));
    }

    let (reason, sequence) = stop(&reply.finish);
    let mut end = json!({"delta": {"stop_reason": reason, "stop_sequence": sequence}});
    if reports_usage {
        end["usage"] = usage(&reply.usage, reply.usage.output);
    }
    events.push(event("message_delta", end));
    events.push(event("message_stop", json!({})));
    events
}

/// An event whose data repeats its name as `type`.
fn event(name: &'static str, mut data: Value) -> Event {
    data["type"] = json!(name);
    Event::named(name, data)
}

fn envelope(call: &Call) -> Value {
    json!({"id": call.id("msg_"), "type": "message", "role": "assistant", "model": call.model,
        "content": [], "stop_reason": null, "stop_sequence": null})
}

fn stop(finish: &Finish) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls => ("tool_use", None),
    }
}

/// Here `input_tokens` are those that the cache had no part in.
fn usage(usage: &Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

const SIGNATURE: &str = "c2lnbmF0dXJl";
