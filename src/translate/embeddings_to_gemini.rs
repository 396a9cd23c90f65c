//! OpenAI embeddings at Google's Gemini API.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `input`, each text | a request of `batchEmbedContents` |
//! | `dimensions` | `outputDimensionality` |
//! | `input_type` `search_query`, `search_document`, `classification`, `clustering`, others | `taskType` `RETRIEVAL_QUERY`, `RETRIEVAL_DOCUMENT`, `CLASSIFICATION`, `CLUSTERING`, the same |
//! | `encoding_format: base64` | done here |
//!
//! Refused: tokens as input. Left out with a warning: `user`, all fields that are not known here.
//! Where Gemini tells no usage it is estimated, and the answer says so.

use super::fields::Warnings;
use super::{Asked, Context, Translated, path, vectors};
use crate::error::Error;
use crate::protocol::gemini::{
    BatchEmbedContentsRequest, BatchEmbedContentsResponse, Content, EmbedContentRequest, Part,
    UsageMetadata,
};
use crate::protocol::openai::EmbeddingRequest;

pub(super) use super::openai_to_gemini::error;
pub(super) use super::vectors::NoStream as Stream;

pub(super) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = EmbeddingRequest::from_json(body)?;
    let model = path::segment(&context.upstream_model)?;
    let mut warnings = Warnings::default();
    let asked = vectors::asked(&request, &mut warnings)?;
    let name = format!("models/{}", context.upstream_model);
    let task = request.input_type.map(|kind| match &*kind {
        "search_query" => "RETRIEVAL_QUERY".into(),
        "search_document" => "RETRIEVAL_DOCUMENT".into(),
        "classification" => "CLASSIFICATION".into(),
        "clustering" => "CLUSTERING".into(),
        _ => kind,
    });
    let requests = vectors::texts(request.input)?.into_iter().map(|text| {
        let part = Part { text: Some(text), ..Default::default() };
        EmbedContentRequest {
            model: Some(name.as_str().into()),
            content: Content { parts: Some(vec![part]), ..Default::default() },
            task_type: task.clone(),
            output_dimensionality: request.dimensions,
            ..Default::default()
        }
    });
    let translated =
        BatchEmbedContentsRequest { requests: requests.collect(), ..Default::default() };
    Ok(Translated {
        path: format!("/models/{model}:batchEmbedContents"),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked,
    })
}

pub(super) fn response(body: &[u8], context: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
    let answer = BatchEmbedContentsResponse::from_json(body)?;
    let tokens =
        answer.usage_metadata.as_ref().and_then(UsageMetadata::usage).map(|usage| usage.input);
    let values = answer.embeddings.into_iter().map(|embedding| embedding.values);
    vectors::write(values, tokens, context, asked)
}
