//! The stream. The API tells each thing twice, in pieces and whole, so what is said is kept, up to
//! [`MAX_KEPT`] bytes.

use std::borrow::Cow;

use super::super::chat::{Said, Sequence, chunk, text_input};
use super::super::{Asked, Context, failure};
use super::response::{
    Called, begun, id, message, reasoning, refusal_part, text_part, usage_of, whole,
};
use crate::error::Error;
use crate::protocol::openai::responses::{
    OutputItem, OutputPart, ReasoningItem, ReasoningPart, StreamEvent, TextPart,
};
use crate::protocol::sse;
use crate::protocol::usage::Usage;
use crate::protocol::wire::{self, Raw};

pub(in crate::translate) struct Stream {
    sequence: Sequence,
    writer: Writer,
    finish_reason: Option<String>,
    usage: Option<Usage>,
    done: bool,
}

/// Writes the events.
struct Writer {
    context: Context,
    asked: Asked,
    sequence: u64,
    /// Bytes that are kept.
    kept: usize,
    started: bool,
    items: Vec<OutputItem<'static>>,
    open: Option<Open>,
}

/// The item that is being written.
enum Open {
    Reasoning { text: String },
    Message { parts: Vec<OutputPart<'static>>, part: Part },
    Call { called: Called<'static>, arguments: String },
}

/// The part of a message that is being written.
struct Part {
    refusal: bool,
    text: String,
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            sequence: Sequence::default(),
            writer: Writer {
                context: context.clone(),
                asked: asked.clone(),
                sequence: 0,
                kept: 0,
                started: false,
                items: Vec::new(),
                open: None,
            },
            finish_reason: None,
            usage: None,
            done: false,
        }
    }

    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        // Most of it is kept as it came, and what has ended also as it is told at the end.
        let reason = self.finish_reason.as_ref().map_or(0, String::capacity);
        let written = self.writer.kept.saturating_mul(2).saturating_add(self.writer.asked.kept());
        self.sequence.kept().saturating_add(reason).saturating_add(written)
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
            self.usage = usage_of(usage);
        }
        for choice in chunk.choices.into_iter().flatten() {
            let Self { sequence, writer, .. } = self;
            writer.start(out);
            if let Some(delta) = choice.delta {
                let request_id = writer.context.request_id.clone();
                sequence.delta(delta, &request_id, &mut |said| writer.tell(said, out))?;
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

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.done = true;
        let Self { sequence, writer, .. } = self;
        writer.start(out);
        let request_id = writer.context.request_id.clone();
        sequence.finish(&request_id, &mut |said| writer.tell(said, out))?;
        writer.finish(self.finish_reason.as_deref(), self.usage, out);
        Ok(())
    }
}

