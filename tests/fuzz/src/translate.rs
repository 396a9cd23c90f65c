//! Calls from one protocol to another: what comes out is of the client's protocol, bounded, and the
//! same wherever the input is cut.
//!
//! The first line chooses: `<route> <request|response|error|stream|messages> <cut>`, as in
//! `openai_to_gemini stream 3`; `messages` are lines that AWS would frame. Other words for the first
//! and the last choose by chance.

use std::collections::HashSet;

use llm_gateway::attempt::way::Way;
use llm_gateway::config::Api;
use llm_gateway::error::{Error, Kind};
use llm_gateway::protocol::{Operation, sse};
use llm_gateway::translate::{Call, Context, Pair, Route};
use serde_json::Value;

use super::pieces;

pub(crate) fn translate(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (line, body) = (&data[..end], &data[end + 1..]);
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [route, what, cut] = words[..] else { return };
    let routes = routes();
    let named = routes.iter().find(|one| name(**one).as_bytes() == route);
    let route = *named.unwrap_or(&routes[sum(route) % routes.len()]);
    let cut = sum(cut) as u8;
    match what {
        b"request" => request(route, body),
        b"response" => response(route, body),
        b"error" => error(route, body, cut),
        b"stream" => stream(route, body, cut),
        // Checksums that a mutation would not find.
        b"messages" => stream(route, &framed(body), cut),
        _ => {}
    }
}

fn request(route: Route, body: &[u8]) {
    match Call::new(route, context()).request(body) {
        Ok(translated) => {
            bounded(translated.body.len(), body);
            json(&translated.body);
            assert!(translated.path.starts_with('/'), "{}", translated.path);
            assert!(translated.path.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(translated.warnings.len() <= 16);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.[]".contains(&byte);
            for told in &translated.warnings {
                // `tools[1].type (web_search)`
                let kind = told.strip_suffix(')').and_then(|told| told.split_once(" ("));
                let (field, kind) = kind.unwrap_or((told, "_"));
                assert!(kind.bytes().all(|byte| plain(byte) || byte == b'-'), "{told}");
                assert!(!field.is_empty() && field.bytes().all(plain), "{field}");
            }
        }
        Err(error) => {
            told(&error);
            let known = [Kind::InvalidRequest, Kind::UnsupportedCapability];
            assert!(known.contains(&error.kind), "{error:?}");
            let nameless = matches!(error.code, Some("invalid_json" | "invalid_type"));
            assert!(error.param.is_some() || nameless, "{error:?}");
        }
    }
}

fn response(route: Route, body: &[u8]) {
    let answer = asked(route, false).answer(200, b"application/json");
    assert!(!answer.is_stream());
    match answer.whole(body) {
        Ok(out) => {
            bounded(out.len(), body);
            json(&out);
        }
        Err(error) => told(&error),
    }
}

fn error(route: Route, body: &[u8], status: u8) {
    let refused = 300 + u16::from(status) * 2 % 300;
    let answer = asked(route, status.is_multiple_of(2)).answer(refused, b"application/json");
    told(&answer.whole(body).expect_err("no success"));
}

fn stream(route: Route, body: &[u8], cut: u8) {
    let mut ndjson = false;
    let mut streamed = |cut: &mut dyn Iterator<Item = &[u8]>| {
        let mut answer = asked(route, true).answer(200, b"");
        ndjson = answer.content_type() != "text/event-stream";
        let is_stream = answer.is_stream();
        let mut out = Vec::new();
        cut.for_each(|piece| answer.chunk(piece, &mut out));
        answer.end(&mut out);
        (is_stream, out)
    };
    let whole = streamed(&mut std::iter::once(body));
    assert_eq!(whole, streamed(&mut pieces(body, cut)));
    let (is_stream, out) = whole;
    if !is_stream {
        return;
    }
    bounded(out.len(), body);
    let text = std::str::from_utf8(&out).expect("text");
    let frames = text.split_terminator(if ndjson { "\n" } else { "\n\n" });
    assert!(text.is_empty() || text.ends_with('\n'), "a frame without an end");
    let mut failed = false;
    for frame in frames {
        assert!(!failed, "something follows an error: {text}");
        let data = if ndjson {
            frame.as_bytes().to_vec()
        } else {
            sse::event(frame.as_bytes()).expect("an event").data.into_owned()
        };
        if data != b"[DONE]" {
            failed = json(&data).is_some_and(|event| is_error(&event));
        }
    }
}

/// A message of AWS's for each line: the name of the event, a space, its payload.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()).min(255);
        let (name, payload) = (&line[..end], &line[line.len().min(end + 1)..]);
        let kind = if name.ends_with(b"xception") { "exception" } else { "event" };
        let mut headers = Vec::new();
        for (key, value) in [(":message-type", kind.as_bytes()), (&*format!(":{kind}-type"), name)]
        {
            headers.push(key.len() as u8);
            headers.extend(key.bytes().chain([7, 0, value.len() as u8]));
            headers.extend(value);
        }
        let mut frame = Vec::new();
        for length in [12 + headers.len() + payload.len() + 4, headers.len()] {
            frame.extend((length as u32).to_be_bytes());
        }
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend(headers.iter().chain(payload));
        frame.extend(crc32(&frame).to_be_bytes());
        all.extend(frame);
    }
    all
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

