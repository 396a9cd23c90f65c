//! From a connection to an answered request.

use std::{
    collections::HashMap,
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    Options,
    call::{Answer, Call, Fault, Protocol},
    control::{Controls, ErrorBody, Mistake, Stall},
    openai,
    record::{Entry, Outcome, Recorded, Recorder, pairs},
    route,
    script::{self, Script},
};

#[derive(Debug)]
pub(super) struct State {
    options: Options,
    pub(super) recorder: Recorder,
    numbers: AtomicU64,
    /// How often each body came that asks for failures, by its hash.
    failed: Mutex<HashMap<u64, u32>>,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            recorder: Recorder::default(),
            numbers: AtomicU64::new(1),
            failed: Mutex::default(),
        }
    }

    pub(super) fn clear(&self) {
        self.recorder.clear();
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether this request with this body is among the first `times`.
    fn is_among_first(&self, times: u32, body: &Bytes) -> bool {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MAX_FAILED {
            failed.clear();
        }
        let count = failed.entry(hasher.finish()).or_default();
        *count = count.saturating_add(1);
        *count <= times
    }

    fn is_authorized(&self, call: &Call, protocol: Protocol) -> bool {
        let key = call.controls.key.as_ref().or(self.options.key.as_ref());
        key.is_none_or(|key| protocol.has_key(call, key))
    }
}

pub(super) async fn accept(listener: TcpListener, state: Arc<State>) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(request, Arc::clone(&state)));
            let io = TokioIo::new(stream);
            // Connections end by error whenever a control says so.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
        });
    }
}

