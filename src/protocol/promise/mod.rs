//! Whether an answer says what its API promises: for answers that are served again.
//!
//! A status of 200 and a body that parses are not enough. Servers answer `{}`, `{"detail": ...}`,
//! `{"object": "error"}` and choices without an end with that status, and gateways in between cut
//! and append. What counts is what a client waits for: something said, and an end that says that all
//! of it is there. A limit of tokens is such an end, a filter that stopped the model is none.
//!
//! One pass, without a tree: values that do not matter are skipped, and nothing of them is kept.

mod glimpse;
mod object;
mod shapes;
mod stream;

use serde::Deserialize;
use serde_json::error::Category;

use self::glimpse::{Ending, Filled};
use self::shapes::{Answer, Completion, Embeddings, Gemini, Inputs, Message, Ollama, Response};
use super::Operation;
pub use stream::stream;

/// What an answer lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lack {
    /// It breaks off.
    Rest,
    /// It is an error.
    Success,
    /// It is no answer of its API, or says nothing.
    Content,
    /// It does not say that it ended, or says that it ended badly.
    End,
}

/// Judges a whole JSON answer. `places` is how many embeddings were asked for, if that is known.
pub fn json(operation: Operation, body: &[u8], places: Option<usize>) -> Result<(), Lack> {
    let body = std::str::from_utf8(body).map_err(|_| Lack::Content)?;
    match operation {
        Operation::Chat => read::<Completion>(body)?.judge(|choice| choice.message.0),
        Operation::Completion => {
            read::<Completion>(body)?.judge(|choice| choice.text == Filled::Full)
        }
        Operation::Responses => read::<Response>(body)?.judge(),
        Operation::Messages => read::<Message>(body)?.judge(),
        Operation::OllamaChat | Operation::OllamaGenerate => read::<Ollama>(body)?.judge(),
        Operation::GeminiGenerate | Operation::GeminiStream => read::<Gemini>(body)?.judge(),
        Operation::Embedding
        | Operation::OllamaEmbed
        | Operation::GeminiEmbed
        | Operation::GeminiBatchEmbed => read::<Embeddings>(body)?.judge(operation, places),
        Operation::Other | Operation::Models => Err(Lack::Content),
    }
}

/// How many embeddings a request asks for; `None` for other requests, and where it cannot be told.
pub fn places(operation: Operation, body: &[u8]) -> Option<usize> {
    let request = || serde_json::from_slice::<Inputs>(body).ok();
    match operation {
        Operation::Embedding | Operation::OllamaEmbed => request()?.input.map(|input| input.0),
        Operation::GeminiBatchEmbed => request()?.requests.map(|requests| requests.0),
        Operation::GeminiEmbed => Some(1),
        _ => None,
    }
}

/// Reads what is no error.
fn read<'a, T: Answer + Deserialize<'a>>(json: &'a str) -> Result<T, Lack> {
    let answer: T = serde_json::from_str(json).map_err(|error| match error.classify() {
        Category::Eof => Lack::Rest,
        _ => Lack::Content,
    })?;
    if answer.is_error() { Err(Lack::Success) } else { Ok(answer) }
}

/// Whether something was said, and why it ended.
fn judge(said: bool, ending: Ending) -> Result<(), Lack> {
    match (ending, said) {
        (Ending::None | Ending::Bad, _) => Err(Lack::End),
        (Ending::Good, false) => Err(Lack::Content),
        (Ending::Good, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
