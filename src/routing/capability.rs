//! What a model can do.

use std::fmt;

use crate::protocol::Operation;

/// A set of abilities: what a model has, or what a request needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u16);

impl Capabilities {
    pub const NONE: Self = Self(0);
    pub const CHAT: Self = Self(1);
    pub const COMPLETION: Self = Self(1 << 1);
    pub const EMBEDDING: Self = Self(1 << 2);
    pub const RESPONSES: Self = Self(1 << 3);
    pub const IMAGE: Self = Self(1 << 4);
    pub const AUDIO: Self = Self(1 << 5);
    pub const RERANK: Self = Self(1 << 6);
    pub const VISION: Self = Self(1 << 7);
    pub const TOOLS: Self = Self(1 << 8);
    pub const REASONING: Self = Self(1 << 9);
    /// A model of which nothing is said is not checked.
    pub const UNCHECKED: Self = Self(u16::MAX);

    /// The words of the configuration.
    pub const NAMES: [(&str, Self); 10] = [
        ("chat", Self::CHAT),
        ("completion", Self::COMPLETION),
        ("embedding", Self::EMBEDDING),
        ("responses", Self::RESPONSES),
        ("image", Self::IMAGE),
        ("audio", Self::AUDIO),
        ("rerank", Self::RERANK),
        ("vision", Self::VISION),
        ("tools", Self::TOOLS),
        ("reasoning", Self::REASONING),
    ];

    /// What a call needs whatever it says; `vision`, `tools` and the like are in its body.
    pub fn of(operation: Operation) -> Self {
        match operation {
            Operation::Chat
            | Operation::Messages
            | Operation::OllamaChat
            | Operation::GeminiGenerate
            | Operation::GeminiStream => Self::CHAT,
            Operation::Completion | Operation::OllamaGenerate => Self::COMPLETION,
            Operation::Embedding
            | Operation::OllamaEmbed
            | Operation::GeminiEmbed
            | Operation::GeminiBatchEmbed => Self::EMBEDDING,
            Operation::Responses => Self::RESPONSES,
            Operation::Other | Operation::Models => Self::NONE,
        }
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn covers(self, need: Self) -> bool {
        need.without(self) == Self::NONE
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(_, one)| self.covers(*one)).map(|(name, _)| name);
        for (i, name) in names.enumerate() {
            write!(f, "{}{name}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_which_nothing_is_said_covers_everything() {
        for (name, one) in Capabilities::NAMES {
            assert!(Capabilities::UNCHECKED.covers(one), "{name}");
            assert!(!Capabilities::NONE.covers(one), "{name}");
            assert_eq!(one.to_string(), name);
        }
    }

    #[test]
    fn what_is_missing_is_listed_by_name() {
        let need = Capabilities::CHAT.and(Capabilities::VISION).and(Capabilities::TOOLS);
        assert_eq!(need.without(Capabilities::CHAT).to_string(), "vision, tools");
    }
}
