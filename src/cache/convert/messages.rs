//! Anthropic's messages.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::json::{Members, Object, inner, items, object, pieces, quoted};
use super::merge::{Merged, Node, Rule, Schema};
use super::{MAX_BYTES, Obstacle, events};
use crate::protocol::edit::json_string;

/// The message that a stream adds up to.
pub(super) fn to_json(body: &str) -> Result<String, Obstacle> {
    let mut message = Merged::new(&MESSAGE);
    let mut blocks: BTreeMap<usize, Block<'_>> = BTreeMap::new();
    let mut stopped = false;
    for event in events(body) {
        let (_, data) = event?;
        let event = Object::parse(data)?;
        let index = || {
            let index = event.get("index").and_then(|index| index.parse().ok());
            index.ok_or(Obstacle::Malformed)
        };
        let part = |key| Object::parse(event.get(key).ok_or(Obstacle::Malformed)?);
        match event.text("type").ok_or(Obstacle::Malformed)? {
            "message_start" => message.add(&part("message")?)?,
            "content_block_start" => {
                let block = Block::start(&part("content_block")?)?;
                if blocks.insert(index()?, block).is_some() {
                    return Err(Obstacle::Malformed);
                }
            }
            "content_block_delta" => {
                blocks.get_mut(&index()?).ok_or(Obstacle::Malformed)?.delta(&part("delta")?)?;
            }
            "content_block_stop" | "ping" => {}
            "message_delta" => {
                message.add(&part("delta")?)?;
                let others = event.iter().filter(|(key, _)| !matches!(*key, "type" | "delta"));
                others.clone().try_for_each(|(key, value)| message.member(key, value))?;
            }
            "message_stop" => {
                stopped = true;
                break;
            }
            "error" => return Err(Obstacle::Unfinished),
            _ => return Err(Obstacle::Unknown),
        }
    }
    if !stopped || !message.has("stop_reason") {
        return Err(Obstacle::Unfinished);
    }
    if !message.has("usage") {
        return Err(Obstacle::NoUsage);
    }
    if blocks.keys().enumerate().any(|(at, index)| *index != at) {
        return Err(Obstacle::Malformed);
    }
    let blocks: Vec<String> = blocks.values().map(Block::write).collect::<Result<_, _>>()?;
    let mut content = String::from("[");
    content.push_str(&blocks.join(","));
    content.push(']');
    let Some(Node::Items(none)) = message.get("content") else { return Err(Obstacle::Malformed) };
    if !none.is_empty() {
        return Err(Obstacle::Malformed);
    }
    let mut out = String::with_capacity(content.len() + 512);
    message.write_with(&mut out, "content", &content);
    Ok(out)
}

/// A content block that grows.
struct Block<'a> {
    members: Merged<'a>,
    /// The pieces of a tool's input, which is JSON in JSON strings.
    input: Vec<&'a str>,
}

impl<'a> Block<'a> {
    fn start(block: &Object<'a>) -> Result<Self, Obstacle> {
        let mut members = Merged::new(&BLOCK);
        members.add(block)?;
        Ok(Self { members, input: Vec::new() })
    }

    fn delta(&mut self, delta: &Object<'a>) -> Result<(), Obstacle> {
        let kind = delta.text("type").ok_or(Obstacle::Malformed)?;
        let value = |key: &str| delta.some(key).ok_or(Obstacle::Malformed);
        match kind {
            "text_delta" => self.members.member("text", value("text")?),
            "thinking_delta" => self.members.member("thinking", value("thinking")?),
            "signature_delta" => self.members.member("signature", value("signature")?),
            "citations_delta" => self.members.push("citations", value("citation")?),
            "input_json_delta" => {
                self.input.push(inner(value("partial_json")?).ok_or(Obstacle::Malformed)?);
                Ok(())
            }
            _ => Err(Obstacle::Unknown),
        }
    }

    fn write(&self) -> Result<String, Obstacle> {
        let mut out = String::new();
        let input = self.input.concat();
        if input.is_empty() {
            self.members.write(&mut out);
            return Ok(out);
        }
        let input: String =
            serde_json::from_str(&quoted(&input)).map_err(|_| Obstacle::Malformed)?;
        if !is_object(&input) {
            return Err(Obstacle::Malformed);
        }
        self.members.write_with(&mut out, "input", input.trim());
        Ok(out)
    }
}

/// The stream that adds up to this message.
pub(super) fn to_stream(body: &str) -> Result<String, Obstacle> {
    let message = Object::parse(body)?;
    if message.text("type") != Some("message") {
        return Err(Obstacle::Malformed);
    }
    let stop = message.some("stop_reason").ok_or(Obstacle::Unfinished)?;
    let blocks = items(message.get("content").ok_or(Obstacle::Malformed)?)?;
    let usage = message.some("usage").map(Object::parse).transpose()?;

    let mut stream = Stream { out: String::with_capacity(body.len() * 2) };
    stream.event("message_start", |event| {
        event.object("message", |start| {
            for (key, value) in message.iter() {
                match (key, &usage) {
                    ("content", _) => start.raw(key, "[]"),
                    ("stop_reason" | "stop_sequence", _) => start.raw(key, "null"),
                    ("usage", Some(usage)) => start.object(key, |start| begun(usage, start)),
                    _ => start.raw(key, value),
                }
            }
        });
    })?;
    for (index, block) in blocks.into_iter().enumerate() {
        stream.block(index, &Object::parse(block)?)?;
    }
    stream.event("message_delta", |event| {
        event.object("delta", |delta| {
            delta.raw("stop_reason", stop);
            delta.maybe("stop_sequence", message.get("stop_sequence"));
        });
        if let Some(usage) = &usage {
            event.object("usage", |end| {
                let told = usage.iter().filter(|(key, _)| CUMULATIVE.contains(key));
                told.for_each(|(key, value)| end.raw(key, value));
            });
        }
    })?;
    stream.event("message_stop", |_| {})?;
    Ok(stream.out)
}

