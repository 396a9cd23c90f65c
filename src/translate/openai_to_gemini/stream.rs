//! The stream.

use super::super::chat::Chunks;
use super::super::{Asked, Context};
use super::response::{call_of, error, finish_reason};
use crate::error::Error;
use crate::protocol::gemini::{Candidate, GenerateContentResponse, UsageMetadata};
use crate::protocol::usage::Usage;

pub(in crate::translate) struct Stream {
    chunks: Chunks,
    context: Context,
    /// What became of each candidate.
    candidates: Vec<State>,
    usage: Option<Usage>,
}

#[derive(Clone, Copy, Default)]
struct State {
    calls: u64,
    finished: bool,
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            chunks: Chunks::new(context, asked),
            context: context.clone(),
            candidates: Vec::new(),
            usage: None,
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
        let event = GenerateContentResponse::from_json(data)?;
        if event.error.is_some() {
            return Err(error(500, data));
        }
        if let Some(usage) = &event.usage_metadata {
            self.usage = UsageMetadata::usage(usage);
        }
        self.chunks.start(event.response_id.as_deref(), out);
        let candidates = event.candidates.unwrap_or_default();
        if candidates.is_empty()
            && event.prompt_feedback.is_some_and(|it| it.block_reason.is_some())
        {
            self.finish(0, "content_filter", out);
        }
        for candidate in candidates {
            self.candidate(candidate, out);
        }
        Ok(())
    }

    /// Gemini has no terminal event: a stream is whole when each candidate has said why it ended.
    pub(in crate::translate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.candidates.is_empty() && self.candidates.iter().all(|one| one.finished) {
            self.chunks.end(self.usage, out);
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<u8>) {
        let index = candidate.index.unwrap_or_default();
        let Some(mut state) = self.state(index) else { return };
        if state.finished {
            return;
        }
        for part in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
            match (part.text, part.function_call) {
                (Some(text), _) if part.thought == Some(true) => {
                    self.chunks.reasoning(index, &text, out);
                }
                (Some(text), _) => self.chunks.text(index, &text, out),
                (None, Some(call)) => {
                    let signature = part.thought_signature;
                    let call = call_of(call, signature, state.calls, &self.context);
                    self.chunks.call(index, state.calls, call, out);
                    state.calls = state.calls.saturating_add(1);
                }
                (None, None) => {}
            }
        }
        self.set(index, state);
        if let Some(reason) = candidate.finish_reason {
            self.finish(index, finish_reason(Some(&reason), state.calls > 0), out);
        }
    }

    fn finish(&mut self, index: u64, reason: &str, out: &mut Vec<u8>) {
        if let Some(state) = self.state(index).filter(|state| !state.finished) {
            self.set(index, State { finished: true, ..state });
            self.chunks.finish(index, reason, out);
        }
    }

    /// `None`: more candidates than Gemini has.
    fn state(&mut self, index: u64) -> Option<State> {
        let index = usize::try_from(index).ok().filter(|index| *index < MAX_CANDIDATES)?;
        if self.candidates.len() <= index {
            self.candidates.resize(index.saturating_add(1), State::default());
        }
        self.candidates.get(index).copied()
    }

    fn set(&mut self, index: u64, state: State) {
        let place = usize::try_from(index).ok().and_then(|index| self.candidates.get_mut(index));
        if let Some(place) = place {
            *place = state;
        }
    }
}

const MAX_CANDIDATES: usize = 8;
