//! The answer that is no stream, and the refusal.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::super::chat::{Reply, function_call};
use super::super::names::call_id;
use super::super::{Asked, Context, failure};
use crate::error::{Error, Kind, Retry};
use crate::protocol::gemini::{Candidate, FunctionCall, GenerateContentResponse, UsageMetadata};
use crate::protocol::openai::chat::FunctionToolCall;
use crate::protocol::wire::Raw;

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let answer = GenerateContentResponse::from_json(body)?;
    if answer.error.is_some() {
        return Err(error(500, body));
    }
    let candidates = answer.candidates.unwrap_or_default().into_iter();
    let replies = candidates.map(|candidate| reply(candidate, context));
    let mut replies = replies.collect::<Result<Vec<_>, _>>()?;
    if replies.is_empty() {
        if answer.prompt_feedback.and_then(|it| it.block_reason).is_none() {
            return Err(failure::garbled());
        }
        // The prompt was blocked.
        replies.push(Reply { finish_reason: "content_filter", ..Default::default() });
    }
    let usage = answer.usage_metadata.as_ref().and_then(UsageMetadata::usage);
    Ok(Reply::write(replies, answer.response_id, usage, context, asked))
}

fn reply<'a>(candidate: Candidate<'a>, context: &Context) -> Result<Reply<'a>, Error> {
    let mut reply = Reply::default();
    let mut calls = 0;
    for part in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
        match (part.text, part.function_call) {
            (Some(text), _) if part.thought == Some(true) => reply.add_reasoning(text),
            (Some(text), _) => reply.add_text(text),
            (None, Some(call)) => {
                reply.add_call(call_of(call, part.thought_signature, calls, context));
                calls += 1;
            }
            (None, None) => {}
        }
    }
    let says = calls > 0 || reply.text.is_some();
    check(candidate.finish_reason.as_deref(), says)?;
    reply.finish_reason = finish_reason(candidate.finish_reason.as_deref(), calls > 0);
    Ok(reply)
}

/// A reason that says that there is no answer: it can be asked for again.
pub(super) fn check(reason: Option<&str>, says: bool) -> Result<(), Error> {
    let failed = match reason {
        Some("OTHER" | "FINISH_REASON_UNSPECIFIED") => !says,
        Some(reason) => FAILURES.contains(&reason),
        None => false,
    };
    let reason = reason.unwrap_or_default();
    match failed {
        true => Err(Error::new(Kind::Provider, format!("The model failed to answer: {reason}."))),
        false => Ok(()),
    }
}

pub(super) fn call_of<'a>(
    call: FunctionCall<'a>,
    signature: Option<Cow<'a, str>>,
    number: u64,
    context: &Context,
) -> FunctionToolCall<'a> {
    let id = call.id.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| call_id(&context.request_id, number));
    let arguments = call.args.unwrap_or(Raw::EMPTY_OBJECT).into_text();
    let mut call = function_call(id, call.name, arguments);
    if let Some(signature) = signature {
        let extra = json!({"google": {"thought_signature": signature}});
        call.rest.push("extra_content", Raw::from(&extra));
    }
    call
}

pub(super) fn finish_reason(reason: Option<&str>, calls: bool) -> &'static str {
    match reason.unwrap_or_default() {
        "MAX_TOKENS" => "length",
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "LANGUAGE"
        | "MODEL_ARMOR" => "content_filter",
        _ if calls => "tool_calls",
        _ => "stop",
    }
}

/// `{"error": {"code", "message", "status", "details"}}`, at times within a list.
pub(in crate::translate) fn error(status: u16, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let problem = body.pointer("/error").or(body.pointer("/0/error")).unwrap_or(&Value::Null);
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
    let details = problem.get("details").and_then(Value::as_array);
    let detail = |key: &str| {
        details.into_iter().flatten().find_map(|one| one.get(key).and_then(Value::as_str))
    };
    let kind = match text("status") {
        "INVALID_ARGUMENT" if detail("reason") == Some("API_KEY_INVALID") => Kind::Authentication,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => Kind::InvalidRequest,
        "UNAUTHENTICATED" => Kind::Authentication,
        "PERMISSION_DENIED" => Kind::PermissionDenied,
        "NOT_FOUND" => Kind::ModelNotFound,
        "RESOURCE_EXHAUSTED" => Kind::RequestLimit,
        "UNAVAILABLE" => Kind::ServiceUnavailable,
        "DEADLINE_EXCEEDED" => Kind::Timeout,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "ABORTED" => Kind::Provider,
        _ => failure::kind(status),
    };
    let error = failure::refusal(kind, text("message"));
    match detail("retryDelay").and_then(millis) {
        Some(millis) if kind == Kind::RequestLimit => error.retry(Retry::AfterMillis(millis)),
        _ => error,
    }
}

/// `21.5s`
fn millis(delay: &str) -> Option<u64> {
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    // The cast saturates.
    (seconds >= 0.0).then_some((seconds * 1_000.0) as u64)
}

const FAILURES: [&str; 7] = [
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "NO_IMAGE",
    "IMAGE_OTHER",
];
