//! `POST /v1/chat/completions`.

use serde_json::{Value, json};

use super::{FINGERPRINT, finish, messages, missing, need_model, stop, tools, usage};
use crate::model_server::{
    answer::{Prompt, Reply, Usage},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let prompt = prompt(call)?;
    let choices = call.u64("n").unwrap_or(1).clamp(1, MAX_CHOICES) as usize;
    let replies: Vec<Reply> =
        (0..choices).map(|index| Reply::new(&prompt, &call.controls, index)).collect();
    Ok(match call.flag("stream") {
        Some(true) => Answer::Stream(Framing::Sse, events(call, &replies)),
        _ => Answer::Json(completion(call, &replies)),
    })
}

fn prompt(call: &Call) -> Result<Prompt, Fault> {
    let messages = call.array("messages").ok_or_else(|| missing("messages"))?;
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, \
            but got an empty array instead.";
        return Err(Fault::new(400, message).param("messages").code("empty_array"));
    }
    let mut prompt = Prompt::default();
    messages::read(messages, &mut prompt)?;
    tools(call, &mut prompt);
    prompt.schema = match call.json.pointer("/response_format/type").and_then(Value::as_str) {
        Some("json_schema") => call.json.pointer("/response_format/json_schema/schema").cloned(),
        Some("json_object") => {
            Some(json!({"type": "object", "properties": {"answer": {"type": "string"}}}))
        }
        _ => None,
    };
    prompt.max_tokens = call.u64("max_completion_tokens").or(call.u64("max_tokens"));
    prompt.stop = stop(call);
    prompt.thinking = call.str("reasoning_effort").is_some_and(|effort| effort != "none");
    Ok(prompt)
}

fn completion(call: &Call, replies: &[Reply]) -> Value {
    let choices: Vec<Value> = replies
        .iter()
        .enumerate()
        .map(|(index, reply)| {
            let text = reply.calls.is_empty().then(|| reply.text());
            let mut message =
                json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
            if !reply.calls.is_empty() {
                let calls = reply.calls.iter().map(|tool| {
                    json!({"id": format!("call_{}", tool.id), "type": "function", "function": {
                        "name": tool.name, "arguments": tool.arguments.to_string()}})
                });
                message["tool_calls"] = calls.collect();
            }
            json!({
                "index": index,
                "message": message,
                "logprobs": logprobs(call, &reply.tokens),
                "finish_reason": finish(&reply.finish),
            })
        })
        .collect();
    let mut completion = json!({
        "id": call.id("chatcmpl-"),
        "object": "chat.completion",
        "created": call.created,
        "model": call.model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    });
    if !call.controls.no_usage {
        completion["usage"] = usage(&total(replies));
    }
    completion
}

fn events(call: &Call, replies: &[Reply]) -> Vec<Event> {
    let wants_usage = call.json.pointer("/stream_options/include_usage") == Some(&json!(true));
    let with_usage = wants_usage && !call.controls.no_usage;
    let id = call.id("chatcmpl-");
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": id,
            "object": "chat.completion.chunk",
            "created": call.created,
            "model": call.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        });
        if with_usage {
            chunk["usage"] = usage;
        }
        Event::new(chunk)
    };
    let delta = |index: usize, delta: Value, logprobs: Value, finish: Option<&str>| {
        let choice = json!({
            "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish});
        chunk(json!([choice]), Value::Null)
    };

    let mut events = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        let content = if reply.calls.is_empty() { json!("") } else { Value::Null };
        let role = json!({"role": "assistant", "content": content, "refusal": null});
        events.push(delta(index, role, Value::Null, None));
    }
    // Choices are generated side by side.
    let longest = replies.iter().map(|reply| reply.tokens.len()).max().unwrap_or_default();
    for at in 0..longest {
        for (index, reply) in replies.iter().enumerate() {
            if let Some(token) = reply.tokens.get(at) {
                let logprobs = logprobs(call, std::slice::from_ref(token));
                events.push(delta(index, json!({"content": token}), logprobs, None).token());
            }
        }
    }
    for (index, reply) in replies.iter().enumerate() {
        for (number, tool) in reply.calls.iter().enumerate() {
            let head = json!({"index": number, "id": format!("call_{}", tool.id),
                "type": "function", "function": {"name": tool.name, "arguments": ""}});
            events.push(delta(index, json!({"tool_calls": [head]}), Value::Null, None).token());
            for fragment in tool.fragments() {
                let part = json!({"index": number, "function": {"arguments": fragment}});
                events.push(delta(index, json!({"tool_calls": [part]}), Value::Null, None).token());
            }
        }
    }
    for (index, reply) in replies.iter().enumerate() {
        events.push(delta(index, json!({}), Value::Null, Some(finish(&reply.finish))));
    }
    if with_usage {
        events.push(chunk(json!([]), usage(&total(replies))));
    }
    events.push(Event::text("[DONE]"));
    events
}

fn logprobs(call: &Call, tokens: &[String]) -> Value {
    if call.flag("logprobs") != Some(true) || tokens.is_empty() {
        return Value::Null;
    }
    let one = |token: &String| json!({"token": token, "logprob": -0.1, "bytes": token.as_bytes()});
    let tops = call.u64("top_logprobs").unwrap_or(0);
    let content = tokens.iter().map(|token| {
        let mut entry = one(token);
        entry["top_logprobs"] = (0..tops.min(1)).map(|_| one(token)).collect();
        entry
    });
    json!({"content": content.collect::<Vec<_>>(), "refusal": null})
}

/// The input counts once, whatever the number of choices.
fn total(replies: &[Reply]) -> Usage {
    let mut total = replies.first().map(|reply| reply.usage).unwrap_or_default();
    for reply in replies.iter().skip(1) {
        total.output += reply.usage.output;
        total.reasoning += reply.usage.reasoning;
    }
    total
}

const MAX_CHOICES: u64 = 128;