fn is_error(event: &Value) -> bool {
    event.get("error").is_some_and(|error| !error.is_null()) && event.get("choices").is_none()
}

/// A refusal that can be shown.
fn told(error: &Error) {
    assert!(error.kind.row().status >= 400);
    assert!(!error.message.is_empty());
    assert!(error.message.len() <= MAX_TOLD, "{} bytes", error.message.len());
    assert!(error.param.as_ref().is_none_or(|param| param.len() <= MAX_TOLD));
}

/// Of a few bytes no more than their number of times as many.
fn bounded(out: usize, body: &[u8]) {
    assert!(out <= body.len() * 128 + (64 << 10), "{out} bytes of {}", body.len());
}

/// `None` for what `serde_json` refuses and JSON allows.
fn json(text: &[u8]) -> Option<Value> {
    match serde_json::from_slice(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let told = error.to_string();
            let allowed = ["number out of range", "surrogate", "unexpected end of hex escape"];
            let text = String::from_utf8_lossy(text);
            assert!(allowed.iter().any(|why| told.contains(why)), "{told}: {text}");
            None
        }
    }
}

/// A call whose request has been read.
fn asked(route: Route, stream: bool) -> Call {
    let mut context = context();
    context.stream = stream;
    let mut call = Call::new(route, context);
    let client = name(route);
    let thinking = r#""thinking":{"type":"adaptive"},"#;
    let thinking = if client.starts_with("anthropic") { thinking } else { "" };
    let body = format!(
        r#"{{"model":"m","max_tokens":64,{thinking}"stream":{stream},"input":"x","prompt":"x","contents":[{{"role":"user","parts":[{{"text":"x"}}]}}],"messages":[{{"role":"user","content":"x"}}]}}"#
    );
    // A protocol that reads neither answers as if nothing had been asked for.
    let _ = call.request(body.as_bytes());
    call
}

fn context() -> Context {
    let mut context = Context::default();
    // One that each provider's embeddings know, too.
    context.upstream_model = "cohere.embed-v4".into();
    context.model = "asked".into();
    context.request_id = "req-1".into();
    context.default_max_tokens = 4096;
    context
}

/// Those that a configuration can reach, and each pair alone.
fn routes() -> Vec<Route> {
    let ways = Api::NAMES.iter().flat_map(|(_, api)| {
        Operation::ALL.iter().filter_map(|operation| match Way::of(*operation, *api) {
            Way::Translated(route) => Some(route),
            _ => None,
        })
    });
    let mut seen = HashSet::new();
    let pairs = Pair::ALL.iter().map(|pair| Route::from(*pair));
    pairs.chain(ways).filter(|route| seen.insert(*route)).collect()
}

fn name(route: Route) -> String {
    route.pairs().map(Pair::name).collect::<Vec<_>>().join(".")
}

fn sum(word: &[u8]) -> usize {
    word.iter().map(|byte| usize::from(*byte)).sum()
}

const MAX_TOLD: usize = 4_096;
