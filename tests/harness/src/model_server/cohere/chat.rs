//! `POST /v2/chat`.

use serde_json::{Value, json};

use super::{id, request::prompt};
use crate::model_server::{
    answer::{Finish, Reply, Usage},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    let reply = Reply::new(&prompt(call)?, &call.controls, 0);
    Ok(match call.flag("stream") {
        Some(true) => Answer::Stream(Framing::Sse, events(call, &reply)),
        _ => Answer::Json(message(call, &reply)),
    })
}

fn message(call: &Call, reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant"});
    let mut content = Vec::new();
    if !reply.thinking.is_empty() {
        content.push(json!({"type": "thinking", "thinking": reply.thinking.concat()}));
    }
    if reply.calls.is_empty() {
        content.push(json!({"type": "text", "text": reply.text()}));
    } else {
        let calls = reply.calls.iter().map(|tool| {
            json!({"id": tool.id, "type": "function", "function": {
                "name": tool.name, "arguments": tool.arguments.to_string()}})
        });
        message["tool_calls"] = calls.collect();
        message["tool_plan"] = json!(PLAN.concat());
    }
    if !content.is_empty() {
        message["content"] = json!(content);
    }
    let mut answer =
        json!({"id": id(call), "message": message, "finish_reason": finish(&reply.finish)});
    if !call.controls.no_usage {
        answer["usage"] = usage(&reply.usage);
    }
    answer
}

fn events(call: &Call, reply: &Reply) -> Vec<Event> {
    let start = json!({"id": id(call), "delta": {"message": {"role": "assistant", "content": [],
        "tool_plan": "", "tool_calls": [], "citations": []}}});
    let mut events = vec![event("message-start", start)];
    let mut index = 0;
    let mut content = |kind: &str, pieces: &[String]| {
        let part = |delta: Value| json!({"index": index, "delta": {"message": {"content": delta}}});
        events.push(event("content-start", part(json!({"type": kind, kind: ""}))));
        events.extend(
            pieces.iter().map(|piece| event("content-delta", part(json!({kind: piece}))).token()),
        );
        events.push(event("content-end", json!({"index": index})));
        index += 1;
    };
    if !reply.thinking.is_empty() {
        content("thinking", &reply.thinking);
    }
    if reply.calls.is_empty() {
        content("text", &reply.tokens);
    } else {
        events.extend(PLAN.map(|piece| {
            event("tool-plan-delta", json!({"delta": {"message": {"tool_plan": piece}}}))
        }));
    }
    for (index, tool) in reply.calls.iter().enumerate() {
        let part =
            |delta: Value| json!({"index": index, "delta": {"message": {"tool_calls": delta}}});
        let head = json!({"id": tool.id, "type": "function", "function":
            {"name": tool.name, "arguments": ""}});
        events.push(event("tool-call-start", part(head)).token());
        events.extend(tool.fragments().into_iter().map(|piece| {
            let delta = json!({"function": {"arguments": piece}});
            event("tool-call-delta", part(delta)).token()
        }));
        events.push(event("tool-call-end", json!({"index": index})));
    }
    let mut end = json!({"delta": {"finish_reason": finish(&reply.finish)}});
    if !call.controls.no_usage {
        end["delta"]["usage"] = usage(&reply.usage);
    }
    events.push(event("message-end", end));
    events.push(Event::text("[DONE]"));
    events
}

/// An event whose data repeats its name as `type`.
fn event(name: &'static str, mut data: Value) -> Event {
    data["type"] = json!(name);
    Event::named(name, data)
}

fn usage(usage: &Usage) -> Value {
    let counts = json!({"input_tokens": usage.input, "output_tokens": usage.output});
    json!({"billed_units": counts, "tokens": counts, "cached_tokens": usage.cached})
}

fn finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop => "COMPLETE",
        Finish::StopSequence(_) => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::ToolCalls => "TOOL_CALL",
    }
}

/// What the model says of the tools that it is going to call. Not counted.
const PLAN: [&str; 3] = ["I will", " use", " tools."];
