//! OpenAI's chat and text completions.

use super::json::{Members, Object, inner, items, object, pieces};
use super::merge::{Merged, Node, Rule, Schema};
use super::said::paired;
use super::{MAX_BYTES, Obstacle, events};
use crate::protocol::Operation;

/// The JSON that a stream adds up to.
pub(super) fn to_json(operation: Operation, body: &str) -> Result<String, Obstacle> {
    let mut answer = Merged::new(&CHUNK);
    let mut done = false;
    for event in events(body) {
        let (_, data) = event?;
        if data.trim() == "[DONE]" {
            done = true;
            break;
        }
        let chunk = Object::parse(data)?;
        if chunk.get("object").is_some_and(|object| object != kind(operation, true)) {
            return Err(Obstacle::Malformed);
        }
        answer.add(&chunk)?;
    }
    if !done {
        return Err(Obstacle::Unfinished);
    }
    if !answer.has("usage") {
        return Err(Obstacle::NoUsage);
    }
    if answer.get("object").is_some() {
        answer.set(0, "object", kind(operation, false));
    }
    let Some(Node::Indexed(choices)) = answer.get_mut("choices") else {
        return Err(Obstacle::Malformed);
    };
    if choices.is_empty() {
        return Err(Obstacle::Malformed);
    }
    for (at, (index, choice)) in choices.iter_mut().enumerate() {
        if *index != at || !choice.has("finish_reason") {
            return Err(Obstacle::Unfinished);
        }
        if operation == Operation::Chat {
            choice.rename("delta", "message");
            let Some(Node::Nested(message)) = choice.get_mut("message") else {
                return Err(Obstacle::Malformed);
            };
            whole_message(message)?;
        } else if !choice.has("text") {
            return Err(Obstacle::Malformed);
        }
    }
    let mut out = String::with_capacity(body.len() / 4);
    answer.write(&mut out);
    Ok(out)
}

/// What a message has that its deltas do not tell.
fn whole_message(message: &mut Merged<'_>) -> Result<(), Obstacle> {
    if !message.has("role") {
        return Err(Obstacle::Malformed);
    }
    if message.get("content").is_none() {
        message.set(1, "content", "null");
    }
    // Servers that tell of a refusal have annotations too, which deltas bring only if there are any.
    if message.get("refusal").is_some() && message.get("annotations").is_none() {
        message.set(usize::MAX, "annotations", "[]");
    }
    if let Some(Node::Indexed(calls)) = message.get_mut("tool_calls") {
        for (at, (index, call)) in calls.iter_mut().enumerate() {
            if *index != at || !call.has("id") || !(call.has("function") || call.has("custom")) {
                return Err(Obstacle::Malformed);
            }
            // Only deltas need it to be told apart.
            call.remove("index");
        }
    }
    Ok(())
}

/// The stream that adds up to this JSON.
pub(super) fn to_stream(operation: Operation, body: &str, usage: bool) -> Result<String, Obstacle> {
    let answer = Object::parse(body)?;
    if answer.get("object").is_some_and(|object| object != kind(operation, false)) {
        return Err(Obstacle::Malformed);
    }
    if answer.some("error").is_some() {
        return Err(Obstacle::Unfinished);
    }
    let usage = answer.some("usage").filter(|_| usage);
    let mut stream = Stream::new(operation, &answer, usage.is_some());
    let choices = answer.get("choices").ok_or(Obstacle::Malformed)?;
    let choices: Vec<Choice<'_>> = items(choices)?
        .into_iter()
        .enumerate()
        .map(|(at, choice)| Choice::parse(operation, at, choice))
        .collect::<Result<_, _>>()?;
    if operation == Operation::Chat {
        choices.iter().try_for_each(|choice| stream.role(choice))?;
    }
    choices.iter().try_for_each(|choice| stream.said(choice))?;
    choices.iter().try_for_each(|choice| stream.finish(choice))?;
    if let Some(usage) = usage {
        stream.event("[]", usage)?;
    }
    stream.out.push_str("data: [DONE]\n\n");
    Ok(stream.out)
}

struct Choice<'a> {
    index: usize,
    choice: Object<'a>,
    message: Object<'a>,
    /// An object with at least one array in it that is not empty.
    logprobs: Option<Object<'a>>,
    finish: &'a str,
}

