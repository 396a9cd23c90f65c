//! Values of which one thing matters. Each reads any JSON value, and keeps none of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether there is something in a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Filled {
    /// Null, or absent.
    #[default]
    Null,
    /// A string, list or object with nothing in it.
    Empty,
    Full,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// It says nothing of it.
    #[default]
    None,
    /// The model was done, or had said as much as it may.
    Good,
    /// Anything else: an error, a filter, what nobody knows.
    Bad,
}

/// Whether an object says anything beside what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said(pub(super) bool);

/// A word that says what an object is, or how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Other,
    Error,
    /// Of a response.
    Completed,
    Incomplete,
    /// Of events of a response.
    LastEvent,
    Failed,
    /// Of events of a message.
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
}

/// What an event of a message adds to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) said: Said,
    pub(super) ending: Ending,
}

/// An embedding with something in it: a list as it is, or in an object's `values`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Vector {
    #[default]
    None,
    List,
    Object,
}

/// How many inputs a member holds: a list of numbers is one, written in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) usize);

/// What a visitor makes of any value.
trait Glimpse: Sized {
    const NULL: Self;
    /// Of a number or a boolean, and of whatever else does not matter.
    const OTHER: Self;

    fn text(_: &str) -> Self {
        Self::OTHER
    }

    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        length(list).map(|_| Self::OTHER)
    }

    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        size(object).map(|_| Self::OTHER)
    }
}

struct Any<T>(std::marker::PhantomData<T>);

impl<'de, T: Glimpse> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::NULL)
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::OTHER)
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::OTHER)
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::OTHER)
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::OTHER)
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}

macro_rules! glimpses {
    ($($name:ty),*) => { $(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Any(std::marker::PhantomData))
            }
        }
    )* };
}

glimpses!(Filled, Ending, Said, Kind, Delta, Vector, Count, Item);

impl Filled {
    fn of(full: bool) -> Self {
        if full { Self::Full } else { Self::Empty }
    }
}

impl Glimpse for Filled {
    const NULL: Self = Self::Null;
    const OTHER: Self = Self::Full;

    fn text(text: &str) -> Self {
        Self::of(!text.is_empty())
    }

    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Ok(Self::of(length(list)? > 0))
    }

    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Ok(Self::of(size(object)? > 0))
    }
}

impl Glimpse for Ending {
    const NULL: Self = Self::None;
    const OTHER: Self = Self::Bad;

    fn text(text: &str) -> Self {
        if GOOD.contains(&text) { Self::Good } else { Self::Bad }
    }
}

impl Glimpse for Said {
    const NULL: Self = Self(false);
    const OTHER: Self = Self(false);

    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Delta::object(object).map(|delta| delta.said)
    }
}

impl Glimpse for Delta {
    const NULL: Self = Self { said: Said(false), ending: Ending::None };
    const OTHER: Self = Self::NULL;

    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut all = Self::NULL;
        while let Some(key) = object.next_key()? {
            match key {
                Key::StopReason => all.ending = object.next_value()?,
                Key::Frame => {
                    object.next_value::<IgnoredAny>()?;
                }
                Key::Values | Key::Saying => {
                    all.said.0 |= object.next_value::<Filled>()? == Filled::Full
                }
            }
        }
        Ok(all)
    }
}

/// What a member of an object is good for.
enum Key {
    /// It says what the object is.
    Frame,
    StopReason,
    Values,
    Saying,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "role" | "type" | "id" | "index" | "status" | "thought" | "annotations" => {
                        Key::Frame
                    }
                    "stop_reason" => Key::StopReason,
                    "values" => Key::Values,
                    _ => Key::Saying,
                })
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl Glimpse for Vector {
    const NULL: Self = Self::None;
    const OTHER: Self = Self::None;

    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Ok(if length(list)? > 0 { Self::List } else { Self::None })
    }

    fn object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut values = Filled::Null;
        while let Some(key) = object.next_key()? {
            match key {
                Key::Values => values = object.next_value()?,
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(if values == Filled::Full { Self::Object } else { Self::None })
    }
}

impl Glimpse for Kind {
    const NULL: Self = Self::Other;
    const OTHER: Self = Self::Other;

    fn text(text: &str) -> Self {
        match text {
            "error" => Self::Error,
            "completed" => Self::Completed,
            "incomplete" => Self::Incomplete,
            "response.completed" | "response.incomplete" => Self::LastEvent,
            "response.failed" | "response.cancelled" => Self::Failed,
            "message_start" => Self::MessageStart,
            "content_block_start" => Self::BlockStart,
            "content_block_delta" => Self::BlockDelta,
            "content_block_stop" => Self::BlockStop,
            "message_delta" => Self::MessageDelta,
            "message_stop" => Self::MessageStop,
            _ => Self::Other,
        }
    }
}

impl Glimpse for Count {
    const NULL: Self = Self(0);
    const OTHER: Self = Self(1);

    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        Ok(match list.next_element()? {
            None => Self(0),
            Some(Item::Token) => length(list).map(|_| Self(1))?,
            Some(Item::Input) => Self(length(list)?.saturating_add(1)),
        })
    }
}

/// In a list of inputs.
enum Item {
    /// The list is one input.
    Token,
    Input,
}

impl Glimpse for Item {
    const NULL: Self = Self::Input;
    const OTHER: Self = Self::Token;

    fn text(_: &str) -> Self {
        Self::Input
    }

    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        length(list).map(|_| Self::Input)
    }

    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        size(object).map(|_| Self::Input)
    }
}

fn length<'de, A: SeqAccess<'de>>(mut list: A) -> Result<usize, A::Error> {
    let mut length = 0usize;
    while list.next_element::<IgnoredAny>()?.is_some() {
        length = length.saturating_add(1);
    }
    Ok(length)
}

fn size<'de, A: MapAccess<'de>>(mut object: A) -> Result<usize, A::Error> {
    let mut length = 0usize;
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
        length = length.saturating_add(1);
    }
    Ok(length)
}

/// Ends after which the answer is whole, in the words of all APIs and of the servers that speak them.
const GOOD: [&str; 19] = [
    // OpenAI's, and of servers that speak its protocol.
    "stop",
    "length",
    "tool_calls",
    "function_call",
    "eos",
    "eos_token",
    "stop_token",
    "stop_string",
    "model_length",
    "max_output_tokens",
    // Anthropic's.
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "model_context_window_exceeded",
    // Gemini's.
    "STOP",
    "MAX_TOKENS",
    // Cohere's.
    "COMPLETE",
    "TOOL_CALL",
];
