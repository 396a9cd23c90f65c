//! How Claude models are asked to think, and which sampling parameters they are given.

use std::borrow::Cow;

use super::chat;
use super::facts::{Facts, Thinking};
use super::fields::{Warnings, invalid};
use crate::error::Error;
use crate::protocol::anthropic::request::{Adaptive, Budget, Plain, ThinkingConfig};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::wire::{self, Number, Raw};

/// A model that is asked in Anthropic's words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claude(pub(super) Facts);

impl Claude {
    /// Reads `thinking` and `reasoning_effort`. `room`: the most tokens that the answer may have.
    pub(super) fn think<'a>(
        self,
        request: &mut ChatCompletionRequest<'a>,
        room: Option<u64>,
        hindrance: Hindrance,
        warnings: &mut Warnings,
    ) -> Result<Thought<'a>, Error> {
        let asked = request.reasoning_effort.take();
        let effort = asked.map(|effort| self.effort(&effort)).transpose()?;
        let Some(raw) = request.thinking.take() else {
            let Some(effort) = effort else { return Ok(Thought::default()) };
            return Ok(self.by_effort(effort, room, hindrance, warnings));
        };
        let read = wire::read::<ThinkingConfig<'_>>(raw.as_str().as_bytes());
        let read = read.map_err(|_| invalid("thinking", "it must be an object that says its type"));
        let wants = |read: &ThinkingConfig<'_>| {
            matches!(read, ThinkingConfig::Enabled(_) | ThinkingConfig::Adaptive(_))
        };
        let read = read?;
        let mut thought = match read {
            ThinkingConfig::Disabled(_) if !self.0.always_thinks() => Thought::of(raw, false),
            _ if wants(&read) && (hindrance.forced || self.0.thinking == Thinking::Never) => {
                warnings.add("thinking");
                Thought::default()
            }
            ThinkingConfig::Enabled(asked) if !self.0.takes_budgets() => {
                self.adaptively(asked.display.map(|it| it.into_owned().into()))
            }
            // What led to the calls before is lost, and a budget wants it back.
            ThinkingConfig::Enabled(asked) if hindrance.unsigned && self.0.is_adaptive() => {
                self.adaptively(asked.display.map(|it| it.into_owned().into()))
            }
            ThinkingConfig::Enabled(_) if hindrance.unsigned => {
                warnings.add("thinking");
                Thought::default()
            }
            ThinkingConfig::Adaptive(_) if !self.0.is_adaptive() => {
                let wanted = budget(effort.flatten().unwrap_or("high"));
                self.by_budget(wanted, "thinking", room, hindrance, warnings)
            }
            ThinkingConfig::Enabled(asked)
                if room.is_some_and(|room| asked.budget_tokens >= room) =>
            {
                self.by_budget(asked.budget_tokens, "thinking", room, hindrance, warnings)
            }
            ThinkingConfig::Enabled(asked) => {
                let more_tokens = if room.is_none() { asked.budget_tokens } else { 0 };
                Thought { more_tokens, ..Thought::of(raw, true) }
            }
            ThinkingConfig::Adaptive(_) | ThinkingConfig::Other(_) => Thought::of(raw, true),
            ThinkingConfig::Disabled(_) => {
                warnings.add("thinking");
                Thought::default()
            }
        };
        thought.effort = effort.flatten().filter(|_| self.0.is_adaptive());
        Ok(thought)
    }

    /// `None`: not at all.
    fn effort(self, asked: &str) -> Result<Option<&'static str>, Error> {
        if asked == "none" {
            return Ok(None);
        }
        if let Some(effort) = self.0.effort(asked) {
            return Ok(Some(effort));
        }
        Ok(Some(match asked {
            "minimal" | "low" => "low",
            "medium" => "medium",
            "high" | "xhigh" => "high",
            "max" => "max",
            _ => return Err(invalid("reasoning_effort", chat::EFFORTS)),
        }))
    }

    fn by_effort<'a>(
        self,
        effort: Option<&'static str>,
        room: Option<u64>,
        hindrance: Hindrance,
        warnings: &mut Warnings,
    ) -> Thought<'a> {
        if !self.0.is_adaptive() {
            let Some(wanted) = effort.map(budget) else { return Thought::default() };
            return self.by_budget(wanted, "reasoning_effort", room, hindrance, warnings);
        }
        let effort = effort.or(self.0.always_thinks().then_some("low"));
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
        let display = display.or((!self.0.takes_budgets()).then_some("summarized".into()));
        let adaptive = Adaptive { display, ..Default::default() };
        let thinking = Some(ThinkingConfig::Adaptive(adaptive));
        Thought { thinking, thinks: true, ..Thought::default() }
    }

    fn by_budget<'a>(
        self,
        wanted: u64,
        field: &'static str,
        room: Option<u64>,
        hindrance: Hindrance,
        warnings: &mut Warnings,
    ) -> Thought<'a> {
        let budget_tokens = match room {
            // Something has to be left for the answer.
            Some(room) if wanted >= room => (room / 2).max(MIN_BUDGET).min(room.saturating_sub(1)),
            _ => wanted,
        };
        let never = self.0.thinking == Thinking::Never;
        if never || hindrance.forced || hindrance.unsigned || budget_tokens < MIN_BUDGET {
            warnings.add(field);
            return Thought::default();
        }
        let budget = Budget { budget_tokens, ..Default::default() };
        Thought {
            thinking: Some(ThinkingConfig::Enabled(budget)),
            thinks: true,
            more_tokens: if room.is_none() { budget_tokens } else { 0 },
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
        if thinks || !self.0.samples {
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
