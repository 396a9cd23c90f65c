//! An answer on its way back, whatever it is: an error, a whole answer or a stream.

use super::{Asked, Clock, Context, Pair, Route, Stream, failure, words};
use crate::error::Error;
use crate::protocol::eventstream::{self, Fault};
use crate::protocol::sse::{self, Decoder, Format, Frame};
use crate::protocol::stream::error_event;
use crate::protocol::{Dialect, Operation};

/// The largest answer that is translated in one piece, in bytes. Beyond it: [`Answer::end`] fails.
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
    /// Translated at its end.
    Whole(Vec<u8>),
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
            Body::Whole(Vec::new())
        };
        Self { route, context, asked, status, body }
    }

    /// Whether pieces of the client's answer come out of [`Self::chunk`]. If not, all of it comes
    /// out of [`Self::end`], and with it what its status is: hold the headers back until then.
    pub fn is_stream(&self) -> bool {
        matches!(self.body, Body::Stream(_))
    }

    /// The client's `content-type`.
    pub fn content_type(&self) -> &'static str {
        match &self.body {
            Body::Whole(_) => "application/json",
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

    /// The next bytes of the provider's body, cut anywhere. What the client gets now is appended to
    /// `out`.
    pub fn chunk(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.body {
            Body::Whole(body) => {
                // One byte more than the cap shows that it was passed.
                let cap = if is_success(self.status) { MAX_ANSWER + 1 } else { MAX_ERROR };
                let room = cap.saturating_sub(body.len()).min(bytes.len());
                body.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            Body::Stream(streams) => streams.chunk(bytes, out),
        }
    }

    /// The provider's body has ended: what the client gets last is appended to `out`. An error
    /// takes the place of the answer: its status and its body are for the caller to write.
    pub fn end(self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.body {
            Body::Stream(mut streams) => {
                streams.end(out);
                Ok(())
            }
            Body::Whole(body) if !is_success(self.status) => {
                Err(self.route.error(self.status, &body))
            }
            Body::Whole(body) if body.len() > MAX_ANSWER => Err(failure::too_large()),
            Body::Whole(body) => {
                out.extend(self.route.response(&body, &self.context, &self.asked)?);
                Ok(())
            }
        }
    }
}

/// The stream of a route: that of its pair, or those of its two, one after the other.
pub(super) struct Streams {
    operation: Operation,
    request_id: String,
    provider: Option<Streamed>,
    client: Streamed,
    /// What the first has written for the second.
    between: Vec<u8>,
    /// An error event has been written, and nothing follows it.
    failed: bool,
}

impl Streams {
    pub(super) fn new(route: Route, context: &Context, asked: &Asked) -> Self {
        let of = |pair: Pair| {
            let asked = asked.provider.as_deref().unwrap_or(asked);
            Streamed::new(pair, context, asked)
        };
        Self {
            operation: route.client.operation(),
            request_id: context.request_id.clone(),
            provider: route.provider.map(of),
            client: Streamed::new(route.client, context, asked),
            between: Vec::new(),
            failed: false,
        }
    }

    pub(super) fn chunk(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        let Self { provider, client, between, .. } = self;
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
        if self.failed {
            return;
        }
        let Self { provider, client, between, .. } = self;
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

    fn check(&mut self, done: Result<(), Error>, out: &mut Vec<u8>) {
        if let Err(error) = done.map_err(failure::not_understood) {
            self.failed = true;
            let error = words::overflow(self.operation, error);
            out.extend(error_event(self.operation, &error, &self.request_id, 0));
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
