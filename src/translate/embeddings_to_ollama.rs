//! OpenAI embeddings at Ollama's own API.
//!
//! | OpenAI | Ollama |
//! |---|---|
//! | `input`, `dimensions` | the same |
//! | `encoding_format: base64` | done here |
//!
//! Refused: tokens as input. Left out with a warning: `input_type`, `user`, all fields that are not
//! known here.

use super::fields::Warnings;
use super::{Asked, Context, Translated, vectors};
use crate::error::Error;
use crate::protocol::ollama::{EmbedRequest, EmbedResponse};
use crate::protocol::openai::EmbeddingRequest;
use crate::protocol::wire::TextOr;

pub(super) use super::openai_to_ollama::error;
pub(super) use super::vectors::NoStream as Stream;

pub(super) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = EmbeddingRequest::from_json(body)?;
    let mut warnings = Warnings::default();
    let asked = vectors::asked(&request, &mut warnings)?;
    warnings.add_if(request.input_type.is_some(), "input_type");
    let translated = EmbedRequest {
        model: Some(context.upstream_model.as_str().into()),
        input: TextOr::Other(vectors::texts(request.input)?),
        dimensions: request.dimensions,
        ..Default::default()
    };
    Ok(Translated {
        path: "/api/embed".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked,
    })
}

pub(super) fn response(body: &[u8], context: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
    let answer = EmbedResponse::from_json(body)?;
    vectors::write(answer.embeddings, answer.prompt_eval_count.get(), context, asked)
}
