//! A chat completion in the terms of the provider that is to get it: the names and ids that it
//! takes, functions where the caller has other tools, and calls whose arguments are objects.

use std::borrow::Cow;

use serde_json::json;

use super::request::object;
use crate::error::Error;
use crate::protocol::openai::ChatCompletionRequest;
use crate::protocol::openai::chat::{
    AllowedTools, Custom, CustomToolCall, Function, FunctionCall, FunctionChoice, FunctionTool,
    FunctionToolCall, Message, NamedFunction, Tool, ToolCall, ToolChoice,
};
use crate::protocol::wire::{Raw, Rest, TextOr};
use crate::translate::fields::{Warnings, unsupported_type};
use crate::translate::names::{Form, LONGEST_ID, Name, Names, is_plain};

/// What a provider takes as the name of a tool and the id of a call.
#[derive(Clone, Copy, Debug)]
pub(in crate::translate) struct Terms {
    name: Form,
    id: Form,
}

impl Terms {
    pub(in crate::translate) const OPENAI: Self = Self {
        name: Form { longest: 64, plain: is_plain },
        id: Form { longest: LONGEST_ID, plain: |_| true },
    };
    pub(in crate::translate) const ANTHROPIC: Self = Self {
        name: Form { longest: 128, plain: is_plain },
        id: Form { longest: usize::MAX, plain: is_plain },
    };
    pub(in crate::translate) const BEDROCK: Self = Self {
        name: Form { longest: 64, plain: is_plain },
        id: Form { longest: 64, plain: |c| is_plain(c) || matches!(c, '.' | ':') },
    };
    pub(in crate::translate) const GEMINI: Self = Self {
        name: Form { longest: 64, plain: |c| is_plain(c) || matches!(c, '.' | ':') },
        id: Form::ANY,
    };
    pub(in crate::translate) const ANY: Self = Self { name: Form::ANY, id: Form::ANY };
}

/// Returns the names that differ from the caller's. Tools that are no functions are left out, but
/// for the ones that take a text; one that has to be called is refused.
pub(in crate::translate) fn settle(
    request: &mut ChatCompletionRequest<'_>,
    terms: Terms,
    warnings: &mut Warnings,
) -> Result<Names, Error> {
    let mut names = Names::default();
    tools(request, terms, &mut names, warnings)?;
    for function in request.functions.iter_mut().flatten() {
        fit(&mut function.name, terms, &mut names);
    }
    if let Some(TextOr::Other(choice)) = &mut request.tool_choice {
        self::choice(choice, "tool_choice", terms, &mut names)?;
    }
    if let Some(TextOr::Other(choice)) = &mut request.function_call {
        fit(&mut choice.name, terms, &mut names);
    }
    for message in &mut request.messages {
        self::message(message, terms, &mut names);
    }
    Ok(names)
}

fn tools(
    request: &mut ChatCompletionRequest<'_>,
    terms: Terms,
    names: &mut Names,
    warnings: &mut Warnings,
) -> Result<(), Error> {
    let Some(tools) = &mut request.tools else { return Ok(()) };
    let mut left_out = None;
    for (index, tool) in std::mem::take(tools).into_iter().enumerate() {
        match tool {
            Tool::Function(mut tool) => {
                fit(&mut tool.function.name, terms, names);
                tools.push(Tool::Function(tool));
            }
            Tool::Custom(tool) => {
                let (custom, cache_control) = (tool.custom, tool.cache_control);
                let function = function(custom, terms, names);
                let tool = FunctionTool { function, cache_control, ..Default::default() };
                tools.push(Tool::Function(tool));
            }
            Tool::Other(tool) => {
                let kind = kind(&tool);
                warnings.add_kind(format!("tools[{index}].type"), &kind);
                left_out.get_or_insert((index, kind));
            }
        }
    }
    let forced = matches!(&request.tool_choice, Some(TextOr::Text(word)) if word == "required");
    match left_out {
        Some((index, kind)) if tools.is_empty() && forced => {
            Err(unsupported_type(format!("tools[{index}].type"), &kind))
        }
        Some(_) if tools.is_empty() => {
            request.tools = None;
            request.parallel_tool_calls = None;
            if matches!(request.tool_choice, Some(TextOr::Text(_))) {
                request.tool_choice = None;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A tool that takes a text as a function of one.
fn function<'a>(tool: Custom<'a>, terms: Terms, names: &mut Names) -> Function<'a> {
    let grammar = tool.format.and_then(|format| format.grammar).unwrap_or_default();
    let sent = names.fit(tool.name.clone(), &terms.name);
    let (name, custom) = (tool.name.into_owned(), true);
    names.add(Name { sent: sent.to_string(), name, custom, ..Name::default() });
    text_function(sent, tool.description, grammar.syntax, grammar.definition)
}

/// A function of one text, whose form is told in words.
pub(in crate::translate) fn text_function<'a>(
    name: Cow<'a, str>,
    description: Option<Cow<'a, str>>,
    syntax: Option<Cow<'a, str>>,
    definition: Option<Cow<'a, str>>,
) -> Function<'a> {
    let description = match definition {
        None => description,
        Some(definition) => {
            let said = description.unwrap_or_default();
            let gap = if said.is_empty() { "" } else { "\n\n" };
            let syntax = syntax.unwrap_or("lark".into());
            let rule = format!("The input must match this {syntax} grammar:\n{definition}");
            Some(format!("{said}{gap}{rule}").into())
        }
    };
    Function { name, description, parameters: Some(Raw::literal(TEXT)), ..Default::default() }
}

