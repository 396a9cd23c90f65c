//! OpenAI's API, and Azure's form of it.

pub(crate) mod azure;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
mod messages;
pub(crate) mod models;
pub(crate) mod others;
pub(crate) mod responses;

use serde_json::{Value, json};

use super::{
    answer::{Finish, Input, Prompt, Tool, ToolChoice, Usage},
    call::{Call, Fault},
    frame::Event,
};

pub(crate) fn headers(call: &Call) -> Vec<(&'static str, String)> {
    vec![
        ("x-request-id", call.id("req_")),
        ("openai-version", "2020-10-01".to_owned()),
        ("openai-organization", "sim".to_owned()),
        ("openai-processing-ms", "1".to_owned()),
    ]
}

pub(crate) fn error(fault: &Fault) -> Value {
    let (kind, code) = match fault.status {
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    json!({"error": {
        "message": fault.message,
        "type": kind,
        "param": fault.param,
        "code": fault.code.or(code),
    }})
}

pub(crate) fn error_event(call: &Call) -> Event {
    if call.path.ends_with("/responses") {
        return responses::error_event();
    }
    Event::new(error(&Fault::new(500, "The server had an error while processing your request.")))
}

pub(crate) fn unknown_model(model: &str) -> Fault {
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    Fault::new(404, message).code("model_not_found")
}

pub(crate) fn unknown_url(call: &Call) -> Fault {
    Fault::new(404, format!("Invalid URL ({} {})", call.method, call.path))
}

pub(crate) fn invalid_json() -> Fault {
    let message = "We could not parse the JSON body of your request. (HINT: This likely means you \
        aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what \
        was sent was not valid JSON.)";
    Fault::new(400, message)
}

pub(crate) fn unauthorized() -> Fault {
    let message = "Incorrect API key provided. You can find your API key at \
        https://platform.openai.com/account/api-keys.";
    Fault::new(401, message).code("invalid_api_key")
}

fn missing(param: &str) -> Fault {
    Fault::new(400, format!("Missing required parameter: '{param}'."))
        .param(param)
        .code("missing_required_parameter")
}

fn need_model(call: &Call) -> Result<(), Fault> {
    match call.model.is_empty() {
        true => Err(Fault::new(400, "you must provide a model parameter")),
        false => Ok(()),
    }
}

/// Counts a message's content (a text or a list of parts) and returns its text.
fn content(value: Option<&Value>, input: &mut Input) -> String {
    match value {
        Some(Value::String(text)) => {
            input.text(text);
            text.clone()
        }
        Some(Value::Array(parts)) => {
            let mut texts = Vec::new();
            for part in parts {
                match part.get("text").and_then(Value::as_str) {
                    Some(text) => {
                        input.text(text);
                        texts.push(text);
                    }
                    None => input.part(),
                }
            }
            texts.join(" ")
        }
        _ => String::new(),
    }
}

/// The tools of a request; `function` holds the definition in chat, the tool itself in responses.
fn tools(call: &Call, prompt: &mut Prompt) {
    for tool in call.array("tools").into_iter().flatten() {
        prompt.input.part();
        let function = tool.get("function").unwrap_or(tool);
        if let Some(name) = function.get("name").and_then(Value::as_str) {
            let schema = function.get("parameters").cloned().unwrap_or_default();
            prompt.tools.push(Tool { name: name.to_owned(), schema });
        }
    }
    prompt.one_call_only = call.flag("parallel_tool_calls") == Some(false);
    prompt.choice = match call.json.get("tool_choice") {
        Some(Value::String(choice)) if choice == "none" => ToolChoice::None,
        Some(Value::String(choice)) if choice == "required" => ToolChoice::Required,
        Some(Value::Object(choice)) => {
            let function = choice.get("function").and_then(|function| function.get("name"));
            match function.or(choice.get("name")).and_then(Value::as_str) {
                Some(name) => ToolChoice::Named(name.to_owned()),
                None => ToolChoice::Auto,
            }
        }
        _ => ToolChoice::Auto,
    };
}

/// `stop`: a text or a list of texts.
fn stop(call: &Call) -> Vec<String> {
    match call.json.get("stop") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

const FINGERPRINT: &str = "fp_sim";
