//! The turns of a request.

use std::borrow::Cow;

use serde_json::json;

use super::super::Context;
use super::super::fields::{invalid, unsupported};
use super::super::media::{self, Media};
use super::super::names::call_id;
use crate::error::Error;
use crate::protocol::gemini::{Blob, Content, FileData, FunctionCall, FunctionResponse, Part};
use crate::protocol::openai::chat::{
    self, AudioPart, File, FilePart, FunctionToolCall, ImagePart, ImageUrl, InputAudio, Message,
    Role, TextPart, ToolCall,
};
use crate::protocol::wire::{Raw, TextOr};

/// The messages, as far as the turns have been read.
pub(super) struct Conversation<'a> {
    pub(super) messages: Vec<Message<'a>>,
    /// What the model said in the last turns, each part with where it stands. The history of a
    /// stream has a turn for every event.
    said: Vec<(usize, usize, Part<'a>)>,
    /// Calls that have no answer yet, in their order.
    open: Vec<Open<'a>>,
    calls: u64,
    request_id: &'a str,
    between: bool,
}

struct Open<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self {
            messages: Vec::new(),
            said: Vec::new(),
            open: Vec::new(),
            calls: 0,
            request_id: &context.request_id,
            between: context.between,
        }
    }

    pub(super) fn system(&mut self, instruction: Content<'a>) -> Result<(), Error> {
        let mut texts = Vec::new();
        for (index, part) in instruction.parts.into_iter().flatten().enumerate() {
            let field = || unsupported(format!("systemInstruction.parts[{index}]"));
            texts.push(part.text.ok_or_else(field)?);
        }
        let text = match texts.len() {
            1 => texts.remove(0),
            _ => texts.join("\n\n").into(),
        };
        if !text.is_empty() {
            self.messages.push(message(Role::System, text));
        }
        Ok(())
    }

    pub(super) fn add(&mut self, content: Content<'a>, index: usize) -> Result<(), Error> {
        let at = format!("contents[{index}]");
        let parts = content.parts.unwrap_or_default();
        match content.role.as_deref() {
            Some("model") => {
                let parts = parts.into_iter().enumerate();
                self.said.extend(parts.map(|(part_index, part)| (index, part_index, part)));
                Ok(())
            }
            // Names that clients have for turns with results.
            Some("user" | "function" | "tool" | "") | None => {
                self.model()?;
                self.user(parts, &at)
            }
            Some(_) => Err(invalid(format!("{at}.role"), "it must be one of 'user', 'model'")),
        }
    }

    /// Results of calls come first, for OpenAI wants them right after the calls.
    fn user(&mut self, parts: Vec<Part<'a>>, at: &str) -> Result<(), Error> {
        let mut said = Vec::new();
        for (index, part) in parts.into_iter().enumerate() {
            let at = format!("{at}.parts[{index}]");
            match part.function_response {
                Some(result) => {
                    let result = self.result(result, &at)?;
                    self.messages.push(result);
                }
                None => said.extend(self::part(part, &at)?),
            }
        }
        let said = match said.as_mut_slice() {
            [] => return Ok(()),
            [chat::Part::Text(part)] => TextOr::Text(std::mem::take(&mut part.text)),
            _ => TextOr::Other(said),
        };
        self.messages.push(Message { content: Some(said), ..Default::default() });
        Ok(())
    }

    fn result(&mut self, result: FunctionResponse<'a>, at: &str) -> Result<Message<'a>, Error> {
        if result.rest.get("parts").is_some_and(|parts| parts.as_str() != "[]") {
            return Err(unsupported(format!("{at}.functionResponse.parts")));
        }
        let place = |open: &Open<'_>| match &result.id {
            Some(id) if !id.is_empty() => open.id == *id,
            _ => open.name == result.name,
        };
        let Some(found) = self.open.iter().position(place) else {
            let field = format!("{at}.functionResponse.name");
            return Err(invalid(field, "no turn before it has such a call without an answer"));
        };
        let call = self.open.remove(found);
        let text = result.response.into_text();
        Ok(Message { tool_call_id: Some(call.id), ..message(Role::Tool, text) })
    }

    /// The turns of the model that came together are one message.
    pub(super) fn model(&mut self) -> Result<(), Error> {
        if self.said.is_empty() {
            return Ok(());
        }
        let mut thinking = String::new();
        let mut said: Option<Cow<'a, str>> = None;
        let mut calls = Vec::new();
        let mut thoughts = Vec::new();
        for (content, index, part) in std::mem::take(&mut self.said) {
            let at = |field: &str| format!("contents[{content}].parts[{index}].{field}");
            match part {
                Part { thought: Some(true), text: Some(thought), thought_signature, .. } => {
                    thinking.push_str(&thought);
                    if let Some(signature) = thought_signature.filter(|_| self.between) {
                        thoughts.push(signed(&std::mem::take(&mut thinking), signature));
                    }
                }
                Part { text: Some(text), .. } => match &mut said {
                    Some(said) => said.to_mut().push_str(&text),
                    None => said = Some(text),
                },
                Part { function_call: Some(call), .. } => calls.push(self.call(call)),
                Part { inline_data: Some(_), .. } => {
                    return Err(unsupported(at("inlineData")));
                }
                Part { file_data: Some(_), .. } => {
                    return Err(unsupported(at("fileData")));
                }
                // Code that Google ran, and its results.
                _ => {}
            }
        }
        let said = said.or_else(|| calls.is_empty().then_some("".into()));
        self.messages.push(Message {
            role: Role::Assistant,
            content: said.map(TextOr::Text),
            tool_calls: (!calls.is_empty()).then_some(calls),
            thinking_blocks: (!thoughts.is_empty()).then_some(thoughts),
            ..Default::default()
        });
        Ok(())
    }

    fn call(&mut self, call: FunctionCall<'a>) -> ToolCall<'a> {
        let number = self.calls;
        self.calls = number.saturating_add(1);
        let id = call.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| call_id(self.request_id, number));
        self.open.push(Open { id: id.clone(), name: call.name.clone() });
        let function = chat::FunctionCall {
            name: call.name,
            arguments: call.args.unwrap_or(Raw::EMPTY_OBJECT).into_text(),
            ..Default::default()
        };
        ToolCall::Function(FunctionToolCall { id, function, ..Default::default() })
    }
}

