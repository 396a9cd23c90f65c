//! What a request may have, and what it asks of the model.

use serde_json::{Value, json};

use super::{checked, fields::REQUEST, version};
use crate::model_server::{
    answer::{Input, Prompt, Tool, ToolChoice},
    call::Fault,
};

/// The body of `generateContent`, checked as Google checks it.
pub(super) fn prompt(body: &Value, model: &str) -> Result<Prompt, Fault> {
    let body = &checked(&REQUEST, body)?;
    let mut prompt = Prompt::default();
    for part in list(body.get("systemInstruction"), "parts") {
        prompt.input.text(part["text"].as_str().unwrap_or_default());
    }
    let contents = body["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if contents.is_empty() {
        let message = "* GenerateContentRequest.contents: contents is not specified\n";
        return Err(Fault::new(400, message));
    }
    let mut called: Vec<&str> = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        let parts = list(Some(content), "parts");
        let last = turn(content, parts, index, model, &mut called, &mut prompt.input)?;
        let by_model = content["role"] == "model";
        prompt.tool_result = parts.iter().any(|part| part.get("functionResponse").is_some());
        if !by_model {
            prompt.last = last;
        }
    }
    if !called.is_empty() {
        return Err(Fault::new(400, UNANSWERED));
    }
    tools(body, &mut prompt)?;
    settings(body, model, &mut prompt)?;
    Ok(prompt)
}

/// Checks one turn and returns its text. `called`: the functions that the turn before has called.
fn turn<'a>(
    content: &'a Value,
    parts: &'a [Value],
    index: usize,
    model: &str,
    called: &mut Vec<&'a str>,
    input: &mut Input,
) -> Result<String, Fault> {
    if parts.is_empty() {
        let message = format!(
            "* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.\n"
        );
        return Err(Fault::new(400, message));
    }
    let signs = version(model) >= (3, 0);
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    let mut results = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        if DATA.iter().filter(|key| part.get(**key).is_some()).count() != 1 {
            let message = format!(
                "* GenerateContentRequest.contents[{index}].parts[{number}].data: required oneof \
                 field 'data' must have one initialized field\n"
            );
            return Err(Fault::new(400, message));
        }
        if let Some(text) = part["text"].as_str() {
            input.text(text);
            texts.push(text.to_owned());
        } else if let Some(call) = part.get("functionCall") {
            input.text(&call["args"].to_string());
            let name = call["name"].as_str().unwrap_or_default();
            if signs && calls.is_empty() && part.get("thoughtSignature").is_none() {
                let message = format!(
                    "Function call is missing a thought_signature in functionCall parts. This is \
                     required for tools to work correctly, and missing thought_signature may lead \
                     to degraded model performance. Additional data, function call \
                     `default_api:{name}` , position {index}."
                );
                return Err(Fault::new(400, message));
            }
            calls.push(name);
        } else if let Some(result) = part.get("functionResponse") {
            let text = said(&result["response"]);
            input.text(&text);
            texts.push(text);
            results.push(result["name"].as_str().unwrap_or_default());
        } else {
            input.part();
        }
    }

    let by_model = content["role"] == "model";
    if by_model && !results.is_empty() || !by_model && !calls.is_empty() {
        let message = "Please ensure that function call turn comes immediately after a user turn \
            or after a function response turn.";
        return Err(Fault::new(400, message));
    }
    let (mut asked, mut answered) = (called.clone(), results.clone());
    asked.sort_unstable();
    answered.sort_unstable();
    if answered != asked {
        return Err(Fault::new(400, UNANSWERED));
    }
    *called = calls;
    Ok(texts.join(" "))
}

/// The text of a function's result, which is an object.
fn said(response: &Value) -> String {
    let only = response.as_object().filter(|members| members.len() == 1);
    let text = only.and_then(|members| members.get("result").or(members.get("output"))?.as_str());
    text.map_or_else(|| response.to_string(), str::to_owned)
}

