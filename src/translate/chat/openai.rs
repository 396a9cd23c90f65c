//! A chat completion that was made of another call, as OpenAI's models take it: what they refuse is
//! not sent.

use std::borrow::Cow;

use super::request::{limit_of, stops_of};
use super::settle::{Terms, settle};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::wire::{Number, TextOr};
use crate::translate::facts::{Facts, Family, Tools};
use crate::translate::fields::Warnings;
use crate::translate::names::Names;
use crate::translate::{Context, words};

/// Unless another pair reads it. Returns the names of tools that differ from the caller's.
pub(in crate::translate) fn at_openai(
    request: &mut ChatCompletionRequest<'_>,
    context: &Context,
    client: Operation,
    warnings: &mut Warnings,
) -> Result<Names, Error> {
    if context.between {
        return Ok(Names::default());
    }
    let facts = Facts::of(context);
    let mut lost = Warnings::default();
    let names = settle(request, Terms::OPENAI, &mut lost)?;
    let limit = limit_of(request, facts.output, &mut lost);
    request.max_tokens = limit.filter(|_| !facts.reasons);
    request.max_completion_tokens = limit.filter(|_| facts.reasons);
    let stops = stops_of(request, facts.stops, false, &mut lost);
    request.stop = (!stops.is_empty()).then_some(TextOr::Other(stops));
    if facts.reasons {
        // Their defaults are as good as none.
        for (number, default, field) in [
            (&mut request.temperature, 1.0, "temperature"),
            (&mut request.top_p, 1.0, "top_p"),
            (&mut request.presence_penalty, 0.0, "presence_penalty"),
            (&mut request.frequency_penalty, 0.0, "frequency_penalty"),
        ] {
            let asks = |number: Number<'_>| number.as_f64() != default;
            lost.add_if(number.take().is_some_and(asks), field);
        }
    }
    reason(request, facts, &mut lost);
    for field in lost.into_inner() {
        warnings.add(words::of_client(client, &field).into_owned());
    }
    Ok(names)
}

fn reason(request: &mut ChatCompletionRequest<'_>, facts: Facts, lost: &mut Warnings) {
    let asked = request.reasoning_effort.take();
    let known = matches!(facts.family, Family::Gpt | Family::O | Family::GptOss);
    request.reasoning_effort = match asked {
        Some(asked) if known => {
            let nearest = facts.effort(&asked);
            lost.add_if(nearest.is_none(), "reasoning_effort");
            nearest.map(Cow::Borrowed)
        }
        asked => asked,
    };
    if request.tools.is_none() {
        return;
    }
    // Chat completions of these models take tools or reasoning.
    let told = request.reasoning_effort.as_deref().is_some_and(|effort| effort != "none");
    match facts.tools {
        Tools::Any => {}
        Tools::WithoutEffort => {
            lost.add_if(told, "reasoning_effort");
            request.reasoning_effort = None;
        }
        Tools::WithoutReasoning => {
            lost.add_if(told, "reasoning_effort");
            request.reasoning_effort = Some("none".into());
        }
    }
}
