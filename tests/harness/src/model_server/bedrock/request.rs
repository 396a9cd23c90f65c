//! What a request of the Converse API may have, and what it asks of the model.

use serde_json::Value;

use super::{check, fields::REQUEST};
use crate::model_server::{
    answer::{Input, Prompt, Tool, ToolChoice},
    call::Fault,
};

/// The body of `converse`, checked as Bedrock checks it.
pub(super) fn prompt(body: &Value, model: &str) -> Result<Prompt, Fault> {
    check(&REQUEST, body)?;
    let mut prompt = Prompt::default();
    for block in list(body, "system") {
        prompt.input.text(block["text"].as_str().unwrap_or_default());
    }
    messages(list(body, "messages"), &mut prompt)?;
    tools(body, &mut prompt)?;
    let config = &body["inferenceConfig"];
    prompt.max_tokens = config["maxTokens"].as_u64();
    let stops = list(config, "stopSequences").iter();
    prompt.stop = stops.filter_map(Value::as_str).map(str::to_owned).collect();
    if let Some(schema) =
        body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema").and_then(Value::as_str)
    {
        let schema: Value = serde_json::from_str(schema).map_err(|_| {
            refused("The value at outputConfig.textFormat.structure.jsonSchema.schema is no JSON.")
        })?;
        prompt.schema = Some(schema);
    }
    additional(&body["additionalModelRequestFields"], model, &mut prompt)?;
    Ok(prompt)
}

/// Turns alternate, and every call is answered by the turn after it.
fn messages(messages: &[Value], prompt: &mut Prompt) -> Result<(), Fault> {
    let mut before = "assistant";
    let mut called: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role == before {
            return Err(refused(match index {
                0 => {
                    "A conversation must start with a user message. Try again with a conversation \
                      that starts with a user message."
                }
                _ => {
                    "A conversation must alternate between user and assistant roles. Make sure \
                      the conversation alternates between user and assistant roles and try again."
                }
            }));
        }
        before = role;
        let mut texts = Vec::new();
        let (mut calls, mut results) = (Vec::new(), Vec::new());
        for (number, block) in list(message, "content").iter().enumerate() {
            let at = format!("messages.{index}.content.{number}");
            block_text(block, &at, &mut texts, &mut prompt.input)?;
            let id = |key: &str| block.pointer(key).and_then(Value::as_str);
            calls.extend(id("/toolUse/toolUseId"));
            results.extend(id("/toolResult/toolUseId"));
        }
        let wrong_side = if role == "user" { &calls } else { &results };
        if !wrong_side.is_empty() {
            return Err(refused(format!(
                "The role of messages.{index} has no such content: tool use is the assistant's, \
                 tool results are the user's."
            )));
        }
        if let Some(id) = results.iter().find(|id| !called.contains(id)) {
            return Err(refused(format!(
                "The number of toolResult blocks at messages.{index}.content exceeds the number of \
                 toolUse blocks of previous turn: {id}."
            )));
        }
        if let Some(id) = called.iter().find(|id| !results.contains(id)) {
            return Err(refused(format!(
                "Expected toolResult blocks at messages.{index}.content for the following Ids: {id}"
            )));
        }
        called = calls;
        if role == "user" {
            prompt.tool_result = !results.is_empty();
            prompt.last = texts.join(" ");
        }
    }
    match called.first() {
        Some(id) => Err(refused(format!(
            "Expected toolResult blocks at messages.{}.content for the following Ids: {id}",
            messages.len()
        ))),
        None => Ok(()),
    }
}

