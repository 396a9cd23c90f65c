//! An answer on its way back, whatever it is: an error, a whole answer or a stream.

use super::{Asked, Clock, Context, Pair, Route, Stream, failure, words};
use crate::error::Error;
use crate::protocol::eventstream::{self, Fault};
use crate::protocol::sse::{self, Decoder, Format, Frame};
use crate::protocol::stream::error_event;
use crate::protocol::{Dialect, Operation};

/// The largest answer that is translated in one piece, in bytes. Beyond it: [`Answer::whole`] fails.
pub const MAX_ANSWER: usize = 32 << 20;

/// Of a provider's refusal no more bytes than these are read.
pub const MAX_ERROR: usize = 64 << 10;

/// One answer. Made by [`Call::answer`](super::Call::answer).
pub struct Answer {
    route: Route,
    context: Context,
    asked: Asked,
    status: u16,
    body: Body,
}

enum Body {
    /// Translated at its end, out of wherever it was kept until then.
    Whole,
    Stream(Box<Streams>),
}

impl Answer {
    pub(super) fn new(
        route: Route,
        context: Context,
        asked: Asked,
        status: u16,
        content_type: &[u8],
    ) -> Self {
        let json = content_type.trim_ascii_start().starts_with(b"application/json");
        let body = if asked.stream && is_success(status) && !json {
            Body::Stream(Box::new(Streams::new(route, &context, &asked)))
        } else {
            Body::Whole
        };
        Self { route, context, asked, status, body }
    }

    /// Whether pieces of the client's answer come out of [`Self::chunk`] and [`Self::end`]. If not,
    /// all of it comes out of [`Self::whole`], and with it what its status is: hold the headers back
    /// until then.
    pub fn is_stream(&self) -> bool {
        matches!(self.body, Body::Stream(_))
    }

    /// The client's `content-type`.
    pub fn content_type(&self) -> &'static str {
        match &self.body {
            Body::Whole => "application/json",
            Body::Stream(_) if self.tells_time() => "application/x-ndjson",
            Body::Stream(_) => "text/event-stream",
        }
    }

    /// Whether the client is told how long things took: then [`Context::clock`] has to be set before
    /// anything is read.
    pub fn tells_time(&self) -> bool {
        self.route.client.operation().dialect() == Dialect::Ollama
    }

    pub fn clock(&self) -> &Clock {
        &self.context.clock
    }

    /// How many bytes are kept.
    pub fn kept(&self) -> usize {
        let stream = match &self.body {
            Body::Whole => 0,
            Body::Stream(streams) => streams.kept().saturating_add(self.asked.kept()),
        };
        self.asked.kept().saturating_add(stream)
    }

    /// Of a whole answer no more is read than this, and one byte that shows that there is more.
    pub fn limit(&self) -> usize {
        if is_success(self.status) { MAX_ANSWER } else { MAX_ERROR }
    }

    /// The next bytes of the provider's stream, cut anywhere. What the client gets now is appended
    /// to `out`.
    pub fn chunk(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if let Body::Stream(streams) = &mut self.body {
            streams.chunk(bytes, out);
        }
    }

    /// The provider's stream has ended: what the client gets last is appended to `out`.
    pub fn end(self, out: &mut Vec<u8>) {
        if let Body::Stream(mut streams) = self.body {
            streams.end(out);
        }
    }

    /// Ends a stream with an error of the gateway's own, and gives up what was kept of it.
    pub fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if let Body::Stream(streams) = &mut self.body {
            streams.fail(error, out);
        }
    }

    /// The client's answer to a whole one. An error takes the place of the answer: its status and
    /// its body are for the caller to write.
    pub fn whole(self, body: &[u8]) -> Result<Vec<u8>, Error> {
        if !is_success(self.status) {
            let read = body.get(..MAX_ERROR.min(body.len())).unwrap_or_default();
            return Err(self.route.error(self.status, read));
        }
        if body.len() > MAX_ANSWER {
            return Err(failure::too_large());
        }
        self.route.response(body, &self.context, &self.asked)
    }
}

/// The stream of a route: that of its pair, or those of its two, one after the other.
pub(super) struct Streams {
    operation: Operation,
    request_id: String,
    /// `None`: an error event has been written, and nothing follows it.
    running: Option<Running>,
}

struct Running {
    provider: Option<Streamed>,
    client: Streamed,
    /// What the first has written for the second.
    between: Vec<u8>,
}