impl Writer {
    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        for kind in ["response.created", "response.in_progress"] {
            let response = Some(begun(&self.context, &self.asked));
            put(&mut self.sequence, kind, StreamEvent { response, ..Default::default() }, out);
        }
    }

    fn tell(&mut self, said: Said<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match said {
            Said::Thought(text) => {
                self.keep(text.len())?;
                self.think(&text, out);
            }
            // What another API signs has no word here.
            Said::Signed(_) => {}
            Said::Text(text) => {
                self.keep_part(text.len(), false)?;
                self.say(&text, false, out);
            }
            Said::Refusal(text) => {
                self.keep_part(text.len(), true)?;
                self.say(&text, true, out);
            }
            Said::Call { id, name } => {
                self.keep(id.len().saturating_add(name.len()))?;
                self.call(id, name, out);
            }
            Said::Arguments(piece) => {
                self.keep(piece.len())?;
                self.arguments(piece, out);
            }
            Said::End => self.close(out),
        }
        Ok(())
    }

    fn keep(&mut self, more: usize) -> Result<(), Error> {
        self.kept = self.kept.saturating_add(more);
        if self.kept > MAX_KEPT || self.items.len() > MAX_ITEMS {
            return Err(failure::too_large());
        }
        Ok(())
    }

    fn keep_part(&mut self, more: usize, refusal: bool) -> Result<(), Error> {
        let turns = match &self.open {
            Some(Open::Message { part, .. }) => part.refusal != refusal,
            _ => false,
        };
        self.keep(more.saturating_add(if turns { PART } else { 0 }))
    }

    fn think(&mut self, piece: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Reasoning { .. })) {
            self.close(out);
            let item =
                OutputItem::Reasoning(ReasoningItem { id: Some(self.id()), ..Default::default() });
            self.begin(Open::Reasoning { text: String::new() }, item, out);
            let part = Some(summary_part(""));
            self.put(
                "response.reasoning_summary_part.added",
                StreamEvent { summary_index: Some(0), part, ..Default::default() },
                out,
            );
        }
        if let Some(Open::Reasoning { text }) = &mut self.open {
            text.push_str(piece);
        }
        self.put(
            "response.reasoning_summary_text.delta",
            StreamEvent { summary_index: Some(0), delta: Some(piece.into()), ..Default::default() },
            out,
        );
    }

    fn say(&mut self, piece: &str, refusal: bool, out: &mut Vec<u8>) {
        match &self.open {
            Some(Open::Message { part, .. }) if part.refusal == refusal => {}
            Some(Open::Message { .. }) => {
                self.close_part(out);
                self.begin_part(refusal, out);
            }
            _ => {
                self.close(out);
                let part = Part { refusal, text: String::new() };
                let open = Open::Message { parts: Vec::new(), part };
                let item =
                    message(id(&self.context, "msg", self.items.len()), IN_PROGRESS, Vec::new());
                self.begin(open, item, out);
                self.begin_part(refusal, out);
            }
        }
        let Some(Open::Message { parts, part }) = &mut self.open else { return };
        part.text.push_str(piece);
        let content_index = Some(index(parts.len()));
        let kind = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        self.put(
            kind,
            StreamEvent {
                content_index,
                delta: Some(piece.into()),
                logprobs: (!refusal).then(|| Raw::literal("[]")),
                ..Default::default()
            },
            out,
        );
    }

    fn call(&mut self, id: Cow<'_, str>, name: Cow<'_, str>, out: &mut Vec<u8>) {
        self.close(out);
        let (call_id, name) = (Cow::Owned(id.into_owned()), Cow::Owned(name.into_owned()));
        let called = Called::of(call_id, name, &self.asked.names);
        let item_id = self::id(&self.context, called.prefix(), self.items.len());
        let item = called.clone().item(item_id, "".into(), IN_PROGRESS);
        self.begin(Open::Call { called, arguments: String::new() }, item, out);
    }

    fn arguments(&mut self, piece: Cow<'_, str>, out: &mut Vec<u8>) {
        let Some(Open::Call { called, arguments }) = &mut self.open else { return };
        arguments.push_str(&piece);
        // A text within them is told when it is whole.
        if !called.custom {
            self.put(
                "response.function_call_arguments.delta",
                StreamEvent { delta: Some(piece), ..Default::default() },
                out,
            );
        }
    }

    fn begin(&mut self, open: Open, item: OutputItem<'static>, out: &mut Vec<u8>) {
        let event = StreamEvent {
            output_index: Some(index(self.items.len())),
            item: Some(item),
            ..Default::default()
        };
        put(&mut self.sequence, "response.output_item.added", event, out);
        self.open = Some(open);
    }

    fn begin_part(&mut self, refusal: bool, out: &mut Vec<u8>) {
        let Some(Open::Message { parts, part }) = &mut self.open else { return };
        *part = Part { refusal, text: String::new() };
        let content_index = Some(index(parts.len()));
        let part = Some(Raw::from_wire(&content_part(refusal, "".into())));
        self.put(
            "response.content_part.added",
            StreamEvent { content_index, part, ..Default::default() },
            out,
        );
    }

    fn close_part(&mut self, out: &mut Vec<u8>) {
        let Some(Open::Message { parts, part }) = &mut self.open else { return };
        let Part { refusal, text } =
            std::mem::replace(part, Part { refusal: false, text: String::new() });
        let content_index = Some(index(parts.len()));
        let whole = content_part(refusal, text.clone().into());
        let raw = Some(Raw::from_wire(&whole));
        parts.push(whole);
        let said = if refusal {
            StreamEvent { content_index, refusal: Some(text.into()), ..Default::default() }
        } else {
            let logprobs = Some(Raw::literal("[]"));
            StreamEvent { content_index, text: Some(text.into()), logprobs, ..Default::default() }
        };
        let kind = if refusal { "response.refusal.done" } else { "response.output_text.done" };
        self.put(kind, said, out);
        self.put(
            "response.content_part.done",
            StreamEvent { content_index, part: raw, ..Default::default() },
            out,
        );
    }

    /// Ends the item that is being written.
    fn close(&mut self, out: &mut Vec<u8>) {
        self.close_part(out);
        let item_id = self.id();
        let item = match self.open.take() {
            None => return,
            Some(Open::Reasoning { text }) => {
                let summary_index = Some(0);
                let event = StreamEvent {
                    summary_index,
                    text: Some(text.as_str().into()),
                    ..Default::default()
                };
                self.put_of("response.reasoning_summary_text.done", &item_id, event, out);
                let part = Some(summary_part(&text));
                let event = StreamEvent { summary_index, part, ..Default::default() };
                self.put_of("response.reasoning_summary_part.done", &item_id, event, out);
                reasoning(item_id, text.into())
            }
            Some(Open::Message { parts, .. }) => message(item_id, COMPLETED, parts),
            Some(Open::Call { called, arguments }) if called.custom => {
                let input = text_input(arguments.as_str().into()).into_owned();
                let delta = Some(input.as_str().into()).filter(|_| !input.is_empty());
                if delta.is_some() {
                    let event = StreamEvent { delta, ..Default::default() };
                    self.put_of("response.custom_tool_call_input.delta", &item_id, event, out);
                }
                let event =
                    StreamEvent { input: Some(input.as_str().into()), ..Default::default() };
                self.put_of("response.custom_tool_call_input.done", &item_id, event, out);
                called.item(item_id, arguments.into(), COMPLETED)
            }
            Some(Open::Call { called, arguments }) => {
                let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
                let event = StreamEvent {
                    name: Some(called.name.clone()),
                    arguments: Some(arguments.as_str().into()),
                    ..Default::default()
                };
                self.put_of("response.function_call_arguments.done", &item_id, event, out);
                called.item(item_id, arguments.into(), COMPLETED)
            }
        };
        let event = StreamEvent {
            output_index: Some(index(self.items.len())),
            item: Some(item.clone()),
            ..Default::default()
        };
        put(&mut self.sequence, "response.output_item.done", event, out);
        self.items.push(item);
    }

    fn finish(&mut self, reason: Option<&str>, usage: Option<Usage>, out: &mut Vec<u8>) {
        self.close(out);
        let items = std::mem::take(&mut self.items);
        let response = whole(&self.context, &self.asked, reason, items, usage);
        let complete = response.incomplete_details.0.is_none();
        let kind = if complete { "response.completed" } else { "response.incomplete" };
        let event = StreamEvent { response: Some(response), ..Default::default() };
        put(&mut self.sequence, kind, event, out);
    }

    /// Of the item that is being written.
    fn id(&self) -> Cow<'static, str> {
        let prefix = match &self.open {
            None | Some(Open::Reasoning { .. }) => "rs",
            Some(Open::Message { .. }) => "msg",
            Some(Open::Call { called, .. }) => called.prefix(),
        };
        id(&self.context, prefix, self.items.len())
    }

    /// An event about the item that is being written.
    fn put(&mut self, kind: &'static str, event: StreamEvent<'_>, out: &mut Vec<u8>) {
        let id = self.id();
        self.put_of(kind, &id, event, out);
    }

    fn put_of(&mut self, kind: &'static str, id: &str, event: StreamEvent<'_>, out: &mut Vec<u8>) {
        let output_index = Some(index(self.items.len()));
        let event = StreamEvent { item_id: Some(id.into()), output_index, ..event };
        put(&mut self.sequence, kind, event, out);
    }
}

fn put(sequence: &mut u64, kind: &'static str, event: StreamEvent<'_>, out: &mut Vec<u8>) {
    let event = StreamEvent { kind: kind.into(), sequence_number: *sequence, ..event };
    *sequence = sequence.saturating_add(1);
    sse::write(out, kind, &wire::write(&event));
}

fn content_part(refusal: bool, text: Cow<'_, str>) -> OutputPart<'_> {
    if refusal { refusal_part(text) } else { text_part(text) }
}

fn summary_part<'a>(text: &str) -> Raw<'a> {
    Raw::from_wire(&ReasoningPart::Summary(TextPart { text: text.into(), ..Default::default() }))
}

fn index(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What a model may say in one streamed answer, in bytes. Beyond it the stream fails.
const MAX_KEPT: usize = 4 << 20;
const MAX_ITEMS: usize = 256;

/// What a part of a message takes beside its text: a model that turns with every word makes many.
const PART: usize = 256;
const IN_PROGRESS: &str = "in_progress";
const COMPLETED: &str = "completed";
