//! The items of a request's input.

use std::borrow::Cow;

use serde_json::Value;

use super::super::chat::{kind, text_arguments};
use super::super::fields::{Warnings, invalid, unsupported, unsupported_type};
use super::tools::{Tools, own_call, own_result};
use crate::error::Error;
use crate::protocol::openai::chat::{
    self, File, FilePart, FunctionToolCall, ImagePart, ImageUrl, Message, RefusalPart, TextPart,
    ToolCall,
};
use crate::protocol::openai::responses::{InputItem, InputMessage, Item, Part, Role};
use crate::protocol::wire::{Raw, TextOr};

pub(super) fn translate<'a>(
    instructions: Option<Cow<'a, str>>,
    input: Option<TextOr<'a, Vec<InputItem<'a>>>>,
    tools: &mut Tools<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<Message<'a>>, Error> {
    let mut messages: Vec<Message<'a>> =
        instructions.map(|text| message(chat::Role::System, text)).into_iter().collect();
    match input {
        None => {}
        Some(TextOr::Text(text)) => messages.push(message(chat::Role::User, text)),
        Some(TextOr::Other(items)) => {
            let mut conversation =
                Conversation { messages, shown: Vec::new(), tools, own: own_calls(&items) };
            for (index, item) in items.into_iter().enumerate() {
                conversation.add(item, &format!("input[{index}]"), warnings)?;
            }
            conversation.show();
            messages = conversation.messages;
        }
    }
    if messages.is_empty() {
        return Err(invalid("input", "it must not be empty"));
    }
    Ok(messages)
}

/// The messages, as far as the items have been read.
struct Conversation<'a, 't, 'n> {
    messages: Vec<Message<'a>>,
    /// What tools have shown beside text, for a tool's answer may only be text.
    shown: Vec<chat::Part<'a>>,
    tools: &'t mut Tools<'n>,
    /// The ids of calls of tools that only OpenAI's models know and that have an answer.
    own: Vec<String>,
}

impl<'a> Conversation<'a, '_, '_> {
    fn add(&mut self, item: InputItem<'a>, at: &str, warnings: &mut Warnings) -> Result<(), Error> {
        match item {
            InputItem::Message(said) | InputItem::Item(Item::Message(said)) => {
                self.show();
                self.messages.push(spoken(said, at)?);
            }
            InputItem::Item(Item::FunctionCall(call)) => {
                let name = self.tools.name(call.namespace.as_deref(), call.name, false);
                self.call(call.call_id, name, call.arguments);
            }
            InputItem::Item(Item::CustomToolCall(call)) => {
                let name = self.tools.name(call.namespace.as_deref(), call.name, true);
                self.call(call.call_id, name, text_arguments(&call.input));
            }
            InputItem::Item(
                Item::FunctionCallOutput(result) | Item::CustomToolCallOutput(result),
            ) => {
                let content = match result.output {
                    TextOr::Text(text) => TextOr::Text(text),
                    TextOr::Other(parts) => self.parts(parts, &format!("{at}.output"))?,
                };
                self.result(result.call_id, content);
            }
            InputItem::Item(Item::Reasoning(_)) => self.show(),
            InputItem::Item(Item::Other(item)) => self.other(&item, at, warnings)?,
        }
        Ok(())
    }

    /// Calls in a row, after an answer, are of one message.
    fn call(&mut self, id: Cow<'a, str>, name: Cow<'a, str>, arguments: Cow<'a, str>) {
        self.show();
        let call = tool_call(id, name, arguments);
        match self.messages.last_mut() {
            Some(last) if last.role == chat::Role::Assistant => {
                last.tool_calls.get_or_insert_default().push(call);
            }
            _ => self.messages.push(Message {
                role: chat::Role::Assistant,
                tool_calls: Some(vec![call]),
                ..Default::default()
            }),
        }
    }

    fn result(&mut self, id: Cow<'a, str>, content: TextOr<'a, Vec<chat::Part<'a>>>) {
        self.messages.push(Message {
            role: chat::Role::Tool,
            content: Some(content),
            tool_call_id: Some(id),
            ..Default::default()
        });
    }

    /// The texts of a result; the others are shown later.
    fn parts(
        &mut self,
        parts: Vec<Part<'a>>,
        at: &str,
    ) -> Result<TextOr<'a, Vec<chat::Part<'a>>>, Error> {
        let parts = self::parts(parts, at)?;
        let is_text = |part: &chat::Part<'_>| matches!(part, chat::Part::Text(_));
        let (texts, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_text);
        self.shown.extend(others);
        Ok(match texts.is_empty() {
            true => TextOr::Text("".into()),
            false => TextOr::Other(texts),
        })
    }

    /// What tools have shown, in a message behind their results.
    fn show(&mut self) {
        let parts = std::mem::take(&mut self.shown);
        if !parts.is_empty() {
            self.messages.push(Message {
                role: chat::Role::User,
                content: Some(TextOr::Other(parts)),
                ..Default::default()
            });
        }
    }

