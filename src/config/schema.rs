//! A reader over the tree that goes on after a mistake, so that one look tells all of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{Display, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::mistakes::{Notes, nearest};
use super::scalar::{self, Bytes, Span};
use super::shown::{Found, Quoted, Words};
use super::wire::Value;

/// A value and its place. Readers of scalars return `None` after having noted a mistake.
#[derive(Clone)]
pub(super) struct Node<'a> {
    notes: &'a Notes,
    value: &'a Value,
    path: String,
    secret: bool,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value, notes: &'a Notes) -> Self {
        Self { notes, value, path: String::new(), secret: false }
    }

    /// Neither this value nor one inside is ever shown.
    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// May be shown although it stands inside of what may not.
    pub(super) fn plain(self) -> Self {
        Self { secret: false, ..self }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Notes that the value is not what was expected.
    pub(super) fn wrong(&self, expected: impl Display) {
        self.mistake(Found { value: self.value, secret: self.secret }, expected);
    }

    pub(super) fn mistake(&self, found: impl Display, expected: impl Display) {
        self.say(format!("found {found}, expected {expected}"));
    }

    pub(super) fn say(&self, text: impl Into<String>) {
        self.notes.add(&self.path, text.into());
    }

    /// Notes what is not this value: unit after unit, in words that never hold a secret.
    fn not_a(&self, container: &str) {
        let found = match self.value {
            Value::Text(_) => &"a string" as &dyn Display,
            value => &Found { value, secret: self.secret },
        };
        self.mistake(found, container);
    }

    /// An object that may have these keys and no other.
    pub(super) fn object(&self, known: &'a [&'a str]) -> Object<'a> {
        let object = Object { node: self.clone(), read: matches!(self.value, Value::Object(_)) };
        if !object.read {
            self.not_a(&format!("an object with {}", Words(known)));
        }
        for (key, member) in object.distinct() {
            if !known.contains(&key) {
                match nearest(key, known.iter().copied()) {
                    Some(meant) => member.say(format!("unknown key, expected {meant}")),
                    None => member.say(format!("unknown key, expected {}", Words(known))),
                }
            }
        }
        object
    }

    /// An object whose keys are names, sorted.
    pub(super) fn map(&self, what: &str, max: usize) -> Vec<(&'a str, Node<'a>)> {
        let object = Object { node: self.clone(), read: matches!(self.value, Value::Object(_)) };
        if !object.read {
            self.not_a(&format!("an object of {what}"));
        }
        let mut members: Vec<_> = object.distinct().collect();
        if object.read {
            self.bounded(&mut members, what, max);
        }
        members.iter().for_each(|(key, _)| self.notes.seen(&self.path, key));
        members
    }

    pub(super) fn list(&self, what: &str, max: usize) -> Vec<Node<'a>> {
        let Value::List(values) = self.value else {
            self.not_a(&format!("a list of {what}"));
            return Vec::new();
        };
        let nodes = values.iter().enumerate().map(|(index, value)| Node {
            value,
            path: format!("{}[{index}]", self.path),
            ..self.clone()
        });
        let mut nodes: Vec<_> = nodes.collect();
        self.bounded(&mut nodes, what, max);
        nodes
    }

    /// A list, or its only value alone.
    pub(super) fn one_or_more(&self, what: &str, max: usize) -> Vec<Node<'a>> {
        match self.value {
            Value::List(_) => self.list(what, max),
            _ => vec![self.clone()],
        }
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self.value, Value::List(values) if values.is_empty())
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// A text that `read` understands.
    pub(super) fn text<T>(
        &self,
        expected: impl Display,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        if let Value::Bool(_) | Value::Number(_) = self.value {
            let found = Found { value: self.value, secret: self.secret };
            self.mistake(format_args!("{found} without quotes"), expected);
            return None;
        }
        self.parse(expected, read)
    }

    /// A text, or a number taken as one.
    pub(super) fn term<T>(
        &self,
        expected: impl Display,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let term = match self.value {
            Value::Text(text) => Cow::Borrowed(&**text),
            Value::Number(number) => Cow::Owned(number.to_string()),
            _ => Cow::Borrowed(""),
        };
        let read = read(&term);
        match &read {
            Some(_) => self.notes.seen(&self.path, &term),
            None => self.wrong(expected),
        }
        read
    }

    /// One of a few words. In YAML `on` and `off` are booleans unless they are quoted.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let written = match self.value {
            Value::Text(text) => text,
            Value::Bool(true) => "on",
            Value::Bool(false) => "off",
            _ => "",
        };
        let found = words.iter().find(|(word, _)| *word == written);
        match found {
            Some((word, _)) => self.notes.seen(&self.path, word),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                self.wrong(Words(&words));
            }
        }
        found.map(|(_, value)| *value)
    }

    /// Different words out of a few, at least one.
    pub(super) fn words<T: Copy>(&self, words: &[(&'static str, T)]) -> Vec<T> {
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let list = self.list(&Words(&names).to_string(), words.len());
        let mut seen = BTreeSet::new();
        let mut read = Vec::new();
        for node in &list {
            if let Value::Text(text) = node.value
                && !seen.insert(text)
            {
                node.wrong("each word once");
            }
            read.extend(node.word(words));
        }
        read
    }

    pub(super) fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let (from, to) = (range.start(), range.end());
        self.number(format_args!("a whole number of {from} to {to}"), |number| {
            scalar::whole(number).filter(|number| range.contains(number))
        })
    }

    /// A number that `read` turns into what is meant.
    pub(super) fn number<T: Display>(
        &self,
        expected: impl Display,
        read: impl FnOnce(f64) -> Option<T>,
    ) -> Option<T> {
        let number = match self.value {
            Value::Number(number) => Some(*number),
            Value::Text(text) => scalar::number(text),
            _ => None,
        };
        let read = number.and_then(read);
        match (&read, number) {
            (Some(read), _) => self.notes.seen(&self.path, read),
            (None, Some(number)) => self.mistake(number, expected),
            (None, None) => self.wrong(expected),
        }
        read
    }

    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let (from, to) = (Span(*range.start()), Span(*range.end()));
        self.parse(format_args!(r#"a duration of {from} to {to}, like "30s" or "5m""#), |text| {
            scalar::duration(text).filter(|duration| range.contains(duration))
        })
    }

    /// In bytes.
    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let (from, to) = (Bytes(*range.start()), Bytes(*range.end()));
        self.parse(format_args!(r#"a size of {from} to {to}, like "64KiB" or "8MiB""#), |text| {
            scalar::size(text).filter(|size| range.contains(size))
        })
    }

    fn parse<T>(
        &self,
        expected: impl Display,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        let text = match self.value {
            Value::Text(text) => Some(&**text),
            _ => None,
        };
        let read = text.and_then(read);
        match (&read, text) {
            (Some(_), Some(text)) => self.notes.seen(&self.path, &text),
            _ => self.wrong(expected),
        }
        read
    }

    fn bounded<T>(&self, values: &mut Vec<T>, what: &str, max: usize) {
        if values.len() > max {
            self.mistake(format_args!("{} entries", values.len()), format_args!("at most {max}"));
            values.truncate(max);
        } else if values.is_empty() {
            self.mistake("nothing in it", format_args!("at least one of {what}"));
        }
    }

    fn member(&self, key: &str, value: &'a Value) -> Self {
        let mut path = self.path.clone();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let short = (1..=MAX_PLAIN_KEY).contains(&key.len());
        let written = match (short && key.bytes().all(plain), path.is_empty()) {
            (true, true) => write!(path, "{key}"),
            (true, false) => write!(path, ".{key}"),
            (false, _) => write!(path, "[{}]", Quoted(key)),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        Self { value, path, ..self.clone() }
    }
}

