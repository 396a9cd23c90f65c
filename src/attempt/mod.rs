//! The provider role: one attempt at one provider, inside its cluster.
//!
//! It runs once per attempt, on the request as the attempt before left it. So it first puts back
//! what others changed, then makes the request this provider's: path, authority, credentials,
//! headers, model and protocol. It never knows who is calling, and it keeps nothing between attempts
//! but what [`original`] notes.
//!
//! [`request`] is the way there, [`response`] the way back. A provider that knows the client's
//! protocol is not translated: then there is nothing to do on the way back, unless another attempt
//! could still take over a stream that fails before it says anything.
//!
//! Every cluster that a chain can reach needs this role, if only to put things back: one without it
//! would get the request as the attempt before left it, with that provider's credential.

use std::rc::Rc;

use crate::closed;
use crate::config;
use crate::error::{Dialect, Error, Retry};
use crate::held::{self, Held, Ledger, OVERLOADED};
use crate::host::{Event, Flow, Host, Map, Pairs, SafeValue, Status};
use crate::protocol::Operation;
use crate::protocol::probe::Source;
use crate::translate::Call;

pub mod original;
mod path;
mod request;
mod response;
pub mod way;

use original::Original;
use response::Answering;

/// One loaded configuration of this role.
#[derive(Debug)]
pub struct Service {
    pub(crate) provider: config::Provider,
    /// What this worker holds.
    ledger: Rc<Ledger>,
}

impl Service {
    pub fn new(provider: config::Provider, ledger: &Rc<Ledger>) -> Self {
        Self { provider, ledger: ledger.clone() }
    }

    pub fn ledger(&self) -> &Rc<Ledger> {
        &self.ledger
    }
}

/// Where one attempt stands.
#[derive(Default)]
pub enum State {
    #[default]
    Start,
    /// The body is awaited, since it has to change.
    Reading(Box<Reading>),
    /// The provider has the request, and its answer will need work.
    Waiting(Box<Waiting>),
    /// The answer is being read.
    Answering(Box<Answering>),
    /// The answer was replaced; what still comes of it is dropped.
    Muted,
    /// Nothing is left to do: what follows passes.
    Done,
    /// The request was refused: nothing of it passes.
    Refused,
}

/// A request whose body has to change.
#[derive(Debug)]
pub struct Reading {
    change: Change,
    then: Waiting,
    /// Of the body that Envoy keeps.
    bytes: usize,
}

#[derive(Debug)]
enum Change {
    /// This provider has another name for the model, or refuses what others have left in the
    /// conversation.
    Edit {
        model: Option<Box<str>>,
        source: Source,
        repairs: bool,
    },
    Translate(Box<Translating>),
}

/// A call to be translated, with the headers as they were when this attempt began.
#[derive(Debug)]
struct Translating {
    call: Call,
    headers: Pairs,
    original: Original,
}

/// A request at its provider.
#[derive(Debug)]
pub struct Waiting {
    operation: Operation,
    request_id: Box<str>,
    /// There for an answer that has to be translated.
    call: Option<Box<Call>>,
    /// The attempts that are left, this one included; 0 where there is no chain.
    left: usize,
    /// This role put in the credential.
    is_ours: bool,
    /// A refusal of the key looks like one of the request, in the client's own protocol.
    doubts_refusals: bool,
    /// What of the request the provider was not told.
    warnings: Vec<std::borrow::Cow<'static, str>>,
}

