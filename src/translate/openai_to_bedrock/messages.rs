//! The messages of a request.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::super::chat::settled;
use super::super::facts::Caches;
use super::super::fields::{invalid, missing, unsupported};
use super::super::media::Media;
use crate::error::Error;
use crate::protocol::bedrock::{
    self, Block, Bytes, CachePoint, Document, Message, Reasoning, ReasoningText, SystemBlock,
    ToolResult, ToolUse,
};
use crate::protocol::openai::chat::{self, Part, Role, ToolCall};
use crate::protocol::wire::{Raw, TextOr};

/// The messages, as far as they have been read.
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<SystemBlock<'a>>,
    messages: Vec<Message<'a>>,
    /// Names of the functions that were called.
    pub(super) called: Vec<Cow<'a, str>>,
    /// The last call under the older name, which has no id of its own.
    function_call: Option<usize>,
    /// The model can be told what to cache.
    caches: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(caches: Caches) -> Self {
        Self {
            system: Vec::new(),
            messages: Vec::new(),
            called: Vec::new(),
            function_call: None,
            caches: caches != Caches::Nothing,
        }
    }

    pub(super) fn add(
        &mut self,
        mut message: chat::Message<'a>,
        index: usize,
    ) -> Result<(), Error> {
        let at = format!("messages[{index}]");
        if !self.caches {
            forget_cache(&mut message);
        }
        let cache = message.cache_control.as_ref().map(cache_point);
        let (role, mut blocks) = match message.role {
            Role::System | Role::Developer => {
                for (index, mut block) in blocks(message.content, &at)?.into_iter().enumerate() {
                    let (text, cache_point) = (block.text.take(), block.cache_point.take());
                    if text.is_none() && cache_point.is_none() {
                        return Err(unsupported(format!("{at}.content[{index}].type")));
                    }
                    self.system.push(SystemBlock { text, cache_point, ..Default::default() });
                }
                self.system.extend(cache.map(|cache_point| SystemBlock {
                    cache_point: Some(cache_point),
                    ..Default::default()
                }));
                return Ok(());
            }
            Role::User => ("user", blocks(message.content, &at)?),
            Role::Assistant => ("assistant", self.assistant(message, index, &at)?),
            Role::Tool => {
                let id = message.tool_call_id;
                let id = id.ok_or_else(|| missing(format!("{at}.tool_call_id")))?;
                ("user", vec![result(tool_id(id), message.content, &at)?])
            }
            Role::Function => {
                let call = self.function_call.ok_or_else(|| {
                    invalid(format!("{at}.role"), "no message before it has a function_call")
                })?;
                ("user", vec![result(function_id(call), message.content, &at)?])
            }
        };
        if blocks.is_empty() {
            return Ok(());
        }
        blocks.extend(cache.map(cache_block));
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            _ => self.messages.push(Message {
                role: role.into(),
                content: blocks,
                ..Default::default()
            }),
        }
        Ok(())
    }

    /// A turn with calls came without the thinking that led to them.
    pub(super) fn calls_without_thinking(&self) -> bool {
        let last = self.messages.iter().rfind(|message| message.role == "assistant");
        last.is_some_and(|message| {
            message.content.iter().any(|block| block.tool_use.is_some())
                && message.content.first().is_none_or(|block| block.reasoning_content.is_none())
        })
    }

    pub(super) fn finish(mut self) -> (Option<Vec<SystemBlock<'a>>>, Vec<Message<'a>>) {
        let first = self.messages.first().map(|message| &*message.role);
        if first != Some("user") {
            // Bedrock wants the user to begin.
            let said = if first.is_none() { std::mem::take(&mut self.system) } else { Vec::new() };
            let said = said.into_iter().filter_map(|block| block.text.and_then(text));
            let mut content: Vec<_> = said.collect();
            if content.is_empty() {
                content.extend(text(".".into()));
            }
            let role = "user".into();
            self.messages.insert(0, Message { role, content, ..Default::default() });
        }
        name_documents(&mut self.messages);
        ((!self.system.is_empty()).then_some(self.system), self.messages)
    }

    fn assistant(
        &mut self,
        message: chat::Message<'a>,
        index: usize,
        at: &str,
    ) -> Result<Vec<Block<'a>>, Error> {
        let thought = message.thinking_blocks.into_iter().flatten();
        let mut all: Vec<Block<'a>> = thought.filter_map(|raw| reasoning(&raw)).collect();
        all.extend(blocks(message.content, at)?);
        all.extend(message.refusal.and_then(text));
        for (number, call) in message.tool_calls.into_iter().flatten().enumerate() {
            let ToolCall::Function(call) = call else {
                return Err(unsupported(format!("{at}.tool_calls[{number}].type")));
            };
            all.push(self.call(tool_id(call.id), call.function));
        }
        if let Some(call) = message.function_call {
            self.function_call = Some(index);
            all.push(self.call(function_id(index), call));
        }
        Ok(all)
    }

    fn call(&mut self, tool_use_id: Cow<'a, str>, call: chat::FunctionCall<'a>) -> Block<'a> {
        if !self.called.contains(&call.name) && self.called.len() < MAX_NAMES {
            self.called.push(call.name.clone());
        }
        let tool_use = Some(ToolUse {
            tool_use_id,
            name: call.name,
            input: Some(settled(call.arguments)),
            ..Default::default()
        });
        Block { tool_use, ..Default::default() }
    }
}

