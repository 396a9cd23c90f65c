//! One JSON line per request, answer or error; never a body, never a credential.
//!
//! The lines go to Envoy's own log. What they say about a caller is what the access log could say
//! too: ids, configured names, the model that was asked for, counts and times.

use std::fmt::{self, Write};

use log::Level;

use crate::host::{Clock, Logger, Rfc3339, Timestamp};
use crate::protocol::edit::json_string;
use crate::protocol::text;

/// A request that is sent to a provider.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub request_id: &'a str,
    pub operation: &'static str,
    pub model: &'a str,
    pub provider: &'a str,
    pub upstream_model: &'a str,
    pub consumer: Option<&'a str>,
    pub stream: bool,
    pub bytes: usize,
}

/// A request's end.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub request_id: &'a str,
    pub operation: &'static str,
    /// `None` where the request was refused before it was known.
    pub model: Option<&'a str>,
    pub provider: Option<&'a str>,
    /// 0 where the caller left before an answer.
    pub status: u16,
    pub attempts: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub duration_us: u64,
}

/// What went wrong, by its kind and never by its message: a provider's message may quote the prompt.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    pub request_id: &'a str,
    pub operation: &'static str,
    pub provider: Option<&'a str>,
    pub status: u16,
    pub kind: &'static str,
    /// The narrower code that the caller got.
    pub code: &'a str,
    pub param: Option<&'a str>,
}

pub fn log_request(host: &(impl Logger + Clock), request: &Request<'_>) {
    Line::new(host.now(), "request", request.request_id)
        .text("operation", request.operation)
        .text("model", request.model)
        .text("provider", request.provider)
        .text("upstream_model", request.upstream_model)
        .maybe("consumer", request.consumer)
        .raw("stream", request.stream)
        .raw("bytes", request.bytes)
        .write(host, Level::Info);
}

pub fn log_response(host: &(impl Logger + Clock), response: &Response<'_>) {
    Line::new(host.now(), "response", response.request_id)
        .text("operation", response.operation)
        .maybe("model", response.model)
        .maybe("provider", response.provider)
        .raw("status", response.status)
        .raw("attempts", response.attempts)
        .raw("input_tokens", response.input_tokens)
        .raw("output_tokens", response.output_tokens)
        .raw("duration_us", response.duration_us)
        .write(host, Level::Info);
}

pub fn log_error(host: &(impl Logger + Clock), failure: &Failure<'_>) {
    Line::new(host.now(), "error", failure.request_id)
        .text("operation", failure.operation)
        .maybe("provider", failure.provider)
        .raw("status", failure.status)
        .text("kind", failure.kind)
        .text("code", failure.code)
        .maybe("param", failure.param)
        .write(host, Level::Warn);
}

/// A JSON object under construction.
struct Line(String);

impl Line {
    fn new(now: Timestamp, event: &str, request_id: &str) -> Self {
        let mut line = String::with_capacity(256);
        // Writing to a `String` does not fail.
        let _ = write!(line, "{{\"time\":\"{}\"", Rfc3339(now));
        Self(line).text("event", event).text("request_id", request_id)
    }

    fn text(self, name: &str, value: &str) -> Self {
        let quoted = json_string(value);
        match std::str::from_utf8(&quoted) {
            Ok(quoted) if quoted.is_ascii() && !quoted.contains('\u{7f}') => self.raw(name, quoted),
            Ok(quoted) => self.raw(name, text::shown(quoted)),
            Err(_) => self.raw(name, "null"),
        }
    }

    fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    fn raw(mut self, name: &str, value: impl fmt::Display) -> Self {
        let _ = write!(self.0, ",\"{name}\":{value}");
        self
    }

    fn write(mut self, host: &impl Logger, level: Level) {
        self.0.push('}');
        host.log(level, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn a_line_is_one_json_object_whatever_a_caller_writes() {
        let host = Fake::new();
        host.set_time(Timestamp(0));
        host.advance(Duration::from_millis(1));
        let request = Request {
            request_id: "r\"1",
            operation: "chat",
            model: "a\"b\\\u{7f}é\u{2028}\u{202e}\u{feff}",
            provider: "local",
            upstream_model: "m",
            consumer: None,
            stream: true,
            bytes: 7,
        };
        log_request(&host, &request);
        let lines = host.log_lines();
        let (level, line) = &lines[0];
        assert_eq!((lines.len(), *level), (1, Level::Info));
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"time": "1970-01-01T00:00:00.001Z", "event": "request",
                "request_id": "r\"1", "operation": "chat", "model": "a\"b\\\u{7f}é\u{2028}\u{202e}\u{feff}",
                "provider": "local", "upstream_model": "m", "stream": true, "bytes": 7})
        );
        assert!(line.chars().all(text::is_shown), "{line}");
    }
}
