//! `POST /v1/responses`.

use serde_json::{Value, json};

use super::{content, missing, need_model, tools};
use crate::model_server::{
    answer::{Finish, Prompt, Reply},
    call::{Answer, Call, Fault},
    frame::{Event, Framing},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let prompt = prompt(call)?;
    let reply = Reply::new(&prompt, &call.controls, 0);
    Ok(match call.flag("stream") {
        Some(true) => Answer::Stream(Framing::Sse, events(call, &reply)),
        _ => Answer::Json(ended(call, &reply)),
    })
}

/// Inside a response stream an error is an event of its own type.
pub(crate) fn error_event() -> Event {
    Event::named(
        "error",
        json!({"type": "error", "code": "server_error", "param": null, "sequence_number": 0,
            "message": "The server had an error while processing your request."}),
    )
}

fn prompt(call: &Call) -> Result<Prompt, Fault> {
    let mut prompt = Prompt::default();
    content(call.json.get("instructions"), &mut prompt.input);
    match call.json.get("input") {
        text @ Some(Value::String(_)) => prompt.last = content(text, &mut prompt.input),
        Some(Value::Array(items)) => {
            let (mut called, mut results) = (Vec::new(), Vec::new());
            for item in items {
                let kind = item.get("type").and_then(Value::as_str).unwrap_or("message");
                let role = item.get("role").and_then(Value::as_str);
                let key = match kind {
                    "function_call" => "arguments",
                    "function_call_output" => "output",
                    _ => "content",
                };
                let text = content(item.get(key), &mut prompt.input);
                prompt.tool_result = kind == "function_call_output";
                let id = item.get("call_id").and_then(Value::as_str).unwrap_or_default();
                match kind {
                    "function_call" => called.push(id),
                    "function_call_output" if called.contains(&id) => {
                        results.push(text);
                        prompt.last = results.join(" ");
                    }
                    "function_call_output" => {
                        let message = format!(
                            "No tool call found for function call output with call_id {id}."
                        );
                        return Err(Fault::new(400, message).param("input"));
                    }
                    _ => {
                        results.clear();
                        if role == Some("user") {
                            prompt.last = text;
                        }
                    }
                }
            }
        }
        _ => return Err(missing("input")),
    }
    tools(call, &mut prompt);
    let format = call.json.pointer("/text/format");
    prompt.schema = format.and_then(|format| format.get("schema")).cloned();
    prompt.max_tokens = call.u64("max_output_tokens");
    prompt.thinking = call.json.get("reasoning").is_some_and(Value::is_object);
    Ok(prompt)
}

fn events(call: &Call, reply: &Reply) -> Vec<Event> {
    let begun = || json!({"response": response(call, "in_progress", Vec::new())});
    let mut events =
        vec![event("response.created", begun()), event("response.in_progress", begun())];

    for (output, item) in items(call, reply).into_iter().enumerate() {
        let id = item["id"].clone();
        let about = |mut data: Value| {
            data["item_id"] = id.clone();
            data["output_index"] = json!(output);
            data
        };
        let mut opened = item.clone();
        opened["status"] = json!("in_progress");
        let emptied = match item["type"].as_str() {
            Some("reasoning") => "summary",
            Some("message") => "content",
            _ => "arguments",
        };
        opened[emptied] = if emptied == "arguments" { json!("") } else { json!([]) };
        events.push(event(
            "response.output_item.added",
            json!({"output_index": output, "item": opened}),
        ));

        match emptied {
            "summary" => {
                let part = |text: &str| {
                    about(
                        json!({"summary_index": 0, "part": {"type": "summary_text", "text": text}}),
                    )
                };
                let text = reply.thinking.concat();
                events.push(event("response.reasoning_summary_part.added", part("")));
                for token in &reply.thinking {
                    let delta = about(json!({"summary_index": 0, "delta": token}));
                    events.push(event("response.reasoning_summary_text.delta", delta).token());
                }
                let done = about(json!({"summary_index": 0, "text": text}));
                events.push(event("response.reasoning_summary_text.done", done));
                events.push(event("response.reasoning_summary_part.done", part(&text)));
            }
            "content" => {
                let part =
                    |text: &str| about(json!({"content_index": 0, "part": output_text(text)}));
                let text = reply.text();
                events.push(event("response.content_part.added", part("")));
                for token in &reply.tokens {
                    let delta = about(json!({"content_index": 0, "delta": token, "logprobs": []}));
                    events.push(event("response.output_text.delta", delta).token());
                }
                let done = about(json!({"content_index": 0, "text": text, "logprobs": []}));
                events.push(event("response.output_text.done", done));
                events.push(event("response.content_part.done", part(&text)));
            }
            _ => {
                let called = reply.calls.iter().find(|tool| item["call_id"] == call_id(&tool.id));
                for fragment in called.into_iter().flat_map(|tool| tool.fragments()) {
                    let delta = about(json!({"delta": fragment}));
                    events.push(event("response.function_call_arguments.delta", delta).token());
                }
                let done = about(json!({"name": item["name"], "arguments": item["arguments"]}));
                events.push(event("response.function_call_arguments.done", done));
            }
        }
        events.push(event(
            "response.output_item.done",
            json!({"output_index": output, "item": item}),
        ));
    }

    let last = match reply.finish {
        Finish::Length => "response.incomplete",
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => "response.completed",
    };
    events.push(event(last, json!({"response": ended(call, reply)})));
    for (number, event) in events.iter_mut().enumerate() {
        event.number("sequence_number", number);
    }
    events
}

