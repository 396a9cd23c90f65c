//! Compares what came with what a step expects, and tells the difference.

use std::collections::BTreeMap;

use llm_gateway::host::fake::{Fake, Metric, SentCall};
use llm_gateway::host::{Flow, MetricKind};
use log::Level;
use serde_json::Value;

use crate::file::{self, Body, Expect, Message};
use crate::stream::{Received, find};
use crate::worker::Worker;

/// Everything that a step expects; the first difference is told.
pub(crate) fn compare(expect: &Expect, worker: &Worker) -> Result<(), String> {
    let Some(stream) = &worker.stream else { return Ok(()) };
    if let Some(sent) = &expect.sent {
        message(sent, &stream.sent, "sent on")?;
    }
    if let Some(got) = &expect.got {
        message(got, &stream.got, "the client got")?;
    }
    if let Some(pieces) = &expect.pieces {
        let expected: Vec<_> = pieces.iter().map(|piece| show(piece.bytes())).collect();
        let pieces: Vec<_> = stream.seen.pieces.iter().map(|piece| show(piece)).collect();
        same("pieces", &pieces, &expected)?;
    }
    if let Some(flows) = &expect.flows {
        let seen: Vec<_> = stream.seen.flows.iter().map(|flow| written(*flow)).collect();
        same("flows", &seen, flows)?;
    }
    for (name, expected) in &expect.state {
        let found = worker.host.filter_state(name).map(|value| show(&value));
        let expected = (!expected.is_null()).then(|| text(expected));
        let as_expected = match (&found, &expected) {
            (Some(found), Some(expected)) => begins(found, expected),
            (None, None) => true,
            _ => false,
        };
        if !as_expected {
            return Err(differ(&format!("filter state {name}"), &found, &expected));
        }
    }
    for (name, expected) in &expect.metrics {
        same(&format!("metric {name}"), &stat(worker, name), expected)?;
    }
    if let Some(expected) = &expect.counters {
        let names = worker.host.metric_names(MetricKind::Counter).into_iter();
        let counters = names.map(|name| (name.clone(), stat(worker, &name)));
        let counters: BTreeMap<_, _> = counters.filter(|(_, count)| *count != 0).collect();
        same("counters", &counters, expected)?;
    }
    if let Some(waits) = &expect.waits {
        same("waits", &stream.waits(), waits)?;
    }
    if let Some(expected) = &expect.requests {
        let sent: Vec<_> = worker.host.sent_calls().iter().map(request).collect();
        let one = |((c, m, p, t), (cluster, method, path, timeout)): (&Asked, &Asked)| {
            c == cluster && m == method && begins(p, path) && t == timeout
        };
        if sent.len() != expected.len() || !sent.iter().zip(expected).all(one) {
            return Err(differ("own requests", &sent, expected));
        }
    }
    logs(expect, worker, stream.seen.first_line)?;
    match expect.calls {
        Some(calls) => same("host calls", &stream.seen.calls, &calls),
        None => Ok(()),
    }
}

type Asked = (String, String, String, u64);

fn request(call: &SentCall) -> Asked {
    let timeout = u64::try_from(call.timeout.as_millis()).unwrap();
    let header = |name: &str| header(call, name);
    (call.cluster.clone(), header(":method"), header(":path"), timeout)
}

/// A header of a request of the filter's own.
pub(crate) fn header(call: &SentCall, name: &str) -> String {
    let found = call.headers.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| show(value)).unwrap_or_default()
}

