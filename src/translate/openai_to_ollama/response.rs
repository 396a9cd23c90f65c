//! The answer, whole and line by line, and the refusal.

use super::super::chat::{Chunks, Reply, function_call};
use super::super::names::call_id;
use super::super::{Asked, Context, failure};
use crate::error::Error;
use crate::protocol::ollama::{ChatResponse, Message, ToolCall};
use crate::protocol::openai::chat::FunctionToolCall;
use crate::protocol::wire::Raw;

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let answer = ChatResponse::from_json(body)?;
    if answer.error.is_some() {
        return Err(error(500, body));
    }
    let usage = answer.usage();
    let message = answer.message.unwrap_or_default();
    let mut reply = Reply { text: message.content, ..Default::default() };
    reply.reasoning = message.thinking.filter(|text| !text.is_empty());
    let mut calls = 0;
    for call in message.tool_calls.into_iter().flatten() {
        reply.add_call(call_of(call, calls, context));
        calls += 1;
    }
    reply.finish_reason = finish_reason(answer.done_reason.as_deref(), calls > 0);
    Ok(Reply::write(vec![reply], None, usage, context, asked))
}

/// `{"error": "..."}`
pub(in crate::translate) fn error(status: u16, body: &[u8]) -> Error {
    let answer = ChatResponse::from_json(body).unwrap_or_default();
    failure::refusal(failure::kind(status), answer.error.as_deref().unwrap_or_default())
}

fn call_of<'a>(call: ToolCall<'a>, number: u64, context: &Context) -> FunctionToolCall<'a> {
    let id = call.id.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| call_id(&context.request_id, number));
    let arguments = call.function.arguments.unwrap_or(Raw::EMPTY_OBJECT);
    function_call(id, call.function.name, arguments.into_text())
}

fn finish_reason(reason: Option<&str>, calls: bool) -> &'static str {
    match reason {
        Some("length") => "length",
        _ if calls => "tool_calls",
        _ => "stop",
    }
}

pub(in crate::translate) struct Stream {
    chunks: Chunks,
    context: Context,
    calls: u64,
    done: bool,
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            chunks: Chunks::new(context, asked),
            context: context.clone(),
            calls: 0,
            done: false,
        }
    }

    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        self.chunks.kept()
    }

    pub(in crate::translate) fn event(
        &mut self,
        _: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.done {
            return Ok(());
        }
        let answer = ChatResponse::from_json(data)?;
        if answer.error.is_some() {
            return Err(error(500, data));
        }
        let usage = answer.usage();
        if let Some(message) = answer.message {
            self.message(message, out);
        }
        if answer.done == Some(true) {
            self.done = true;
            let reason = finish_reason(answer.done_reason.as_deref(), self.calls > 0);
            self.chunks.finish(0, reason, out);
            self.chunks.end(usage, out);
        }
        Ok(())
    }

    pub(in crate::translate) fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, out: &mut Vec<u8>) {
        self.chunks.start(None, out);
        self.chunks.reasoning(0, &message.thinking.unwrap_or_default(), out);
        self.chunks.text(0, &message.content.unwrap_or_default(), out);
        for call in message.tool_calls.into_iter().flatten() {
            let call = call_of(call, self.calls, &self.context);
            self.chunks.call(0, self.calls, call, out);
            self.calls = self.calls.saturating_add(1);
        }
    }
}
