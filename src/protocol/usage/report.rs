//! What providers say that an answer used, and whether that can be true: the one place where it is
//! believed.
//!
//! A report counts as none if one of its numbers is no count ([`Count::Absurd`]), or if its parts
//! contradict the whole: more read from a cache than there was input, more thinking than output, a
//! total below the parts. Then the tokens are estimated, and marked so.

use serde::Deserialize;

use super::{Count, MAX_COUNT, Quality, Usage, estimate, is_embedding};
use crate::protocol::gemini::UsageMetadata;
use crate::protocol::{Dialect, Operation};

/// The counts of a provider, under all the names that the protocols have for them.
///
/// - OpenAI: `prompt_tokens` (completions, embeddings: the same) or `input_tokens` (responses)
///   include what was cached; `completion_tokens` or `output_tokens` include reasoning. Servers
///   that add reasoning on top show it in their total, and are read so.
/// - Anthropic: `input_tokens` is only what was neither read from nor written to the cache, both of
///   which are beside it; `output_tokens` includes thinking.
/// - Gemini: `promptTokenCount` includes what was cached, but not the results of its own tools;
///   `thoughtsTokenCount` is beside `candidatesTokenCount`.
/// - Ollama: `prompt_eval_count` and `eval_count` in the answer itself.
/// - Embeddings and reranking: some tell nothing but a total.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Report {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Count,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    /// The gateway's own word for a count that it made up itself.
    estimated: Option<bool>,
}

impl Report {
    /// From a `usage` object; `None` if it is none, or counts nothing. One that cannot be read, or
    /// counts what cannot be, is never believed, nor is what it is merged with.
    pub fn read(json: &[u8]) -> Option<Self> {
        // Most events have none: no parser is asked, so none has to build an error.
        let object = Some(json).filter(|json| json.starts_with(b"{"))?;
        let report: Self = serde_json::from_slice(object).unwrap_or_else(|_| Self::absurd());
        let counts = report.input().or(report.output()).or(report.total_tokens);
        (counts != Count::Absent).then_some(report)
    }

    /// From Ollama's two counts.
    pub(in crate::protocol) fn ollama(prompt: &[u8], output: &[u8]) -> Option<Self> {
        let count = |json: &[u8]| match json.trim_ascii() {
            b"" => Count::Absent,
            json => serde_json::from_slice(json).unwrap_or(Count::Absurd),
        };
        let report =
            Self { input_tokens: count(prompt), output_tokens: count(output), ..Self::default() };
        (report.output().or(report.input()) != Count::Absent).then_some(report)
    }

    /// From Gemini's `usageMetadata`, which counts thinking beside the output.
    pub fn gemini(json: &[u8]) -> Option<Self> {
        let object = Some(json).filter(|json| json.starts_with(b"{"))?;
        let Ok(counts) = UsageMetadata::from_json(object) else { return Some(Self::absurd()) };
        if counts.is_empty() {
            return None;
        }
        let Some(Counted { usage, untold }) = counts.counted() else { return Some(Self::absurd()) };
        let told = |count: Count| count != Count::Absent;
        let spoke = told(counts.candidates_token_count) || told(counts.thoughts_token_count);
        let thought =
            OutputDetails { reasoning_tokens: usage.reasoning.into(), ..Default::default() };
        Some(Self {
            input_tokens: told(counts.prompt_token_count).then_some(usage.input).into(),
            prompt_cache_hit_tokens: counts.cached_content_token_count,
            output_tokens: (spoke || untold).then_some(usage.output).into(),
            output_tokens_details: Some(thought),
            estimated: untold.then_some(true),
            ..Self::default()
        })
    }

    fn absurd() -> Self {
        Self { input_tokens: Count::Absurd, ..Self::default() }
    }

    /// Without the output, which is not known when a stream begins, whatever the event says.
    #[must_use]
    pub fn without_output(self) -> Self {
        let output = Count::Absent;
        Self {
            output_tokens: output,
            completion_tokens: output,
            total_tokens: output,
            output_tokens_details: None,
            completion_tokens_details: None,
            ..self
        }
    }

