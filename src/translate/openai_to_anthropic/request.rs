//! The request.

use std::borrow::Cow;

use super::super::chat::{self, Choice, Terms};
use super::super::claude::{Claude, Hindrance};
use super::super::closed::closed;
use super::super::facts::Facts;
use super::super::fields::{Warnings, refuse};
use super::super::{Asked, Context, Translated, schema};
use super::messages::Conversation;
use crate::error::Error;
use crate::protocol::anthropic::TextBlock;
use crate::protocol::anthropic::request::{
    Choice as Plain, MessagesRequest, Metadata, NamedChoice, OutputFormat, Schema, Tool, ToolChoice,
};
use crate::protocol::openai::chat::{ChatCompletionRequest, FunctionTool, ResponseFormat};
use crate::protocol::wire::Raw;

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let mut request = ChatCompletionRequest::from_json(body)?;
    chat::refuse_common(&request)?;
    refuse(request.n.is_some_and(|n| n > 1), "n")?;
    let mut warnings = Warnings::default();
    let facts = Facts::of(context);
    let claude = Claude(facts);
    let names = chat::settle(&mut request, Terms::ANTHROPIC, &mut warnings)?;
    let mut tools = chat::tools(&mut request);
    let choice_field = chat::choice_field(&request);
    let choice = chat::choice(&mut request, &mut tools)?;
    let mut conversation = Conversation::default();
    let messages = chat::messages(&mut request, &mut warnings);
    chat::details(&messages, &mut warnings);
    for (index, message) in messages.into_iter().enumerate() {
        conversation.add(message, index)?;
    }
    let limit = chat::limit_of(&request, facts.output, &mut warnings);
    let mut translated = MessagesRequest {
        model: Some(context.upstream_model.as_str().into()),
        max_tokens: limit.or(facts.output).unwrap_or(context.default_max_tokens),
        stream: request.stream,
        ..Default::default()
    };
    translated.tool_choice = tool_choice(choice, request.parallel_tool_calls, &tools);
    let stops = chat::stops_of(&mut request, facts.stops, true, &mut warnings);
    translated.stop_sequences = (!stops.is_empty()).then_some(stops);
    format(&mut request, claude, &mut conversation, &mut translated, &mut warnings);
    let forced = matches!(translated.tool_choice, Some(ToolChoice::Any(_) | ToolChoice::Tool(_)));
    refuse(forced && !facts.forces, choice_field)?;
    let unsigned = conversation.calls_without_thinking();
    let hindrance = Hindrance { forced, unsigned };
    let thought = claude.think(&mut request, limit.or(facts.output), hindrance, &mut warnings)?;
    let sampling = claude.sample(&mut request, thought.thinks, &mut warnings);
    translated.max_tokens = translated.max_tokens.saturating_add(thought.more_tokens);
    translated.thinking = thought.thinking;
    if let Some(effort) = thought.effort {
        translated.output_config.get_or_insert_default().effort = Some(effort.into());
    }
    translated.temperature = sampling.temperature;
    translated.top_p = sampling.top_p;
    translated.top_k = sampling.top_k;
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
            names,
            ..Default::default()
        },
    })
}

fn tool<'a>(tool: FunctionTool<'a>, claude: Claude, warnings: &mut Warnings) -> Tool<'a> {
    let function = tool.function;
    let strict = function.strict.filter(|strict| *strict);
    warnings.add_if(strict.is_some() && !claude.0.schemas, "tools.function.strict");
    let schema = schema::object(function.parameters.unwrap_or(Raw::EMPTY_OBJECT));
    let strict = strict.filter(|_| claude.0.schemas);
    Tool {
        name: Some(function.name),
        description: function.description,
        input_schema: Some(if strict.is_some() { closed(&schema) } else { schema }),
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
            if claude.0.schemas {
                let schema = Schema { schema: closed(&schema), ..Default::default() };
                let config = translated.output_config.get_or_insert_default();
                config.format = Some(OutputFormat::JsonSchema(schema));
            } else {
                say(format!(
                    "{} It must match this JSON schema: {}",
                    chat::JSON_ONLY,
                    schema.as_str()
                )
                .into());
            }
        }
        Some(ResponseFormat::JsonObject(_)) => say(chat::JSON_ONLY.into()),
        Some(ResponseFormat::Other(_)) => warnings.add("response_format"),
        Some(ResponseFormat::Text(_)) | None => {}
    }
}
