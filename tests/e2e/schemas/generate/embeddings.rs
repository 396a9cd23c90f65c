//! OpenAI's embeddings.

use serde_json::{Value, json};

use super::{Dice, Fields};

pub(super) fn request(dice: &mut Dice) -> Value {
    let input = dice.pick(&[
        json!("Hello"),
        json!(["a", "b", "Grüße"]),
        json!(["one"]),
        json!([1, 2, 3]),
        json!([[1], [2, 3]]),
    ]);
    let mut fields = Fields::new(json!({"model": "any-model", "input": input}));
    fields.maybe(dice, 40, "dimensions", &[json!(256), json!(1024)]);
    fields.maybe(dice, 40, "encoding_format", &[json!("float"), json!("base64")]);
    fields.maybe(dice, 20, "user", &[json!("u")]);
    fields.maybe(
        dice,
        30,
        "input_type",
        &["search_query", "search_document", "classification", "clustering"].map(Value::from),
    );
    fields.done()
}
