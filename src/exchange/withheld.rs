//! An answer that is held back, headers and all, until it is known to be what was asked for: only
//! until then can the caller be told otherwise. Envoy keeps its bytes; here is what is known of them.

use super::request::report;
use super::response::{Ending, Reader, Relaying, passed};
use super::{Ended, Service, State, failure, keeping};
use crate::host::{Buffer, Flow, Host, Timestamp};
use crate::protocol::Operation;
use crate::protocol::shape::{self, Shape};
use crate::protocol::skim::{Interest, Member, Sink, Skimmer};

impl Relaying {
    /// The beginning of a stream, which goes on with its first event.
    pub(super) fn open(
        mut self: Box<Self>,
        mut held: Withheld,
        chunk: &[u8],
        end: bool,
        service: &Service,
        now: Timestamp,
        host: &impl Host,
    ) -> (State, Flow) {
        let changed = self.take(chunk, end, service, now, host);
        held.open(chunk, changed.as_deref());
        let (is_none, has_begun) = match &self.reader {
            Reader::Stream(relay) => (relay.is_garbled() && !relay.has_begun(), relay.has_begun()),
            Reader::Json(..) | Reader::Opaque => (false, true),
        };
        if is_none || (end && !has_begun) {
            return failure::unusable(*self, service, now, host);
        }
        let has_room = service.ledger.has_room(chunk.len());
        if !end && !has_begun && !held.is_over() && has_room {
            self.withheld = Some(held);
            return (State::Relaying(self), Flow::Pause);
        }
        let is_changed = changed.is_some() || held.seen > chunk.len();
        if is_changed {
            let opened = held.opened();
            report(host.splice_body(Buffer::ResponseBody, 0, usize::MAX, &opened), "answer", host);
        }
        match end {
            true => passed(*self, service, now, host),
            false => (State::Relaying(self), Flow::Continue),
        }
    }

    /// A document, which goes on when it is whole.
    pub(super) fn document(
        mut self: Box<Self>,
        mut held: Withheld,
        chunk: &[u8],
        end: bool,
        service: &Service,
        now: Timestamp,
        host: &impl Host,
    ) -> (State, Flow) {
        // A document is not changed.
        let _ = self.take(chunk, false, service, now, host);
        let Reader::Json(_, passing) = &mut self.reader else {
            return (State::Relaying(self), Flow::Continue);
        };
        if !service.ledger.has_room(chunk.len()) {
            held.limit = 0;
        }
        match held.read(self.routed.call.operation, chunk, end, host) {
            Document::Held => {
                self.withheld = Some(held);
                (State::Relaying(self), Flow::Pause)
            }
            Document::Passes(rest) => {
                *passing = Some(Box::new(rest));
                keeping::write_status(&self.routed.call.caching, host);
                (State::Relaying(self), Flow::Continue)
            }
            Document::Whole(Shape::Nothing) => failure::unusable(*self, service, now, host),
            Document::Whole(shape) => {
                let failed = shape == Shape::Failure;
                self.ending = if failed { Ending::Failed } else { Ending::Complete };
                keeping::finish(&mut self, service, now, host);
                keeping::write_status(&self.routed.call.caching, host);
                (State::Answered(Box::new(Ended::relayed(*self, host))), Flow::Continue)
            }
        }
    }
}

/// What of an answer is held back.
pub(super) struct Withheld {
    /// Bytes that were read so far.
    pub(super) seen: usize,
    /// How many may be.
    limit: usize,
    kind: Kind,
}

enum Kind {
    /// A document, until its end. If the first piece of it is one already, its shape.
    Document(Option<(usize, Shape)>),
    /// The beginning of a stream, until it has said something; what goes on of it, if that differs.
    Opening(Vec<u8>),
}

/// What becomes of a document.
enum Document {
    /// It goes on being held.
    Held,
    /// It is whole.
    Whole(Shape),
    /// It is too long to be held: the rest is looked at as it passes.
    Passes(Passing),
}

impl Withheld {
    /// `length`: of the body, if its headers say it.
    pub(super) fn document(length: Option<usize>) -> Option<Self> {
        let limit = match length {
            Some(length) if length > MAX_KNOWN => return None,
            Some(_) => MAX_KNOWN,
            None => MAX_UNKNOWN,
        };
        Some(Self { seen: 0, limit, kind: Kind::Document(None) })
    }

