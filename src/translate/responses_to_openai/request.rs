//! The request.

use super::super::fields::{Warnings, refuse, unsupported};
use super::super::{Asked, Context, Translated, gpt};
use super::items;
use crate::error::Error;
use crate::protocol::openai::chat::{
    self, AllowedChoice, AllowedTools, ChatCompletionRequest, Function, FunctionChoice,
    FunctionTool, NamedFunction, ResponseFormat, SchemaFormat, StreamOptions,
};
use crate::protocol::openai::responses::{Format, ResponsesRequest, Tool, ToolChoice};
use crate::protocol::wire::{Raw, Rest, TextOr, Wire};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = ResponsesRequest::from_json(body)?;
    refuse(request.previous_response_id.is_some(), "previous_response_id")?;
    refuse(request.conversation.is_some(), "conversation")?;
    refuse(request.prompt.is_some(), "prompt")?;
    refuse(request.background == Some(true), "background")?;
    refuse(request.top_logprobs.is_some_and(|count| count > 0), "top_logprobs")?;
    let mut warnings = Warnings::default();
    warnings.rest(&request.rest);
    let echo = echo(&request);
    let stream = request.stream == Some(true);
    let reasons = gpt::reasons(&context.upstream_model);
    let limit = request.max_output_tokens;
    let text = request.text.unwrap_or_default();
    let mut translated = ChatCompletionRequest {
        model: Some(context.upstream_model.as_str().into()),
        messages: items::translate(request.instructions, request.input)?,
        stream: request.stream,
        stream_options: stream
            .then(|| StreamOptions { include_usage: Some(true), ..Default::default() }),
        max_tokens: limit.filter(|_| !reasons),
        max_completion_tokens: limit.filter(|_| reasons),
        temperature: request.temperature,
        top_p: request.top_p,
        tools: tools(request.tools)?,
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: text.format.and_then(format),
        reasoning_effort: request.reasoning.and_then(|reasoning| reasoning.effort),
        user: request.user,
        safety_identifier: request.safety_identifier,
        ..Default::default()
    };
    if translated.tools.is_some() {
        translated.tool_choice = request.tool_choice.map(choice).transpose()?;
    } else {
        translated.parallel_tool_calls = None;
    }
    if let Some(verbosity) = text.verbosity {
        translated.rest.push("verbosity", Raw::from_wire(&verbosity));
    }
    Ok(Translated {
        path: "/chat/completions".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked { stream, usage: true, thinking: true, echo, ..Asked::default() },
    })
}

fn tools<'a>(tools: Option<Vec<Tool<'a>>>) -> Result<Option<Vec<chat::Tool<'a>>>, Error> {
    let mut translated = Vec::new();
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let Tool::Function(tool) = tool else {
            return Err(unsupported(format!("tools[{index}].type")));
        };
        let function = Function {
            name: tool.name,
            description: tool.description,
            parameters: tool.parameters,
            strict: tool.strict,
            ..Default::default()
        };
        translated.push(chat::Tool::Function(FunctionTool { function, ..Default::default() }));
    }
    Ok((!translated.is_empty()).then_some(translated))
}

fn choice<'a>(
    choice: TextOr<'a, ToolChoice<'a>>,
) -> Result<TextOr<'a, chat::ToolChoice<'a>>, Error> {
    Ok(match choice {
        TextOr::Text(word) => TextOr::Text(word),
        TextOr::Other(ToolChoice::Function(choice)) => TextOr::Other(named(choice.name)),
        TextOr::Other(ToolChoice::Allowed(choice)) => {
            let name = |(index, choice)| match choice {
                ToolChoice::Function(choice) => Ok(named(choice.name)),
                _ => Err(unsupported(format!("tool_choice.tools[{index}].type"))),
            };
            let tools = choice.tools.into_iter().enumerate().map(name);
            let allowed_tools = AllowedTools {
                mode: choice.mode,
                tools: tools.collect::<Result<_, _>>()?,
                ..Default::default()
            };
            let choice = AllowedChoice { allowed_tools, ..Default::default() };
            TextOr::Other(chat::ToolChoice::Allowed(choice))
        }
        TextOr::Other(ToolChoice::Other(_)) => return Err(unsupported("tool_choice.type")),
    })
}

fn named(name: std::borrow::Cow<'_, str>) -> chat::ToolChoice<'_> {
    let function = NamedFunction { name, ..Default::default() };
    chat::ToolChoice::Function(FunctionChoice { function, ..Default::default() })
}

fn format(format: Format<'_>) -> Option<ResponseFormat<'_>> {
    match format {
        Format::JsonSchema(schema) => Some(ResponseFormat::JsonSchema(SchemaFormat {
            json_schema: chat::JsonSchema {
                name: schema.name,
                description: schema.description,
                schema: schema.schema,
                strict: schema.strict,
                ..Default::default()
            },
            ..Default::default()
        })),
        Format::JsonObject(_) => Some(ResponseFormat::JsonObject(Default::default())),
        Format::Text(_) | Format::Other(_) => None,
    }
}

/// The fields of the request that the answer tells again.
fn echo(request: &ResponsesRequest<'_>) -> Rest<'static> {
    fn put<'a>(echo: &mut Rest<'static>, name: &str, value: &impl Wire<'a>, absent: &'static str) {
        let value = if value.is_absent() { Raw::literal(absent) } else { Raw::from_wire(value) };
        echo.push(name, value);
    }
    let mut echo = Rest::default();
    put(&mut echo, "instructions", &request.instructions, "null");
    put(&mut echo, "max_output_tokens", &request.max_output_tokens, "null");
    put(&mut echo, "metadata", &request.metadata, "{}");
    put(&mut echo, "parallel_tool_calls", &request.parallel_tool_calls, "true");
    put(&mut echo, "previous_response_id", &request.previous_response_id, "null");
    put(&mut echo, "reasoning", &request.reasoning, r#"{"effort":null,"summary":null}"#);
    put(&mut echo, "store", &Some(false), "false");
    put(&mut echo, "temperature", &request.temperature, "1.0");
    put(&mut echo, "text", &request.text, r#"{"format":{"type":"text"}}"#);
    put(&mut echo, "tool_choice", &request.tool_choice, r#""auto""#);
    put(&mut echo, "tools", &request.tools, "[]");
    put(&mut echo, "top_p", &request.top_p, "1.0");
    put(&mut echo, "truncation", &None::<bool>, r#""disabled""#);
    put(&mut echo, "user", &request.user, "null");
    echo
}
