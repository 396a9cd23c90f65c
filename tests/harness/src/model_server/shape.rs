//! Whether a request has the shape that its provider publishes. A lax server would let slips of a
//! translation pass, so this one refuses what it does not know.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// What a JSON value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    Any,
    Text,
    /// A text with something in it.
    Full,
    /// A text that is base64.
    Base64,
    Word(&'static [&'static str]),
    /// A text of so many characters at most: letters, digits and these.
    Name(usize, &'static str),
    Flag,
    /// A number within a range.
    Number(f64, f64),
    /// A whole number within a range.
    Whole(i64, i64),
    /// An object whose members are the caller's own.
    Free,
    Object(&'static [Field]),
    /// An object with exactly one of the fields.
    Union(&'static [Field]),
    /// From so many items to so many.
    List(usize, usize, &'static Shape),
    /// One of these; the first whose kind of JSON fits is the one that is meant.
    Either(&'static [Shape]),
    Ref(&'static Shape),
}

/// Name, whether it has to be there, shape.
pub(crate) type Field = (&'static str, bool, Shape);

pub(crate) const NEED: bool = true;
pub(crate) const MAY: bool = false;

/// Where a value is not as it shall be, and how. To be worded by each provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slip {
    /// `messages[0].content`; of a field that is unknown or missing, the object's.
    pub at: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Missing(&'static str),
    Unknown(String),
    /// What was expected.
    Not(String),
}

impl Slip {
    /// The path of the field itself.
    pub(crate) fn field(&self) -> String {
        match &self.what {
            What::Missing(name) => join(&self.at, name),
            What::Unknown(name) => join(&self.at, name),
            What::Not(_) => self.at.clone(),
        }
    }
}

impl Shape {
    pub(crate) fn check(&self, value: &Value) -> Result<(), Slip> {
        self.check_at(value, String::new())
    }

    fn check_at(&self, value: &Value, at: String) -> Result<(), Slip> {
        let right = match self {
            Self::Any => true,
            Self::Text => value.is_string(),
            Self::Full => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            Self::Base64 => {
                value.as_str().is_some_and(|text| !text.is_empty() && STANDARD.decode(text).is_ok())
            }
            Self::Word(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Self::Name(longest, others) => value.as_str().is_some_and(|text| {
                let known = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
                (1..=*longest).contains(&text.len()) && text.chars().all(known)
            }),
            Self::Flag => value.is_boolean(),
            Self::Number(from, to) => value.as_f64().is_some_and(|n| (*from..=*to).contains(&n)),
            Self::Whole(from, to) => value.as_i64().is_some_and(|n| (*from..=*to).contains(&n)),
            Self::Free => value.is_object(),
            Self::Object(fields) | Self::Union(fields) => {
                let Some(members) = value.as_object() else {
                    return Err(self.slip(at));
                };
                for (name, member) in members {
                    let Some((_, required, shape)) =
                        fields.iter().find(|(known, ..)| known == name)
                    else {
                        return Err(Slip { at, what: What::Unknown(name.clone()) });
                    };
                    if *required || !member.is_null() {
                        shape.check_at(member, join(&at, name))?;
                    }
                }
                let present = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
                let missing = fields.iter().find(|(name, need, _)| *need && !present(name));
                if let Some((name, ..)) = missing {
                    return Err(Slip { at, what: What::Missing(name) });
                }
                match self {
                    Self::Union(_) => fields.iter().filter(|(name, ..)| present(name)).count() == 1,
                    _ => true,
                }
            }
            Self::List(least, most, item) => {
                let Some(items) = value.as_array() else { return Err(self.slip(at)) };
                for (index, value) in items.iter().enumerate() {
                    item.check_at(value, format!("{at}[{index}]"))?;
                }
                (*least..=*most).contains(&items.len())
            }
            Self::Either(shapes) => {
                return match shapes.iter().find(|shape| shape.is_meant_by(value)) {
                    Some(shape) => shape.check_at(value, at),
                    None => Err(self.slip(at)),
                };
            }
            Self::Ref(shape) => return shape.check_at(value, at),
        };
        match right {
            true => Ok(()),
            false => Err(self.slip(at)),
        }
    }

    /// Gives fields that are written `like_this` the names that are known, `likeThis`.
    pub(crate) fn camel(&self, value: &mut Value) {
        match (self, value) {
            (Self::Object(fields) | Self::Union(fields), Value::Object(members)) => {
                for (name, mut member) in std::mem::take(members) {
                    let name = camel(&name);
                    if let Some((.., shape)) = fields.iter().find(|(known, ..)| *known == name) {
                        shape.camel(&mut member);
                    }
                    members.insert(name, member);
                }
            }
            (Self::List(.., item), Value::Array(items)) => {
                items.iter_mut().for_each(|value| item.camel(value));
            }
            (Self::Ref(shape), value) => shape.camel(value),
            _ => {}
        }
    }

    /// Whether the kind of JSON is the one that this shape has.
    fn is_meant_by(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text | Self::Full | Self::Base64 | Self::Word(_) | Self::Name(..) => {
                value.is_string()
            }
            Self::Flag => value.is_boolean(),
            Self::Number(..) | Self::Whole(..) => value.is_number(),
            Self::Free | Self::Object(_) | Self::Union(_) => value.is_object(),
            Self::List(..) => value.is_array(),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.is_meant_by(value)),
            Self::Ref(shape) => shape.is_meant_by(value),
        }
    }

    fn slip(&self, at: String) -> Slip {
        Slip { at, what: What::Not(self.expected()) }
    }

    fn expected(&self) -> String {
        match self {
            Self::Any => "a value".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Full => "a string that is not blank".to_owned(),
            Self::Base64 => "a base64 string".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Name(longest, others) => {
                format!("a string of 1 to {longest} letters, digits and {others}")
            }
            Self::Flag => "a boolean".to_owned(),
            Self::Number(from, to) => format!("a number from {from} to {to}"),
            Self::Whole(from, to) => format!("an integer from {from} to {to}"),
            Self::Free | Self::Object(_) => "an object".to_owned(),
            Self::Union(fields) => {
                let names: Vec<_> = fields.iter().map(|(name, ..)| *name).collect();
                format!("an object with one of {}", names.join(", "))
            }
            Self::List(least, most, _) => format!("a list of {least} to {most} items"),
            Self::Either(shapes) => {
                shapes.iter().map(Self::expected).collect::<Vec<_>>().join(" or ")
            }
            Self::Ref(shape) => shape.expected(),
        }
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (head, tail) = part.split_at_checked(1).unwrap_or((part, ""));
        name + &head.to_ascii_uppercase() + tail
    })
}

fn join(at: &str, name: &str) -> String {
    match at.is_empty() {
        true => name.to_owned(),
        false => format!("{at}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static TREE: Shape = Shape::Object(&[
        ("name", NEED, Shape::Name(4, "-")),
        ("size", MAY, Shape::Whole(0, 9)),
        ("part", MAY, Shape::Union(&[("a", MAY, Shape::Text), ("b", MAY, Shape::Flag)])),
        ("trees", MAY, Shape::List(1, 2, &Shape::Ref(&TREE))),
        ("text", MAY, Shape::Either(&[Shape::Full, Shape::List(0, 9, &Shape::Base64)])),
    ]);

    #[test]
    fn what_fits_passes() {
        for value in [
            json!({"name": "ab-1", "size": null}),
            json!({"name": "a", "size": 9, "part": {"b": true}, "text": ["aGk="]}),
            json!({"name": "a", "trees": [{"name": "b", "text": "x"}]}),
        ] {
            assert_eq!(TREE.check(&value), Ok(()), "{value}");
        }
    }

    #[test]
    fn names_of_fields_become_the_known_ones_and_others_stay() {
        static SHAPE: Shape = Shape::Object(&[(
            "anInnerPart",
            MAY,
            Shape::List(0, 9, &Shape::Union(&[("aB", MAY, Shape::Free)])),
        )]);
        let mut value = json!({"an_inner_part": [{"a_b": {"c_d": 1}}]});
        SHAPE.camel(&mut value);
        assert_eq!(value, json!({"anInnerPart": [{"aB": {"c_d": 1}}]}));
    }

    #[test]
    fn a_slip_is_told_with_its_path() {
        for (value, field) in [
            (json!(1), ""),
            (json!({}), "name"),
            (json!({"name": "abcde"}), "name"),
            (json!({"name": "a b"}), "name"),
            (json!({"name": "a", "size": 1.5}), "size"),
            (json!({"name": "a", "size": 10}), "size"),
            (json!({"name": "a", "extra": null}), "extra"),
            (json!({"name": "a", "part": {}}), "part"),
            (json!({"name": "a", "part": {"a": "", "b": true}}), "part"),
            (json!({"name": "a", "trees": []}), "trees"),
            (json!({"name": "a", "trees": [{"name": "b"}, {"size": 1}]}), "trees[1].name"),
            (json!({"name": "a", "text": " "}), "text"),
            (json!({"name": "a", "text": ["?"]}), "text[0]"),
            (json!({"name": "a", "text": 1}), "text"),
        ] {
            let slip = TREE.check(&value).expect_err(&value.to_string());
            assert_eq!(slip.field(), field, "{value}");
        }
    }
}
