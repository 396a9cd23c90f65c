//! The request.

use std::borrow::Cow;

use super::super::fields::{invalid, refuse};
use super::super::names::call_id;
use super::super::ollama::{self, Wishes};
use super::super::{Context, Translated};
use crate::error::Error;
use crate::protocol::ollama::{ChatRequest, Message, Tool, ToolCall};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{self, FunctionToolCall, Part, Role, TextPart};
use crate::protocol::wire::{Raw, TextOr};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = ChatRequest::from_json(body)?;
    refuse(request.logprobs == Some(true), "logprobs")?;
    if request.messages.is_empty() {
        return Err(invalid("messages", "it must not be empty: there is no model to be loaded"));
    }
    let mut conversation = Conversation::new(&context.request_id);
    for (index, message) in request.messages.into_iter().enumerate() {
        conversation.add(message, &format!("messages[{index}]"))?;
    }
    let tools: Vec<_> = request.tools.into_iter().flatten().map(tool).collect();
    let said = ChatCompletionRequest {
        messages: conversation.messages,
        tools: (!tools.is_empty()).then_some(tools),
        ..Default::default()
    };
    let wishes = Wishes {
        stream: request.stream,
        think: request.think,
        format: request.format,
        options: request.options,
        rest: request.rest,
    };
    wishes.translated(said, context)
}

fn tool(tool: Tool<'_>) -> chat::Tool<'_> {
    match tool {
        Tool::Function(tool) => chat::Tool::Function(tool),
        Tool::Other(tool) => chat::Tool::Other(tool),
    }
}

/// The messages, as far as they have been read.
struct Conversation<'a> {
    messages: Vec<chat::Message<'a>>,
    /// Id and name of the calls that have no answer yet, in their order.
    open: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    calls: u64,
    request_id: &'a str,
}

impl<'a> Conversation<'a> {
    fn new(request_id: &'a str) -> Self {
        Self { messages: Vec::new(), open: Vec::new(), calls: 0, request_id }
    }

    fn add(&mut self, message: Message<'a>, at: &str) -> Result<(), Error> {
        let role = match message.role.as_deref() {
            Some("system" | "developer") => Role::System,
            Some("user") | None => Role::User,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            Some(_) => {
                let rule = "it must be one of 'system', 'user', 'assistant', 'tool'";
                return Err(invalid(format!("{at}.role"), rule));
            }
        };
        let images = ollama::pictures(message.images, &format!("{at}.images"))?;
        let calls: Vec<_> =
            message.tool_calls.into_iter().flatten().map(|call| self.call(call)).collect();
        let text = message.content.unwrap_or_default();
        let mut translated = chat::Message { role, ..Default::default() };
        if role == Role::Tool {
            let id = self.answered(message.tool_call_id, message.tool_name, at)?;
            translated.tool_call_id = Some(id);
        }
        translated.content = match images.is_empty() {
            true if !calls.is_empty() && text.is_empty() => None,
            true => Some(TextOr::Text(text)),
            false => {
                let said =
                    (!text.is_empty()).then(|| Part::Text(TextPart { text, ..Default::default() }));
                Some(TextOr::Other(said.into_iter().chain(images).collect()))
            }
        };
        translated.tool_calls = (!calls.is_empty()).then_some(calls);
        self.messages.push(translated);
        Ok(())
    }

    fn call(&mut self, call: ToolCall<'a>) -> chat::ToolCall<'a> {
        let number = self.calls;
        self.calls = number.saturating_add(1);
        let id = call.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| call_id(self.request_id, number));
        self.open.push((id.clone(), call.function.name.clone()));
        let function = chat::FunctionCall {
            name: call.function.name,
            arguments: call.function.arguments.unwrap_or(Raw::EMPTY_OBJECT).into_text(),
            ..Default::default()
        };
        chat::ToolCall::Function(FunctionToolCall { id, function, ..Default::default() })
    }

    /// The id of the call that a result is of. Older clients say only the name, or nothing.
    fn answered(
        &mut self,
        id: Option<Cow<'a, str>>,
        name: Option<Cow<'a, str>>,
        at: &str,
    ) -> Result<Cow<'a, str>, Error> {
        let by_id = id.filter(|id| !id.is_empty());
        let name = name.filter(|name| !name.is_empty());
        let found = self.open.iter().position(|(id, called)| match (&by_id, &name) {
            (Some(given), _) => given == id,
            (None, Some(name)) => name == called,
            (None, None) => true,
        });
        match found {
            Some(found) => Ok(self.open.remove(found).0),
            None => {
                let field = if by_id.is_some() { "tool_call_id" } else { "tool_name" };
                let rule = "no message before it has such a call without an answer";
                Err(invalid(format!("{at}.{field}"), rule))
            }
        }
    }
}
