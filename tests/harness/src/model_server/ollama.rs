//! Ollama's own API.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    answer::{Finish, Input, Prompt, Reply, Tool, embedding},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn error(fault: &Fault) -> Value {
    json!({"error": fault.message})
}

pub(crate) fn error_event() -> Event {
    Event::new(json!({"error": "an error was encountered while running the model"}))
}

pub(crate) fn unknown_model(model: &str) -> Fault {
    Fault::new(404, format!("model '{model}' not found"))
}

pub(crate) fn unauthorized() -> Fault {
    Fault::new(401, "unauthorized")
}

pub(crate) fn invalid_json() -> Fault {
    Fault::new(400, "invalid character looking for beginning of value")
}

/// `POST /api/chat`
pub(crate) fn chat(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let mut prompt = prompt(call)?;
    let mut results: Vec<&str> = Vec::new();
    for message in call.array("messages").into_iter().flatten() {
        check(message)?;
        let text = message.get("content").and_then(Value::as_str).unwrap_or_default();
        prompt.input.text(text);
        images(message, &mut prompt.input)?;
        let role = message.get("role").and_then(Value::as_str);
        prompt.tool_result = role == Some("tool");
        match role {
            Some("tool") => {
                results.push(text);
                prompt.last = results.join(" ");
            }
            Some("user") => prompt.last = text.to_owned(),
            _ => results.clear(),
        }
    }
    for tool in call.array("tools").into_iter().flatten() {
        prompt.input.part();
        if let Some(name) = tool.pointer("/function/name").and_then(Value::as_str) {
            let schema = tool.pointer("/function/parameters").cloned().unwrap_or_default();
            prompt.tools.push(Tool { name: name.to_owned(), schema });
        }
    }

    let reply = Reply::new(&prompt, &call.controls, 0);
    let message = |content: &str| json!({"message": {"role": "assistant", "content": content}});
    let mut parts: Vec<Value> = reply
        .thinking
        .iter()
        .map(|thought| {
            let mut part = message("");
            part["message"]["thinking"] = json!(thought);
            part
        })
        .collect();
    parts.extend(reply.tokens.iter().map(|token| message(token)));
    let calls: Vec<Value> = reply
        .calls
        .iter()
        .map(|tool| json!({"function": {"name": tool.name, "arguments": tool.arguments}}))
        .collect();
    if !calls.is_empty() {
        let mut part = message("");
        part["message"]["tool_calls"] = json!(calls);
        parts.push(part);
    }

    let mut whole = message(&reply.text());
    if !reply.thinking.is_empty() {
        whole["message"]["thinking"] = json!(reply.thinking.concat());
    }
    if !calls.is_empty() {
        whole["message"]["tool_calls"] = json!(calls);
    }
    Ok(finished(call, &reply, parts, message(""), whole))
}

/// `POST /api/generate`
pub(crate) fn generate(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let mut prompt = prompt(call)?;
    prompt.last = call.str("prompt").unwrap_or_default().to_owned();
    prompt.input.text(&prompt.last);
    prompt.input.text(call.str("system").unwrap_or_default());
    images(&call.json, &mut prompt.input)?;

    let reply = Reply::new(&prompt, &call.controls, 0);
    let thinking = reply.thinking.iter().map(|t| json!({"response": "", "thinking": t}));
    let tokens = reply.tokens.iter().map(|t| json!({"response": t}));
    let parts = thinking.chain(tokens).collect();
    let end = json!({"response": "", "context": [1, 2, 3]});
    let mut whole = json!({"response": reply.text(), "context": [1, 2, 3]});
    if !reply.thinking.is_empty() {
        whole["thinking"] = json!(reply.thinking.concat());
    }
    Ok(finished(call, &reply, parts, end, whole))
}

/// `POST /api/embed`
pub(crate) fn embed(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let inputs: Vec<&str> = match call.json.get("input") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut input = Input::default();
    inputs.iter().for_each(|text| input.text(text));
    let dimensions = call.u64("dimensions").unwrap_or(64).clamp(1, 4096) as usize;
    let vectors: Vec<Vec<f32>> = inputs.iter().map(|text| embedding(text, dimensions)).collect();
    let mut answer = json!({"model": call.model, "embeddings": vectors,
        "total_duration": NANOS, "load_duration": NANOS});
    if !call.controls.no_usage {
        answer["prompt_eval_count"] = json!(input.tokens());
    }
    Ok(Answer::Json(answer))
}

