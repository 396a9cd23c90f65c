//! The body of an answer as a list of steps, made before the first byte leaves: pauses and faults
//! are steps like any other.

use std::{
    collections::VecDeque,
    io,
    io::Write as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap,
    body::{Body, Frame},
};
use tokio::time::Sleep;

use super::{
    control::{Controls, Stall},
    frame::{Event, Framing, Place},
    record::{Entry, Outcome},
};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Wait(Duration),
    /// What was sent so far goes to the network before anything else is done.
    Flush,
    Send {
        event: usize,
        bytes: Bytes,
    },
    Trailers(HeaderMap),
    /// The connection (HTTP/2: the stream) breaks.
    Cut,
    Stall,
}

/// A stream of events.
pub(super) fn stream(
    framing: Framing,
    mut events: Vec<Event>,
    error_event: Event,
    controls: &Controls,
    pause: Duration,
) -> Vec<Step> {
    let mut fault = None;
    if let Some(after) = controls.error_event {
        events.truncate(after.min(events.len().saturating_sub(1)));
        events.push(error_event);
    }
    if let Some((after, end)) = early_end(controls) {
        events.truncate(after.min(events.len().saturating_sub(1)));
        fault = end;
    }
    let half_event = match controls.stall {
        Some(Stall::Headers | Stall::Body) => return vec![Step::Flush, Step::Stall],
        Some(Stall::Midtoken) => {
            events.truncate(events.len() / 2 + 1);
            fault = Some(Step::Stall);
            events.len().checked_sub(1)
        }
        None => None,
    };

    let mut steps = Vec::with_capacity(events.len() * 2);
    let mut encoder = Encoder::new(controls);
    let mut waited = false;
    for (number, event) in events.iter().enumerate() {
        if event.token && !pause.is_zero() {
            // Time to the first token is the control `delay`.
            if waited {
                steps.push(Step::Wait(pause));
            }
            waited = true;
        }
        let last = number + 1 == events.len() && fault.is_none() && controls.end_early.is_none();
        let mut bytes = framing.write(event, Place { first: number == 0, last }, controls);
        if number == 0 && controls.bom {
            bytes.splice(0..0, *b"\xef\xbb\xbf");
        }
        if half_event == Some(number) {
            bytes.truncate(bytes.len() / 2);
        }
        push(&mut steps, number, encoder.write(&bytes), controls);
    }
    match fault {
        Some(fault) => steps.extend([Step::Flush, Step::Wait(SETTLE), fault]),
        None => {
            push(&mut steps, events.len().saturating_sub(1), encoder.finish(), controls);
            steps.extend(trailers(controls));
        }
    }
    steps
}

/// One document and, where it is known from the start, its length. `cut` and `end-early` count bytes.
pub(super) fn document(body: &[u8], controls: &Controls) -> (Vec<Step>, Option<usize>) {
    let mut encoder = Encoder::new(controls);
    let mut bytes = encoder.write(body);
    bytes.extend(encoder.finish());
    let trailers = trailers(controls);
    let length = (controls.end_early.is_none() && trailers.is_none()).then_some(bytes.len());

    let mut fault = None;
    if let Some((after, end)) = early_end(controls) {
        bytes.truncate(after.min(bytes.len().saturating_sub(1)));
        fault = end;
    }
    match controls.stall {
        Some(Stall::Headers | Stall::Body) => return (vec![Step::Flush, Step::Stall], length),
        Some(Stall::Midtoken) => {
            bytes.truncate(bytes.len() / 2);
            fault = Some(Step::Stall);
        }
        None => {}
    }
    let mut steps = Vec::new();
    push(&mut steps, 0, bytes, controls);
    match fault {
        Some(fault) => steps.extend([Step::Flush, Step::Wait(SETTLE), fault]),
        None => steps.extend(trailers),
    }
    (steps, length)
}

/// After how many events or bytes the answer ends, and whether that breaks the connection.
fn early_end(controls: &Controls) -> Option<(usize, Option<Step>)> {
    let cut = controls.cut.map(|after| (after, Some(Step::Cut)));
    cut.or_else(|| controls.end_early.map(|after| (after, None)))
}

fn push(steps: &mut Vec<Step>, event: usize, bytes: Vec<u8>, controls: &Controls) {
    if bytes.is_empty() {
        return;
    }
    let bytes = Bytes::from(bytes);
    let size = controls.split.unwrap_or(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + size).min(bytes.len());
        steps.push(Step::Send { event, bytes: bytes.slice(at..end) });
        steps.push(Step::Flush);
        if !controls.gap.is_zero() {
            steps.push(Step::Wait(controls.gap));
        }
        at = end;
    }
}

fn trailers(controls: &Controls) -> Option<Step> {
    let pairs = controls.trailers.iter();
    let map: HeaderMap =
        pairs.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect();
    (!map.is_empty()).then_some(Step::Trailers(map))
}

