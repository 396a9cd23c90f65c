//! The answer, whole and event by event, and the refusal.

use super::super::chat::{Chunks, Reply, function_call};
use super::super::names::call_id;
use super::super::{Asked, Context, failure};
use crate::error::{Error, Kind};
use crate::protocol::cohere::{
    Billing, CallEvent, ChatResponse, ContentEvent, EndDelta, Event, Part, Problem,
};
use crate::protocol::wire;

pub(in crate::translate) fn response(
    body: &[u8],
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let answer = ChatResponse::from_json(body)?;
    let finish_reason = finish_reason(answer.finish_reason.as_deref(), None)?;
    let mut reply =
        Reply { reasoning: answer.message.tool_plan, finish_reason, ..Default::default() };
    for part in answer.message.content.into_iter().flatten() {
        match part {
            Part::Text(part) => reply.add_text(part.text),
            Part::Thinking(part) => reply.add_reasoning(part.thinking),
            _ => {}
        }
    }
    for (call, number) in answer.message.tool_calls.into_iter().flatten().zip(0u64..) {
        let id = call.id.unwrap_or_else(|| call_id(&context.request_id, number));
        let function = call.function.unwrap_or_default();
        reply.add_call(function_call(id, function.name, function.arguments));
    }
    let usage = answer.usage.as_ref().and_then(Billing::usage);
    Ok(Reply::write(vec![reply], answer.id, usage, context, asked))
}

/// `{"message": "..."}`
pub(in crate::translate) fn error(status: u16, body: &[u8]) -> Error {
    let problem = Problem::from_json(body).unwrap_or_default();
    failure::refusal(failure::kind(status), problem.message.as_deref().unwrap_or_default())
}

fn finish_reason(reason: Option<&str>, error: Option<&str>) -> Result<&'static str, Error> {
    match reason {
        Some("MAX_TOKENS") => Ok("length"),
        Some("TOOL_CALL") => Ok("tool_calls"),
        Some("TIMEOUT") => Err(failure::refusal(Kind::Timeout, "")),
        Some("ERROR") => Err(failure::refusal(Kind::Provider, error.unwrap_or_default())),
        _ => Ok("stop"),
    }
}

pub(in crate::translate) struct Stream {
    chunks: Chunks,
    context: Context,
    /// Calls that have begun.
    calls: u64,
    /// The last of them has arguments.
    arguments: bool,
    done: bool,
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        let chunks = Chunks::new(context, asked);
        Self { chunks, context: context.clone(), calls: 0, arguments: true, done: false }
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
        // Cohere's own clients are told so, too.
        if self.done || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        match wire::read::<Event<'_>>(data)? {
            Event::MessageStart(event) => self.chunks.start(event.id.as_deref(), out),
            Event::ContentStart(event) | Event::ContentDelta(event) => self.content(event, out),
            Event::ToolPlanDelta(event) => {
                self.chunks.reasoning(0, &event.delta.message.tool_plan, out);
            }
            Event::ToolCallStart(event) => self.call(event, out),
            Event::ToolCallDelta(event) => {
                let function = event.delta.message.tool_calls.function.unwrap_or_default();
                self.piece(&function.arguments.unwrap_or_default(), out);
            }
            // An empty text is no JSON.
            Event::ToolCallEnd(_) if !self.arguments => self.piece("{}", out),
            Event::ToolCallEnd(_) => {}
            Event::MessageEnd(event) => self.finish(event.delta, out)?,
            Event::Other(_) => {}
        }
        Ok(())
    }

    pub(in crate::translate) fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    fn content(&mut self, event: ContentEvent<'_>, out: &mut Vec<u8>) {
        let content = event.delta.message.content;
        self.chunks.reasoning(0, &content.thinking.unwrap_or_default(), out);
        self.chunks.text(0, &content.text.unwrap_or_default(), out);
    }

    fn call(&mut self, event: CallEvent<'_>, out: &mut Vec<u8>) {
        let number = self.calls;
        self.calls = self.calls.saturating_add(1);
        let call = event.delta.message.tool_calls;
        let id = call.id.unwrap_or_else(|| call_id(&self.context.request_id, number));
        let function = call.function.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        self.arguments = !arguments.is_empty();
        self.chunks.call(0, number, function_call(id, name, arguments), out);
    }

    fn piece(&mut self, arguments: &str, out: &mut Vec<u8>) {
        self.arguments |= !arguments.is_empty();
        self.chunks.arguments(self.calls.saturating_sub(1), arguments, out);
    }

    fn finish(&mut self, delta: EndDelta<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let reason = finish_reason(delta.finish_reason.as_deref(), delta.error.as_deref())?;
        self.done = true;
        self.chunks.finish(0, reason, out);
        self.chunks.end(delta.usage.as_ref().and_then(Billing::usage), out);
        Ok(())
    }
}
