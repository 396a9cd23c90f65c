//! The stream. The API tells each thing twice, in pieces and whole, so what is said is kept, up to
//! [`MAX_KEPT`] bytes.

use std::borrow::Cow;

use super::super::chat::chunk;
use super::super::{Asked, Context, failure};
use super::response::{
    begun, function_call, id, message, reasoning, refusal_part, text_part, usage_of, whole,
};
use crate::error::Error;
use crate::protocol::openai::chat::{Delta, ToolCallDelta};
use crate::protocol::openai::responses::{
    OutputItem, OutputPart, ReasoningItem, ReasoningPart, StreamEvent, TextPart,
};
use crate::protocol::sse;
use crate::protocol::usage::Usage;
use crate::protocol::wire::{self, Raw};

pub(in crate::translate) struct Stream {
    context: Context,
    asked: Asked,
    sequence: u64,
    /// Bytes that are kept.
    kept: usize,
    started: bool,
    items: Vec<OutputItem<'static>>,
    open: Option<Open>,
    /// The numbers of the calls that have begun.
    calls: Vec<u64>,
    finish_reason: Option<String>,
    usage: Option<Usage>,
    done: bool,
}

/// The item that is being written.
enum Open {
    Reasoning { text: String },
    Message { parts: Vec<OutputPart<'static>>, part: Part },
    Call { number: u64, call_id: String, name: String, arguments: String },
}

/// The part of a message that is being written.
struct Part {
    refusal: bool,
    text: String,
}

impl Stream {
    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            context: context.clone(),
            asked: asked.clone(),
            sequence: 0,
            kept: 0,
            started: false,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            finish_reason: None,
            usage: None,
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
        self.usage = chunk.usage.as_ref().and_then(usage_of).or(self.usage);
        for choice in chunk.choices.into_iter().flatten() {
            self.start(out);
            if let Some(delta) = choice.delta {
                self.delta(delta, out)?;
            }
            if let Some(reason) = choice.finish_reason.0 {
                self.finish_reason = Some(reason.into_owned());
            }
        }
        Ok(())
    }

    /// Servers that do not say `[DONE]` have said why they finished.
    pub(in crate::translate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.done && self.finish_reason.is_some() {
            self.finish(out);
        }
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        for kind in ["response.created", "response.in_progress"] {
            let response = Some(begun(&self.context, &self.asked));
            put(&mut self.sequence, kind, StreamEvent { response, ..Default::default() }, out);
        }
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(text) =
            delta.reasoning_content.or(delta.reasoning).filter(|text| !text.is_empty())
        {
            self.keep(text.len())?;
            self.think(&text, out);
        }
        for (text, refusal) in [(delta.content, false), (delta.refusal, true)] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.keep(text.len())?;
                self.say(&text, refusal, out);
            }
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, out)?;
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

    fn call(&mut self, call: ToolCallDelta<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let function = call.function.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        self.keep(arguments.len().saturating_add(name.len()))?;
        let current = match &self.open {
            Some(Open::Call { number, .. }) => Some(*number),
            _ => None,
        };
        // Some servers number no calls, and send each whole.
        let number = call.index.or(current.filter(|_| call.id.is_none()));
        let number = number.unwrap_or(index(self.items.len()));
        if current != Some(number) {
            if self.calls.contains(&number) {
                // It has been told whole already.
                return Err(failure::garbled());
            }
            self.calls.push(number);
            self.close(out);
            let item_id = id(&self.context, "fc", self.items.len());
            let call_id =
                call.id.filter(|text| !text.is_empty()).unwrap_or(item_id.clone()).into_owned();
            let item = function_call(
                item_id,
                call_id.clone().into(),
                name.to_string().into(),
                "".into(),
                IN_PROGRESS,
            );
            let (name, arguments) = (name.into_owned(), String::new());
            self.begin(Open::Call { number, call_id, name, arguments }, item, out);
        }
        if let Some(Open::Call { arguments: all, .. }) = &mut self.open {
            all.push_str(&arguments);
        }
        if !arguments.is_empty() {
            self.put(
                "response.function_call_arguments.delta",
                StreamEvent { delta: Some(arguments), ..Default::default() },
                out,
            );
        }
        Ok(())
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
            Some(Open::Call { call_id, name, arguments, .. }) => {
                let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
                let event = StreamEvent {
                    name: Some(name.as_str().into()),
                    arguments: Some(arguments.as_str().into()),
                    ..Default::default()
                };
                self.put_of("response.function_call_arguments.done", &item_id, event, out);
                function_call(item_id, call_id.into(), name.into(), arguments.into(), COMPLETED)
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

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        self.done = true;
        let items = std::mem::take(&mut self.items);
        let reason = self.finish_reason.as_deref();
        let response = whole(&self.context, &self.asked, reason, items, self.usage);
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
            Some(Open::Call { .. }) => "fc",
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
const IN_PROGRESS: &str = "in_progress";
const COMPLETED: &str = "completed";
