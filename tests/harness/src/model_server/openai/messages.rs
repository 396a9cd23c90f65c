//! The messages of a chat: what OpenAI's API would refuse is refused.

use serde_json::Value;

use super::{content, missing};
use crate::model_server::{
    answer::Prompt,
    call::Fault,
    shape::{MAY, NEED, Shape, What},
};

/// Reads them into the prompt.
pub(super) fn read(messages: &[Value], prompt: &mut Prompt) -> Result<(), Fault> {
    let mut open: Vec<&str> = Vec::new();
    let mut results: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        let role = message.get("role").ok_or_else(|| missing(&format!("{at}.role")))?;
        let role = role.as_str().filter(|role| ROLES.contains(role)).ok_or_else(|| {
            let message = format!(
                "Invalid value: {role}. Supported values are: 'system', 'assistant', 'user', \
                 'function', 'tool', and 'developer'."
            );
            Fault::new(400, message).param(format!("{at}.role")).code("invalid_value")
        })?;
        check(message, role, &at)?;
        let text = content(message.get("content"), &mut prompt.input);
        prompt.tool_result = role == "tool";
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let Some(place) = open.iter().position(|open| *open == id) else {
                let message = "Invalid parameter: messages with role 'tool' must be a response to \
                    a preceeding message with 'tool_calls'.";
                return Err(Fault::new(400, message).param(format!("messages.[{index}].role")));
            };
            open.remove(place);
            results.push(text);
            prompt.last = results.join(" ");
            continue;
        }
        unanswered(&open)?;
        results.clear();
        if role == "user" {
            prompt.last = text;
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            content(call.pointer("/function/arguments"), &mut prompt.input);
            open.extend(call["id"].as_str());
        }
    }
    unanswered(&open)
}

fn unanswered(open: &[&str]) -> Result<(), Fault> {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(Fault::new(400, message).param("messages"))
}

/// The types of what is known; servers differ in what else they take.
fn check(message: &Value, role: &str, at: &str) -> Result<(), Fault> {
    let content = &message["content"];
    let may_be_silent = role == "assistant"
        && (message["tool_calls"].is_array() || message["function_call"].is_object());
    if content.is_null() && !may_be_silent && message["refusal"].is_null() {
        let message =
            format!("Invalid value for 'content': expected a string, got null. ({at}.content)");
        return Err(Fault::new(400, message).param(format!("{at}.content")));
    }
    let parts = content.as_array();
    if !(content.is_null() || content.is_string() || parts.is_some_and(|all| !all.is_empty())) {
        return Err(wrong(&format!("{at}.content"), "a string or an array of parts"));
    }
    for (index, part) in parts.into_iter().flatten().enumerate() {
        let known: &[(&str, &str)] = match role {
            "assistant" => &[("text", "text"), ("refusal", "refusal")],
            "user" => &[
                ("text", "text"),
                ("image_url", "image_url"),
                ("input_audio", "input_audio"),
                ("file", "file"),
            ],
            _ => &[("text", "text")],
        };
        let kind = part["type"].as_str().unwrap_or_default();
        let at = format!("{at}.content[{index}]");
        match known.iter().find(|(known, _)| *known == kind) {
            Some((_, member)) if part.get(member).is_some() => {}
            Some((_, member)) => return Err(missing(&format!("{at}.{member}"))),
            None => return Err(wrong(&format!("{at}.type"), "a type of this role's content")),
        }
        if kind == "image_url" && !part["image_url"]["url"].is_string() {
            return Err(wrong(&format!("{at}.image_url.url"), "a string"));
        }
    }
    if role == "tool" && !message["tool_call_id"].is_string() {
        return Err(missing(&format!("{at}.tool_call_id")));
    }
    let calls = &message["tool_calls"];
    if !calls.is_null() && role != "assistant" {
        return Err(wrong(&format!("{at}.tool_calls"), "nothing at this role"));
    }
    if !calls.is_null() {
        CALLS.check(calls).map_err(|slip| match &slip.what {
            What::Missing(_) => missing(&format!("{at}.tool_calls{}", slip.field())),
            _ => wrong(&format!("{at}.tool_calls{}", slip.field()), "what the API says"),
        })?;
    }
    Ok(())
}

fn wrong(param: &str, expected: &str) -> Fault {
    let message = format!("Invalid type for '{param}': expected {expected}.");
    Fault::new(400, message).param(param).code("invalid_type")
}

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];

static CALLS: Shape = Shape::List(
    1,
    128,
    &Shape::Object(&[
        ("id", NEED, Shape::Full),
        ("type", NEED, Shape::Word(&["function", "custom"])),
        (
            "function",
            MAY,
            Shape::Object(&[
                ("name", NEED, Shape::Name(64, "_-")),
                ("arguments", NEED, Shape::Text),
            ]),
        ),
        ("custom", MAY, Shape::Free),
        // Of Google's OpenAI-compatible API.
        ("extra_content", MAY, Shape::Free),
        // Of a stream's parts, which clients send back.
        ("index", MAY, Shape::Whole(0, 127)),
    ]),
);
