//! What Claude models differ in that no field of a request tells: how they are asked to think, and
//! whether they take sampling parameters. Known from the version in the name.

use std::borrow::Cow;

use super::chat;
use super::fields::{Warnings, invalid};
use crate::error::Error;
use crate::protocol::anthropic::request::{Adaptive, Budget, Plain, ThinkingConfig};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::wire::{self, Number, Raw};

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
    /// May be given a budget of tokens to think with.
    budgets: bool,
    /// Thinks whatever it is told.
    pub(super) always_thinks: bool,
    /// May be forced to call a tool.
    pub(super) forces: bool,
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
                budgets: true,
                always_thinks: false,
                forces: true,
            };
        };
        let version = version(name);
        let steady = name.contains("fable") || name.contains("mythos");
        Self {
            adaptive: version >= (4, 6),
            samples: version < (4, 7),
            schemas: version >= (4, 1),
            xhigh: version >= (4, 7),
            budgets: version < (4, 7) && !steady,
            always_thinks: version >= (5, 5) || steady,
            forces: version < (5, 5) && !(steady && version >= (5, 1)),
        }
    }

    /// Reads `thinking` and `reasoning_effort`.
    pub(super) fn think<'a>(
        self,
        request: &mut ChatCompletionRequest<'a>,
        hindrance: Hindrance,
        warnings: &mut Warnings,
    ) -> Result<Thought<'a>, Error> {
        let asked = request.reasoning_effort.take();
        let effort = asked.map(|effort| self.effort(&effort)).transpose()?;
        let Some(raw) = request.thinking.take() else {
            let Some(effort) = effort else { return Ok(Thought::default()) };
            return Ok(self.by_effort(effort, request, hindrance, warnings));
        };
        let limit = chat::limit(request);
        let read = wire::read::<ThinkingConfig<'_>>(raw.as_str().as_bytes());
        let read = read.map_err(|_| invalid("thinking", "it must be an object that says its type"));
        let mut thought = match read? {
            ThinkingConfig::Disabled(_) if !self.always_thinks => Thought::of(raw, false),
            ThinkingConfig::Enabled(_) | ThinkingConfig::Adaptive(_) if hindrance.forced => {
                warnings.add("thinking");
                Thought::default()
            }
            ThinkingConfig::Enabled(asked) if !self.budgets => {
                self.adaptively(asked.display.map(|it| it.into_owned().into()))
            }
            ThinkingConfig::Adaptive(_) if !self.adaptive => {
                let wanted = budget(effort.flatten().unwrap_or("high"));
                self.by_budget(wanted, "thinking", limit, hindrance, warnings)
            }
            ThinkingConfig::Enabled(asked) => {
                let more_tokens = if limit.is_none() { asked.budget_tokens } else { 0 };
                Thought { more_tokens, ..Thought::of(raw, true) }
            }
            ThinkingConfig::Adaptive(_) | ThinkingConfig::Other(_) => Thought::of(raw, true),
            ThinkingConfig::Disabled(_) => {
                warnings.add("thinking");
                Thought::default()
            }
        };
        thought.effort = effort.flatten().filter(|_| self.adaptive);
        Ok(thought)
    }

    /// `None`: not at all.
    fn effort(self, asked: &str) -> Result<Option<&'static str>, Error> {
        Ok(Some(match asked {
            "none" => return Ok(None),
            "minimal" | "low" => "low",
            "medium" => "medium",
            "high" => "high",
            "xhigh" if self.xhigh => "xhigh",
            "xhigh" => "high",
            "max" => "max",
            _ => return Err(invalid("reasoning_effort", chat::EFFORTS)),
        }))
    }

    fn by_effort<'a>(
        self,
        effort: Option<&'static str>,
        request: &ChatCompletionRequest<'_>,
        hindrance: Hindrance,
        warnings: &mut Warnings,
    ) -> Thought<'a> {
        if !self.adaptive {
            let Some(wanted) = effort.map(budget) else { return Thought::default() };
            let limit = chat::limit(request);
            return self.by_budget(wanted, "reasoning_effort", limit, hindrance, warnings);
        }
        let effort = effort.or(self.always_thinks.then_some("low"));
        match effort {
            None => {
                let off = ThinkingConfig::Disabled(Plain::default());
                Thought { thinking: Some(off), ..Thought::default() }
            }
            // The effort is about more than thinking.
            Some(_) if hindrance.forced => Thought { effort, ..Thought::default() },
            Some(_) => Thought { effort, ..self.adaptively(None) },
        }
    }

    fn adaptively<'a>(self, display: Option<Cow<'a, str>>) -> Thought<'a> {
        let display = display.or(self.xhigh.then_some("summarized".into()));
        let adaptive = Adaptive { display, ..Default::default() };
        let thinking = Some(ThinkingConfig::Adaptive(adaptive));
        Thought { thinking, thinks: true, ..Thought::default() }
    }

    fn by_budget<'a>(
        self,
        wanted: u64,
        field: &'static str,
        limit: Option<u64>,
        hindrance: Hindrance,
        warnings: &mut Warnings,
    ) -> Thought<'a> {
        let room = limit.map_or(wanted, |limit| limit.saturating_sub(1));
        let budget_tokens = wanted.min(room);
        if hindrance.forced || hindrance.unsigned || budget_tokens < MIN_BUDGET {
            warnings.add(field);
            return Thought::default();
        }
        let budget = Budget { budget_tokens, ..Default::default() };
        Thought {
            thinking: Some(ThinkingConfig::Enabled(budget)),
            thinks: true,
            more_tokens: if limit.is_none() { budget_tokens } else { 0 },
            ..Thought::default()
        }
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

/// What keeps a model from thinking.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hindrance {
    /// The request forces a call.
    pub(super) forced: bool,
    /// It has calls without the thinking that led to them, which a model that thinks by budget does
    /// not take.
    pub(super) unsigned: bool,
}

/// How a model is to think.
#[derive(Debug, Default)]
pub(super) struct Thought<'a> {
    pub(super) thinking: Option<ThinkingConfig<'a>>,
    pub(super) thinks: bool,
    pub(super) effort: Option<&'static str>,
    /// To be added to the default limit of output tokens.
    pub(super) more_tokens: u64,
}

impl<'a> Thought<'a> {
    /// As it is written.
    fn of(raw: Raw<'a>, thinks: bool) -> Self {
        Self { thinking: Some(ThinkingConfig::Other(raw)), thinks, ..Self::default() }
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
