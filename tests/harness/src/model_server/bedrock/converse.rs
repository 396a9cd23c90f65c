//! `POST /model/{model}/converse` and `/converse-stream`.

use serde_json::{Value, json};

use super::request::prompt;
use crate::model_server::{
    answer::{Finish, Reply, Usage},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    let reply = Reply::new(&prompt(&call.json, &call.model)?, &call.controls, 0);
    let mut content = Vec::new();
    if !reply.thinking.is_empty() {
        let thought = json!({"text": reply.thinking.concat(), "signature": SIGNATURE});
        content.push(json!({"reasoningContent": {"reasoningText": thought}}));
    }
    if reply.calls.is_empty() {
        content.push(json!({"text": reply.text()}));
    }
    for tool in &reply.calls {
        content.push(json!({"toolUse": {"toolUseId": format!("tooluse_{}", tool.id),
            "name": tool.name, "input": tool.arguments}}));
    }
    let mut answer = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(&reply.finish),
        "metrics": {"latencyMs": 1},
    });
    if !call.controls.no_usage {
        answer["usage"] = usage(&reply.usage);
    }
    Ok(Answer::Json(answer))
}

pub(crate) fn stream(call: &Call) -> Result<Answer, Fault> {
    let reply = Reply::new(&prompt(&call.json, &call.model)?, &call.controls, 0);
    let mut events = vec![event("messageStart", json!({"role": "assistant"}))];
    let mut index = 0;
    let mut block = |start: Option<Value>, deltas: Vec<Value>| {
        if let Some(start) = start {
            let start = json!({"start": start, "contentBlockIndex": index});
            events.push(event("contentBlockStart", start).token());
        }
        for delta in deltas {
            let delta = json!({"delta": delta, "contentBlockIndex": index});
            events.push(event("contentBlockDelta", delta).token());
        }
        events.push(event("contentBlockStop", json!({"contentBlockIndex": index})));
        index += 1;
    };
    if !reply.thinking.is_empty() {
        let thoughts = reply.thinking.iter().map(|t| json!({"reasoningContent": {"text": t}}));
        let signature = json!({"reasoningContent": {"signature": SIGNATURE}});
        block(None, thoughts.chain([signature]).collect());
    }
    if reply.calls.is_empty() {
        block(None, reply.tokens.iter().map(|token| json!({"text": token})).collect());
    }
    for tool in &reply.calls {
        let id = format!("tooluse_{}", tool.id);
        let start = json!({"toolUse": {"toolUseId": id, "name": tool.name}});
        let fragments = tool.fragments();
        let deltas = fragments.iter().map(|piece| json!({"toolUse": {"input": piece}}));
        block(Some(start), deltas.collect());
    }
    let stop = json!({"stopReason": stop_reason(&reply.finish)});
    events.push(event("messageStop", stop));
    let mut metadata = json!({"metrics": {"latencyMs": 1}});
    if !call.controls.no_usage {
        metadata["usage"] = usage(&reply.usage);
    }
    events.push(event("metadata", metadata));
    Ok(Answer::Stream(Framing::EventStream, events))
}

/// With a padding that hides how long a token is.
fn event(name: &'static str, mut data: Value) -> Event {
    let length = data.to_string().len() % PADDING.len() + 1;
    data["p"] = json!(PADDING[..length]);
    Event::named(name, data)
}

/// Here `inputTokens` are those that the cache had no part in.
fn usage(usage: &Usage) -> Value {
    let mut all = json!({
        "inputTokens": usage.input - usage.cached - usage.cache_write,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
    });
    if usage.cached + usage.cache_write > 0 {
        all["cacheReadInputTokens"] = json!(usage.cached);
        all["cacheWriteInputTokens"] = json!(usage.cache_write);
    }
    all
}

fn stop_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
    }
}

const SIGNATURE: &str = "c2lnbmF0dXJl";
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
