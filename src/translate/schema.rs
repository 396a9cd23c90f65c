//! JSON schemas on their way to a provider that is stricter than OpenAI. Members keep their order,
//! which models follow.

use serde_json::{Value, json};

use crate::protocol::wire::{self, Members, Raw, Rest, Wire};

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

/// A schema as Gemini's API has it, as a JSON schema: its types are in upper case, `nullable` is a
/// type, counts may be texts, and names may be spelled in two ways.
pub(super) fn from_gemini<'a>(schema: &Raw<'_>) -> Raw<'a> {
    let mut out = Vec::new();
    to_json_schema(schema, Is::Schema, &mut out);
    raw(out)
}

fn to_json_schema(value: &Raw<'_>, is: Is, out: &mut Vec<u8>) {
    let json = value.as_str().as_bytes();
    match (is, json.first()) {
        (Is::Schema, Some(b'[')) => {
            let items: Vec<Raw<'_>> = wire::read(json).unwrap_or_default();
            items.iter().map(from_gemini).collect::<Vec<_>>().write(out);
        }
        (Is::Schema | Is::Named, Some(b'{')) => {
            let members: Rest<'_> = wire::read(json).unwrap_or_default();
            let flag = |name| members.get(name).is_some_and(|flag| flag.as_str() == "true");
            let nullable = is == Is::Schema && flag("nullable");
            let mut written = Members::new(out);
            for (name, value) in members.iter() {
                if is == Is::Named {
                    written.put(&name, &from_gemini(value));
                    continue;
                }
                match json_name(&name) {
                    "nullable" | "propertyOrdering" => {}
                    // A word for enumerations that JSON schemas do not know.
                    "format" if value.as_str() == "\"enum\"" => {}
                    "type" => written.put("type", &kind(value, nullable)),
                    "anyOf" if nullable && members.get("type").is_none() => {
                        let mut any = Vec::new();
                        to_json_schema(value, Is::Schema, &mut any);
                        let mut any: Vec<Raw<'_>> = wire::read(&any).unwrap_or_default();
                        any.push(Raw::literal("{\"type\":\"null\"}"));
                        written.put("anyOf", &any);
                    }
                    name if COUNTS.contains(&name) => written.put(name, &count(value)),
                    name => {
                        let mut inner = Vec::new();
                        to_json_schema(value, is.under(name), &mut inner);
                        written.put(name, &raw(inner));
                    }
                }
            }
            written.end();
        }
        _ => value.write(out),
    }
}

/// A schema as Gemini takes it: beside a reference stands nothing but what begins with `$`.
pub(super) fn references_alone(schema: Raw<'_>) -> Raw<'_> {
    if !schema.as_str().contains("\"$ref\"") {
        return schema;
    }
    let mut out = Vec::new();
    leave_alone(&schema, Is::Schema, &mut out);
    raw(out)
}

fn leave_alone(value: &Raw<'_>, is: Is, out: &mut Vec<u8>) {
    let json = value.as_str().as_bytes();
    match (is, json.first()) {
        (Is::Schema, Some(b'[')) => {
            let items: Vec<Raw<'_>> = wire::read(json).unwrap_or_default();
            items.into_iter().map(references_alone).collect::<Vec<_>>().write(out);
        }
        (Is::Schema | Is::Named, Some(b'{')) => {
            let members: Rest<'_> = wire::read(json).unwrap_or_default();
            let refers =
                is == Is::Schema && members.get("$ref").is_some_and(|it| it.text().is_some());
            let mut written = Members::new(out);
            for (name, value) in members.iter().filter(|(name, _)| !refers || name.starts_with('$'))
            {
                let mut inner = Vec::new();
                let within = if is == Is::Named { Is::Schema } else { is.under(&name) };
                leave_alone(value, within, &mut inner);
                written.put(&name, &raw(inner));
            }
            written.end();
        }
        _ => value.write(out),
    }
}

/// `STRING` as `"string"`, or what it is where it is no text.
fn kind<'a>(value: &Raw<'_>, nullable: bool) -> Raw<'a> {
    let Some(kind) = value.text() else { return raw(value.as_str().into()) };
    let kind = kind.to_ascii_lowercase();
    if nullable { Raw::from(&json!([kind, "null"])) } else { Raw::from(&json!(kind)) }
}

/// Google writes counts of 64 bits as texts.
fn count<'a>(value: &Raw<'_>) -> Raw<'a> {
    let digits = value.text().and_then(|digits| digits.parse::<u64>().ok());
    digits.map_or_else(|| raw(value.as_str().into()), |count| Raw::from(&json!(count)))
}

fn json_name(name: &str) -> &str {
    let known = SNAKE.iter().find(|(snake, _)| *snake == name);
    known.map_or(name, |(_, camel)| camel)
}

/// What was written of JSON is JSON.
fn raw<'a>(json: Vec<u8>) -> Raw<'a> {
    String::from_utf8(json).ok().and_then(Raw::new).unwrap_or_default()
}

const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

const SNAKE: [(&str, &str); 9] = [
    ("any_of", "anyOf"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("property_ordering", "propertyOrdering"),
    ("additional_properties", "additionalProperties"),
];

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
            (
                Self::Schema,
                "const" | "enum" | "default" | "example" | "examples" | "required" | "type",
            ) => Self::Value,
            _ => Self::Schema,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_a_reference_stands_nothing() {
        let cases = [
            (r#"{"type":"object"}"#, r#"{"type":"object"}"#),
            (
                r##"{"$defs":{"x":{"type":"string","description":"s"}},"properties":{"$ref":{"type":"string"},"a":{"$ref":"#/$defs/x","description":"d","default":null},"b":{"anyOf":[{"$ref":"#/$defs/x","title":"t"},{"type":"null"}]}}}"##,
                r##"{"$defs":{"x":{"type":"string","description":"s"}},"properties":{"$ref":{"type":"string"},"a":{"$ref":"#/$defs/x"},"b":{"anyOf":[{"$ref":"#/$defs/x"},{"type":"null"}]}}}"##,
            ),
        ];
        for (schema, expected) in cases {
            assert_eq!(references_alone(Raw::new(schema).unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn a_schema_of_geminis_is_a_json_schema_in_the_same_order() {
        let cases = [
            (r#"{"type":"STRING"}"#, r#"{"type":"string"}"#),
            (
                r#"{"type":"OBJECT","properties":{"z":{"type":"INTEGER","nullable":true},"type":{"type":"ARRAY","minItems":"2","items":{"type":"STRING","format":"enum","enum":["A"]}}},"propertyOrdering":["z"],"required":["z"]}"#,
                r#"{"type":"object","properties":{"z":{"type":["integer","null"]},"type":{"type":"array","minItems":2,"items":{"type":"string","enum":["A"]}}},"required":["z"]}"#,
            ),
            (
                r#"{"any_of":[{"type":"NUMBER"}],"nullable":true,"default":{"type":"X"}}"#,
                r#"{"anyOf":[{"type":"number"},{"type":"null"}],"default":{"type":"X"}}"#,
            ),
            (r#"{"type":["string","null"]}"#, r#"{"type":["string","null"]}"#),
        ];
        for (schema, expected) in cases {
            assert_eq!(from_gemini(&Raw::new(schema).unwrap()).as_str(), expected);
        }
    }
}
