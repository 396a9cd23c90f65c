//! The answer that is no stream, and the refusal.

use serde_json::json;

use super::super::chat::{Reply, function_call};
use super::super::{Asked, Context, failure};
use crate::error::{Error, Kind};
use crate::protocol::bedrock::{ConverseResponse, Problem, TokenUsage};
use crate::protocol::wire::Raw;

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let answer = ConverseResponse::from_json(body)?;
    let finish_reason = finish_reason(answer.stop_reason.as_deref())?;
    let mut reply = Reply { finish_reason, ..Default::default() };
    for block in answer.output.message.into_iter().flat_map(|message| message.content) {
        if let Some(text) = block.text {
            reply.add_text(text);
        } else if let Some(call) = block.tool_use {
            let arguments = call.input.unwrap_or(Raw::EMPTY_OBJECT).into_text();
            reply.add_call(function_call(call.tool_use_id, call.name, arguments));
        } else if let Some(reasoning) = block.reasoning_content {
            if let Some(thought) = reasoning.reasoning_text {
                if let Some(signature) = thought.signature.as_ref().filter(|it| !it.is_empty()) {
                    reply.thinking_blocks.push(thinking(&thought.text, signature));
                }
                reply.add_reasoning(thought.text);
            }
            if let Some(data) = reasoning.redacted_content {
                reply.thinking_blocks.push(redacted(&data));
            }
        }
    }
    let usage = answer.usage.as_ref().and_then(TokenUsage::usage);
    Ok(Reply::write(vec![reply], None, usage, context, asked))
}

/// `{"message": "..."}`; the kind is told by the status.
pub(in crate::translate) fn error(status: u16, body: &[u8]) -> Error {
    let kind = match status {
        // The model failed.
        424 => Kind::Provider,
        _ => failure::kind(status),
    };
    problem(kind, body)
}

/// An exception within a stream, whose kind is told by its name.
pub(super) fn exception(name: &[u8], body: &[u8]) -> Error {
    let kind = match name {
        b"validationException" => Kind::InvalidRequest,
        b"throttlingException" => Kind::RequestLimit,
        b"serviceUnavailableException" => Kind::ServiceUnavailable,
        b"modelTimeoutException" => Kind::Timeout,
        _ => Kind::Provider,
    };
    problem(kind, body)
}

fn problem(kind: Kind, body: &[u8]) -> Error {
    let problem = Problem::from_json(body).unwrap_or_default();
    let message = problem.message.or(problem.capital);
    failure::refusal(kind, message.as_deref().unwrap_or_default())
}

/// As Anthropic writes it.
pub(super) fn thinking<'a>(text: &str, signature: &str) -> Raw<'a> {
    Raw::from(&json!({"type": "thinking", "thinking": text, "signature": signature}))
}

pub(super) fn redacted<'a>(data: &str) -> Raw<'a> {
    Raw::from(&json!({"type": "redacted_thinking", "data": data}))
}

pub(super) fn finish_reason(stop_reason: Option<&str>) -> Result<&'static str, Error> {
    Ok(match stop_reason {
        // There is no answer, and it can be asked for again.
        Some("malformed_model_output" | "malformed_tool_use") => {
            return Err(Error::new(Kind::Provider, "The model failed to answer."));
        }
        Some("max_tokens" | "model_context_window_exceeded") => "length",
        Some("tool_use") => "tool_calls",
        Some("guardrail_intervened" | "content_filtered") => "content_filter",
        _ => "stop",
    })
}