    pub(super) fn opening() -> Self {
        Self { seen: 0, limit: MAX_UNKNOWN, kind: Kind::Opening(Vec::new()) }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.kind, Kind::Opening(_))
    }

    /// So many bytes may be held back as well.
    pub(super) fn widen(&mut self, limit: usize) {
        self.limit = self.limit.max(limit);
    }

    /// The next bytes of a stream's beginning, and what goes on in their place.
    fn open(&mut self, chunk: &[u8], changed: Option<&[u8]>) {
        self.seen = self.seen.saturating_add(chunk.len());
        if let Kind::Opening(out) = &mut self.kind {
            out.extend_from_slice(changed.unwrap_or(chunk));
        }
    }

    /// What goes on of a stream's beginning.
    fn opened(self) -> Vec<u8> {
        match self.kind {
            Kind::Opening(out) => out,
            Kind::Document(_) => Vec::new(),
        }
    }

    /// Whether more than may be held back is.
    fn is_over(&self) -> bool {
        self.seen > self.limit
    }

    /// The next bytes of a document.
    fn read(
        &mut self,
        operation: Operation,
        chunk: &[u8],
        end: bool,
        host: &impl Host,
    ) -> Document {
        let first = self.seen == 0;
        self.seen = self.seen.saturating_add(chunk.len());
        if first && !shape::may_be_object(chunk) {
            return Document::Whole(Shape::Nothing);
        }
        let is_over = self.is_over();
        let Kind::Document(known) = &mut self.kind else { return Document::Held };
        if end {
            return Document::Whole(match *known {
                Some((length, shape)) if length == self.seen => shape,
                _ if first => Shape::of(operation, chunk),
                // Rare enough to be read again rather than kept.
                _ => Shape::of(operation, &whole(host)),
            });
        }
        // White space before a document is there to keep the connection alive.
        let keeps_alive = first && !chunk.is_empty() && chunk.trim_ascii().is_empty();
        if is_over || keeps_alive {
            let mut passing = Passing::new(operation);
            passing.chunk(&whole(host));
            return Document::Passes(passing);
        }
        // Most documents come in one piece, and their end after it.
        if first && chunk.trim_ascii_end().ends_with(b"}") {
            *known = Some((chunk.len(), Shape::of(operation, chunk)));
        }
        Document::Held
    }
}

fn whole(host: &impl Host) -> Vec<u8> {
    host.body(Buffer::ResponseBody, 0, usize::MAX).unwrap_or_default()
}

/// A document that passes while it is looked at: whether it ends, and holds what was asked for.
pub(super) struct Passing {
    skimmer: Skimmer,
    found: Found,
    began: bool,
    is_object: bool,
}

impl Passing {
    pub(super) fn new(operation: Operation) -> Self {
        let found = Found { wanted: shape::member(operation), holds: false };
        Self { skimmer: Skimmer::default(), found, began: false, is_object: true }
    }

    pub(super) fn chunk(&mut self, chunk: &[u8]) {
        if !self.began {
            self.is_object = shape::may_be_object(chunk);
            self.began = !chunk.trim_ascii().is_empty();
        }
        self.skimmer.feed(chunk, &mut self.found);
    }

    /// At its end: whether it is what was asked for, as far as can be told by its outline.
    pub(super) fn is_right(&self) -> bool {
        self.began && self.is_object && self.skimmer.is_balanced() && self.found.holds
    }
}

struct Found {
    wanted: &'static str,
    holds: bool,
}

impl Sink for Found {
    fn interest(&self, _: u32, key: &[u8]) -> Interest {
        match key == self.wanted.as_bytes() || self.wanted.is_empty() {
            true => Interest::Value(Member::Choices),
            false => Interest::None,
        }
    }

    fn text(&mut self, _: usize) {}

    fn value(&mut self, _: Member, _: usize, _: usize, _: &[u8]) {
        self.holds = true;
    }
}

/// What is held of a body whose length is known, and of one whose length is not. Below the least
/// buffer that Envoy has.
const MAX_KNOWN: usize = 1 << 20;
const MAX_UNKNOWN: usize = 256 << 10;
