//! The items of a request's input.

use std::borrow::Cow;

use serde_json::Value;

use super::super::fields::{invalid, unsupported};
use crate::error::Error;
use crate::protocol::openai::chat::{
    self, File, FilePart, FunctionToolCall, ImagePart, ImageUrl, Message, RefusalPart, TextPart,
    ToolCall,
};
use crate::protocol::openai::responses::{FunctionCall, InputItem, InputMessage, Item, Part, Role};
use crate::protocol::wire::{Raw, TextOr};

pub(super) fn translate<'a>(
    instructions: Option<Cow<'a, str>>,
    input: Option<TextOr<'a, Vec<InputItem<'a>>>>,
) -> Result<Vec<Message<'a>>, Error> {
    let mut messages: Vec<Message<'a>> =
        instructions.map(|text| message(chat::Role::System, text)).into_iter().collect();
    match input {
        None => {}
        Some(TextOr::Text(text)) => messages.push(message(chat::Role::User, text)),
        Some(TextOr::Other(items)) => {
            let mut shown = Vec::new();
            for (index, item) in items.into_iter().enumerate() {
                let result = matches!(item, InputItem::Item(Item::FunctionCallOutput(_)));
                if !result {
                    messages.extend(show(&mut shown));
                }
                add(item, &format!("input[{index}]"), &mut messages, &mut shown)?;
            }
            messages.extend(show(&mut shown));
        }
    }
    if messages.is_empty() {
        return Err(invalid("input", "it must not be empty"));
    }
    Ok(messages)
}

/// What tools have shown beside text, in a message behind their results: a tool's answer may only be
/// text.
fn show<'a>(shown: &mut Vec<chat::Part<'a>>) -> Option<Message<'a>> {
    let parts = std::mem::take(shown);
    (!parts.is_empty()).then(|| Message {
        role: chat::Role::User,
        content: Some(TextOr::Other(parts)),
        ..Default::default()
    })
}

fn add<'a>(
    item: InputItem<'a>,
    at: &str,
    messages: &mut Vec<Message<'a>>,
    shown: &mut Vec<chat::Part<'a>>,
) -> Result<(), Error> {
    match item {
        InputItem::Message(said) | InputItem::Item(Item::Message(said)) => {
            messages.push(spoken(said, at)?);
        }
        InputItem::Item(Item::FunctionCall(call)) => {
            let call = tool_call(call);
            match messages.last_mut() {
                Some(last) if last.role == chat::Role::Assistant => {
                    last.tool_calls.get_or_insert_default().push(call);
                }
                _ => messages.push(Message {
                    role: chat::Role::Assistant,
                    tool_calls: Some(vec![call]),
                    ..Default::default()
                }),
            }
        }
        InputItem::Item(Item::FunctionCallOutput(result)) => {
            let content = match result.output {
                TextOr::Text(text) => TextOr::Text(text),
                TextOr::Other(parts) => {
                    let parts = self::parts(parts, &format!("{at}.output"))?;
                    let is_text = |part: &chat::Part<'_>| matches!(part, chat::Part::Text(_));
                    let (texts, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_text);
                    shown.extend(others);
                    match texts.is_empty() {
                        true => TextOr::Text("".into()),
                        false => TextOr::Other(texts),
                    }
                }
            };
            messages.push(Message {
                role: chat::Role::Tool,
                content: Some(content),
                tool_call_id: Some(result.call_id),
                ..Default::default()
            });
        }
        InputItem::Item(Item::Reasoning(_)) => {}
        InputItem::Item(Item::Other(item)) if is_reasoning_by_reference(&item) => {}
        InputItem::Item(Item::Other(_)) => return Err(unsupported(format!("{at}.type"))),
    }
    Ok(())
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
        Part::Other(_) => return Err(unsupported(format!("{}.type", at()))),
    })
}

fn tool_call(call: FunctionCall<'_>) -> ToolCall<'_> {
    ToolCall::Function(FunctionToolCall {
        id: call.call_id,
        function: chat::FunctionCall {
            name: call.name,
            arguments: call.arguments,
            ..Default::default()
        },
        ..Default::default()
    })
}

fn text_part(text: Cow<'_, str>) -> chat::Part<'_> {
    chat::Part::Text(TextPart { text, ..Default::default() })
}

fn message(role: chat::Role, text: Cow<'_, str>) -> Message<'_> {
    Message { role, content: Some(TextOr::Text(text)), ..Default::default() }
}

/// As OpenAI's API makes them, and the answers here.
const REASONING_ID: &str = "rs_";
