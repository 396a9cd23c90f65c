//! One worker: what happens to its stream, as Envoy would have it happen.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use llm_gateway::held::{Held, Hold};
use llm_gateway::host::fake::Fake;
use llm_gateway::host::{Buffer, Event, Map, Status};
use llm_gateway::{attempt, exchange};

use crate::always;
use crate::expect;
use crate::file::{Answer, Attempt, Called, End, Request, Step};
use crate::parts::{Cut, answer_parts, bodies, body, call, pairs, reply_parts, request_headers};
use crate::pipe::{Part, Side};
use crate::player::SecondLevel;
use crate::stream::{Received, Seen, Stream, Try, find};

pub(crate) struct Worker {
    pub(crate) host: Fake,
    service: exchange::Service,
    clusters: BTreeMap<String, attempt::Service>,
    second_level: SecondLevel,
    /// What streams that are not told of hold.
    others: Hold,
    others_hold: usize,
    pub(crate) stream: Option<Stream>,
    /// How many names of metrics were looked at.
    pub(crate) names: Cell<usize>,
}

impl Worker {
    pub(crate) fn new(
        host: Fake,
        service: exchange::Service,
        clusters: BTreeMap<String, attempt::Service>,
        second_level: SecondLevel,
    ) -> Self {
        let others = Hold::new(service.ledger());
        Self {
            host,
            service,
            clusters,
            second_level,
            others,
            others_hold: 0,
            stream: None,
            names: Cell::new(0),
        }
    }

    pub(crate) fn step(&mut self, step: &Step, cut: Cut) -> Result<(), String> {
        if let Some(stream) = &mut self.stream {
            stream.seen = Seen { first_line: self.host.log_length(), ..Seen::default() };
        }
        if let Some(ms) = step.advance_ms {
            self.host.advance(Duration::from_millis(ms));
        }
        for name in &step.fail {
            self.host.fail_next(call(name)?, Status::InternalFailure);
        }
        self.host.collide(step.collide.unwrap_or(0));
        if let Some(bytes) = step.others_hold {
            self.others.set(Held::there(bytes));
            self.others_hold = bytes;
        }
        if let Some(request) = &step.request {
            self.begin(request)?;
        }
        if let Some(upload) = &step.upload {
            let chunks = upload.chunks.iter().map(|chunk| chunk.bytes().to_vec()).collect();
            self.upload(bodies(chunks, upload.open, false))?;
        }
        if let Some(called) = &step.called {
            self.called(called)?;
        }
        if step.tick {
            if self.stream.as_ref().is_some_and(Stream::waits) {
                self.wake(Event::Tick)?;
            }
            self.service.tick(&self.host);
        }
        for (number, attempt) in step.attempts.iter().enumerate() {
            let last = number + 1 == step.attempts.len();
            self.attempt(attempt, last, cut)
                .map_err(|why| format!("attempt {}: {why}", number + 1))?;
        }
        if let Some(answer) = &step.answer {
            self.answer(answer, cut)?;
        }
        if let Some(code) = step.code {
            let code = u64::from(code).to_le_bytes();
            self.host.give_property(&["response", "code"], &code);
        }
        match &step.end {
            Some(End::Plain(true)) => self.end(None),
            Some(End::Details(details)) => self.end(Some(details)),
            Some(End::Plain(false)) | None => {}
        }
        self.keep_stored();
        always::check(self)?;
        expect::compare(&step.expect, self)
    }

    /// The filter's own request is answered.
    fn called(&mut self, called: &Called) -> Result<(), String> {
        let calls = self.host.sent_calls();
        let asked = calls.iter().rfind(|call| call.id.is_some());
        let asked = asked.ok_or("the filter asked for nothing")?;
        let name = expect::header(asked, ":path");
        let name = name.trim_start_matches("/GET/").trim_end_matches(".bin");
        let stored = self.second_level.borrow().get(name).cloned();
        let (status, mut body) = match (called.by_store, stored) {
            (true, Some(stored)) => (Some(200), stored),
            (true, None) => (Some(404), Vec::new()),
            (false, _) => {
                (called.status, called.body.as_ref().map_or(Vec::new(), |b| b.bytes().to_vec()))
            }
        };
        body.truncate(body.len().saturating_sub(called.lost));
        let headers = status.map(|status| (":status", status.to_string()));
        self.host.give_headers(Map::CallHeaders, headers);
        self.host.give_body(Buffer::CallBody, &body);
        self.wake(Event::Called(asked.id.unwrap()))
    }

