//! What Claude models differ in that no field of a request tells: how they are asked to think, and
//! whether they take sampling parameters. Known from the version in the name.

use super::chat;
use super::fields::{Warnings, invalid};
use crate::error::Error;
use crate::protocol::anthropic::request::{Adaptive, Budget, Plain, ThinkingConfig};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::wire::{self, Number};

/// What a model's name says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claude {
    /// Thinks as much as it finds right, steered by an effort; others are given a budget.
    pub(super) adaptive: bool,
    /// Takes `temperature`, `top_p` and `top_k`.
    pub(super) samples: bool,
    /// Keeps to a schema by itself, in answers and in calls of strict tools.
    pub(super) schemas: bool,
    /// Knows the effort `xhigh`.
    pub(super) xhigh: bool,
    /// Thinks whatever it is told.
    pub(super) always_thinks: bool,
}

impl Claude {
    /// Names that are no Claude's are of servers that speak Anthropic's protocol as it was at
    /// first. A Claude without a version is a new one.
    pub(super) fn named(model: &str) -> Self {
        let Some((_, name)) = model.split_once("claude") else {
            return Self {
                adaptive: false,
                samples: true,
                schemas: false,
                xhigh: false,
                always_thinks: false,
            };
        };
        let version = version(name);
        Self {
            adaptive: version >= (4, 6),
            samples: version < (4, 7),
            schemas: version >= (4, 1),
            xhigh: version >= (4, 7),
            always_thinks: name.contains("fable") || name.contains("mythos"),
        }
    }

    /// Reads `thinking` and `reasoning_effort`. `hindered`: the request forces a call, or has calls
    /// without the thinking that led to them, which a model that thinks by budget does not take.
    pub(super) fn think<'a>(
        self,
        request: &mut ChatCompletionRequest<'a>,
        hindered: bool,
        warnings: &mut Warnings,
    ) -> Result<Thought<'a>, Error> {
        let mut thought = Thought::default();
        if let Some(thinking) = request.thinking.take() {
            let read = wire::read::<ThinkingConfig<'_>>(thinking.as_str().as_bytes());
            read.map_err(|_| invalid("thinking", "it must be an object that says its type"))?;
            // It is passed on as it is written.
            thought.thinking = Some(ThinkingConfig::Other(thinking));
            return Ok(thought);
        }
        let Some(effort) = request.reasoning_effort.take() else { return Ok(thought) };
        let effort = match &*effort {
            "none" => None,
            "minimal" | "low" => Some("low"),
            "medium" => Some("medium"),
            "high" => Some("high"),
            "xhigh" if self.xhigh => Some("xhigh"),
            "xhigh" => Some("high"),
            "max" => Some("max"),
            _ => return Err(invalid("reasoning_effort", chat::EFFORTS)),
        };
        if self.adaptive {
            if effort.is_none() && !self.always_thinks {
                thought.thinking = Some(ThinkingConfig::Disabled(Plain::default()));
            } else {
                let display = self.xhigh.then_some("summarized".into());
                let adaptive = Adaptive { display, ..Default::default() };
                thought.thinking = Some(ThinkingConfig::Adaptive(adaptive));
                thought.effort = effort.or(Some("low"));
            }
            return Ok(thought);
        }
        let Some(wanted) = effort.map(budget) else { return Ok(thought) };
        let room = chat::limit(request).map_or(wanted, |limit| limit.saturating_sub(1));
        let budget_tokens = wanted.min(room);
        if hindered || budget_tokens < MIN_BUDGET {
            warnings.add("reasoning_effort");
        } else {
            let budget = Budget { budget_tokens, ..Default::default() };
            thought.thinking = Some(ThinkingConfig::Enabled(budget));
            if chat::limit(request).is_none() {
                thought.more_tokens = budget_tokens;
            }
        }
        Ok(thought)
    }

    /// Reads the sampling parameters. OpenAI's default of 1 is as good as none.
    pub(super) fn sample<'a>(
        self,
        request: &mut ChatCompletionRequest<'a>,
        thinks: bool,
        warnings: &mut Warnings,
    ) -> Sampling<'a> {
        let not_one = |number: &Number<'_>| number.as_f64() != 1.0;
        let asks = |number: &Option<Number<'_>>| number.as_ref().is_some_and(|n| n.as_f64() != 0.0);
        warnings.add_if(asks(&request.presence_penalty), "presence_penalty");
        warnings.add_if(asks(&request.frequency_penalty), "frequency_penalty");
        let temperature = request.temperature.take().filter(not_one);
        let top_p = request.top_p.take().filter(not_one);
        let top_k = request.top_k.take();
        if thinks || !self.samples {
            warnings.add_if(temperature.is_some(), "temperature");
            warnings.add_if(top_p.is_some(), "top_p");
            warnings.add_if(top_k.is_some(), "top_k");
            return Sampling::default();
        }
        // Newer models take one of the two only.
        warnings.add_if(temperature.is_some() && top_p.is_some(), "top_p");
        let top_p = top_p.filter(|_| temperature.is_none());
        let hot = |number: &Number<'_>| number.as_f64() > 1.0;
        warnings.add_if(temperature.as_ref().is_some_and(hot), "temperature");
        let temperature =
            temperature.map(|number| if hot(&number) { Number::from(1.0) } else { number });
        Sampling { temperature, top_p, top_k }
    }
}

