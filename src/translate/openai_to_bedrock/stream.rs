//! The stream.

use super::super::chat::{Chunks, function_call};
use super::super::{Asked, Context};
use super::response::{exception, finish_reason, redacted, thinking};
use crate::error::Error;
use crate::protocol::bedrock::{BlockDelta, BlockStart, Delta, MessageStop, Metadata, TokenUsage};
use crate::protocol::sse::MAX_FRAME;

pub(in crate::translate) struct Stream {
    chunks: Chunks,
    open: Open,
    /// Calls that have begun.
    calls: u64,
    /// Why the model stopped is told before what it used.
    stopped: bool,
    done: bool,
}

/// The block that is being written.
enum Open {
    /// Nothing is left to be said at its end.
    Plain,
    /// The arguments of a call; `false`: none came.
    Call { arguments: bool },
    /// Thinking, kept so that it can be handed out whole with its signature.
    /// `None`: there is too much of it.
    Thinking { block: Option<(String, String)> },
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            chunks: Chunks::new(context, asked),
            open: Open::Plain,
            calls: 0,
            stopped: false,
            done: false,
        }
    }

    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        let open = match &self.open {
            Open::Thinking { block: Some((text, signature)) } => {
                text.capacity().saturating_add(signature.capacity())
            }
            Open::Plain | Open::Call { .. } | Open::Thinking { block: None } => 0,
        };
        self.chunks.kept().saturating_add(open)
    }

    pub(in crate::translate) fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match name {
            _ if self.done => {}
            b"messageStart" => self.chunks.start(None, out),
            b"contentBlockStart" => self.begin(BlockStart::from_json(data)?, out),
            b"contentBlockDelta" => self.delta(BlockDelta::from_json(data)?.delta, out),
            b"contentBlockStop" => self.close(out),
            b"messageStop" => {
                let stop = MessageStop::from_json(data)?;
                self.stopped = true;
                self.chunks.finish(0, finish_reason(stop.stop_reason.as_deref())?, out);
            }
            b"metadata" if self.stopped => {
                let usage = Metadata::from_json(data)?.usage;
                self.done = true;
                self.chunks.end(usage.as_ref().and_then(TokenUsage::usage), out);
            }
            // An error has another name than any event.
            _ if name.ends_with(b"xception") || name.ends_with(b"rror") => {
                return Err(exception(name, data));
            }
            _ => {}
        }
        Ok(())
    }

    pub(in crate::translate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.stopped && !self.done {
            self.chunks.end(None, out);
        }
        Ok(())
    }

    fn begin(&mut self, event: BlockStart<'_>, out: &mut Vec<u8>) {
        self.open = Open::Plain;
        if let Some(call) = event.start.and_then(|start| start.tool_use) {
            let number = self.calls;
            self.calls = self.calls.saturating_add(1);
            self.open = Open::Call { arguments: false };
            let call = function_call(call.tool_use_id, call.name, "".into());
            self.chunks.call(0, number, call, out);
        }
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.chunks.text(0, &delta.text.unwrap_or_default(), out);
        if let (Some(piece), Open::Call { arguments }) = (delta.tool_use, &mut self.open)
            && !piece.input.is_empty()
        {
            *arguments = true;
            self.chunks.arguments(self.calls.saturating_sub(1), &piece.input, out);
        }
        let Some(piece) = delta.reasoning_content else { return };
        let thought = piece.text.unwrap_or_default();
        self.chunks.reasoning(0, &thought, out);
        if let Some(data) = piece.redacted_content {
            self.chunks.thinking_block(redacted(&data), out);
        }
        // Blocks of thinking have no start of their own.
        if !matches!(self.open, Open::Thinking { .. }) {
            self.open = Open::Thinking { block: Some(Default::default()) };
        }
        if let Open::Thinking { block } = &mut self.open {
            let signed = piece.signature.unwrap_or_default();
            *block = block.take().map(|(text, signature)| (text + &thought, signature + &signed));
            *block = block
                .take()
                .filter(|(text, signature)| text.len().max(signature.len()) <= MAX_FRAME);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Plain) {
            // An empty text is no JSON.
            Open::Call { arguments: false } => {
                self.chunks.arguments(self.calls.saturating_sub(1), "{}", out);
            }
            Open::Thinking { block: Some((text, signature)) } if !signature.is_empty() => {
                self.chunks.thinking_block(thinking(&text, &signature), out);
            }
            Open::Plain | Open::Call { .. } | Open::Thinking { .. } => {}
        }
    }
}
