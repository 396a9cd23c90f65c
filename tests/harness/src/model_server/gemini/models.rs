//! `GET /v1beta/models` and `/v1beta/models/{id}`.

use serde_json::{Value, json};

use super::unknown_model;
use crate::model_server::call::{Answer, Call, Fault};

pub(crate) fn list(call: &Call) -> Result<Answer, Fault> {
    let models: Vec<Value> = call.listed.iter().map(|id| model(id)).collect();
    Ok(Answer::Json(json!({"models": models})))
}

pub(crate) fn one(call: &Call) -> Result<Answer, Fault> {
    match call.listed.contains(&call.model) {
        true => Ok(Answer::Json(model(&call.model))),
        false => Err(unknown_model(&call.model)),
    }
}

fn model(id: &str) -> Value {
    json!({"name": format!("models/{id}"), "version": "001", "displayName": id,
        "description": "repeats what it is told", "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536, "temperature": 1, "topP": 0.95, "topK": 64,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"]})
}
