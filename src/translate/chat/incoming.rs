//! What a server that speaks OpenAI's protocol answers, in one form for all clients: whole, and in
//! an order that clients understand who are told one thing after the other.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::calls::Numbers;
use crate::error::{Error, Kind};
use crate::protocol::openai::chat::{
    Answer, AnswerPart, ChatCompletionChunk, ChatCompletionResponse, Delta, FunctionToolCall,
    ToolCall, ToolCallDelta,
};
use crate::protocol::usage::Report;
use crate::protocol::wire::{Raw, TextOr};
use crate::translate::{failure, names};

/// The answer that is no stream.
#[derive(Debug, Default)]
pub(in crate::translate) struct Whole<'a> {
    pub(in crate::translate) id: Option<Cow<'a, str>>,
    pub(in crate::translate) spoken: Vec<Spoken<'a>>,
    pub(in crate::translate) report: Option<Report>,
}

/// One choice of it.
#[derive(Debug, Default)]
pub(in crate::translate) struct Spoken<'a> {
    pub(in crate::translate) index: Option<u64>,
    pub(in crate::translate) thought: Option<Cow<'a, str>>,
    pub(in crate::translate) signed: Vec<Raw<'a>>,
    pub(in crate::translate) text: Option<Cow<'a, str>>,
    pub(in crate::translate) refusal: Option<Cow<'a, str>>,
    pub(in crate::translate) calls: Vec<FunctionToolCall<'a>>,
    pub(in crate::translate) finish_reason: Option<Cow<'a, str>>,
}

/// Reads it. One without a choice, or whose generation failed, is none.
pub(in crate::translate) fn whole<'a>(
    body: &'a [u8],
    request_id: &str,
) -> Result<Whole<'a>, Error> {
    let answer = match ChatCompletionResponse::from_json(body) {
        Ok(answer) => answer,
        Err(error) => return Err(failed(body).unwrap_or(error)),
    };
    if answer.choices.is_empty() {
        return Err(failed(body).unwrap_or_else(failure::garbled));
    }
    let mut spoken = Vec::new();
    for choice in answer.choices {
        check(choice.finish_reason.as_deref())?;
        let said = self::spoken(choice.message, request_id);
        let (index, finish_reason) = (choice.index, choice.finish_reason);
        spoken.push(Spoken { index, finish_reason, ..said });
    }
    let report = answer.usage.and_then(|usage| Report::read(usage.as_str().as_bytes()));
    Ok(Whole { id: answer.id.filter(|id| !id.is_empty()), spoken, report })
}

impl<'a> Whole<'a> {
    /// Where only one was asked for.
    pub(in crate::translate) fn first(&mut self) -> Spoken<'a> {
        if self.spoken.is_empty() { Spoken::default() } else { self.spoken.swap_remove(0) }
    }
}

fn spoken<'a>(answer: Answer<'a>, request_id: &str) -> Spoken<'a> {
    let mut spoken = Spoken {
        thought: answer.reasoning_content.or(answer.reasoning),
        signed: answer.thinking_blocks.unwrap_or_default(),
        refusal: answer.refusal.0,
        ..Default::default()
    };
    match answer.content.0 {
        Some(TextOr::Text(text)) => spoken.text = Some(text),
        Some(TextOr::Other(parts)) => parts.into_iter().for_each(|part| {
            let (place, text) = match part {
                AnswerPart::Text(part) => (&mut spoken.text, part.text),
                AnswerPart::Refusal(part) => (&mut spoken.refusal, part.refusal),
                AnswerPart::Thinking(part) => (&mut spoken.thought, flat(part.thinking)),
                AnswerPart::Other(_) => return,
            };
            match place {
                Some(said) => said.to_mut().push_str(&text),
                None => *place = Some(text),
            }
        }),
        None => {}
    }
    for call in answer.tool_calls.into_iter().flatten() {
        if let ToolCall::Function(call) = call {
            spoken.calls.push(call);
        }
    }
    if let Some(function) = answer.function_call.filter(|_| spoken.calls.is_empty()) {
        spoken.calls.push(FunctionToolCall { function, ..Default::default() });
    }
    for (call, number) in spoken.calls.iter_mut().zip(0..) {
        if call.id.is_empty() {
            call.id = names::call_id(request_id, number);
        }
    }
    spoken
}