    /// What a later event of the same stream says. Counts are cumulative, so they never sink.
    #[must_use]
    pub fn merge(self, later: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.max(later.prompt_tokens),
            completion_tokens: self.completion_tokens.max(later.completion_tokens),
            total_tokens: self.total_tokens.max(later.total_tokens),
            input_tokens: self.input_tokens.max(later.input_tokens),
            output_tokens: self.output_tokens.max(later.output_tokens),
            cache_read_input_tokens: self
                .cache_read_input_tokens
                .max(later.cache_read_input_tokens),
            cache_creation_input_tokens: self
                .cache_creation_input_tokens
                .max(later.cache_creation_input_tokens),
            prompt_cache_hit_tokens: self
                .prompt_cache_hit_tokens
                .max(later.prompt_cache_hit_tokens),
            prompt_tokens_details: later.prompt_tokens_details.or(self.prompt_tokens_details),
            input_tokens_details: later.input_tokens_details.or(self.input_tokens_details),
            completion_tokens_details: later
                .completion_tokens_details
                .or(self.completion_tokens_details),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
            estimated: later.estimated.or(self.estimated),
        }
    }

    /// What it says in the gateway's own terms, a count that it lacks as nothing; `None` if that
    /// cannot be true.
    pub fn believed(&self, operation: Operation) -> Option<Usage> {
        self.counted(operation).map(|counted| counted.usage)
    }

    /// The normalised usage; what the report lacks is estimated, output from `text` bytes.
    pub fn usage(&self, operation: Operation, text: u64, estimated_input: u64) -> (Usage, Quality) {
        let speaks = speaks(operation);
        let counted = self.counted(operation);
        let Counted { usage: reported, untold } = counted.unwrap_or_default();
        // Some say 0 where they know nothing: nobody asks nothing, and what was said was said.
        let told = |count: Count| count != Count::Absent && counted.is_some();
        let input = told(self.input()) || (!speaks && reported.input > 0);
        let input = Some(reported.input).filter(|count| input && *count > 0);
        let output = Some(reported.output).filter(|_| told(self.output()));
        let output = output.filter(|count| *count > 0 || text == 0 && input.is_some());
        let quality = match (input, output) {
            _ if untold || self.estimated == Some(true) => Quality::Estimated,
            (Some(_), Some(_)) => Quality::Exact,
            (Some(_), None) if !speaks => Quality::Exact,
            (None, None) if text == 0 && !is_embedding(operation) => Quality::Missing,
            _ => Quality::Estimated,
        };
        let usage = match quality {
            Quality::Exact => reported,
            Quality::Estimated | Quality::Missing => Usage {
                input: input.unwrap_or(estimated_input),
                output: reported.output.max(estimate(text)),
                ..reported
            },
        };
        (usage, quality)
    }

    fn counted(&self, operation: Operation) -> Option<Counted> {
        if self.is_absurd() {
            return None;
        }
        let counts = match operation.dialect() {
            Dialect::Anthropic => self.anthropic(),
            Dialect::OpenAi | Dialect::Ollama | Dialect::Gemini => self.openai(),
        };
        let mut counted = counts.check()?;
        if counted.untold && !speaks(operation) && self.output() == Count::Absent {
            // There is no output that could have been left out.
            let input = counted.usage.total();
            counted = Counted { usage: Usage { input, output: 0, ..counted.usage }, untold: false };
        }
        Some(counted)
    }

    fn openai(&self) -> Counts {
        let input_details = self.prompt_tokens_details.or(self.input_tokens_details);
        let input_details = input_details.unwrap_or_default();
        let input = self.input().get().unwrap_or_default();
        let output = self.output().get().unwrap_or_default();
        let reasoning = self.reasoning();
        let total = self.total_tokens.get();
        let apart = input.saturating_add(output).saturating_add(reasoning);
        let cached = input_details.cached_tokens.or(self.prompt_cache_hit_tokens);
        Counts {
            usage: Usage {
                input,
                cached_input: cached.get().unwrap_or_default(),
                cache_write: input_details.cache_write_tokens.get().unwrap_or_default(),
                output: if total == Some(apart) {
                    output.saturating_add(reasoning)
                } else {
                    output
                },
                reasoning,
            },
            least: input.saturating_add(output),
            total,
        }
    }

    fn anthropic(&self) -> Counts {
        let cached_input = self.cache_read_input_tokens.get().unwrap_or_default();
        let cache_write = self.cache_creation_input_tokens.get().unwrap_or_default();
        let fresh = self.input().get().unwrap_or_default();
        let output = self.output().get().unwrap_or_default();
        Counts {
            usage: Usage {
                input: fresh.saturating_add(cached_input).saturating_add(cache_write),
                cached_input,
                cache_write,
                output,
                reasoning: self.reasoning(),
            },
            least: fresh.saturating_add(output),
            total: self.total_tokens.get(),
        }
    }

    fn input(&self) -> Count {
        self.prompt_tokens.or(self.input_tokens)
    }

    fn output(&self) -> Count {
        self.completion_tokens.or(self.output_tokens)
    }

    fn reasoning(&self) -> u64 {
        let details = self.completion_tokens_details.or(self.output_tokens_details);
        let details = details.unwrap_or_default();
        details.reasoning_tokens.or(details.thinking_tokens).get().unwrap_or_default()
    }

    fn is_absurd(&self) -> bool {
        let input = |details: Option<InputDetails>| {
            let details = details.unwrap_or_default();
            [details.cached_tokens, details.cache_write_tokens]
        };
        let output = |details: Option<OutputDetails>| {
            let details = details.unwrap_or_default();
            [details.reasoning_tokens, details.thinking_tokens]
        };
        let own = [
            self.prompt_tokens,
            self.completion_tokens,
            self.total_tokens,
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.prompt_cache_hit_tokens,
        ];
        let mut all = own
            .into_iter()
            .chain(input(self.prompt_tokens_details))
            .chain(input(self.input_tokens_details))
            .chain(output(self.completion_tokens_details))
            .chain(output(self.output_tokens_details));
        all.any(|count| count == Count::Absurd)
    }
}