/// A message, where `what` says whose.
pub(crate) fn message(expect: &Message, found: &Received, what: &str) -> Result<(), String> {
    if expect.nothing {
        return same(what, &found.headers.is_some(), &false);
    }
    let headers = found.headers.clone().unwrap_or_default();
    if let Some(status) = expect.status {
        same(&format!("{what}: status"), &find(&headers, ":status"), &Some(status.to_string()))?;
    }
    if expect.details.is_some() {
        same(&format!("{what}: details"), &found.details, &expect.details)?;
    }
    for (name, expected) in &expect.headers {
        let named = headers.iter().filter(|(n, _)| n == name.as_bytes());
        let values: Vec<_> = named.map(|(_, value)| show(value)).collect();
        let expected = expected.values();
        let as_expected = values.len() == expected.len()
            && values.iter().zip(&expected).all(|(value, expected)| begins(value, expected));
        if !as_expected {
            return Err(differ(&format!("{what}: header {name}"), &values, &expected));
        }
    }
    match &expect.body {
        None => {}
        Some(Body::Text(text)) => {
            same(&format!("{what}: body"), &show(&found.body), text)?;
        }
        Some(Body::Json { value, .. }) => {
            let body: Value = serde_json::from_slice(&found.body)
                .map_err(|why| format!("{what}: {why}: {}", show(&found.body)))?;
            if !matches(&body, value, true) {
                return Err(differ(&format!("{what}: body"), &body, value));
            }
        }
    }
    match expect.ended {
        Some(ended) => same(&format!("{what}: ended"), &found.ended, &ended),
        None => Ok(()),
    }
}

fn logs(expect: &Expect, worker: &Worker, first: usize) -> Result<(), String> {
    let lines = worker.host.log_lines_after(first);
    let (errors, lines): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|(level, _)| *level == Level::Error);
    let errors: Vec<_> = errors.into_iter().map(|(_, line)| line).collect();
    let told = errors.len() == expect.errors.len()
        && errors.iter().zip(&expect.errors).all(|(line, part)| line.contains(part));
    if !told {
        return Err(differ("lines of level error", &errors, &expect.errors));
    }
    let Some(expected) = &expect.logs else { return Ok(()) };
    let lines: Vec<Value> =
        lines.iter().map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
    let all = lines.len() == expected.len()
        && lines.iter().zip(expected).all(|(line, expected)| matches(line, expected, false));
    if all { Ok(()) } else { Err(differ("log lines", &lines, expected)) }
}

/// Whether `found` is as expected, where `"*"` stands for anything and, unless it must be the
/// `whole`, the outermost object may have more members.
fn matches(found: &Value, expected: &Value, whole: bool) -> bool {
    match (found, expected) {
        (_, Value::String(any)) if any == "*" => true,
        (Value::Object(found), Value::Object(expected)) => {
            (!whole || found.len() == expected.len())
                && expected.iter().all(|(key, expected)| match found.get(key) {
                    Some(found) => matches(found, expected, true),
                    None => !whole && expected.is_null(),
                })
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(f, e)| matches(f, e, true))
        }
        _ => found == expected,
    }
}

/// A stat of any kind; `null` if there is none of that name.
fn stat(worker: &Worker, name: &str) -> Value {
    let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
    match kinds.into_iter().find_map(|kind| worker.host.metric(kind, name)) {
        None => Value::Null,
        Some(Metric::Counter(value) | Metric::Gauge(value)) => value.into(),
        Some(Metric::Histogram(values)) => values.into(),
    }
}

/// Whether it is as expected, where `*` at the end stands for whatever follows.
fn begins(found: &str, expected: &str) -> bool {
    match expected.strip_suffix('*') {
        Some(beginning) => found.starts_with(beginning),
        None => found == expected,
    }
}

/// A counter that nobody has counted yet is 0.
pub(crate) fn count(host: &Fake, name: &str) -> u64 {
    match host.metric(MetricKind::Counter, name) {
        Some(Metric::Counter(count)) => count,
        _ => 0,
    }
}

fn written(flow: Flow) -> file::Flow {
    match flow {
        Flow::Continue => file::Flow::Continue,
        Flow::Pause => file::Flow::Pause,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(differ(what, found, expected)) }
}

fn differ<A: std::fmt::Debug, B: std::fmt::Debug>(what: &str, found: &A, expected: &B) -> String {
    format!("{what}\n    found {found:?}\n expected {expected:?}")
}
