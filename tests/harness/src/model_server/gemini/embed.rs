//! `POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`.

use serde_json::{Value, json};

use super::{checked, fields::CONTENT, request::list};
use crate::model_server::{
    answer::{Input, embedding},
    call::{Answer, Call, Fault},
    shape::{MAY, NEED, Shape},
};

pub(crate) fn one(call: &Call) -> Result<Answer, Fault> {
    let mut input = Input::default();
    let vector = embed(&checked(&ONE, &call.json)?, &mut input)?;
    Ok(Answer::Json(with_usage(json!({"embedding": {"values": vector}}), input, call)))
}

pub(crate) fn batch(call: &Call) -> Result<Answer, Fault> {
    let body = checked(&BATCH, &call.json)?;
    let mut input = Input::default();
    let mut vectors = Vec::new();
    for (index, request) in list(Some(&body), "requests").iter().enumerate() {
        if request["model"] != format!("models/{}", call.model) {
            let message = format!(
                "* BatchEmbedContentsRequest.requests[{index}].model: the model must be that of \
                 the batch\n"
            );
            return Err(Fault::new(400, message));
        }
        vectors.push(json!({"values": embed(request, &mut input)?}));
    }
    Ok(Answer::Json(with_usage(json!({"embeddings": vectors}), input, call)))
}

fn embed(request: &Value, input: &mut Input) -> Result<Vec<f32>, Fault> {
    let parts = list(request.get("content"), "parts").iter();
    let texts: Vec<&str> = parts.filter_map(|part| part["text"].as_str()).collect();
    if texts.iter().all(|text| text.is_empty()) {
        return Err(Fault::new(400, "Unable to submit request because it has an empty text."));
    }
    let text = texts.join(" ");
    input.text(&text);
    let dimensions = request["outputDimensionality"].as_u64().unwrap_or(64) as usize;
    Ok(embedding(&text, dimensions))
}

fn with_usage(mut answer: Value, input: Input, call: &Call) -> Value {
    if !call.controls.no_usage {
        answer["usageMetadata"] = json!({"promptTokenCount": input.tokens(),
            "promptTokenDetails": [{"modality": "TEXT", "tokenCount": input.tokens()}]});
    }
    answer
}

static ONE: Shape = Shape::Object(&[
    ("model", MAY, Shape::Full),
    ("content", NEED, Shape::Ref(&CONTENT)),
    (
        "taskType",
        MAY,
        Shape::Word(&[
            "TASK_TYPE_UNSPECIFIED",
            "RETRIEVAL_QUERY",
            "RETRIEVAL_DOCUMENT",
            "SEMANTIC_SIMILARITY",
            "CLASSIFICATION",
            "CLUSTERING",
            "QUESTION_ANSWERING",
            "FACT_VERIFICATION",
            "CODE_RETRIEVAL_QUERY",
        ]),
    ),
    ("title", MAY, Shape::Text),
    ("outputDimensionality", MAY, Shape::Whole(1, 4096)),
]);

static BATCH: Shape = Shape::Object(&[("requests", NEED, Shape::List(1, 100, &ONE))]);
