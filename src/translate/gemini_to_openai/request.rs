//! The request.

use std::borrow::Cow;

use super::super::chat::at_openai;
use super::super::facts::Facts;
use super::super::fields::{Warnings, invalid, refuse, unsupported, unsupported_type};
use super::super::{Asked, Context, Translated, schema};
use super::contents::Conversation;
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::gemini::{
    FunctionCallingConfig, GenerateContentRequest, GenerationConfig, ThinkingConfig, Tool,
};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{
    self, Function, FunctionChoice, FunctionTool, JsonSchema, NamedFunction, Plain, ResponseFormat,
    SchemaFormat, StreamOptions,
};
use crate::protocol::wire::{Raw, TextOr};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = GenerateContentRequest::from_json(body)?;
    refuse(request.cached_content.is_some_and(|cached| !cached.is_null()), "cachedContent")?;
    let mut warnings = Warnings::default();
    let mut conversation = Conversation::new(context);
    if let Some(instruction) = request.system_instruction {
        conversation.system(instruction)?;
    }
    for (index, content) in request.contents.into_iter().enumerate() {
        conversation.add(content, index)?;
    }
    conversation.model()?;
    let stream = context.stream;
    let (tools, left_out) = tools(request.tools, &mut warnings);
    let mut translated = ChatCompletionRequest {
        model: Some(context.upstream_model.as_str().into()),
        messages: conversation.messages,
        stream: stream.then_some(true),
        stream_options: stream
            .then(|| StreamOptions { include_usage: Some(true), ..Default::default() }),
        tools,
        ..Default::default()
    };
    let choice = request.tool_config.and_then(|config| config.function_calling_config);
    if let Some(choice) = choice {
        choose(choice, left_out, &mut translated)?;
    }
    let config = request.generation_config.unwrap_or_default();
    let thinking = config.thinking_config.as_ref().is_some_and(tells_thoughts);
    configure(config, &mut translated, context, &mut warnings)?;
    let settings = |settings: &Raw<'_>| !matches!(settings.as_str(), "[]" | "null");
    warnings.add_if(request.safety_settings.as_ref().is_some_and(settings), "safetySettings");
    let mut rest = request.rest;
    rest.remove("model");
    warnings.rest(&rest);
    let client = Operation::GeminiGenerate;
    let names = at_openai(&mut translated, context, client, &mut warnings)?;
    Ok(Translated {
        path: "/chat/completions".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked { stream, usage: true, thinking, names, ..Default::default() },
    })
}

/// The functions. What runs at Google is left out: the first of it, and where it stands.
fn tools<'a>(
    tools: Option<Vec<Tool<'a>>>,
    warnings: &mut Warnings,
) -> (Option<Vec<chat::Tool<'a>>>, Option<(usize, String)>) {
    let mut translated = Vec::new();
    let mut left_out = None;
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        for (kind, _) in tool.rest.iter().filter(|(_, value)| !value.is_null()) {
            warnings.add_kind(format!("tools[{index}]"), &kind);
            left_out.get_or_insert((index, kind.into_owned()));
        }
        for declared in tool.function_declarations.into_iter().flatten() {
            let parameters = declared.parameters.as_ref().map(schema::from_gemini);
            let function = Function {
                name: declared.name,
                description: declared.description,
                parameters: declared.parameters_json_schema.or(parameters),
                ..Default::default()
            };
            warnings.rest(&declared.rest);
            translated.push(chat::Tool::Function(FunctionTool { function, ..Default::default() }));
        }
    }
    ((!translated.is_empty()).then_some(translated), left_out)
}

fn choose<'a>(
    choice: FunctionCallingConfig<'a>,
    left_out: Option<(usize, String)>,
    translated: &mut ChatCompletionRequest<'a>,
) -> Result<(), Error> {
    const MODE: &str = "toolConfig.functionCallingConfig.mode";
    let mode = choice.mode.map(|mode| mode.to_ascii_uppercase());
    let word = match mode.as_deref() {
        Some("AUTO" | "VALIDATED" | "MODE_UNSPECIFIED") | None => "auto",
        Some("ANY") => "required",
        Some("NONE") => "none",
        Some(_) => return Err(invalid(MODE, "it must be one of 'AUTO', 'ANY', 'NONE'")),
    };
    match left_out {
        _ if translated.tools.is_some() => {}
        Some((index, kind)) if word == "required" => {
            return Err(unsupported_type(format!("tools[{index}]"), &kind));
        }
        _ => return Ok(()),
    }
    let mut allowed = choice.allowed_function_names.unwrap_or_default();
    if let (Some(tools), false) = (&mut translated.tools, allowed.is_empty()) {
        tools.retain(|tool| match tool {
            chat::Tool::Function(tool) => allowed.contains(&tool.function.name),
            chat::Tool::Custom(_) | chat::Tool::Other(_) => false,
        });
        if tools.is_empty() {
            let field = "toolConfig.functionCallingConfig.allowedFunctionNames";
            return Err(invalid(field, "no function of such a name is declared"));
        }
    }
    translated.tool_choice = Some(match (word, allowed.len()) {
        ("required", 1) => {
            let function = NamedFunction { name: allowed.remove(0), ..Default::default() };
            let named = FunctionChoice { function, ..Default::default() };
            TextOr::Other(chat::ToolChoice::Function(named))
        }
        _ => TextOr::Text(word.into()),
    });
    Ok(())
}

