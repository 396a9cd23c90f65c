//! The request.

use std::borrow::Cow;

use super::super::chat::{self, Choice, Terms};
use super::super::facts::{Facts, decimal};
use super::super::fields::{Warnings, invalid};
use super::super::{Asked, Context, Translated, path, schema};
use super::messages::Conversation;
use crate::error::Error;
use crate::protocol::anthropic::request::ThinkingConfig as Thinking;
use crate::protocol::gemini::{
    Content, FunctionCallingConfig, FunctionDeclaration, GenerateContentRequest, GenerationConfig,
    ThinkingConfig, Tool, ToolConfig,
};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{FunctionTool, ResponseFormat};
use crate::protocol::wire;

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let mut request = ChatCompletionRequest::from_json(body)?;
    chat::refuse_common(&request)?;
    let model = path::segment(&context.upstream_model)?;
    let facts = Facts::of(context);
    let name = context.like.as_deref().unwrap_or(&context.upstream_model);
    let version = decimal(name);
    let mut warnings = Warnings::default();
    let names = chat::settle(&mut request, Terms::GEMINI, &mut warnings)?;
    let mut tools = chat::tools(&mut request);
    let choice = chat::choice(&mut request, &mut tools)?;
    let mut conversation = Conversation::new(version >= (3, 0));
    let messages = chat::messages(&mut request, &mut warnings);
    chat::details(&messages, &mut warnings);
    for (index, message) in messages.into_iter().enumerate() {
        conversation.add(message, index)?;
    }
    if conversation.contents.is_empty() {
        // Gemini wants a turn of the user's.
        let parts = Some(std::mem::take(&mut conversation.system));
        let role = Some("user".into());
        conversation.contents.push(Content { role, parts, ..Default::default() });
    }
    let thinking_config = think(&mut request, name, version, &mut warnings)?;
    let stops = chat::stops_of(&mut request, GEMINI_STOPS, false, &mut warnings);
    let (response_mime_type, response_json_schema) = match request.response_format.take() {
        Some(ResponseFormat::JsonSchema(format)) => {
            (Some(JSON.into()), format.json_schema.schema.map(schema::references_alone))
        }
        Some(ResponseFormat::JsonObject(_)) => (Some(JSON.into()), None),
        Some(ResponseFormat::Other(_)) => {
            warnings.add("response_format");
            (None, None)
        }
        Some(ResponseFormat::Text(_)) | None => (None, None),
    };
    let config = GenerationConfig {
        max_output_tokens: chat::limit_of(&request, facts.output, &mut warnings),
        candidate_count: request.n.filter(|n| *n > 1),
        stop_sequences: (!stops.is_empty()).then_some(stops),
        temperature: request.temperature.take(),
        top_p: request.top_p.take(),
        top_k: request.top_k.take(),
        presence_penalty: request.presence_penalty.take(),
        frequency_penalty: request.frequency_penalty.take(),
        seed: chat::seed(&mut request, f64::from(i32::MIN)..=f64::from(i32::MAX), &mut warnings),
        response_mime_type,
        response_json_schema,
        thinking_config,
        ..Default::default()
    };
    warnings.add_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    warnings.add_if(request.user.is_some(), "user");
    warnings.add_if(request.safety_identifier.is_some(), "safety_identifier");
    warnings.rest(&request.rest);
    let translated = GenerateContentRequest {
        system_instruction: (!conversation.system.is_empty())
            .then(|| Content { parts: Some(conversation.system), ..Default::default() }),
        contents: conversation.contents,
        tool_config: choice.filter(|_| !tools.is_empty()).map(tool_config),
        tools: declare(tools, &mut warnings),
        generation_config: (config != GenerationConfig::default()).then_some(config),
        ..Default::default()
    };
    let stream = request.stream == Some(true);
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let options = request.stream_options.unwrap_or_default();
    Ok(Translated {
        path: format!("/models/{model}:{method}"),
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

fn declare<'a>(tools: Vec<FunctionTool<'a>>, warnings: &mut Warnings) -> Option<Vec<Tool<'a>>> {
    let declarations: Vec<_> = tools
        .into_iter()
        .map(|tool| {
            let function = tool.function;
            warnings.add_if(function.strict == Some(true), "tools.function.strict");
            FunctionDeclaration {
                name: function.name,
                description: function.description,
                parameters_json_schema: function.parameters.map(schema::references_alone),
                ..Default::default()
            }
        })
        .collect();
    (!declarations.is_empty())
        .then(|| vec![Tool { function_declarations: Some(declarations), ..Default::default() }])
}

fn tool_config(choice: Choice<'_>) -> ToolConfig<'_> {
    let (mode, name) = match choice {
        Choice::Auto => ("AUTO", None),
        Choice::None => ("NONE", None),
        Choice::Required => ("ANY", None),
        Choice::Function(name) => ("ANY", Some(vec![name])),
    };
    ToolConfig {
        function_calling_config: Some(FunctionCallingConfig {
            mode: Some(mode.into()),
            allowed_function_names: name,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn think<'a>(
    request: &mut ChatCompletionRequest<'_>,
    model: &str,
    version: (u8, u8),
    warnings: &mut Warnings,
) -> Result<Option<ThinkingConfig<'a>>, Error> {
    let thinks = version >= (2, 5);
    if let Some(thinking) = request.thinking.take() {
        let read = wire::read::<Thinking<'_>>(thinking.as_str().as_bytes());
        let read =
            read.map_err(|_| invalid("thinking", "it must be an object that says its type"))?;
        warnings.add_if(!thinks, "thinking");
        return Ok(match read {
            _ if !thinks => None,
            Thinking::Enabled(budget) => Some(config(Some(budget.budget_tokens), None)),
            Thinking::Adaptive(_) => Some(config(None, None)),
            Thinking::Disabled(_) => Some(silent(model, version)),
            Thinking::Other(_) => None,
        });
    }
    let Some(effort) = request.reasoning_effort.take() else { return Ok(None) };
    let (level, budget) = match &*effort {
        "none" | "minimal" | "low" => ("LOW", 1_024),
        "medium" => ("MEDIUM", 8_192),
        "high" | "xhigh" | "max" => ("HIGH", 24_576),
        _ => return Err(invalid("reasoning_effort", chat::EFFORTS)),
    };
    warnings.add_if(!thinks, "reasoning_effort");
    Ok(match &*effort {
        _ if !thinks => None,
        "none" => Some(silent(model, version)),
        "minimal" if version >= (3, 0) => {
            Some(ThinkingConfig { include_thoughts: Some(true), ..silent(model, version) })
        }
        _ if version >= (3, 0) => Some(config(None, Some(level))),
        _ => Some(config(Some(budget), None)),
    })
}

fn config<'a>(budget: Option<u64>, level: Option<&'static str>) -> ThinkingConfig<'a> {
    ThinkingConfig {
        include_thoughts: Some(true),
        thinking_budget: budget.map(Into::into),
        thinking_level: level.map(Cow::Borrowed),
        ..Default::default()
    }
}

/// As little thinking as the model can do.
fn silent<'a>(model: &str, version: (u8, u8)) -> ThinkingConfig<'a> {
    let pro = model.contains("pro");
    let silent = ThinkingConfig::default();
    if version >= (3, 0) {
        let level = if pro { "LOW" } else { "MINIMAL" };
        return ThinkingConfig { thinking_level: Some(level.into()), ..silent };
    }
    ThinkingConfig { thinking_budget: Some(if pro { 128_u64 } else { 0 }.into()), ..silent }
}

const JSON: &str = "application/json";

/// Gemini takes no more stop sequences.
const GEMINI_STOPS: usize = 5;
