//! The request.

use super::super::chat::at_openai;
use super::super::fields::{Warnings, refuse};
use super::super::{Asked, Context, Translated};
use super::items;
use super::tools::Tools;
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::openai::chat::{
    self, ChatCompletionRequest, ResponseFormat, SchemaFormat, StreamOptions,
};
use crate::protocol::openai::responses::{Format, ResponsesRequest};
use crate::protocol::wire::{Raw, Rest, Wire};

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
    let text = request.text.unwrap_or_default();
    let mut tools = Tools::new(request.tools, &mut warnings);
    let mut translated = ChatCompletionRequest {
        model: Some(context.upstream_model.as_str().into()),
        messages: items::translate(request.instructions, request.input, &mut tools, &mut warnings)?,
        stream: request.stream,
        stream_options: stream
            .then(|| StreamOptions { include_usage: Some(true), ..Default::default() }),
        max_tokens: request.max_output_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        response_format: text.format.and_then(format),
        reasoning_effort: request.reasoning.and_then(|reasoning| reasoning.effort),
        user: request.user,
        safety_identifier: request.safety_identifier,
        ..Default::default()
    };
    tools.choose(request.tool_choice, request.parallel_tool_calls, &mut translated)?;
    if let Some(verbosity) = text.verbosity {
        translated.rest.push("verbosity", Raw::from_wire(&verbosity));
    }
    let sent = at_openai(&mut translated, context, Operation::Responses, &mut warnings)?;
    let names = tools.names.of(sent);
    Ok(Translated {
        path: "/chat/completions".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked { stream, usage: true, thinking: true, echo, names, ..Asked::default() },
    })
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