fn block_text(
    block: &Value,
    at: &str,
    texts: &mut Vec<String>,
    input: &mut Input,
) -> Result<(), Fault> {
    if let Some(text) = block["text"].as_str() {
        if text.trim().is_empty() {
            let message = format!(
                "The text field in the ContentBlock object at {at} is blank. Add text to the text \
                 field, and try again."
            );
            return Err(refused(message));
        }
        input.text(text);
        texts.push(text.to_owned());
    } else if let Some(call) = block.get("toolUse") {
        input.text(&call["input"].to_string());
    } else if let Some(result) = block.get("toolResult") {
        for block in list(result, "content") {
            match block.get("json") {
                Some(json) => {
                    input.text(&json.to_string());
                    texts.push(json.to_string());
                }
                None => block_text(block, at, texts, input)?,
            }
        }
    } else if let Some(thought) = block.pointer("/reasoningContent/reasoningText") {
        input.text(thought["text"].as_str().unwrap_or_default());
    } else if block.get("cachePoint").is_none() {
        input.part();
    }
    Ok(())
}

fn tools(body: &Value, prompt: &mut Prompt) -> Result<(), Fault> {
    let uses = list(body, "messages").iter().flat_map(|message| list(message, "content"));
    let uses_tools =
        uses.clone().any(|block| block.get("toolUse").or(block.get("toolResult")).is_some());
    let Some(config) = body.get("toolConfig") else {
        return match uses_tools {
            true => Err(refused(
                "The toolConfig field must be defined when using toolUse and toolResult content \
                 blocks.",
            )),
            false => Ok(()),
        };
    };
    for spec in list(config, "tools").iter().filter_map(|tool| tool.get("toolSpec")) {
        prompt.input.part();
        let name = spec["name"].as_str().unwrap_or_default().to_owned();
        if prompt.tools.iter().any(|tool| tool.name == name) {
            return Err(refused(format!(
                "The tool {name} is already defined at toolConfig.tools."
            )));
        }
        let schema = spec["inputSchema"]["json"].clone();
        if schema["type"] != "object" {
            let message = format!(
                "The value at toolConfig.tools.{}.toolSpec.inputSchema.json.type must be one of the \
                 following: object.",
                prompt.tools.len()
            );
            return Err(refused(message));
        }
        prompt.tools.push(Tool { name, schema });
    }
    let choice = &config["toolChoice"];
    prompt.choice = match choice.pointer("/tool/name").and_then(Value::as_str) {
        Some(name) if !prompt.tools.iter().any(|tool| tool.name == name) => {
            return Err(refused(format!(
                "The tool {name} at toolConfig.toolChoice is not defined."
            )));
        }
        Some(name) => ToolChoice::Named(name.to_owned()),
        None if choice.get("any").is_some() => ToolChoice::Required,
        None => ToolChoice::Auto,
    };
    Ok(())
}

/// In the words of the models' makers.
fn additional(fields: &Value, model: &str, prompt: &mut Prompt) -> Result<(), Fault> {
    let known: &[&str] = match model {
        _ if model.contains("claude") => &["thinking", "top_k", "anthropic_beta"],
        _ if model.contains("gpt-oss") => &["reasoning_effort"],
        _ => &[],
    };
    for key in fields.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !known.contains(&key.as_str()) {
            let message = format!(
                "The model returned the following errors: {key}: Extra inputs are not permitted"
            );
            return Err(refused(message));
        }
    }
    let thinking = &fields["thinking"];
    if thinking["type"] == "enabled" {
        let budget = thinking["budget_tokens"].as_u64().unwrap_or_default();
        let limit = prompt.max_tokens.unwrap_or(u64::MAX);
        if budget < 1024 || budget >= limit {
            return Err(refused(
                "The model returned the following errors: `max_tokens` must be greater than \
                 `thinking.budget_tokens`, which must be at least 1024.",
            ));
        }
    }
    prompt.thinking = matches!(thinking["type"].as_str(), Some("enabled" | "adaptive"))
        || fields["reasoning_effort"].as_str().is_some_and(|effort| effort != "none");
    Ok(())
}

fn list<'a>(holder: &'a Value, key: &str) -> &'a [Value] {
    let items = holder.get(key).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

fn refused(message: impl Into<String>) -> Fault {
    Fault::new(400, message)
}
