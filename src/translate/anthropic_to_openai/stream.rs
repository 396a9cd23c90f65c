//! The stream.

use std::borrow::Cow;

use super::super::chat::{Said, Sequence, chunk};
use super::super::names::Names;
use super::super::{Asked, Context};
use super::response::{stop_reason, usage_of, usage_wire};
use crate::error::Error;
use crate::protocol::anthropic::answer::{
    BlockDelta, BlockStart, BlockStop, Delta, End, Event, InputJsonDelta, MessageDelta,
    MessageResponse, MessageStart, MessageStop, SignatureDelta, TextDelta, ThinkingDelta,
};
use crate::protocol::anthropic::{Block, TextBlock, Thinking, ToolUse};
use crate::protocol::openai::chat;
use crate::protocol::sse;
use crate::protocol::usage::Report;
use crate::protocol::wire::{self, Nullable, Raw};

pub(in crate::translate) struct Stream {
    model: String,
    request_id: String,
    names: Names,
    sequence: Sequence,
    blocks: Blocks,
    started: bool,
    finish_reason: Option<String>,
    report: Option<Report>,
    done: bool,
}

/// The blocks of the answer, one after the other.
struct Blocks {
    thinking: bool,
    /// The block that is being written, and the index of the next.
    open: Open,
    next: u64,
    calls: bool,
    refused: bool,
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
            names: asked.names.clone(),
            sequence: Sequence::default(),
            blocks: Blocks {
                thinking: asked.thinking,
                open: Open::Nothing,
                next: 0,
                calls: false,
                refused: false,
            },
            started: false,
            finish_reason: None,
            report: None,
            done: false,
        }
    }

    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        let reason = self.finish_reason.as_ref().map_or(0, String::capacity);
        self.sequence.kept().saturating_add(reason)
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
            return self.finish(out);
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
        match self.finish_reason {
            Some(_) if !self.done => self.finish(out),
            _ => Ok(()),
        }
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
        let Self { sequence, blocks, names, .. } = self;
        let mut tell = |said: Said<'_>| {
            blocks.tell(said, names, out);
            Ok(())
        };
        sequence.delta(delta, &self.request_id, &mut tell)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.start(None, out);
        let Self { sequence, blocks, names, .. } = self;
        let mut tell = |said: Said<'_>| {
            blocks.tell(said, names, out);
            Ok(())
        };
        sequence.finish(&self.request_id, &mut tell)?;
        blocks.close(out);
        let reason = self.finish_reason.as_deref();
        let reason = stop_reason(reason, self.blocks.calls, self.blocks.refused);
        let delta = MessageDelta {
            delta: End { stop_reason: Nullable(Some(reason.into())), ..Default::default() },
            usage: Some(usage_wire(usage_of(self.report.take()))),
            ..Default::default()
        };
        put("message_delta", Event::MessageDelta(delta), out);
        put("message_stop", Event::MessageStop(MessageStop::default()), out);
        self.done = true;
        Ok(())
    }
}

impl Blocks {
    fn tell(&mut self, said: Said<'_>, names: &Names, out: &mut Vec<u8>) {
        match said {
            Said::Thought(_) | Said::Signed(_) if !self.thinking => {}
            Said::Thought(thinking) => {
                self.switch(Open::Thinking, out);
                self.put_delta(
                    Delta::Thinking(ThinkingDelta { thinking, ..Default::default() }),
                    out,
                );
            }
            Said::Signed(block) => self.signed(&block, out),
            Said::Text(text) => self.text(text, out),
            Said::Refusal(text) => {
                self.refused = true;
                self.text(text, out);
            }
            Said::Call { id, name } => {
                self.close(out);
                self.calls = true;
                let (name, input) = (names.given(name), Raw::EMPTY_OBJECT);
                let block = ToolUse { id, name, input, ..Default::default() };
                self.begin(Open::Call, Block::ToolUse(block), out);
            }
            Said::Arguments(partial_json) => {
                let delta = InputJsonDelta { partial_json, ..Default::default() };
                self.put_delta(Delta::InputJson(delta), out);
            }
            Said::End => self.close(out),
        }
    }

    fn text(&mut self, text: Cow<'_, str>, out: &mut Vec<u8>) {
        self.switch(Open::Text, out);
        self.put_delta(Delta::Text(TextDelta { text, ..Default::default() }), out);
    }

    /// A whole block of thinking, which may have come in pieces before.
    fn signed(&mut self, block: &Raw<'_>, out: &mut Vec<u8>) {
        match wire::read::<Block<'_>>(block.as_str().as_bytes()) {
            Ok(Block::Thinking(Thinking { thinking, signature: Some(signature), .. }))
                if !signature.is_empty() =>
            {
                let known = self.open == Open::Thinking;
                self.switch(Open::Thinking, out);
                if !known {
                    let delta = ThinkingDelta { thinking, ..Default::default() };
                    self.put_delta(Delta::Thinking(delta), out);
                }
                let delta = SignatureDelta { signature, ..Default::default() };
                self.put_delta(Delta::Signature(delta), out);
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

    /// Of the block that is being written.
    fn put_delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        let index = self.next.saturating_sub(1);
        let delta = BlockDelta { index, delta, ..Default::default() };
        put("content_block_delta", Event::BlockDelta(delta), out);
    }
}

fn put(name: &str, event: Event<'_>, out: &mut Vec<u8>) {
    sse::write(out, name, &wire::write(&event));
}