/// A model that caches nothing refuses to be told.
fn forget_cache(message: &mut chat::Message<'_>) {
    message.cache_control = None;
    let Some(TextOr::Other(parts)) = &mut message.content else { return };
    for part in parts {
        match part {
            Part::Text(part) => part.cache_control = None,
            Part::Image(part) => part.cache_control = None,
            Part::File(part) => part.cache_control = None,
            Part::Refusal(_) | Part::Audio(_) | Part::Other(_) => {}
        }
    }
}

/// Bedrock wants a text beside a document, and no two documents of one name.
fn name_documents(messages: &mut [Message<'_>]) {
    let mut names = BTreeSet::new();
    for message in messages {
        let documents = message.content.iter().any(|block| block.document.is_some());
        if documents && !message.content.iter().any(|block| block.text.is_some()) {
            message.content.extend(text(".".into()));
        }
        for block in &mut message.content {
            let results = block.tool_result.iter_mut().flat_map(|result| &mut result.content);
            let results = results.filter_map(|block| block.document.as_mut());
            for document in block.document.iter_mut().chain(results) {
                if !names.insert(document.name.to_string()) {
                    let number = names.len().saturating_add(1);
                    document.name = format!("{} {number}", document.name).into();
                    names.insert(document.name.to_string());
                }
            }
        }
    }
}

fn result<'a>(
    tool_use_id: Cow<'a, str>,
    content: Option<TextOr<'a, Vec<Part<'a>>>>,
    at: &str,
) -> Result<Block<'a>, Error> {
    let mut content = blocks(content, at)?;
    content.retain(|block| block.cache_point.is_none());
    if let Some(index) = content.iter().position(|block| block.audio.is_some()) {
        return Err(unsupported(format!("{at}.content[{index}].type")));
    }
    if content.is_empty() {
        // Bedrock wants to be told something.
        content.extend(text("-".into()));
    }
    let result = ToolResult { tool_use_id, content, ..Default::default() };
    Ok(Block { tool_result: Some(result), ..Default::default() })
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
        let at = || format!("{at}.content[{index}]");
        match part {
            Part::Text(part) => {
                blocks.extend(text(part.text));
                blocks.extend(part.cache_control.as_ref().map(cache_point).map(cache_block));
            }
            Part::Refusal(part) => blocks.extend(text(part.refusal)),
            Part::Image(part) => {
                let field = || format!("{}.image_url.url", at());
                let (format, bytes) = data(&part.image_url.url, "image/", field)?;
                let format = match &*format {
                    "jpg" => "jpeg".into(),
                    "jpeg" | "png" | "gif" | "webp" => format,
                    _ => {
                        let rule = "this provider takes JPEG, PNG, GIF and WebP images";
                        return Err(invalid(field(), rule));
                    }
                };
                let image = media(format, bytes);
                blocks.push(Block { image: Some(image), ..Default::default() });
                blocks.extend(part.cache_control.as_ref().map(cache_point).map(cache_block));
            }
            Part::Audio(part) => {
                let audio = media(part.input_audio.format, part.input_audio.data);
                blocks.push(Block { audio: Some(audio), ..Default::default() });
            }
            Part::File(part) => {
                let Some(url) = part.file.file_data else {
                    return Err(unsupported(format!("{}.file.file_id", at())));
                };
                let field = || format!("{}.file.file_data", at());
                let (kind, bytes) = data(&url, "", field)?;
                let document = Document {
                    format: document_format(&kind).ok_or_else(|| unsupported(field()))?.into(),
                    name: document_name(part.file.filename.as_deref().unwrap_or_default()),
                    source: Bytes { bytes, ..Default::default() },
                    ..Default::default()
                };
                blocks.push(Block { document: Some(document), ..Default::default() });
                blocks.extend(part.cache_control.as_ref().map(cache_point).map(cache_block));
            }
            Part::Other(_) => return Err(unsupported(format!("{}.type", at()))),
        }
    }
    Ok(blocks)
}

