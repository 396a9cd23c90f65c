//! The messages of a request.

use std::borrow::Cow;

use serde_json::Value;

use super::super::chat::kind;
use super::super::fields::{Warnings, unsupported, unsupported_type};
use super::super::media;
use crate::error::Error;
use crate::protocol::anthropic::request::{Message, Role, SystemBlock};
use crate::protocol::anthropic::{Block, DataSource, DocumentBlock, Source, TextBlock, ToolResult};
use crate::protocol::openai::chat::{
    self, File, FilePart, FunctionCall, FunctionToolCall, ImagePart, ImageUrl, Part, TextPart,
    ToolCall,
};
use crate::protocol::wire::{Raw, TextOr};

pub(super) fn translate<'a>(
    system: Option<TextOr<'a, Vec<SystemBlock<'a>>>>,
    messages: Vec<Message<'a>>,
    between: bool,
) -> Result<Vec<chat::Message<'a>>, Error> {
    let mut all = Vec::new();
    match system {
        Some(TextOr::Other(blocks)) if between => {
            let parts = blocks.into_iter().enumerate().map(|(index, block)| match block {
                SystemBlock::Text(block) => Ok(text_part(block)),
                SystemBlock::Other(_) => Err(unsupported(format!("system[{index}].type"))),
            });
            let content = TextOr::Other(parts.collect::<Result<_, _>>()?);
            let role = chat::Role::System;
            all.push(chat::Message { role, content: Some(content), ..Default::default() });
        }
        Some(system) => {
            let text = instructions(system)?;
            all.extend((!text.is_empty()).then(|| message(chat::Role::System, text)));
        }
        None => {}
    }
    for (index, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        match message.role {
            Role::User => user(message.content, &at, between, &mut all)?,
            Role::Assistant => all.push(assistant(message.content, between)),
            Role::System => {
                let parts = parts(message.content, &at)?;
                // It may hold settings alone.
                if !parts.is_empty() {
                    all.push(of_parts(chat::Role::System, parts, between));
                }
            }
        }
    }
    Ok(all)
}

fn instructions<'a>(system: TextOr<'a, Vec<SystemBlock<'a>>>) -> Result<Cow<'a, str>, Error> {
    let blocks = match system {
        TextOr::Text(text) => return Ok(text),
        TextOr::Other(blocks) => blocks,
    };
    let mut texts = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        match block {
            SystemBlock::Text(block) => texts.push(block.text),
            SystemBlock::Other(_) => return Err(unsupported(format!("system[{index}].type"))),
        }
    }
    Ok(match texts.len() {
        1 => texts.remove(0),
        _ => texts.join("\n\n").into(),
    })
}

/// Results of tools come first, for OpenAI wants them right after the calls.
fn user<'a>(
    content: TextOr<'a, Vec<Block<'a>>>,
    at: &str,
    between: bool,
    all: &mut Vec<chat::Message<'a>>,
) -> Result<(), Error> {
    let blocks = match content {
        TextOr::Text(text) => {
            all.push(message(chat::Role::User, text));
            return Ok(());
        }
        TextOr::Other(blocks) => blocks,
    };
    let mut said = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        let at = format!("{at}.content[{index}]");
        match block {
            Block::ToolResult(result) => {
                let (mut answer, media) = tool_result(result, &at)?;
                answer.cache_control = answer.cache_control.filter(|_| between);
                all.push(answer);
                said.extend(media);
            }
            block => said.push(part(block, &at)?),
        }
    }
    if !said.is_empty() {
        all.push(of_parts(chat::Role::User, said, between));
    }
    Ok(())
}

