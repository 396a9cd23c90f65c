//! The stream.

use std::borrow::Cow;

use super::super::chat::chunk;
use super::super::{Asked, Context, failure};
use super::response::{stop_reason, usage_of, usage_wire};
use crate::error::Error;
use crate::protocol::anthropic::answer::{
    BlockDelta, BlockStart, BlockStop, Delta, End, Event, InputJsonDelta, MessageDelta,
    MessageResponse, MessageStart, MessageStop, SignatureDelta, TextDelta, ThinkingDelta,
};
use crate::protocol::anthropic::{Block, TextBlock, Thinking, ToolUse};
use crate::protocol::openai::chat::{self, ToolCallDelta};
use crate::protocol::sse;
use crate::protocol::usage::Report;
use crate::protocol::wire::{self, Nullable, Raw};

pub(in crate::translate) struct Stream {
    model: String,
    request_id: String,
    thinking: bool,
    started: bool,
    /// The block that is being written, and the index of the next.
    open: Open,
    next: u64,
    /// The blocks of the calls, by OpenAI's index.
    calls: Vec<(u64, u64)>,
    refused: bool,
    finish_reason: Option<String>,
    report: Option<Report>,
    done: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking,
    Call,
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            model: context.model.clone(),
            request_id: context.request_id.clone(),
            thinking: asked.thinking,
            started: false,
            open: Open::Nothing,
            next: 0,
            calls: Vec::new(),
            refused: false,
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
            let report = Report::read(usage.as_str().as_bytes());
            self.report = report.or(self.report.take());
        }
        for choice in chunk.choices.into_iter().flatten() {
            self.start(chunk.id.as_deref(), out);
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

    fn start(&mut self, id: Option<&str>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = id.filter(|id| !id.is_empty()).map(Cow::Borrowed);
        let message = MessageResponse {
            id: id.unwrap_or_else(|| format!("msg_{}", self.request_id).into()),
            kind: Some("message".into()),
            role: Some("assistant".into()),
            model: Some(self.model.as_str().into()),
            usage: Some(usage_wire(None)),
            ..Default::default()
        };
        put(
            "message_start",
            Event::MessageStart(MessageStart { message, ..Default::default() }),
            out,
        );
    }

    fn delta(&mut self, delta: chat::Delta<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let thought = delta.reasoning_content.or(delta.reasoning).filter(|_| self.thinking);
        if let Some(thinking) = thought.filter(|text| !text.is_empty()) {
            self.switch(Open::Thinking, out);
            let delta = ThinkingDelta { thinking, ..Default::default() };
            self.put_delta(Delta::Thinking(delta), self.next.saturating_sub(1), out);
        }
        let thinking = self.thinking;
        for block in delta.thinking_blocks.into_iter().flatten().filter(|_| thinking) {
            self.signed(&block, out);
        }
        self.refused |= delta.refusal.is_some();
        let texts = delta.content.into_iter().chain(delta.refusal);
        for text in texts.filter(|text| !text.is_empty()) {
            self.switch(Open::Text, out);
            let delta = TextDelta { text, ..Default::default() };
            self.put_delta(Delta::Text(delta), self.next.saturating_sub(1), out);
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, out)?;
        }
        Ok(())
    }

    /// A whole block of thinking, which may have come in pieces before.
    fn signed(&mut self, block: &Raw<'_>, out: &mut Vec<u8>) {
        match wire::read::<Block<'_>>(block.as_str().as_bytes()) {
            Ok(Block::Thinking(Thinking { thinking, signature: Some(signature), .. }))
                if !signature.is_empty() =>
            {
                let known = self.open == Open::Thinking;
                self.switch(Open::Thinking, out);
                let index = self.next.saturating_sub(1);
                if !known {
                    let delta = ThinkingDelta { thinking, ..Default::default() };
                    self.put_delta(Delta::Thinking(delta), index, out);
                }
                let delta = SignatureDelta { signature, ..Default::default() };
                self.put_delta(Delta::Signature(delta), index, out);
                self.close(out);
            }
            Ok(block @ Block::RedactedThinking(_)) => {
                self.close(out);
                self.begin(Open::Thinking, block, out);
                self.close(out);
            }
            _ => {}
        }
    }

    fn call(&mut self, call: ToolCallDelta<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let begun = u64::try_from(self.calls.len()).unwrap_or(u64::MAX);
        // Some servers number no calls, and send each whole.
        let number = call.index.unwrap_or(match call.id {
            Some(_) => begun,
            None => begun.saturating_sub(1),
        });
        let function = call.function.unwrap_or_default();
        let known = self.calls.iter().find(|(index, _)| *index == number);
        let block = match known {
            Some((_, block)) => *block,
            None if self.calls.len() >= MAX_CALLS => return Err(failure::too_large()),
            None => {
                self.close(out);
                let id = call.id.filter(|id| !id.is_empty());
                let id = id.unwrap_or_else(|| format!("call_{}_{begun}", self.request_id).into());
                let name = function.name.unwrap_or_default();
                let input = Raw::EMPTY_OBJECT;
                let block = ToolUse { id, name, input, ..Default::default() };
                self.begin(Open::Call, Block::ToolUse(block), out);
                let block = self.next.saturating_sub(1);
                self.calls.push((number, block));
                block
            }
        };
        if let Some(partial_json) = function.arguments.filter(|piece| !piece.is_empty()) {
            let delta = InputJsonDelta { partial_json, ..Default::default() };
            self.put_delta(Delta::InputJson(delta), block, out);
        }
        Ok(())
    }

    /// Goes on with a block of this kind, a new one if need be.
    fn switch(&mut self, to: Open, out: &mut Vec<u8>) {
        if self.open == to {
            return;
        }
        self.close(out);
        let block = if to == Open::Thinking {
            Block::Thinking(Thinking { signature: Some("".into()), ..Default::default() })
        } else {
            Block::Text(TextBlock::default())
        };
        self.begin(to, block, out);
    }

    fn begin(&mut self, open: Open, content_block: Block<'_>, out: &mut Vec<u8>) {
        let start = BlockStart { index: self.next, content_block, ..Default::default() };
        put("content_block_start", Event::BlockStart(start), out);
        self.open = open;
        self.next = self.next.saturating_add(1);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::Nothing {
            self.open = Open::Nothing;
            let stop = BlockStop { index: self.next.saturating_sub(1), ..Default::default() };
            put("content_block_stop", Event::BlockStop(stop), out);
        }
    }

    fn put_delta(&self, delta: Delta<'_>, index: u64, out: &mut Vec<u8>) {
        let delta = BlockDelta { index, delta, ..Default::default() };
        put("content_block_delta", Event::BlockDelta(delta), out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(None, out);
        self.close(out);
        let reason = self.finish_reason.as_deref();
        let reason = stop_reason(reason, !self.calls.is_empty(), self.refused);
        let delta = MessageDelta {
            delta: End { stop_reason: Nullable(Some(reason.into())), ..Default::default() },
            usage: Some(usage_wire(usage_of(self.report.take()))),
            ..Default::default()
        };
        put("message_delta", Event::MessageDelta(delta), out);
        put("message_stop", Event::MessageStop(MessageStop::default()), out);
        self.done = true;
    }
}

fn put(name: &str, event: Event<'_>, out: &mut Vec<u8>) {
    sse::write(out, name, &wire::write(&event));
}

/// More calls in one answer are not kept apart.
const MAX_CALLS: usize = 128;
