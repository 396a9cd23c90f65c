//! JSON schemas on their way to a provider that is stricter than OpenAI. Members keep their order,
//! which models follow.

use serde_json::{Value, json};

use crate::protocol::wire::{self, Members, Raw, Rest, Wire};

/// A schema for structured output as Anthropic takes it: every object is closed, and rules that are
/// not known there stand in the description, for the model to follow.
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

/// What becomes of a member of a schema.
enum Member {
    Stays(Is),
    /// Another keyword for nearly the same.
    Becomes(&'static str),
    /// Said anew, or about the schema and not about values.
    Goes,
    /// Becomes words.
    Told,
}

fn member(key: &str, value: &Raw<'_>) -> Member {
    match key {
        "properties" | "$defs" | "definitions" => Member::Stays(Is::Named),
        "items" | "anyOf" | "allOf" => Member::Stays(Is::Schema),
        "oneOf" => Member::Becomes("anyOf"),
        "type" | "enum" | "const" | "default" | "required" | "title" | "$ref" => {
            Member::Stays(Is::Value)
        }
        "format" if value.text().is_some_and(|format| FORMATS.contains(&&*format)) => {
            Member::Stays(Is::Value)
        }
        "minItems" if matches!(value.as_str(), "0" | "1") => Member::Stays(Is::Value),
        "additionalProperties" | "description" | "$schema" | "$id" | "$comment" => Member::Goes,
        _ => Member::Told,
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
        (Is::Schema, Some(b'{')) => close_schema(&wire::read(json).unwrap_or_default(), out),
        (Is::Named, Some(b'{')) => {
            let members: Rest<'_> = wire::read(json).unwrap_or_default();
            let mut written = Members::new(out);
            for (key, value) in members.raw() {
                written.raw(key, |out| close(value, Is::Schema, out));
            }
            written.end();
        }
        _ => value.write(out),
    }
}

fn close_schema(members: &Rest<'_>, out: &mut Vec<u8>) {
    let mut told = Vec::new();
    let mut written = Members::new(out);
    for (key, value) in members.raw() {
        let name = key.text().unwrap_or_default();
        match member(&name, value) {
            Member::Stays(inner) => written.raw(key, |out| close(value, inner, out)),
            Member::Becomes(other) if members.get(other).is_none() => {
                let key = Raw::from(Value::from(other));
                written.raw(&key, |out| close(value, Is::Schema, out));
            }
            Member::Becomes(_) | Member::Told => told.push(format!("{name}: {}", value.as_str())),
            Member::Goes => {}
        }
    }
    let mut description = members.get("description").and_then(Raw::text).unwrap_or_default();
    if !told.is_empty() {
        let gap = if description.is_empty() { "" } else { "\n\n" };
        description = format!("{description}{gap}{{{}}}", told.join(", ")).into();
    }
    if !description.is_empty() {
        written.put("description", &description);
    }
    if is_object(members) {
        written.put("additionalProperties", &false);
    }
    written.end();
}

fn is_object(schema: &Rest<'_>) -> bool {
    schema.get("type").is_some_and(|kind| match kind.text() {
        Some(kind) => kind == "object",
        None => kind.as_str().contains("\"object\""),
    })
}

/// Of strings.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn every_object_is_closed_and_the_order_stays() {
        let cases = [
            (r#"{"type":"object"}"#, r#"{"type":"object","additionalProperties":false}"#),
            (
                r#"{"type":["object", "null"]}"#,
                r#"{"type":["object", "null"],"additionalProperties":false}"#,
            ),
            (
                r#"{"type":"object","additionalProperties":true,"$schema":"x"}"#,
                r#"{"type":"object","additionalProperties":false}"#,
            ),
            (
                r#"{"properties":{"z":{"type":"object"},"type":{"type":"object"}},"anyOf":[{"type":"object"}, 1]}"#,
                r#"{"properties":{"z":{"type":"object","additionalProperties":false},"type":{"type":"object","additionalProperties":false}},"anyOf":[{"type":"object","additionalProperties":false},1]}"#,
            ),
            (
                r#"{"default":{"type":"object"},"enum":[{"type":"object"}]}"#,
                r#"{"default":{"type":"object"},"enum":[{"type":"object"}]}"#,
            ),
            (
                r#"{"type":"integer","description":"n","minimum":1,"maximum":9}"#,
                r#"{"type":"integer","description":"n\u000a\u000a{minimum: 1, maximum: 9}"}"#,
            ),
            (
                r#"{"type":"string","format":"date","pattern":"\"+"}"#,
                r#"{"type":"string","format":"date","description":"{pattern: \"\\\"+\"}"}"#,
            ),
            (
                r#"{"type":"array","minItems":2,"items":{"oneOf":[{"type":"object"}]}}"#,
                r#"{"type":"array","items":{"anyOf":[{"type":"object","additionalProperties":false}]},"description":"{minItems: 2}"}"#,
            ),
            (
                r#"{"description":"a","properties":{"description":{"type":"string"}}}"#,
                r#"{"properties":{"description":{"type":"string"}},"description":"a"}"#,
            ),
            ("true", "true"),
        ];
        for (schema, expected) in cases {
            assert_eq!(closed(&Raw::new(schema).unwrap()).as_str(), expected);
        }
    }
}