impl<'a> Choice<'a> {
    fn parse(operation: Operation, at: usize, json: &'a str) -> Result<Self, Obstacle> {
        let choice = Object::parse(json)?;
        let index = choice.get("index").ok_or(Obstacle::Malformed)?;
        let index = index.parse().ok().filter(|index| *index == at).ok_or(Obstacle::Malformed)?;
        let finish = choice.some("finish_reason").ok_or(Obstacle::Unfinished)?;
        let message = match operation {
            Operation::Chat => Object::parse(choice.get("message").ok_or(Obstacle::Malformed)?)?,
            _ => Object::default(),
        };
        let logprobs = match choice.some("logprobs") {
            Some(logprobs) => Some(Object::parse(logprobs)?),
            None => None,
        };
        Ok(Self { index, choice, message, logprobs, finish })
    }
}

/// Writes the events of one answer.
struct Stream {
    operation: Operation,
    out: String,
    /// The beginning of every event, up to its choices.
    head: String,
    /// The client asked for usage: every event has the member.
    usage: bool,
}

impl Stream {
    fn new(operation: Operation, answer: &Object<'_>, usage: bool) -> Self {
        let mut head = String::from("data: {");
        for (key, value) in answer.iter().filter(|(key, _)| !matches!(*key, "choices" | "usage")) {
            let value = if key == "object" { kind(operation, true) } else { value };
            head.push('"');
            head.push_str(key);
            head.push_str("\":");
            head.push_str(value);
            head.push(',');
        }
        let out = String::with_capacity(8 * head.len());
        Self { operation, out, head, usage }
    }

    fn event(&mut self, choices: &str, usage: &str) -> Result<(), Obstacle> {
        self.out.push_str(&self.head);
        self.out.push_str("\"choices\":");
        self.out.push_str(choices);
        if self.usage {
            self.out.push_str(",\"usage\":");
            self.out.push_str(usage);
        }
        self.out.push_str("}\n\n");
        if self.out.len() > MAX_BYTES { Err(Obstacle::TooLarge) } else { Ok(()) }
    }

