//! One exchange, with what came out of both roles.

use llm_gateway::held::Hold;
use llm_gateway::host::fake::Fake;
use llm_gateway::host::{Event, Flow};
use llm_gateway::{attempt, exchange};

use crate::pipe::{Pairs, Part, Pipe, Side};

/// One exchange, with what came out of the gateway on both sides.
pub(crate) struct Stream {
    pub(crate) state: exchange::State,
    hold: Hold,
    pub(crate) request: Pipe,
    pub(crate) response: Pipe,
    /// To a provider.
    pub(crate) sent: Received,
    /// To the client.
    pub(crate) got: Received,
    pub(crate) attempt: Option<Try>,
    /// The request's headers as the last attempt left them.
    pub(crate) left: Pairs,
    pub(crate) attempts: usize,
    pub(crate) replies: usize,
    pub(crate) answering: bool,
    pub(crate) ended: bool,
    pub(crate) seen: Seen,
}

/// What happened in one step.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) flows: Vec<Flow>,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) calls: u64,
    pub(crate) first_line: usize,
}

#[derive(Default)]
pub(crate) struct Received {
    pub(crate) headers: Option<Pairs>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Pairs>,
    pub(crate) ended: bool,
    pub(crate) details: Option<String>,
}

pub(crate) struct Try {
    pub(crate) state: attempt::State,
    hold: Hold,
    pub(crate) cluster: String,
    pub(crate) request: Pipe,
    pub(crate) response: Pipe,
}

impl Stream {
    pub(crate) fn new(first_line: usize, service: &exchange::Service) -> Self {
        Self {
            state: exchange::State::default(),
            hold: Hold::new(service.ledger()),
            request: Pipe::new(Side::Request),
            response: Pipe::new(Side::Response),
            sent: Received::default(),
            got: Received::default(),
            attempt: None,
            left: Vec::new(),
            attempts: 0,
            replies: 0,
            answering: false,
            ended: false,
            seen: Seen { first_line, ..Seen::default() },
        }
    }

    /// Hands a part to the gateway role.
    pub(crate) fn gateway(
        &mut self,
        side: Side,
        part: Part,
        service: &exchange::Service,
        host: &Fake,
    ) -> Vec<Part> {
        let Self { state, hold, request, response, seen, .. } = self;
        let pipe = if side == Side::Request { request } else { response };
        host.reset_calls();
        let (flow, out) = pipe.pass(part, host, &mut |event| {
            let (next, flow) = std::mem::take(state).step(service, event, host);
            hold.set(next.held());
            *state = next;
            flow
        });
        seen.calls += host.all_calls();
        seen.flows.push(flow);
        if side == Side::Response {
            for part in &out {
                if let Part::Body(bytes, _) = part {
                    seen.pieces.push(bytes.clone());
                }
            }
        }
        out
    }
}

impl Stream {
    pub(crate) fn waits(&self) -> bool {
        self.state.waits()
    }

    /// Something happens while the gateway role holds the request back.
    pub(crate) fn wake(
        &mut self,
        event: Event,
        service: &exchange::Service,
        host: &Fake,
    ) -> Vec<Part> {
        let Self { state, hold, request, response, seen, .. } = self;
        response.show(host);
        host.reset_calls();
        let (flow, out) = request.wake(host, &mut || {
            let (next, flow) = std::mem::take(state).step(service, event, host);
            hold.set(next.held());
            *state = next;
            flow
        });
        seen.calls += host.all_calls();
        seen.flows.push(flow);
        out
    }
}

impl Try {
    pub(crate) fn new(cluster: &str, service: &attempt::Service) -> Self {
        Self {
            state: attempt::State::default(),
            hold: Hold::new(service.ledger()),
            cluster: cluster.to_owned(),
            request: Pipe::new(Side::Request),
            response: Pipe::new(Side::Response),
        }
    }

    pub(crate) fn pass(
        &mut self,
        side: Side,
        part: Part,
        service: &attempt::Service,
        host: &Fake,
    ) -> Vec<Part> {
        let Self { state, hold, request, response, .. } = self;
        let pipe = if side == Side::Request { request } else { response };
        let mut step = |event| {
            let (next, flow) = std::mem::take(state).step(service, event, host);
            hold.set(next.held());
            *state = next;
            flow
        };
        pipe.pass(part, host, &mut step).1
    }
}

impl Received {
    pub(crate) fn add(&mut self, part: Part) {
        self.ended |= part.ends();
        match part {
            Part::Headers(headers, _) => self.headers = Some(headers),
            Part::Body(bytes, _) => self.body.extend(bytes),
            Part::Trailers(trailers) => self.trailers = Some(trailers),
        }
    }

    /// The same again for an attempt, with the headers as the one before left them.
    pub(crate) fn parts(&self, headers: &Pairs) -> Vec<Part> {
        let has_body = !self.body.is_empty();
        let mut parts = vec![Part::Headers(headers.clone(), !has_body && self.trailers.is_none())];
        if has_body {
            parts.push(Part::Body(self.body.clone(), self.trailers.is_none()));
        }
        parts.extend(self.trailers.clone().map(Part::Trailers));
        parts
    }

    pub(crate) fn check_length(&self) -> Result<(), String> {
        let length = self.headers.as_ref().and_then(|headers| find(headers, "content-length"));
        match length {
            Some(length) if self.ended && length != self.body.len().to_string() => {
                Err(format!("content-length {length} of {} bytes", self.body.len()))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn find(headers: &Pairs, name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(n, _)| n == name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}
