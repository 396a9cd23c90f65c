//! `GET /v1/models` and `/v1/models/{id}` with the header `anthropic-version`.

use serde_json::{Value, json};

use super::unknown_model;
use crate::model_server::call::{Answer, Call, Fault};

pub(crate) fn list(call: &Call) -> Result<Answer, Fault> {
    let models: Vec<Value> = call.listed.iter().map(|id| model(id)).collect();
    Ok(Answer::Json(json!({"data": models, "has_more": false,
        "first_id": call.listed.first(), "last_id": call.listed.last()})))
}

pub(crate) fn one(call: &Call) -> Result<Answer, Fault> {
    match call.listed.contains(&call.model) {
        true => Ok(Answer::Json(model(&call.model))),
        false => Err(unknown_model(&call.model)),
    }
}

fn model(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2025-01-01T00:00:00Z"})
}
