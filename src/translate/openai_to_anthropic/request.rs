//! The request.

use std::borrow::Cow;

use super::super::chat::{self, Choice};
use super::super::claude::Claude;
use super::super::fields::{Warnings, invalid, refuse};
use super::super::{Asked, Context, Translated, schema};
use super::messages::Conversation;
use crate::error::Error;
use crate::protocol::anthropic::TextBlock;
use crate::protocol::anthropic::request::{
    Adaptive, Budget, Choice as Plain, MessagesRequest, Metadata, NamedChoice, OutputConfig,
    OutputFormat, Plain as Off, Schema, ThinkingConfig, Tool, ToolChoice,
};
use crate::protocol::openai::chat::{ChatCompletionRequest, FunctionTool, ResponseFormat};
use crate::protocol::wire::{Number, Raw};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let mut request = ChatCompletionRequest::from_json(body)?;
    chat::refuse_common(&request)?;
    refuse(request.n.is_some_and(|n| n > 1), "n")?;
    let mut warnings = Warnings::default();
    let claude = Claude::named(&context.upstream_model);
    let mut tools = chat::tools(&mut request)?;
    let choice = chat::choice(&mut request, &mut tools)?;
    let mut conversation = Conversation::default();
    for (index, message) in std::mem::take(&mut request.messages).into_iter().enumerate() {
        conversation.add(message, index)?;
    }
    let mut translated = MessagesRequest {
        model: Some(context.upstream_model.as_str().into()),
        max_tokens: chat::limit(&request).unwrap_or(context.default_max_tokens),
        stream: request.stream,
        ..Default::default()
    };
    translated.tool_choice = tool_choice(choice, request.parallel_tool_calls, &tools);
    translated.stop_sequences = stop_sequences(&mut request, &mut warnings);
    format(&mut request, claude, &mut conversation, &mut translated, &mut warnings);
    think(&mut request, claude, &conversation, &mut translated, &mut warnings)?;
    sample(&mut request, claude, &mut translated, &mut warnings);
    let user = request.safety_identifier.take().or(request.user.take());
    translated.metadata = user.map(|id| Metadata { user_id: Some(id), ..Default::default() });
    translated.tools = (!tools.is_empty())
        .then(|| tools.into_iter().map(|one| tool(one, claude, &mut warnings)).collect());
    (translated.system, translated.messages) = conversation.finish();
    warnings.add_if(request.seed.is_some(), "seed");
    warnings.rest(&request.rest);
    let options = request.stream_options.unwrap_or_default();
    Ok(Translated {
        path: "/messages".into(),
        headers: vec![("anthropic-version", "2023-06-01")],
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked {
            stream: request.stream == Some(true),
            usage: options.include_usage == Some(true),
            ..Default::default()
        },
    })
}

fn tool<'a>(tool: FunctionTool<'a>, claude: Claude, warnings: &mut Warnings) -> Tool<'a> {
    let function = tool.function;
    let strict = function.strict.filter(|strict| *strict);
    warnings.add_if(strict.is_some() && !claude.schemas, "tools.function.strict");
    let schema = schema::object(function.parameters.unwrap_or(Raw::EMPTY_OBJECT));
    let strict = strict.filter(|_| claude.schemas);
    Tool {
        name: Some(function.name),
        description: function.description,
        input_schema: Some(if strict.is_some() { schema::closed(&schema) } else { schema }),
        strict,
        cache_control: tool.cache_control,
        ..Default::default()
    }
}

fn tool_choice<'a>(
    choice: Option<Choice<'a>>,
    parallel: Option<bool>,
    tools: &[FunctionTool<'_>],
) -> Option<ToolChoice<'a>> {
    let one_by_one = (parallel == Some(false)).then_some(true);
    let plain = Plain { disable_parallel_tool_use: one_by_one, ..Default::default() };
    // Without tools Anthropic takes no choice.
    match choice.filter(|_| !tools.is_empty()) {
        Some(Choice::Auto) => Some(ToolChoice::Auto(plain)),
        Some(Choice::Required) => Some(ToolChoice::Any(plain)),
        Some(Choice::None) => Some(ToolChoice::None(Plain::default())),
        Some(Choice::Function(name)) => Some(ToolChoice::Tool(NamedChoice {
            name,
            disable_parallel_tool_use: one_by_one,
            ..Default::default()
        })),
        None if tools.is_empty() => None,
        None => one_by_one.map(|_| ToolChoice::Auto(plain)),
    }
}

/// Anthropic takes no stop sequence of white space only.
fn stop_sequences<'a>(
    request: &mut ChatCompletionRequest<'a>,
    warnings: &mut Warnings,
) -> Option<Vec<Cow<'a, str>>> {
    let all = chat::stops(request.stop.take());
    let before = all.len();
    let stops: Vec<_> = all.into_iter().filter(|stop| !stop.trim().is_empty()).collect();
    warnings.add_if(stops.len() < before, "stop");
    (!stops.is_empty()).then_some(stops)
}

