//! What a chat may have, and what it asks of the model.

use serde_json::{Value, json};

use super::check;
use crate::model_server::{
    answer::{Input, Prompt, Tool, ToolChoice},
    call::{Call, Fault},
    shape::{MAY, NEED, Shape},
};

pub(super) fn prompt(call: &Call) -> Result<Prompt, Fault> {
    check(&REQUEST, &call.json)?;
    let mut prompt = Prompt::default();
    messages(call.array("messages").into_iter().flatten(), &mut prompt)?;
    for tool in call.array("tools").into_iter().flatten() {
        prompt.input.part();
        let function = &tool["function"];
        let name = function["name"].as_str().unwrap_or_default().to_owned();
        if function["parameters"]["type"] != "object" {
            return Err(refused(format!("the parameters of tool '{name}' must be of type object")));
        }
        prompt.tools.push(Tool { name, schema: function["parameters"].clone() });
    }
    prompt.choice = match call.str("tool_choice") {
        Some(_) if prompt.tools.is_empty() => {
            return Err(refused("tool_choice can only be specified if tools are specified"));
        }
        Some("NONE") => ToolChoice::None,
        Some(_) => ToolChoice::Required,
        None => ToolChoice::Auto,
    };
    prompt.schema = match call.json.pointer("/response_format/type").and_then(Value::as_str) {
        Some("json_object") if !prompt.tools.is_empty() => {
            return Err(refused("response_format json_object is not supported with tools"));
        }
        Some("json_object") => {
            let schema = call.json.pointer("/response_format/json_schema").cloned();
            let any = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
            Some(schema.unwrap_or(any))
        }
        _ => None,
    };
    prompt.max_tokens = call.u64("max_tokens");
    let stops = call.array("stop_sequences").into_iter().flatten();
    prompt.stop = stops.filter_map(Value::as_str).map(str::to_owned).collect();
    prompt.thinking = call.json.pointer("/thinking/type").is_some_and(|kind| kind == "enabled");
    if call.json.get("thinking").is_some() && !call.model.contains("reasoning") {
        return Err(refused(format!("thinking is not supported by model '{}'", call.model)));
    }
    Ok(prompt)
}

fn messages<'a>(
    messages: impl Iterator<Item = &'a Value>,
    prompt: &mut Prompt,
) -> Result<(), Fault> {
    let mut open: Vec<&str> = Vec::new();
    let mut last = "";
    let mut results = Vec::new();
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        let text = content(message, &mut prompt.input);
        let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        let id = message["tool_call_id"].as_str();
        let fits = match role {
            "assistant" => id.is_none() && (message.get("content").is_some() || !calls.is_empty()),
            "tool" => calls.is_empty() && id.is_some(),
            _ => calls.is_empty() && id.is_none() && message.get("content").is_some(),
        };
        if !fits {
            return Err(refused(format!("a message of the role '{role}' has not its own fields")));
        }
        match role {
            "tool" => {
                let Some(at) = open.iter().position(|open| Some(*open) == id) else {
                    return Err(refused(format!(
                        "tool call id '{}' not found in the previous assistant message",
                        id.unwrap_or_default()
                    )));
                };
                open.remove(at);
                results.push(text);
            }
            _ if !open.is_empty() => {
                return Err(refused(format!("tool call id '{}' has no tool message", open[0])));
            }
            _ => {
                results.clear();
                if role == "user" {
                    prompt.last = text;
                }
            }
        }
        for call in calls {
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            if !serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object()) {
                return Err(refused("the arguments of a tool call must be a JSON object"));
            }
            prompt.input.text(arguments);
            open.push(call["id"].as_str().unwrap_or_default());
        }
        last = role;
    }
    match last {
        "tool" if open.is_empty() => {
            prompt.tool_result = true;
            prompt.last = results.join(" ");
            Ok(())
        }
        "user" => Ok(()),
        // A prompt of the system's alone is answered, too.
        "system" => Ok(()),
        _ => Err(refused("the last message must be of the role user or tool")),
    }
}

