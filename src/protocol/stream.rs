//! A streamed answer on its way to the client: passed on as it comes, understood on the way.
//!
//! What the client gets:
//! - Every event as soon as it is whole, byte for byte. Only the beginning of an event that is not
//!   whole yet is held back, so that a stream never ends in half an event. Of an event beyond
//!   [`sse::MAX_FRAME`] the parts are passed on.
//! - If the gateway, and not the client, asked for usage: everything but what that adds to an
//!   OpenAI stream, which is the event with `"choices":[]` and the usage, and `"usage":null` in all
//!   others. A usage that comes beside content stays: such a server sends it unasked.
//! - At most one `[DONE]`, and an error event in its own dialect if the stream ends before its
//!   terminal event, or says what is no event: of that, and of what follows it, nothing.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::shape;
use super::skim::{Interest, Member, Sink, Skimmer};
use super::sse::{self, Decoder, Format, Frame};
use super::usage::{self, Quality, Report, Usage, estimate};
use super::{Dialect, Operation};
use crate::error::{Error, Kind};

/// One streamed answer.
pub struct Relay {
    decoder: Decoder,
    reader: Reader,
    last: Last,
    out: Vec<u8>,
}

/// What becomes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relayed<'a> {
    Unchanged,
    Replaced(&'a [u8]),
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The model has not said anything.
    Opening,
    Content,
    /// The terminal event came.
    Finished,
    /// An error event came instead; what follows does not count.
    Failed {
        after_content: bool,
    },
}

/// How a stream ended, and what to append to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With its terminal event. There is something to append only if the last event had no end.
    Complete { append: Vec<u8> },
    /// With an error event of the provider's own.
    Failed { append: Vec<u8> },
    /// Before its terminal event: an error event is appended.
    Cut { append: Vec<u8> },
}

impl Relay {
    /// `None` for an operation that has no stream this module knows the end of.
    pub fn new(operation: Operation, client_asked_for_usage: bool) -> Option<Self> {
        let format = match operation {
            Operation::Chat
            | Operation::Completion
            | Operation::Responses
            | Operation::Messages
            | Operation::GeminiStream => Format::EventStream,
            Operation::OllamaChat | Operation::OllamaGenerate => Format::JsonLines,
            Operation::Embedding
            | Operation::OllamaEmbed
            | Operation::GeminiGenerate
            | Operation::GeminiEmbed
            | Operation::GeminiBatchEmbed
            | Operation::Other
            | Operation::Models => return None,
        };
        Some(Self {
            decoder: Decoder::new(format),
            reader: Reader {
                operation,
                format,
                strip: !client_asked_for_usage,
                phase: Phase::Opening,
                report: Report::default(),
                is_summed: false,
                events: 0,
                content_events: 0,
                text: 0,
                ended: false,
                begun: false,
                garbled: false,
                opened: false,
            },
            last: Last::Kept,
            out: Vec::new(),
        })
    }

    /// The next bytes of the body, cut anywhere.
    pub fn chunk<'a>(&'a mut self, chunk: &'a [u8]) -> Relayed<'a> {
        let Self { decoder, reader, last, out } = self;
        let mut output = Output { chunk, kept: 0, out, copied: false };
        output.out.clear();
        let mut rest = chunk;
        reader.begin(chunk);
        while !reader.garbled
            && let Some(piece) = decoder.next(rest)
        {
            let (bytes, cut) = match piece.frame {
                Frame::Whole(frame) => {
                    let cut = reader.event(frame);
                    *last = if cut.len() == frame.len() { Last::Dropped } else { Last::Kept };
                    (frame, cut)
                }
                Frame::Rest(bytes) if *last == Last::Dropped => (bytes, 0..bytes.len()),
                Frame::Rest(bytes) => (bytes, 0..0),
                Frame::Excess(bytes) => {
                    reader.excess(bytes, *last != Last::Excess);
                    *last = Last::Excess;
                    (bytes, 0..0)
                }
            };
            output.pass(bytes, piece.taken, cut);
            rest = rest.get(piece.taken..).unwrap_or_default();
        }
        output.finish()
    }

