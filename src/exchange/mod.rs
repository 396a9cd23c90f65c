//! The gateway role: one exchange between a client and whichever provider answers.
//!
//! [`State::step`] takes an exchange from event to event. A state owns what is valid in it, and each
//! event consumes it: [`request`] reads the headers, [`ask`] the body, [`send`] lets it go,
//! [`response`] relays what [`withheld`] has found to be an answer, [`failure`] turns what others say into
//! the caller's dialect, by its [`meaning`], [`answer`] says what the gateway itself has to say, and
//! [`settle`] ends every exchange, however it ended.
//! [`respell`], [`gate`], [`limits`], [`charge`] and [`caching`] are what those ask along the way;
//! [`subject`] says what the cache tells calls apart by, [`keeping`] and [`fleet`] are what it does
//! with answers, and beyond this process.

use std::net::IpAddr;
use std::sync::Arc;

use crate::closed;
use crate::error::{Dialect, Kind};
use crate::handoff;
use crate::held::{self, Held};
use crate::host::{CallId, Event, Flow, Host, Pairs, Timestamp};
use crate::identity::{ConsumerId, RequestId};
use crate::limit::{Reservation, Standings, Ticket};
use crate::protocol::Operation;
use crate::protocol::probe::Source;
use crate::protocol::usage::{Quality, Usage};
use crate::routing::{Attempts, Spelled, Target};

mod answer;
mod ask;
mod attempts;
mod caching;
mod charge;
mod failure;
mod fleet;
mod gate;
mod keeping;
mod limits;
mod meaning;
mod request;
mod respell;
mod response;
mod send;
mod service;
mod settle;
mod subject;
mod withheld;

use caching::{Caching, Wait};
use response::Relaying;
pub use service::{Fault, Service};

/// Where one exchange stands.
#[derive(Default)]
pub enum State {
    #[default]
    Start,
    /// No LLM call: nothing is looked at.
    Passing,
    /// The body of a call is awaited.
    Reading(Box<Reading>),
    /// The cache may have the answer soon: an identical request is in flight, or a second level is
    /// asked.
    Joining(Box<Joining>),
    /// A provider has the request.
    Waiting(Box<Routed>),
    /// The answer is an error; its body is awaited, to be told in the caller's dialect.
    Failing(Box<Failing>),
    /// The answer passes.
    Relaying(Box<Relaying>),
    /// The answer is written, or has passed; what is left is the log.
    Answered(Box<Ended>),
    /// Nothing of the request passes, and nobody is told of it any more.
    Closed,
}

/// Who asks for what.
#[derive(Debug)]
pub struct Call {
    id: RequestId,
    operation: Operation,
    dialect: Dialect,
    consumer: Option<ConsumerId>,
    client_ip: Option<IpAddr>,
    started: Timestamp,
    /// What this filter spent of it.
    spent: Spent,
    /// What limits leave the caller, for the answer's headers.
    standings: Standings,
    caching: Caching,
}

/// Nanoseconds of the filter's own work.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    request: u64,
    response: u64,
}

/// A call whose headers are read.
#[derive(Debug)]
pub struct Reading {
    call: Call,
    source: Source,
    headers: Pairs,
    /// The body may be nothing to read: its first bytes tell.
    peek: bool,
    /// Of the body that Envoy keeps.
    bytes: usize,
}

/// A request that is held back for the cache's sake.
#[derive(Debug)]
pub struct Joining {
    routed: Routed,
    ticket: Option<Ticket>,
    source: Source,
    wait: Wait,
}

/// A call that was sent on.
#[derive(Debug)]
pub struct Routed {
    call: Call,
    /// The model as the caller named it.
    asked: Box<str>,
    /// What may be tried, in order.
    hops: Box<[Hop]>,
    attempts: Attempts,
    stream: bool,
    /// The caller itself asked for the usage at the end of a stream.
    asked_for_usage: bool,
    /// Of the request's body.
    bytes: usize,
    /// What it may use at most, for providers that report nothing.
    estimate: Usage,
    /// The model works on it after it has answered.
    background: bool,
    /// The names that limits know its models by, if any asks for them.
    names: Spelled,
    /// What was taken from the limits until the truth is known.
    reservation: Option<Reservation>,
}

/// One attempt.
#[derive(Debug)]
struct Hop {
    target: Arc<Target>,
    /// What the provider calls the model.
    model: Box<str>,
}

