//! The answer that is no stream, and the refusal.

use super::super::chat::{Reply, function_call};
use super::super::{Asked, Context, failure};
use crate::error::{Error, Kind};
use crate::protocol::Operation;
use crate::protocol::anthropic::Block;
use crate::protocol::anthropic::answer::{ErrorEvent, MessageResponse, Problem};
use crate::protocol::usage::{Report, Usage};
use crate::protocol::wire::Raw;

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let message = MessageResponse::from_json(body)?;
    let mut reply = Reply {
        finish_reason: finish_reason(message.stop_reason.0.as_deref()),
        refusal: message.stop_details.and_then(|details| details.explanation),
        ..Default::default()
    };
    for block in message.content {
        match block {
            Block::Text(block) => reply.add_text(block.text),
            Block::ToolUse(call) => {
                reply.add_call(function_call(call.id, call.name, call.input.into_text()));
            }
            Block::Thinking(block) => {
                if block.signature.as_deref().is_some_and(|signature| !signature.is_empty()) {
                    let raw = Raw::from_wire(&Block::Thinking(block.clone()));
                    reply.thinking_blocks.push(raw);
                }
                reply.add_reasoning(block.thinking);
            }
            Block::RedactedThinking(_) => {
                reply.thinking_blocks.push(Raw::from_wire(&block));
            }
            _ => {}
        }
    }
    let usage = message.usage.and_then(|usage| usage_of(Report::read(usage.as_str().as_bytes())));
    Ok(Reply::write(vec![reply], Some(message.id), usage, context, asked))
}

pub(in crate::translate) fn error(status: u16, body: &[u8]) -> Error {
    let problem = ErrorEvent::from_json(body).map(|event| event.error).unwrap_or_default();
    problem_error(status, &problem)
}

pub(super) fn problem_error(status: u16, problem: &Problem<'_>) -> Error {
    let kind = match problem.kind.as_deref() {
        Some("invalid_request_error") => Kind::InvalidRequest,
        Some("authentication_error") => Kind::Authentication,
        Some("billing_error") => Kind::QuotaExceeded,
        Some("permission_error") => Kind::PermissionDenied,
        Some("not_found_error") => Kind::ModelNotFound,
        Some("request_too_large") => Kind::RequestTooLarge,
        Some("rate_limit_error") => Kind::RequestLimit,
        Some("timeout_error") => Kind::Timeout,
        Some("overloaded_error") => Kind::ServiceUnavailable,
        // Also `api_error`, which is said of an overloaded provider, too.
        _ => failure::kind(status),
    };
    failure::refusal(kind, problem.message.as_deref().unwrap_or_default())
}

pub(super) fn finish_reason(stop_reason: Option<&str>) -> &'static str {
    match stop_reason {
        Some("max_tokens" | "model_context_window_exceeded") => "length",
        Some("tool_use") => "tool_calls",
        Some("refusal") => "content_filter",
        _ => "stop",
    }
}

pub(super) fn usage_of(report: Option<Report>) -> Option<Usage> {
    report.and_then(|report| report.believed(Operation::Messages))
}
