//! Ollama's chat and generate: lines of JSON, the last of which has the totals.

use super::json::{Members, Object, inner, is_null, items, object, pieces};
use super::merge::{Merged, Rule, Schema};
use super::said::paired;
use super::{MAX_BYTES, Obstacle, lines};
use crate::protocol::Operation;

/// The JSON that the lines add up to.
pub(super) fn to_json(body: &str) -> Result<String, Obstacle> {
    let mut answer = Merged::new(&LINE);
    let mut done = false;
    for line in lines(body) {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        if done {
            return Err(Obstacle::Malformed);
        }
        let line = Object::parse(line)?;
        answer.add(&line)?;
        done = line.get("done") == Some("true");
    }
    if !done {
        return Err(Obstacle::Unfinished);
    }
    let mut out = String::with_capacity(body.len() / 4);
    answer.write(&mut out);
    Ok(out)
}

/// The lines that add up to this JSON.
pub(super) fn to_stream(operation: Operation, body: &str) -> Result<String, Obstacle> {
    let answer = Object::parse(body)?;
    if answer.get("done") != Some("true") || answer.some("error").is_some() {
        return Err(Obstacle::Unfinished);
    }
    let chat = operation == Operation::OllamaChat;
    let said = match answer.get("message") {
        Some(message) if chat => Object::parse(message)?,
        None if !chat => answer.clone(),
        _ => return Err(Obstacle::Malformed),
    };
    let key = if chat { "content" } else { "response" };
    let text = said.text(key).ok_or(Obstacle::Malformed)?;
    let mut stream = Stream { answer: &answer, said: &said, chat, out: String::new() };
    let thinking = said.some("thinking").map(|value| inner(value).ok_or(Obstacle::Malformed));
    for piece in pieces(thinking.transpose()?.unwrap_or_default()) {
        stream.line(
            |said| {
                said.raw(key, "\"\"");
                said.text("thinking", piece);
            },
            &[],
        )?;
    }
    let entries = answer.some("logprobs").map_or(Ok(Vec::new()), items)?;
    for (piece, range) in paired(text, &entries) {
        let entries = entries.get(range).unwrap_or_default();
        stream.line(|said| said.text(key, piece), entries)?;
    }
    // What else the message says is said at once.
    let other = |key: &&str| !matches!(*key, "role" | "content" | "thinking");
    let others: Vec<_> = said.iter().filter(|(key, value)| other(key) && !is_null(value)).collect();
    if chat && !others.is_empty() {
        stream.line(
            |said| {
                said.raw(key, "\"\"");
                others.iter().for_each(|(key, value)| said.raw(key, value));
            },
            &[],
        )?;
    }
    stream.last(key);
    Ok(stream.out)
}

struct Stream<'a> {
    answer: &'a Object<'a>,
    said: &'a Object<'a>,
    chat: bool,
    out: String,
}

impl Stream<'_> {
    /// A line before the last.
    fn line(
        &mut self,
        write: impl FnOnce(&mut Members<'_>),
        logprobs: &[&str],
    ) -> Result<(), Obstacle> {
        let Self { answer, said, chat, out } = self;
        object(out, |line| {
            line.maybe("model", answer.get("model"));
            line.maybe("created_at", answer.get("created_at"));
            if *chat {
                line.object("message", |message| {
                    message.maybe("role", said.get("role"));
                    write(message);
                });
            } else {
                write(line);
            }
            line.raw("done", "false");
            if !logprobs.is_empty() {
                line.array("logprobs", logprobs.iter().copied());
            }
        });
        out.push('\n');
        if out.len() > MAX_BYTES { Err(Obstacle::TooLarge) } else { Ok(()) }
    }

    fn last(&mut self, key: &str) {
        let Self { answer, said, chat, out } = self;
        object(out, |line| {
            for (name, value) in answer.iter() {
                match name {
                    "message" if *chat => line.object(name, |message| {
                        message.maybe("role", said.get("role"));
                        message.raw(key, "\"\"");
                    }),
                    "thinking" | "logprobs" => {}
                    _ if name == key => line.raw(name, "\"\""),
                    _ => line.raw(name, value),
                }
            }
        });
        out.push('\n');
    }
}

const LINE: Schema = Schema {
    members: &[
        ("model", Rule::Same),
        ("created_at", Rule::Last),
        ("done", Rule::Last),
        ("message", Rule::Nested(&MESSAGE)),
        ("response", Rule::Concat),
        ("thinking", Rule::Concat),
        ("logprobs", Rule::Append),
        ("error", Rule::Refuse(Obstacle::Unfinished)),
    ],
    others: Rule::Once,
};
const MESSAGE: Schema = Schema {
    members: &[
        ("role", Rule::Same),
        ("content", Rule::Concat),
        ("thinking", Rule::Concat),
        ("tool_calls", Rule::Append),
    ],
    others: Rule::Once,
};
