//! `POST /v2/embed`, and the same models at Bedrock.

use serde_json::{Map, Value, json};

use super::{check, id};
use crate::model_server::{
    answer::{Input, embedding},
    call::{Answer, Call, Fault},
    shape::{Field, MAY, NEED, Shape},
};

pub(crate) fn answer(call: &Call) -> Result<Answer, Fault> {
    check(&REQUEST, &call.json)?;
    let (mut answer, input) = embedded(call)?;
    answer["meta"] = json!({"api_version": {"version": "2"}});
    if !call.controls.no_usage {
        answer["meta"]["billed_units"] = json!({"input_tokens": input.tokens()});
    }
    Ok(Answer::Json(answer))
}

/// The answer to a request whose shape is right, without what it cost.
pub(crate) fn embedded(call: &Call) -> Result<(Value, Input), Fault> {
    let texts: Vec<&str> =
        call.array("texts").into_iter().flatten().filter_map(Value::as_str).collect();
    let dimensions = call.u64("output_dimension").unwrap_or(256) as usize;
    if ![256, 512, 1024, 1536].contains(&dimensions) {
        let message = "invalid request: output_dimension must be one of 256, 512, 1024, 1536";
        return Err(Fault::new(400, message));
    }
    let mut input = Input::default();
    texts.iter().for_each(|text| input.text(text));
    let vectors: Vec<_> = texts.iter().map(|text| embedding(text, dimensions)).collect();
    let mut answer = json!({"id": id(call), "texts": texts});
    match call.array("embedding_types") {
        Some(types) => {
            let by_type = types.iter().filter_map(Value::as_str);
            let by_type = by_type.map(|kind| (kind.to_owned(), json!(vectors)));
            answer["embeddings"] = Value::Object(Map::from_iter(by_type));
            answer["response_type"] = json!("embeddings_by_type");
        }
        None => {
            answer["embeddings"] = json!(vectors);
            answer["response_type"] = json!("embeddings_floats");
        }
    }
    Ok((answer, input))
}

const TEXTS: Field = ("texts", NEED, Shape::List(1, 96, &Shape::Full));
const INPUT_TYPE: Field = (
    "input_type",
    NEED,
    Shape::Word(&["search_document", "search_query", "classification", "clustering", "image"]),
);
const DIMENSION: Field = ("output_dimension", MAY, Shape::Whole(1, 1536));
const TRUNCATE: Field = ("truncate", MAY, Shape::Word(&["NONE", "START", "END", "LEFT", "RIGHT"]));
/// The one that this server can make.
static FLOAT: Shape = Shape::Word(&["float"]);

static REQUEST: Shape = Shape::Object(&[
    ("model", NEED, Shape::Full),
    TEXTS,
    INPUT_TYPE,
    ("embedding_types", NEED, Shape::List(1, 1, &Shape::Ref(&FLOAT))),
    DIMENSION,
    TRUNCATE,
    ("max_tokens", MAY, Shape::Whole(1, i64::MAX)),
    ("priority", MAY, Shape::Whole(0, 999)),
]);

/// At Bedrock the path has the model.
pub(crate) static INVOKED: Shape = Shape::Object(&[
    TEXTS,
    INPUT_TYPE,
    ("embedding_types", MAY, Shape::List(1, 1, &Shape::Ref(&FLOAT))),
    DIMENSION,
    TRUNCATE,
]);