impl State {
    #[must_use]
    pub fn step(self, service: &Service, event: Event, host: &impl Host) -> (Self, Flow) {
        match (self, event) {
            (Self::Start, Event::RequestHeaders { end }) => request::headers(service, end, host),
            (Self::Reading(reading), Event::RequestBody { size, end }) => {
                request::part(reading, size, end, service, host)
            }
            (Self::Reading(reading), Event::RequestTrailers) => {
                let size = reading.bytes;
                request::part(reading, size, true, service, host)
            }
            (Self::Waiting(waiting), Event::ResponseHeaders { end }) => {
                response::headers(*waiting, end, &service.provider.forward_headers, host)
            }
            (Self::Answering(answering), Event::ResponseBody { size, end }) => {
                response::body(answering, service, Some(size), end, host)
            }
            (Self::Answering(answering), Event::ResponseTrailers) => {
                response::body(answering, service, None, true, host)
            }
            (Self::Muted, Event::ResponseBody { .. }) => {
                response::mute(host);
                (Self::Muted, Flow::Continue)
            }
            // A part of a request whose headers were never seen, and so are not this provider's.
            (Self::Start, Event::RequestBody { .. } | Event::RequestTrailers) => {
                (Self::Refused, closed::request(host))
            }
            // Headers do not come twice, and nothing follows a refusal or a body that is awaited.
            (
                state @ (Self::Refused | Self::Reading(_)),
                Event::RequestHeaders { .. } | Event::RequestBody { .. } | Event::RequestTrailers,
            )
            | (state, Event::RequestHeaders { .. } | Event::Tick | Event::Called(_)) => {
                (state, Flow::Pause)
            }
            // The request is this provider's: its body passes as it comes. So does an answer that
            // needs no work, and that of a filter before this one.
            (state, _) => (state, Flow::Continue),
        }
    }
}

impl State {
    /// What is kept for this attempt, here or by the host.
    pub fn held(&self) -> Held {
        let held = match self {
            Self::Start | Self::Done | Self::Refused | Self::Muted => return Held::default(),
            Self::Reading(reading) => {
                let here = match &reading.change {
                    Change::Translate(translating) => translating.headers.size(),
                    Change::Edit { .. } => 0,
                };
                Held { here, there: reading.bytes }
            }
            Self::Waiting(waiting) => {
                Held::here(waiting.call.as_ref().map_or(0, |call| call.kept()))
            }
            Self::Answering(answering) => answering.held(),
        };
        held.and(Held::here(held::STREAM))
    }
}

impl Waiting {
    fn dialect(&self) -> Dialect {
        self.operation.dialect()
    }

    /// Whether another attempt can follow.
    fn can_fail_over(&self) -> bool {
        self.left > 1
    }

    /// Whether the answer needs work beside its headers.
    fn is_read(&self) -> bool {
        self.call.is_some() || self.can_fail_over() || self.doubts_refusals
    }

    /// What follows once the request is on its way.
    fn next(self) -> State {
        // The gateway role sees the answers to calls; of what only passes it sees nothing.
        if self.is_read() || self.operation == Operation::Other {
            State::Waiting(Box::new(self))
        } else {
            State::Done
        }
    }

    /// Ends the attempt, and with it the request: what this provider cannot be asked, the caller
    /// has to ask otherwise.
    fn refuse(&self, error: &Error, host: &impl Host) -> (State, Flow) {
        let body = error.body(self.dialect(), &self.request_id);
        // The code for logs is told, too, where it says more than the kind.
        let details = match error.code {
            Some(OVERLOADED) => held::DETAILS.to_owned(),
            _ => format!("llm_{}", error.kind.row().label),
        };
        let mut headers = vec![("content-type", SafeValue::literal("application/json"))];
        if let Retry::AfterMillis(_) = error.retry {
            headers.extend(A_SECOND);
        }
        tell(host.reply(error.status(), &details, &headers, &body), "reply", host);
        (State::Refused, Flow::Pause)
    }
}

/// Sets a header, or removes it. A value that could inject a header is not written.
fn write(map: Map, name: &str, value: Option<&[u8]>, host: &impl Host) -> Result<(), Status> {
    match value.and_then(SafeValue::new) {
        Some(value) => host.set_header(map, name, value),
        None => host.remove_header(map, name.as_bytes()),
    }
}

fn tell(outcome: Result<(), Status>, what: &str, host: &impl Host) {
    if let Err(status) = outcome {
        host.log(log::Level::Error, &format!("{what}: {status}"));
    }
}

/// When a refusal for want of room may be tried again.
const A_SECOND: [(&str, SafeValue<'_>); 2] =
    [("retry-after", SafeValue::literal("1")), ("retry-after-ms", SafeValue::literal("1000"))];

/// The prefix of headers that are between the two roles only.
const INTERNAL: &[u8] = b"x-llm-";

#[cfg(test)]
mod tests;
