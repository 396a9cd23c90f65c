//! `otel.yaml`: a span for each call, with OpenTelemetry's names, at a collector.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use harness::envoy::{Envoy, Launch};
use harness::model_server::ModelServer;
use serde_json::json;

use super::{CHAT, chat, model_server, post, recipe, text};

#[test]
fn a_span_says_what_was_asked_and_used_and_nothing_that_was_said() {
    let (ollama, collector) = (model_server(), Collector::start());
    let envoy = traced(&ollama, &collector);
    let mut request = chat("llama3.2:1b", "a secret question");
    request["stream"] = json!(true);
    let id = [("x-request-id", "req-of-the-span")];
    let answer = post(&envoy, CHAT, &id, &request);
    assert_eq!(answer.status, 200, "{}", answer.text());

    let span = collector.export_with("req-of-the-span");
    for (key, value) in [
        ("service.name", "llm-gateway"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "ollama"),
        ("gen_ai.request.model", "llama3.2:1b"),
        ("gen_ai.response.model", "llama3.2:1b"),
        ("gen_ai.usage.input_tokens", "3"),
        ("gen_ai.usage.output_tokens", "5"),
        ("llm.request_id", "req-of-the-span"),
        ("llm.attempts", "1"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
    assert!(attribute(&span, "llm.time_to_first_token_ms").unwrap().parse::<u64>().is_ok());
    assert!(!contains(&span, b"secret"), "the prompt is in the span");
}

#[test]
fn a_refusal_is_a_span_with_its_kind() {
    let (ollama, collector) = (model_server(), Collector::start());
    let envoy = traced(&ollama, &collector);
    let answer = post(&envoy, CHAT, &[("x-request-id", "req-refused")], &json!({"model": "m"}));
    assert_eq!(answer.status, 400);
    let span = collector.export_with("req-refused");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("invalid_request"));
}

fn traced(ollama: &ModelServer, collector: &Collector) -> Envoy {
    let mut bootstrap = recipe(&text("otel.yaml"))
        .endpoint("ollama", ollama.address())
        .and_then(|recipe| recipe.endpoint("otel_collector", collector.address))
        .unwrap();
    // By default spans wait for four others, or for five seconds.
    bootstrap.0["layered_runtime"] = json!({"layers": [{
        "name": "test",
        "static_layer": {"tracing.opentelemetry.min_flush_spans": 1},
    }]});
    Launch::new(bootstrap).start().unwrap()
}

/// Takes OTLP over HTTP, as a collector does, and keeps what comes.
struct Collector {
    address: SocketAddr,
    exports: Receiver<Vec<u8>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, exports) = mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (Ok(connection), sender) = (connection, sender.clone()) else { return };
                thread::spawn(move || serve(connection, &sender));
            }
        });
        Self { address, exports }
    }

    /// The export that has these bytes in it.
    fn export_with(&self, text: &str) -> Vec<u8> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let export = self.exports.recv_timeout(left).expect("an export");
            if contains(&export, text.as_bytes()) {
                return export;
            }
        }
    }
}

fn serve(mut connection: TcpStream, exports: &Sender<Vec<u8>>) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = connection.read(&mut piece) {
        bytes.extend_from_slice(&piece[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        assert!(head.starts_with("post /v1/traces "), "{head}");
        let Some((export, taken)) = unchunked(&bytes[end + 4..]) else { continue };
        let _ = exports.send(export);
        bytes.drain(..end + 4 + taken);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

/// A body in chunks, and its length with them; `None` if it has not come whole.
fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let start = at + line + 2;
        body.extend_from_slice(bytes.get(start..start + size)?);
        at = start + size + 2;
        if bytes.len() < at {
            return None;
        }
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// The text of an attribute in an export: after its key, a `KeyValue` of OTLP has field 2, an
/// `AnyValue`, of which field 1 is the text.
fn attribute(export: &[u8], key: &str) -> Option<String> {
    let field = [&[0x0a, u8::try_from(key.len()).ok()?], key.as_bytes(), &[0x12]].concat();
    let at = export.windows(field.len()).position(|window| window == field)? + field.len();
    let [_, 0x0a, length, rest @ ..] = &export[at..] else { return None };
    Some(String::from_utf8_lossy(&rest[..usize::from(*length)]).into_owned())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