/// Long enough for what was sent to leave the machine's socket before the connection breaks.
const SETTLE: Duration = Duration::from_millis(5);

/// Compresses chunk by chunk, each decodable when it arrives.
enum Encoder {
    Identity,
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl Encoder {
    fn new(controls: &Controls) -> Self {
        match controls.gzip {
            true => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast()))),
            false => Self::Identity,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Identity => bytes.to_vec(),
            Self::Gzip(encoder) => {
                encoder.write_all(bytes).and_then(|()| encoder.flush()).expect("writes to memory");
                std::mem::take(encoder.get_mut())
            }
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        match self {
            Self::Identity => Vec::new(),
            Self::Gzip(encoder) => {
                encoder.try_finish().expect("writes to memory");
                std::mem::take(encoder.get_mut())
            }
        }
    }
}

/// Plays the steps and records what it sends.
#[derive(Debug)]
pub(super) struct Script {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    record: Entry,
}

impl Script {
    pub(super) fn new(steps: Vec<Step>, record: Entry) -> Self {
        let script = Self { steps: steps.into(), sleep: None, record };
        script.note_end();
        script
    }

    pub(super) fn record(&self) -> &Entry {
        &self.record
    }

    /// Hyper does not ask again after the last chunk.
    fn note_end(&self) {
        if self.is_end_stream() {
            self.record.ended(Outcome::Complete);
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            match self.steps.pop_front() {
                Some(Step::Wait(time)) => self.sleep = Some(Box::pin(tokio::time::sleep(time))),
                // Hyper flushes when the body has nothing ready.
                Some(Step::Flush) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Send { event, bytes }) => {
                    self.record.sent(event, bytes.len());
                    self.note_end();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Trailers(map)) => {
                    self.note_end();
                    return Poll::Ready(Some(Ok(Frame::trailers(map))));
                }
                Some(Step::Cut) => {
                    self.record.ended(Outcome::Cut);
                    return Poll::Ready(Some(Err(io::Error::other("cut as told"))));
                }
                Some(Step::Stall) => {
                    self.steps.push_front(Step::Stall);
                    return Poll::Pending;
                }
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Flush | Step::Wait(_)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pause_stands_between_tokens_only() {
        let steps = play(&Controls::default());
        let waits = steps.iter().filter(|step| matches!(step, Step::Wait(_))).count();
        assert_eq!(waits, 2, "three tokens have two pauses: {steps:?}");
    }

    #[test]
    fn a_cut_never_leaves_the_last_event() {
        for after in 0..9 {
            let steps = play(&Controls { cut: Some(after), ..Controls::default() });
            assert_eq!(sent(&steps).len(), "data: 0\n\n".len() * after.min(4));
            assert_eq!(steps.last(), Some(&Step::Cut));
        }
    }

    #[test]
    fn an_early_end_is_clean() {
        let steps = play(&Controls { end_early: Some(2), ..Controls::default() });
        assert_eq!(sent(&steps), b"data: 0\n\ndata: 1\n\n");
        assert!(!steps.contains(&Step::Cut));
    }

    #[test]
    fn splitting_keeps_the_bytes() {
        let whole = sent(&play(&Controls::default()));
        for size in 1..=whole.len() {
            let steps = play(&Controls { split: Some(size), ..Controls::default() });
            assert_eq!(sent(&steps), whole);
            assert!(steps.iter().all(|step| match step {
                Step::Send { bytes, .. } => bytes.len() <= size,
                _ => true,
            }));
        }
    }

    #[test]
    fn an_error_event_ends_the_stream() {
        let steps = play(&Controls { error_event: Some(1), ..Controls::default() });
        assert_eq!(sent(&steps), b"data: 0\n\ndata: error\n\n");
    }

    #[test]
    fn a_stall_in_a_token_leaves_half_an_event() {
        let steps = play(&Controls { stall: Some(Stall::Midtoken), ..Controls::default() });
        assert_eq!(sent(&steps), b"data: 0\n\ndata: 1\n\ndata");
        assert_eq!(steps.last(), Some(&Step::Stall));
    }

    fn play(controls: &Controls) -> Vec<Step> {
        let events = (0..5).map(|n| match n {
            1..=3 => Event::new(json!(n)).token(),
            _ => Event::new(json!(n)),
        });
        let pause = Duration::from_millis(1);
        stream(Framing::Sse, events.collect(), Event::text("error"), controls, pause)
    }

    fn sent(steps: &[Step]) -> Vec<u8> {
        let chunks = steps.iter().filter_map(|step| match step {
            Step::Send { bytes, .. } => Some(bytes.as_ref()),
            _ => None,
        });
        chunks.collect::<Vec<_>>().concat()
    }
}
