//! The stream.

use std::collections::BTreeMap;

use super::super::chat::{Calls, chunk};
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
            choices: BTreeMap::new(),
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
        if self.thinking {
            let told = delta.reasoning_content.or(delta.reasoning);
            if let Some(told) = told.filter(|told| !told.is_empty()) {
                self.choice(index).thought = true;
                parts.push(thought(told, None));
            }
            for mut signed in delta.thinking_blocks.iter().flatten().filter_map(thought_of) {
                if std::mem::take(&mut self.choice(index).thought) {
                    // Its text has come in pieces before.
                    signed.text = Some("".into());
                }
                parts.push(signed);
            }
        }
        self.choice(index).refused |= delta.refusal.is_some();
        let texts = delta.content.into_iter().chain(delta.refusal);
        parts.extend(texts.filter(|said| !said.is_empty()).map(text));
        if !parts.is_empty() {
            self.put(vec![candidate(index, parts, None)], false, out);
        }
        for call in delta.tool_calls.into_iter().flatten() {
            let choice = self.choices.entry(index).or_default();
            choice.calls.add(call, &self.request_id)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let choices = std::mem::take(&mut self.choices);
        let candidates = choices.iter().map(|(index, choice)| {
            let calls = choice.calls.iter().map(|(id, name, arguments)| {
                function_call(id.into(), name.into(), arguments.into())
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
            usage_metadata: report.map(usage_of),
            model_version: Some(self.model.as_str().into()),
            response_id: Some(self.id.as_deref().unwrap_or(&self.request_id).into()),
            ..Default::default()
        };
        sse::write(out, "", &wire::write(&event));
    }
}

/// More choices than any server gives.
const MAX_CHOICES: u64 = 128;