/// A tool's answer may only be text to OpenAI; the other parts are returned.
fn tool_result<'a>(
    result: ToolResult<'a>,
    at: &str,
) -> Result<(chat::Message<'a>, Vec<Part<'a>>), Error> {
    let (texts, media): (Vec<_>, Vec<_>) = match result.content {
        None => (Vec::new(), Vec::new()),
        Some(content) => {
            parts(content, at)?.into_iter().partition(|part| matches!(part, Part::Text(_)))
        }
    };
    let texts: Vec<_> = texts
        .into_iter()
        .filter_map(|part| if let Part::Text(part) = part { Some(part.text) } else { None })
        .collect();
    let text = match <[Cow<'_, str>; 1]>::try_from(texts) {
        Ok([text]) => text,
        Err(texts) => texts.join("\n").into(),
    };
    let mut answer = message(chat::Role::Tool, text);
    answer.tool_call_id = Some(result.tool_use_id);
    answer.cache_control = result.cache_control;
    Ok((answer, media))
}

fn assistant<'a>(content: TextOr<'a, Vec<Block<'a>>>, between: bool) -> chat::Message<'a> {
    let blocks = match content {
        TextOr::Text(text) => return message(chat::Role::Assistant, text),
        TextOr::Other(blocks) => blocks,
    };
    let mut said: Option<Cow<'a, str>> = None;
    let mut calls = Vec::new();
    let mut thoughts = Vec::new();
    // All of it is one message, so the last mark stands for the others.
    let mut cache = None;
    for block in blocks {
        match block {
            Block::Thinking(_) | Block::RedactedThinking(_) if between => {
                thoughts.push(Raw::from_wire(&block));
            }
            Block::Text(block) => {
                cache = block.cache_control.filter(|_| between).or(cache);
                match &mut said {
                    Some(said) => said.to_mut().push_str(&block.text),
                    None => said = Some(block.text),
                }
            }
            Block::ToolUse(call) => {
                cache = call.cache_control.filter(|_| between).or(cache);
                calls.push(ToolCall::Function(FunctionToolCall {
                    id: call.id,
                    function: FunctionCall {
                        name: call.name,
                        arguments: call.input.into_text(),
                        ..Default::default()
                    },
                    ..Default::default()
                }));
            }
            // What the provider thought or looked up by itself.
            _ => {}
        }
    }
    let said = said.or_else(|| calls.is_empty().then_some("".into()));
    chat::Message {
        role: chat::Role::Assistant,
        content: said.map(TextOr::Text),
        tool_calls: (!calls.is_empty()).then_some(calls),
        thinking_blocks: (!thoughts.is_empty()).then_some(thoughts),
        cache_control: cache,
        ..Default::default()
    }
}

fn parts<'a>(content: TextOr<'a, Vec<Block<'a>>>, at: &str) -> Result<Vec<Part<'a>>, Error> {
    match content {
        TextOr::Text(text) => Ok(vec![text_part(TextBlock { text, ..Default::default() })]),
        TextOr::Other(blocks) => blocks
            .into_iter()
            .enumerate()
            .map(|(index, block)| part(block, &format!("{at}.content[{index}]")))
            .collect(),
    }
}

fn part<'a>(block: Block<'a>, at: &str) -> Result<Part<'a>, Error> {
    match block {
        Block::Text(block) => Ok(text_part(block)),
        Block::Image(block) => {
            let url = match block.source {
                Source::Url(source) => source.url,
                Source::Base64(source) => data_url(&source),
                Source::Text(_) | Source::Other(_) => {
                    return Err(unsupported(format!("{at}.source.type")));
                }
            };
            let image_url = ImageUrl { url, ..Default::default() };
            let cache_control = block.cache_control;
            Ok(Part::Image(ImagePart { image_url, cache_control, ..Default::default() }))
        }
        Block::Document(block) => document(block, at),
        Block::Other(block) => {
            let kind = kind(&block);
            match found(&kind, &block) {
                Some(text) => Ok(text_part(TextBlock { text: text.into(), ..Default::default() })),
                None => Err(unsupported_type(format!("{at}.type"), &kind)),
            }
        }
        _ => Err(unsupported(format!("{at}.type"))),
    }
}