    /// What the filter gave to the second level, by key.
    fn keep_stored(&self) {
        for call in self.host.sent_calls().iter().filter(|call| call.id.is_none()) {
            let path = expect::header(call, ":path");
            let name = path.trim_start_matches("/PSETEX/").rsplit_once('/').unwrap().0;
            self.second_level.borrow_mut().insert(name.to_owned(), call.body.clone());
        }
    }

    /// Something happens while the request is held back.
    fn wake(&mut self, event: Event) -> Result<(), String> {
        let Self { host, service, stream, .. } = &mut *self;
        let stream = stream.as_mut().ok_or("there is no request")?;
        for part in stream.wake(event, service, host) {
            stream.sent.add(part);
        }
        stream.left = stream.request.headers().clone();
        self.replied().map(drop)
    }

    /// A new stream; the one before has ended.
    fn begin(&mut self, request: &Request) -> Result<(), String> {
        self.finish()?;
        self.host.start_stream();
        self.stream = Some(Stream::new(self.host.log_length(), &self.service));
        let from = request.from.as_deref().unwrap_or("192.0.2.1:4711");
        self.host.give_property(&["source", "address"], from.as_bytes());
        let given = [
            (["xds", "cluster_name"], &request.route),
            (["connection", "sha256_peer_certificate_digest"], &request.certificate),
        ];
        for (path, value) in given {
            if let Some(value) = value {
                self.host.give_property(&path, value.as_bytes());
            }
        }
        let chunks = body(&request.body, &request.chunks);
        let whole = request.trailers.is_none();
        let mut parts = vec![Part::Headers(request_headers(request), chunks.is_empty() && whole)];
        if !chunks.is_empty() {
            parts.extend(bodies(chunks, request.open || !whole, request.end_apart));
        }
        parts.extend(request.trailers.as_ref().map(|trailers| Part::Trailers(pairs(trailers))));
        self.upload(parts)?;
        if request.waits_for_host {
            self.host.give_property(&["upstream", "local_address"], b"");
        }
        Ok(())
    }

    fn upload(&mut self, parts: Vec<Part>) -> Result<(), String> {
        for part in parts {
            let Self { host, service, stream, .. } = &mut *self;
            let stream = stream.as_mut().ok_or("there is no request")?;
            for part in stream.gateway(Side::Request, part, service, host) {
                stream.sent.add(part);
            }
            stream.left = stream.request.headers().clone();
            if self.replied()? {
                return Ok(());
            }
        }
        // What has gone on whole has reached a host, unless a step says otherwise.
        if self.stream.as_ref().is_some_and(|stream| stream.sent.ended) {
            self.host.give_property(&["upstream", "local_address"], b"127.0.0.1:80");
        }
        Ok(())
    }

    /// The gateway's own reply, if there is a new one, on its way to the client.
    fn replied(&mut self) -> Result<bool, String> {
        let Self { host, service, stream, .. } = self;
        let stream = stream.as_mut().ok_or("there is no request")?;
        let replies = host.replies();
        let Some(reply) = replies.get(stream.replies) else { return Ok(false) };
        stream.replies = replies.len();
        host.give_property(&["response", "code_details"], reply.details.as_bytes());
        let parts = reply_parts(reply);
        // A reply of the response phase does not pass the filter that made it.
        let passes = !std::mem::replace(&mut stream.answering, true);
        stream.got = Received { details: Some(reply.details.clone()), ..Received::default() };
        for part in parts {
            let out = match passes {
                true => stream.gateway(Side::Response, part, service, host),
                false => vec![part],
            };
            out.into_iter().for_each(|part| stream.got.add(part));
        }
        if !stream.got.ended {
            return Err("the gateway held its own reply back".to_owned());
        }
        Ok(true)
    }

