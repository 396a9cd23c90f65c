//! `GET /v1/models` and `/v1/models/{id}`.

use serde_json::{Value, json};

use crate::model_server::call::{Answer, Call, Fault};

pub(crate) fn list(call: &Call) -> Result<Answer, Fault> {
    let models: Vec<Value> = call.listed.iter().map(|id| model(id)).collect();
    Ok(Answer::Json(json!({"object": "list", "data": models})))
}

pub(crate) fn one(call: &Call) -> Result<Answer, Fault> {
    match call.listed.contains(&call.model) {
        true => Ok(Answer::Json(model(&call.model))),
        false => Err(Fault::new(404, format!("The model '{}' does not exist", call.model))
            .param("model")
            .code("model_not_found")),
    }
}

fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "sim"})
}
