//! What every provider has to read of a chat completion request.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::error::Error;
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{FunctionTool, Message, Part, Role, Tool, ToolChoice};
use crate::protocol::wire::{Number, Raw, TextOr};
use crate::translate::fields::{Warnings, invalid, refuse, unsupported};

/// Which tools the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::translate) enum Choice<'a> {
    Auto,
    None,
    Required,
    Function(Cow<'a, str>),
}

/// What `reasoning_effort` may be.
pub(in crate::translate) const EFFORTS: &str =
    "it must be one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'";

/// In place of `response_format` where a provider has no word for it.
pub(in crate::translate) const JSON_ONLY: &str =
    "Answer with one JSON object and nothing else: no words around it, no code fence.";

/// Refuses what no other provider has a word for, and whose absence would change the answer's
/// meaning.
pub(in crate::translate) fn refuse_common(
    request: &ChatCompletionRequest<'_>,
) -> Result<(), Error> {
    refuse(request.logprobs == Some(true), "logprobs")?;
    refuse(request.top_logprobs.is_some_and(|count| count > 0), "top_logprobs")?;
    refuse(request.logit_bias.as_ref().is_some_and(|bias| !is_empty(bias)), "logit_bias")?;
    refuse(request.audio.is_some(), "audio")?;
    refuse(request.web_search_options.is_some(), "web_search_options")?;
    let modalities = request.modalities.as_deref().unwrap_or_default();
    refuse(modalities.iter().any(|modality| modality != "text"), "modalities")
}

/// The messages. What of them no other provider has a word for is named: it is about a message, not
/// what it says.
pub(in crate::translate) fn messages<'a>(
    request: &mut ChatCompletionRequest<'a>,
    warnings: &mut Warnings,
) -> Vec<Message<'a>> {
    let messages = std::mem::take(&mut request.messages);
    for message in &messages {
        let named = message.name.is_some() && message.role != Role::Function;
        warnings.add_if(named, "messages.name");
        warnings.rest_of("messages", &message.rest);
    }
    messages
}

/// How closely images are to be looked at, which only some providers can be told.
pub(in crate::translate) fn details(messages: &[Message<'_>], warnings: &mut Warnings) {
    let parts = messages.iter().filter_map(|message| match &message.content {
        Some(TextOr::Other(parts)) => Some(parts),
        _ => None,
    });
    let wished = |part: &Part<'_>| match part {
        Part::Image(image) => image.image_url.detail.as_ref().is_some_and(|word| word != "auto"),
        _ => false,
    };
    warnings.add_if(parts.flatten().any(wished), "messages.content.image_url.detail");
}

/// The seed, if the provider knows such numbers.
pub(in crate::translate) fn seed<'a>(
    request: &mut ChatCompletionRequest<'a>,
    known: RangeInclusive<f64>,
    warnings: &mut Warnings,
) -> Option<Number<'a>> {
    let seed = request.seed.take()?;
    let fits = known.contains(&seed.as_f64());
    warnings.add_if(!fits, "seed");
    fits.then_some(seed)
}

/// The most tokens that the answer may have.
pub(in crate::translate) fn limit(request: &ChatCompletionRequest<'_>) -> Option<u64> {
    request.max_completion_tokens.or(request.max_tokens)
}

/// The same, but no more than the model can write, for more is refused.
pub(in crate::translate) fn limit_of(
    request: &ChatCompletionRequest<'_>,
    most: Option<u64>,
    warnings: &mut Warnings,
) -> Option<u64> {
    let asked = limit(request)?;
    let limit = most.map_or(asked, |most| asked.min(most));
    let field = match request.max_completion_tokens {
        Some(_) => "max_completion_tokens",
        None => "max_tokens",
    };
    warnings.add_if(limit < asked, field);
    Some(limit)
}

/// The stop sequences, as many as the provider takes. `said`: it takes none of white space only.
pub(in crate::translate) fn stops_of<'a>(
    request: &mut ChatCompletionRequest<'a>,
    most: usize,
    said: bool,
    warnings: &mut Warnings,
) -> Vec<Cow<'a, str>> {
    let mut all = stops(request.stop.take());
    let before = all.len();
    all.retain(|stop| if said { !stop.trim().is_empty() } else { !stop.is_empty() });
    all.truncate(most);
    warnings.add_if(all.len() < before, "stop");
    all
}

