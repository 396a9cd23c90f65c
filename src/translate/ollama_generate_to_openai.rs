//! Ollama's generate at a server that speaks OpenAI's chat completions.
//!
//! | Ollama | OpenAI |
//! |---|---|
//! | `system` | the first message |
//! | `prompt`, `images` | a message of the user |
//! | everything else | as for Ollama's chat |
//!
//! Refused: no `prompt`, which loads a model; `suffix`, `template`, `raw`, `context` of an earlier
//! answer, images of other types, `logprobs`.
//!
//! Left out with a warning: what is left out for Ollama's chat, in the same way.
//!
//! Answers: as for Ollama's chat, in `response`.

use super::fields::{missing, refuse};
use super::ollama::{self, Lines, Said, Wishes};
use super::{Asked, Context, Translated};
use crate::error::Error;
use crate::protocol::ollama::GenerateRequest;
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{Message, Part, Role, TextPart};
use crate::protocol::wire::TextOr;

pub(super) use super::failure::openai as error;

pub(super) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = GenerateRequest::from_json(body)?;
    refuse(request.logprobs == Some(true), "logprobs")?;
    refuse(request.suffix.is_some_and(|suffix| !suffix.is_empty()), "suffix")?;
    refuse(request.template.is_some_and(|template| !template.is_empty()), "template")?;
    refuse(request.raw == Some(true), "raw")?;
    refuse(request.context.is_some_and(|context| context.as_str() != "[]"), "context")?;
    let prompt = request.prompt.filter(|prompt| !prompt.is_empty());
    let prompt = prompt.ok_or_else(|| missing("prompt".to_owned()))?;
    let images = ollama::pictures(request.images, "images")?;
    let content = if images.is_empty() {
        TextOr::Text(prompt)
    } else {
        let text = Part::Text(TextPart { text: prompt, ..Default::default() });
        TextOr::Other([text].into_iter().chain(images).collect())
    };
    let system = request.system.filter(|system| !system.is_empty()).map(|system| Message {
        role: Role::System,
        content: Some(TextOr::Text(system)),
        ..Default::default()
    });
    let user = Message { content: Some(content), ..Default::default() };
    let said = ChatCompletionRequest {
        messages: system.into_iter().chain([user]).collect(),
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

pub(super) fn response(body: &[u8], context: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
    ollama::response(body, Said::Generate, context, asked)
}

pub(super) struct Stream(Lines);

impl Stream {
    pub(super) fn new(context: &Context, asked: &Asked) -> Self {
        Self(Lines::new(Said::Generate, context, asked))
    }

    /// How many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        self.0.kept()
    }

    pub(super) fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.0.event(name, data, out)
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.end(out)
    }
}