fn configure<'a>(
    config: GenerationConfig<'a>,
    translated: &mut ChatCompletionRequest<'a>,
    context: &Context,
    warnings: &mut Warnings,
) -> Result<(), Error> {
    let reasons = Facts::of(context).reasons && !context.between;
    refuse(config.response_logprobs == Some(true), "generationConfig.responseLogprobs")?;
    let modalities = config.response_modalities.unwrap_or_default();
    let text = |modality: &Cow<'_, str>| {
        ["TEXT", "MODALITY_UNSPECIFIED"].iter().any(|it| modality.eq_ignore_ascii_case(it))
    };
    refuse(!modalities.iter().all(text), "generationConfig.responseModalities")?;
    let schema = config.response_schema.as_ref().map(schema::from_gemini);
    translated.response_format =
        format(config.response_mime_type.as_deref(), config.response_json_schema.or(schema))?;
    translated.n = config.candidate_count.filter(|count| *count > 1);
    translated.stop = config.stop_sequences.filter(|stops| !stops.is_empty()).map(TextOr::Other);
    translated.seed = config.seed;
    warnings.add_if(config.top_k.is_some() && !context.between, "generationConfig.topK");
    translated.top_k = config.top_k.filter(|_| context.between);
    let thinking = config.thinking_config;
    translated.max_tokens = config.max_output_tokens;
    translated.temperature = config.temperature;
    translated.top_p = config.top_p;
    translated.presence_penalty = config.presence_penalty;
    translated.frequency_penalty = config.frequency_penalty;
    let thinks = thinking.as_ref().is_some_and(wants_thoughts);
    warnings.add_if(thinks && !reasons && !context.between, "generationConfig.thinkingConfig");
    if let Some(thinking) = thinking.filter(|_| reasons || context.between) {
        translated.reasoning_effort = effort(&thinking, context)?.map(Cow::Borrowed);
    }
    warnings.rest(&config.rest);
    Ok(())
}

fn format<'a>(
    mime_type: Option<&str>,
    schema: Option<Raw<'a>>,
) -> Result<Option<ResponseFormat<'a>>, Error> {
    let mime_type = mime_type.map(|kind| kind.trim().to_ascii_lowercase());
    match (mime_type.as_deref().unwrap_or_default(), schema) {
        ("" | "text/plain", None) => Ok(None),
        ("application/json", None) => Ok(Some(ResponseFormat::JsonObject(Plain::default()))),
        ("" | "application/json", Some(schema)) => {
            let strict = schema::is_strict(&schema);
            Ok(Some(ResponseFormat::JsonSchema(SchemaFormat {
                json_schema: JsonSchema {
                    name: "answer".into(),
                    schema: Some(schema),
                    strict: Some(strict),
                    ..Default::default()
                },
                ..Default::default()
            })))
        }
        _ => Err(unsupported("generationConfig.responseMimeType")),
    }
}

fn tells_thoughts(config: &ThinkingConfig<'_>) -> bool {
    config.include_thoughts == Some(true)
}

fn wants_thoughts(config: &ThinkingConfig<'_>) -> bool {
    let none = config.thinking_budget.as_ref().is_some_and(|budget| budget.as_f64() == 0.0);
    !none
}

/// How much to think, in OpenAI's words.
fn effort(config: &ThinkingConfig<'_>, context: &Context) -> Result<Option<&'static str>, Error> {
    const LEVEL: &str = "generationConfig.thinkingConfig.thinkingLevel";
    let level = config.thinking_level.as_ref().map(|level| level.to_ascii_uppercase());
    match level.as_deref() {
        Some("MINIMAL") => return Ok(Some("minimal")),
        Some("LOW") => return Ok(Some("low")),
        Some("MEDIUM") => return Ok(Some("medium")),
        Some("HIGH") => return Ok(Some("high")),
        Some("THINKING_LEVEL_UNSPECIFIED") | None => {}
        Some(_) => {
            let rule = "it must be one of 'MINIMAL', 'LOW', 'MEDIUM', 'HIGH'";
            return Err(invalid(LEVEL, rule));
        }
    }
    let budget = config.thinking_budget.as_ref().map(|budget| budget.as_f64());
    Ok(match budget {
        // Asked to be told is asked to think.
        None => (context.between && tells_thoughts(config)).then_some("medium"),
        Some(0.0) => Some("none"),
        Some(budget) if budget < 0.0 => Some("medium"),
        Some(budget) if budget < 2_048.0 => Some("low"),
        Some(budget) if budget < 8_192.0 => Some("medium"),
        Some(_) => Some("high"),
    })
}
