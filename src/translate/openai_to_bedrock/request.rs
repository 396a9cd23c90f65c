//! The request.

use std::borrow::Cow;

use super::super::chat::{self, Choice, Terms};
use super::super::claude::{Claude, Hindrance};
use super::super::closed::closed;
use super::super::facts::{Caches, Facts, Family};
use super::super::fields::{Warnings, refuse};
use super::super::{Asked, Context, Translated, path, schema};
use super::messages::{Conversation, cache_point};
use crate::error::Error;
use crate::protocol::bedrock::{
    AdditionalFields, ConverseRequest, Empty, InferenceConfig, InputSchema, JsonSchema, NamedTool,
    Structure, SystemBlock, TextFormat, Tool, ToolChoice, ToolConfig, ToolSpec,
};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{Function, FunctionTool, ResponseFormat};
use crate::protocol::wire::{Number, Raw};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let mut request = ChatCompletionRequest::from_json(body)?;
    chat::refuse_common(&request)?;
    refuse(request.n.is_some_and(|n| n > 1), "n")?;
    let model = path::segment(&context.upstream_model)?;
    let mut warnings = Warnings::default();
    let names = chat::settle(&mut request, Terms::BEDROCK, &mut warnings)?;
    let mut tools = chat::tools(&mut request);
    let choice_field = chat::choice_field(&request);
    let choice = chat::choice(&mut request, &mut tools)?;
    let facts = Facts::of(context);
    let mut conversation = Conversation::new(facts.caches);
    let messages = chat::messages(&mut request, &mut warnings);
    chat::details(&messages, &mut warnings);
    for (index, message) in messages.into_iter().enumerate() {
        conversation.add(message, index)?;
    }
    let mut translated = ConverseRequest::default();
    format(&mut request, &mut conversation, &mut translated, &mut warnings);
    let stops = chat::stops_of(&mut request, facts.stops, true, &mut warnings);
    let mut config = InferenceConfig {
        max_tokens: chat::limit_of(&request, facts.output, &mut warnings),
        stop_sequences: (!stops.is_empty()).then_some(stops),
        ..Default::default()
    };
    if facts.family == Family::Claude {
        let forced = matches!(choice, Some(Choice::Required | Choice::Function(_)));
        let forced = forced && !tools.is_empty();
        let claude = Claude(facts);
        refuse(forced && !facts.forces, choice_field)?;
        let hindrance = Hindrance { forced, unsigned: conversation.calls_without_thinking() };
        // Bedrock counts the limit against its quotas, so none is set without need.
        let room = config.max_tokens;
        let thought = claude.think(&mut request, room, hindrance, &mut warnings)?;
        let sampling = claude.sample(&mut request, thought.thinks, &mut warnings);
        if thought.more_tokens > 0 {
            let limit = HEAD_ROOM.saturating_add(thought.more_tokens);
            config.max_tokens = Some(facts.output.map_or(limit, |most| limit.min(most)));
        }
        if let Some(effort) = thought.effort {
            translated.output_config.get_or_insert_default().effort = Some(effort.into());
        }
        config.temperature = sampling.temperature;
        config.top_p = sampling.top_p;
        additional(
            AdditionalFields {
                thinking: thought.thinking.map(|thinking| Raw::from_wire(&thinking)),
                top_k: sampling.top_k,
                ..Default::default()
            },
            &mut translated,
        );
    } else {
        others(&mut request, facts, &mut config, &mut translated, &mut warnings);
    }
    // What was called has to stay declared, and then the model may call it.
    refuse(choice == Some(Choice::None) && !conversation.called.is_empty(), choice_field)?;
    translated.tool_config = tool_config(tools, choice, &conversation, facts.caches, &mut warnings);
    translated.inference_config = (config != InferenceConfig::default()).then_some(config);
    (translated.system, translated.messages) = conversation.finish();
    warnings.add_if(request.seed.is_some(), "seed");
    warnings.add_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    warnings.add_if(request.user.is_some(), "user");
    warnings.add_if(request.safety_identifier.is_some(), "safety_identifier");
    warnings.rest(&request.rest);
    let stream = request.stream == Some(true);
    let options = request.stream_options.unwrap_or_default();
    Ok(Translated {
        path: format!("/model/{model}/{}", if stream { "converse-stream" } else { "converse" }),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked {
            stream,
            usage: options.include_usage == Some(true),
            names,
            ..Default::default()
        },
    })
}