/// An error answer of a provider whose body is awaited.
#[derive(Debug)]
pub struct Failing {
    routed: Routed,
    status: u16,
    /// Of the body that Envoy keeps.
    bytes: usize,
    since: Timestamp,
}

/// What is known when everything has been said.
#[derive(Debug)]
pub struct Ended {
    call: Call,
    asked: Option<Box<str>>,
    served: Option<Served>,
    /// Whose answer the cache had.
    cached: Option<Hop>,
    /// What the caller got; 0 if it left before.
    status: u16,
    error: Option<Problem>,
    usage: Option<(Usage, Quality)>,
    /// Of a stream.
    first_token: Option<Timestamp>,
    /// Filter state says all of this.
    published: bool,
}

/// Who answered, or was last asked to.
#[derive(Debug)]
struct Served {
    /// The attempts that were made, at least one.
    tried: Box<[Hop]>,
    /// Those that were not.
    left: usize,
    reservation: Option<Reservation>,
}

/// What went wrong, for logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    kind: Kind,
    code: &'static str,
    param: Option<Box<str>>,
}

impl State {
    #[must_use]
    pub fn step(self, service: &Service, event: Event, host: &impl Host) -> (Self, Flow) {
        // What needs no time of ours is not timed.
        match (self, event) {
            (Self::Passing | Self::Closed, Event::Log) => (Self::Closed, Flow::Continue),
            (Self::Passing, _) => (Self::Passing, Flow::Continue),
            // Our own replies come by too.
            (
                state @ (Self::Answered(_) | Self::Closed),
                Event::ResponseHeaders { .. }
                | Event::ResponseBody { .. }
                | Event::ResponseTrailers,
            ) => (state, Flow::Continue),
            (Self::Reading(reading), Event::RequestBody { size, end: false }) => {
                request::more(reading, service, size, host)
            }
            (state, event) => state.timed(service, event, host),
        }
    }

    fn timed(self, service: &Service, event: Event, host: &impl Host) -> (Self, Flow) {
        let began = host.now();
        if event == Event::Log {
            settle::settle(self, service, began, host);
            return (Self::Closed, Flow::Continue);
        }
        let (mut state, flow) = self.advance(service, event, began, host);
        // Tracing reads filter state before the log comes.
        if let Self::Answered(ended) = &mut state {
            settle::publish(ended, service, host);
        }
        if let Some(call) = state.call_mut() {
            call.spent.add(event, began, host.now());
        }
        (state, flow)
    }

    /// What is kept for this exchange, here or by the host.
    pub fn held(&self) -> Held {
        let held = match self {
            Self::Start | Self::Passing | Self::Closed => return Held::default(),
            Self::Reading(reading) => Held { here: reading.headers.size(), there: reading.bytes },
            Self::Joining(joining) => Held::there(joining.routed.bytes),
            // Envoy keeps it for the next attempt.
            Self::Waiting(routed) if routed.hops.len() > 1 => Held::there(routed.bytes),
            Self::Waiting(_) | Self::Answered(_) => Held::default(),
            Self::Failing(failing) => Held::there(failing.bytes),
            Self::Relaying(relaying) => relaying.held(),
        };
        held.and(Held::here(held::STREAM))
    }

    /// Whether this exchange waits for something that only time brings, and wants ticks.
    pub fn waits(&self) -> bool {
        match self {
            Self::Joining(joining) => matches!(joining.wait, Wait::Follow(_)),
            Self::Failing(_) => true,
            _ => false,
        }
    }

    /// The HTTP call of its own whose answer this exchange waits for.
    pub fn awaits(&self) -> Option<CallId> {
        let Self::Joining(joining) = self else { return None };
        match &joining.wait {
            Wait::Store(asking) => Some(asking.call()),
            Wait::Follow(_) => None,
        }
    }

