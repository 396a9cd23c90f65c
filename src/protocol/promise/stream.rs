//! The same for streams: each event is one of the protocol, something was said, and whatever began
//! has ended well.

use super::glimpse::{Ending, Filled, Kind};
use super::shapes::{Completion, Gemini, MessageEvent, Ollama, Response, ResponseEvent};
use super::{Lack, judge, read};
use crate::protocol::Operation;
use crate::protocol::sse::{self, Format};

/// Judges a whole stream, whose last event came.
pub fn stream(operation: Operation, body: &[u8]) -> Result<(), Lack> {
    match operation {
        Operation::Chat | Operation::Completion => events(body, Parts::default(), completion),
        Operation::Responses => events(body, Last::default(), Last::event),
        Operation::Messages => events(body, Blocks::default(), Blocks::event),
        Operation::GeminiStream => events(body, Parts::default(), gemini),
        Operation::OllamaChat | Operation::OllamaGenerate => lines(body),
        _ => Err(Lack::Content),
    }
}

/// What the events of a stream add up to.
trait Sum {
    fn judge(&self) -> Result<(), Lack>;
}

fn events<T: Sum>(
    body: &[u8],
    mut sum: T,
    add: impl Fn(&mut T, &str) -> Result<(), Lack>,
) -> Result<(), Lack> {
    for frame in sse::frames(Format::EventStream, body) {
        let Some(event) = sse::event(frame.ok_or(Lack::Content)?) else { continue };
        if event.data.trim_ascii() == b"[DONE]" {
            continue;
        }
        if event.name == b"error" {
            return Err(Lack::Success);
        }
        add(&mut sum, std::str::from_utf8(&event.data).map_err(|_| Lack::Content)?)?;
    }
    sum.judge()
}

fn lines(body: &[u8]) -> Result<(), Lack> {
    let (mut said, mut ending) = (false, None);
    for line in sse::frames(Format::JsonLines, body) {
        let line = std::str::from_utf8(line.ok_or(Lack::Content)?).map_err(|_| Lack::Content)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line: Ollama = read(line)?;
        // What comes after the last line is of another answer.
        if ending.is_some() {
            return Err(Lack::Content);
        }
        said |= line.said();
        ending = line.done.then_some(line.done_reason);
    }
    judge(said, ending.unwrap_or_default())
}

/// What has come of each of several answers in one stream.
#[derive(Default)]
struct Parts(Vec<Part>);

struct Part {
    index: usize,
    said: bool,
    ending: Ending,
}

impl Parts {
    fn add(&mut self, index: Option<usize>, said: bool, ending: Ending) -> Result<(), Lack> {
        let index = index.unwrap_or(0);
        let Some(part) = self.0.iter_mut().find(|part| part.index == index) else {
            // No provider gives more.
            if self.0.len() >= MAX_PARTS {
                return Err(Lack::Content);
            }
            self.0.push(Part { index, said, ending });
            return Ok(());
        };
        part.said |= said;
        if part.ending != Ending::Bad && ending != Ending::None {
            part.ending = ending;
        }
        Ok(())
    }
}

impl Sum for Parts {
    fn judge(&self) -> Result<(), Lack> {
        if self.0.is_empty() {
            return Err(Lack::Content);
        }
        self.0.iter().try_for_each(|part| judge(part.said, part.ending))
    }
}

fn completion(parts: &mut Parts, json: &str) -> Result<(), Lack> {
    // An event for the usage, or for what a filter says of the prompt, has an empty list.
    let choices = read::<Completion>(json)?.choices.ok_or(Lack::Content)?;
    choices.iter().try_for_each(|choice| {
        let said = choice.delta.0 || choice.text == Filled::Full;
        parts.add(choice.index, said, choice.finish_reason)
    })
}

fn gemini(parts: &mut Parts, json: &str) -> Result<(), Lack> {
    let event: Gemini = read(json)?;
    if event.is_blocked() {
        return Err(Lack::End);
    }
    event.candidates.iter().flatten().try_for_each(|candidate| {
        parts.add(candidate.index, candidate.said(), candidate.finish_reason)
    })
}

/// The last event of a response.
#[derive(Default)]
struct Last(Option<Response>);

impl Last {
    fn event(&mut self, json: &str) -> Result<(), Lack> {
        let event: ResponseEvent = read(json)?;
        match event.kind {
            Kind::LastEvent => self.0 = Some(event.response.ok_or(Lack::Content)?),
            Kind::Failed => return Err(Lack::Success),
            _ => {}
        }
        Ok(())
    }
}

impl Sum for Last {
    fn judge(&self) -> Result<(), Lack> {
        self.0.as_ref().ok_or(Lack::End)?.judge()
    }
}

/// The blocks of a message.
#[derive(Default)]
struct Blocks {
    begun: bool,
    /// Those that have begun and not ended.
    open: usize,
    said: bool,
    ending: Ending,
    stopped: bool,
}

impl Blocks {
    fn event(&mut self, json: &str) -> Result<(), Lack> {
        let event: MessageEvent = read(json)?;
        match event.kind {
            Kind::MessageStart if !self.begun => self.begun = true,
            Kind::BlockStart if self.begun => {
                self.open = self.open.saturating_add(1);
                self.said |= event.content_block.0;
            }
            Kind::BlockDelta if self.open > 0 => self.said |= event.delta.said.0,
            Kind::BlockStop => self.open = self.open.checked_sub(1).ok_or(Lack::Content)?,
            Kind::MessageDelta if event.delta.ending != Ending::None => {
                self.ending = event.delta.ending;
            }
            Kind::MessageStop => self.stopped = true,
            Kind::MessageStart | Kind::BlockStart | Kind::BlockDelta => return Err(Lack::Content),
            _ => {}
        }
        Ok(())
    }
}

impl Sum for Blocks {
    fn judge(&self) -> Result<(), Lack> {
        if self.open > 0 || !self.stopped {
            return Err(Lack::End);
        }
        judge(self.said, self.ending)
    }
}

/// As many choices as a request can ask of OpenAI.
const MAX_PARTS: usize = 128;
