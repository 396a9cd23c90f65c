//! OpenAI embeddings at Amazon Bedrock, where each maker's models have bodies of their own.
//!
//! | OpenAI | Titan | Cohere |
//! |---|---|---|
//! | `input` | `inputText`: one text | `texts` |
//! | `dimensions` | the same | `output_dimension` |
//! | `input_type` | left out with a warning | the same; `search_document` where there is none |
//! | `encoding_format: base64` | done here | done here |
//!
//! Refused: other makers' models, tokens as input, several texts for Titan. Left out with a warning:
//! `user`, all fields that are not known here. Where a model tells no usage it is estimated, and the
//! answer says so.

use super::fields::{Warnings, invalid};
use super::{Asked, Context, Translated, path, vectors};
use crate::error::{Error, Kind};
use crate::protocol::bedrock::{TitanEmbedRequest, TitanEmbedResponse};
use crate::protocol::cohere::{EmbedRequest, EmbedResponse};
use crate::protocol::openai::EmbeddingRequest;

pub(super) use super::openai_to_bedrock::error;
pub(super) use super::vectors::NoStream as Stream;

/// Whose body a model understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Titan,
    Cohere,
}

pub(super) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = EmbeddingRequest::from_json(body)?;
    let model = path::segment(&context.upstream_model)?;
    let mut warnings = Warnings::default();
    let asked = vectors::asked(&request, &mut warnings)?;
    let mut texts = vectors::texts(request.input)?;
    let body = match maker(context)? {
        Maker::Titan => {
            warnings.add_if(request.input_type.is_some(), "input_type");
            let text = texts.pop().filter(|_| texts.is_empty());
            let rule = "this provider takes one text at a time";
            TitanEmbedRequest {
                input_text: text.ok_or_else(|| invalid("input", rule))?,
                dimensions: request.dimensions,
                ..Default::default()
            }
            .to_json()
        }
        Maker::Cohere => EmbedRequest {
            texts,
            input_type: request.input_type.unwrap_or("search_document".into()),
            embedding_types: vec!["float".into()],
            output_dimension: request.dimensions,
            ..Default::default()
        }
        .to_json(),
    };
    Ok(Translated {
        path: format!("/model/{model}/invoke"),
        headers: Vec::new(),
        body,
        warnings: warnings.into_inner(),
        asked,
    })
}

pub(super) fn response(body: &[u8], context: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
    match maker(context)? {
        Maker::Titan => {
            let answer = TitanEmbedResponse::from_json(body)?;
            vectors::write([answer.embedding], answer.input_text_token_count.get(), context, asked)
        }
        Maker::Cohere => {
            let answer = EmbedResponse::from_json(body)?;
            vectors::write(answer.embeddings.float, None, context, asked)
        }
    }
}

fn maker(context: &Context) -> Result<Maker, Error> {
    let model = &context.upstream_model;
    if model.contains("titan-embed") {
        Ok(Maker::Titan)
    } else if model.contains("cohere.") {
        Ok(Maker::Cohere)
    } else {
        let message = "The gateway does not know how this model takes embeddings.";
        Err(Error::new(Kind::UnsupportedCapability, message).param("model"))
    }
}
