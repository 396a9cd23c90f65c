//! Schemas for structured output as Anthropic takes them. Members keep their order, which models
//! follow.

use serde_json::Value;

use crate::protocol::wire::{self, Members, Raw, Rest, Wire};

/// Every object is closed, and rules that are
/// not known there stand in the description, for the model to follow.
pub(super) fn closed<'a>(schema: &Raw<'a>) -> Raw<'a> {
    let mut out = Vec::new();
    close(schema, Is::Schema, &mut out);
    String::from_utf8(out).ok().and_then(Raw::new).unwrap_or_else(|| schema.clone())
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
