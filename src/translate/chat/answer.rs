//! Answers in OpenAI's shape: whole, and as the events of a stream.

use std::borrow::Cow;

use super::closing::Closing;
use super::settle::text_input;
use crate::protocol::openai::chat::{
    Answer, ChatCompletionChunk, ChatCompletionResponse, Choice, ChunkChoice, CompletionUsage,
    CustomCall, CustomDelta, CustomToolCall, Delta, FunctionCall, FunctionDelta, FunctionToolCall,
    ToolCall, ToolCallDelta,
};
use crate::protocol::sse;
use crate::protocol::usage::Usage;
use crate::protocol::wire::{self, Nullable, Raw, TextOr};
use crate::translate::names::Names;
use crate::translate::{Asked, Context};

/// One choice of a whole answer.
#[derive(Debug, Default)]
pub(in crate::translate) struct Reply<'a> {
    pub(in crate::translate) text: Option<Cow<'a, str>>,
    pub(in crate::translate) refusal: Option<Cow<'a, str>>,
    pub(in crate::translate) reasoning: Option<Cow<'a, str>>,
    pub(in crate::translate) thinking_blocks: Vec<Raw<'a>>,
    pub(in crate::translate) tool_calls: Vec<ToolCall<'a>>,
    pub(in crate::translate) finish_reason: &'static str,
}

impl<'a> Reply<'a> {
    pub(in crate::translate) fn add_text(&mut self, text: Cow<'a, str>) {
        append(&mut self.text, text);
    }

    pub(in crate::translate) fn add_reasoning(&mut self, text: Cow<'a, str>) {
        append(&mut self.reasoning, text);
    }

    pub(in crate::translate) fn add_call(&mut self, call: FunctionToolCall<'a>) {
        self.tool_calls.push(ToolCall::Function(call));
    }

    /// The whole answer.
    pub(in crate::translate) fn write(
        replies: Vec<Self>,
        id: Option<Cow<'_, str>>,
        usage: Option<Usage>,
        context: &Context,
        asked: &Asked,
    ) -> Vec<u8> {
        let choices =
            replies.into_iter().zip(0..).map(|(reply, index)| reply.choice(index, &asked.names));
        let id = id.unwrap_or_else(|| format!("chatcmpl-{}", context.request_id).into());
        let answer = ChatCompletionResponse {
            id: Some(id),
            object: Some("chat.completion".into()),
            created: Some(context.created),
            model: Some(context.model.as_str().into()),
            choices: choices.collect(),
            usage: usage.map(|usage| Raw::from_wire(&CompletionUsage::from(usage))),
            ..Default::default()
        };
        answer.to_json()
    }

    fn choice(mut self, index: u64, names: &Names) -> Choice<'a> {
        self.tool_calls.iter_mut().for_each(|call| restore(call, names));
        // Beside calls OpenAI says null, not nothing.
        let says = |text: &Cow<'_, str>| !text.is_empty() || self.tool_calls.is_empty();
        let message = Answer {
            role: Some("assistant".into()),
            content: Nullable(self.text.filter(says).map(TextOr::Text)),
            refusal: Nullable(self.refusal),
            reasoning_content: self.reasoning,
            thinking_blocks: not_empty(self.thinking_blocks),
            tool_calls: not_empty(self.tool_calls),
            ..Default::default()
        };
        Choice {
            index: Some(index),
            message,
            finish_reason: Some(self.finish_reason.into()),
            ..Default::default()
        }
    }
}

/// Writes the events of a stream. The first says who speaks.
#[derive(Debug)]
pub(in crate::translate) struct Chunks {
    id: Cow<'static, str>,
    created: u64,
    model: String,
    usage: bool,
    started: bool,
    names: Names,
    /// The call of a tool that takes a text, which can be told when it is whole.
    custom: Option<Custom>,
}

#[derive(Debug)]
struct Custom {
    index: u64,
    number: u64,
    id: String,
    name: String,
    arguments: String,
    closing: Closing,
}

impl Chunks {
    /// How many bytes are kept.
    pub(in crate::translate) fn kept(&self) -> usize {
        self.custom.as_ref().map_or(0, |custom| custom.arguments.capacity())
    }

    pub(in crate::translate) fn new(context: &Context, asked: &Asked) -> Self {
        Self {
            id: format!("chatcmpl-{}", context.request_id).into(),
            created: context.created,
            model: context.model.clone(),
            usage: asked.usage,
            started: false,
            names: asked.names.clone(),
            custom: None,
        }
    }