    /// How many bytes are kept.
    pub fn kept(&self) -> usize {
        self.decoder.kept().saturating_add(self.out.capacity())
    }

    /// Gives up an event that is not whole yet, since there is no room for it: what was kept back
    /// of it is to be passed on now, and the rest passes as it comes.
    pub fn spill(&mut self) -> Vec<u8> {
        self.out = Vec::new();
        let spilled = self.decoder.spill();
        if !spilled.is_empty() {
            self.reader.excess(&spilled, true);
            self.last = Last::Excess;
        }
        spilled
    }

    /// The body has ended. Called once.
    pub fn end(&mut self, request_id: &str) -> End {
        let Self { decoder, reader, .. } = self;
        let mut append = Vec::new();
        let mut open = false;
        let rest = if reader.garbled { Frame::Rest(b"") } else { decoder.finish() };
        match rest {
            Frame::Whole(held) if reader.is_whole(held) => {
                let cut = reader.event(held);
                append.extend_from_slice(held.get(..cut.start).unwrap_or_default());
                append.extend_from_slice(held.get(cut.end..).unwrap_or_default());
                open = !append.is_empty();
            }
            Frame::Whole(held) if reader.phase == Phase::Finished => append.extend_from_slice(held),
            Frame::Excess(_) => open = true,
            Frame::Whole(_) | Frame::Rest(_) => {}
        }
        if reader.garbled {
            let garbled = Error::new(Kind::Provider, GARBLED);
            append = error_event(reader.operation, &garbled, request_id, reader.events);
            return End::Cut { append };
        }
        match reader.phase {
            Phase::Finished => End::Complete { append },
            Phase::Failed { .. } => End::Failed { append },
            // A server that does not say that it is done: the client's program waits for it.
            Phase::Opening | Phase::Content if reader.ended => {
                if open {
                    append.extend_from_slice(b"\n\n");
                }
                sse::write(&mut append, "", DONE);
                End::Complete { append }
            }
            Phase::Opening | Phase::Content => {
                if open {
                    append.extend_from_slice(b"\n\n");
                }
                let cut = Error::new(Kind::Provider, CUT);
                append.extend(error_event(reader.operation, &cut, request_id, reader.events));
                End::Cut { append }
            }
        }
    }

    /// Whether the first event came, or a comment that keeps the connection alive.
    pub fn has_begun(&self) -> bool {
        self.reader.begun
    }

    /// Whether what came is no stream, or none any longer: [`Self::end`] has the error event.
    pub fn is_garbled(&self) -> bool {
        self.reader.garbled
    }

    pub fn phase(&self) -> Phase {
        self.reader.phase
    }

    /// Events that carried something the model said: 0 until the first token.
    pub fn content_events(&self) -> u64 {
        self.reader.content_events
    }

    /// What is known by now; `estimated_input` is used where the provider reports none. As long as
    /// the model speaks, a report is about what it said before.
    pub fn usage(&self, estimated_input: u64) -> (Usage, Quality) {
        let Reader { operation, text, is_summed, .. } = self.reader;
        let (mut usage, quality) = self.reader.report.usage(operation, text, estimated_input);
        match (self.reader.phase, quality) {
            (Phase::Opening | Phase::Content, Quality::Exact) if !is_summed => {
                usage.output = usage.output.max(estimate(text));
                (usage, Quality::Estimated)
            }
            _ => (usage, quality),
        }
    }
}