fn tools(body: &Value, prompt: &mut Prompt) -> Result<(), Fault> {
    for declaration in
        list(Some(body), "tools").iter().flat_map(|tool| list(Some(tool), "functionDeclarations"))
    {
        let name = declaration["name"].as_str().unwrap_or_default().to_owned();
        let first = name.chars().next();
        if !first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
            let message = "* GenerateContentRequest.tools[0].function_declarations[0].name: \
                [FIELD_INVALID] Invalid function name. Must start with a letter or an underscore.";
            return Err(Fault::new(400, message));
        }
        if prompt.tools.iter().any(|tool| tool.name == name) {
            return Err(Fault::new(400, format!("Duplicate function declaration found: {name}")));
        }
        let (own, json) = (declaration.get("parameters"), declaration.get("parametersJsonSchema"));
        if own.is_some() && json.is_some() {
            let message = "parameters and parameters_json_schema are mutually exclusive.";
            return Err(Fault::new(400, message));
        }
        prompt.input.part();
        prompt.tools.push(Tool { name, schema: own.or(json).cloned().unwrap_or_default() });
    }
    let Some(config) = body.pointer("/toolConfig/functionCallingConfig") else { return Ok(()) };
    let names = list(Some(config), "allowedFunctionNames");
    let mode = config["mode"].as_str().unwrap_or("AUTO");
    if !names.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        let message = "Allowed function names should only be set when the function calling mode is \
            ANY or VALIDATED.";
        return Err(Fault::new(400, message));
    }
    if mode == "ANY" && prompt.tools.is_empty() {
        let message = "Function calling config is set without function_declarations.";
        return Err(Fault::new(400, message));
    }
    let unknown = |name: &&Value| !prompt.tools.iter().any(|tool| **name == *tool.name);
    if let Some(name) = names.iter().find(unknown) {
        let message =
            format!("allowed_function_names contains {name}, which has no function_declaration.");
        return Err(Fault::new(400, message));
    }
    prompt.choice = match (mode, names) {
        ("NONE", _) => ToolChoice::None,
        ("ANY", [name]) => ToolChoice::Named(name.as_str().unwrap_or_default().to_owned()),
        ("ANY", _) => ToolChoice::Required,
        _ => ToolChoice::Auto,
    };
    Ok(())
}

fn settings(body: &Value, model: &str, prompt: &mut Prompt) -> Result<(), Fault> {
    let Some(config) = body.get("generationConfig") else { return Ok(()) };
    prompt.max_tokens = config["maxOutputTokens"].as_u64();
    let stops = list(Some(config), "stopSequences").iter();
    prompt.stop = stops.filter_map(Value::as_str).map(str::to_owned).collect();
    let is_json = config["responseMimeType"] == "application/json";
    let (own, json) = (config.get("responseSchema"), config.get("responseJsonSchema"));
    if own.is_some() && json.is_some() {
        let message = "Only one of response_schema and response_json_schema may be set.";
        return Err(Fault::new(400, message));
    }
    prompt.schema = match own.or(json) {
        Some(_) if !is_json => {
            let message =
                "Response schema is only supported with response_mime_type application/json.";
            return Err(Fault::new(400, message));
        }
        Some(schema) => Some(schema.clone()),
        None => {
            is_json.then(|| json!({"type": "object", "properties": {"answer": {"type": "string"}}}))
        }
    };
    if let Some(thinking) = config.get("thinkingConfig") {
        if version(model) < (2, 5) {
            let message =
                "Unable to submit request because Thinking is not supported by this model.";
            return Err(Fault::new(400, message));
        }
        if thinking.get("thinkingBudget").is_some() && thinking.get("thinkingLevel").is_some() {
            let message = "You can only set only one of thinking budget and thinking level.";
            return Err(Fault::new(400, message));
        }
        prompt.thinking = thinking["includeThoughts"] == true && thinking["thinkingBudget"] != 0;
    }
    Ok(())
}

pub(super) fn list<'a>(holder: Option<&'a Value>, key: &str) -> &'a [Value] {
    let items = holder.and_then(|holder| holder.get(key)).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

const UNANSWERED: &str = "Please ensure that the number of function response parts is equal to the \
    number of function call parts of the function call turn.";

/// The fields of a part of which one says what it is.
const DATA: [&str; 7] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];