/// The usage at the beginning of a stream, where the output is not known.
fn begun(usage: &Object<'_>, start: &mut Members<'_>) {
    for (key, value) in usage.iter() {
        start.raw(key, if key == "output_tokens" { "1" } else { value });
    }
}

struct Stream {
    out: String,
}

impl Stream {
    fn event(
        &mut self,
        name: &str,
        members: impl FnOnce(&mut Members<'_>),
    ) -> Result<(), Obstacle> {
        self.out.push_str("event: ");
        self.out.push_str(name);
        self.out.push_str("\ndata: ");
        object(&mut self.out, |event| {
            event.text("type", name);
            members(event);
        });
        self.out.push_str("\n\n");
        if self.out.len() > MAX_BYTES { Err(Obstacle::TooLarge) } else { Ok(()) }
    }

    fn block(&mut self, index: usize, block: &Object<'_>) -> Result<(), Obstacle> {
        let kind = block.text("type").ok_or(Obstacle::Malformed)?;
        // What comes in deltas: the member, and what it is at the start.
        let grows: &[(&str, &str)] = match kind {
            "text" => &[("text", "\"\""), ("citations", "[]")],
            "thinking" => &[("thinking", "\"\""), ("signature", "\"\"")],
            "tool_use" | "server_tool_use" | "mcp_tool_use" => &[("input", "{}")],
            "redacted_thinking" => &[],
            _ if kind.ends_with("_tool_result") => &[],
            _ => return Err(Obstacle::Unknown),
        };
        let start =
            |key: &str| grows.iter().find(|(name, _)| *name == key).map(|(_, start)| *start);
        self.event("content_block_start", |event| {
            event.number("index", index);
            event.object("content_block", |members| {
                for (key, value) in block.iter() {
                    let start = start(key).filter(|_| value != "null");
                    members.raw(key, start.unwrap_or(value));
                }
            });
        })?;
        if index == 0 {
            self.event("ping", |_| {})?;
        }
        for (key, _) in grows {
            let Some(value) = block.some(key) else { continue };
            self.grow(index, key, value)?;
        }
        self.event("content_block_stop", |event| event.number("index", index))
    }

    /// The deltas of one member.
    fn grow(&mut self, index: usize, key: &str, value: &str) -> Result<(), Obstacle> {
        match key {
            "citations" => items(value)?
                .into_iter()
                .try_for_each(|one| self.delta(index, "citations_delta", "citation", one)),
            "input" => {
                if !is_object(value) {
                    return Err(Obstacle::Malformed);
                }
                // No input is told by the start alone.
                if value == "{}" {
                    return self.delta(index, "input_json_delta", "partial_json", "\"\"");
                }
                let json = json_string(value);
                let json = std::str::from_utf8(&json).map_err(|_| Obstacle::Malformed)?;
                let json = inner(json).ok_or(Obstacle::Malformed)?;
                pieces(json).try_for_each(|piece| {
                    self.delta(index, "input_json_delta", "partial_json", &quoted(piece))
                })
            }
            "signature" => self.delta(index, "signature_delta", key, value),
            _ => {
                let kind = if key == "text" { "text_delta" } else { "thinking_delta" };
                let text = inner(value).ok_or(Obstacle::Malformed)?;
                pieces(text).try_for_each(|piece| self.delta(index, kind, key, &quoted(piece)))
            }
        }
    }

    fn delta(&mut self, index: usize, kind: &str, key: &str, value: &str) -> Result<(), Obstacle> {
        self.event("content_block_delta", |event| {
            event.number("index", index);
            event.object("delta", |delta| {
                delta.text("type", kind);
                delta.raw(key, value);
            });
        })
    }
}

/// Whatever its keys look like: a tool's input is the model's.
fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok()
}

/// What the end of a stream tells of the usage: it counts from the beginning.
const CUMULATIVE: [&str; 6] = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
];

const MESSAGE: Schema = Schema {
    members: &[
        ("content", Rule::Append),
        ("usage", Rule::Nested(&USAGE)),
        ("stop_reason", Rule::Last),
        ("stop_sequence", Rule::Last),
    ],
    others: Rule::Same,
};
const USAGE: Schema = Schema { members: &[], others: Rule::Last };
const BLOCK: Schema = Schema {
    members: &[
        ("text", Rule::Concat),
        ("thinking", Rule::Concat),
        ("signature", Rule::Concat),
        ("citations", Rule::Append),
    ],
    others: Rule::Same,
};
