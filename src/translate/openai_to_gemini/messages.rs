//! The messages of a request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::super::chat::settled;
use super::super::fields::{invalid, missing, unsupported};
use super::super::media::Media;
use crate::error::Error;
use crate::protocol::gemini::{Blob, Content, FileData, FunctionCall, FunctionResponse, Part};
use crate::protocol::openai::chat::{self, FunctionToolCall, Message, Role, ToolCall};
use crate::protocol::wire::{Raw, TextOr};

/// The messages, as far as they have been read.
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Part<'a>>,
    pub(super) contents: Vec<Content<'a>>,
    /// Names of the functions that were called, by the id of the call.
    calls: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// The ids of the last calls, and which of them have their results in the last turn.
    asked: Vec<Cow<'a, str>>,
    answered: Vec<usize>,
    /// The model wants its signatures back, and tells calls apart by id.
    signs: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(signs: bool) -> Self {
        Self {
            system: Vec::new(),
            contents: Vec::new(),
            calls: BTreeMap::new(),
            asked: Vec::new(),
            answered: Vec::new(),
            signs,
        }
    }

    pub(super) fn add(&mut self, message: Message<'a>, index: usize) -> Result<(), Error> {
        let at = format!("messages[{index}]");
        match message.role {
            Role::System | Role::Developer => self.system.extend(parts(message.content, &at)?),
            Role::User => self.turn("user", parts(message.content, &at)?),
            Role::Assistant => self.model(message, &at)?,
            Role::Tool | Role::Function => self.result(message, &at)?,
        }
        Ok(())
    }

    fn turn(&mut self, role: &'static str, parts: Vec<Part<'a>>) {
        if !parts.is_empty() {
            let role = Some(role.into());
            self.contents.push(Content { role, parts: Some(parts), ..Default::default() });
        }
    }

    fn model(&mut self, message: Message<'a>, at: &str) -> Result<(), Error> {
        let mut said = parts(message.content, at)?;
        said.extend(message.refusal.and_then(text));
        self.asked.clear();
        self.answered.clear();
        let mut first = true;
        for (index, call) in message.tool_calls.into_iter().flatten().enumerate() {
            let ToolCall::Function(call) = call else {
                return Err(unsupported(format!("{at}.tool_calls[{index}].type")));
            };
            let signature = signature(&call).map(Cow::Owned);
            // The first call of a turn has the signature.
            let skipped = (self.signs && first).then_some(SKIP.into());
            first = false;
            let FunctionToolCall { id, function, .. } = call;
            let args = Some(settled(function.arguments));
            self.calls.insert(id.clone(), function.name.clone());
            self.asked.push(id.clone());
            let id = self.signs.then_some(id);
            said.push(Part {
                function_call: Some(FunctionCall {
                    id,
                    name: function.name,
                    args,
                    ..Default::default()
                }),
                thought_signature: signature.or(skipped),
                ..Default::default()
            });
        }
        if let Some(call) = message.function_call {
            let args = settled(call.arguments);
            self.calls.insert(call.name.clone(), call.name.clone());
            let call = FunctionCall { name: call.name, args: Some(args), ..Default::default() };
            let thought_signature = self.signs.then_some(SKIP.into());
            said.push(Part { function_call: Some(call), thought_signature, ..Default::default() });
        }
        self.turn("model", said);
        Ok(())
    }

    fn result(&mut self, message: Message<'a>, at: &str) -> Result<(), Error> {
        let named = message.role == Role::Function;
        let id = if named { message.name } else { message.tool_call_id };
        let field = || format!("{at}.{}", if named { "name" } else { "tool_call_id" });
        let id = id.ok_or_else(|| missing(field()))?;
        let name = self.calls.get(&id).cloned();
        let name = name.ok_or_else(|| invalid(field(), "no message before it has such a call"))?;
        let place = self.asked.iter().position(|call| *call == id).unwrap_or(usize::MAX);
        let result = FunctionResponse {
            id: (self.signs && !named).then_some(id),
            name,
            response: output(message.content, at)?,
            ..Default::default()
        };
        let part = Part { function_response: Some(result), ..Default::default() };
        // Results of calls that were made at once come back at once, in the order of the calls:
        // older models tell two calls of one function apart by nothing else.
        if let Some(Content { parts: Some(parts), .. }) = self.contents.last_mut()
            && parts.iter().all(|part| part.function_response.is_some())
        {
            let before = self.answered.partition_point(|answered| *answered <= place);
            self.answered.insert(before, place);
            parts.insert(before.min(parts.len()), part);
        } else {
            self.answered = vec![place];
            self.turn("user", vec![part]);
        }
        Ok(())
    }
}

