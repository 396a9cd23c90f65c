//! One direction of a stream through one role, as Envoy runs it: what a pausing filter holds back,
//! and what goes on when it continues.

use llm_gateway::host::fake::Fake;
use llm_gateway::host::{Buffer, Event, Flow, Map};

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Where a message is on its way through a role.
pub(crate) struct Pipe {
    side: Side,
    headers: Pairs,
    access: Access,
    /// The filter paused; this is what it sees of the body.
    held: Option<Vec<u8>>,
    /// It paused when trailers had ended the message.
    trailed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Held,
    Gone,
    Late,
}

/// One event of a message.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Headers(Pairs, bool),
    Body(Vec<u8>, bool),
    Trailers(Pairs),
}

impl Part {
    pub(crate) fn ends(&self) -> bool {
        match self {
            Self::Headers(_, end) | Self::Body(_, end) => *end,
            Self::Trailers(_) => true,
        }
    }
}

impl Pipe {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, headers: Vec::new(), access: Access::Held, held: None, trailed: false }
    }

    /// Hands a part to the role; returns its flow and what goes on because of it.
    pub(crate) fn pass(
        &mut self,
        part: Part,
        host: &Fake,
        step: &mut dyn FnMut(Event) -> Flow,
    ) -> (Flow, Vec<Part>) {
        match part {
            Part::Headers(headers, end) => {
                (self.headers, self.access) = (headers, Access::Held);
                self.install(host);
                host.take_body(self.buffer());
                let flow = step(self.event(&Part::Headers(Vec::new(), end), 0));
                self.headers = host.all_headers(self.map());
                match flow {
                    Flow::Continue => {
                        self.access = Access::Gone;
                        (flow, vec![Part::Headers(self.headers.clone(), end)])
                    }
                    Flow::Pause => {
                        self.held = Some(Vec::new());
                        (flow, Vec::new())
                    }
                }
            }
            Part::Body(chunk, end) => {
                self.install(host);
                let waited = self.held.is_some();
                let mut seen = self.held.take().unwrap_or_default();
                seen.extend(chunk);
                host.give_body(self.buffer(), &seen);
                let flow = step(self.event(&Part::Body(Vec::new(), end), seen.len()));
                let left = host.take_body(self.buffer()).unwrap_or_default();
                if flow == Flow::Pause {
                    self.headers = host.all_headers(self.map());
                    self.held = Some(left);
                    return (flow, Vec::new());
                }
                let mut out = self.release(waited, host);
                out.push(Part::Body(left, end));
                (flow, out)
            }
            Part::Trailers(trailers) => {
                self.install(host);
                host.give_headers(self.trailer_map(), trailers);
                let waited = self.held.is_some();
                if let Some(seen) = self.held.take() {
                    host.give_body(self.buffer(), &seen);
                }
                let flow = step(self.event(&Part::Trailers(Vec::new()), 0));
                let left = host.take_body(self.buffer());
                if flow == Flow::Pause {
                    self.held = Some(left.unwrap_or_default());
                    self.trailed = true;
                    return (flow, Vec::new());
                }
                let mut out = self.release(waited, host);
                out.extend(left.map(|left| Part::Body(left, false)));
                out.push(Part::Trailers(host.all_headers(self.trailer_map())));
                (flow, out)
            }
        }
    }

    /// Something that is no part of the message happens while the role holds the whole of it back.
    pub(crate) fn wake(
        &mut self,
        host: &Fake,
        step: &mut dyn FnMut() -> Flow,
    ) -> (Flow, Vec<Part>) {
        self.install(host);
        if let Some(seen) = &self.held {
            host.give_body(self.buffer(), seen);
        }
        let flow = step();
        let left = host.take_body(self.buffer()).unwrap_or_default();
        if flow == Flow::Pause || self.held.is_none() {
            self.headers = host.all_headers(self.map());
            return (flow, Vec::new());
        }
        self.held = None;
        let mut out = self.release(true, host);
        out.push(Part::Body(left, !self.trailed));
        if self.trailed {
            out.push(Part::Trailers(host.all_headers(self.trailer_map())));
        }
        (flow, out)
    }

    /// Shows the role what it holds back of this message, whatever happens meanwhile.
    pub(crate) fn show(&self, host: &Fake) {
        if let Some(held) = &self.held {
            self.install(host);
            host.give_body(self.buffer(), held);
        }
    }

    /// The headers as they are now.
    pub(crate) fn headers(&self) -> &Pairs {
        &self.headers
    }

    /// Lets held headers go on, which they do at most once.
    fn release(&mut self, waited: bool, host: &Fake) -> Vec<Part> {
        if !waited || self.access != Access::Held {
            return Vec::new();
        }
        self.headers = host.all_headers(self.map());
        self.access = Access::Late;
        vec![Part::Headers(self.headers.clone(), false)]
    }

    /// Both roles use one host: what it shows is this role's view.
    fn install(&self, host: &Fake) {
        host.give_headers(self.map(), self.headers.clone());
        match self.access {
            Access::Held => {}
            Access::Gone => host.send_on(self.map()),
            Access::Late => host.release(self.map()),
        }
    }

    fn event(&self, part: &Part, size: usize) -> Event {
        match (self.side, part) {
            (Side::Request, Part::Headers(_, end)) => Event::RequestHeaders { end: *end },
            (Side::Request, Part::Body(_, end)) => Event::RequestBody { size, end: *end },
            (Side::Request, Part::Trailers(_)) => Event::RequestTrailers,
            (Side::Response, Part::Headers(_, end)) => Event::ResponseHeaders { end: *end },
            (Side::Response, Part::Body(_, end)) => Event::ResponseBody { size, end: *end },
            (Side::Response, Part::Trailers(_)) => Event::ResponseTrailers,
        }
    }

    fn map(&self) -> Map {
        match self.side {
            Side::Request => Map::RequestHeaders,
            Side::Response => Map::ResponseHeaders,
        }
    }

    fn trailer_map(&self) -> Map {
        match self.side {
            Side::Request => Map::RequestTrailers,
            Side::Response => Map::ResponseTrailers,
        }
    }

    fn buffer(&self) -> Buffer {
        match self.side {
            Side::Request => Buffer::RequestBody,
            Side::Response => Buffer::ResponseBody,
        }
    }
}
