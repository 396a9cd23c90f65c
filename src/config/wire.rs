//! The bytes of a plugin configuration as one tree.
//!
//! Envoy hands over a `google.protobuf.Struct` (YAML in the Envoy configuration) as its protobuf
//! bytes, and a `StringValue` as its text, which must be JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    List(Box<[Value]>),
    Object(Members),
}

/// Sorted by key, since a Struct has no order; a key that was written twice stands twice.
pub(super) type Members = Box<[(Box<str>, Value)]>;

/// Why bytes are no configuration at all.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("found {0} bytes, expected at most {MAX_BYTES}")]
    TooLong(usize),
    #[error("found values inside each other more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("found what is no JSON: {0}")]
    Json(String),
    #[error("found neither a google.protobuf.Struct (YAML) nor the text of a JSON object")]
    Neither,
}

/// Reads a configuration; of nothing at all, an empty object.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable::TooLong(bytes.len()));
    }
    let text = bytes.trim_ascii_start();
    // A line feed starts a Struct as well as a JSON text that begins with an empty line. No text of
    // JSON is also a whole Struct.
    let structure = match bytes.first() {
        Some(&ENTRIES) => Some(object(bytes, MAX_DEPTH)),
        _ => None,
    };
    match (structure, text.first()) {
        (Some(Ok(value)), _) => Ok(value),
        (_, Some(b'{')) => json(text),
        (Some(Err(Broken::TooDeep)), _) => Err(Unreadable::TooDeep),
        (None, None) => Ok(Value::Object(Members::default())),
        _ => Err(Unreadable::Neither),
    }
}

/// A configuration that is larger is refused.
pub const MAX_BYTES: usize = 1 << 20;
/// Objects and lists inside each other.
pub const MAX_DEPTH: usize = 32;

fn sorted(mut members: Vec<(Box<str>, Value)>) -> Value {
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    Value::Object(members.into())
}

// google.protobuf.Struct, Value and ListValue. Fields that are not theirs are skipped, as protobuf
// asks for; of a field that may stand once, the last counts.

#[derive(Debug)]
enum Broken {
    Malformed,
    TooDeep,
}

fn object(message: &[u8], depth: usize) -> Result<Value, Broken> {
    let depth = depth.checked_sub(1).ok_or(Broken::TooDeep)?;
    let mut members = Vec::new();
    for field in (Fields { rest: message }) {
        if let (1, Wire::Bytes(entry)) = field? {
            members.push(member(entry, depth)?);
        }
    }
    Ok(sorted(members))
}

fn member(entry: &[u8], depth: usize) -> Result<(Box<str>, Value), Broken> {
    let (mut key, mut inner) = ("", Value::Null);
    for field in (Fields { rest: entry }) {
        match field? {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(message)) => inner = value(message, depth)?,
            _ => {}
        }
    }
    Ok((key.into(), inner))
}

fn value(message: &[u8], depth: usize) -> Result<Value, Broken> {
    let mut read = Value::Null;
    for field in (Fields { rest: message }) {
        match field? {
            (1, Wire::Varint(_)) => read = Value::Null,
            (2, Wire::Fixed64(bits)) => read = Value::Number(f64::from_bits(bits)),
            (3, Wire::Bytes(bytes)) => read = Value::Text(text(bytes)?.into()),
            (4, Wire::Varint(flag)) => read = Value::Bool(flag != 0),
            (5, Wire::Bytes(message)) => read = object(message, depth)?,
            (6, Wire::Bytes(message)) => read = list(message, depth)?,
            _ => {}
        }
    }
    Ok(read)
}

fn list(message: &[u8], depth: usize) -> Result<Value, Broken> {
    let depth = depth.checked_sub(1).ok_or(Broken::TooDeep)?;
    let mut values = Vec::new();
    for field in (Fields { rest: message }) {
        if let (1, Wire::Bytes(inner)) = field? {
            values.push(value(inner, depth)?);
        }
    }
    Ok(Value::List(values.into()))
}

fn text(bytes: &[u8]) -> Result<&str, Broken> {
    std::str::from_utf8(bytes).map_err(|_| Broken::Malformed)
}

/// The fields of one message, by number.
struct Fields<'a> {
    rest: &'a [u8],
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Broken::Malformed))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed32)?,
            _ => return None,
        };
        (tag >> 3 != 0).then_some((tag >> 3, wire))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

/// The tag of `fields`, the one field of a Struct.
const ENTRIES: u8 = 1 << 3 | 2;

fn json(text: &[u8]) -> Result<Value, Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Tree { depth: MAX_DEPTH }.deserialize(&mut reader);
    value.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        if error.is_data() { Unreadable::TooDeep } else { Unreadable::Json(error.to_string()) }
    })
}

/// Builds a [`Value`]; the only data error it makes is too much depth.
#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
}

impl Tree {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = from.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::List(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Vec::new();
        while let Some(key) = from.next_key::<Box<str>>()? {
            members.push((key, from.next_value_seed(inner)?));
        }
        Ok(sorted(members))
    }
}
