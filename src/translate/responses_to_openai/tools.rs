//! The tools of a request. A chat completion has only functions: those of a namespace stand beside
//! the others under a longer name, and one that takes a text is a function of one text. What runs at
//! OpenAI is left out, unless it has to be called.

use std::borrow::Cow;

use super::super::chat::{kind, text_function};
use super::super::fields::{Warnings, unsupported_type};
use super::super::names::{Name, Names};
use crate::error::Error;
use crate::protocol::openai::chat::{
    self, AllowedChoice, AllowedTools, Function, FunctionChoice, FunctionTool, NamedFunction,
};
use crate::protocol::openai::responses::{CustomTool, Tool, ToolChoice};
use crate::protocol::wire::{Raw, TextOr};

/// What was offered, and under which names.
#[derive(Default)]
pub(super) struct Tools<'a> {
    pub(super) names: Names,
    offered: Vec<chat::Tool<'a>>,
    /// Names of functions that stand in no namespace.
    plain: Vec<String>,
    /// The first that was left out: where it stands, and what it is.
    left_out: Option<(String, String)>,
}

impl<'a> Tools<'a> {
    pub(super) fn new(tools: Option<Vec<Tool<'a>>>, warnings: &mut Warnings) -> Self {
        let tools = tools.unwrap_or_default();
        let plain = tools.iter().filter_map(|tool| match tool {
            Tool::Function(tool) => Some(tool.name.to_string()),
            Tool::Custom(tool) => Some(tool.name.to_string()),
            Tool::Namespace(_) | Tool::Other(_) => None,
        });
        let mut all = Self { plain: plain.collect(), ..Self::default() };
        for (index, tool) in tools.into_iter().enumerate() {
            all.add(tool, None, &format!("tools[{index}]"), warnings);
        }
        all
    }

    fn add(&mut self, tool: Tool<'a>, namespace: Option<&str>, at: &str, warnings: &mut Warnings) {
        match tool {
            Tool::Function(tool) => {
                let name = self.name(namespace, tool.name, false);
                self.offer(Function {
                    name,
                    description: tool.description,
                    parameters: tool.parameters,
                    strict: tool.strict,
                    ..Default::default()
                });
            }
            Tool::Custom(tool) => {
                let CustomTool { name, description, format, .. } = tool;
                let name = self.name(namespace, name, true);
                let format = format.unwrap_or_default();
                self.offer(text_function(name, description, format.syntax, format.definition));
            }
            Tool::Namespace(space) if namespace.is_none() => {
                for (index, tool) in space.tools.into_iter().enumerate() {
                    self.add(tool, Some(&space.name), &format!("{at}.tools[{index}]"), warnings);
                }
            }
            Tool::Namespace(_) => self.leave_out("namespace".into(), at, warnings),
            Tool::Other(tool) => self.leave_out(kind(&tool), at, warnings),
        }
    }

    fn offer(&mut self, function: Function<'a>) {
        self.offered.push(chat::Tool::Function(FunctionTool { function, ..Default::default() }));
    }

    fn leave_out(&mut self, kind: String, at: &str, warnings: &mut Warnings) {
        warnings.add_kind(format!("{at}.type"), &kind);
        self.left_out.get_or_insert((format!("{at}.type"), kind));
    }

