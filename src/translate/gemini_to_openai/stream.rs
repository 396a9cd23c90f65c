//! The stream.

use std::collections::BTreeMap;

use super::super::chat::{Calls, Said, chunk, told};
use super::super::names::Names;
use super::super::{Asked, Context, failure};
use super::response::{
    candidate, finish_reason, function_call, text, thought, thought_of, usage_of,
};
use crate::error::Error;
use crate::protocol::gemini::{Candidate, GenerateContentResponse, Part};
use crate::protocol::openai::chat::Delta;
use crate::protocol::sse;
use crate::protocol::usage::Report;
use crate::protocol::wire;

pub(in crate::translate) struct Stream {
    model: String,
    request_id: String,
    id: Option<String>,
    thinking: bool,
    names: Names,
    choices: BTreeMap<u64, Choice>,
    report: Option<Report>,
    done: bool,
}

/// What is known of one choice and not told yet.
#[derive(Default)]
struct Choice {
    /// Gemini tells calls whole.
    calls: Calls,
    /// Thoughts were told without their signature.
    thought: bool,
    refused: bool,
    finish_reason: Option<String>,
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            model: context.model.clone(),
            request_id: context.request_id.clone(),
            id: None,
            thinking: asked.thinking,
            names: asked.names.clone(),
            choices: BTreeMap::new(),
            report: None,
            done: false,
        }
    }

    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        let choice = |choice: &Choice| {
            let reason = choice.finish_reason.as_ref().map_or(0, String::capacity);
            reason.saturating_add(choice.calls.kept())
        };
        self.id.as_ref().map_or(0, String::capacity)
            + self.choices.values().map(choice).sum::<usize>()
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
        if self.id.is_none() {
            self.id = chunk.id.filter(|id| !id.is_empty()).map(|id| id.into_owned());
        }
        for (choice, number) in chunk.choices.into_iter().flatten().zip(0..) {
            let index = choice.index.unwrap_or(number);
            if index >= MAX_CHOICES {
                return Err(failure::too_large());
            }
            if let Some(delta) = choice.delta {
                self.delta(index, delta, out)?;
            }
            if let Some(reason) = choice.finish_reason.0 {
                self.choice(index).finish_reason = Some(reason.into_owned());
            }
        }
        Ok(())
    }

    /// Servers that do not say `[DONE]` have said why they finished.
    pub(in crate::translate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let ended = |choice: &Choice| choice.finish_reason.is_some();
        if !self.done && !self.choices.is_empty() && self.choices.values().all(ended) {
            self.finish(out);
        }
        Ok(())
    }

    fn choice(&mut self, index: u64) -> &mut Choice {
        self.choices.entry(index).or_default()
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut parts = Vec::new();
        let thinking = self.thinking;
        let choice = self.choice(index);
        let calls = told(delta, &mut |said| {
            match said {
                Said::Thought(said) if thinking => {
                    choice.thought = true;
                    parts.push(thought(said, None));
                }
                Said::Signed(block) if thinking => {
                    let mut signed = thought_of(&block);
                    if let Some(signed) = &mut signed
                        && std::mem::take(&mut choice.thought)
                    {
                        // Its text has come in pieces before.
                        signed.text = Some("".into());
                    }
                    parts.extend(signed);
                }
                Said::Text(said) => parts.push(text(said)),
                Said::Refusal(said) => {
                    choice.refused = true;
                    parts.push(text(said));
                }
                _ => {}
            }
            Ok(())
        })?;
        for call in calls.into_iter().flatten() {
            choice.calls.add(call)?;
        }
        if !parts.is_empty() {
            self.put(vec![candidate(index, parts, None)], false, out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let choices = std::mem::take(&mut self.choices);
        let candidates = choices.iter().map(|(index, choice)| {
            let calls = choice.calls.iter(&self.request_id).map(|(id, name, arguments)| {
                function_call(id, self.names.given(name.into()), arguments.into())
            });
            let mut parts: Vec<Part<'_>> = calls.collect();
            if parts.is_empty() {
                parts.push(text("".into()));
            }
            let reason = finish_reason(choice.finish_reason.as_deref(), choice.refused);
            candidate(*index, parts, Some(reason.into()))
        });
        self.put(candidates.collect(), true, out);
        self.done = true;
    }

    fn put(&self, candidates: Vec<Candidate<'_>>, last: bool, out: &mut Vec<u8>) {
        let report = self.report.as_ref().filter(|_| last);
        let event = GenerateContentResponse {
            candidates: Some(candidates),
            usage_metadata: report.and_then(usage_of),
            model_version: Some(self.model.as_str().into()),
            response_id: Some(self.id.as_deref().unwrap_or(&self.request_id).into()),
            ..Default::default()
        };
        sse::write(out, "", &wire::write(&event));
    }
}

/// More choices than any server gives.
const MAX_CHOICES: u64 = 128;
