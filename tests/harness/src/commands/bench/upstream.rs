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
    /// A chat completion of some 600 bytes.
    Document,
    /// A chat completion of exactly so many bytes.
    Sized(usize),
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
            Self::Sized(size) => format!("{SIZED}{size}"),
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
    let size = request.headers().get(ORDER).and_then(document_size);
    let order = request.headers().get(ORDER).and_then(stream_order);
    let words = if request.uri().path().ends_with("/messages") { &ANTHROPIC } else { &OPENAI };
    let mut body = request.into_body();
    let mut with_usage = false;
    while let Some(frame) = body.frame().await {
        // Only streams need to know, and their requests are small enough for one frame.
        if let (Some(data), Some(_)) = (frame?.data_ref(), order) {
            with_usage |= find(data, b"\"include_usage\":true").is_some();
        }
    }
    let Some((events, connection)) = order else {
        let document = size.map_or(Bytes::from_static(words.document.as_bytes()), sized);
        let length = document.len();
        let mut response = Response::new(Answer::Document(Some(document)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, length.into());
        return Ok(response);
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(stream(words, events, connection, with_usage, shared, sender));
    let mut response = Response::new(Answer::Stream(receiver));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

fn document_size(header: &HeaderValue) -> Option<usize> {
    header.to_str().ok()?.strip_prefix(SIZED)?.parse().ok()
}

/// [`DOCUMENT`] with as much text as it takes.
pub(super) fn sized(size: usize) -> Bytes {
    let more = size.saturating_sub(DOCUMENT.len());
    let words: String = TEXT.chars().cycle().take(more).collect();
    DOCUMENT.replacen(TEXT, &format!("{words}{TEXT}"), 1).into()
}

/// The number of events, and of the connection if it is in lockstep.
fn stream_order(header: &HeaderValue) -> Option<(u32, Option<usize>)> {
    let (events, pace) = header.to_str().ok()?.split_once(' ')?;
    Some((events.parse().ok()?, pace.parse().ok()))
}

/// Sends the events of one chat. The text of each is the time at which it left.
async fn stream(
    words: &Words,
    events: u32,
    connection: Option<usize>,
    with_usage: bool,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Bytes>,
) {
    let received = connection.and_then(|connection| shared.received.get(connection));
    for event in 0..events {
        if let (Some(received), 1..) = (received, event) {
            received.notified().await;
        }
        let sent = shared.clock.elapsed().as_nanos();
        if sender.send(words.event(event, sent, with_usage).into()).await.is_err() {
            return;
        }
    }
    let _ = sender.send(words.end(with_usage).into()).await;
}

/// How a provider says it.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) document: &'static str,
    /// Before the first event.
    begin: &'static str,
    head: &'static str,
    tail: &'static str,
    /// Of an event whose stream ends with its usage.
    no_usage: &'static str,
    close: &'static str,
    usage: &'static str,
    end: &'static str,
}

impl Words {
    fn event(&self, number: u32, sent: u128, with_usage: bool) -> String {
        let Self { head, tail, close, .. } = self;
        let begin = if number == 0 { self.begin } else { "" };
        let usage = if with_usage { self.no_usage } else { "" };
        format!("{begin}{head}{sent:0STAMP$}{tail}{usage}{close}")
    }

    fn end(&self, with_usage: bool) -> String {
        let usage = if with_usage { self.usage } else { "" };
        format!("{usage}{}", self.end)
    }

    /// A whole stream that left at no time.
    pub(super) fn stream(&self, events: u32) -> String {
        let all: String = (0..events).map(|number| self.event(number, 0, false)).collect();
        all + &self.end(false)
    }
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

pub(super) const OPENAI: Words = Words {
    document: DOCUMENT,
    begin: "",
    head: HEAD,
    tail: TAIL,
    no_usage: ",\"usage\":null",
    close: "}\n\n",
    usage: USAGE,
    end: DONE,
};

pub(super) const ANTHROPIC: Words = Words {
    document: r#"{"id":"msg_01EXAMPLE0000000000000000","type":"message","role":"assistant","model":"bench-model","content":[{"type":"text","text":"A proxy stands between a client and a server, and speaks to each for the other."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":60,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":17,"service_tier":"standard"}}"#,
    begin: concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01EXAMPLE0000000000000000\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench-model\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":60,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    ),
    head: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"",
    tail: "\"}",
    no_usage: "",
    close: "}\n\n",
    usage: "",
    end: concat!(
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":200}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ),
};

pub(super) const DOCUMENT: &str = r#"{"id":"chatcmpl-CkT0EXAMPLE0000000000000000000","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"A proxy stands between a client and a server, and speaks to each for the other.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":17,"total_tokens":77,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0000000000"}"#;
/// The text of [`DOCUMENT`].
const TEXT: &str =
    "A proxy stands between a client and a server, and speaks to each for the other.";
const SIZED: &str = "sized ";
/// Connections that can be in lockstep.
const MAX_LOCKSTEP: usize = 64;
const HEAD: &str = r#"data: {"id":"chatcmpl-CkT0EXAMPLE0000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","service_tier":"default","system_fingerprint":"fp_0000000000","choices":[{"index":0,"delta":{"content":""#;
/// How HEAD ends.
const CONTENT: &[u8] = br#""content":""#;
const STAMP: usize = 16;
const TAIL: &str = r#""},"logprobs":null,"finish_reason":null}]"#;
const USAGE: &str = "data: {\"id\":\"chatcmpl-CkT0EXAMPLE0000000000000000000\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0000000000\",\"choices\":[],\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":200,\"total_tokens\":260}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_exactly_the_size_that_was_ordered() {
        for size in [1 << 10, 16 << 10, 200 << 10] {
            let document = sized(size);
            assert_eq!(document.len(), size);
            assert!(serde_json::from_slice::<serde_json::Value>(&document).is_ok());
            let header = HeaderValue::from_str(&Order::Sized(size).header(0)).unwrap();
            assert_eq!(document_size(&header), Some(size));
            assert_eq!(stream_order(&header), None);
        }
    }
}