/// An error as the operation's clients expect it within a stream. `sequence` is the number of
/// events before it, which only the responses API tells its clients.
pub fn error_event(
    operation: Operation,
    error: &Error,
    request_id: &str,
    sequence: u64,
) -> Vec<u8> {
    let mut out = Vec::new();
    match (operation, operation.dialect()) {
        (Operation::Responses, _) => {
            let data = serde_json::json!({
                "type": "error",
                "code": error.code.unwrap_or(error.kind.row().code),
                "message": error.message,
                "param": error.param,
                "sequence_number": sequence,
            });
            sse::write(&mut out, "error", data.to_string().as_bytes());
        }
        (_, dialect @ (Dialect::OpenAi | Dialect::Gemini)) => {
            sse::write(&mut out, "", &error.body(dialect, request_id));
        }
        (_, Dialect::Anthropic) => {
            sse::write(&mut out, "error", &error.body(Dialect::Anthropic, request_id));
        }
        (_, Dialect::Ollama) => {
            out = error.body(Dialect::Ollama, request_id);
            out.push(b'\n');
        }
    }
    out
}

/// What became of the frame before, which its [`Frame::Rest`] shares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Kept,
    Dropped,
    Excess,
}

/// Collects what is passed on of a chunk; copies nothing as long as that is how the chunk begins.
struct Output<'a> {
    chunk: &'a [u8],
    /// How much of the chunk is done.
    kept: usize,
    out: &'a mut Vec<u8>,
    copied: bool,
}

impl<'a> Output<'a> {
    /// Passes on `bytes` without `cut`; the last `taken` of them are the next of the chunk.
    fn pass(&mut self, bytes: &[u8], taken: usize, cut: Range<usize>) {
        if !self.copied && (bytes.len() != taken || !cut.is_empty()) {
            self.copied = true;
            self.out.extend_from_slice(self.chunk.get(..self.kept).unwrap_or_default());
        }
        if self.copied {
            self.out.extend_from_slice(bytes.get(..cut.start).unwrap_or_default());
            self.out.extend_from_slice(bytes.get(cut.end..).unwrap_or_default());
        }
        self.kept = self.kept.saturating_add(taken);
    }

    fn finish(self) -> Relayed<'a> {
        if self.copied {
            return Relayed::Replaced(self.out);
        }
        match self.chunk.get(..self.kept) {
            Some(kept) if kept.len() < self.chunk.len() => Relayed::Replaced(kept),
            _ => Relayed::Unchanged,
        }
    }
}

/// Understands the events of one stream.
struct Reader {
    operation: Operation,
    format: Format,
    /// The client did not ask for usage.
    strip: bool,
    phase: Phase,
    report: Report,
    /// The report is about the whole answer, although the stream has not ended.
    is_summed: bool,
    events: u64,
    content_events: u64,
    /// Bytes of what the model said.
    text: u64,
    /// The model has said why it ended, which is all that some servers say.
    ended: bool,
    /// An event came, or a comment.
    begun: bool,
    /// Something came that is no event.
    garbled: bool,
    /// A byte came that is no blank.
    opened: bool,
}

impl Reader {
    /// A page or a document is known by its first byte, long before an event could be.
    fn begin(&mut self, chunk: &[u8]) {
        if !self.begun && self.events == 0 && self.format == Format::EventStream {
            let first = chunk.trim_ascii_start().first();
            if !self.opened && matches!(first, Some(b'<' | b'{' | b'[')) {
                self.garble();
            }
            self.opened |= first.is_some();
        }
    }

    /// Reads one frame; returns the part of it that the client is not to see.
    fn event(&mut self, frame: &[u8]) -> Range<usize> {
        let (name, data, data_at) = match self.format {
            Format::JsonLines if frame.trim_ascii().is_empty() => return NOTHING,
            Format::JsonLines => (&b""[..], frame.into(), 0),
            Format::EventStream => match sse::event(frame) {
                Some(event) => (event.name, event.data, event.data_at),
                None => {
                    self.begun |= frame.starts_with(b":");
                    if !self.begun && !sse::may_be_event(frame) {
                        self.garble();
                        return 0..frame.len();
                    }
                    return NOTHING;
                }
            },
        };
        let data_only = data.trim_ascii();
        if data_only.is_empty() {
            return NOTHING;
        }
        if data_only == DONE {
            return self.done(frame);
        }
        if !shape::is_object(data_only) {
            self.garble();
            return 0..frame.len();
        }
        // Data that is spread over lines is not where it is in the frame.
        let data_at = matches!(data, Cow::Borrowed(_)).then_some(data_at);
        self.read(frame, name, &data, data_at)
    }

