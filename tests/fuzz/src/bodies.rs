//! Request bodies: what is read of them, and what edits make of them.

use llm_gateway::protocol::edit::{Edits, Span};
use llm_gateway::protocol::probe::{MAX_MODEL_BYTES, Probe, Source};
use llm_gateway::protocol::{Dialect, Operation, Path};
use serde_json::{Value, json};

use super::{choose, operation};

/// What the gateway accepts is JSON to every other reader, and says the same to it.
pub(crate) fn probe(data: &[u8]) {
    let Some((operation, body)) = operation(data) else { return };
    if operation.dialect() == Dialect::Gemini {
        return named_in_path(operation, body);
    }
    let Ok(probe) = Probe::read(body, operation) else { return };
    assert!(probe.choices > 0);
    assert!(probe.media.bytes <= body.len());
    if let Some(model) = &probe.model {
        assert!((1..=MAX_MODEL_BYTES).contains(&model.name.len()));
        assert!(!model.name.chars().any(char::is_control));
        let spelled: String = serde_json::from_slice(part(body, model.span)).expect("a string");
        assert_eq!(spelled, model.name);
    }
    let Some(value) = parse(body) else { return };
    assert_eq!(value["model"].as_str(), probe.model.as_ref().map(|model| &*model.name));
    if let Some(stream) = value["stream"].as_bool() {
        // Operations without streams have no say in what `stream` means.
        assert!(probe.stream == stream || !probe.stream);
    }
    let include_usage = value["stream_options"]["include_usage"].as_bool();
    if matches!(operation, Operation::Chat | Operation::Completion) {
        assert_eq!(probe.asked_for_usage(), include_usage == Some(true));
    }
}

/// A body can name no other model than the path does.
fn named_in_path(operation: Operation, body: &[u8]) {
    let source = named_by(b"/v1beta/models/m:generateContent");
    let Ok(probe) = source.read(body, operation) else { return };
    assert!(probe.choices > 0 && probe.media.bytes <= body.len());
    for place in &probe.places {
        let spelled: String = serde_json::from_slice(part(body, *place)).expect("a string");
        assert_eq!(spelled.strip_prefix("models/").unwrap_or(&spelled), "m");
    }
    let mut edits = Edits::default();
    edits.set_model(&probe, "n:1");
    let edited = edits.apply(body);
    let source = named_by(b"/v1beta/models/n%3A1:generateContent");
    let again = source.read(&edited, operation).expect("still a request");
    assert_eq!(again.places.len(), probe.places.len());
}

fn named_by(path: &[u8]) -> Source {
    Source::of(&Path::read(path), std::iter::empty())
}

/// An edit changes what it is for and nothing else.
pub(crate) fn edits(data: &[u8]) {
    const MODELS: [&str; 4] = ["m", "a \"quoted\" one", "back\\slash", "prüfung/世界"];
    let Some((name, data)) = choose(data, &MODELS) else { return };
    let Some((operation, body)) = choose(data, &[Operation::Chat, Operation::Completion]) else {
        return;
    };
    let Ok(probe) = Probe::read(body, operation) else { return };
    let mut edits = Edits::default();
    edits.set_model(&probe, name);
    edits.ask_for_usage(&probe);
    let edited = edits.apply(body);
    assert_eq!(edited.len(), edits.length(body.len()));
    let mut spliced = body.to_vec();
    for edit in edits.splices() {
        spliced.splice(edit.span.start..edit.span.end, edit.with.iter().copied());
    }
    assert_eq!(spliced, edited);

    let again = Probe::read(&edited, operation).expect("still a request");
    assert_eq!(again.model.as_ref().map(|model| &*model.name), Some(name));
    assert!(again.asked_for_usage());
    assert_eq!((again.stream, again.max_output_tokens), (probe.stream, probe.max_output_tokens));
    assert_eq!((again.needs, again.choices), (probe.needs, probe.choices));
    if let Some(mut expected) = parse(body) {
        expected["model"] = json!(name);
        if !expected["stream_options"].is_object() {
            expected["stream_options"] = json!({});
        }
        expected["stream_options"]["include_usage"] = json!(true);
        assert_eq!(parse(&edited), Some(expected));
    }
}

/// The model of a form is what stands there, and can be replaced.
pub(crate) fn multipart(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let boundary_length = (usize::from(length) % 70 + 1).min(rest.len());
    let (boundary, body) = rest.split_at(boundary_length);
    let Ok(probe) = Probe::read_form(body, boundary) else { return };
    let Some(model) = &probe.model else { return };
    assert_eq!(part(body, model.span), model.name.as_bytes());
    let mut edits = Edits::default();
    edits.set_model(&probe, "another-model");
    let edited = edits.apply(body);
    // Unless the new name makes the boundary appear where none was.
    if let Ok(again) = Probe::read_form(&edited, boundary) {
        assert_eq!(again.model.as_ref().map(|model| &*model.name), Some("another-model"));
    }
}

/// As `serde_json` reads it. `None` for what it refuses and JSON allows: numbers beyond a double,
/// and half of a surrogate pair, which JavaScript clients send.
fn parse(body: &[u8]) -> Option<Value> {
    match serde_json::from_slice(body) {
        Ok(value) => Some(value),
        Err(error) => {
            let error = error.to_string();
            let allowed = ["number out of range", "surrogate", "unexpected end of hex escape"];
            assert!(allowed.iter().any(|why| error.contains(why)), "{error}");
            None
        }
    }
}

fn part(body: &[u8], span: Span) -> &[u8] {
    &body[span.start..span.end]
}