    /// Tools that only OpenAI's models know: what the caller carried out stays said, what ran there
    /// is left out.
    fn other(&mut self, item: &Raw<'a>, at: &str, warnings: &mut Warnings) -> Result<(), Error> {
        if is_reasoning_by_reference(item) {
            return Ok(());
        }
        let kind = kind(item);
        if kind == "item_reference" {
            let message = "Items cannot be looked up by id here, for nothing is stored: send the \
                           item itself. Clients do so by themselves when told `store: false`.";
            let error = unsupported_type(format!("{at}.type"), &kind);
            return Err(Error { message: format!("{} {message}", error.message).into(), ..error });
        }
        match (own_call(item), own_result(item)) {
            (Some((name, id, arguments)), _) if self.own.contains(&id) => {
                self.call(id.into(), name.into(), arguments.into_text());
            }
            (_, Some((id, output))) if self.own.contains(&id) => {
                self.result(id.into(), TextOr::Text(output.into()));
            }
            _ => warnings.add_kind(format!("{at}.type"), &kind),
        }
        Ok(())
    }
}

/// A provider wants a result for each call, and a call for each result.
fn own_calls(items: &[InputItem<'_>]) -> Vec<String> {
    let others = || {
        items.iter().filter_map(|item| match item {
            InputItem::Item(Item::Other(item)) => Some(item),
            _ => None,
        })
    };
    let called: Vec<_> = others().filter_map(|item| own_call(item).map(|(_, id, _)| id)).collect();
    let answered = others().filter_map(|item| own_result(item).map(|(id, _)| id));
    answered.filter(|id| called.contains(id)).collect()
}

/// Clients refer to what they take to be stored. Thinking is left out in any case.
fn is_reasoning_by_reference(item: &Raw<'_>) -> bool {
    let item = item.value().unwrap_or_default();
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    text("type") == "item_reference" && text("id").starts_with(REASONING_ID)
}

fn spoken<'a>(said: InputMessage<'a>, at: &str) -> Result<Message<'a>, Error> {
    let role = match said.role {
        // Not every server knows developers.
        Role::System | Role::Developer => chat::Role::System,
        Role::User => chat::Role::User,
        Role::Assistant => chat::Role::Assistant,
    };
    let content = match said.content {
        TextOr::Text(text) => TextOr::Text(text),
        TextOr::Other(parts) => {
            let mut parts = self::parts(parts, &format!("{at}.content"))?;
            match parts.as_mut_slice() {
                // Nor a list where a text will do.
                [chat::Part::Text(part)] => TextOr::Text(std::mem::take(&mut part.text)),
                _ => TextOr::Other(parts),
            }
        }
    };
    Ok(Message { role, content: Some(content), ..Default::default() })
}

fn parts<'a>(parts: Vec<Part<'a>>, at: &str) -> Result<Vec<chat::Part<'a>>, Error> {
    let translate = |(index, part)| part_of(part, || format!("{at}[{index}]"));
    parts.into_iter().enumerate().map(translate).collect()
}

fn part_of<'a>(part: Part<'a>, at: impl Fn() -> String) -> Result<chat::Part<'a>, Error> {
    Ok(match part {
        Part::InputText(part) => text_part(part.text),
        Part::OutputText(part) => text_part(part.text),
        Part::Refusal(part) => {
            let refusal = part.refusal;
            chat::Part::Refusal(RefusalPart { refusal, ..Default::default() })
        }
        Part::Image(part) => {
            let url = part.image_url.ok_or_else(|| unsupported(format!("{}.file_id", at())))?;
            let image_url = ImageUrl { url, detail: part.detail, ..Default::default() };
            chat::Part::Image(ImagePart { image_url, ..Default::default() })
        }
        Part::File(part) => {
            if part.file_url.is_some() {
                return Err(unsupported(format!("{}.file_url", at())));
            }
            let file = File {
                file_data: part.file_data,
                file_id: part.file_id,
                filename: part.filename,
                ..Default::default()
            };
            chat::Part::File(FilePart { file, ..Default::default() })
        }
        Part::Other(part) => {
            return Err(unsupported_type(format!("{}.type", at()), &kind(&part)));
        }
    })
}

fn tool_call<'a>(id: Cow<'a, str>, name: Cow<'a, str>, arguments: Cow<'a, str>) -> ToolCall<'a> {
    let function = chat::FunctionCall { name, arguments, ..Default::default() };
    ToolCall::Function(FunctionToolCall { id, function, ..Default::default() })
}

fn text_part(text: Cow<'_, str>) -> chat::Part<'_> {
    chat::Part::Text(TextPart { text, ..Default::default() })
}

fn message(role: chat::Role, text: Cow<'_, str>) -> Message<'_> {
    Message { role, content: Some(TextOr::Text(text)), ..Default::default() }
}

/// As OpenAI's API makes them, and the answers here.
const REASONING_ID: &str = "rs_";