    /// Reads what there is of a frame that is not kept to be read whole.
    fn part(&mut self, part: &[u8]) {
        if let (Format::EventStream, Some(event)) = (self.format, sse::event(part)) {
            self.read(part, event.name, &event.data, None);
        } else if self.format == Format::JsonLines {
            self.read(part, b"", part, None);
        }
    }

    fn read(
        &mut self,
        frame: &[u8],
        name: &[u8],
        data: &[u8],
        data_at: Option<usize>,
    ) -> Range<usize> {
        self.begun = true;
        let found = Found::new(self.operation, data);
        self.events = self.events.saturating_add(1);
        if found.text > 0 {
            self.text = self.text.saturating_add(found.text);
            self.content_events = self.content_events.saturating_add(1);
            if self.phase == Phase::Opening {
                self.phase = Phase::Content;
            }
        }
        match self.operation {
            Operation::Chat | Operation::Completion => match (self.openai(name, &found), data_at) {
                (Cut::Event, _) => 0..frame.len(),
                (Cut::Member(Range { start, end }), Some(at)) => {
                    start.saturating_add(at)..end.saturating_add(at)
                }
                (Cut::Nothing | Cut::Member(_), _) => NOTHING,
            },
            Operation::Responses | Operation::Messages => {
                self.typed(name, &found);
                NOTHING
            }
            Operation::GeminiStream => {
                self.gemini(&found);
                NOTHING
            }
            _ => {
                self.ollama(&found);
                NOTHING
            }
        }
    }

