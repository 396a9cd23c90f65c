//! The answer, whole and line by line. How long Ollama took is how long the call took: until it
//! said something for the prompt, from then on for the answer.

use std::borrow::Cow;

use super::super::chat::{self, Calls, chunk, object, told, whole};
use super::super::names::Names;
use super::super::{Asked, Context};
use crate::error::Error;
use crate::host::{Rfc3339, Timestamp};
use crate::protocol::Operation;
use crate::protocol::ollama::{ChatResponse, Function, Message, ToolCall};
use crate::protocol::openai::chat::Delta;
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
    let mut answer = whole(body, &context.request_id)?;
    let spoken = answer.first();
    let calls: Vec<_> = spoken
        .calls
        .into_iter()
        .map(|call| {
            let name = asked.names.given(call.function.name);
            tool_call(call.id, name, call.function.arguments)
        })
        .collect();
    let mut text = spoken.text.unwrap_or_default();
    match spoken.refusal {
        Some(refusal) if text.is_empty() => text = refusal,
        Some(refusal) => text.to_mut().push_str(&refusal),
        None => {}
    }
    let message = Message {
        role: Some("assistant".into()),
        content: Some(text),
        thinking: spoken.thought.filter(|text| asked.thinking && !text.is_empty()),
        tool_calls: (!calls.is_empty()).then_some(calls),
        ..Default::default()
    };
    let line = line(said, context, message);
    Ok(last(line, spoken.finish_reason.as_deref(), answer.report, 0, context).to_json())
}

/// The lines of a stream.
pub(in crate::translate) struct Lines {
    said: Said,
    context: Context,
    thinking: bool,
    names: Names,
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
            names: asked.names.clone(),
            calls: Calls::default(),
            first: None,
            finish_reason: None,
            report: None,
            done: false,
        }
    }

    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        let reason = self.finish_reason.as_ref().map_or(0, String::capacity);
        self.calls.kept().saturating_add(reason)
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
        let calls = told(delta, &mut |said| {
            match said {
                chat::Said::Thought(thinking) if self.thinking => {
                    self.put(Message { thinking: Some(thinking), ..empty() }, out);
                }
                chat::Said::Text(text) | chat::Said::Refusal(text) => {
                    self.put(Message { content: Some(text), ..empty() }, out);
                }
                _ => {}
            }
            Ok(())
        })?;
        for call in calls.into_iter().flatten() {
            self.first.get_or_insert(self.context.clock.elapsed());
            self.calls.add(call)?;
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
            .iter(&self.context.request_id)
            .map(|(id, name, arguments)| {
                let id = Cow::Owned(id.into_owned());
                tool_call(id, self.names.given(name.to_owned().into()), arguments.into())
            })
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
    let usage: Option<Usage> = report.and_then(|report| report.believed(Operation::Chat));
    let total = context.clock.elapsed();
    let reason = if reason == Some("length") { "length" } else { "stop" };
    ChatResponse {
        done: Some(true),
        done_reason: Some(reason.into()),
        total_duration: Some(total),
        load_duration: Some(0),
        prompt_eval_count: usage.map(|usage| usage.input).into(),
        prompt_eval_duration: Some(first),
        eval_count: usage.map(|usage| usage.output).into(),
        eval_duration: Some(total.saturating_sub(first)),
        ..line
    }
}

fn tool_call<'a>(id: Cow<'a, str>, name: Cow<'a, str>, arguments: Cow<'a, str>) -> ToolCall<'a> {
    let id = Some(id).filter(|id| !id.is_empty());
    let function = Function { name, arguments: Some(object(arguments)), ..Default::default() };
    ToolCall { id, function, ..Default::default() }
}