/// Whether the answer is something that a model says, and so has an output.
fn speaks(operation: Operation) -> bool {
    !is_embedding(operation) && operation != Operation::Other
}

/// What a provider counted, in the gateway's terms but not looked at yet.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::protocol) struct Counts {
    pub(in crate::protocol) usage: Usage,
    /// The provider's own total.
    pub(in crate::protocol) total: Option<u64>,
    /// What that total includes at any rate. Some leave out of it what they count beside the rest.
    pub(in crate::protocol) least: u64,
}

/// What can be true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::protocol) struct Counted {
    pub(in crate::protocol) usage: Usage,
    /// The total is more than its parts. Gemini, for one, does not tell through its OpenAI endpoint
    /// what it thought, and bills it: the rest counts as output.
    pub(in crate::protocol) untold: bool,
}

impl Counts {
    pub(in crate::protocol) fn check(self) -> Option<Counted> {
        let Self { mut usage, total, least } = self;
        let cached = usage.cached_input.saturating_add(usage.cache_write);
        if cached > usage.input || usage.reasoning > usage.output {
            return None;
        }
        let mut untold = false;
        if let Some(total) = total {
            let rest = total.saturating_sub(usage.total());
            if total < least || rest > MAX_UNTOLD {
                return None;
            }
            untold = rest > 0;
            usage.output = usage.output.saturating_add(rest);
        }
        let possible = usage.input <= MAX_COUNT && usage.output <= MAX_COUNT;
        possible.then_some(Counted { usage, untold })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
    thinking_tokens: Count,
}

/// No model says more in one answer.
const MAX_UNTOLD: u64 = 1_000_000;
