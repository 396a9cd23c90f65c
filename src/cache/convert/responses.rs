//! OpenAI's responses. The last event of a stream carries the whole answer; a stream made from
//! JSON announces it piece by piece first.

use super::json::{Members, Object, inner, items, object};
use super::said::paired;
use super::{MAX_BYTES, Obstacle, events};

/// The response that the last event carries.
pub(super) fn to_json(body: &str) -> Result<String, Obstacle> {
    for event in events(body) {
        let (name, data) = event?;
        let ends = |name: &str| matches!(name, "response.completed" | "response.incomplete");
        // Most events need no parsing: their names tell that they are not the last.
        if !name.is_empty() && !ends(name) && name != "error" {
            continue;
        }
        let event = Object::parse(data)?;
        match event.text("type") {
            Some(kind) if ends(kind) => {
                let response = event.get("response").ok_or(Obstacle::Malformed)?;
                if Object::parse(response)?.some("usage").is_none() {
                    return Err(Obstacle::NoUsage);
                }
                return Ok(response.to_owned());
            }
            Some("error") => return Err(Obstacle::Unfinished),
            _ => {}
        }
    }
    Err(Obstacle::Unfinished)
}

/// The stream that ends with this response.
pub(super) fn to_stream(body: &str) -> Result<String, Obstacle> {
    let response = Object::parse(body)?;
    let last = match response.text("status") {
        Some("completed") => "response.completed",
        Some("incomplete") => "response.incomplete",
        _ => return Err(Obstacle::Unfinished),
    };
    if response.text("object") != Some("response") || response.some("error").is_some() {
        return Err(Obstacle::Malformed);
    }
    let mut stream = Stream { out: String::with_capacity(body.len() * 3), events: 0 };
    for name in ["response.created", "response.in_progress"] {
        stream.event(name, |event| {
            event.object("response", |begun| {
                for (key, value) in response.iter() {
                    let value = match key {
                        "status" => "\"in_progress\"",
                        "output" => "[]",
                        "usage" | "incomplete_details" | "completed_at" => "null",
                        _ => value,
                    };
                    begun.raw(key, value);
                }
            });
        })?;
    }
    let output = response.get("output").ok_or(Obstacle::Malformed)?;
    for (index, item) in items(output)?.into_iter().enumerate() {
        stream.item(index, item)?;
    }
    stream.event(last, |event| event.raw("response", body.trim()))?;
    Ok(stream.out)
}

struct Stream {
    out: String,
    events: usize,
}

