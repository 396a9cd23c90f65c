//! Model names and wildcards.

use std::cmp::Reverse;

/// A model name, or a wildcard in which each `*` stands for any characters, also none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Box<str>);

impl Pattern {
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_wildcard(&self) -> bool {
        self.0.contains('*')
    }

    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(rest) = pieces.next().and_then(|head| name.strip_prefix(head)) else {
            return false;
        };
        let Some(tail) = pieces.next_back() else {
            return rest.is_empty();
        };
        let Some(mut rest) = rest.strip_suffix(tail) else {
            return false;
        };
        for piece in pieces {
            match rest.split_once(piece) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }

    /// Sorts the wildcard that says most first, so that the first match is the longest.
    pub fn precedence(&self) -> impl Ord + use<'_> {
        let literal = self.0.bytes().filter(|b| *b != b'*').count();
        (Reverse(literal), self.as_str())
    }
}

/// The model names that a caller may ask for.
///
/// It is about names as they are asked: an alias is allowed by its own name, not by what stands
/// behind it, and `provider/model` by that form. So an operator can offer `fast` without offering
/// the model that serves it today, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allow {
    #[default]
    Everything,
    Only(Box<[Pattern]>),
}

impl Allow {
    pub fn allows(&self, asked: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(asked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_for_none() {
        for (pattern, yes, no) in [
            ("gpt-4o", &["gpt-4o"][..], &["gpt-4", "gpt-4o-mini", "GPT-4o", ""][..]),
            ("gpt-*", &["gpt-", "gpt-4o"], &["gpt", "xgpt-4"]),
            ("*", &["", "x", "a/b"], &[]),
            ("*-mini", &["-mini", "gpt-4o-mini"], &["mini", "-mini-"]),
            ("a*b*c", &["abc", "axxbyybzzc", "abbc"], &["ab", "acb", "abcx"]),
            ("ab*ba", &["abba", "abxba"], &["aba", "ab"]),
            ("**", &["", "x"], &[]),
        ] {
            let pattern = Pattern::new(pattern);
            for name in yes {
                assert!(pattern.matches(name), "{pattern:?} {name}");
            }
            for name in no {
                assert!(!pattern.matches(name), "{pattern:?} {name}");
            }
        }
    }

    #[test]
    fn an_allow_list_speaks_of_names_as_they_are_asked() {
        let allow = Allow::Only([Pattern::new("gpt-4o*"), Pattern::new("fast")].into());
        assert!(allow.allows("gpt-4o-mini") && allow.allows("fast"));
        assert!(!allow.allows("openai/gpt-4o") && !allow.allows("faster"));
        assert!(Allow::Everything.allows("anything"));
        assert!(!Allow::Only([].into()).allows("anything"));
    }

    /// The textbook definition, exponential and plain.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skip| slow(rest, &name[skip..])),
            Some((first, rest)) => name.first() == Some(first) && slow(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn matches_as_the_definition_does(pattern in "[ab*]{0,7}", name in "[ab]{0,9}") {
            prop_assert_eq!(
                Pattern::new(pattern.clone()).matches(&name),
                slow(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