/// The arguments of a function of one text.
pub(in crate::translate) fn text_arguments<'a>(input: &str) -> Cow<'a, str> {
    json!({ "input": input }).to_string().into()
}

/// What a model has written for the one text of a function, however it did.
pub(in crate::translate) fn text_input<'a>(arguments: Cow<'a, str>) -> Cow<'a, str> {
    text_of(&arguments).map_or(arguments, Cow::Owned)
}

fn text_of(arguments: &str) -> Option<String> {
    let members = match crate::protocol::wire::read::<Rest<'_>>(arguments.as_bytes()) {
        Ok(members) => members,
        Err(_) => return Raw::new(arguments)?.text().map(Cow::into_owned),
    };
    let mut all = members.iter();
    let only = all.next().filter(|_| all.next().is_none()).map(|(_, value)| value);
    match members.get("input").or(only).and_then(Raw::text) {
        Some(text) => Some(text.into_owned()),
        None => members.is_empty().then(String::new),
    }
}

fn choice(
    choice: &mut ToolChoice<'_>,
    at: &str,
    terms: Terms,
    names: &mut Names,
) -> Result<(), Error> {
    match choice {
        ToolChoice::Function(choice) => fit(&mut choice.function.name, terms, names),
        ToolChoice::Custom(custom) => {
            let name = names.fit(std::mem::take(&mut custom.custom.name), &terms.name);
            let function = NamedFunction { name, ..Default::default() };
            *choice = ToolChoice::Function(FunctionChoice { function, ..Default::default() });
        }
        ToolChoice::Allowed(choice) => allowed(&mut choice.allowed_tools, at, terms, names)?,
        ToolChoice::Other(choice) => {
            return Err(unsupported_type(format!("{at}.type"), &kind(choice)));
        }
    }
    Ok(())
}

/// Of what is allowed, too, only functions can be called.
fn allowed(
    allowed: &mut AllowedTools<'_>,
    at: &str,
    terms: Terms,
    names: &mut Names,
) -> Result<(), Error> {
    let mut other = None;
    let mut index = 0usize;
    allowed.tools.retain(|tool| {
        let place = index;
        index = index.saturating_add(1);
        let ToolChoice::Other(tool) = tool else { return true };
        other.get_or_insert((place, kind(tool)));
        false
    });
    for tool in &mut allowed.tools {
        choice(tool, at, terms, names)?;
    }
    match other {
        Some((index, kind)) if allowed.tools.is_empty() && allowed.mode == "required" => {
            let field = format!("{at}.allowed_tools.tools[{index}].type");
            Err(unsupported_type(field, &kind))
        }
        _ => Ok(()),
    }
}

fn message(message: &mut Message<'_>, terms: Terms, names: &mut Names) {
    for call in message.tool_calls.iter_mut().flatten() {
        match call {
            ToolCall::Function(call) => {
                fit(&mut call.function.name, terms, names);
                call.id = terms.id.id(std::mem::take(&mut call.id));
                repair(&mut call.function);
            }
            ToolCall::Custom(custom) => {
                let CustomToolCall { id, custom, .. } = std::mem::take(custom);
                let function = FunctionCall {
                    name: names.fit(custom.name, &terms.name),
                    arguments: text_arguments(&custom.input),
                    ..Default::default()
                };
                let id = terms.id.id(id);
                *call = ToolCall::Function(FunctionToolCall { id, function, ..Default::default() });
            }
            ToolCall::Other(_) => {}
        }
    }
    if let Some(call) = &mut message.function_call {
        fit(&mut call.name, terms, names);
        repair(call);
    }
    if let Some(id) = &mut message.tool_call_id {
        *id = terms.id.id(std::mem::take(id));
    }
    if message.role == crate::protocol::openai::chat::Role::Function
        && let Some(name) = &mut message.name
    {
        fit(name, terms, names);
    }
}

fn fit(name: &mut Cow<'_, str>, terms: Terms, names: &mut Names) {
    *name = names.fit(std::mem::take(name), &terms.name);
}

/// A model may have written what is no object, and has been told so: the conversation goes on.
fn repair(call: &mut FunctionCall<'_>) {
    if !Raw::new(&*call.arguments).is_some_and(|arguments| arguments.is_object()) {
        call.arguments = object(std::mem::take(&mut call.arguments)).into_text();
    }
}

/// What a tool says that it is.
pub(in crate::translate) fn kind(tool: &Raw<'_>) -> String {
    let members = crate::protocol::wire::read::<Rest<'_>>(tool.as_str().as_bytes());
    let kind = members.ok().and_then(|it| Some(it.get("type")?.text()?.into_owned()));
    kind.unwrap_or_default()
}

const TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as it is."}},"required":["input"],"additionalProperties":false}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_custom_tool_is_found_in_what_a_model_writes() {
        for (arguments, expected) in [
            (r#"{"input":"a\nb"}"#, "a\nb"),
            (r#"{"patch":"a"}"#, "a"),
            (r#""a""#, "a"),
            ("{}", ""),
            ("*** Begin Patch", "*** Begin Patch"),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
        ] {
            assert_eq!(text_input(arguments.into()), expected, "{arguments}");
        }
        assert_eq!(text_input(text_arguments("é\"\\\n")), "é\"\\\n");
    }
}
