//! Answers, and events of answers, with the members that tell whether they are whole.

use super::glimpse::{Count, Delta, Ending, Filled, Kind, Said, Vector};
use super::object::objects;
use super::{Lack, judge};
use crate::protocol::Operation;

/// What stands in the root of an answer or of an event.
pub(super) trait Answer {
    /// By what every API's errors are known.
    fn is_error(&self) -> bool;
}

/// Root objects: each has the members that an error has instead.
macro_rules! answers {
    ($( $(#[$doc:meta])* $name:ident { $($json:literal => $member:ident: $type:ty,)* } )*) => {
        objects! { $(
            $(#[$doc])*
            $name {
                "error" => error: Filled,
                "object" => object: Kind,
                "type" => kind: Kind,
                $($json => $member: $type,)*
            }
        )* }
        $(
            impl Answer for $name {
                fn is_error(&self) -> bool {
                    let error = self.error != Filled::Null;
                    error || self.object == Kind::Error || self.kind == Kind::Error
                }
            }
        )*
    };
}

answers! {
    /// OpenAI's chats and completions, and the events of both.
    Completion {
        "choices" => choices: Option<Vec<Choice>>,
    }

    /// OpenAI's responses.
    Response {
        "status" => status: Kind,
        "incomplete_details" => incomplete: Option<Incomplete>,
        "output" => output: Option<Vec<Said>>,
    }

    /// An event of the responses API. The last one repeats the whole answer.
    ResponseEvent {
        "response" => response: Option<Response>,
    }

    /// Anthropic's messages.
    Message {
        "content" => content: Option<Vec<Said>>,
        "stop_reason" => stop_reason: Ending,
    }

    /// An event of a message.
    MessageEvent {
        "content_block" => content_block: Said,
        "delta" => delta: Delta,
    }

    /// Ollama's chats and completions, and the lines of both.
    Ollama {
        "message" => message: Said,
        "response" => response: Filled,
        "thinking" => thinking: Filled,
        "done" => done: bool,
        "done_reason" => done_reason: Ending,
    }

    /// Gemini's answers, and their events.
    Gemini {
        "promptFeedback" => feedback: Option<Feedback>,
        "candidates" => candidates: Option<Vec<Candidate>>,
    }

    /// Embeddings, under the names of all APIs.
    Embeddings {
        "data" => data: Option<Vec<Embedding>>,
        "embeddings" => embeddings: Option<Vec<Vector>>,
        "embedding" => embedding: Vector,
    }
}

objects! {
    Choice {
        "index" => index: Option<usize>,
        "message" => message: Said,
        "delta" => delta: Said,
        "text" => text: Filled,
        "finish_reason" => finish_reason: Ending,
    }

    Incomplete {
        "reason" => reason: Ending,
    }

    Feedback {
        "blockReason" => block_reason: Filled,
    }

    Candidate {
        "index" => index: Option<usize>,
        "content" => content: Option<Content>,
        "finishReason" => finish_reason: Ending,
    }

    Content {
        "parts" => parts: Option<Vec<Said>>,
    }

    Embedding {
        "embedding" => embedding: Filled,
    }

    /// What a request for embeddings asks about.
    Inputs {
        "input" => input: Option<Count>,
        "requests" => requests: Option<Count>,
    }
}

impl Completion {
    pub(super) fn judge(&self, said: impl Fn(&Choice) -> bool) -> Result<(), Lack> {
        let choices = self.choices.as_deref().filter(|choices| !choices.is_empty());
        let choices = choices.ok_or(Lack::Content)?;
        choices.iter().try_for_each(|choice| judge(said(choice), choice.finish_reason))
    }
}

impl Response {
    pub(super) fn judge(&self) -> Result<(), Lack> {
        let ending = match (self.status, &self.incomplete) {
            (Kind::Completed, _) => Ending::Good,
            (Kind::Incomplete, Some(details)) => details.reason,
            _ if self.output.is_none() => return Err(Lack::Content),
            _ => Ending::Bad,
        };
        judge(self.output.iter().flatten().any(|item| item.0), ending)
    }
}

impl Message {
    pub(super) fn judge(&self) -> Result<(), Lack> {
        let content = self.content.as_ref().ok_or(Lack::Content)?;
        judge(content.iter().any(|block| block.0), self.stop_reason)
    }
}

impl Ollama {
    pub(super) fn said(&self) -> bool {
        self.message.0 || self.response == Filled::Full || self.thinking == Filled::Full
    }

    pub(super) fn judge(&self) -> Result<(), Lack> {
        match (self.done, self.said()) {
            (false, false) => Err(Lack::Content),
            (false, true) => Err(Lack::End),
            (true, said) => judge(said, self.done_reason),
        }
    }
}

impl Gemini {
    /// Whether the prompt was not read.
    pub(super) fn is_blocked(&self) -> bool {
        let feedback = self.feedback.as_ref();
        feedback.is_some_and(|feedback| feedback.block_reason != Filled::Null)
    }

    pub(super) fn judge(&self) -> Result<(), Lack> {
        if self.is_blocked() {
            return Err(Lack::End);
        }
        let candidates = self.candidates.as_deref().filter(|candidates| !candidates.is_empty());
        let candidates = candidates.ok_or(Lack::Content)?;
        candidates.iter().try_for_each(|one| judge(one.said(), one.finish_reason))
    }
}

impl Candidate {
    pub(super) fn said(&self) -> bool {
        let parts = self.content.as_ref().and_then(|content| content.parts.as_ref());
        parts.is_some_and(|parts| parts.iter().any(|part| part.0))
    }
}

impl Embeddings {
    pub(super) fn judge(&self, operation: Operation, places: Option<usize>) -> Result<(), Lack> {
        let (count, whole) = match operation {
            Operation::GeminiEmbed => (1, self.embedding == Vector::Object),
            Operation::Embedding => {
                let data = self.data.as_deref().unwrap_or_default();
                (data.len(), data.iter().all(|one| one.embedding == Filled::Full))
            }
            _ => {
                let each = self.embeddings.as_deref().unwrap_or_default();
                let expected = match operation {
                    Operation::GeminiBatchEmbed => Vector::Object,
                    _ => Vector::List,
                };
                (each.len(), each.iter().all(|vector| *vector == expected))
            }
        };
        let enough = count > 0 && places.is_none_or(|places| places == count);
        if enough && whole { Ok(()) } else { Err(Lack::Content) }
    }
}
