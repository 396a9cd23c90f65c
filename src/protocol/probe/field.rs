//! The members of a request that mean something to the gateway, and who else could mean them.

use crate::error::Error;
use crate::protocol::json::Text;
use crate::protocol::mistake::invalid_value;

/// Each may appear once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Model,
    Stream,
    StreamOptions,
    Messages,
    Input,
    Prompt,
    Conversation,
    PreviousResponseId,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    N,
    BestOf,
    Tools,
    Functions,
    Reasoning,
    ReasoningEffort,
    Thinking,
    Think,
    Options,
    Images,
    Background,
}

impl Field {
    pub(super) const ALL: [Self; 22] = [
        Self::Model,
        Self::Stream,
        Self::StreamOptions,
        Self::Messages,
        Self::Input,
        Self::Prompt,
        Self::Conversation,
        Self::PreviousResponseId,
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::MaxOutputTokens,
        Self::N,
        Self::BestOf,
        Self::Tools,
        Self::Functions,
        Self::Reasoning,
        Self::ReasoningEffort,
        Self::Thinking,
        Self::Think,
        Self::Options,
        Self::Images,
        Self::Background,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::StreamOptions => "stream_options",
            Self::Messages => "messages",
            Self::Input => "input",
            Self::Prompt => "prompt",
            Self::Conversation => "conversation",
            Self::PreviousResponseId => "previous_response_id",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::N => "n",
            Self::BestOf => "best_of",
            Self::Tools => "tools",
            Self::Functions => "functions",
            Self::Reasoning => "reasoning",
            Self::ReasoningEffort => "reasoning_effort",
            Self::Thinking => "thinking",
            Self::Think => "think",
            Self::Options => "options",
            Self::Images => "images",
            Self::Background => "background",
        }
    }

    /// The field that a key names. Some back ends (all that use Go's `encoding/json`, Ollama among
    /// them) match keys without regard to case: a key that only they would take for a field is
    /// refused, or it would say one thing here and another there.
    pub(super) fn of(key: Text<'_>) -> Result<Option<Self>, Error> {
        if !key.escaped {
            let exact = Self::exact(key.raw);
            if exact.is_some()
                || key.raw.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
            {
                return Ok(exact);
            }
        }
        let Some(text) = key.decode() else { return Ok(None) };
        let exact = Self::exact(text.as_bytes());
        if exact.is_some() {
            return Ok(exact);
        }
        match Self::ALL.into_iter().find(|field| same_to_go(field.name(), &text)) {
            None => Ok(None),
            Some(field) => {
                let name = field.name();
                Err(invalid_value(name, "it must be spelled in lower case"))
            }
        }
    }

    pub(super) fn exact(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"model" => Self::Model,
            b"stream" => Self::Stream,
            b"stream_options" => Self::StreamOptions,
            b"messages" => Self::Messages,
            b"input" => Self::Input,
            b"prompt" => Self::Prompt,
            b"conversation" => Self::Conversation,
            b"previous_response_id" => Self::PreviousResponseId,
            b"max_tokens" => Self::MaxTokens,
            b"max_completion_tokens" => Self::MaxCompletionTokens,
            b"max_output_tokens" => Self::MaxOutputTokens,
            b"n" => Self::N,
            b"best_of" => Self::BestOf,
            b"tools" => Self::Tools,
            b"functions" => Self::Functions,
            b"reasoning" => Self::Reasoning,
            b"reasoning_effort" => Self::ReasoningEffort,
            b"thinking" => Self::Thinking,
            b"think" => Self::Think,
            b"options" => Self::Options,
            b"images" => Self::Images,
            b"background" => Self::Background,
            _ => return None,
        })
    }

    pub(super) fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Go folds two letters outside ASCII onto ASCII ones: the long s and the Kelvin sign.
fn same_to_go(name: &str, key: &str) -> bool {
    let fold = |letter: char| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().eq(key.chars().map(fold))
}
