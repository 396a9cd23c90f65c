//! `POST /v1/embeddings`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{missing, need_model};
use crate::model_server::{
    answer::{Input, embedding},
    call::{Answer, Call, Fault},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    need_model(call)?;
    let inputs: Vec<String> = match call.json.get("input") {
        Some(Value::String(text)) => vec![text.clone()],
        // Token numbers: the whole list is one input.
        Some(Value::Array(list)) if list.first().is_some_and(Value::is_number) => {
            vec![call.json["input"].to_string()]
        }
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect(),
        _ => return Err(missing("input")),
    };
    let dimensions = call.u64("dimensions").unwrap_or(DIMENSIONS).clamp(1, MAX_DIMENSIONS) as usize;
    let mut input = Input::default();
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            input.text(text);
            let vector = embedding(text, dimensions);
            let vector = match call.str("encoding_format") {
                Some("base64") => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                    json!(STANDARD.encode(bytes))
                }
                _ => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    let mut answer = json!({"object": "list", "data": data, "model": call.model});
    if !call.controls.no_usage {
        let tokens = input.tokens();
        answer["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    }
    Ok(Answer::Json(answer))
}

const DIMENSIONS: u64 = 64;
const MAX_DIMENSIONS: u64 = 4096;