impl Streams {
    pub(super) fn new(route: Route, context: &Context, asked: &Asked) -> Self {
        let of = |pair: Pair| {
            let asked = asked.provider.as_deref().unwrap_or(asked);
            Streamed::new(pair, context, asked)
        };
        let provider = route.provider.map(of);
        let client = Streamed::new(route.client, context, asked);
        Self {
            operation: route.client.operation(),
            request_id: context.request_id.clone(),
            running: Some(Running { provider, client, between: Vec::new() }),
        }
    }

    pub(super) fn chunk(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(Running { provider, client, between }) = &mut self.running else { return };
        let done = match provider {
            None => client.chunk(bytes, out),
            Some(provider) => {
                between.clear();
                let done = provider.chunk(bytes, between);
                client.chunk(between, out).and(done)
            }
        };
        self.check(done, out);
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let Some(Running { provider, client, between }) = &mut self.running else { return };
        let done = match provider {
            None => client.end(out),
            Some(provider) => {
                between.clear();
                let done = provider.end(between);
                client.chunk(between, out).and(done).and_then(|()| client.end(out))
            }
        };
        self.check(done, out);
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if self.running.take().is_some() {
            out.extend(error_event(self.operation, error, &self.request_id, 0));
        }
    }

    fn kept(&self) -> usize {
        let Some(Running { provider, client, between }) = &self.running else { return 0 };
        let provider = provider.as_ref().map_or(0, Streamed::kept);
        client.kept().saturating_add(provider).saturating_add(between.capacity())
    }

    fn check(&mut self, done: Result<(), Error>, out: &mut Vec<u8>) {
        if let Err(error) = done.map_err(failure::not_understood) {
            let error = words::overflow(self.operation, error);
            self.fail(&error, out);
        }
    }
}

/// How a provider cuts its streams into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events.
    EventStream,
    JsonLines,
    /// AWS's binary messages.
    Aws,
}

/// The stream of a pair, cut into events and translated one by one.
struct Streamed {
    frames: Frames,
    stream: Stream,
    /// An error came of it, and nothing more is read.
    failed: bool,
}

enum Frames {
    Text(Format, Decoder),
    Aws(eventstream::Decoder),
}

impl Streamed {
    fn new(pair: Pair, context: &Context, asked: &Asked) -> Self {
        let text = |format| Frames::Text(format, Decoder::new(format));
        Self {
            frames: match pair.framing() {
                Framing::EventStream => text(Format::EventStream),
                Framing::JsonLines => text(Format::JsonLines),
                Framing::Aws => Frames::Aws(eventstream::Decoder::default()),
            },
            stream: pair.stream(context, asked),
            failed: false,
        }
    }

    fn kept(&self) -> usize {
        let frames = match &self.frames {
            Frames::Text(_, decoder) => decoder.kept(),
            Frames::Aws(decoder) => decoder.kept(),
        };
        frames.saturating_add(self.stream.kept())
    }

    fn chunk(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut rest = bytes;
        while !self.failed {
            let done = match &mut self.frames {
                Frames::Text(format, decoder) => {
                    let Some(piece) = decoder.next(rest) else { break };
                    rest = rest.get(piece.taken..).unwrap_or_default();
                    match piece.frame {
                        Frame::Whole(frame) => event(&mut self.stream, *format, frame, out),
                        Frame::Rest(_) => Ok(()),
                        Frame::Excess(_) => Err(failure::too_large()),
                    }
                }
                Frames::Aws(decoder) => match decoder.next(&mut rest) {
                    None => break,
                    Some(Ok(message)) => {
                        self.stream.event(message.name.as_bytes(), message.payload, out)
                    }
                    Some(Err(Fault::TooLarge)) => Err(failure::too_large()),
                    Some(Err(_)) => Err(failure::garbled()),
                },
            };
            self.failed = done.is_err();
            done?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.failed {
            return Ok(());
        }
        // A last event without its end is one if it can be understood; the terminal event decides.
        if let Frames::Text(format, decoder) = &mut self.frames
            && let Frame::Whole(frame) = decoder.finish()
        {
            let before = out.len();
            if event(&mut self.stream, *format, frame, out).is_err() {
                out.truncate(before);
            }
        }
        self.stream.end(out)
    }
}

fn event(
    stream: &mut Stream,
    format: Format,
    frame: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match format {
        Format::JsonLines if frame.trim_ascii().is_empty() => Ok(()),
        Format::JsonLines => stream.event(b"", frame, out),
        Format::EventStream => match sse::event(frame) {
            // Some servers keep a connection open with such lines.
            Some(event) if event.data.trim_ascii().is_empty() => Ok(()),
            Some(event) => stream.event(event.name, &event.data, out),
            None => Ok(()),
        },
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}