/// The text of parts.
fn flat<'a>(content: TextOr<'a, Vec<AnswerPart<'a>>>) -> Cow<'a, str> {
    let parts = match content {
        TextOr::Text(text) => return text,
        TextOr::Other(parts) => parts,
    };
    let texts = parts.into_iter().map(|part| match part {
        AnswerPart::Text(part) => part.text,
        AnswerPart::Refusal(part) => part.refusal,
        AnswerPart::Thinking(part) => flat(part.thinking),
        AnswerPart::Other(_) => "".into(),
    });
    texts.collect::<Vec<_>>().concat().into()
}

/// The next chunk; `None` at the end of the stream. A chunk that is an error is one here too.
pub(in crate::translate) fn chunk(data: &[u8]) -> Result<Option<ChatCompletionChunk<'_>>, Error> {
    if data.trim_ascii() == b"[DONE]" {
        return Ok(None);
    }
    let chunk = match ChatCompletionChunk::from_json(data) {
        Ok(chunk) => chunk,
        Err(error) => return Err(failed(data).unwrap_or(error)),
    };
    if chunk.error.is_some() {
        return Err(failed(data).unwrap_or_else(failure::garbled));
    }
    for choice in chunk.choices.iter().flatten() {
        check(choice.finish_reason.0.as_deref())?;
    }
    Ok(Some(chunk))
}

/// An error where an answer was to be. Some servers put its status into it.
fn failed(body: &[u8]) -> Option<Error> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let problem = value.get("error").filter(|problem| !problem.is_null())?;
    let code = problem.get("code").and_then(serde_json::Value::as_u64);
    let status = code.and_then(|code| u16::try_from(code).ok());
    Some(failure::openai(status.filter(|it| (400..600).contains(it)).unwrap_or(500), body))
}

/// A reason that says that there is no answer.
fn check(finish_reason: Option<&str>) -> Result<(), Error> {
    match finish_reason {
        Some("error" | "failed" | "abort" | "insufficient_system_resource") => {
            Err(failure::refusal(Kind::Provider, ""))
        }
        _ => Ok(()),
    }
}

