//! `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and `:countTokens`.

use serde_json::{Value, json};

use super::{request::prompt, version};
use crate::model_server::{
    answer::{Call as ToolCall, Finish, Reply, Usage},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    let replies = replies(call)?;
    let candidates = replies.iter().enumerate().map(|(index, reply)| {
        let mut parts: Vec<Value> = Vec::new();
        if !reply.thinking.is_empty() {
            parts.push(thought(&reply.thinking.concat()));
        }
        if reply.calls.is_empty() {
            parts.push(json!({"text": reply.text()}));
        }
        parts.extend(
            reply.calls.iter().enumerate().map(|(number, tool)| called(call, tool, number)),
        );
        candidate(index, parts, Some(finish(&reply.finish)))
    });
    Ok(Answer::Json(response(call, candidates.collect(), &total(&replies), true)))
}

/// By `alt=sse` a stream of events, else one list that grows.
pub(crate) fn stream(call: &Call) -> Result<Answer, Fault> {
    let replies = replies(call)?;
    let usage = total(&replies);
    let mut sent = Usage { input: usage.input, cached: usage.cached, ..Usage::default() };
    let mut events = Vec::new();
    let mut push = |index: usize, part: Value, reasoning: u64, output: u64| {
        sent.reasoning += reasoning;
        sent.output += output;
        let candidates = vec![candidate(index, vec![part], None)];
        events.push(Event::new(response(call, candidates, &sent, false)).token());
    };
    // Candidates are generated side by side.
    let longest = replies.iter().map(|reply| reply.thinking.len().max(reply.tokens.len())).max();
    for at in 0..longest.unwrap_or_default() {
        for (index, reply) in replies.iter().enumerate() {
            if let Some(text) = reply.thinking.get(at) {
                push(index, thought(text), 1, 1);
            }
        }
    }
    for at in 0..longest.unwrap_or_default() {
        for (index, reply) in replies.iter().enumerate() {
            if let Some(text) = reply.tokens.get(at) {
                push(index, json!({"text": text}), 0, 1);
            }
        }
    }
    for (index, reply) in replies.iter().enumerate() {
        for (number, tool) in reply.calls.iter().enumerate() {
            let tokens = 1 + tool.fragments().len() as u64;
            push(index, called(call, tool, number), 0, tokens);
        }
    }
    let ends = replies.iter().enumerate();
    let ends: Vec<Value> = ends
        .map(|(index, reply)| {
            candidate(index, vec![json!({"text": ""})], Some(finish(&reply.finish)))
        })
        .collect();
    events.push(Event::new(response(call, ends, &usage, true)));
    let framing = if is_list(call) { Framing::JsonList } else { Framing::Sse };
    Ok(Answer::Stream(framing, events))
}

pub(crate) fn count_tokens(call: &Call) -> Result<Answer, Fault> {
    let inner = ["generateContentRequest", "generate_content_request"];
    let inner = inner.iter().find_map(|key| call.json.get(key));
    let body = inner.unwrap_or(&call.json);
    let tokens = prompt(body, &call.model)?.input.tokens();
    Ok(Answer::Json(json!({"totalTokens": tokens, "promptTokensDetails": details(tokens)})))
}

/// A stream that is one JSON list.
pub(super) fn is_list(call: &Call) -> bool {
    call.path.ends_with(":streamGenerateContent") && call.parameter("alt") != Some("sse")
}

fn replies(call: &Call) -> Result<Vec<Reply>, Fault> {
    let prompt = prompt(&call.json, &call.model)?;
    let config = call.json.get("generationConfig").or(call.json.get("generation_config"));
    let count = config.and_then(|it| it.get("candidateCount").or(it.get("candidate_count")));
    let count = count.and_then(Value::as_u64).unwrap_or(1) as usize;
    Ok((0..count).map(|index| Reply::new(&prompt, &call.controls, index)).collect())
}

fn thought(text: &str) -> Value {
    json!({"text": text, "thought": true})
}

/// Newer models tell calls apart by id, and sign the first one of a turn.
fn called(call: &Call, tool: &ToolCall, number: usize) -> Value {
    let mut part = json!({"functionCall": {"name": tool.name, "args": tool.arguments}});
    if version(&call.model) >= (3, 0) {
        part["functionCall"]["id"] = json!(tool.id);
        if number == 0 {
            part["thoughtSignature"] = json!(SIGNATURE);
        }
    }
    part
}

fn candidate(index: usize, parts: Vec<Value>, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    candidate
}

fn response(call: &Call, candidates: Vec<Value>, usage: &Usage, whole: bool) -> Value {
    let mut response = json!({
        "candidates": candidates,
        "modelVersion": call.model,
        "responseId": call.id(""),
    });
    if !call.controls.no_usage {
        response["usageMetadata"] = usage_metadata(usage, whole);
    }
    response
}

/// Thoughts stand beside what the candidates say.
fn usage_metadata(usage: &Usage, whole: bool) -> Value {
    let mut metadata = json!({
        "promptTokenCount": usage.input,
        "totalTokenCount": usage.input + usage.output,
        "promptTokensDetails": details(usage.input),
    });
    if whole || usage.output > usage.reasoning {
        metadata["candidatesTokenCount"] = json!(usage.output - usage.reasoning);
    }
    if usage.reasoning > 0 {
        metadata["thoughtsTokenCount"] = json!(usage.reasoning);
    }
    if usage.cached > 0 {
        metadata["cachedContentTokenCount"] = json!(usage.cached);
        metadata["cacheTokensDetails"] = details(usage.cached);
    }
    metadata
}

fn details(tokens: u64) -> Value {
    json!([{"modality": "TEXT", "tokenCount": tokens}])
}

/// The input counts once, whatever the number of candidates.
fn total(replies: &[Reply]) -> Usage {
    let mut total = replies.first().map(|reply| reply.usage).unwrap_or_default();
    for reply in replies.iter().skip(1) {
        total.output += reply.usage.output;
        total.reasoning += reply.usage.reasoning;
    }
    total
}

fn finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Length => "MAX_TOKENS",
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => "STOP",
    }
}

const SIGNATURE: &str = "c2lnbmF0dXJlIG9mIHRob3VnaHRz";
