//! Gemini's answers: the events of a stream are answers too, each with more of the parts.

use std::collections::BTreeMap;

use super::json::{Members, Object, inner, items, object, pieces, quoted};
use super::merge::{Merged, Node, Rule, Schema};
use super::{MAX_BYTES, Obstacle, events};

/// The answer that a stream adds up to.
pub(super) fn to_json(body: &str) -> Result<String, Obstacle> {
    let mut answer = Merged::new(&ANSWER);
    let mut candidates: BTreeMap<usize, Merged<'_>> = BTreeMap::new();
    for event in events(body) {
        let (_, data) = event?;
        for (key, value) in Object::parse(data)?.iter() {
            if key != "candidates" {
                answer.member(key, value)?;
                continue;
            }
            for candidate in items(value)? {
                let candidate = Object::parse(candidate)?;
                let index = candidate.get("index").map_or(Ok(0), str::parse);
                let index = index.map_err(|_| Obstacle::Malformed)?;
                let known = candidates.entry(index).or_insert_with(|| Merged::new(&CANDIDATE));
                known.add(&candidate)?;
            }
        }
    }
    let ended = |candidate: &Merged<'_>| candidate.has("finishReason");
    if !answer.has("promptFeedback") && (candidates.is_empty() || !candidates.values().all(ended)) {
        return Err(Obstacle::Unfinished);
    }
    let candidates: Vec<_> = candidates.values().map(whole).collect::<Result<_, _>>()?;
    let mut out = String::with_capacity(body.len() / 4);
    object(&mut out, |members| {
        if !candidates.is_empty() {
            members.array("candidates", candidates.iter().map(String::as_str));
        }
        for (key, value) in answer.iter() {
            value.write(members.key(key));
        }
    });
    Ok(out)
}

/// A candidate with its texts put together.
fn whole(candidate: &Merged<'_>) -> Result<String, Obstacle> {
    let mut out = String::new();
    let Some(Node::Nested(content)) = candidate.get("content") else {
        candidate.write(&mut out);
        return Ok(out);
    };
    let Some(Node::Items(parts)) = content.get("parts") else {
        candidate.write(&mut out);
        return Ok(out);
    };
    let mut joined: Vec<(Option<&str>, String)> = Vec::new();
    for part in parts {
        let part = Object::parse(part)?;
        match (plain_text(&part), joined.last_mut()) {
            (Some((thought, text)), Some((known, last))) if *known == Some(thought) => {
                last.push_str(text);
            }
            (Some((thought, text)), _) => joined.push((Some(thought), text.to_owned())),
            (None, _) => {
                let mut whole = String::new();
                object(&mut whole, |members| {
                    part.iter().for_each(|(key, value)| members.raw(key, value));
                });
                joined.push((None, whole));
            }
        }
    }
    let written = joined.iter().map(|(thought, text)| match thought {
        Some("") => format!("{{\"text\":{}}}", quoted(text)),
        Some(thought) => format!("{{\"text\":{},\"thought\":{thought}}}", quoted(text)),
        None => text.clone(),
    });
    let parts = format!("[{}]", written.collect::<Vec<_>>().join(","));
    let mut with = String::new();
    content.write_with(&mut with, "parts", &parts);
    candidate.write_with(&mut out, "content", &with);
    Ok(out)
}

/// A part that is text and nothing else: `thought` as it is written, and what is said.
fn plain_text<'a>(part: &Object<'a>) -> Option<(&'a str, &'a str)> {
    let plain = part.iter().all(|(key, _)| matches!(key, "text" | "thought"));
    let text = part.text("text").filter(|_| plain)?;
    Some((part.get("thought").unwrap_or_default(), text))
}

/// The stream that adds up to this answer.
pub(super) fn to_stream(body: &str) -> Result<String, Obstacle> {
    let answer = Object::parse(body)?;
    if answer.some("error").is_some() {
        return Err(Obstacle::Unfinished);
    }
    let candidates = answer.get("candidates").map_or(Ok(Vec::new()), items)?;
    let candidates: Vec<_> = candidates.into_iter().map(Object::parse).collect::<Result<_, _>>()?;
    let ended = |candidate: &Object<'_>| candidate.some("finishReason").is_some();
    if !candidates.iter().all(ended)
        || (candidates.is_empty() && answer.some("promptFeedback").is_none())
    {
        return Err(Obstacle::Unfinished);
    }
    let mut stream = Stream { answer: &answer, out: String::new() };
    for candidate in &candidates {
        stream.candidate(candidate)?;
    }
    stream.event(|event| {
        if !candidates.is_empty() {
            let last: Vec<_> = candidates.iter().map(last).collect();
            event.array("candidates", last.iter().map(String::as_str));
        }
        for (key, value) in answer.iter().filter(|(key, _)| *key != "candidates" && !told(key)) {
            event.raw(key, value);
        }
    })?;
    Ok(stream.out)
}

