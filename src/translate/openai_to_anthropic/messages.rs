//! The messages of a request.

use std::borrow::Cow;

use super::super::chat::settled;
use super::super::fields::{invalid, missing, unsupported};
use super::super::media::{self, Media};
use crate::error::Error;
use crate::protocol::anthropic::request::{Message, Role, SystemBlock};
use crate::protocol::anthropic::{
    Block, DataSource, DocumentBlock, ImageBlock, Source, TextBlock, ToolResult, ToolUse, UrlSource,
};
use crate::protocol::openai::chat::{Message as ChatMessage, Part, Role as ChatRole, ToolCall};
use crate::protocol::wire::{self, Raw, TextOr};

/// The messages, as far as they have been read.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<TextBlock<'a>>,
    messages: Vec<Message<'a>>,
    /// The last call under the older name, which has no id of its own.
    function_call: Option<usize>,
}

impl<'a> Conversation<'a> {
    pub(super) fn add(&mut self, message: ChatMessage<'a>, index: usize) -> Result<(), Error> {
        let at = format!("messages[{index}]");
        let cache = message.cache_control.clone();
        let (role, mut blocks) = match message.role {
            ChatRole::System | ChatRole::Developer => {
                let mut texts = texts(message.content, &at)?;
                if let (Some(cache), Some(last)) = (cache, texts.last_mut()) {
                    last.cache_control = Some(cache);
                }
                self.system.extend(texts);
                return Ok(());
            }
            ChatRole::User => (Role::User, blocks(message.content, &at)?),
            ChatRole::Assistant => {
                if message.function_call.is_some() {
                    self.function_call = Some(index);
                }
                (Role::Assistant, assistant(message, index, &at)?)
            }
            ChatRole::Tool => {
                let id = message.tool_call_id;
                let id = id.ok_or_else(|| missing(format!("{at}.tool_call_id")))?;
                (Role::User, vec![result(tool_id(id), message.content, &at)?])
            }
            ChatRole::Function => {
                let call = self.function_call.ok_or_else(|| {
                    invalid(format!("{at}.role"), "no message before it has a function_call")
                })?;
                (Role::User, vec![result(function_id(call), message.content, &at)?])
            }
        };
        if let (Some(cache), Some(last)) = (cache, blocks.last_mut()) {
            mark(last, cache);
        }
        match self.messages.last_mut() {
            _ if blocks.is_empty() => {}
            Some(Message { role: last, content: TextOr::Other(content), .. }) if *last == role => {
                content.extend(blocks);
            }
            _ => self.messages.push(Message {
                role,
                content: TextOr::Other(blocks),
                ..Default::default()
            }),
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> (Option<TextOr<'a, Vec<SystemBlock<'a>>>>, Vec<Message<'a>>) {
        let first = self.messages.first().map(|message| message.role);
        if first != Some(Role::User) {
            // Anthropic wants the user to begin.
            let said = if first.is_none() { std::mem::take(&mut self.system) } else { Vec::new() };
            let mut blocks: Vec<_> = said.into_iter().map(Block::Text).collect();
            if blocks.is_empty() {
                blocks.extend(text(".".into()));
            }
            let content = TextOr::Other(blocks);
            self.messages.insert(0, Message { role: Role::User, content, ..Default::default() });
        }
        if let Some(Message { role: Role::Assistant, content: TextOr::Other(blocks), .. }) =
            self.messages.last_mut()
            && let Some(Block::Text(last)) = blocks.last_mut()
        {
            // Nor an answer to go on with that ends with white space.
            last.text = last.text.trim_end().to_owned().into();
        }
        let system: Vec<_> = self.system.into_iter().map(SystemBlock::Text).collect();
        ((!system.is_empty()).then_some(TextOr::Other(system)), self.messages)
    }

    /// A turn with calls came without the thinking that led to them: a model that thinks by budget
    /// does not take it.
    pub(super) fn calls_without_thinking(&self) -> bool {
        let last = self.messages.iter().rfind(|message| message.role == Role::Assistant);
        let Some(Message { content: TextOr::Other(blocks), .. }) = last else { return false };
        let thinks = |block: &Block<'_>| {
            matches!(block, Block::Thinking(_) | Block::RedactedThinking(_) | Block::Other(_))
        };
        blocks.iter().any(|block| matches!(block, Block::ToolUse(_)))
            && !blocks.first().is_some_and(thinks)
    }
}

fn assistant<'a>(
    message: ChatMessage<'a>,
    index: usize,
    at: &str,
) -> Result<Vec<Block<'a>>, Error> {
    let thought = message.thinking_blocks.into_iter().flatten().filter(is_signed);
    let mut all: Vec<Block<'a>> = thought.map(Block::Other).collect();
    all.extend(blocks(message.content, at)?);
    all.extend(message.refusal.and_then(text));
    for (index, call) in message.tool_calls.into_iter().flatten().enumerate() {
        let ToolCall::Function(call) = call else {
            return Err(unsupported(format!("{at}.tool_calls[{index}].type")));
        };
        all.push(Block::ToolUse(ToolUse {
            id: tool_id(call.id),
            name: call.function.name,
            input: settled(call.function.arguments),
            ..Default::default()
        }));
    }
    if let Some(call) = message.function_call {
        all.push(Block::ToolUse(ToolUse {
            id: function_id(index),
            input: settled(call.arguments),
            name: call.name,
            ..Default::default()
        }));
    }
    Ok(all)
}

/// Thinking that is not Anthropic's own has no signature, and Anthropic takes none of it.
fn is_signed(block: &Raw<'_>) -> bool {
    match wire::read::<Block<'_>>(block.as_str().as_bytes()) {
        Ok(Block::Thinking(block)) => block.signature.is_some_and(|text| !text.is_empty()),
        Ok(Block::RedactedThinking(_)) => true,
        _ => false,
    }
}

