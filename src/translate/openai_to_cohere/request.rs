//! The request.

use std::ops::RangeInclusive;

use super::super::chat::{self, Choice, Terms};
use super::super::fields::{Warnings, invalid, missing, refuse, unsupported};
use super::super::{Asked, Context, Translated, schema};
use crate::error::Error;
use crate::protocol::cohere::{
    ChatRequest, Function, Message, Part, ResponseFormat, Thinking, Tool, ToolCall,
};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{self as openai, FunctionTool, Role, TextPart};
use crate::protocol::wire::{Number, Raw, TextOr};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let mut request = ChatCompletionRequest::from_json(body)?;
    chat::refuse_common(&request)?;
    refuse(request.n.is_some_and(|n| n > 1), "n")?;
    let mut warnings = Warnings::default();
    let names = chat::settle(&mut request, Terms::ANY, &mut warnings)?;
    let mut tools = chat::tools(&mut request);
    let tool_choice = match chat::choice(&mut request, &mut tools)? {
        Some(Choice::None) => Some("NONE"),
        Some(Choice::Required) => Some("REQUIRED"),
        Some(Choice::Function(name)) => {
            tools.retain(|tool| tool.function.name == name);
            Some("REQUIRED")
        }
        Some(Choice::Auto) | None => None,
    };
    let mut function_call = None;
    let mut messages = Vec::new();
    for (index, message) in chat::messages(&mut request, &mut warnings).into_iter().enumerate() {
        messages.push(translate(message, index, &mut function_call)?);
    }
    let strict = tools.iter().filter(|tool| tool.function.strict == Some(true)).count();
    warnings.add_if(strict > 0 && strict < tools.len(), "tools.function.strict");
    warnings.add_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    warnings.add_if(request.user.is_some(), "user");
    warnings.add_if(request.safety_identifier.is_some(), "safety_identifier");
    warnings.add_if(request.thinking.is_some(), "thinking");
    warnings.rest(&request.rest);
    let stops = chat::stops_of(&mut request, STOPS, false, &mut warnings);
    let stream = request.stream == Some(true);
    let translated = ChatRequest {
        model: context.upstream_model.as_str().into(),
        messages,
        stream,
        tool_choice: tool_choice.filter(|_| !tools.is_empty()).map(Into::into),
        strict_tools: (strict > 0 && strict == tools.len()).then_some(true),
        tools: (!tools.is_empty()).then(|| tools.into_iter().map(tool).collect()),
        response_format: format(request.response_format.take(), &mut warnings),
        max_tokens: chat::limit(&request),
        stop_sequences: (!stops.is_empty()).then_some(stops),
        temperature: request.temperature.take(),
        p: nearest(request.top_p.take(), 0.01..=0.99, "top_p", &mut warnings),
        k: request.top_k.take(),
        seed: chat::seed(&mut request, 0.0..=f64::MAX, &mut warnings),
        presence_penalty: nearest(
            request.presence_penalty,
            0.0..=1.0,
            "presence_penalty",
            &mut warnings,
        ),
        frequency_penalty: nearest(
            request.frequency_penalty,
            0.0..=1.0,
            "frequency_penalty",
            &mut warnings,
        ),
        thinking: think(request.reasoning_effort.as_deref(), context, &mut warnings)?,
        ..Default::default()
    };
    let options = request.stream_options.unwrap_or_default();
    Ok(Translated {
        path: "/chat".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked {
            stream,
            usage: options.include_usage == Some(true),
            names,
            ..Default::default()
        },
    })
}