/// `GET /api/tags`
pub(crate) fn tags(call: &Call) -> Result<Answer, Fault> {
    let models: Vec<Value> = call
        .listed
        .iter()
        .map(|name| {
            json!({"name": name, "model": name, "modified_at": timestamp(call.created),
                "size": 1, "digest": "0".repeat(64),
                "details": {"parent_model": "", "format": "gguf", "family": "sim",
                    "families": ["sim"], "parameter_size": "1B", "quantization_level": "Q4_0"}})
        })
        .collect();
    Ok(Answer::Json(json!({"models": models})))
}

fn need_model(call: &Call) -> Result<(), Fault> {
    match call.model.is_empty() {
        true => Err(Fault::new(400, "model is required")),
        false => Ok(()),
    }
}

/// What chat and generate have in common.
fn prompt(call: &Call) -> Result<Prompt, Fault> {
    let stop = match call.json.pointer("/options/stop") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let schema = match call.json.get("format") {
        Some(Value::String(format)) if format == "json" => {
            Some(json!({"type": "object", "properties": {"answer": {"type": "string"}}}))
        }
        Some(schema @ Value::Object(_)) => Some(schema.clone()),
        Some(Value::Null) | None => None,
        Some(Value::String(empty)) if empty.is_empty() => None,
        Some(other) => {
            let message =
                format!("invalid format: {other}; expected \"json\" or a valid JSON Schema object");
            return Err(Fault::new(400, message));
        }
    };
    Ok(Prompt {
        stop,
        schema,
        // A negative number means no limit.
        max_tokens: call.json.pointer("/options/num_predict").and_then(Value::as_u64),
        thinking: call.json.get("think").is_some_and(|think| *think != json!(false)),
        ..Prompt::default()
    })
}

fn images(holder: &Value, input: &mut Input) -> Result<(), Fault> {
    let images = holder.get("images").and_then(Value::as_array);
    for image in images.into_iter().flatten() {
        if image.as_str().is_none_or(|text| STANDARD.decode(text).is_err()) {
            return Err(Fault::new(400, "illegal base64 data at input byte 0"));
        }
        input.part();
    }
    Ok(())
}

/// What cannot be read into Ollama's own types.
fn check(message: &Value) -> Result<(), Fault> {
    let role = message["role"].as_str().unwrap_or_default();
    if !["system", "user", "assistant", "tool"].contains(&role) {
        return Err(Fault::new(400, format!("invalid role: {role}")));
    }
    let text = message.get("content").is_none_or(|it| it.is_string() || it.is_null());
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let mut arguments = calls.map(|call| &call["function"]["arguments"]);
    if !text || arguments.any(|it| !it.is_object()) {
        let message = "json: cannot unmarshal value into Go struct field ChatRequest.messages";
        return Err(Fault::new(400, message));
    }
    Ok(())
}

/// A stream unless the request says no: the parts, then the last line with the totals.
fn finished(call: &Call, reply: &Reply, parts: Vec<Value>, end: Value, whole: Value) -> Answer {
    let stamped = |mut part: Value, done: bool| {
        part["model"] = json!(call.model);
        part["created_at"] = json!(timestamp(call.created));
        part["done"] = json!(done);
        part
    };
    let totals = |part: Value| {
        let mut part = stamped(part, true);
        part["done_reason"] = json!(match reply.finish {
            Finish::Length => "length",
            Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => "stop",
        });
        for key in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
            part[key] = json!(NANOS);
        }
        if !call.controls.no_usage {
            part["prompt_eval_count"] = json!(reply.usage.input);
            part["eval_count"] = json!(reply.usage.output);
        }
        part
    };
    if call.flag("stream") == Some(false) {
        return Answer::Json(totals(whole));
    }
    let mut events: Vec<Event> =
        parts.into_iter().map(|part| Event::new(stamped(part, false)).token()).collect();
    events.push(Event::new(totals(end)));
    Answer::Stream(Framing::NdJson, events)
}

/// RFC 3339, from seconds since 1970.
fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days, eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

const NANOS: u64 = Duration::from_millis(1).as_nanos() as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(1_767_225_599), "2025-12-31T23:59:59Z");
    }
}
