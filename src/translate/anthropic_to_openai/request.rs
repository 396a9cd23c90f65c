//! The request.

use std::borrow::Cow;

use super::super::chat::{at_openai, kind};
use super::super::facts::Facts;
use super::super::fields::{Warnings, unsupported_type};
use super::super::{Asked, Context, Translated, schema};
use super::messages;
use crate::error::Error;
use crate::protocol::Operation;
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
    let mut request = MessagesRequest::from_json(body)?;
    let mut warnings = Warnings::default();
    let reasons = Facts::of(context).reasons;
    let stream = request.stream == Some(true);
    let thinks =
        matches!(request.thinking, Some(ThinkingConfig::Enabled(_) | ThinkingConfig::Adaptive(_)));
    if let Some(effort) = messages::effort(&mut request.messages, &mut warnings) {
        request.output_config.get_or_insert_default().effort = Some(effort);
    }
    let effort = effort(&request, context.between).filter(|_| reasons || context.between);
    messages::contexts(&request.messages, &mut warnings);
    let mut translated = ChatCompletionRequest {
        model: Some(context.upstream_model.as_str().into()),
        messages: messages::translate(request.system, request.messages, context.between)?,
        stream: request.stream,
        stream_options: stream
            .then(|| StreamOptions { include_usage: Some(true), ..Default::default() }),
        stop: request.stop_sequences.filter(|stops| !stops.is_empty()).map(TextOr::Other),
        reasoning_effort: effort,
        thinking: request.thinking.as_ref().filter(|_| context.between).map(Raw::from_wire),
        response_format: format(request.output_config),
        ..Default::default()
    };
    let mut tools = Tools::new(request.tools, context.between, &mut warnings);
    if let Some(choice) = request.tool_choice {
        choose(choice, &tools, &mut translated)?;
    }
    translated.tools = (!tools.offered.is_empty()).then_some(std::mem::take(&mut tools.offered));
    translated.max_tokens = Some(request.max_tokens);
    translated.temperature = request.temperature;
    translated.top_p = request.top_p;
    warnings.add_if(thinks && !reasons && !context.between, "thinking");
    warnings.add_if(request.top_k.is_some() && !context.between, "top_k");
    translated.top_k = request.top_k.filter(|_| context.between);
    let user = request.metadata.and_then(|metadata| metadata.user_id);
    warnings.add_if(user.as_ref().is_some_and(|id| id.len() > MAX_USER), "metadata.user_id");
    translated.user = user.filter(|id| id.len() <= MAX_USER);
    let mut rest = request.rest;
    rest.remove("cache_control");
    warnings.rest(&rest);
    let names = at_openai(&mut translated, context, Operation::Messages, &mut warnings)?;
    Ok(Translated {
        path: "/chat/completions".into(),
        headers: Vec::new(),
        body: translated.to_json(),
        warnings: warnings.into_inner(),
        asked: Asked { stream, usage: true, thinking: thinks, names, ..Default::default() },
    })
}

/// The tools of a request. Those that run at the provider, or that only its models know, are left
/// out.
struct Tools<'a> {
    offered: Vec<chat::Tool<'a>>,
    /// Of those that were left out: where each stands, what it is, and its name.
    left_out: Vec<(usize, Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Tools<'a> {
    fn new(tools: Option<Vec<Tool<'a>>>, between: bool, warnings: &mut Warnings) -> Self {
        let mut all = Self { offered: Vec::new(), left_out: Vec::new() };
        for (index, tool) in tools.into_iter().flatten().enumerate() {
            let name = tool.name.unwrap_or_default();
            if let Some(kind) = tool.kind.filter(|kind| kind != "custom") {
                warnings.add_kind(format!("tools[{index}].type"), &kind);
                all.left_out.push((index, kind, name));
                continue;
            }
            let cache_control = tool.cache_control.filter(|_| between);
            let function = Function {
                name,
                description: tool.description,
                parameters: tool.input_schema,
                strict: tool.strict,
                ..Default::default()
            };
            let tool = FunctionTool { function, cache_control, ..Default::default() };
            all.offered.push(chat::Tool::Function(tool));
        }
        all
    }

    /// Refuses a call that has to be of a tool that is left out.
    fn check(&self, named: Option<&str>) -> Result<(), Error> {
        let is_meant = |(_, _, name): &&(usize, Cow<'_, str>, Cow<'_, str>)| {
            named.map_or(self.offered.is_empty(), |named| name == named)
        };
        match self.left_out.iter().find(is_meant) {
            Some((index, kind, _)) => Err(unsupported_type(format!("tools[{index}].type"), kind)),
            None => Ok(()),
        }
    }
}

fn choose<'a>(
    choice: ToolChoice<'a>,
    tools: &Tools<'a>,
    translated: &mut ChatCompletionRequest<'a>,
) -> Result<(), Error> {
    let (choice, one_by_one) = match choice {
        ToolChoice::Auto(choice) => (word("auto"), choice.disable_parallel_tool_use),
        ToolChoice::Any(choice) => {
            tools.check(None)?;
            (word("required"), choice.disable_parallel_tool_use)
        }
        ToolChoice::None(_) => (word("none"), None),
        ToolChoice::Tool(choice) => {
            tools.check(Some(&choice.name))?;
            let function = NamedFunction { name: choice.name, ..Default::default() };
            let named = FunctionChoice { function, ..Default::default() };
            (TextOr::Other(chat::ToolChoice::Function(named)), choice.disable_parallel_tool_use)
        }
        ToolChoice::Other(choice) => {
            return Err(unsupported_type("tool_choice.type", &kind(&choice)));
        }
    };
    if !tools.offered.is_empty() {
        translated.tool_choice = Some(choice);
        translated.parallel_tool_calls = one_by_one.filter(|one| *one).map(|_| false);
    }
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
