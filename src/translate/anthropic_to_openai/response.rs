//! The answer that is no stream.

use super::super::chat::{Spoken, object, whole};
use super::super::{Asked, Context};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::anthropic::answer::{MessageResponse, MessageUsage};
use crate::protocol::anthropic::{Block, TextBlock, Thinking, ToolUse};
use crate::protocol::usage::{Report, Usage};
use crate::protocol::wire::{Nullable, Raw};

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let mut answer = whole(body, &context.request_id)?;
    let mut spoken = answer.first();
    let reason = spoken.finish_reason.take();
    let (refused, calls) = (spoken.refusal.is_some(), !spoken.calls.is_empty());
    let content = blocks(spoken, asked);
    let usage = usage_of(answer.report);
    let message = MessageResponse {
        id: answer.id.unwrap_or_else(|| format!("msg_{}", context.request_id).into()),
        kind: Some("message".into()),
        role: Some("assistant".into()),
        model: Some(context.model.as_str().into()),
        content,
        stop_reason: Nullable(Some(stop_reason(reason.as_deref(), calls, refused).into())),
        usage: Some(usage_wire(usage)),
        ..Default::default()
    };
    Ok(message.to_json())
}

fn blocks<'a>(spoken: Spoken<'a>, asked: &Asked) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    if asked.thinking {
        let signed = spoken.signed;
        match spoken.thought {
            Some(thinking) if signed.is_empty() && !thinking.is_empty() => {
                let signature = Some("".into());
                blocks.push(Block::Thinking(Thinking {
                    thinking,
                    signature,
                    ..Default::default()
                }));
            }
            _ => blocks.extend(signed.into_iter().map(Block::Other)),
        }
    }
    let texts = spoken.text.into_iter().chain(spoken.refusal);
    let texts = texts.filter(|text| !text.is_empty());
    blocks.extend(texts.map(|text| Block::Text(TextBlock { text, ..Default::default() })));
    for call in spoken.calls {
        blocks.push(Block::ToolUse(ToolUse {
            id: call.id,
            name: asked.names.given(call.function.name),
            input: object(call.function.arguments),
            ..Default::default()
        }));
    }
    blocks
}

pub(super) fn stop_reason(reason: Option<&str>, calls: bool, refused: bool) -> &'static str {
    match reason {
        Some("length") => "max_tokens",
        Some("content_filter") => "refusal",
        Some("tool_calls" | "function_call") => "tool_use",
        _ if calls => "tool_use",
        _ if refused => "refusal",
        _ => "end_turn",
    }
}

pub(super) fn usage_of(report: Option<Report>) -> Option<Usage> {
    report.and_then(|report| report.believed(Operation::Chat))
}

/// Anthropic always has one.
pub(super) fn usage_wire<'a>(usage: Option<Usage>) -> Raw<'a> {
    Raw::from_wire(&MessageUsage::from(usage.unwrap_or_default()))
}
