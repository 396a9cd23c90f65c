//! What requests say of how to answer.

use std::borrow::Cow;

use super::super::chat::at_openai;
use super::super::facts::Facts;
use super::super::fields::{Warnings, invalid};
use super::super::{Asked, Context, Translated, media, schema};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::ollama::Options;
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{
    ImagePart, ImageUrl, JsonSchema, Part, Plain, ResponseFormat, SchemaFormat, StreamOptions,
};
use crate::protocol::wire::{Raw, Rest, TextOr};

/// The members that both requests have.
#[derive(Default)]
pub(in crate::translate) struct Wishes<'a> {
    pub(in crate::translate) stream: Option<bool>,
    pub(in crate::translate) think: Option<TextOr<'a, bool>>,
    pub(in crate::translate) format: Option<Raw<'a>>,
    pub(in crate::translate) options: Option<Options<'a>>,
    pub(in crate::translate) rest: Rest<'a>,
}

impl<'a> Wishes<'a> {
    /// The request for a server that speaks OpenAI's chat completions. `said`: its messages.
    pub(in crate::translate) fn translated(
        mut self,
        mut said: ChatCompletionRequest<'a>,
        context: &'a Context,
    ) -> Result<Translated, Error> {
        let mut warnings = Warnings::default();
        let mut rest = std::mem::take(&mut self.rest);
        // How long the model stays in memory.
        rest.remove("keep_alive");
        let stream = self.stream != Some(false);
        let thinking = apply(self, &mut said, context, &mut warnings)?;
        warnings.rest(&rest);
        let names = at_openai(&mut said, context, Operation::OllamaChat, &mut warnings)?;
        Ok(Translated {
            path: "/chat/completions".into(),
            headers: Vec::new(),
            body: said.to_json(),
            warnings: warnings.into_inner(),
            asked: Asked { stream, usage: true, thinking, names, ..Default::default() },
        })
    }
}

/// Writes them into the translated request. Returns whether thinking is to be told.
fn apply<'a>(
    wishes: Wishes<'a>,
    translated: &mut ChatCompletionRequest<'a>,
    context: &'a Context,
    warnings: &mut Warnings,
) -> Result<bool, Error> {
    let reasons = Facts::of(context).reasons && !context.between;
    translated.model = Some(context.upstream_model.as_str().into());
    if wishes.stream != Some(false) {
        let options = StreamOptions { include_usage: Some(true), ..Default::default() };
        translated.stream = Some(true);
        translated.stream_options = Some(options);
    }
    translated.response_format = wishes.format.map(format).transpose()?.flatten();
    let options = wishes.options.unwrap_or_default();
    // Below nothing there is no bound.
    let limit = options.num_predict.map(|limit| limit.as_f64()).filter(|limit| *limit > 0.0);
    // The cast saturates.
    let limit = limit.map(|limit| limit as u64);
    translated.max_tokens = limit;
    translated.temperature = options.temperature;
    translated.top_p = options.top_p;
    translated.presence_penalty = options.presence_penalty;
    translated.frequency_penalty = options.frequency_penalty;
    translated.stop = options.stop.filter(|stops| !stops.is_empty()).map(TextOr::Other);
    translated.seed = options.seed;
    warnings.add_if(options.top_k.is_some() && !context.between, "options.top_k");
    translated.top_k = options.top_k.filter(|_| context.between);
    warnings.rest_of("options", &options.rest);
    let asks = wishes.think.as_ref().map(|think| !matches!(think, TextOr::Other(false)));
    warnings.add_if(asks == Some(true) && !reasons && !context.between, "think");
    if let Some(think) = wishes.think.filter(|_| reasons || context.between) {
        translated.reasoning_effort = Some(effort(think)?);
    }
    // A model that thinks tells it unless it is told not to.
    Ok(asks != Some(false))
}

/// `"json"` or a schema.
fn format<'a>(format: Raw<'a>) -> Result<Option<ResponseFormat<'a>>, Error> {
    if format.is_object() {
        let strict = schema::is_strict(&format);
        let json_schema = JsonSchema {
            name: "answer".into(),
            schema: Some(format),
            strict: Some(strict),
            ..Default::default()
        };
        let format = SchemaFormat { json_schema, ..Default::default() };
        return Ok(Some(ResponseFormat::JsonSchema(format)));
    }
    match format.text().as_deref() {
        Some("json") => Ok(Some(ResponseFormat::JsonObject(Plain::default()))),
        Some("") => Ok(None),
        _ => Err(invalid("format", "it must be 'json' or a JSON schema")),
    }
}

fn effort(think: TextOr<'_, bool>) -> Result<Cow<'_, str>, Error> {
    Ok(match think {
        TextOr::Other(true) => "medium".into(),
        TextOr::Other(false) => "none".into(),
        TextOr::Text(level) if matches!(&*level, "low" | "medium" | "high") => level,
        TextOr::Text(_) => {
            let rule = "it must be true, false, 'low', 'medium' or 'high'";
            return Err(invalid("think", rule));
        }
    })
}

/// Images, whose type Ollama's clients do not tell.
pub(in crate::translate) fn pictures<'a>(
    images: Option<Vec<Cow<'a, str>>>,
    at: &str,
) -> Result<Vec<Part<'a>>, Error> {
    let mut parts = Vec::new();
    for (index, data) in images.into_iter().flatten().enumerate() {
        let url = media::image_type(&data).and_then(|kind| media::data_url(kind, data));
        let rule = "it must be a PNG, JPEG, GIF or WebP in base64";
        let url = url.ok_or_else(|| invalid(format!("{at}[{index}]"), rule))?;
        let image_url = ImageUrl { url, ..Default::default() };
        parts.push(Part::Image(ImagePart { image_url, ..Default::default() }));
    }
    Ok(parts)
}