/// What a stream says, one thing after the other.
#[derive(Debug)]
pub(in crate::translate) enum Said<'a> {
    Thought(Cow<'a, str>),
    Signed(Raw<'a>),
    Text(Cow<'a, str>),
    Refusal(Cow<'a, str>),
    Call {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    /// Of the last call.
    Arguments(Cow<'a, str>),
    /// The last call is whole.
    End,
}

/// Tells all of a piece that is no call, and returns its calls.
pub(in crate::translate) fn told<'a>(
    delta: Delta<'a>,
    tell: &mut impl FnMut(Said<'a>) -> Result<(), Error>,
) -> Result<Option<Vec<ToolCallDelta<'a>>>, Error> {
    let mut say = |text: Cow<'a, str>, said: fn(Cow<'a, str>) -> Said<'a>| {
        if text.is_empty() { Ok(()) } else { tell(said(text)) }
    };
    if let Some(thought) = delta.reasoning_content.or(delta.reasoning) {
        say(thought, Said::Thought)?;
    }
    for block in delta.thinking_blocks.into_iter().flatten() {
        say(block.into_text(), |block| Said::Signed(Raw::checked(block)))?;
    }
    match delta.content {
        Some(TextOr::Text(text)) => say(text, Said::Text)?,
        Some(TextOr::Other(parts)) => {
            for part in parts {
                match part {
                    AnswerPart::Text(part) => say(part.text, Said::Text)?,
                    AnswerPart::Refusal(part) => say(part.refusal, Said::Refusal)?,
                    AnswerPart::Thinking(part) => say(flat(part.thinking), Said::Thought)?,
                    AnswerPart::Other(_) => {}
                }
            }
        }
        None => {}
    }
    if let Some(refusal) = delta.refusal {
        say(refusal, Said::Refusal)?;
    }
    Ok(delta.tool_calls)
}

/// Puts in order what a server says at once: a call that has begun is told to its end before
/// anything else is.
#[derive(Debug, Default)]
pub(in crate::translate) struct Sequence {
    numbers: Numbers,
    /// The call that is being told.
    open: Option<usize>,
    waiting: VecDeque<Waiting>,
    /// Bytes that wait.
    kept: usize,
}

#[derive(Debug)]
enum Waiting {
    Said(Said<'static>),
    Call { place: usize, id: String, name: String, arguments: String },
}

impl Sequence {
    /// The next piece of the answer; `tell` gets what can be told now.
    pub(in crate::translate) fn delta(
        &mut self,
        delta: Delta<'_>,
        request_id: &str,
        tell: &mut impl FnMut(Said<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let calls = told(delta, &mut |said| self.say(said, tell))?;
        for call in calls.into_iter().flatten() {
            self.call(call, request_id, tell)?;
        }
        Ok(())
    }

    /// The answer has ended: what waits is told as it is.
    pub(in crate::translate) fn finish(
        &mut self,
        request_id: &str,
        tell: &mut impl FnMut(Said<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.open.take().is_some() {
            tell(Said::End)?;
        }
        self.flush(request_id, true, tell)
    }

    /// How many bytes are kept, at most.
    pub(in crate::translate) fn kept(&self) -> usize {
        self.kept.saturating_mul(2)
    }

    fn say(
        &mut self,
        said: Said<'_>,
        tell: &mut impl FnMut(Said<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let length = match &said {
            Said::Thought(text) | Said::Text(text) | Said::Refusal(text) => text.len(),
            Said::Signed(block) => block.as_str().len(),
            _ => 0,
        };
        if self.open.is_none() && self.waiting.is_empty() {
            return tell(said);
        }
        self.keep(length.saturating_add(PIECE))?;
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let said = match said {
            Said::Thought(text) => Said::Thought(owned(text)),
            Said::Text(text) => Said::Text(owned(text)),
            Said::Refusal(text) => Said::Refusal(owned(text)),
            Said::Signed(block) => Said::Signed(Raw::checked(owned(block.into_text()))),
            Said::Call { .. } | Said::Arguments(_) | Said::End => return Ok(()),
        };
        self.waiting.push_back(Waiting::Said(said));
        Ok(())
    }

    fn call(
        &mut self,
        piece: ToolCallDelta<'_>,
        request_id: &str,
        tell: &mut impl FnMut(Said<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let place = self.numbers.place(&piece)?;
        let function = piece.function.unwrap_or_default();
        let more = function.arguments.unwrap_or_default();
        if self.open == Some(place) {
            if !more.is_empty() {
                tell(Said::Arguments(more))?;
            }
        } else {
            let (new_id, new_name) =
                (piece.id.unwrap_or_default(), function.name.unwrap_or_default());
            self.keep(more.len().saturating_add(new_id.len()).saturating_add(new_name.len()))?;
            let known = self.waiting.iter_mut().find_map(|waiting| match waiting {
                Waiting::Call { place: at, id, name, arguments } if *at == place => {
                    Some((id, name, arguments))
                }
                _ => None,
            });
            match known {
                Some((id, name, arguments)) => {
                    arguments.push_str(&more);
                    for (known, told) in [(id, new_id), (name, new_name)] {
                        if known.is_empty() {
                            *known = told.into_owned();
                        }
                    }
                }
                // What still comes of a call that was whole.
                None if self.numbers.told(place) => return Ok(()),
                None => self.waiting.push_back(Waiting::Call {
                    place,
                    id: new_id.into_owned(),
                    name: new_name.into_owned(),
                    arguments: more.into_owned(),
                }),
            }
        }
        self.flush(request_id, false, tell)
    }

    /// Tells what waits, up to a call that is not whole.
    fn flush(
        &mut self,
        request_id: &str,
        ended: bool,
        tell: &mut impl FnMut(Said<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            if let Some(place) = self.open {
                if !ended && !self.numbers.is_closed(place) {
                    return Ok(());
                }
                self.open = None;
                tell(Said::End)?;
            }
            match self.waiting.front() {
                None => break,
                // Its id or its name may still come.
                Some(Waiting::Call { place, id, name, .. })
                    if (id.is_empty() || name.is_empty())
                        && !ended
                        && !self.numbers.is_closed(*place) =>
                {
                    return Ok(());
                }
                Some(_) => {}
            }
            match self.waiting.pop_front() {
                None => break,
                Some(Waiting::Said(said)) => tell(said)?,
                Some(Waiting::Call { place, id, name, arguments }) => {
                    let id = match id.is_empty() {
                        true => names::call_id(request_id, u64::try_from(place).unwrap_or(0)),
                        false => id.into(),
                    };
                    self.numbers.tell(place);
                    tell(Said::Call { id, name: name.into() })?;
                    if !arguments.is_empty() {
                        tell(Said::Arguments(arguments.into()))?;
                    }
                    self.open = Some(place);
                }
            }
        }
        self.kept = 0;
        Ok(())
    }

    fn keep(&mut self, more: usize) -> Result<(), Error> {
        self.kept = self.kept.saturating_add(more);
        if self.kept > MAX_WAITING { Err(failure::too_large()) } else { Ok(()) }
    }
}

/// What each piece that waits takes beside its bytes.
const PIECE: usize = 64;

/// What waits in one streamed answer, in bytes. Beyond it the stream fails.
const MAX_WAITING: usize = 4 << 20;