/// The type behind `prefix` and the data of a data URL.
fn data<'a>(
    url: &str,
    prefix: &str,
    field: impl Fn() -> String,
) -> Result<(Cow<'a, str>, Cow<'a, str>), Error> {
    let rule = "this provider takes data URLs in base64 only";
    let Some(Media::Data { media_type, data }) = Media::of(url) else {
        return Err(invalid(field(), rule));
    };
    let kind = media_type.strip_prefix(prefix).ok_or_else(|| unsupported(field()))?;
    Ok((kind.to_owned().into(), data.to_owned().into()))
}

fn media<'a>(format: Cow<'a, str>, bytes: Cow<'a, str>) -> bedrock::Media<'a> {
    let source = Bytes { bytes, ..Default::default() };
    bedrock::Media { format, source, ..Default::default() }
}

fn document_format(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/markdown" => "md",
        _ => return None,
    })
}

/// A file's name in the letters that Bedrock takes.
fn document_name<'a>(filename: &str) -> Cow<'a, str> {
    let stem = filename.rsplit_once('.').map_or(filename, |(stem, _)| stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
    let words: String = stem.chars().take(MAX_NAME).map(plain).collect();
    let words: Vec<_> = words.split_whitespace().collect();
    if words.is_empty() { "document".into() } else { words.join(" ").into() }
}

/// Anthropic's thinking in Bedrock's words.
fn reasoning<'a>(block: &Raw<'_>) -> Option<Block<'a>> {
    let block = block.value()?;
    let text = |key: &str| block.get(key).and_then(Value::as_str).map(str::to_owned);
    let content = match text("type")?.as_str() {
        "thinking" => Reasoning {
            reasoning_text: Some(ReasoningText {
                text: text("thinking")?.into(),
                // Thinking that is not Claude's own has none, and is not taken.
                signature: Some(text("signature").filter(|text| !text.is_empty())?.into()),
                ..Default::default()
            }),
            ..Default::default()
        },
        "redacted_thinking" => {
            let redacted_content = text("data").map(Into::into);
            Reasoning { redacted_content, ..Default::default() }
        }
        _ => return None,
    };
    Some(Block { reasoning_content: Some(content), ..Default::default() })
}

/// Bedrock takes no empty text.
fn text(text: Cow<'_, str>) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then(|| Block { text: Some(text), ..Default::default() })
}

pub(super) fn cache_point<'a>(control: &Raw<'_>) -> CachePoint<'a> {
    let ttl = control.value().and_then(|control| control.get("ttl")?.as_str().map(str::to_owned));
    CachePoint { kind: "default".into(), ttl: ttl.map(Into::into), ..Default::default() }
}

fn cache_block(point: CachePoint<'_>) -> Block<'_> {
    Block { cache_point: Some(point), ..Default::default() }
}

/// Bedrock takes no empty id.
fn tool_id(id: Cow<'_, str>) -> Cow<'_, str> {
    if id.is_empty() { "_".into() } else { id }
}

/// The id of a call in the message of this index.
fn function_id<'a>(index: usize) -> Cow<'a, str> {
    format!("call_{index}").into()
}

const MAX_NAME: usize = 100;
/// More functions are not declared for a request that declares none.
const MAX_NAMES: usize = 128;
