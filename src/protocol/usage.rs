//! What an answer cost in tokens: read from what the provider reports, else estimated.

mod count;
mod events;
mod report;

use super::skim::{Interest, Member, Sink, Skimmer};
use super::{Dialect, Operation};

pub use count::{Count, MAX_COUNT};
use events::{Events, Found};
pub use report::Report;
pub(in crate::protocol) use report::{Counted, Counts};

/// Tokens of one answer. `input` includes `cached_input` and `cache_write`, `output` includes
/// `reasoning`, whatever the provider's protocol does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    /// Input that the provider read from its own cache.
    pub cached_input: u64,
    /// Input that the provider wrote to its own cache.
    pub cache_write: u64,
    pub output: u64,
    /// Output that the model spent on thinking.
    pub reasoning: u64,
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// How much a [`Usage`] can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quality {
    /// The provider reported it.
    Exact,
    /// At least one of input and output was counted by [`estimate`].
    Estimated,
    /// No report, and no answer to count.
    Missing,
}

impl Quality {
    pub const ALL: [Self; 3] = [Self::Exact, Self::Estimated, Self::Missing];

    pub fn label(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Estimated => "estimated",
            Self::Missing => "missing",
        }
    }
}

/// Tokens in so many bytes of text. Four bytes a token is near the truth for English in every
/// common tokenizer, and above it for none by much.
pub fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Reads the usage of an answer while it streams by, without keeping the body: of a JSON document,
/// or of events that only their client understands.
pub struct Meter {
    operation: Operation,
    skimmer: Skimmer,
    answer: Answer,
    /// Of a stream: where its data is, and what the events before this one reported.
    events: Option<(Events, Report)>,
}

impl Meter {
    pub fn new(operation: Operation) -> Self {
        let answer = Answer::new(operation);
        Self { operation, skimmer: Skimmer::default(), answer, events: None }
    }

    /// For server-sent events.
    pub fn of_events(operation: Operation) -> Self {
        Self { events: Some(Default::default()), ..Self::new(operation) }
    }

    /// The next bytes of the body, cut anywhere.
    pub fn chunk(&mut self, chunk: &[u8]) {
        let Self { skimmer, answer, events, .. } = self;
        let Some((events, report)) = events else { return skimmer.feed(chunk, answer) };
        events.feed(chunk, |found| match found {
            Found::Data(data) => skimmer.feed(data, answer),
            Found::End => {
                if let Some(later) = answer.report(skimmer.unfinished()) {
                    *report = std::mem::take(report).merge(later);
                }
                *skimmer = Skimmer::default();
                answer.forget();
            }
        });
    }

    /// What is known by now; `estimated_input` is used where the provider reports none.
    pub fn usage(&self, estimated_input: u64) -> (Usage, Quality) {
        let mut report = self.answer.report(self.skimmer.unfinished()).unwrap_or_default();
        if let Some((_, earlier)) = &self.events {
            report = earlier.clone().merge(report);
        }
        report.usage(self.operation, self.answer.text, estimated_input)
    }
}

/// Whether the member's string is a part of what the model said.
pub(super) fn is_text(operation: Operation, key: &[u8]) -> bool {
    match operation {
        Operation::Chat => matches!(
            key,
            b"content"
                | b"refusal"
                | b"reasoning_content"
                | b"reasoning"
                | b"name"
                | b"arguments"
                | b"transcript"
        ),
        Operation::Completion => key == b"text",
        Operation::Responses => matches!(key, b"text" | b"arguments" | b"refusal"),
        Operation::Messages => matches!(key, b"text" | b"thinking" | b"partial_json" | b"name"),
        Operation::OllamaChat => matches!(key, b"content" | b"thinking" | b"name"),
        Operation::OllamaGenerate => matches!(key, b"response" | b"thinking"),
        // Nobody knows what it is; these are the names that most give to what models say.
        Operation::Other => matches!(
            key,
            b"content"
                | b"text"
                | b"delta"
                | b"reasoning_content"
                | b"thinking"
                | b"arguments"
                | b"response"
        ),
        Operation::Embedding
        | Operation::OllamaEmbed
        | Operation::GeminiGenerate
        | Operation::GeminiStream
        | Operation::GeminiEmbed
        | Operation::GeminiBatchEmbed
        | Operation::Models => false,
    }
}

/// What a member of Gemini's answers means, which have other names for everything.
pub(super) fn of_gemini(key: &[u8]) -> Interest {
    match key {
        b"text" | b"name" => Interest::Text,
        b"usageMetadata" => Interest::Value(Member::Usage),
        b"candidates" => Interest::Value(Member::Choices),
        b"promptFeedback" => Interest::Value(Member::Feedback),
        _ => Interest::None,
    }
}

fn is_embedding(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Embedding
            | Operation::OllamaEmbed
            | Operation::GeminiEmbed
            | Operation::GeminiBatchEmbed
    )
}

/// What a [`Meter`] keeps of an answer.
struct Answer {
    operation: Operation,
    text: u64,
    usage: Vec<u8>,
    prompt: Vec<u8>,
    output: Vec<u8>,
}

impl Answer {
    fn new(operation: Operation) -> Self {
        Self { operation, text: 0, usage: Vec::new(), prompt: Vec::new(), output: Vec::new() }
    }

    /// All but the text.
    fn forget(&mut self) {
        [&mut self.usage, &mut self.prompt, &mut self.output].into_iter().for_each(Vec::clear);
    }

    /// `unfinished` is left out: a number that has not ended may go on.
    fn report(&self, unfinished: Option<Member>) -> Option<Report> {
        match self.operation.dialect() {
            Dialect::Ollama => {
                let (mut prompt, mut output) = (self.prompt.as_slice(), self.output.as_slice());
                match unfinished {
                    Some(Member::PromptCount) => prompt = b"",
                    Some(Member::OutputCount) => output = b"",
                    _ => {}
                }
                Report::ollama(prompt, output)
            }
            Dialect::Gemini => Report::gemini(&self.usage),
            Dialect::OpenAi | Dialect::Anthropic if self.operation != Operation::Other => {
                Report::read(&self.usage)
            }
            _ => Report::read(&self.usage).or_else(|| Report::gemini(&self.usage)),
        }
    }
}

impl Sink for Answer {
    fn interest(&self, _depth: u32, key: &[u8]) -> Interest {
        match key {
            b"usage" => Interest::Value(Member::Usage),
            b"usageMetadata" if self.operation == Operation::Other => {
                Interest::Value(Member::Usage)
            }
            b"prompt_eval_count" => Interest::Value(Member::PromptCount),
            b"eval_count" => Interest::Value(Member::OutputCount),
            _ if self.operation.dialect() == Dialect::Gemini => of_gemini(key),
            _ if is_text(self.operation, key) => Interest::Text,
            _ => Interest::None,
        }
    }

    fn text(&mut self, bytes: usize) {
        self.text = self.text.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn value(&mut self, member: Member, _key_at: usize, _at: usize, piece: &[u8]) {
        let place = match member {
            Member::Usage => &mut self.usage,
            Member::PromptCount => &mut self.prompt,
            Member::OutputCount => &mut self.output,
            Member::Choices | Member::Type | Member::Error | Member::Done | Member::Feedback => {
                return;
            }
        };
        // What is cut off here no longer parses, and so counts as not reported.
        let room = MAX_USAGE.saturating_sub(place.len());
        place.extend(piece.iter().take(room));
    }
}

/// A `usage` object longer than this is not read.
pub const MAX_USAGE: usize = 16 << 10;
const BYTES_PER_TOKEN: u64 = 4;

#[cfg(test)]
mod tests;