    fn advance(
        self,
        service: &Service,
        event: Event,
        now: Timestamp,
        host: &impl Host,
    ) -> (Self, Flow) {
        match (self, event) {
            (Self::Start, Event::RequestHeaders { end }) => {
                request::headers(service, end, now, host)
            }
            (Self::Reading(reading), Event::RequestBody { size, end: true }) => {
                request::whole(reading, service, size, now, host)
            }
            (Self::Reading(reading), Event::RequestTrailers) => {
                let size = reading.bytes;
                request::whole(reading, service, size, now, host)
            }
            (Self::Joining(joining), Event::Tick | Event::Called(_)) => {
                caching::wake(joining, event, service, now, host)
            }
            (state @ Self::Joining(_), Event::RequestBody { .. } | Event::RequestTrailers) => {
                (state, Flow::Pause)
            }
            (Self::Joining(joining), Event::ResponseHeaders { .. }) => {
                failure::unread(joining.routed.call, Some(joining.routed.asked), host)
            }
            // Envoy answers itself before the body is there.
            (Self::Reading(reading), Event::ResponseHeaders { .. }) => {
                failure::unread(reading.call, None, host)
            }
            (Self::Waiting(routed), Event::ResponseHeaders { end }) => {
                response::headers(*routed, service, end, now, host)
            }
            (Self::Relaying(relaying), Event::ResponseBody { size, end }) => {
                response::body(relaying, service, size, end, now, host)
            }
            (Self::Relaying(relaying), Event::ResponseTrailers) => {
                response::trailers(relaying, service, now, host)
            }
            (Self::Failing(failing), Event::ResponseBody { size, end: false }) => {
                failure::more(failing, size, now, host)
            }
            (Self::Failing(failing), Event::Tick) => failure::late(failing, now, host),
            (
                Self::Failing(failing),
                Event::ResponseBody { end: true, .. } | Event::ResponseTrailers,
            ) => failure::body(*failing, service, now, host),
            // A part of a request whose headers were never seen.
            (Self::Start, Event::RequestBody { .. } | Event::RequestTrailers) => {
                (Self::Closed, closed::request(host))
            }
            // What is refused, or went on whole, has no more that could pass.
            (
                state,
                Event::RequestHeaders { .. } | Event::RequestBody { .. } | Event::RequestTrailers,
            ) => (state, Flow::Pause),
            // What nobody waits for any more resumes nothing.
            (state, Event::Tick | Event::Called(_)) => (state, Flow::Pause),
            // A filter before this one answers, before this one knew of the request.
            (Self::Start, _) => (Self::Closed, closed::answer(host)),
            (state, Event::Log) => (state, Flow::Continue),
            (state, _) => (state, closed::answer(host)),
        }
    }

    fn call_mut(&mut self) -> Option<&mut Call> {
        match self {
            Self::Start | Self::Passing | Self::Closed => None,
            Self::Reading(reading) => Some(&mut reading.call),
            Self::Joining(joining) => Some(&mut joining.routed.call),
            Self::Waiting(routed) => Some(&mut routed.call),
            Self::Failing(failing) => Some(&mut failing.routed.call),
            Self::Relaying(relaying) => Some(&mut relaying.routed.call),
            Self::Answered(ended) => Some(&mut ended.call),
        }
    }
}

impl Routed {
    /// The attempts that were made: all but those that are left.
    fn served(self, host: &impl Host) -> (Call, Box<str>, Served) {
        let mut tried = self.hops.into_vec();
        let mut left = 0;
        // Only a chain has to be asked.
        if tried.len() > 1 {
            left = handoff::Left::read(host).map_or(0, |left| left.steps().count());
            tried.truncate(tried.len().saturating_sub(left).max(1));
        }
        let served = Served { tried: tried.into(), left, reservation: self.reservation };
        (self.call, self.asked, served)
    }
}

impl Routed {
    /// Whether another than the first attempt answers.
    fn has_moved(&self, host: &impl Host) -> bool {
        let left = || handoff::Left::read(host).map_or(0, |left| left.steps().count());
        self.hops.len() > 1 && left().saturating_add(1) < self.hops.len()
    }
}

impl Served {
    fn last(&self) -> Option<&Hop> {
        self.tried.last()
    }

    fn target(&self) -> Option<&Target> {
        self.last().map(|hop| &*hop.target)
    }
}

impl Ended {
    /// A call that ends without an answer, or with one that the caller adds.
    fn of(call: Call) -> Self {
        Self {
            asked: None,
            served: None,
            cached: None,
            status: 0,
            error: None,
            usage: None,
            first_token: None,
            published: false,
            call,
        }
    }
}

impl Spent {
    fn add(&mut self, event: Event, began: Timestamp, now: Timestamp) {
        let phase = match event {
            Event::RequestHeaders { .. } | Event::RequestBody { .. } | Event::RequestTrailers => {
                &mut self.request
            }
            _ => &mut self.response,
        };
        *phase = phase.saturating_add(now.0.saturating_sub(began.0));
    }
}

#[cfg(test)]
mod tests;
