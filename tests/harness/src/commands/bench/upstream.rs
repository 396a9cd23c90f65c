//! A fixed upstream: the same answer every time, made as cheaply as possible, so that what is measured
//! is what stands before it. Told by the header [`ORDER`] what to answer.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

/// What the model of the bench is called.
pub(super) const MODEL: &str = "bench-model";

/// The request header that says which answer is wanted.
pub(super) const ORDER: &str = "x-bench";

/// An answer that the upstream gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A chat completion of some 400 bytes.
    Document,
    /// Events, each flushed on its own.
    Stream { events: u32, pace: Pace },
}

/// When the next event of a stream leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as it goes, so that Envoy often reads several at once.
    Free,
    /// When the client says that it has the one before: no two are ever on their way together, and
    /// one that is held back ends the stream.
    Lockstep,
}

impl Order {
    /// `connection` is the client's number for it.
    pub(super) fn header(self, connection: usize) -> String {
        match self {
            Self::Document => "document".to_owned(),
            Self::Stream { events, pace: Pace::Free } => format!("{events} free"),
            Self::Stream { events, pace: Pace::Lockstep } => format!("{events} {connection}"),
        }
    }
}

/// What the upstream and the clients share: both are in this process.
#[derive(Debug)]
pub(super) struct Shared {
    clock: Instant,
    /// Of each connection in lockstep: the client has the last event.
    received: Vec<Notify>,
}

impl Shared {
    pub(super) fn new() -> Self {
        let received = std::iter::repeat_with(Notify::new).take(MAX_LOCKSTEP).collect();
        Self { clock: Instant::now(), received }
    }

    pub(super) fn received(&self, connection: usize) {
        if let Some(notify) = self.received.get(connection) {
            notify.notify_one();
        }
    }

    /// How long ago an event was sent; `None` for a line that is none. Its JSON may have been
    /// written anew, with the members in another order.
    pub(super) fn age(&self, line: &[u8]) -> Option<Duration> {
        let stamp = match line.strip_prefix(HEAD.as_bytes()) {
            Some(rest) => rest,
            None => &line[find(line, CONTENT)? + CONTENT.len()..],
        };
        let stamp = stamp.get(..STAMP)?;
        let nanos = str::from_utf8(stamp).ok()?.parse().ok()?;
        Some(self.clock.elapsed().saturating_sub(Duration::from_nanos(nanos)))
    }
}

/// Serves on the current runtime, for as long as that lives.
pub(super) async fn start(shared: Arc<Shared>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                // Ends when Envoy closes the connection.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Answer>, hyper::Error> {
    let order = request.headers().get(ORDER).and_then(stream_order);
    let mut body = request.into_body();
    let mut with_usage = false;
    while let Some(frame) = body.frame().await {
        // Only streams need to know, and their requests are small enough for one frame.
        if let (Some(data), Some(_)) = (frame?.data_ref(), order) {
            with_usage |= find(data, b"\"include_usage\":true").is_some();
        }
    }
    let Some((events, connection)) = order else {
        let mut response = Response::new(Answer::Document(Some(DOCUMENT.into())));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, DOCUMENT.len().into());
        return Ok(response);
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(stream(events, connection, with_usage, shared, sender));
    let mut response = Response::new(Answer::Stream(receiver));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// The number of events, and of the connection if it is in lockstep.
fn stream_order(header: &HeaderValue) -> Option<(u32, Option<usize>)> {
    let (events, pace) = header.to_str().ok()?.split_once(' ')?;
    Some((events.parse().ok()?, pace.parse().ok()))
}

/// Sends the events of one chat, as OpenAI does. The text of each is the time at which it left.
async fn stream(
    events: u32,
    connection: Option<usize>,
    with_usage: bool,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Bytes>,
) {
    let usage = if with_usage { ",\"usage\":null" } else { "" };
    let received = connection.and_then(|connection| shared.received.get(connection));
    for event in 0..events {
        if let (Some(received), 1..) = (received, event) {
            received.notified().await;
        }
        let sent = shared.clock.elapsed().as_nanos();
        let event = format!("{HEAD}{sent:0STAMP$}{TAIL}{usage}}}\n\n");
        if sender.send(event.into()).await.is_err() {
            return;
        }
    }
    let end = if with_usage { [USAGE, DONE].concat() } else { DONE.to_owned() };
    let _ = sender.send(end.into()).await;
}

enum Answer {
    Document(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut *self {
            Self::Document(bytes) => bytes.take(),
            // Hyper writes what it has when the channel is empty: after each event.
            Self::Stream(events) => ready!(events.poll_recv(context)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The length of a whole stream as a client sees it that did not ask for usage.
pub(super) fn stream_len(events: u32) -> usize {
    (HEAD.len() + STAMP + TAIL.len() + "}\n\n".len()) * events as usize + DONE.len()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

pub(super) const DOCUMENT: &str = r#"{"id":"chatcmpl-CkT0EXAMPLE0000000000000000000","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"A proxy stands between a client and a server, and speaks to each for the other.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":17,"total_tokens":77,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0000000000"}"#;
/// Connections that can be in lockstep.
const MAX_LOCKSTEP: usize = 64;
const HEAD: &str = r#"data: {"id":"chatcmpl-CkT0EXAMPLE0000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","service_tier":"default","system_fingerprint":"fp_0000000000","choices":[{"index":0,"delta":{"content":""#;
/// How HEAD ends.
const CONTENT: &[u8] = br#""content":""#;
const STAMP: usize = 16;
const TAIL: &str = r#""},"logprobs":null,"finish_reason":null}]"#;
const USAGE: &str = "data: {\"id\":\"chatcmpl-CkT0EXAMPLE0000000000000000000\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0000000000\",\"choices\":[],\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":200,\"total_tokens\":260}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