/// What a search of the caller's has found, as text.
fn found(kind: &str, block: &Raw<'_>) -> Option<String> {
    let block = block.value()?;
    let text = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
    match kind {
        "tool_reference" => text(&block, "tool_name"),
        "search_result" => {
            let said = block.get("content").and_then(Value::as_array).into_iter().flatten();
            let said = said.filter_map(|part| text(part, "text"));
            let head = [text(&block, "title"), text(&block, "source")].into_iter().flatten();
            Some(head.chain(said).collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

fn document<'a>(block: DocumentBlock<'a>, at: &str) -> Result<Part<'a>, Error> {
    match block.source {
        Source::Text(source) => {
            let cache_control = block.cache_control;
            Ok(text_part(TextBlock { text: source.data, cache_control, ..Default::default() }))
        }
        Source::Base64(source) => {
            let file = File {
                file_data: Some(data_url(&source)),
                filename: Some(block.title.unwrap_or("document.pdf".into())),
                ..Default::default()
            };
            let cache_control = block.cache_control;
            Ok(Part::File(FilePart { file, cache_control, ..Default::default() }))
        }
        Source::Url(_) | Source::Other(_) => Err(unsupported(format!("{at}.source.type"))),
    }
}

/// How much to think from some message on. What else such a message sets is left out.
pub(super) fn effort<'a>(
    messages: &mut [Message<'a>],
    warnings: &mut Warnings,
) -> Option<Cow<'a, str>> {
    let mut effort = None;
    for message in messages.iter_mut().filter(|message| message.role == Role::System) {
        let config = message.rest.remove("output_config").and_then(|config| config.value());
        let said = config.and_then(|it| it.get("effort")?.as_str().map(str::to_owned));
        effort = said.map(Cow::Owned).or(effort);
        warnings.rest_of("messages", &message.rest);
    }
    effort
}

/// A file has no word for what a document is about, nor has a text for its title.
pub(super) fn contexts(messages: &[Message<'_>], warnings: &mut Warnings) {
    let blocks = messages.iter().filter_map(|message| match &message.content {
        TextOr::Other(blocks) => Some(blocks),
        TextOr::Text(_) => None,
    });
    let within = blocks.flatten().flat_map(|block| match block {
        Block::ToolResult(ToolResult { content: Some(TextOr::Other(blocks)), .. }) => &**blocks,
        block => std::slice::from_ref(block),
    });
    for block in within {
        if let Block::Document(document) = block {
            let text = matches!(document.source, Source::Text(_));
            warnings.add_if(document.context.is_some(), "messages.content.context");
            warnings.add_if(document.title.is_some() && text, "messages.content.title");
        }
    }
}

fn data_url<'a>(source: &DataSource<'_>) -> Cow<'a, str> {
    format!("data:{};base64,{}", media::lower(&source.media_type), source.data).into()
}

fn text_part(block: TextBlock<'_>) -> Part<'_> {
    let TextBlock { text, cache_control, .. } = block;
    Part::Text(TextPart { text, cache_control, ..Default::default() })
}

/// One text is written as such: not every server takes a list. Only another pair reads where a
/// cache is to end.
fn of_parts<'a>(role: chat::Role, mut parts: Vec<Part<'a>>, between: bool) -> chat::Message<'a> {
    if !between {
        parts.iter_mut().for_each(forget_cache);
    }
    match parts.as_mut_slice() {
        [Part::Text(part)] if part.cache_control.is_none() => {
            message(role, std::mem::take(&mut part.text))
        }
        _ => chat::Message { role, content: Some(TextOr::Other(parts)), ..Default::default() },
    }
}

fn forget_cache(part: &mut Part<'_>) {
    match part {
        Part::Text(part) => part.cache_control = None,
        Part::Image(part) => part.cache_control = None,
        Part::File(part) => part.cache_control = None,
        _ => {}
    }
}

fn message(role: chat::Role, text: Cow<'_, str>) -> chat::Message<'_> {
    chat::Message { role, content: Some(TextOr::Text(text)), ..Default::default() }
}