/// An event whose data repeats its name as `type`.
fn event(name: &'static str, mut data: Value) -> Event {
    data["type"] = json!(name);
    Event::named(name, data)
}

fn items(call: &Call, reply: &Reply) -> Vec<Value> {
    let status = if reply.finish == Finish::Length { "incomplete" } else { "completed" };
    let mut items = Vec::new();
    if !reply.thinking.is_empty() {
        let summary = json!([{"type": "summary_text", "text": reply.thinking.concat()}]);
        items.push(json!({"id": call.id("rs_"), "type": "reasoning", "summary": summary,
            "status": "completed"}));
    }
    if reply.calls.is_empty() {
        items.push(json!({"id": call.id("msg_"), "type": "message", "role": "assistant",
            "status": status, "content": [output_text(&reply.text())]}));
    }
    for (index, tool) in reply.calls.iter().enumerate() {
        items.push(json!({"id": format!("{}{index}", call.id("fc_")), "type": "function_call",
            "status": "completed", "call_id": call_id(&tool.id), "name": tool.name,
            "arguments": tool.arguments.to_string()}));
    }
    items
}

fn call_id(id: &str) -> String {
    format!("call_{id}")
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn ended(call: &Call, reply: &Reply) -> Value {
    let incomplete = reply.finish == Finish::Length;
    let status = if incomplete { "incomplete" } else { "completed" };
    let mut response = response(call, status, items(call, reply));
    if incomplete {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    if !call.controls.no_usage {
        let usage = &reply.usage;
        response["usage"] = json!({
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        });
    }
    response
}

/// The response object; settings that the request leaves open have their published defaults.
fn response(call: &Call, status: &str, output: Vec<Value>) -> Value {
    let given = |key: &str, default: Value| call.json.get(key).cloned().unwrap_or(default);
    json!({
        "id": call.id("resp_"),
        "object": "response",
        "created_at": call.created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": given("instructions", Value::Null),
        "max_output_tokens": given("max_output_tokens", Value::Null),
        "max_tool_calls": given("max_tool_calls", Value::Null),
        "metadata": given("metadata", json!({})),
        "model": call.model,
        "output": output,
        "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
        "previous_response_id": given("previous_response_id", Value::Null),
        "prompt_cache_key": given("prompt_cache_key", Value::Null),
        "reasoning": given("reasoning", json!({"effort": null, "summary": null})),
        "safety_identifier": given("safety_identifier", Value::Null),
        "service_tier": "default",
        "store": given("store", json!(true)),
        "temperature": given("temperature", json!(1.0)),
        "text": given("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        "tool_choice": given("tool_choice", json!("auto")),
        "tools": given("tools", json!([])),
        "top_logprobs": given("top_logprobs", json!(0)),
        "top_p": given("top_p", json!(1.0)),
        "truncation": given("truncation", json!("disabled")),
        "usage": null,
        "user": given("user", Value::Null),
    })
}
