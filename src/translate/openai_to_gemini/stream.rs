//! The stream.

use super::super::chat::Chunks;
use super::super::{Asked, Context};
use super::response::{call_of, check, error, finish_reason};
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
    /// Something was said.
    says: bool,
    /// Why it ended, as far as is known: some say so with each event.
    finished: Option<&'static str>,
    /// The reason is one of a failure, unless something is said.
    doubtful: bool,
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
            && let Some(state) = self.state(0)
        {
            self.set(0, State { finished: Some("content_filter"), ..state });
        }
        for candidate in candidates {
            self.candidate(candidate, out)?;
        }
        Ok(())
    }

    /// Gemini has no terminal event: a stream is whole when each candidate has said why it ended.
    pub(in crate::translate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.candidates.is_empty() || self.candidates.iter().any(|one| one.finished.is_none()) {
            return Ok(());
        }
        if self.candidates.iter().all(|one| one.doubtful && !one.says) {
            return check(Some("OTHER"), false);
        }
        for (state, index) in std::mem::take(&mut self.candidates).into_iter().zip(0..) {
            let reason = match state.finished {
                Some("stop") if state.calls > 0 => "tool_calls",
                reason => reason.unwrap_or("stop"),
            };
            self.chunks.finish(index, reason, out);
        }
        self.chunks.end(self.usage, out);
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let index = candidate.index.unwrap_or_default();
        let Some(mut state) = self.state(index) else { return Ok(()) };
        for part in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
            match (part.text, part.function_call) {
                (Some(text), _) if part.thought == Some(true) => {
                    self.chunks.reasoning(index, &text, out);
                }
                (Some(text), _) => {
                    state.says |= !text.is_empty();
                    self.chunks.text(index, &text, out);
                }
                (None, Some(call)) => {
                    let signature = part.thought_signature;
                    let call = call_of(call, signature, state.calls, &self.context);
                    self.chunks.call(index, state.calls, call, out);
                    state.calls = state.calls.saturating_add(1);
                    state.says = true;
                }
                (None, None) => {}
            }
        }
        if let Some(reason) = candidate.finish_reason.as_deref() {
            check(Some(reason), true)?;
            state.doubtful = check(Some(reason), false).is_err();
            state.finished = Some(finish_reason(Some(reason), false));
        }
        self.set(index, state);
        Ok(())
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