/// How a model is to think.
#[derive(Debug, Default)]
pub(super) struct Thought<'a> {
    pub(super) thinking: Option<ThinkingConfig<'a>>,
    pub(super) effort: Option<&'static str>,
    /// To be added to the default limit of output tokens.
    pub(super) more_tokens: u64,
}

impl Thought<'_> {
    pub(super) fn thinks(&self) -> bool {
        matches!(self.thinking, Some(ThinkingConfig::Enabled(_) | ThinkingConfig::Adaptive(_)))
    }
}

#[derive(Debug, Default)]
pub(super) struct Sampling<'a> {
    pub(super) temperature: Option<Number<'a>>,
    pub(super) top_p: Option<Number<'a>>,
    pub(super) top_k: Option<Number<'a>>,
}

/// Tokens to think with, where the model is told so many.
fn budget(effort: &str) -> u64 {
    match effort {
        "low" => MIN_BUDGET,
        "medium" => 4_096,
        "high" => 16_384,
        _ => 32_768,
    }
}

/// The least that Anthropic takes.
const MIN_BUDGET: u64 = 1_024;

/// `claude-sonnet-4-5-20250929`: (4, 5). Longer numbers are dates.
fn version(name: &str) -> (u8, u8) {
    let mut parts = name.split(['-', '.', '@', ':', '_']);
    let number = |part: &str| if part.len() <= 2 { part.parse::<u8>().ok() } else { None };
    match parts.find_map(number) {
        Some(major) => (major, parts.next().and_then(number).unwrap_or_default()),
        None => (u8::MAX, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_name() {
        let cases = [
            ("claude-3-5-sonnet-20241022", (false, true)),
            ("claude-3-7-sonnet-latest", (false, true)),
            ("claude-opus-4-20250514", (false, true)),
            ("claude-sonnet-4-5-20250929", (false, true)),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", (false, true)),
            ("claude-opus-4-6", (true, true)),
            ("claude-sonnet-4.6", (true, true)),
            ("claude-opus-4-7", (true, false)),
            ("claude-opus-5", (true, false)),
            ("claude-sonnet-5@20260801", (true, false)),
            ("claude-fable-5-1", (true, false)),
            ("claude-latest", (true, false)),
            ("kimi-k2", (false, true)),
        ];
        for (name, (adaptive, samples)) in cases {
            let claude = Claude::named(name);
            assert_eq!((claude.adaptive, claude.samples), (adaptive, samples), "{name}");
        }
    }
}