/// What models that are no Claudes take.
fn others<'a>(
    request: &mut ChatCompletionRequest<'a>,
    facts: Facts,
    config: &mut InferenceConfig<'a>,
    translated: &mut ConverseRequest<'a>,
    warnings: &mut Warnings,
) {
    let asks = |number: &Option<Number<'_>>| number.as_ref().is_some_and(|n| n.as_f64() != 0.0);
    warnings.add_if(asks(&request.presence_penalty), "presence_penalty");
    warnings.add_if(asks(&request.frequency_penalty), "frequency_penalty");
    warnings.add_if(request.top_k.is_some(), "top_k");
    warnings.add_if(request.thinking.is_some(), "thinking");
    let hot = |number: &Number<'_>| number.as_f64() > 1.0;
    warnings.add_if(request.temperature.as_ref().is_some_and(hot), "temperature");
    let temperature = request.temperature.take();
    config.temperature = temperature.map(|it| if hot(&it) { Number::from(1.0) } else { it });
    config.top_p = request.top_p.take();
    let effort = request.reasoning_effort.take();
    if facts.family == Family::GptOss {
        let effort = effort.and_then(|effort| facts.effort(&effort)).map(Into::into);
        let fields = AdditionalFields { reasoning_effort: effort, ..Default::default() };
        additional(fields, translated);
    } else {
        warnings.add_if(effort.is_some(), "reasoning_effort");
    }
}

fn additional<'a>(fields: AdditionalFields<'a>, translated: &mut ConverseRequest<'a>) {
    translated.additional = (fields != AdditionalFields::default()).then_some(fields);
}

fn format<'a>(
    request: &mut ChatCompletionRequest<'a>,
    conversation: &mut Conversation<'a>,
    translated: &mut ConverseRequest<'a>,
    warnings: &mut Warnings,
) {
    match request.response_format.take() {
        Some(ResponseFormat::JsonSchema(format)) => {
            let schema = format.json_schema.schema.unwrap_or(Raw::EMPTY_OBJECT);
            let json_schema = JsonSchema {
                schema: closed(&schema).into_text(),
                name: Some(format.json_schema.name),
                description: format.json_schema.description,
                ..Default::default()
            };
            let structure = Structure { json_schema, ..Default::default() };
            let format = TextFormat { kind: "json_schema".into(), structure, ..Default::default() };
            translated.output_config.get_or_insert_default().text_format = Some(format);
        }
        Some(ResponseFormat::JsonObject(_)) => conversation
            .system
            .push(SystemBlock { text: Some(chat::JSON_ONLY.into()), ..Default::default() }),
        Some(ResponseFormat::Other(_)) => warnings.add("response_format"),
        Some(ResponseFormat::Text(_)) | None => {}
    }
}

fn tool_config<'a>(
    mut tools: Vec<FunctionTool<'a>>,
    choice: Option<Choice<'a>>,
    conversation: &Conversation<'a>,
    caches: Caches,
    warnings: &mut Warnings,
) -> Option<ToolConfig<'a>> {
    if choice == Some(Choice::None) {
        tools.clear();
    }
    let choice = choice.filter(|_| !tools.is_empty());
    if tools.is_empty() {
        tools.extend(conversation.called.iter().map(|name| declared(name)));
    }
    let mut all = Vec::new();
    for tool in tools {
        let cache = tool.cache_control.as_ref().filter(|_| caches == Caches::All).map(cache_point);
        all.push(spec(tool.function, warnings));
        all.extend(cache.map(|point| Tool { cache_point: Some(point), ..Default::default() }));
    }
    let tool_choice = match choice {
        None | Some(Choice::None) => None,
        Some(Choice::Auto) => {
            Some(ToolChoice { auto: Some(Empty::default()), ..Default::default() })
        }
        Some(Choice::Required) => {
            Some(ToolChoice { any: Some(Empty::default()), ..Default::default() })
        }
        Some(Choice::Function(name)) => {
            let tool = Some(NamedTool { name, ..Default::default() });
            Some(ToolChoice { tool, ..Default::default() })
        }
    };
    let config = ToolConfig { tools: all, tool_choice, ..Default::default() };
    (!config.tools.is_empty()).then_some(config)
}

fn spec<'a>(function: Function<'a>, warnings: &mut Warnings) -> Tool<'a> {
    let parameters = schema::object(function.parameters.unwrap_or(Raw::EMPTY_OBJECT));
    // Not every model has strict tools.
    warnings.add_if(function.strict == Some(true), "tools.function.strict");
    let spec = ToolSpec {
        name: function.name,
        description: function.description.filter(|text| !text.is_empty()),
        input_schema: InputSchema { json: parameters, ..Default::default() },
        ..Default::default()
    };
    Tool { tool_spec: Some(spec), ..Default::default() }
}

/// A function that was called and is not declared any more.
fn declared<'a>(name: &Cow<'a, str>) -> FunctionTool<'a> {
    let function = Function { name: name.clone(), ..Default::default() };
    FunctionTool { function, ..Default::default() }
}

/// Tokens for what a model says beside its thinking, where no limit is asked for.
const HEAD_ROOM: u64 = 32_000;
