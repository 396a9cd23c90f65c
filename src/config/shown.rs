//! How messages show what was found and what was expected.

use std::fmt::{self, Display};

use super::wire::Value;

/// A value as a message shows it.
pub(super) struct Found<'a> {
    pub value: &'a Value,
    pub secret: bool,
}

impl Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Value::Null => f.write_str("null"),
            Value::List(_) => f.write_str("a list"),
            Value::Object(_) => f.write_str("an object"),
            Value::Text(text) if self.secret => {
                write!(f, "a string of {} characters", text.chars().count())
            }
            Value::Number(_) if self.secret => f.write_str("a number"),
            Value::Text(text) => write!(f, "{}", Quoted(text)),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A text in quotes, shortened, on one line whatever is in it.
pub(super) struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_CHARS) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", self.0.get(..end).unwrap_or_default()),
        }
    }
}

/// "a", "a or b", "a, b or c"
pub(super) struct Words<'a>(pub &'a [&'a str]);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        self.0.iter().enumerate().try_for_each(|(i, word)| {
            let between = match i {
                0 => "",
                _ if i == last => " or ",
                _ => ", ",
            };
            write!(f, "{between}{word}")
        })
    }
}

const SHOWN_CHARS: usize = 64;