    /// The name of a tool in a chat completion. The same one each time.
    pub(super) fn name<'b>(
        &mut self,
        namespace: Option<&str>,
        name: Cow<'b, str>,
        custom: bool,
    ) -> Cow<'b, str> {
        let sent = match namespace {
            None => name.clone(),
            Some(namespace) => {
                let mut flat = format!("{namespace}__{name}");
                while self.plain.contains(&flat) {
                    flat.push('_');
                }
                flat.into()
            }
        };
        let (name, namespace) = (name.into_owned(), namespace.map(ToOwned::to_owned));
        self.names.add(Name { sent: sent.to_string(), name, namespace, custom });
        sent
    }

    /// Writes them, and which of them is to be called.
    pub(super) fn choose(
        &mut self,
        choice: Option<TextOr<'a, ToolChoice<'a>>>,
        parallel: Option<bool>,
        request: &mut chat::ChatCompletionRequest<'a>,
    ) -> Result<(), Error> {
        let choice = match choice {
            Some(TextOr::Text(word)) => Some(TextOr::Text(word)),
            Some(TextOr::Other(choice)) => Some(TextOr::Other(self.choice(choice, "tool_choice")?)),
            None => None,
        };
        let forced = matches!(&choice, Some(TextOr::Text(word)) if word == "required");
        match self.left_out.take() {
            Some((field, kind)) if self.offered.is_empty() && forced => {
                return Err(unsupported_type(field, &kind));
            }
            _ if self.offered.is_empty() => {}
            _ => {
                request.tools = Some(std::mem::take(&mut self.offered));
                request.tool_choice = choice;
                request.parallel_tool_calls = parallel;
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: ToolChoice<'a>, at: &str) -> Result<chat::ToolChoice<'a>, Error> {
        Ok(match choice {
            ToolChoice::Function(choice) => {
                named(self.name(choice.namespace.as_deref(), choice.name, false))
            }
            ToolChoice::Custom(choice) => {
                named(self.name(choice.namespace.as_deref(), choice.name, true))
            }
            ToolChoice::Allowed(choice) => {
                let mut tools = Vec::new();
                let mut other = None;
                for (index, tool) in choice.tools.into_iter().enumerate() {
                    let field = format!("{at}.tools[{index}]");
                    match tool {
                        ToolChoice::Other(tool) => {
                            other.get_or_insert((format!("{field}.type"), kind(&tool)));
                        }
                        tool => tools.push(self.choice(tool, &field)?),
                    }
                }
                if let (true, "required", Some((field, kind))) =
                    (tools.is_empty(), &*choice.mode, other)
                {
                    return Err(unsupported_type(field, &kind));
                }
                let allowed_tools = AllowedTools { mode: choice.mode, tools, ..Default::default() };
                chat::ToolChoice::Allowed(AllowedChoice { allowed_tools, ..Default::default() })
            }
            ToolChoice::Other(choice) => {
                return Err(unsupported_type(format!("{at}.type"), &kind(&choice)));
            }
        })
    }
}

fn named(name: Cow<'_, str>) -> chat::ToolChoice<'_> {
    let function = NamedFunction { name, ..Default::default() };
    chat::ToolChoice::Function(FunctionChoice { function, ..Default::default() })
}

/// A call of a tool that OpenAI's models know and the caller carries out: its kind, its id, and what
/// it is called with. `None` for what ran at OpenAI.
pub(super) fn own_call<'a>(item: &Raw<'_>) -> Option<(String, String, Raw<'a>)> {
    let (kind, members) = members(item)?;
    let name = kind.strip_suffix("_call")?.to_owned();
    let id = members.get("call_id")?.as_str()?.to_owned();
    let asked = ["action", "actions", "operation", "arguments", "input"];
    let asked = asked.into_iter().find_map(|key| members.get(key));
    let arguments = match asked {
        Some(asked) if asked.is_object() => asked.clone(),
        Some(asked) => serde_json::json!({ "input": asked }),
        None => serde_json::json!({}),
    };
    Some((name, id, Raw::from(&arguments)))
}

/// The result of such a call: the call's id, and what it is.
pub(super) fn own_result(item: &Raw<'_>) -> Option<(String, String)> {
    let (kind, members) = members(item)?;
    if !kind.ends_with("_output") {
        return None;
    }
    let id = members.get("call_id").or(members.get("id"))?.as_str()?.to_owned();
    let output = members.get("output").or(members.get("tools"))?;
    Some((id, output.as_str().map_or_else(|| output.to_string(), ToOwned::to_owned)))
}

fn members(item: &Raw<'_>) -> Option<(String, serde_json::Value)> {
    let value = item.value()?;
    let kind = value.get("type")?.as_str()?.to_owned();
    Some((kind, value))
}