/// `function_call`: the last message with a call under the older name, which has no id.
fn translate<'a>(
    message: openai::Message<'a>,
    index: usize,
    function_call: &mut Option<usize>,
) -> Result<Message<'a>, Error> {
    let at = format!("messages[{index}]");
    let mut calls = Vec::new();
    for (number, call) in message.tool_calls.into_iter().flatten().enumerate() {
        let openai::ToolCall::Function(call) = call else {
            return Err(unsupported(format!("{at}.tool_calls[{number}].type")));
        };
        calls.push(ToolCall {
            id: Some(call.id),
            kind: Some("function".into()),
            function: Some(call.function),
            ..Default::default()
        });
    }
    if let Some(function) = message.function_call {
        *function_call = Some(index);
        calls.push(ToolCall {
            id: Some(format!("call_{index}").into()),
            kind: Some("function".into()),
            function: Some(function),
            ..Default::default()
        });
    }
    let (role, tool_call_id) = match message.role {
        Role::System | Role::Developer => ("system", None),
        Role::User => ("user", None),
        Role::Assistant => ("assistant", None),
        Role::Tool => {
            let id = message.tool_call_id;
            ("tool", Some(id.ok_or_else(|| missing(format!("{at}.tool_call_id")))?))
        }
        Role::Function => {
            let call = function_call.ok_or_else(|| {
                invalid(format!("{at}.role"), "no message before it has a function_call")
            })?;
            ("tool", Some(format!("call_{call}").into()))
        }
    };
    let said = content(message.content, &at)?;
    Ok(Message {
        role: role.into(),
        content: said.or(message.refusal.map(TextOr::Text)),
        tool_plan: message.reasoning_content.filter(|_| !calls.is_empty()),
        tool_calls: (!calls.is_empty()).then_some(calls),
        tool_call_id,
        ..Default::default()
    })
}

fn content<'a>(
    content: Option<TextOr<'a, Vec<openai::Part<'a>>>>,
    at: &str,
) -> Result<Option<TextOr<'a, Vec<Part<'a>>>>, Error> {
    let parts = match content {
        None => return Ok(None),
        Some(TextOr::Text(text)) => return Ok(Some(TextOr::Text(text))),
        Some(TextOr::Other(parts)) => parts,
    };
    let mut translated = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        translated.push(match part {
            openai::Part::Text(part) => text_part(part.text),
            openai::Part::Refusal(part) => text_part(part.refusal),
            openai::Part::Image(part) => {
                let image_url = part.image_url;
                Part::Image(openai::ImagePart { image_url, ..Default::default() })
            }
            _ => return Err(unsupported(format!("{at}.content[{index}].type"))),
        });
    }
    Ok(Some(TextOr::Other(translated)))
}

fn text_part(text: std::borrow::Cow<'_, str>) -> Part<'_> {
    Part::Text(TextPart { text, ..Default::default() })
}

fn tool(tool: FunctionTool<'_>) -> Tool<'_> {
    let function = tool.function;
    Tool {
        kind: "function".into(),
        function: Function {
            name: function.name,
            description: function.description,
            parameters: schema::object(function.parameters.unwrap_or(Raw::EMPTY_OBJECT)),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn format<'a>(
    format: Option<openai::ResponseFormat<'a>>,
    warnings: &mut Warnings,
) -> Option<ResponseFormat<'a>> {
    let json_schema = match format? {
        openai::ResponseFormat::JsonSchema(format) => format.json_schema.schema,
        openai::ResponseFormat::JsonObject(_) => None,
        openai::ResponseFormat::Text(_) => return None,
        openai::ResponseFormat::Other(_) => {
            warnings.add("response_format");
            return None;
        }
    };
    Some(ResponseFormat { kind: "json_object".into(), json_schema, ..Default::default() })
}

/// Cohere's ranges are narrower than OpenAI's.
fn nearest<'a>(
    asked: Option<Number<'a>>,
    range: RangeInclusive<f64>,
    field: &'static str,
    warnings: &mut Warnings,
) -> Option<Number<'a>> {
    let asked = asked?;
    let known = asked.as_f64().clamp(*range.start(), *range.end());
    let same = known == asked.as_f64();
    warnings.add_if(!same, field);
    Some(if same { asked } else { Number::from(known) })
}

fn think<'a>(
    effort: Option<&str>,
    context: &Context,
    warnings: &mut Warnings,
) -> Result<Option<Thinking<'a>>, Error> {
    let (kind, token_budget) = match effort {
        None => return Ok(None),
        Some("none") => ("disabled", None),
        Some("minimal" | "low") => ("enabled", Some(1_024)),
        Some("medium") => ("enabled", Some(4_096)),
        Some("high" | "xhigh" | "max") => ("enabled", None),
        Some(_) => return Err(invalid("reasoning_effort", chat::EFFORTS)),
    };
    if !context.upstream_model.contains("reasoning") {
        warnings.add("reasoning_effort");
        return Ok(None);
    }
    Ok(Some(Thinking { kind: kind.into(), token_budget, ..Default::default() }))
}

/// Cohere takes no more stop sequences.
const STOPS: usize = 5;
