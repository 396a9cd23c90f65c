//! What is wrong with a configuration.

use std::cell::Cell;
use std::fmt::{self, Display};

use crate::protocol::text::is_shown;

/// Everything that is wrong with one configuration, at least one thing, in the order of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

/// One line: where it is, what stands there and what was expected. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {text}")]
pub struct Mistake {
    path: Box<str>,
    text: Box<str>,
}

impl Mistakes {
    /// `None` if there are none.
    fn new(all: Vec<Mistake>) -> Option<Self> {
        (!all.is_empty()).then_some(Self(all))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(i, mistake)| write!(f, "{}{mistake}", if i > 0 { "\n" } else { "" }))
    }
}

impl std::error::Error for Mistakes {}

impl Mistake {
    fn new(path: &str, text: String) -> Self {
        let path = if path.is_empty() { ROOT } else { path };
        Self { path: path.into(), text: one_line(text).into() }
    }

    /// `providers.openai.models[1].price.input`
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// What one reading found out: every mistake, and a digest of all that was read.
#[derive(Default)]
pub(super) struct Notes {
    mistakes: Cell<Vec<Mistake>>,
    digest: Cell<[u8; 32]>,
}

impl Notes {
    pub(super) fn add(&self, path: &str, text: String) {
        let mut mistakes = self.mistakes.take();
        match mistakes.len() {
            ..MAX_MISTAKES => mistakes.push(Mistake::new(path, text)),
            MAX_MISTAKES => mistakes.push(Mistake::new("", "has more mistakes".to_owned())),
            _ => {}
        }
        self.mistakes.set(mistakes);
    }

    /// The digest is the same for the same values at the same paths, however they were written.
    pub(super) fn finish(self) -> Result<[u8; 32], Mistakes> {
        Mistakes::new(self.mistakes.into_inner()).map_or(Ok(self.digest.into_inner()), Err)
    }

    pub(super) fn seen(&self, path: &str, value: &dyn Display) {
        let value = value.to_string();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.digest.get());
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(value.as_bytes());
        self.digest.set(hasher.finalize().into());
    }
}

/// An expectation may repeat names that the user gave, whatever is in them.
fn one_line(text: String) -> String {
    if text.chars().all(is_shown) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        match is_shown(char) {
            true => line.push(char),
            false => line.extend(char.escape_default()),
        }
    }
    line
}

/// The word of `known` that was probably meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let close = known.into_iter().filter(|other| other.len().abs_diff(word.len()) <= allowed);
    let measured = close.map(|other| (distance(word, other), other));
    measured.filter(|(distance, _)| *distance <= allowed).min().map(|(_, other)| other)
}

/// Insertions, deletions and replacements of characters that lead from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, to) in cells.zip(b.chars()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

const MAX_MISTAKES: usize = 100;
/// The path of the whole.
const ROOT: &str = "configuration";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_number_of_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("limts", "limits", 1),
            ("éa", "ea", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn a_mistake_is_one_line_whatever_it_repeats() {
        let text = "expected a provider: a\r\nb or c";
        let mistake = Mistake::new("models", text.to_owned());
        assert_eq!(mistake.to_string(), r"models: expected a provider: a\r\nb or c");
    }

    #[test]
    fn only_a_close_word_is_proposed() {
        let known = ["cache", "limits", "limiter", "default_model"];
        for (word, expected) in [
            ("limts", Some("limits")),
            ("defaultmodel", Some("default_model")),
            ("Cache", Some("cache")),
            ("consumers", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