/// A thought as Anthropic's models want it back. Clients write a signature in either alphabet.
fn signed<'a>(thought: &str, signature: Cow<'_, str>) -> Raw<'a> {
    let signature = media::base64(signature);
    Raw::from(&json!({"type": "thinking", "thinking": thought, "signature": signature}))
}

fn part<'a>(part: Part<'a>, at: &str) -> Result<Option<chat::Part<'a>>, Error> {
    match part {
        Part { thought: Some(true), .. } => Ok(None),
        Part { text: Some(text), .. } => {
            Ok(Some(chat::Part::Text(TextPart { text, ..Default::default() })))
        }
        Part { inline_data: Some(blob), .. } => {
            inline(blob, || format!("{at}.inlineData.mimeType")).map(Some)
        }
        Part { file_data: Some(file), .. } => {
            linked(file, || format!("{at}.fileData.fileUri")).map(Some)
        }
        _ => Err(unsupported(at.to_owned())),
    }
}

fn inline<'a>(blob: Blob<'a>, field: impl FnOnce() -> String) -> Result<chat::Part<'a>, Error> {
    let Blob { mime_type, data, .. } = blob;
    let kind = media::lower(mime_type.split(';').next().unwrap_or_default().trim());
    let kind = &*kind;
    let format = match kind {
        "audio/wav" | "audio/x-wav" | "audio/wave" => Some("wav"),
        "audio/mp3" | "audio/mpeg" => Some("mp3"),
        _ => None,
    };
    if let Some(format) = format {
        let data = media::base64(data);
        let input_audio = InputAudio { data, format: format.into(), ..Default::default() };
        return Ok(chat::Part::Audio(AudioPart { input_audio, ..Default::default() }));
    }
    let image = kind.starts_with("image/");
    let url = media::data_url(kind, data).filter(|_| image || kind == "application/pdf");
    match url {
        Some(url) if image => Ok(picture(url)),
        Some(data) => Ok(chat::Part::File(FilePart {
            file: File {
                file_data: Some(data),
                filename: Some("document.pdf".into()),
                ..Default::default()
            },
            ..Default::default()
        })),
        None => Err(invalid(field(), "it must be of an image, of WAV or MP3, or of PDF")),
    }
}

fn linked<'a>(file: FileData<'a>, field: impl FnOnce() -> String) -> Result<chat::Part<'a>, Error> {
    let link = matches!(Media::of(&file.file_uri), Some(Media::Link(_)));
    let image = file.mime_type.is_none_or(|kind| media::lower(&kind).starts_with("image/"));
    if link && image {
        return Ok(picture(file.file_uri));
    }
    Err(invalid(field(), "it must be an http(s) link to an image"))
}

fn picture(url: Cow<'_, str>) -> chat::Part<'_> {
    let image_url = ImageUrl { url, ..Default::default() };
    chat::Part::Image(ImagePart { image_url, ..Default::default() })
}

fn message(role: Role, text: Cow<'_, str>) -> Message<'_> {
    Message { role, content: Some(TextOr::Text(text)), ..Default::default() }
}