    /// One event of one choice; `delta` writes what it adds.
    fn delta(
        &mut self,
        choice: &Choice<'_>,
        logprobs: Option<&str>,
        delta: impl FnOnce(&mut Members<'_>),
    ) -> Result<(), Obstacle> {
        let mut json = String::from("[");
        object(&mut json, |members| {
            members.number("index", choice.index);
            members.object("delta", delta);
            if choice.choice.get("logprobs").is_some() {
                members.raw("logprobs", logprobs.unwrap_or("null"));
            }
            members.raw("finish_reason", "null");
        });
        json.push(']');
        self.event(&json, "null")
    }

    fn role(&mut self, choice: &Choice<'_>) -> Result<(), Obstacle> {
        let message = &choice.message;
        let role = message.some("role").ok_or(Obstacle::Malformed)?;
        self.delta(choice, None, |delta| {
            delta.raw("role", role);
            delta.maybe("content", message.get("content").map(empty_of));
            delta.maybe("refusal", message.get("refusal").map(|_| "null"));
        })
    }

    /// Everything that the model said in one choice.
    fn said(&mut self, choice: &Choice<'_>) -> Result<(), Obstacle> {
        if self.operation != Operation::Chat {
            let text = choice.choice.text("text").ok_or(Obstacle::Malformed)?;
            return self.text(choice, "text", text);
        }
        let message = &choice.message;
        let untold = |(key, value): (&str, &str)| {
            is_list(value) && !(TEXTS.contains(&key) && message.some(key).is_some())
        };
        if choice.logprobs.as_ref().is_some_and(|all| all.iter().any(untold)) {
            return Err(Obstacle::Unknown);
        }
        for (key, value) in message.iter().filter(|(key, _)| THOUGHTS.contains(key)) {
            match inner(value) {
                Some("") => self.delta(choice, None, |delta| delta.raw(key, value))?,
                Some(text) => pieces(text).try_for_each(|piece| {
                    self.delta(choice, None, |delta| delta.text(key, piece))
                })?,
                None if value == "null" => {}
                None => return Err(Obstacle::Unknown),
            }
        }
        for key in TEXTS {
            match message.some(key).map(inner) {
                // An empty content is told with the role.
                Some(Some("")) if key == "refusal" => {
                    self.delta(choice, None, |delta| delta.text(key, ""))?;
                }
                Some(Some(text)) => self.text(choice, key, text)?,
                // Content in parts.
                Some(None) => return Err(Obstacle::Unknown),
                None => {}
            }
        }
        for (key, value) in message.iter() {
            match key {
                "role" => {}
                _ if TEXTS.contains(&key) || THOUGHTS.contains(&key) => {}
                "audio" if value != "null" => return Err(Obstacle::Unknown),
                "tool_calls" if value != "null" => self.tool_calls(choice, value)?,
                "function_call" if value != "null" => {
                    self.call(choice, key, &Object::default(), &Object::parse(value)?, None)?;
                }
                _ if matches!(value, "null" | "[]") => {}
                _ => self.delta(choice, None, |delta| delta.raw(key, value))?,
            }
        }
        Ok(())
    }

    /// A text in pieces, each with its part of the log probabilities.
    fn text(&mut self, choice: &Choice<'_>, key: &str, text: &str) -> Result<(), Obstacle> {
        let lists = choice.logprobs.as_ref().map(|all| lists(all, key)).transpose()?;
        let lists = lists.unwrap_or_default();
        // The longest list, and of those as long the one with the tokens.
        let rank = |(name, list): &&(&str, Vec<&str>)| (list.len(), *name == "tokens");
        let entries = lists.iter().max_by_key(rank).map_or(&[][..], |(_, list)| list);
        for (piece, range) in paired(text, entries) {
            let mut group = String::new();
            if !range.is_empty() {
                object(&mut group, |members| {
                    for (name, list) in &lists {
                        let part = list.iter().take(range.end).skip(range.start).copied();
                        match choice.logprobs.as_ref().and_then(|all| all.get(name)) {
                            _ if !list.is_empty() => members.array(name, part),
                            Some(value) if !is_list(value) => members.raw(name, value),
                            _ => members.raw(name, "null"),
                        }
                    }
                });
            }
            let group = Some(group.as_str()).filter(|group| !group.is_empty());
            if self.operation == Operation::Chat {
                self.delta(choice, group, |delta| delta.text(key, piece))?;
            } else {
                self.completion(choice, piece, group, None)?;
            }
        }
        Ok(())
    }

    fn tool_calls(&mut self, choice: &Choice<'_>, calls: &str) -> Result<(), Obstacle> {
        for (at, call) in items(calls)?.into_iter().enumerate() {
            let call = Object::parse(call)?;
            if call.get("index").is_some_and(|index| index != at.to_string()) {
                return Err(Obstacle::Unknown);
            }
            let key = if call.some("custom").is_some() { "custom" } else { "function" };
            let inside = Object::parse(call.some(key).ok_or(Obstacle::Unknown)?)?;
            self.call(choice, key, &call, &inside, Some(at))?;
        }
        Ok(())
    }

    /// A call: first what it is, then its arguments. In `tool_calls` it has an index.
    fn call(
        &mut self,
        choice: &Choice<'_>,
        key: &str,
        call: &Object<'_>,
        inside: &Object<'_>,
        index: Option<usize>,
    ) -> Result<(), Obstacle> {
        let argument = if key == "custom" { "input" } else { "arguments" };
        let arguments = inside.text(argument).ok_or(Obstacle::Unknown)?;
        let wrapped = |delta: &mut Members<'_>, first: bool, inside: String| match index {
            None => delta.raw(key, &inside),
            Some(index) => {
                let mut one = String::new();
                object(&mut one, |members| {
                    members.number("index", index);
                    let others = call.iter().filter(|(name, _)| *name != key && *name != "index");
                    others.filter(|_| first).for_each(|(name, value)| members.raw(name, value));
                    members.raw(key, &inside);
                });
                delta.array("tool_calls", [one.as_str()]);
            }
        };
        let mut head = String::new();
        object(&mut head, |members| {
            for (name, value) in inside.iter() {
                members.raw(name, if name == argument { "\"\"" } else { value });
            }
        });
        self.delta(choice, None, |delta| wrapped(delta, true, head))?;
        for piece in pieces(arguments) {
            let mut inside = String::new();
            object(&mut inside, |members| members.text(argument, piece));
            self.delta(choice, None, |delta| wrapped(delta, false, inside))?;
        }
        Ok(())
    }

    fn finish(&mut self, choice: &Choice<'_>) -> Result<(), Obstacle> {
        if self.operation != Operation::Chat {
            return self.completion(choice, "", None, Some(choice.finish));
        }
        let mut json = String::from("[");
        object(&mut json, |members| {
            members.number("index", choice.index);
            members.raw("delta", "{}");
            ending(choice, members);
        });
        json.push(']');
        self.event(&json, "null")
    }