fn format<'a>(
    request: &mut ChatCompletionRequest<'a>,
    claude: Claude,
    conversation: &mut Conversation<'a>,
    translated: &mut MessagesRequest<'a>,
    warnings: &mut Warnings,
) {
    let mut say = |text: Cow<'a, str>| {
        conversation.system.push(TextBlock { text, ..Default::default() });
    };
    match request.response_format.take() {
        Some(ResponseFormat::JsonSchema(format)) => {
            let schema = format.json_schema.schema.unwrap_or(Raw::EMPTY_OBJECT);
            if claude.schemas {
                let schema = Schema { schema: schema::closed(&schema), ..Default::default() };
                let config = translated.output_config.get_or_insert_default();
                config.format = Some(OutputFormat::JsonSchema(schema));
            } else {
                say(format!("{JSON_ONLY} It must match this JSON schema: {}", schema.as_str())
                    .into());
            }
        }
        Some(ResponseFormat::JsonObject(_)) => say(JSON_ONLY.into()),
        Some(ResponseFormat::Other(_)) => warnings.add("response_format"),
        Some(ResponseFormat::Text(_)) | None => {}
    }
}

fn think<'a>(
    request: &mut ChatCompletionRequest<'a>,
    claude: Claude,
    conversation: &Conversation<'_>,
    translated: &mut MessagesRequest<'a>,
    warnings: &mut Warnings,
) -> Result<(), Error> {
    if let Some(thinking) = request.thinking.take() {
        let read = crate::protocol::wire::read::<ThinkingConfig<'_>>(thinking.as_str().as_bytes());
        read.map_err(|_| invalid("thinking", "it must be an object that says its type"))?;
        // It is passed on as it is written.
        translated.thinking = Some(ThinkingConfig::Other(thinking));
        return Ok(());
    }
    let Some(effort) = request.reasoning_effort.take() else { return Ok(()) };
    let effort = match &*effort {
        "none" => None,
        "minimal" | "low" => Some("low"),
        "medium" => Some("medium"),
        "high" => Some("high"),
        "xhigh" if claude.xhigh => Some("xhigh"),
        "xhigh" => Some("high"),
        "max" => Some("max"),
        _ => return Err(invalid("reasoning_effort", chat::EFFORTS)),
    };
    if claude.adaptive {
        let off = effort.is_none() && !claude.always_thinks;
        translated.thinking = Some(if off {
            ThinkingConfig::Disabled(Off::default())
        } else {
            let display = claude.xhigh.then_some("summarized".into());
            ThinkingConfig::Adaptive(Adaptive { display, ..Default::default() })
        });
        if !off {
            let config: &mut OutputConfig<'_> = translated.output_config.get_or_insert_default();
            config.effort = Some(effort.unwrap_or("low").into());
        }
        return Ok(());
    }
    let Some(budget) = effort.map(budget) else { return Ok(()) };
    let room = match chat::limit(request) {
        Some(limit) => limit.saturating_sub(1),
        None => {
            translated.max_tokens = translated.max_tokens.saturating_add(budget);
            budget
        }
    };
    let budget_tokens = budget.min(room);
    let forced = matches!(translated.tool_choice, Some(ToolChoice::Any(_) | ToolChoice::Tool(_)));
    if budget_tokens < MIN_BUDGET || forced || conversation.calls_without_thinking() {
        warnings.add("reasoning_effort");
    } else {
        let budget = Budget { budget_tokens, ..Default::default() };
        translated.thinking = Some(ThinkingConfig::Enabled(budget));
    }
    Ok(())
}

fn sample<'a>(
    request: &mut ChatCompletionRequest<'a>,
    claude: Claude,
    translated: &mut MessagesRequest<'a>,
    warnings: &mut Warnings,
) {
    let is_one = |number: &Number<'_>| number.as_f64() == 1.0;
    let penalty = |number: &Option<Number<'_>>| number.as_ref().is_some_and(|n| n.as_f64() != 0.0);
    warnings.add_if(penalty(&request.presence_penalty), "presence_penalty");
    warnings.add_if(penalty(&request.frequency_penalty), "frequency_penalty");
    let temperature = request.temperature.take().filter(|number| !is_one(number));
    let top_p = request.top_p.take().filter(|number| !is_one(number));
    let top_k = request.top_k.take();
    let thinks = matches!(
        translated.thinking,
        Some(ThinkingConfig::Enabled(_) | ThinkingConfig::Adaptive(_))
    );
    if thinks || !claude.samples {
        warnings.add_if(temperature.is_some(), "temperature");
        warnings.add_if(top_p.is_some(), "top_p");
        warnings.add_if(top_k.is_some(), "top_k");
        return;
    }
    // Newer models take one of the two only.
    warnings.add_if(temperature.is_some() && top_p.is_some(), "top_p");
    translated.top_p = top_p.filter(|_| temperature.is_none());
    translated.top_k = top_k;
    translated.temperature = temperature.map(|number| {
        let hot = number.as_f64() > 1.0;
        warnings.add_if(hot, "temperature");
        if hot { Number::from(1.0) } else { number }
    });
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
const JSON_ONLY: &str =
    "Answer with one JSON object and nothing else: no words around it, no code fence.";