fn content(message: &Value, input: &mut Input) -> String {
    input.text(message["tool_plan"].as_str().unwrap_or_default());
    match &message["content"] {
        Value::String(text) => {
            input.text(text);
            text.clone()
        }
        Value::Array(parts) => {
            let mut texts = Vec::new();
            for part in parts {
                let document = part.pointer("/document/data").map(Value::to_string);
                match part["text"].as_str().map(str::to_owned).or(document) {
                    Some(text) => {
                        input.text(&text);
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

fn refused(message: impl AsRef<str>) -> Fault {
    Fault::new(400, format!("invalid request: {}", message.as_ref()))
}

static REQUEST: Shape = Shape::Object(&[
    ("model", NEED, Shape::Full),
    ("messages", NEED, Shape::List(1, usize::MAX, &MESSAGE)),
    ("stream", MAY, Shape::Flag),
    ("tools", MAY, Shape::List(0, usize::MAX, &TOOL)),
    ("strict_tools", MAY, Shape::Flag),
    ("documents", MAY, Shape::List(0, usize::MAX, &Shape::Any)),
    ("citation_options", MAY, Shape::Free),
    (
        "response_format",
        MAY,
        Shape::Object(&[
            ("type", NEED, Shape::Word(&["text", "json_object"])),
            ("json_schema", MAY, Shape::Free),
        ]),
    ),
    ("safety_mode", MAY, Shape::Word(&["CONTEXTUAL", "STRICT", "OFF"])),
    ("max_tokens", MAY, Shape::Whole(0, i64::MAX)),
    ("stop_sequences", MAY, Shape::List(0, 5, &Shape::Text)),
    ("temperature", MAY, Shape::Number(0.0, f64::MAX)),
    ("seed", MAY, Shape::Whole(i64::MIN, i64::MAX)),
    ("frequency_penalty", MAY, Shape::Number(0.0, 1.0)),
    ("presence_penalty", MAY, Shape::Number(0.0, 1.0)),
    ("k", MAY, Shape::Number(0.0, 500.0)),
    ("p", MAY, Shape::Number(0.01, 0.99)),
    ("logprobs", MAY, Shape::Flag),
    ("tool_choice", MAY, Shape::Word(&["REQUIRED", "NONE"])),
    (
        "thinking",
        MAY,
        Shape::Object(&[
            ("type", NEED, Shape::Word(&["enabled", "disabled"])),
            ("token_budget", MAY, Shape::Whole(1, i64::MAX)),
        ]),
    ),
    ("priority", MAY, Shape::Whole(0, 999)),
]);

static MESSAGE: Shape = Shape::Object(&[
    ("role", NEED, Shape::Word(&["user", "assistant", "system", "tool"])),
    ("content", MAY, Shape::Either(&[Shape::Text, Shape::List(1, usize::MAX, &PART)])),
    ("tool_calls", MAY, Shape::List(1, usize::MAX, &CALL)),
    ("tool_plan", MAY, Shape::Text),
    ("tool_call_id", MAY, Shape::Full),
    ("citations", MAY, Shape::List(0, usize::MAX, &Shape::Free)),
]);

static PART: Shape = Shape::Object(&[
    ("type", NEED, Shape::Word(&["text", "image_url", "thinking", "document"])),
    ("text", MAY, Shape::Text),
    ("thinking", MAY, Shape::Text),
    (
        "image_url",
        MAY,
        Shape::Object(&[
            ("url", NEED, Shape::Full),
            ("detail", MAY, Shape::Word(&["auto", "low", "high"])),
        ]),
    ),
    ("document", MAY, Shape::Free),
]);

static CALL: Shape = Shape::Object(&[
    ("id", NEED, Shape::Full),
    ("type", NEED, Shape::Word(&["function"])),
    (
        "function",
        NEED,
        Shape::Object(&[("name", NEED, Shape::Full), ("arguments", NEED, Shape::Text)]),
    ),
]);

static TOOL: Shape = Shape::Object(&[
    ("type", NEED, Shape::Word(&["function"])),
    (
        "function",
        NEED,
        Shape::Object(&[
            ("name", NEED, Shape::Full),
            ("description", MAY, Shape::Text),
            ("parameters", NEED, Shape::Free),
        ]),
    ),
]);
