//! `POST /model/{model}/invoke` of models that embed, each in its maker's words.

use serde_json::{Value, json};

use super::check;
use crate::model_server::{
    answer::{Input, embedding},
    call::{Answer, Call, Fault},
    cohere,
    shape::{MAY, NEED, Shape},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    match &call.model {
        model if model.contains("titan-embed") => titan(call),
        model if model.contains("cohere.embed") => {
            check(&cohere::embed::INVOKED, &call.json)?;
            let (answer, _) = cohere::embed::embedded(call)?;
            Ok(Answer::Json(answer))
        }
        _ => Err(Fault::new(400, "Operation not allowed: this model does not embed.")),
    }
}

fn titan(call: &Call) -> Result<Answer, Fault> {
    check(&TITAN, &call.json)?;
    let text = call.str("inputText").unwrap_or_default();
    let dimensions = call.u64("dimensions").unwrap_or(1024) as usize;
    if ![256, 512, 1024].contains(&dimensions) {
        let message = "Malformed input request: #/dimensions: must be one of 256, 512, 1024";
        return Err(Fault::new(400, message));
    }
    let mut input = Input::default();
    input.text(text);
    let vector = embedding(text, dimensions);
    let mut answer: Value = json!({"embedding": vector, "embeddingsByType": {"float": vector}});
    if !call.controls.no_usage {
        answer["inputTextTokenCount"] = json!(input.tokens());
    }
    Ok(Answer::Json(answer))
}

static TITAN: Shape = Shape::Object(&[
    ("inputText", NEED, Shape::Full),
    ("dimensions", MAY, Shape::Whole(1, 4096)),
    ("normalize", MAY, Shape::Flag),
    ("embeddingTypes", MAY, Shape::List(1, 2, &Shape::Word(&["float", "binary"]))),
]);