    /// Envoy's router makes an attempt.
    fn attempt(&mut self, attempt: &Attempt, last: bool, cut: Cut) -> Result<(), String> {
        let Self { host, clusters, stream, .. } = &mut *self;
        let stream = stream.as_mut().ok_or("there is no request")?;
        let cluster = host.filter_state("llm_cluster").unwrap_or_default();
        if cluster != attempt.cluster.as_bytes() {
            let cluster = String::from_utf8_lossy(&cluster);
            return Err(format!("filter state names cluster {cluster:?}"));
        }
        let sent = stream.sent.headers.as_ref().ok_or("nothing was sent on")?;
        let retries: usize = find(sent, "x-envoy-max-retries").map_or(0, |n| n.parse().unwrap());
        if stream.attempts > retries {
            return Err(format!("x-envoy-max-retries allows {retries}"));
        }
        stream.attempts += 1;
        let mut seen = Received::default();
        host.reset_calls();
        // The router has read its instructions, and takes them away.
        stream.left.retain(|(name, _)| !INSTRUCTIONS.contains(&name.as_slice()));
        let parts = stream.sent.parts(&stream.left);
        stream.attempt = None;
        if let Some(service) = clusters.get(&attempt.cluster) {
            let mut made = Try::new(&attempt.cluster, service);
            for part in parts {
                let out = made.pass(Side::Request, part, service, host);
                out.into_iter().for_each(|part| seen.add(part));
            }
            stream.left = made.request.headers().clone();
            stream.attempt = Some(made);
        } else {
            parts.into_iter().for_each(|part| seen.add(part));
        }
        let calls = host.all_calls();
        // What the provider role itself answers is final: Envoy does not retry it.
        let replies = host.replies();
        if let Some(reply) = replies.get(stream.replies) {
            stream.replies = replies.len();
            let details = reply.details.clone();
            return self.deliver(reply_parts(reply), &details);
        }
        if attempt.calls.is_some_and(|expected| expected != calls) {
            return Err(format!("{calls} host calls, expected {:?}", attempt.calls));
        }
        seen.check_length().map_err(|why| format!("to the provider: {why}"))?;
        let internal = |(name, _): &&(Vec<u8>, Vec<u8>)| name.starts_with(b"x-llm-");
        if stream.attempt.is_some()
            && let Some((name, _)) = seen.headers.iter().flatten().find(internal)
        {
            return Err(format!("the provider sees {}", String::from_utf8_lossy(name)));
        }
        expect::message(&attempt.sees, &seen, "the provider sees")?;
        match &attempt.answer {
            Some(answer) if last => self.answer(answer, cut),
            Some(answer) => {
                self.back(answer, cut)?;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// An answer through the provider role, if the last attempt had one.
    fn back(&mut self, answer: &Answer, cut: Cut) -> Result<Vec<Part>, String> {
        let Self { host, clusters, stream, .. } = self;
        let stream = stream.as_mut().ok_or("there is no request")?;
        let parts = answer_parts(answer, cut);
        let Some(made) = stream.attempt.as_mut().filter(|_| answer.details.is_none()) else {
            return Ok(parts);
        };
        let service = clusters.get(&made.cluster).ok_or("no such cluster")?;
        Ok(parts
            .into_iter()
            .flat_map(|part| made.pass(Side::Response, part, service, host))
            .collect())
    }

    fn answer(&mut self, answer: &Answer, cut: Cut) -> Result<(), String> {
        let parts = self.back(answer, cut)?;
        let stream = self.stream.as_mut().ok_or("there is no request")?;
        // What the provider role answers itself takes the place of what came.
        let replies = self.host.replies();
        if let Some(reply) = replies.get(stream.replies) {
            stream.replies = replies.len();
            let details = reply.details.clone();
            return self.deliver(reply_parts(reply), &details);
        }
        self.deliver(parts, answer.details.as_deref().unwrap_or("via_upstream"))
    }

    /// An answer reaches the gateway role.
    fn deliver(&mut self, parts: Vec<Part>, details: &str) -> Result<(), String> {
        self.host.give_property(&["response", "code_details"], details.as_bytes());
        for part in parts {
            let Self { host, service, stream, .. } = &mut *self;
            let stream = stream.as_mut().ok_or("there is no request")?;
            stream.answering = true;
            for part in stream.gateway(Side::Response, part, service, host) {
                stream.got.add(part);
            }
            if self.replied()? {
                break;
            }
        }
        Ok(())
    }

    fn end(&mut self, details: Option<&str>) {
        let Self { host, service, clusters, stream, .. } = self;
        let Some(stream) = stream.as_mut().filter(|stream| !stream.ended) else { return };
        if let Some(details) = details {
            host.give_property(&["response", "code_details"], details.as_bytes());
        }
        if let Some(made) = &mut stream.attempt
            && let Some(service) = clusters.get(&made.cluster)
        {
            made.state = std::mem::take(&mut made.state).step(service, Event::Log, host).0;
        }
        host.end_stream();
        host.reset_calls();
        stream.state = std::mem::take(&mut stream.state).step(service, Event::Log, host).0;
        stream.seen.calls += host.all_calls();
        stream.ended = true;
    }

    pub(crate) fn finish(&mut self) -> Result<(), String> {
        self.end(None);
        always::check(self)?;
        self.stream = None;
        let ledger = self.service.ledger();
        match ledger.held().saturating_sub(self.others_hold) {
            0 => Ok(()),
            held => Err(format!("{held} bytes are held when all is over")),
        }
    }
}

const INSTRUCTIONS: [&[u8]; 4] = [
    b"x-envoy-max-retries",
    b"x-envoy-retriable-status-codes",
    b"x-envoy-retry-on",
    b"x-envoy-upstream-rq-per-try-timeout-ms",
];