/// An error ends the connection (HTTP/2: the stream) without a byte.
async fn handle(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Script>, Box<dyn std::error::Error + Send + Sync>> {
    let arrived = Instant::now();
    let (parts, body) = request.into_parts();
    let collected = Limited::new(body, MAX_REQUEST_BYTES).collect().await?;
    let trailers = collected.trailers().map(pairs).unwrap_or_default();
    let body = collected.to_bytes();

    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().map(str::to_owned);
    let record = state.recorder.add(Recorded {
        method: parts.method.to_string(),
        path: path.clone(),
        query: query.clone(),
        authority: authority(&parts),
        headers: pairs(&parts.headers),
        body: body.clone(),
        trailers,
        version: parts.version,
        arrived,
        status: None,
        sent: Vec::new(),
        outcome: Outcome::Pending,
    });

    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let route = route::find(&parts.method, &path, &parts.headers);
    let model = match route.as_ref().and_then(|route| route.model.clone()) {
        Some(model) => model,
        None => match json.get("model").and_then(Value::as_str) {
            Some(model) => model.to_owned(),
            None => form_field(&parts.headers, &body, "model").unwrap_or_default(),
        },
    };
    let own = state.options.name.as_ref().map(|name| format!("{CONTROL_HEADER}-{name}"));
    let told = [Some(CONTROL_HEADER), own.as_deref()].into_iter().flatten();
    let told = told.flat_map(|name| parts.headers.get_all(name)).map(HeaderValue::as_bytes);
    let orders = std::iter::once(state.options.controls.as_bytes()).chain(told);
    let (mut controls, model) = match Controls::read(orders, &model) {
        Ok(read) => read,
        Err(Mistake(order)) => {
            let message = format!("the model server has no control {order:?}");
            return Ok(document(
                400,
                "text/plain",
                message.as_bytes(),
                &[],
                &Controls::default(),
                record,
            ));
        }
    };
    let accepted = parts.headers.get("accept-encoding").and_then(|value| value.to_str().ok());
    controls.gzip &= accepted.is_some_and(|value| value.contains("gzip"));

    if controls.reset {
        record.ended(Outcome::Cut);
        return Err(Box::new(io::Error::other("reset as told")));
    }
    if controls.stall == Some(Stall::Headers) {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(controls.delay).await;

    let call = Call {
        model,
        json,
        headers: parts.headers,
        method: parts.method,
        path,
        query: query.unwrap_or_default(),
        controls,
        listed: state.options.models.clone(),
        number: state.numbers.fetch_add(1, Ordering::Relaxed),
        created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        body,
    };
    let protocol = route.as_ref().map_or(Protocol::OpenAi, |route| route.protocol);
    let answer = match refusal(&state, &call, protocol) {
        Some(fault) => Err(fault),
        None => match &route {
            Some(route) => (route.handler)(&call),
            None => Err(openai::unknown_url(&call)),
        },
    };
    Ok(respond(answer, protocol, &call, &state.options, record))
}

/// What is wrong before the provider's own validation begins.
fn refusal(state: &State, call: &Call, protocol: Protocol) -> Option<Fault> {
    let controls = &call.controls;
    let failing = controls.fail_first.filter(|(times, _)| state.is_among_first(*times, &call.body));
    let status = failing.map(|(_, status)| status).or(controls.status);
    if let Some(status) =
        status.filter(|status| *status >= 400 || controls.body != ErrorBody::Provider)
    {
        return Some(Fault::new(status, told(status)));
    }
    if !state.is_authorized(call, protocol) {
        return Some(protocol.unauthorized(call));
    }
    let is_form = call
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    if call.json.is_null() && !call.body.is_empty() && !is_form {
        return Some(protocol.invalid_json());
    }
    let unknown = state.options.unknown_models.contains(&call.model);
    unknown.then(|| protocol.unknown_model(&call.model))
}

fn respond(
    answer: Result<Answer, Fault>,
    protocol: Protocol,
    call: &Call,
    options: &Options,
    record: Entry,
) -> Response<Script> {
    let controls = &call.controls;
    let mut headers = protocol.headers(call);
    match answer {
        Ok(answer) => {
            let status = controls.status.unwrap_or(200);
            match answer {
                Answer::Stream(framing, events) => {
                    let pause = controls.pause.unwrap_or(options.pause);
                    let error = protocol.error_event(call);
                    let steps = script::stream(framing, events, error, controls, pause);
                    headers.push(("cache-control", "no-cache".to_owned()));
                    build(
                        status,
                        framing.content_type(),
                        None,
                        &headers,
                        controls,
                        Script::new(steps, record),
                    )
                }
                Answer::Json(value) => {
                    let body = value.to_string();
                    document(status, JSON, body.as_bytes(), &headers, controls, record)
                }
                Answer::Document { content_type, body } => {
                    document(status, content_type, &body, &headers, controls, record)
                }
            }
        }
        Err(fault) => {
            if matches!(fault.status, 429 | 503 | 529) {
                headers.push((RETRY_AFTER_NAME, "1".to_owned()));
            }
            headers.extend(protocol.error_headers(&fault));
            let (content_type, body) = match controls.body {
                ErrorBody::Provider => (JSON, protocol.error(&fault, call).to_string()),
                ErrorBody::Html => ("text/html", HTML.replace("STATUS", &fault.status.to_string())),
                ErrorBody::Plain => ("text/plain", fault.message.clone()),
                ErrorBody::Empty => ("", String::new()),
            };
            document(fault.status, content_type, body.as_bytes(), &headers, controls, record)
        }
    }
}

fn document(
    status: u16,
    content_type: &str,
    body: &[u8],
    headers: &[(&'static str, String)],
    controls: &Controls,
    record: Entry,
) -> Response<Script> {
    let (steps, length) = script::document(body, controls);
    build(status, content_type, length, headers, controls, Script::new(steps, record))
}

fn build(
    status: u16,
    content_type: &str,
    length: Option<usize>,
    headers: &[(&'static str, String)],
    controls: &Controls,
    body: Script,
) -> Response<Script> {
    body.record().status(status);
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("within 200..=599");
    let map = response.headers_mut();
    if let Some(length) = length {
        map.insert(CONTENT_LENGTH, length.into());
    }
    if !content_type.is_empty() {
        map.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a constant"));
    }
    if controls.gzip {
        map.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            map.insert(HeaderName::from_static(name), value);
        }
    }
    for (index, (name, value)) in controls.headers.iter().enumerate() {
        let (Ok(key), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value))
        else {
            continue;
        };
        let repeated = controls.headers[..index].iter().any(|(earlier, _)| earlier == name);
        match repeated {
            true => drop(map.append(key, value)),
            false => drop(map.insert(key, value)),
        }
    }
    response
}

fn authority(parts: &hyper::http::request::Parts) -> String {
    match (parts.uri.authority(), parts.headers.get(hyper::header::HOST)) {
        (Some(authority), _) => authority.to_string(),
        (None, host) => String::from_utf8_lossy(host.map_or(b"", HeaderValue::as_bytes)).into(),
    }
}

/// A text field of a multipart form.
pub(super) fn form_field(headers: &HeaderMap, body: &[u8], name: &str) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let boundary = kind.split_once("boundary=")?.1.trim_matches('"');
    let text = String::from_utf8_lossy(body);
    let delimiter = format!("--{boundary}");
    let marker = format!("name=\"{name}\"");
    let parts = text.split(delimiter.as_str());
    parts.into_iter().find_map(|part| {
        let (head, value) = part.split_once("\r\n\r\n")?;
        head.contains(&marker).then(|| value.trim_end_matches("\r\n").to_owned())
    })
}

/// The message of an error that was asked for.
fn told(status: u16) -> &'static str {
    match status {
        429 => "Rate limit reached for requests. Please try again in 1s.",
        503 | 529 => "The engine is currently overloaded, please try again later.",
        500.. => "The server had an error while processing your request. Sorry about that!",
        _ => "The request was refused, as it asked.",
    }
}

const CONTROL_HEADER: &str = "x-sim";
const RETRY_AFTER_NAME: &str = "retry-after";
const JSON: &str = "application/json";
const HTML: &str = "<html>\r\n<head><title>STATUS</title></head>\r\n<body>\r\n<center><h1>STATUS</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
/// A larger request breaks the connection.
const MAX_REQUEST_BYTES: usize = 64 << 20;
/// Bodies with `fail-first` that are told apart; then counting starts anew.
const MAX_FAILED: usize = 4096;
