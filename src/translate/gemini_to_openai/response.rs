//! The answer that is no stream, and what it shares with one.

use std::borrow::Cow;

use super::super::chat::{Spoken, object, whole};
use super::super::{Asked, Context};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::anthropic::{Block, Thinking};
use crate::protocol::gemini::{
    Candidate, Content, FunctionCall, GenerateContentResponse, Part, UsageMetadata,
};
use crate::protocol::usage::Report;
use crate::protocol::wire::{self, Raw};

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let answer = whole(body, &context.request_id)?;
    let candidates = answer.spoken.into_iter().zip(0..).map(|(spoken, number)| {
        let reason = spoken.finish_reason.as_deref();
        let finish_reason = Some(finish_reason(reason, spoken.refusal.is_some()).into());
        let index = spoken.index.unwrap_or(number);
        candidate(index, parts(spoken, asked), finish_reason)
    });
    let translated = GenerateContentResponse {
        candidates: Some(candidates.collect()),
        usage_metadata: answer.report.and_then(|report| usage_of(&report)),
        model_version: Some(context.model.as_str().into()),
        response_id: answer.id.or_else(|| Some(context.request_id.as_str().into())),
        ..Default::default()
    };
    Ok(translated.to_json())
}

fn parts<'a>(spoken: Spoken<'a>, asked: &Asked) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    if asked.thinking {
        let signed: Vec<_> = spoken.signed.iter().filter_map(thought_of).collect();
        let told = spoken.thought.filter(|text| !text.is_empty());
        match told {
            Some(text) if signed.is_empty() => parts.push(thought(text, None)),
            _ => parts.extend(signed),
        }
    }
    let texts = spoken.text.into_iter().chain(spoken.refusal);
    parts.extend(texts.filter(|text| !text.is_empty()).map(text));
    for call in spoken.calls {
        let name = asked.names.given(call.function.name);
        parts.push(function_call(call.id, name, call.function.arguments));
    }
    parts
}

/// A thought of Anthropic's with its signature.
pub(super) fn thought_of<'a>(block: &Raw<'_>) -> Option<Part<'a>> {
    match wire::read::<Block<'_>>(block.as_str().as_bytes()) {
        Ok(Block::Thinking(Thinking { thinking, signature, .. })) => {
            let signature = signature.filter(|signature| !signature.is_empty());
            let signature = signature.map(|signature| signature.into_owned().into());
            Some(thought(thinking.into_owned().into(), signature))
        }
        _ => None,
    }
}

pub(super) fn thought<'a>(text: Cow<'a, str>, signature: Option<Cow<'a, str>>) -> Part<'a> {
    Part {
        text: Some(text),
        thought: Some(true),
        thought_signature: signature,
        ..Default::default()
    }
}

pub(super) fn text(text: Cow<'_, str>) -> Part<'_> {
    Part { text: Some(text), ..Default::default() }
}

pub(super) fn function_call<'a>(
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
) -> Part<'a> {
    let id = Some(id).filter(|id| !id.is_empty());
    let call = FunctionCall { id, name, args: Some(object(arguments)), ..Default::default() };
    Part { function_call: Some(call), ..Default::default() }
}

pub(super) fn candidate<'a>(
    index: u64,
    parts: Vec<Part<'a>>,
    finish_reason: Option<Cow<'a, str>>,
) -> Candidate<'a> {
    let content = Content { role: Some("model".into()), parts: Some(parts), ..Default::default() };
    Candidate { index: Some(index), content: Some(content), finish_reason, ..Default::default() }
}

pub(super) fn finish_reason(reason: Option<&str>, refused: bool) -> &'static str {
    match reason {
        Some("length") => "MAX_TOKENS",
        Some("content_filter") => "SAFETY",
        _ if refused => "SAFETY",
        Some("stop" | "tool_calls" | "function_call") => "STOP",
        _ => "OTHER",
    }
}

pub(super) fn usage_of<'a>(report: &Report) -> Option<Raw<'a>> {
    let usage = report.believed(Operation::Chat)?;
    Some(Raw::from_wire(&UsageMetadata::from(usage)))
}
