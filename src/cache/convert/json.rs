//! JSON taken apart and put together without reading what does not matter: values stay the text
//! that they were, down to the spelling of a number or an escape.

use std::fmt;

use memchr::memchr;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Obstacle;

/// The members of an object in their order: keys without quotes, values as they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Object<'a> {
    /// A key that stands twice or is written with escapes is nothing that a provider sends.
    pub(super) fn parse(json: &'a str) -> Result<Self, Obstacle> {
        let object: Self = serde_json::from_str(json).map_err(|_| Obstacle::Malformed)?;
        let twice = |at: usize, key| object.0.iter().take(at).any(|(other, _)| *other == key);
        if object.0.iter().enumerate().any(|(at, (key, _))| twice(at, *key)) {
            return Err(Obstacle::Malformed);
        }
        Ok(object)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The inside of a string member, escapes untouched.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(inner)
    }

    /// The value of a member that is there and not null.
    pub(super) fn some(&self, key: &str) -> Option<&'a str> {
        self.get(key).filter(|value| !is_null(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        self.0.iter().copied()
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with plain keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<&str, &RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The items of an array as they are written.
pub(super) fn items(json: &str) -> Result<Vec<&str>, Obstacle> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| Obstacle::Malformed)?;
    Ok(items.into_iter().map(RawValue::get).collect())
}

pub(super) fn is_null(value: &str) -> bool {
    value == "null"
}

/// The inside of a string, escapes untouched; `None` for any other value.
pub(super) fn inner(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

/// A string with these insides.
pub(super) fn quoted(inner: &str) -> String {
    format!("\"{inner}\"")
}

/// Cuts the inside of a string where another string may begin: never in an escape, a surrogate
/// pair or a character. Clients read lines of 64 KiB at most, so no event may carry a whole answer.
pub(super) fn pieces(inner: &str) -> impl Iterator<Item = &str> {
    let mut rest = inner;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = piece_end(rest);
        let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = after;
        Some(piece)
    })
}

/// Where the first piece ends.
fn piece_end(inner: &str) -> usize {
    let mut end = 0usize;
    loop {
        let rest = inner.get(end..).unwrap_or_default();
        let plain = memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        let room = PIECE.saturating_sub(end);
        if plain > room {
            let cut = (0..=room).rev().find(|at| rest.is_char_boundary(*at));
            return end.saturating_add(cut.unwrap_or(plain));
        }
        let escape = match rest.as_bytes().get(plain..).unwrap_or_default() {
            [] => return inner.len(),
            [
                _,
                b'u',
                b'd' | b'D',
                b'8' | b'9' | b'a' | b'b' | b'A' | b'B',
                _,
                _,
                b'\\',
                b'u',
                ..,
            ] => 12,
            [_, b'u', ..] => 6,
            _ => 2,
        };
        if plain.saturating_add(escape) > room {
            return end.saturating_add(plain);
        }
        end = end.saturating_add(plain).saturating_add(escape);
    }
}

/// Writes the members of an object that is open in `out`.
pub(super) struct Members<'o> {
    out: &'o mut String,
    any: bool,
}

/// Appends an object.
pub(super) fn object(out: &mut String, members: impl FnOnce(&mut Members<'_>)) {
    out.push('{');
    members(&mut Members { out, any: false });
    out.push('}');
}

impl Members<'_> {
    /// Begins a member; its value is to be appended to what this returns.
    pub(super) fn key(&mut self, key: &str) -> &mut String {
        if self.any {
            self.out.push(',');
        }
        self.any = true;
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out
    }

    pub(super) fn raw(&mut self, key: &str, value: &str) {
        self.key(key).push_str(value);
    }

    /// A member that may be absent.
    pub(super) fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.raw(key, value);
        }
    }

    /// A string with these insides.
    pub(super) fn text(&mut self, key: &str, inner: &str) {
        let out = self.key(key);
        out.push('"');
        out.push_str(inner);
        out.push('"');
    }

    pub(super) fn number(&mut self, key: &str, number: usize) {
        let out = self.key(key);
        out.push_str(&number.to_string());
    }

    pub(super) fn object(&mut self, key: &str, members: impl FnOnce(&mut Members<'_>)) {
        object(self.key(key), members);
    }

    pub(super) fn array<'i>(&mut self, key: &str, items: impl IntoIterator<Item = &'i str>) {
        array(self.key(key), items);
    }
}

pub(super) fn array<'i>(out: &mut String, items: impl IntoIterator<Item = &'i str>) {
    out.push('[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(item);
    }
    out.push(']');
}

/// The most bytes of text in one event.
const PIECE: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_told_apart_but_not_read() {
        let object = Object::parse(r#" {"a" : 1.50, "b":{"x":[]} ,"c":"q\u0041" , "d":null} "#);
        let object = object.unwrap();
        let all: Vec<_> = object.iter().collect();
        assert_eq!(
            all,
            [("a", "1.50"), ("b", r#"{"x":[]}"#), ("c", r#""q\u0041""#), ("d", "null")]
        );
        assert_eq!((object.text("c"), object.text("a")), (Some(r"q\u0041"), None));
        assert_eq!((object.get("d"), object.some("d")), (Some("null"), None));
    }

    #[test]
    fn what_is_no_plain_object_is_malformed() {
        for json in ["", "[]", "1", "{", r#"{"a":1,"a":2}"#, r#"{"\u0061":1}"#, "{}x"] {
            assert_eq!(Object::parse(json).unwrap_err(), Obstacle::Malformed, "{json}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_strings_of_their_own_and_together_the_whole(
            text in "[a\"\\\\\n\u{1}é😀]{0,40}", filler in 4080_usize..4100, escaped: bool,
        ) {
            let text = "x".repeat(filler) + &text;
            let json = if escaped {
                let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
                quoted(&units.collect::<String>())
            } else {
                serde_json::to_string(&text).unwrap()
            };
            let raw = inner(&json).unwrap();
            let whole: Vec<String> = pieces(raw)
                .map(|piece| {
                    assert!(piece.len() <= PIECE);
                    serde_json::from_str(&quoted(piece)).unwrap()
                })
                .collect();
            prop_assert_eq!(whole.concat(), text);
            prop_assert_eq!(pieces(raw).collect::<String>(), raw);
        }
    }
}
