//! Model names and wildcards.

use std::cmp::Reverse;

/// A model name, or a wildcard in which each `*` stands for any characters, also none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// Whether some name matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some((head, _)), Some((other_head, _))) =
            (self.0.split_once('*'), other.0.split_once('*'))
        else {
            return self.matches(&other.0) || other.matches(&self.0);
        };
        // Between its ends each takes anything, also what the other needs there.
        let tails = (self.0.rsplit('*').next(), other.0.rsplit('*').next());
        let (tail, other_tail) = (tails.0.unwrap_or_default(), tails.1.unwrap_or_default());
        (head.starts_with(other_head) || other_head.starts_with(head))
            && (tail.ends_with(other_tail) || other_tail.ends_with(tail))
    }

    /// Whether every name that matches `other` matches this: a star of `other` can only be met by
    /// one of this.
    pub fn covers(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }

    /// Sorts the wildcard that says most first, so that the first match is the longest. Of two of
    /// equal length one may cover the other, but not if it has fewer stars: no wildcard is out of
    /// reach behind another.
    pub fn precedence(&self) -> impl Ord + use<'_> {
        let stars = self.0.bytes().filter(|b| *b == b'*').count();
        (Reverse(self.0.len() - stars), stars, self.as_str())
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

    #[test]
    fn two_wildcards_overlap_if_a_name_matches_both() {
        for (a, b, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4", false),
            ("gpt-*", "gpt-4o", true),
            ("gpt-*", "claude", false),
            ("gpt-*", "*-mini", true),
            ("gpt-*", "gpt-4*", true),
            ("gpt-*", "claude-*", false),
            ("*-mini", "*-max", false),
            ("ab*", "*b*c", true),
        ] {
            let (a, b) = (Pattern::new(a), Pattern::new(b));
            assert_eq!((a.overlaps(&b), b.overlaps(&a)), (expected, expected), "{a:?} {b:?}");
        }
    }

    /// Every name of up to six letters, one of which is in no pattern.
    fn names() -> Vec<String> {
        let mut names = vec![String::new()];
        let mut from = 0;
        for _ in 0..6 {
            let longer: Vec<_> = names[from..]
                .iter()
                .flat_map(|n| ["a", "b", "c"].map(|x| format!("{n}{x}")))
                .collect();
            from = names.len();
            names.extend(longer);
        }
        names
    }

    proptest! {
        #[test]
        fn overlap_cover_and_precedence_say_what_they_mean(
            a in "[ab]{0,2}(\\*[ab]{1,2}){0,1}\\*?", b in "[ab]{0,2}(\\*[ab]{1,2}){0,1}\\*?",
        ) {
            let (a, b) = (Pattern::new(a), Pattern::new(b));
            let names = names();
            let both = names.iter().any(|name| a.matches(name) && b.matches(name));
            prop_assert_eq!(a.overlaps(&b), both);
            let all = names.iter().all(|name| a.matches(name) || !b.matches(name));
            prop_assert_eq!(a.covers(&b), all);
            if a != b && a.is_wildcard() && b.is_wildcard() && all {
                prop_assert!(b.precedence() < a.precedence());
            }
        }

        #[test]
        fn matches_as_the_definition_does(pattern in "[ab*]{0,7}", name in "[ab]{0,9}") {
            prop_assert_eq!(
                Pattern::new(pattern.clone()).matches(&name),
                slow(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
