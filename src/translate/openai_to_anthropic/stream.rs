//! The stream.

use super::super::chat::{Chunks, function_call};
use super::super::{Asked, Context};
use super::response::{finish_reason, problem_error, usage_of};
use crate::error::Error;
use crate::protocol::anthropic::Block;
use crate::protocol::anthropic::answer::{Delta, Event};
use crate::protocol::sse::MAX_FRAME;
use crate::protocol::usage::Report;
use crate::protocol::wire::{self, Raw};

pub(in crate::translate) struct Stream {
    chunks: Chunks,
    report: Option<Report>,
    /// The block that is being written; Anthropic writes one after the other.
    open: Open,
    /// Calls that have begun.
    calls: u64,
    done: bool,
}

/// A block on its way.
enum Open {
    /// Nothing is left to be said at its end.
    Plain,
    /// The arguments of a call; `false`: none came.
    Call { number: u64, arguments: bool },
    /// Thinking, kept so that it can be handed out whole with its signature. `None`: there is too
    /// much of it.
    Thinking { text: Option<String>, signature: String },
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            chunks: Chunks::new(context, asked),
            report: None,
            open: Open::Plain,
            calls: 0,
            done: false,
        }
    }

    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        let open = match &self.open {
            Open::Thinking { text, signature } => {
                text.as_ref().map_or(0, String::capacity).saturating_add(signature.capacity())
            }
            Open::Plain | Open::Call { .. } => 0,
        };
        self.chunks.kept().saturating_add(open)
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
        match wire::read::<Event<'_>>(data)? {
            Event::MessageStart(event) => {
                self.report(event.message.usage.as_ref(), Report::without_output);
                self.chunks.start(Some(&event.message.id), out);
            }
            Event::BlockStart(event) => self.begin(event.content_block, out),
            Event::BlockDelta(event) => self.delta(event.delta, out),
            Event::BlockStop(_) => self.close(out),
            Event::MessageDelta(event) => {
                self.report(event.usage.as_ref(), |report| report);
                let details = event.delta.stop_details.and_then(|details| details.explanation);
                if let Some(explanation) = details {
                    self.chunks.refusal(&explanation, out);
                }
                if let Some(reason) = event.delta.stop_reason.0 {
                    self.chunks.finish(0, finish_reason(Some(&reason)), out);
                }
            }
            Event::MessageStop(_) => {
                self.done = true;
                self.chunks.end(usage_of(self.report.take()), out);
            }
            Event::Error(event) => return Err(problem_error(500, &event.error)),
            Event::Other(_) => {}
        }
        Ok(())
    }

    pub(in crate::translate) fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    fn begin(&mut self, block: Block<'_>, out: &mut Vec<u8>) {
        self.open = Open::Plain;
        match block {
            Block::Text(block) => self.chunks.text(0, &block.text, out),
            Block::ToolUse(call) => {
                let number = self.calls;
                self.calls = self.calls.saturating_add(1);
                self.open = Open::Call { number, arguments: false };
                self.chunks.call(0, number, function_call(call.id, call.name, "".into()), out);
            }
            Block::Thinking(block) => {
                self.chunks.reasoning(0, &block.thinking, out);
                self.open = Open::Thinking {
                    text: Some(block.thinking.into_owned()),
                    signature: block.signature.unwrap_or_default().into_owned(),
                };
            }
            Block::RedactedThinking(_) => {
                self.chunks.thinking_block(Raw::from_wire(&block), out);
            }
            _ => {}
        }
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match (delta, &mut self.open) {
            (Delta::Text(delta), _) => self.chunks.text(0, &delta.text, out),
            (Delta::InputJson(delta), Open::Call { number, arguments })
                if !delta.partial_json.is_empty() =>
            {
                *arguments = true;
                self.chunks.arguments(*number, &delta.partial_json, out);
            }
            (Delta::Thinking(delta), Open::Thinking { text, .. }) => {
                self.chunks.reasoning(0, &delta.thinking, out);
                *text = text
                    .take()
                    .filter(|text| text.len().saturating_add(delta.thinking.len()) <= MAX_FRAME)
                    .map(|text| text + &delta.thinking);
            }
            (Delta::Signature(delta), Open::Thinking { signature, .. })
                if signature.len().saturating_add(delta.signature.len()) <= MAX_FRAME =>
            {
                signature.push_str(&delta.signature);
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Plain) {
            // An empty text is no JSON.
            Open::Call { number, arguments: false } => self.chunks.arguments(number, "{}", out),
            Open::Thinking { text: Some(text), signature } if !signature.is_empty() => {
                let block = serde_json::json!({
                    "type": "thinking", "thinking": text, "signature": signature,
                });
                self.chunks.thinking_block(Raw::from(&block), out);
            }
            Open::Plain | Open::Call { .. } | Open::Thinking { .. } => {}
        }
    }

    fn report(&mut self, usage: Option<&Raw<'_>>, of: impl FnOnce(Report) -> Report) {
        if let Some(later) = usage.and_then(|usage| Report::read(usage.as_str().as_bytes())) {
            let later = of(later);
            self.report = Some(match self.report.take() {
                Some(report) => report.merge(later),
                None => later,
            });
        }
    }
}
