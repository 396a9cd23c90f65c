//! The request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::chat::{self, Choice, Terms};
use super::super::facts::{Facts, Family};
use super::super::fields::{Warnings, invalid, missing, refuse, unsupported};
use super::super::media::Media;
use super::super::{Asked, Context, Translated, schema};
use crate::error::Error;
use crate::protocol::ollama::{ChatRequest, Function, Message, Options, Tool, ToolCall};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{self as openai, FunctionTool, ResponseFormat, Role};
use crate::protocol::wire::{Raw, TextOr};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let mut request = ChatCompletionRequest::from_json(body)?;
    chat::refuse_common(&request)?;
    refuse(request.n.is_some_and(|n| n > 1), "n")?;
    let mut warnings = Warnings::default();
    let names = chat::settle(&mut request, Terms::ANY, &mut warnings)?;
    let mut tools = chat::tools(&mut request);
    let choice_field = chat::choice_field(&request);
    match chat::choice(&mut request, &mut tools)? {
        Some(Choice::None) => tools.clear(),
        Some(Choice::Required | Choice::Function(_)) => return Err(unsupported(choice_field)),
        Some(Choice::Auto) | None => {}
    }
    let mut conversation = Conversation::default();
    let messages = chat::messages(&mut request, &mut warnings);
    chat::details(&messages, &mut warnings);
    for (index, message) in messages.into_iter().enumerate() {
        conversation.add(message, &format!("messages[{index}]"))?;
    }
    let stops = chat::stops_of(&mut request, usize::MAX, false, &mut warnings);
    let options = Options {
        num_predict: chat::limit(&request).map(Into::into),
        stop: (!stops.is_empty()).then_some(stops),
        temperature: request.temperature.take(),
        top_p: request.top_p.take(),
        top_k: request.top_k.take(),
        seed: request.seed.take(),
        presence_penalty: request.presence_penalty.take(),
        frequency_penalty: request.frequency_penalty.take(),
        ..Default::default()
    };
    let format = match request.response_format.take() {
        Some(ResponseFormat::JsonSchema(format)) => format.json_schema.schema,
        Some(ResponseFormat::JsonObject(_)) => Some(Raw::from(serde_json::Value::from("json"))),
        Some(ResponseFormat::Other(_)) => {
            warnings.add("response_format");
            None
        }
        Some(ResponseFormat::Text(_)) | None => None,
    };
    warnings.add_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    warnings.add_if(request.user.is_some(), "user");
    warnings.add_if(request.safety_identifier.is_some(), "safety_identifier");
    warnings.add_if(request.thinking.is_some(), "thinking");
    warnings.rest(&request.rest);
    let stream = request.stream == Some(true);
    let translated = ChatRequest {
        model: Some(context.upstream_model.as_str().into()),
        messages: conversation.messages,
        tools: (!tools.is_empty())
            .then(|| tools.into_iter().map(|one| tool(one, &mut warnings)).collect()),
        format,
        options: (options != Options::default()).then_some(options),
        stream: Some(stream),
        think: think(request.reasoning_effort.as_deref(), &context.upstream_model)?,
        ..Default::default()
    };
    let options = request.stream_options.unwrap_or_default();
    Ok(Translated {
        path: "/api/chat".into(),
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

#[derive(Default)]
struct Conversation<'a> {
    messages: Vec<Message<'a>>,
    /// Names of the functions that were called, by the id of the call.
    calls: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> Conversation<'a> {
    fn add(&mut self, message: openai::Message<'a>, at: &str) -> Result<(), Error> {
        let (mut content, images) = content(message.content, at)?;
        if let Some(refusal) = message.refusal.filter(|_| content.is_empty()) {
            content = refusal;
        }
        let mut translated = Message {
            role: Some(role(message.role).into()),
            content: Some(content),
            thinking: message.reasoning_content,
            images: (!images.is_empty()).then_some(images),
            ..Default::default()
        };
        let mut calls = Vec::new();
        for (index, call) in message.tool_calls.into_iter().flatten().enumerate() {
            let openai::ToolCall::Function(call) = call else {
                return Err(unsupported(format!("{at}.tool_calls[{index}].type")));
            };
            calls.push(self.call(call.id, call.function));
        }
        if let Some(call) = message.function_call {
            calls.push(self.call(call.name.clone(), call));
        }
        translated.tool_calls = (!calls.is_empty()).then_some(calls);
        match message.role {
            Role::Tool => {
                let field = format!("{at}.tool_call_id");
                let id = message.tool_call_id.ok_or_else(|| missing(field.clone()))?;
                translated.tool_name = Some(self.called(&id, field)?);
                translated.tool_call_id = Some(id);
            }
            Role::Function => {
                let field = format!("{at}.name");
                let name = message.name.ok_or_else(|| missing(field.clone()))?;
                translated.tool_name = Some(self.called(&name, field)?);
            }
            _ => {}
        }
        self.messages.push(translated);
        Ok(())
    }

    fn call(&mut self, id: Cow<'a, str>, call: openai::FunctionCall<'a>) -> ToolCall<'a> {
        self.calls.insert(id.clone(), call.name.clone());
        let arguments = Some(chat::settled(call.arguments));
        let function = Function { name: call.name, arguments, ..Default::default() };
        ToolCall { id: Some(id), function, ..Default::default() }
    }

    fn called(&self, id: &str, field: String) -> Result<Cow<'a, str>, Error> {
        let name = self.calls.get(id).cloned();
        name.ok_or_else(|| invalid(field, "no message before it has such a call"))
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool | Role::Function => "tool",
    }
}

