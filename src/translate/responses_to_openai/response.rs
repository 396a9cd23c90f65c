//! The answer that is no stream.

use std::borrow::Cow;

use super::super::{Asked, Context};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::openai::ChatCompletionResponse;
use crate::protocol::openai::chat::{Answer, ToolCall};
use crate::protocol::openai::responses::{
    FunctionCall, IncompleteDetails, OutputItem, OutputMessage, OutputPart, OutputText,
    ReasoningItem, ReasoningPart, Refusal, ResponseUsage, ResponsesResponse, TextPart,
};
use crate::protocol::usage::{Report, Usage};
use crate::protocol::wire::{Nullable, Number, Raw};

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let mut answer = ChatCompletionResponse::from_json(body)?;
    let choice =
        if answer.choices.is_empty() { Default::default() } else { answer.choices.swap_remove(0) };
    let usage = answer.usage.and_then(|usage| usage_of(&usage));
    let reason = choice.finish_reason.as_deref();
    let output = items(choice.message, context);
    Ok(whole(context, asked, reason, output, usage).to_json())
}

/// The answer as it is when all is said.
pub(super) fn whole<'a>(
    context: &'a Context,
    asked: &Asked,
    finish_reason: Option<&str>,
    output: Vec<OutputItem<'a>>,
    usage: Option<Usage>,
) -> ResponsesResponse<'a> {
    let incomplete = match finish_reason {
        Some("length") => Some("max_output_tokens"),
        Some("content_filter") => Some("content_filter"),
        _ => None,
    };
    let details = incomplete
        .map(|reason| IncompleteDetails { reason: Some(reason.into()), ..Default::default() });
    ResponsesResponse {
        status: Some(if incomplete.is_some() { "incomplete" } else { "completed" }.into()),
        incomplete_details: Nullable(details),
        output,
        usage: Nullable(usage.map(|usage| Raw::from_wire(&ResponseUsage::from(usage)))),
        ..begun(context, asked)
    }
}

/// The answer before anything is said.
pub(super) fn begun<'a>(context: &'a Context, asked: &Asked) -> ResponsesResponse<'a> {
    ResponsesResponse {
        id: format!("resp_{}", context.request_id).into(),
        object: Some("response".into()),
        created_at: Some(Number::from(context.created)),
        status: Some("in_progress".into()),
        model: Some(context.model.as_str().into()),
        rest: asked.echo.clone(),
        ..Default::default()
    }
}

fn items<'a>(answer: Answer<'a>, context: &Context) -> Vec<OutputItem<'a>> {
    let mut items = Vec::new();
    let thought = answer.reasoning_content.or(answer.reasoning);
    if let Some(text) = thought.filter(|text| !text.is_empty()) {
        items.push(reasoning(id(context, "rs", 0), text));
    }
    let texts = answer.content.0.filter(|text| !text.is_empty()).map(text_part);
    let parts: Vec<_> = texts.into_iter().chain(answer.refusal.0.map(refusal_part)).collect();
    if !parts.is_empty() {
        items.push(message(id(context, "msg", items.len()), "completed", parts));
    }
    for call in answer.tool_calls.into_iter().flatten() {
        if let ToolCall::Function(call) = call {
            let (name, arguments) = (call.function.name, call.function.arguments);
            let id = id(context, "fc", items.len());
            items.push(function_call(id, call.id, name, arguments, "completed"));
        }
    }
    items
}

pub(super) fn reasoning<'a>(id: Cow<'a, str>, text: Cow<'a, str>) -> OutputItem<'a> {
    let part = ReasoningPart::Summary(TextPart { text, ..Default::default() });
    OutputItem::Reasoning(ReasoningItem { id: Some(id), summary: vec![part], ..Default::default() })
}

pub(super) fn message<'a>(
    id: Cow<'a, str>,
    status: &'static str,
    content: Vec<OutputPart<'a>>,
) -> OutputItem<'a> {
    OutputItem::Message(OutputMessage {
        id: Some(id),
        status: Some(status.into()),
        role: Some("assistant".into()),
        content,
        ..Default::default()
    })
}

pub(super) fn function_call<'a>(
    id: Cow<'a, str>,
    call_id: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
    status: &'static str,
) -> OutputItem<'a> {
    let (id, status) = (Some(id), Some(status.into()));
    OutputItem::FunctionCall(FunctionCall {
        id,
        call_id,
        name,
        arguments,
        status,
        ..Default::default()
    })
}

pub(super) fn text_part(text: Cow<'_, str>) -> OutputPart<'_> {
    let annotations = Some(Raw::literal("[]"));
    OutputPart::Text(OutputText { text, annotations, ..Default::default() })
}

pub(super) fn refusal_part(refusal: Cow<'_, str>) -> OutputPart<'_> {
    OutputPart::Refusal(Refusal { refusal, ..Default::default() })
}

/// Of the item that is the `index`th of the answer.
pub(super) fn id<'a>(context: &Context, prefix: &str, index: usize) -> Cow<'a, str> {
    format!("{prefix}_{}_{index}", context.request_id).into()
}

pub(super) fn usage_of(usage: &Raw<'_>) -> Option<Usage> {
    let report = Report::read(usage.as_str().as_bytes())?;
    Some(report.usage(Operation::Chat, 0, 0).0)
}