fn result<'a>(
    tool_use_id: Cow<'a, str>,
    content: Option<TextOr<'a, Vec<Part<'a>>>>,
    at: &str,
) -> Result<Block<'a>, Error> {
    let content = match content {
        Some(TextOr::Other(parts)) => TextOr::Other(blocks(Some(TextOr::Other(parts)), at)?),
        Some(TextOr::Text(text)) => TextOr::Text(text),
        None => TextOr::Text("".into()),
    };
    let result = ToolResult { tool_use_id, content: Some(content), ..Default::default() };
    Ok(Block::ToolResult(result))
}

fn blocks<'a>(
    content: Option<TextOr<'a, Vec<Part<'a>>>>,
    at: &str,
) -> Result<Vec<Block<'a>>, Error> {
    let parts = match content {
        None => return Ok(Vec::new()),
        Some(TextOr::Text(whole)) => return Ok(text(whole).into_iter().collect()),
        Some(TextOr::Other(parts)) => parts,
    };
    let mut blocks = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        blocks.extend(block(part, || format!("{at}.content[{index}]"))?);
    }
    Ok(blocks)
}

fn block<'a>(part: Part<'a>, at: impl Fn() -> String) -> Result<Option<Block<'a>>, Error> {
    Ok(match part {
        Part::Text(part) => text(part.text).map(|mut block| {
            if let Some(cache) = part.cache_control {
                mark(&mut block, cache);
            }
            block
        }),
        Part::Refusal(part) => text(part.refusal),
        Part::Image(part) => {
            let source = image(part.image_url.url, || format!("{}.image_url.url", at()))?;
            Some(Block::Image(ImageBlock {
                source,
                cache_control: part.cache_control,
                ..Default::default()
            }))
        }
        Part::File(part) => {
            let field = || format!("{}.file.file_data", at());
            let Some(data) = part.file.file_data else {
                return Err(unsupported(format!("{}.file.file_id", at())));
            };
            Some(Block::Document(DocumentBlock {
                source: document(data, field)?,
                title: part.file.filename,
                cache_control: part.cache_control,
                ..Default::default()
            }))
        }
        Part::Audio(_) | Part::Other(_) => return Err(unsupported(format!("{}.type", at()))),
    })
}

fn image<'a>(url: Cow<'a, str>, field: impl FnOnce() -> String) -> Result<Source<'a>, Error> {
    match Media::of(&url) {
        Some(Media::Link(_)) => Ok(link(url)),
        Some(Media::Data { media_type, data }) => match &*media_type {
            "image/jpg" => Ok(base64("image/jpeg", data)),
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" => {
                Ok(base64(&media_type, data))
            }
            _ => Err(invalid(field(), "this provider takes JPEG, PNG, GIF and WebP images")),
        },
        None => Err(invalid(field(), URL)),
    }
}

fn document<'a>(url: Cow<'a, str>, field: impl FnOnce() -> String) -> Result<Source<'a>, Error> {
    match Media::of(&url) {
        Some(Media::Link(_)) => Ok(link(url)),
        Some(Media::Data { media_type, data }) if media_type == "application/pdf" => {
            Ok(base64(&media_type, data))
        }
        Some(Media::Data { media_type, data }) => {
            let text = media_type.starts_with("text/").then(|| media::text(data)).flatten();
            let rule = "this provider takes PDF and text files";
            let text = text.ok_or_else(|| invalid(field(), rule))?;
            Ok(Source::Text(DataSource {
                media_type: "text/plain".into(),
                data: text.into(),
                ..Default::default()
            }))
        }
        None => Err(invalid(field(), URL)),
    }
}

fn link(url: Cow<'_, str>) -> Source<'_> {
    Source::Url(UrlSource { url, ..Default::default() })
}

fn base64<'a>(media_type: &str, data: &str) -> Source<'a> {
    Source::Base64(DataSource {
        media_type: media_type.to_owned().into(),
        data: data.to_owned().into(),
        ..Default::default()
    })
}

/// Anthropic takes no text of white space only.
fn text(text: Cow<'_, str>) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then(|| Block::Text(TextBlock { text, ..Default::default() }))
}

fn texts<'a>(
    content: Option<TextOr<'a, Vec<Part<'a>>>>,
    at: &str,
) -> Result<Vec<TextBlock<'a>>, Error> {
    let only_text = |(index, block)| match block {
        Block::Text(block) => Ok(block),
        _ => Err(unsupported(format!("{at}.content[{index}].type"))),
    };
    blocks(content, at)?.into_iter().enumerate().map(only_text).collect()
}

fn mark<'a>(block: &mut Block<'a>, cache: Raw<'a>) {
    let place = match block {
        Block::Text(block) => &mut block.cache_control,
        Block::Image(block) => &mut block.cache_control,
        Block::Document(block) => &mut block.cache_control,
        Block::ToolUse(block) => &mut block.cache_control,
        Block::ToolResult(block) => &mut block.cache_control,
        Block::Thinking(_) | Block::RedactedThinking(_) | Block::Other(_) => return,
    };
    place.get_or_insert(cache);
}

/// Anthropic takes no empty id.
fn tool_id(id: Cow<'_, str>) -> Cow<'_, str> {
    if id.is_empty() { "_".into() } else { id }
}

const URL: &str = "it must be an http(s) URL, or a data URL in base64";

/// The id of a call in the message of this index.
fn function_id<'a>(index: usize) -> Cow<'a, str> {
    format!("call_{index}").into()
}
