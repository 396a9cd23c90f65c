//! OpenAI embeddings at Cohere's API, version 2.
//!
//! | OpenAI | Cohere |
//! |---|---|
//! | `input` | `texts` |
//! | `dimensions` | `output_dimension` |
//! | `input_type` | the same; `search_document` where there is none, for Cohere wants one |
//! | `encoding_format: base64` | done here |
//!
//! Refused: tokens as input. Left out with a warning: `user`, all fields that are not known here.

use super::fields::Warnings;
use super::{Asked, Context, Translated, vectors};
use crate::error::Error;
use crate::protocol::cohere::{Billing, EmbedRequest, EmbedResponse};
use crate::protocol::openai::EmbeddingRequest;

pub(super) use super::openai_to_cohere::error;
pub(super) use super::vectors::NoStream as Stream;

pub(super) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = EmbeddingRequest::from_json(body)?;
    let mut warnings = Warnings::default();
    let asked = vectors::asked(&request, &mut warnings)?;
    let translated = EmbedRequest {
        model: Some(context.upstream_model.as_str().into()),
        texts: vectors::texts(request.input)?,
        input_type: request.input_type.unwrap_or("search_document".into()),
        embedding_types: vec!["float".into()],
        output_dimension: request.dimensions,
        ..Default::default()
    };
    Ok(Translated {
        path: "/embed".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked,
    })
}

pub(super) fn response(body: &[u8], context: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
    let answer = EmbedResponse::from_json(body)?;
    let tokens = answer.meta.as_ref().and_then(Billing::usage).map(|usage| usage.input);
    vectors::write(answer.embeddings.float, tokens, context, asked)
}