/// A tool's result is an object to Gemini.
fn output<'a>(
    content: Option<TextOr<'a, Vec<chat::Part<'a>>>>,
    at: &str,
) -> Result<Raw<'a>, Error> {
    let mut texts = Vec::new();
    for (index, part) in parts(content, at)?.into_iter().enumerate() {
        let text = part.text;
        texts.push(text.ok_or_else(|| unsupported(format!("{at}.content[{index}].type")))?);
    }
    let text = match <[Cow<'_, str>; 1]>::try_from(texts) {
        Ok([text]) => text,
        Err(texts) => texts.concat().into(),
    };
    // Gemini takes a reference within it for one of its own, and refuses it.
    let object = Raw::new(text.clone()).filter(|raw| raw.is_object() && !text.contains(REFERENCE));
    Ok(match object {
        Some(object) => object,
        None => Raw::from(&serde_json::json!({ "result": text })),
    })
}

fn parts<'a>(
    content: Option<TextOr<'a, Vec<chat::Part<'a>>>>,
    at: &str,
) -> Result<Vec<Part<'a>>, Error> {
    let all = match content {
        None => return Ok(Vec::new()),
        Some(TextOr::Text(whole)) => return Ok(text(whole).into_iter().collect()),
        Some(TextOr::Other(parts)) => parts,
    };
    let mut translated = Vec::new();
    for (index, part) in all.into_iter().enumerate() {
        translated.extend(self::part(part, || format!("{at}.content[{index}]"))?);
    }
    Ok(translated)
}

fn part<'a>(part: chat::Part<'a>, at: impl Fn() -> String) -> Result<Option<Part<'a>>, Error> {
    match part {
        chat::Part::Text(part) => Ok(text(part.text)),
        chat::Part::Refusal(part) => Ok(text(part.refusal)),
        chat::Part::Image(part) => {
            media(part.image_url.url, || format!("{}.image_url.url", at())).map(Some)
        }
        chat::Part::Audio(part) => {
            let mime_type = format!("audio/{}", part.input_audio.format).into();
            let data = part.input_audio.data;
            let blob = Blob { mime_type, data, ..Default::default() };
            Ok(Some(Part { inline_data: Some(blob), ..Default::default() }))
        }
        chat::Part::File(part) => match part.file.file_data {
            Some(data) => media(data, || format!("{}.file.file_data", at())).map(Some),
            None => Err(unsupported(format!("{}.file.file_id", at()))),
        },
        chat::Part::Other(_) => Err(unsupported(format!("{}.type", at()))),
    }
}

fn media<'a>(url: Cow<'a, str>, field: impl FnOnce() -> String) -> Result<Part<'a>, Error> {
    match Media::of(&url) {
        Some(Media::Data { media_type, data }) => {
            let mime_type = media_type.into_owned().into();
            let data = data.to_owned().into();
            let blob = Blob { mime_type, data, ..Default::default() };
            Ok(Part { inline_data: Some(blob), ..Default::default() })
        }
        Some(Media::Link(link)) => {
            let mime_type = mime_type(link).map(Into::into);
            let file = FileData { mime_type, file_uri: url, ..Default::default() };
            Ok(Part { file_data: Some(file), ..Default::default() })
        }
        None => Err(invalid(field(), "it must be an http(s) URL, or a data URL in base64")),
    }
}

/// By the name's ending; Gemini looks for itself where it is not known.
fn mime_type(link: &str) -> Option<&'static str> {
    let path = link.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        _ => return None,
    })
}

fn text(text: Cow<'_, str>) -> Option<Part<'_>> {
    (!text.is_empty()).then(|| Part { text: Some(text), ..Default::default() })
}

/// Where Google's own OpenAI-compatible API puts it.
fn signature(call: &FunctionToolCall<'_>) -> Option<String> {
    let extra = call.rest.get("extra_content")?.value()?;
    extra.pointer("/google/thought_signature").and_then(Value::as_str).map(str::to_owned)
}

const REFERENCE: &str = "\"$ref\"";

/// Google's word for a call whose signature is lost.
const SKIP: &str = "skip_thought_signature_validator";