    fn completion(
        &mut self,
        choice: &Choice<'_>,
        text: &str,
        logprobs: Option<&str>,
        finish: Option<&str>,
    ) -> Result<(), Obstacle> {
        let mut json = String::from("[");
        object(&mut json, |members| {
            members.text("text", text);
            members.number("index", choice.index);
            if finish.is_some() {
                ending(choice, members);
            } else {
                if choice.choice.get("logprobs").is_some() {
                    members.raw("logprobs", logprobs.unwrap_or("null"));
                }
                members.raw("finish_reason", "null");
            }
        });
        json.push(']');
        self.event(&json, "null")
    }
}

/// What the last event of a choice tells.
fn ending(choice: &Choice<'_>, members: &mut Members<'_>) {
    let known = ["index", "message", "text", "logprobs", "finish_reason"];
    if choice.choice.get("logprobs").is_some() {
        // Log probabilities of nothing: no other event had them.
        let nothing = choice.logprobs.as_ref().filter(|all| !all.iter().any(|(_, v)| is_list(v)));
        let whole = nothing.and(choice.choice.get("logprobs"));
        members.raw("logprobs", whole.unwrap_or("null"));
    }
    members.raw("finish_reason", choice.finish);
    let others = choice.choice.iter().filter(|(key, _)| !known.contains(key));
    others.for_each(|(key, value)| members.raw(key, value));
}

/// The lists of log probabilities that go with one text: a chat has one for each of its texts, a
/// completion has lists of different things. What goes with another text is empty.
fn lists<'a>(logprobs: &Object<'a>, key: &str) -> Result<Vec<(&'a str, Vec<&'a str>)>, Obstacle> {
    let list = |(name, value): (&'a str, &'a str)| {
        let mine = (name == key || key == "text") && is_list(value);
        Ok((name, if mine { items(value)? } else { Vec::new() }))
    };
    logprobs.iter().map(list).collect()
}

/// Whether there is something in an array.
fn is_list(value: &str) -> bool {
    value.strip_prefix('[').is_some_and(|rest| !rest.trim_start().starts_with(']'))
}

/// A value of the same type with nothing in it.
fn empty_of(value: &str) -> &'static str {
    if inner(value).is_some() { "\"\"" } else { "null" }
}

fn kind(operation: Operation, stream: bool) -> &'static str {
    match (operation, stream) {
        (Operation::Chat, false) => "\"chat.completion\"",
        (Operation::Chat, true) => "\"chat.completion.chunk\"",
        _ => "\"text_completion\"",
    }
}

/// Members of a message that are what it says, each with log probabilities of its own.
const TEXTS: [&str; 2] = ["content", "refusal"];
/// Members of a message that hold the model's thinking, under the names that servers have for it.
const THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];

const CHUNK: Schema = Schema {
    members: &[
        ("choices", Rule::Indexed(&CHOICE)),
        ("created", Rule::First),
        ("usage", Rule::Last),
        ("error", Rule::Refuse(Obstacle::Unfinished)),
        // Random bytes that hide the lengths of tokens.
        ("obfuscation", Rule::Drop),
    ],
    others: Rule::Same,
};
const CHOICE: Schema = Schema {
    members: &[
        ("delta", Rule::Nested(&DELTA)),
        ("text", Rule::Concat),
        ("logprobs", Rule::Nested(&LOGPROBS)),
    ],
    others: Rule::Same,
};
const DELTA: Schema = Schema {
    members: &[
        ("role", Rule::Same),
        ("content", Rule::Concat),
        ("refusal", Rule::Concat),
        ("reasoning_content", Rule::Concat),
        ("reasoning", Rule::Concat),
        ("annotations", Rule::Append),
        ("tool_calls", Rule::Indexed(&CALL)),
        ("function_call", Rule::Nested(&FUNCTION)),
        ("audio", Rule::Refuse(Obstacle::Unknown)),
    ],
    others: Rule::Once,
};
const CALL: Schema = Schema {
    members: &[("function", Rule::Nested(&FUNCTION)), ("custom", Rule::Nested(&FUNCTION))],
    others: Rule::Same,
};
const FUNCTION: Schema =
    Schema { members: &[("arguments", Rule::Concat), ("input", Rule::Concat)], others: Rule::Same };
const LOGPROBS: Schema = Schema { members: &[], others: Rule::Append };
