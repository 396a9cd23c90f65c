//! Calls that a gateway passes through: images, audio, rerank, moderations.

use serde_json::{Value, json};

use super::{missing, need_model};
use crate::model_server::{
    answer::{Input, embedding},
    call::{Answer, Call, Fault},
    serve::form_field,
};

/// `POST /v1/images/generations` and, as a form, `/v1/images/edits`.
pub(crate) fn image(call: &Call) -> Result<Answer, Fault> {
    let prompt = match call.str("prompt") {
        Some(prompt) => prompt.to_owned(),
        None => form_field(&call.headers, &call.body, "prompt").ok_or_else(|| missing("prompt"))?,
    };
    let mut input = Input::default();
    input.text(&prompt);
    let tokens = input.tokens();
    Ok(Answer::Json(json!({
        "created": call.created,
        "data": [{"b64_json": PNG, "revised_prompt": prompt}],
        "usage": {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1,
            "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0}},
    })))
}

/// `POST /v1/audio/transcriptions`, a form: names the size of the file's part.
pub(crate) fn transcription(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let file = form_field(&call.headers, &call.body, "file").ok_or_else(|| missing("file"))?;
    Ok(Answer::Json(json!({
        "text": format!("You sent {} bytes.", file.len()),
        "usage": {"type": "tokens", "input_tokens": 1, "output_tokens": 4, "total_tokens": 5,
            "input_token_details": {"text_tokens": 0, "audio_tokens": 1}},
    })))
}

/// `POST /v1/audio/speech`: bytes that are no text.
pub(crate) fn speech(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let input = call.str("input").ok_or_else(|| missing("input"))?;
    let bytes = embedding(input, 64).iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(Answer::Document { content_type: "audio/mpeg", body: bytes })
}

/// `POST /v1/moderations`: nothing is flagged.
pub(crate) fn moderation(call: &Call) -> Result<Answer, Fault> {
    call.json.get("input").ok_or_else(|| missing("input"))?;
    let categories = ["harassment", "hate", "self-harm", "sexual", "violence"];
    let all = |value: Value| -> Value {
        categories.iter().map(|name| ((*name).to_owned(), value.clone())).collect()
    };
    Ok(Answer::Json(json!({"id": call.id("modr-"), "model": call.model, "results": [
        {"flagged": false, "categories": all(json!(false)), "category_scores": all(json!(0.0))}]})))
}

/// `POST /v1/rerank`: documents that share more words with the query come first.
pub(crate) fn rerank(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let query = call.str("query").ok_or_else(|| missing("query"))?;
    let documents = call.array("documents").ok_or_else(|| missing("documents"))?;
    let mut scored: Vec<(usize, usize)> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| {
            let text = document.get("text").unwrap_or(document).as_str().unwrap_or_default();
            let shared = text.split_whitespace().filter(|word| query.contains(word)).count();
            (index, shared)
        })
        .collect();
    scored.sort_by_key(|(index, shared)| (std::cmp::Reverse(*shared), *index));
    let top = call.u64("top_n").map_or(scored.len(), |top| top as usize);
    let results: Vec<Value> = scored
        .iter()
        .take(top)
        .map(|(index, shared)| {
            let score = 1.0 - 1.0 / (1.0 + *shared as f64);
            json!({"index": index, "relevance_score": score})
        })
        .collect();
    Ok(Answer::Json(json!({"id": call.id("rerank-"), "model": call.model, "results": results,
        "meta": {"billed_units": {"search_units": 1}}})))
}

/// One transparent pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