    /// The answer begins. Once is enough, and not at all is no mistake.
    pub(in crate::translate) fn start(&mut self, id: Option<&str>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            if let Some(id) = id {
                self.id = id.to_owned().into();
            }
            let delta = Delta {
                role: Some("assistant".into()),
                content: Some(TextOr::Text("".into())),
                ..Default::default()
            };
            self.put(0, delta, out);
        }
    }

    pub(in crate::translate) fn text(&mut self, index: u64, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            let content = Some(TextOr::Text(text.into()));
            self.delta(index, Delta { content, ..Default::default() }, out);
        }
    }

    pub(in crate::translate) fn refusal(&mut self, text: &str, out: &mut Vec<u8>) {
        self.delta(0, Delta { refusal: Some(text.into()), ..Default::default() }, out);
    }

    pub(in crate::translate) fn reasoning(&mut self, index: u64, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            let delta = Delta { reasoning_content: Some(text.into()), ..Default::default() };
            self.delta(index, delta, out);
        }
    }

    pub(in crate::translate) fn thinking_block(&mut self, block: Raw<'_>, out: &mut Vec<u8>) {
        self.delta(0, Delta { thinking_blocks: Some(vec![block]), ..Default::default() }, out);
    }

    /// A call begins, the `number`th of the answer.
    pub(in crate::translate) fn call(
        &mut self,
        index: u64,
        number: u64,
        mut call: FunctionToolCall<'_>,
        out: &mut Vec<u8>,
    ) {
        self.close(out);
        match self.names.find(&call.function.name) {
            Some(known) if known.custom => {
                let name = known.name.clone();
                let (id, arguments) = (call.id.into_owned(), String::new());
                let closing = Closing::default();
                self.custom = Some(Custom { index, number, id, name, arguments, closing });
                self.custom_piece(&call.function.arguments, out);
                return;
            }
            Some(known) => call.function.name = known.name.clone().into(),
            None => {}
        }
        let call = ToolCallDelta {
            index: Some(number),
            id: Some(call.id),
            kind: Some("function".into()),
            function: Some(FunctionDelta {
                name: Some(call.function.name),
                arguments: Some(call.function.arguments),
                ..Default::default()
            }),
            custom: None,
            rest: call.rest,
        };
        self.delta(index, Delta { tool_calls: Some(vec![call]), ..Default::default() }, out);
    }

    /// More of a call's arguments.
    pub(in crate::translate) fn arguments(&mut self, call: u64, piece: &str, out: &mut Vec<u8>) {
        if self.custom.as_ref().is_some_and(|custom| custom.number == call) {
            self.custom_piece(piece, out);
            return;
        }
        let function = FunctionDelta { arguments: Some(piece.into()), ..Default::default() };
        let call =
            ToolCallDelta { index: Some(call), function: Some(function), ..Default::default() };
        self.delta(0, Delta { tool_calls: Some(vec![call]), ..Default::default() }, out);
    }

    fn custom_piece(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Some(custom) = &mut self.custom else { return };
        if custom.arguments.len().saturating_add(piece.len()) <= MAX_INPUT {
            custom.arguments.push_str(piece);
        }
        custom.closing.read(piece);
        if custom.closing.is_closed() {
            self.close(out);
        }
    }

    /// Tells the call of a tool that takes a text.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(Custom { index, number, id, name, arguments, .. }) = self.custom.take() else {
            return;
        };
        let input = Some(text_input(arguments.into()));
        let call = ToolCallDelta {
            index: Some(number),
            id: Some(id.into()),
            kind: Some("custom".into()),
            custom: Some(CustomDelta { name: Some(name.into()), input, ..Default::default() }),
            ..Default::default()
        };
        self.delta(index, Delta { tool_calls: Some(vec![call]), ..Default::default() }, out);
    }

    pub(in crate::translate) fn finish(&mut self, index: u64, reason: &str, out: &mut Vec<u8>) {
        self.close(out);
        self.start(None, out);
        let choice = ChunkChoice {
            index: Some(index),
            delta: Some(Delta::default()),
            finish_reason: Nullable(Some(reason.into())),
            ..Default::default()
        };
        self.write(Some(choice), None, out);
    }

    /// The usage, if it was asked for, and the terminal event.
    pub(in crate::translate) fn end(&mut self, usage: Option<Usage>, out: &mut Vec<u8>) {
        if let (true, Some(usage)) = (self.usage, usage) {
            self.write(None, Some(usage), out);
        }
        sse::write(out, "", b"[DONE]");
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.start(None, out);
        self.put(index, delta, out);
    }

    fn put(&self, index: u64, delta: Delta<'_>, out: &mut Vec<u8>) {
        let choice = ChunkChoice { index: Some(index), delta: Some(delta), ..Default::default() };
        self.write(Some(choice), None, out);
    }

    fn write(&self, choice: Option<ChunkChoice<'_>>, usage: Option<Usage>, out: &mut Vec<u8>) {
        let chunk = ChatCompletionChunk {
            id: Some(Cow::Borrowed(&self.id)),
            object: Some("chat.completion.chunk".into()),
            created: Some(self.created),
            model: Some(self.model.as_str().into()),
            choices: Some(choice.into_iter().collect()),
            usage: usage.map(|usage| Raw::from_wire(&CompletionUsage::from(usage))),
            ..Default::default()
        };
        sse::write(out, "", &wire::write(&chunk));
    }
}

/// A call of a function.
pub(in crate::translate) fn function_call<'a>(
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
) -> FunctionToolCall<'a> {
    let function = FunctionCall { name, arguments, ..Default::default() };
    FunctionToolCall { id, function, ..Default::default() }
}

/// Puts back what the caller calls the tool.
fn restore(call: &mut ToolCall<'_>, names: &Names) {
    let ToolCall::Function(function) = call else { return };
    let Some(known) = names.find(&function.function.name) else { return };
    if known.custom {
        let input = text_input(std::mem::take(&mut function.function.arguments));
        let custom = CustomCall { name: known.name.clone().into(), input, ..Default::default() };
        let id = std::mem::take(&mut function.id);
        *call = ToolCall::Custom(CustomToolCall { id, custom, ..Default::default() });
    } else {
        function.function.name = known.name.clone().into();
    }
}

fn append<'a>(to: &mut Option<Cow<'a, str>>, text: Cow<'a, str>) {
    match to {
        Some(to) => to.to_mut().push_str(&text),
        None => *to = Some(text),
    }
}

fn not_empty<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

/// What a model may write for a tool that takes a text, in bytes.
const MAX_INPUT: usize = 4 << 20;
