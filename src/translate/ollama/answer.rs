//! The answer, whole and line by line. How long Ollama took is how long the call took: until it
//! said something for the prompt, from then on for the answer.

use std::borrow::Cow;

use super::super::chat::{Calls, chunk, object};
use super::super::{Asked, Context};
use crate::error::Error;
use crate::host::{Rfc3339, Timestamp};
use crate::protocol::Operation;
use crate::protocol::ollama::{ChatResponse, Function, Message, ToolCall};
use crate::protocol::openai::ChatCompletionResponse;
use crate::protocol::openai::chat::{self, Delta};
use crate::protocol::usage::{Report, Usage};
use crate::protocol::wire;

/// Where an answer says what it says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) enum Said {
    /// In `message`.
    Chat,
    /// In `response`.
    Generate,
}

/// The answer that is no stream.
pub(in crate::translate) fn response(
    body: &[u8],
    said: Said,
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let mut answer = ChatCompletionResponse::from_json(body)?;
    let choice =
        if answer.choices.is_empty() { Default::default() } else { answer.choices.swap_remove(0) };
    let message = choice.message;
    let thinking = message.reasoning_content.or(message.reasoning);
    let calls = message.tool_calls.into_iter().flatten().filter_map(|call| match call {
        chat::ToolCall::Function(call) => {
            Some(tool_call(call.id, call.function.name, call.function.arguments))
        }
        chat::ToolCall::Other(_) => None,
    });
    let calls: Vec<_> = calls.collect();
    let mut text = message.content.0.unwrap_or_default();
    match message.refusal.0 {
        Some(refusal) if text.is_empty() => text = refusal,
        Some(refusal) => text.to_mut().push_str(&refusal),
        None => {}
    }
    let message = Message {
        role: Some("assistant".into()),
        content: Some(text),
        thinking: thinking.filter(|text| asked.thinking && !text.is_empty()),
        tool_calls: (!calls.is_empty()).then_some(calls),
        ..Default::default()
    };
    let usage = answer.usage.and_then(|usage| Report::read(usage.as_str().as_bytes()));
    let answer = line(said, context, message);
    Ok(last(answer, choice.finish_reason.as_deref(), usage, 0, context).to_json())
}

/// The lines of a stream.
pub(in crate::translate) struct Lines {
    said: Said,
    context: Context,
    thinking: bool,
    calls: Calls,
    /// When the model first said something.
    first: Option<u64>,
    finish_reason: Option<String>,
    report: Option<Report>,
    done: bool,
}

impl Lines {
    pub(in crate::translate) fn new(said: Said, context: &Context, asked: &Asked) -> Self {
        Self {
            said,
            context: context.clone(),
            thinking: asked.thinking,
            calls: Calls::default(),
            first: None,
            finish_reason: None,
            report: None,
            done: false,
        }
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
        let Some(chunk) = chunk(data)? else {
            self.finish(out);
            return Ok(());
        };
        if let Some(usage) = &chunk.usage {
            self.report = Report::read(usage.as_str().as_bytes()).or(self.report.take());
        }
        // Nobody asked for more than one choice.
        for choice in chunk.choices.into_iter().flatten().take(1) {
            if let Some(delta) = choice.delta {
                self.delta(delta, out)?;
            }
            if let Some(reason) = choice.finish_reason.0 {
                self.finish_reason = Some(reason.into_owned());
            }
        }
        Ok(())
    }

    /// Servers that do not say `[DONE]` have said why they finished.
    pub(in crate::translate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.done && self.finish_reason.is_some() {
            self.finish(out);
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let thought = delta.reasoning_content.or(delta.reasoning).filter(|_| self.thinking);
        if let Some(thinking) = thought.filter(|text| !text.is_empty()) {
            self.put(Message { thinking: Some(thinking), ..empty() }, out);
        }
        let texts = delta.content.into_iter().chain(delta.refusal);
        for text in texts.filter(|text| !text.is_empty()) {
            self.put(Message { content: Some(text), ..empty() }, out);
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.first.get_or_insert(self.context.clock.elapsed());
            self.calls.add(call, &self.context.request_id)?;
        }
        Ok(())
    }

    /// A line before the last.
    fn put(&mut self, message: Message<'_>, out: &mut Vec<u8>) {
        self.first.get_or_insert(self.context.clock.elapsed());
        let line = line(self.said, &self.context, message);
        write(&ChatResponse { done: Some(false), ..line }, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.done = true;
        let calls = std::mem::take(&mut self.calls);
        let calls: Vec<_> = calls
            .iter()
            .map(|(id, name, arguments)| tool_call(id.into(), name.into(), arguments.into()))
            .collect();
        if !calls.is_empty() {
            self.put(Message { tool_calls: Some(calls), ..empty() }, out);
        }
        let first = self.first.unwrap_or_default();
        let answer = line(self.said, &self.context, empty());
        let reason = self.finish_reason.as_deref();
        write(&last(answer, reason, self.report.take(), first, &self.context), out);
    }
}

fn write(answer: &ChatResponse<'_>, out: &mut Vec<u8>) {
    out.extend(wire::write(answer));
    out.push(b'\n');
}

fn empty<'a>() -> Message<'a> {
    Message { role: Some("assistant".into()), content: Some("".into()), ..Default::default() }
}

fn line<'a>(said: Said, context: &'a Context, message: Message<'a>) -> ChatResponse<'a> {
    let at = context.created.saturating_mul(1_000_000_000).saturating_add(context.clock.elapsed());
    let created_at = Some(Rfc3339(Timestamp(at)).to_string().into());
    let line = ChatResponse {
        model: Some(context.model.as_str().into()),
        created_at,
        ..Default::default()
    };
    match said {
        Said::Chat => ChatResponse { message: Some(message), ..line },
        Said::Generate => {
            ChatResponse { response: message.content, thinking: message.thinking, ..line }
        }
    }
}

/// With all that the last line tells. `first`: when the model began to speak.
fn last<'a>(
    line: ChatResponse<'a>,
    reason: Option<&str>,
    report: Option<Report>,
    first: u64,
    context: &Context,
) -> ChatResponse<'a> {
    let usage: Option<Usage> = report.map(|report| report.usage(Operation::Chat, 0, 0).0);
    let total = context.clock.elapsed();
    let reason = if reason == Some("length") { "length" } else { "stop" };
    ChatResponse {
        done: Some(true),
        done_reason: Some(reason.into()),
        total_duration: Some(total),
        load_duration: Some(0),
        prompt_eval_count: usage.map(|usage| usage.input),
        prompt_eval_duration: Some(first),
        eval_count: usage.map(|usage| usage.output),
        eval_duration: Some(total.saturating_sub(first)),
        ..line
    }
}

fn tool_call<'a>(id: Cow<'a, str>, name: Cow<'a, str>, arguments: Cow<'a, str>) -> ToolCall<'a> {
    let id = Some(id).filter(|id| !id.is_empty());
    let function = Function { name, arguments: Some(object(arguments)), ..Default::default() };
    ToolCall { id, function, ..Default::default() }
}
