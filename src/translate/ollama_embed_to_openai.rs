//! Ollama's embed at a server that speaks OpenAI's embeddings.
//!
//! | Ollama | OpenAI |
//! |---|---|
//! | `input`, one text or several | the same |
//! | `dimensions` | the same |
//!
//! Refused: nothing.
//!
//! Left out with a warning: `truncate: false`, for texts that are too long are an error at most
//! servers anyway; `options`, all fields that are not known here. Left out without one:
//! `keep_alive`.
//!
//! Answers: `total_duration` is that of the call as it is seen from here. A count of tokens that was
//! only estimated is not told.

use super::fields::Warnings;
use super::{Asked, Context, Translated, vectors};
use crate::error::Error;
use crate::protocol::ollama::{EmbedRequest, EmbedResponse};
use crate::protocol::openai::EmbeddingRequest;
use crate::protocol::openai::embeddings::Input;
use crate::protocol::wire::TextOr;

pub(super) use super::failure::openai as error;
pub(super) use super::vectors::NoStream as Stream;

pub(super) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = EmbedRequest::from_json(body)?;
    let mut warnings = Warnings::default();
    let options = request.options.is_some_and(|options| options.as_str() != "{}");
    warnings.add_if(options, "options");
    warnings.add_if(request.truncate == Some(false), "truncate");
    let mut rest = request.rest;
    // How long the model stays in memory.
    rest.remove("keep_alive");
    warnings.rest(&rest);
    let translated = EmbeddingRequest {
        model: Some(context.upstream_model.as_str().into()),
        input: match request.input {
            TextOr::Text(text) => Input::Text(text),
            TextOr::Other(texts) => Input::Texts(texts),
        },
        dimensions: request.dimensions,
        ..Default::default()
    };
    Ok(Translated {
        path: "/embeddings".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked::default(),
    })
}

pub(super) fn response(body: &[u8], context: &Context, _: &Asked) -> Result<Vec<u8>, Error> {
    let (embeddings, tokens) = vectors::read(body)?;
    let translated = EmbedResponse {
        model: Some(context.model.as_str().into()),
        embeddings,
        total_duration: Some(context.clock.elapsed()),
        load_duration: Some(0),
        prompt_eval_count: tokens.into(),
        ..Default::default()
    };
    Ok(translated.to_json())
}