    /// A part of an event that is not kept to be understood. Nobody knows what of it the model said:
    /// after the first part all of it counts.
    fn excess(&mut self, part: &[u8], first: bool) {
        if first {
            self.part(part);
        } else {
            self.text = self.text.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
    }

    /// Whether a frame without end is an event all the same: its JSON has an end.
    fn is_whole(&self, held: &[u8]) -> bool {
        let data = match self.format {
            Format::JsonLines => held.into(),
            Format::EventStream => match sse::event(held) {
                Some(event) => event.data,
                None => return false,
            },
        };
        let data = data.trim_ascii();
        data == DONE
            || (data.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(data).is_ok())
    }

    fn done(&mut self, frame: &[u8]) -> Range<usize> {
        if !matches!(self.operation, Operation::Chat | Operation::Completion) {
            return NOTHING;
        }
        if self.events == 0 {
            self.garble();
            return 0..frame.len();
        }
        let again = self.phase == Phase::Finished;
        self.finish();
        if again { 0..frame.len() } else { NOTHING }
    }

    fn openai(&mut self, name: &[u8], found: &Found<'_>) -> Cut {
        if name == b"error" || found.is_error() {
            self.fail();
        }
        self.ended |= says_why(found.choices);
        let value = found.usage.value;
        if value == NULL && self.strip {
            return Cut::Member(found.usage_member());
        }
        self.reported(Report::read(value));
        let no_choice = found.choices.is_empty() || is_empty_array(found.choices);
        let only_usage = value.starts_with(b"{") && no_choice && !found.is_error();
        self.is_summed |= only_usage;
        if only_usage && self.strip { Cut::Event } else { Cut::Nothing }
    }

    /// The protocols whose events name their type, in the event's name and in its data.
    fn typed(&mut self, name: &[u8], found: &Found<'_>) {
        let kind = found.kind.strip_prefix(b"\"").and_then(|kind| kind.strip_suffix(b"\""));
        match kind.unwrap_or(name) {
            b"message_start" => {
                self.reported(found.nested_report().map(Report::without_output));
            }
            b"message_delta" => {
                let report = Report::read(found.usage.value);
                self.is_summed |= report.is_some();
                self.reported(report);
            }
            b"message_stop" => self.finish(),
            b"response.completed" | b"response.incomplete" => {
                self.reported(found.nested_report());
                self.finish();
            }
            b"response.failed" => {
                self.reported(found.nested_report());
                self.fail();
            }
            b"error" => self.fail(),
            _ => {}
        }
    }

    /// No event ends these streams but the one in which the model says why it ends.
    fn gemini(&mut self, found: &Found<'_>) {
        if found.is_error() {
            self.fail();
        }
        self.reported(Report::gemini(found.usage.value));
        let candidates = found.choices;
        let finishes = memmem::find(candidates, FINISH_REASON).is_some() && has_ended(candidates);
        if finishes || found.is_blocked() {
            self.finish();
        }
    }

    fn ollama(&mut self, found: &Found<'_>) {
        if found.is_error() {
            self.fail();
        }
        if found.done == b"true" {
            self.reported(Report::ollama(found.prompt_count, found.output_count));
            self.finish();
        }
    }

    fn reported(&mut self, report: Option<Report>) {
        if let Some(report) = report {
            self.report = std::mem::take(&mut self.report).merge(report);
        }
    }

    fn finish(&mut self) {
        if matches!(self.phase, Phase::Opening | Phase::Content) {
            self.phase = Phase::Finished;
        }
    }

    fn garble(&mut self) {
        self.garbled = true;
        self.fail();
    }

    fn fail(&mut self) {
        match self.phase {
            Phase::Opening => self.phase = Phase::Failed { after_content: false },
            Phase::Content => self.phase = Phase::Failed { after_content: true },
            Phase::Finished | Phase::Failed { .. } => {}
        }
    }
}

/// What the client is not to see of an event.
enum Cut {
    Nothing,
    /// These bytes of its data.
    Member(Range<usize>),
    Event,
}

/// What one pass over an event's data finds.
struct Found<'a> {
    operation: Operation,
    data: &'a [u8],
    text: u64,
    usage: Place<'a>,
    choices: &'a [u8],
    kind: &'a [u8],
    error: &'a [u8],
    done: &'a [u8],
    prompt_count: &'a [u8],
    output_count: &'a [u8],
    feedback: &'a [u8],
}

/// A member of the root object.
#[derive(Default)]
struct Place<'a> {
    /// Where its key begins, with the quote.
    key_at: usize,
    /// Where its value ends.
    end: usize,
    value: &'a [u8],
}

impl<'a> Found<'a> {
    fn new(operation: Operation, data: &'a [u8]) -> Self {
        let mut found = Self {
            operation,
            data,
            text: 0,
            usage: Place::default(),
            choices: b"",
            kind: b"",
            error: b"",
            done: b"",
            prompt_count: b"",
            output_count: b"",
            feedback: b"",
        };
        Skimmer::default().feed(data, &mut found);
        found
    }

    fn is_error(&self) -> bool {
        !self.error.is_empty() && self.error != NULL
    }

    /// Whether Gemini would not read the prompt.
    fn is_blocked(&self) -> bool {
        #[derive(Deserialize)]
        struct Feedback {
            #[serde(rename = "blockReason")]
            block_reason: Option<IgnoredAny>,
        }
        let feedback = Some(self.feedback).filter(|feedback| !feedback.is_empty());
        let feedback = feedback.and_then(|json| serde_json::from_slice::<Feedback>(json).ok());
        feedback.is_some_and(|feedback| feedback.block_reason.is_some())
    }