/// An object, or what stands where one should be: then it is empty and misses nothing.
pub(super) struct Object<'a> {
    node: Node<'a>,
    read: bool,
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        let (_, value) = self.members().iter().rfind(|(name, _)| **name == *key)?;
        Some(self.node.member(key, value))
    }

    /// A value without which the object makes no sense.
    pub(super) fn need(&self, key: &str, expected: impl Display) -> Option<Node<'a>> {
        let found = self.get(key);
        if found.is_none() && self.read {
            self.missing(key, expected);
        }
        found
    }

    /// Notes that `key` should be there.
    pub(super) fn missing(&self, key: &str, expected: impl Display) {
        self.node.member(key, &Value::Null).mistake("nothing", expected);
    }

    /// Notes that one of a few keys should be there.
    pub(super) fn nothing(&self, expected: &str) {
        if self.read {
            self.node.mistake("none", expected);
        }
    }

    fn members(&self) -> &'a [(Box<str>, Value)] {
        match self.node.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// Every key once; one that stands twice is noted.
    fn distinct(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let same = |(a, _): &(Box<str>, Value), (b, _): &(Box<str>, Value)| a == b;
        self.members().chunk_by(same).filter_map(|equals| {
            let (key, value) = equals.last()?;
            let node = self.node.member(key, value);
            if equals.len() > 1 {
                node.mistake(format_args!("{} of this key", equals.len()), "one");
            }
            Some((&**key, node))
        })
    }
}

/// A longer key is shown in part.
const MAX_PLAIN_KEY: usize = 64;
