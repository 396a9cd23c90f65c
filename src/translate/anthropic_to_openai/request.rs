//! The request.

use std::borrow::Cow;

use super::super::fields::{Warnings, refuse, unsupported};
use super::super::{Asked, Context, Translated, gpt, schema};
use super::messages;
use crate::error::Error;
use crate::protocol::anthropic::MessagesRequest;
use crate::protocol::anthropic::request::{
    OutputConfig, OutputFormat, ThinkingConfig, Tool, ToolChoice,
};
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{
    self, Function, FunctionChoice, FunctionTool, JsonSchema, NamedFunction, ResponseFormat,
    SchemaFormat, StreamOptions,
};
use crate::protocol::wire::{Raw, TextOr};

pub(in crate::translate) fn request(body: &[u8], context: &Context) -> Result<Translated, Error> {
    let request = MessagesRequest::from_json(body)?;
    refuse(
        request.rest.get("mcp_servers").is_some_and(|servers| servers.as_str() != "[]"),
        "mcp_servers",
    )?;
    let mut warnings = Warnings::default();
    let reasons = gpt::reasons(&context.upstream_model);
    let stream = request.stream == Some(true);
    let thinks =
        matches!(request.thinking, Some(ThinkingConfig::Enabled(_) | ThinkingConfig::Adaptive(_)));
    let effort = effort(&request, context.between).filter(|_| reasons || context.between);
    messages::contexts(&request.messages, &mut warnings);
    let mut translated = ChatCompletionRequest {
        model: Some(context.upstream_model.as_str().into()),
        messages: messages::translate(request.system, request.messages, context.between)?,
        stream: request.stream,
        stream_options: stream
            .then(|| StreamOptions { include_usage: Some(true), ..Default::default() }),
        stop: request.stop_sequences.filter(|stops| !stops.is_empty()).map(TextOr::Other),
        tools: tools(request.tools, context.between)?,
        reasoning_effort: effort,
        thinking: request.thinking.as_ref().filter(|_| context.between).map(Raw::from_wire),
        response_format: format(request.output_config),
        ..Default::default()
    };
    if let Some(choice) = request.tool_choice.filter(|_| translated.tools.is_some()) {
        choose(choice, &mut translated)?;
    }
    if reasons && !context.between {
        translated.max_completion_tokens = Some(request.max_tokens);
        warnings.add_if(request.temperature.is_some_and(|n| n.as_f64() != 1.0), "temperature");
        warnings.add_if(request.top_p.is_some_and(|n| n.as_f64() != 1.0), "top_p");
    } else {
        translated.max_tokens = Some(request.max_tokens);
        translated.temperature = request.temperature;
        translated.top_p = request.top_p;
        warnings.add_if(thinks && !context.between, "thinking");
    }
    warnings.add_if(request.top_k.is_some() && !context.between, "top_k");
    translated.top_k = request.top_k.filter(|_| context.between);
    let user = request.metadata.and_then(|metadata| metadata.user_id);
    warnings.add_if(user.as_ref().is_some_and(|id| id.len() > MAX_USER), "metadata.user_id");
    translated.user = user.filter(|id| id.len() <= MAX_USER);
    let mut rest = request.rest;
    rest.remove("cache_control");
    warnings.rest(&rest);
    Ok(Translated {
        path: "/chat/completions".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked { stream, usage: true, thinking: thinks, ..Default::default() },
    })
}

fn tools<'a>(
    tools: Option<Vec<Tool<'a>>>,
    between: bool,
) -> Result<Option<Vec<chat::Tool<'a>>>, Error> {
    let mut translated = Vec::new();
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        if tool.kind.is_some_and(|kind| kind != "custom") {
            return Err(unsupported(format!("tools[{index}].type")));
        }
        let cache_control = tool.cache_control.filter(|_| between);
        let function = Function {
            name: tool.name.unwrap_or_default(),
            description: tool.description,
            parameters: tool.input_schema,
            strict: tool.strict,
            ..Default::default()
        };
        translated.push(chat::Tool::Function(FunctionTool {
            function,
            cache_control,
            ..Default::default()
        }));
    }
    Ok((!translated.is_empty()).then_some(translated))
}

fn choose<'a>(
    choice: ToolChoice<'a>,
    translated: &mut ChatCompletionRequest<'a>,
) -> Result<(), Error> {
    let (choice, one_by_one) = match choice {
        ToolChoice::Auto(choice) => (word("auto"), choice.disable_parallel_tool_use),
        ToolChoice::Any(choice) => (word("required"), choice.disable_parallel_tool_use),
        ToolChoice::None(_) => (word("none"), None),
        ToolChoice::Tool(choice) => {
            let function = NamedFunction { name: choice.name, ..Default::default() };
            let named = FunctionChoice { function, ..Default::default() };
            (TextOr::Other(chat::ToolChoice::Function(named)), choice.disable_parallel_tool_use)
        }
        ToolChoice::Other(_) => return Err(unsupported("tool_choice.type")),
    };
    translated.tool_choice = Some(choice);
    translated.parallel_tool_calls = one_by_one.filter(|one| *one).map(|_| false);
    Ok(())
}

fn word<'a>(word: &'static str) -> TextOr<'a, chat::ToolChoice<'a>> {
    TextOr::Text(word.into())
}

fn format(config: Option<OutputConfig<'_>>) -> Option<ResponseFormat<'_>> {
    let OutputFormat::JsonSchema(format) = config?.format? else { return None };
    let strict = schema::is_strict(&format.schema);
    Some(ResponseFormat::JsonSchema(SchemaFormat {
        json_schema: JsonSchema {
            name: "answer".into(),
            schema: Some(format.schema),
            strict: Some(strict),
            ..Default::default()
        },
        ..Default::default()
    }))
}

/// How much to think: in OpenAI's words if one is given, else by the budget, unless the next pair
/// reads that itself.
fn effort<'a>(request: &MessagesRequest<'a>, between: bool) -> Option<Cow<'a, str>> {
    let asked = request.output_config.as_ref().and_then(|config| config.effort.clone());
    match (asked, request.thinking.as_ref().filter(|_| !between)) {
        (Some(effort), _) if effort == "max" && !between => Some("xhigh".into()),
        (Some(effort), _) => Some(effort),
        (None, Some(ThinkingConfig::Enabled(budget))) => match budget.budget_tokens {
            ..2_048 => Some("low".into()),
            2_048..8_192 => Some("medium".into()),
            _ => Some("high".into()),
        },
        (None, _) => None,
    }
}

/// OpenAI takes no longer `user`.
const MAX_USER: usize = 64;
