//! A text in the pieces that it is told in, each with its part of the log probabilities.

use std::ops::Range;

use super::json::{Object, inner, pieces};

/// The pieces of a text (the inside of a string), and for each which of the `entries` go with it.
/// Where the entries are the text's tokens, in the text's own spelling, they are the pieces; else
/// each goes with whatever piece is next.
pub(super) fn paired<'a>(text: &'a str, entries: &[&'a str]) -> Vec<(&'a str, Range<usize>)> {
    let tokens: Option<Vec<&str>> = entries.iter().map(|entry| token(entry)).collect();
    if let Some(tokens) = tokens.filter(|tokens| !tokens.is_empty() && tokens.concat() == text) {
        return tokens.into_iter().enumerate().map(|(at, token)| (token, at..at + 1)).collect();
    }
    let mut pieces = pieces(text);
    let mut next = 0usize;
    std::iter::from_fn(|| {
        let piece = pieces.next();
        let range = next..next.saturating_add(GROUP).min(entries.len());
        next = range.end;
        (piece.is_some() || !range.is_empty()).then(|| (piece.unwrap_or_default(), range))
    })
    .collect()
}

/// The token of an entry: the entry itself, or a member of it.
fn token(entry: &str) -> Option<&str> {
    inner(entry).or_else(|| Object::parse(entry).ok()?.text("token"))
}

/// Entries in one event, where the pieces are not known.
const GROUP: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_pieces_if_they_are_the_text() {
        let entries = [r#"{"token":"a\n"}"#, r#"{"token":"b"}"#];
        assert_eq!(paired(r"a\nb", &entries), [(r"a\n", 0..1), ("b", 1..2)]);
        assert_eq!(paired("ab", &["\"a\"", "\"b\""]), [("a", 0..1), ("b", 1..2)]);
    }

    #[test]
    fn everything_is_told_whatever_fits() {
        let entries: Vec<_> = std::iter::repeat_n("{}", 20).collect();
        assert_eq!(paired("ab", &entries), [("ab", 0..16), ("", 16..20)]);
        assert_eq!(paired("", &entries[..3]), [("", 0..3)]);
        assert_eq!(paired("ab", &[]), [("ab", 0..0)]);
        assert_eq!(paired("", &[]), []);
    }
}