/// A text and images.
fn content<'a>(
    content: Option<TextOr<'a, Vec<openai::Part<'a>>>>,
    at: &str,
) -> Result<(Cow<'a, str>, Vec<Cow<'a, str>>), Error> {
    let parts = match content {
        None => return Ok(("".into(), Vec::new())),
        Some(TextOr::Text(text)) => return Ok((text, Vec::new())),
        Some(TextOr::Other(parts)) => parts,
    };
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for (index, part) in parts.into_iter().enumerate() {
        let at = format!("{at}.content[{index}]");
        match part {
            openai::Part::Text(part) => texts.push(part.text),
            openai::Part::Refusal(part) => texts.push(part.refusal),
            openai::Part::Image(part) => match Media::of(&part.image_url.url) {
                Some(Media::Data { data, .. }) => images.push(data.to_owned().into()),
                _ => {
                    let rule = "this provider takes images as data URLs in base64 only";
                    return Err(invalid(format!("{at}.image_url.url"), rule));
                }
            },
            _ => return Err(unsupported(format!("{at}.type"))),
        }
    }
    let text = match <[Cow<'_, str>; 1]>::try_from(texts) {
        Ok([text]) => text,
        Err(texts) => texts.join("\n").into(),
    };
    Ok((text, images))
}

fn tool<'a>(tool: FunctionTool<'a>, warnings: &mut Warnings) -> Tool<'a> {
    let mut function = tool.function;
    let strict = function.strict.take();
    warnings.add_if(strict == Some(true), "tools.function.strict");
    function.parameters = function.parameters.or(Some(Raw::EMPTY_OBJECT)).map(schema::object);
    Tool::Function(FunctionTool { function, ..Default::default() })
}

fn think<'a>(effort: Option<&str>, model: &str) -> Result<Option<TextOr<'a, bool>>, Error> {
    let level = match effort {
        None => return Ok(None),
        Some("none") => return Ok(Some(TextOr::Other(false))),
        Some("minimal" | "low") => "low",
        Some("medium") => "medium",
        Some("high" | "xhigh" | "max") => "high",
        Some(_) => return Err(invalid("reasoning_effort", chat::EFFORTS)),
    };
    // Other models think or do not.
    let levels = Facts::named(model).family == Family::GptOss;
    Ok(Some(if levels { TextOr::Text(level.into()) } else { TextOr::Other(true) }))
}