/// Where a text stands: its item, and the part of it.
struct Place<'a> {
    item: &'a str,
    output: usize,
    part: Option<(&'static str, usize)>,
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
        let number = self.events;
        self.events = self.events.saturating_add(1);
        object(&mut self.out, |event| {
            event.text("type", name);
            event.number("sequence_number", number);
            members(event);
        });
        self.out.push_str("\n\n");
        if self.out.len() > MAX_BYTES { Err(Obstacle::TooLarge) } else { Ok(()) }
    }

    /// An event about a place.
    fn about(
        &mut self,
        name: &str,
        place: &Place<'_>,
        members: impl FnOnce(&mut Members<'_>),
    ) -> Result<(), Obstacle> {
        self.event(name, |event| {
            event.raw("item_id", place.item);
            event.number("output_index", place.output);
            if let Some((key, index)) = place.part {
                event.number(key, index);
            }
            members(event);
        })
    }

    fn item(&mut self, output: usize, json: &str) -> Result<(), Obstacle> {
        let item = Object::parse(json)?;
        let kind = item.text("type").ok_or(Obstacle::Malformed)?;
        let (grows, empty) = match kind {
            "message" => ("content", "[]"),
            "reasoning" => ("summary", "[]"),
            "function_call" => ("arguments", "\"\""),
            "custom_tool_call" => ("input", "\"\""),
            _ => return Err(Obstacle::Unknown),
        };
        // Thinking that is told in words, which few models do, comes in parts of its own.
        if kind == "reasoning" && item.some("content").is_some_and(|content| content != "[]") {
            return Err(Obstacle::Unknown);
        }
        self.event("response.output_item.added", |event| {
            event.number("output_index", output);
            event.object("item", |added| {
                for (key, value) in item.iter() {
                    let value = match key {
                        "status" => "\"in_progress\"",
                        _ if key == grows => empty,
                        _ => value,
                    };
                    added.raw(key, value);
                }
            });
        })?;
        let id = item.get("id").ok_or(Obstacle::Malformed)?;
        let value = item.get(grows).ok_or(Obstacle::Malformed)?;
        let whole = Place { item: id, output, part: None };
        match kind {
            "message" => {
                for (at, part) in items(value)?.into_iter().enumerate() {
                    let place = Place { part: Some(("content_index", at)), ..whole };
                    self.content_part(&place, part)?;
                }
            }
            "reasoning" => {
                for (at, part) in items(value)?.into_iter().enumerate() {
                    let place = Place { part: Some(("summary_index", at)), ..whole };
                    self.summary_part(&place, part)?;
                }
            }
            "function_call" => {
                let name = "response.function_call_arguments";
                self.deltas(name, &whole, value, None)?;
                self.about(&format!("{name}.done"), &whole, |event| {
                    event.maybe("name", item.get("name"));
                    event.raw("arguments", value);
                })?;
            }
            _ => {
                let name = "response.custom_tool_call_input";
                self.deltas(name, &whole, value, None)?;
                self.about(&format!("{name}.done"), &whole, |event| event.raw("input", value))?;
            }
        }
        self.event("response.output_item.done", |event| {
            event.number("output_index", output);
            event.raw("item", json);
        })
    }

    fn content_part(&mut self, place: &Place<'_>, json: &str) -> Result<(), Obstacle> {
        let part = Object::parse(json)?;
        let (key, name) = match part.text("type") {
            Some("output_text") => ("text", "response.output_text"),
            Some("refusal") => ("refusal", "response.refusal"),
            _ => return Err(Obstacle::Unknown),
        };
        let text = part.get(key).ok_or(Obstacle::Malformed)?;
        self.about("response.content_part.added", place, |event| {
            event.object("part", |added| {
                for (name, value) in part.iter() {
                    let value = match name {
                        "annotations" | "logprobs" if value != "null" => "[]",
                        _ if name == key => "\"\"",
                        _ => value,
                    };
                    added.raw(name, value);
                }
            });
        })?;
        let logprobs = (key == "text").then(|| part.some("logprobs").unwrap_or("[]"));
        self.deltas(name, place, text, logprobs)?;
        for (at, note) in part.some("annotations").map_or(Ok(Vec::new()), items)?.iter().enumerate()
        {
            self.about("response.output_text.annotation.added", place, |event| {
                event.number("annotation_index", at);
                event.raw("annotation", note);
            })?;
        }
        self.about(&format!("{name}.done"), place, |event| {
            event.raw(key, text);
            event.maybe("logprobs", logprobs);
        })?;
        self.about("response.content_part.done", place, |event| event.raw("part", json))
    }

    fn summary_part(&mut self, place: &Place<'_>, json: &str) -> Result<(), Obstacle> {
        let part = Object::parse(json)?;
        if part.text("type") != Some("summary_text") {
            return Err(Obstacle::Unknown);
        }
        let text = part.get("text").ok_or(Obstacle::Malformed)?;
        self.about("response.reasoning_summary_part.added", place, |event| {
            event.raw("part", "{\"type\":\"summary_text\",\"text\":\"\"}");
        })?;
        let name = "response.reasoning_summary_text";
        self.deltas(name, place, text, None)?;
        self.about(&format!("{name}.done"), place, |event| event.raw("text", text))?;
        self.about("response.reasoning_summary_part.done", place, |event| event.raw("part", json))
    }

    /// A string in pieces, each with its log probabilities where the kind of string has them.
    fn deltas(
        &mut self,
        name: &str,
        place: &Place<'_>,
        text: &str,
        logprobs: Option<&str>,
    ) -> Result<(), Obstacle> {
        let name = format!("{name}.delta");
        let entries = logprobs.map_or(Ok(Vec::new()), items)?;
        for (piece, range) in paired(inner(text).ok_or(Obstacle::Malformed)?, &entries) {
            self.about(&name, place, |event| {
                event.text("delta", piece);
                if logprobs.is_some() {
                    let entries = entries.get(range).unwrap_or_default();
                    event.array("logprobs", entries.iter().copied());
                }
            })?;
        }
        Ok(())
    }
}