fn stops<'a>(stop: Option<TextOr<'a, Vec<Cow<'a, str>>>>) -> Vec<Cow<'a, str>> {
    match stop {
        None => Vec::new(),
        Some(TextOr::Text(stop)) => vec![stop],
        Some(TextOr::Other(stops)) => stops,
    }
}

/// All functions, also those under the older name.
pub(in crate::translate) fn tools<'a>(
    request: &mut ChatCompletionRequest<'a>,
) -> Vec<FunctionTool<'a>> {
    let tools = request.tools.take().into_iter().flatten();
    let mut tools: Vec<_> = tools
        .filter_map(|tool| if let Tool::Function(tool) = tool { Some(tool) } else { None })
        .collect();
    let functions = request.functions.take().into_iter().flatten();
    tools.extend(functions.map(|function| FunctionTool { function, ..Default::default() }));
    tools
}

/// Under which name the choice of tools stands.
pub(in crate::translate) fn choice_field(request: &ChatCompletionRequest<'_>) -> &'static str {
    match (&request.tool_choice, &request.function_call) {
        (None, Some(_)) => "function_call",
        _ => "tool_choice",
    }
}

/// The choice of tools. Tools that are not allowed are taken out of `tools`.
pub(in crate::translate) fn choice<'a>(
    request: &mut ChatCompletionRequest<'a>,
    tools: &mut Vec<FunctionTool<'a>>,
) -> Result<Option<Choice<'a>>, Error> {
    const FIELD: &str = "tool_choice";
    let choice = match (request.tool_choice.take(), request.function_call.take()) {
        (Some(TextOr::Text(word)), _) => by_word(&word, FIELD)?,
        (Some(TextOr::Other(ToolChoice::Function(choice))), _) => {
            Choice::Function(choice.function.name)
        }
        (Some(TextOr::Other(ToolChoice::Allowed(choice))), _) => {
            let allowed = choice.allowed_tools;
            let named = |tool: &FunctionTool<'_>| {
                allowed.tools.iter().any(|choice| match choice {
                    ToolChoice::Function(choice) => choice.function.name == tool.function.name,
                    _ => false,
                })
            };
            tools.retain(named);
            by_word(&allowed.mode, "tool_choice.allowed_tools.mode")?
        }
        (Some(TextOr::Other(ToolChoice::Custom(_) | ToolChoice::Other(_))), _) => {
            return Err(unsupported("tool_choice.type"));
        }
        (None, Some(TextOr::Text(word))) => by_word(&word, "function_call")?,
        (None, Some(TextOr::Other(choice))) => Choice::Function(choice.name),
        (None, None) => return Ok(None),
    };
    Ok(Some(choice))
}

/// The arguments of a call of a request that is [settled](super::settle), which are JSON within a
/// text, as the object that they are.
pub(in crate::translate) fn settled(arguments: Cow<'_, str>) -> Raw<'_> {
    Raw::checked(arguments)
}

/// The arguments of a call as an object on one line, whatever the model wrote.
pub(in crate::translate) fn object(arguments: Cow<'_, str>) -> Raw<'_> {
    if matches!(arguments.trim(), "" | "null") {
        return Raw::EMPTY_OBJECT;
    }
    // Between the values of a JSON document a line break is a space; within them there is none.
    let line = match arguments.contains(['\n', '\r']) {
        true => arguments.replace(['\n', '\r'], " ").into(),
        false => arguments.clone(),
    };
    match Raw::new(line).filter(Raw::is_object) {
        Some(object) => object,
        None => Raw::from(&serde_json::json!({ "INVALID_JSON": arguments })),
    }
}

fn by_word<'a>(word: &str, field: &'static str) -> Result<Choice<'a>, Error> {
    match word {
        "auto" => Ok(Choice::Auto),
        "none" => Ok(Choice::None),
        "required" => Ok(Choice::Required),
        _ => Err(invalid(field, "it must be one of 'none', 'auto', 'required'")),
    }
}

fn is_empty(object: &Raw<'_>) -> bool {
    object.as_str().bytes().all(|b| matches!(b, b'{' | b'}') || b.is_ascii_whitespace())
}