    /// The usage member with the comma that goes when it goes.
    fn usage_member(&self) -> Range<usize> {
        let Place { key_at, end, .. } = self.usage;
        let before = self.data.get(..key_at).unwrap_or_default().trim_ascii_end();
        if let Some(before) = before.strip_suffix(b",") {
            return before.len()..end;
        }
        let after = self.data.get(end..).unwrap_or_default().trim_ascii_start();
        let after = after.strip_prefix(b",").map_or(after, <[u8]>::trim_ascii_start);
        key_at..self.data.len().saturating_sub(after.len())
    }

    /// The usage within the `message` or `response` of an event.
    fn nested_report(&self) -> Option<Report> {
        let nested: Nested<'_> = serde_json::from_slice(self.data).ok()?;
        let body = nested.message.or(nested.response)?;
        Report::read(body.usage?.get().as_bytes())
    }
}

impl Sink for Found<'_> {
    fn interest(&self, depth: u32, key: &[u8]) -> Interest {
        match key {
            b"usage" => Interest::Value(Member::Usage),
            b"choices" => Interest::Value(Member::Choices),
            b"type" => Interest::Value(Member::Type),
            b"error" => Interest::Value(Member::Error),
            b"done" => Interest::Value(Member::Done),
            b"prompt_eval_count" => Interest::Value(Member::PromptCount),
            b"eval_count" => Interest::Value(Member::OutputCount),
            _ if self.operation == Operation::GeminiStream => usage::of_gemini(key),
            // Other events of this API repeat whole texts.
            _ if self.operation == Operation::Responses => {
                if depth == 1 && key == b"delta" {
                    Interest::Text
                } else {
                    Interest::None
                }
            }
            _ if usage::is_text(self.operation, key) => Interest::Text,
            _ => Interest::None,
        }
    }

    fn text(&mut self, bytes: usize) {
        self.text = self.text.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn value(&mut self, member: Member, key_at: usize, at: usize, piece: &[u8]) {
        let end = at.saturating_add(piece.len());
        let value = self.data.get(at..end).unwrap_or_default();
        match member {
            Member::Usage => self.usage = Place { key_at, end, value },
            Member::Choices => self.choices = value,
            Member::Type => self.kind = value,
            Member::Error => self.error = value,
            Member::Done => self.done = value,
            Member::PromptCount => self.prompt_count = value,
            Member::OutputCount => self.output_count = value,
            Member::Feedback => self.feedback = value,
        }
    }
}

#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow)]
    message: Option<Body<'a>>,
    #[serde(borrow)]
    response: Option<Body<'a>>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

fn is_empty_array(json: &[u8]) -> bool {
    let inner = json.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// Whether one of OpenAI's choices says why it ends.
fn says_why(choices: &[u8]) -> bool {
    memmem::find_iter(choices, b"\"finish_reason\"").any(|at| {
        let rest = choices.get(at.saturating_add(b"\"finish_reason\"".len())..);
        let value = rest.and_then(|rest| rest.trim_ascii_start().strip_prefix(b":"));
        value.is_some_and(|value| value.trim_ascii_start().starts_with(b"\""))
    })
}

/// Whether one of Gemini's candidates says why it ends.
fn has_ended(candidates: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Candidate {
        #[serde(rename = "finishReason")]
        finish_reason: Option<IgnoredAny>,
    }
    let candidates: Result<Vec<Candidate>, _> = serde_json::from_slice(candidates);
    candidates.is_ok_and(|all| all.iter().any(|candidate| candidate.finish_reason.is_some()))
}

const FINISH_REASON: &[u8] = b"\"finishReason\"";
const DONE: &[u8] = b"[DONE]";
const NULL: &[u8] = b"null";
const NOTHING: Range<usize> = 0..0;
const GARBLED: &str = "The provider's stream could not be understood.";
const CUT: &str = "The provider's stream ended before the answer was complete.";

#[cfg(test)]
mod tests;