/// What a candidate says beside its content.
fn last(candidate: &Object<'_>) -> String {
    let mut out = String::new();
    object(&mut out, |members| {
        for (key, value) in candidate.iter().filter(|(key, _)| *key != "content") {
            members.raw(key, value);
        }
    });
    out
}

/// Members that every event tells.
fn told(key: &str) -> bool {
    matches!(key, "modelVersion" | "responseId")
}

struct Stream<'a> {
    answer: &'a Object<'a>,
    out: String,
}

impl Stream<'_> {
    fn candidate(&mut self, candidate: &Object<'_>) -> Result<(), Obstacle> {
        let Some(content) = candidate.some("content") else { return Ok(()) };
        let content = Object::parse(content)?;
        let parts = content.some("parts").map_or(Ok(Vec::new()), items)?;
        if parts.is_empty() {
            return self.part(candidate, &content, |_| {});
        }
        for part in parts {
            let read = Object::parse(part)?;
            let Some((thought, text)) = plain_text(&read) else {
                self.part(candidate, &content, |parts| parts.push_str(part))?;
                continue;
            };
            if inner(read.get("text").unwrap_or_default()).is_some_and(str::is_empty) {
                self.part(candidate, &content, |parts| parts.push_str(part))?;
            }
            for piece in pieces(text) {
                self.part(candidate, &content, |parts| {
                    object(parts, |part| {
                        part.text("text", piece);
                        part.maybe("thought", Some(thought).filter(|thought| !thought.is_empty()));
                    });
                })?;
            }
        }
        Ok(())
    }

    /// An event with one part of a candidate.
    fn part(
        &mut self,
        candidate: &Object<'_>,
        content: &Object<'_>,
        write: impl FnOnce(&mut String),
    ) -> Result<(), Obstacle> {
        self.event(|event| {
            let out = event.key("candidates");
            out.push('[');
            object(out, |members| {
                members.object("content", |members| {
                    for (key, value) in content.iter().filter(|(key, _)| *key != "parts") {
                        members.raw(key, value);
                    }
                    if content.get("parts").is_some() {
                        let parts = members.key("parts");
                        parts.push('[');
                        write(parts);
                        parts.push(']');
                    }
                });
                members.maybe("index", candidate.get("index"));
            });
            out.push(']');
        })
    }

    fn event(&mut self, write: impl FnOnce(&mut Members<'_>)) -> Result<(), Obstacle> {
        let Self { answer, out } = self;
        out.push_str("data: ");
        object(out, |event| {
            write(event);
            answer.iter().filter(|(key, _)| told(key)).for_each(|(key, value)| {
                event.raw(key, value);
            });
        });
        out.push_str("\n\n");
        if out.len() > MAX_BYTES { Err(Obstacle::TooLarge) } else { Ok(()) }
    }
}

const ANSWER: Schema = Schema {
    members: &[
        ("usageMetadata", Rule::Last),
        ("modelVersion", Rule::Same),
        ("responseId", Rule::Same),
        ("createTime", Rule::First),
        ("promptFeedback", Rule::Last),
        ("error", Rule::Refuse(Obstacle::Unfinished)),
    ],
    others: Rule::Once,
};
const CANDIDATE: Schema = Schema {
    members: &[
        ("content", Rule::Nested(&CONTENT)),
        ("index", Rule::Same),
        ("finishReason", Rule::Last),
        ("finishMessage", Rule::Last),
        ("safetyRatings", Rule::Last),
        ("tokenCount", Rule::Last),
        ("avgLogprobs", Rule::Last),
    ],
    others: Rule::Once,
};
const CONTENT: Schema =
    Schema { members: &[("role", Rule::Same), ("parts", Rule::Append)], others: Rule::Once };
