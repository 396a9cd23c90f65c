//! The answer that is no stream.

use std::borrow::Cow;

use super::super::chat::{Spoken, text_input, whole as read};
use super::super::names::Names;
use super::super::{Asked, Context};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::openai::responses::{
    CustomToolCall, FunctionCall, IncompleteDetails, OutputItem, OutputMessage, OutputPart,
    OutputText, ReasoningItem, ReasoningPart, Refusal, ResponseUsage, ResponsesResponse, TextPart,
};
use crate::protocol::usage::{Report, Usage};
use crate::protocol::wire::{Nullable, Number, Raw};

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let mut answer = read(body, &context.request_id)?;
    let mut spoken = answer.first();
    let reason = spoken.finish_reason.take();
    let output = items(spoken, &asked.names, context);
    let usage = answer.report.and_then(|report| report.believed(Operation::Chat));
    Ok(whole(context, asked, reason.as_deref(), output, usage).to_json())
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

fn items<'a>(spoken: Spoken<'a>, names: &Names, context: &Context) -> Vec<OutputItem<'a>> {
    let mut items = Vec::new();
    if let Some(text) = spoken.thought.filter(|text| !text.is_empty()) {
        items.push(reasoning(id(context, "rs", 0), text));
    }
    let texts = spoken.text.filter(|text| !text.is_empty()).map(text_part);
    let parts: Vec<_> = texts.into_iter().chain(spoken.refusal.map(refusal_part)).collect();
    if !parts.is_empty() {
        items.push(message(id(context, "msg", items.len()), "completed", parts));
    }
    for call in spoken.calls {
        let called = Called::of(call.id, call.function.name, names);
        let id = id(context, called.prefix(), items.len());
        items.push(called.item(id, call.function.arguments, "completed"));
    }
    items
}

/// A call in the caller's words.
#[derive(Clone, Debug)]
pub(super) struct Called<'a> {
    call_id: Cow<'a, str>,
    namespace: Option<String>,
    pub(super) name: Cow<'a, str>,
    /// Its tool takes a text.
    pub(super) custom: bool,
}

impl<'a> Called<'a> {
    pub(super) fn of(call_id: Cow<'a, str>, sent: Cow<'a, str>, names: &Names) -> Self {
        match names.find(&sent) {
            None => Self { call_id, namespace: None, name: sent, custom: false },
            Some(known) => Self {
                call_id,
                namespace: known.namespace.clone(),
                name: known.name.clone().into(),
                custom: known.custom,
            },
        }
    }

    pub(super) fn prefix(&self) -> &'static str {
        if self.custom { "ctc" } else { "fc" }
    }

    pub(super) fn item(
        self,
        id: Cow<'a, str>,
        arguments: Cow<'a, str>,
        status: &'static str,
    ) -> OutputItem<'a> {
        let Self { call_id, namespace, name, custom } = self;
        let (id, status, namespace) = (Some(id), Some(status.into()), namespace.map(Into::into));
        if custom {
            let input = text_input(arguments);
            return OutputItem::CustomToolCall(CustomToolCall {
                id,
                call_id,
                namespace,
                name,
                input,
                ..Default::default()
            });
        }
        let rest = Default::default();
        OutputItem::FunctionCall(FunctionCall {
            id,
            call_id,
            namespace,
            name,
            arguments,
            status,
            rest,
        })
    }
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
    Report::read(usage.as_str().as_bytes())?.believed(Operation::Chat)
}
