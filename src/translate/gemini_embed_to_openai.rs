//! Gemini's `embedContent` and `batchEmbedContents` at a server that speaks OpenAI's embeddings.
//!
//! | Gemini | OpenAI |
//! |---|---|
//! | the text of `content`, of each request | `input` |
//! | `outputDimensionality` | `dimensions` |
//! | `taskType` `RETRIEVAL_QUERY`, `RETRIEVAL_DOCUMENT`, `CLASSIFICATION`, `CLUSTERING` | `input_type` `search_query`, `search_document`, `classification`, `clustering` for other providers |
//!
//! Refused: parts that are no text, requests of a batch that differ in `taskType` or
//! `outputDimensionality`.
//!
//! Left out with a warning: `taskType` at a server that speaks OpenAI's own protocol, all fields
//! that are not known here (`title`, `autoTruncate`).
//!
//! Answers: a count of tokens that was only estimated is not told.

use std::borrow::Cow;

use super::fields::{Warnings, invalid, unsupported};
use super::{Asked, Context, Translated, vectors};
use crate::error::Error;
use crate::protocol::gemini::{
    BatchEmbedContentsRequest, BatchEmbedContentsResponse, Content, ContentEmbedding,
    EmbedContentRequest, EmbedContentResponse, UsageMetadata,
};
use crate::protocol::openai::EmbeddingRequest;
use crate::protocol::openai::embeddings::Input;
use crate::protocol::wire::{self, Raw, Rest};

pub(super) use super::failure::openai as error;
pub(super) use super::vectors::NoStream as Stream;

pub(super) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let mut warnings = Warnings::default();
    let batch = wire::read::<Rest<'_>>(body)?.get("requests").is_some();
    let requests = if batch {
        let request = BatchEmbedContentsRequest::from_json(body)?;
        warnings.rest(&request.rest);
        request.requests
    } else {
        vec![EmbedContentRequest::from_json(body)?]
    };
    let mut texts = Vec::with_capacity(requests.len());
    let mut wishes: Option<Wishes<'_>> = None;
    for (index, request) in requests.into_iter().enumerate() {
        let at = if batch { format!("requests[{index}].") } else { String::new() };
        let EmbedContentRequest { content, task_type, output_dimensionality, config, rest, .. } =
            request;
        warnings.rest(&rest);
        let config = config.unwrap_or_default();
        warnings.rest(&config.rest);
        let own = Wishes {
            task: task_type.or(config.task_type),
            dimensions: output_dimensionality.or(config.output_dimensionality),
        };
        if wishes.as_ref().is_some_and(|wishes| *wishes != own) {
            let rule =
                "all requests of a batch must have the same taskType and outputDimensionality";
            return Err(invalid(format!("requests[{index}]"), rule));
        }
        wishes = Some(own);
        texts.push(text(content, &at)?);
    }
    let Wishes { task, dimensions } = wishes.unwrap_or_default();
    warnings.add_if(task.is_some() && !context.between, "taskType");
    let translated = EmbeddingRequest {
        model: Some(context.upstream_model.as_str().into()),
        input: Input::Texts(texts),
        dimensions,
        input_type: task.filter(|_| context.between).map(|task| match &*task {
            "RETRIEVAL_QUERY" => "search_query".into(),
            "RETRIEVAL_DOCUMENT" => "search_document".into(),
            "CLASSIFICATION" => "classification".into(),
            "CLUSTERING" => "clustering".into(),
            _ => task,
        }),
        ..Default::default()
    };
    Ok(Translated {
        path: "/embeddings".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked { batch, ..Asked::default() },
    })
}

/// What all requests of a batch must agree on.
#[derive(Default, PartialEq)]
struct Wishes<'a> {
    task: Option<Cow<'a, str>>,
    dimensions: Option<u64>,
}

fn text<'a>(content: Content<'a>, at: &str) -> Result<Cow<'a, str>, Error> {
    let mut texts = Vec::new();
    for (index, part) in content.parts.into_iter().flatten().enumerate() {
        let field = || unsupported(format!("{at}content.parts[{index}]"));
        texts.push(part.text.ok_or_else(field)?);
    }
    Ok(match texts.len() {
        1 => texts.remove(0),
        _ => texts.concat().into(),
    })
}

pub(super) fn response(body: &[u8], _: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
    let (embeddings, tokens) = vectors::read(body)?;
    let usage_metadata = tokens
        .map(|tokens| UsageMetadata { prompt_token_count: tokens.into(), ..Default::default() })
        .map(|usage| Raw::from_wire(&usage));
    let mut embeddings =
        embeddings.into_iter().map(|values| ContentEmbedding { values, ..Default::default() });
    if asked.batch {
        let embeddings = embeddings.collect();
        let answer =
            BatchEmbedContentsResponse { embeddings, usage_metadata, ..Default::default() };
        return Ok(answer.to_json());
    }
    let embedding = embeddings.next().ok_or_else(super::failure::garbled)?;
    Ok(EmbedContentResponse { embedding, usage_metadata, ..Default::default() }.to_json())
}
