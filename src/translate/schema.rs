//! JSON schemas on their way to a provider that is stricter than OpenAI. Members keep their order,
//! which models follow.

use serde_json::Value;

use crate::protocol::wire::{self, Members, Raw, Rest, Wire};

/// Says `additionalProperties: false` of every object that says nothing about it: Anthropic takes
/// no other for structured output.
pub(super) fn closed<'a>(schema: &Raw<'a>) -> Raw<'a> {
    let mut out = Vec::new();
    close(schema, Is::Schema, &mut out);
    String::from_utf8(out).ok().and_then(Raw::new).unwrap_or_else(|| schema.clone())
}

/// The schema of a tool's arguments, which are an object even where it does not say so.
pub(super) fn object(schema: Raw<'_>) -> Raw<'_> {
    match wire::read::<Rest<'_>>(schema.as_str().as_bytes()) {
        Ok(mut members) if members.get("type").is_none() => {
            members.push("type", Raw::from(Value::from("object")));
            Raw::from_wire(&members)
        }
        _ => schema,
    }
}

/// Whether a schema keeps OpenAI's rules for strict ones: every object is closed and requires all
/// of its properties.
pub(super) fn is_strict(schema: &Raw<'_>) -> bool {
    schema.value().is_some_and(|schema| is_strict_value(&schema))
}

fn is_strict_value(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            let required = members.get("required").and_then(Value::as_array);
            let requires = |name: &String| {
                required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)))
            };
            let closed = match members.get("properties").and_then(Value::as_object) {
                Some(properties) => {
                    members.get("additionalProperties") == Some(&Value::Bool(false))
                        && properties.keys().all(requires)
                }
                None => true,
            };
            closed && members.values().all(is_strict_value)
        }
        Value::Array(items) => items.iter().all(is_strict_value),
        _ => true,
    }
}

/// What a value in a schema is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Schema,
    /// An object of schemas under names of the caller's.
    Named,
    /// A value that may look like a schema and is none.
    Value,
}

impl Is {
    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Schema, "properties" | "patternProperties" | "$defs" | "definitions") => {
                Self::Named
            }
            (Self::Schema, "const" | "enum" | "default" | "examples" | "required" | "type") => {
                Self::Value
            }
            _ => Self::Schema,
        }
    }
}

fn close(value: &Raw<'_>, is: Is, out: &mut Vec<u8>) {
    let json = value.as_str().as_bytes();
    match (is, json.first()) {
        (Is::Schema, Some(b'[')) => {
            let items: Vec<Raw<'_>> = wire::read(json).unwrap_or_default();
            let closed = items.iter().map(|item| {
                let mut closed = Vec::new();
                close(item, is, &mut closed);
                closed
            });
            out.push(b'[');
            out.extend(closed.collect::<Vec<_>>().join(&b','));
            out.push(b']');
        }
        (Is::Schema | Is::Named, Some(b'{')) => {
            let members: Rest<'_> = wire::read(json).unwrap_or_default();
            let mut written = Members::new(out);
            for (key, value) in members.raw() {
                let inner = is.under(&key.text().unwrap_or_default());
                written.raw(key, |out| close(value, inner, out));
            }
            if is == Is::Schema && is_open(&members) {
                written.put("additionalProperties", &false);
            }
            written.end();
        }
        _ => value.write(out),
    }
}

/// An object that says nothing about other properties.
fn is_open(schema: &Rest<'_>) -> bool {
    let is_object = schema.get("type").is_some_and(|kind| match kind.text() {
        Some(kind) => kind == "object",
        None => kind.as_str().contains("\"object\""),
    });
    is_object && schema.get("additionalProperties").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_closed_and_the_order_stays() {
        let cases = [
            (r#"{"type":"object"}"#, r#"{"type":"object","additionalProperties":false}"#),
            (
                r#"{"type":["object", "null"]}"#,
                r#"{"type":["object", "null"],"additionalProperties":false}"#,
            ),
            (
                r#"{"type":"object","additionalProperties":true}"#,
                r#"{"type":"object","additionalProperties":true}"#,
            ),
            (
                r#"{"properties":{"z":{"type":"object"},"type":{"type":"object"}},"anyOf":[{"type":"object"}, 1]}"#,
                r#"{"properties":{"z":{"type":"object","additionalProperties":false},"type":{"type":"object","additionalProperties":false}},"anyOf":[{"type":"object","additionalProperties":false},1]}"#,
            ),
            (
                r#"{"default":{"type":"object"},"enum":[{"type":"object"}]}"#,
                r#"{"default":{"type":"object"},"enum":[{"type":"object"}]}"#,
            ),
            ("true", "true"),
        ];
        for (schema, expected) in cases {
            assert_eq!(closed(&Raw::new(schema).unwrap()).as_str(), expected);
        }
    }
}
