//! The documents of a file, as Envoy would read them.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// One document, and how its values reach the filter.
pub(super) struct Document {
    pub(super) value: Value,
    /// The text, where it is YAML.
    yaml: Option<String>,
}

/// JSON, or one or more documents of YAML.
pub(super) fn read(text: &str) -> Result<Vec<Document>> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(vec![Document { value, yaml: None }]);
    }
    let documents = serde_norway::Deserializer::from_str(text).map(|document| {
        let value = Value::deserialize(document).context("it is neither YAML nor JSON")?;
        Ok(Document { value, yaml: Some(text.to_owned()) })
    });
    documents.filter(|read| !matches!(read, Ok(Document { value: Value::Null, .. }))).collect()
}

impl Document {
    /// A `google.protobuf.Struct` of this document as it reaches the filter. Of YAML, Envoy makes
    /// texts of fractions and of whole numbers beyond 32 bits, and booleans of some plain words.
    pub(super) fn structure(&self, value: &Value) -> Value {
        let Some(text) = &self.yaml else { return value.clone() };
        match value {
            Value::Number(number) if number.as_i64().is_none_or(|n| i32::try_from(n).is_err()) => {
                number.to_string().into()
            }
            Value::String(word) => match truth(word) {
                Some(truth) if !is_quoted(word, text) => truth.into(),
                _ => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.structure(item)).collect(),
            Value::Object(object) => {
                let members = object.iter().map(|(key, item)| (key.clone(), self.structure(item)));
                Value::Object(members.collect())
            }
            _ => value.clone(),
        }
    }
}

fn truth(word: &str) -> Option<bool> {
    let lower = word.to_ascii_lowercase();
    match lower.as_str() {
        "y" | "yes" | "on" => Some(true),
        "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The reader of YAML does not tell, so a word that stands in quotes anywhere counts as quoted.
fn is_quoted(word: &str, text: &str) -> bool {
    ['"', '\''].iter().any(|quote| text.contains(&format!("{quote}{word}{quote}")))
}
