//! Plays a case. What holds for every exchange is checked here, whatever the case expects:
//!
//! - a `content-length` that goes on is the length of what goes on;
//! - no header is edited in vain, and no line of level error is logged;
//! - no `x-llm-` header reaches a provider;
//! - an answer names the request as filter state does;
//! - when all is over nobody waits for an answer that nobody brings;
//! - [`SECRET`], [`PROMPT`] and [`COMPLETION`] never turn up where they must not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use llm_gateway::config::{Gateway, Provider};
use llm_gateway::host::fake::{Call, Fake};
use llm_gateway::host::{Buffer, Event, Flow, Map, SharedStore, Status};
use llm_gateway::{attempt, exchange};
use serde_json::Value;

use crate::expect;
use crate::file::{Answer, Attempt, Body, Called, Case, End, File, Headers, Request, Step};
use crate::pipe::{Pairs, Part, Pipe, Side};

/// Marks a credential, of a caller or a provider.
pub(crate) const SECRET: &str = "s3cr3t";
/// Marks what a caller says to a model.
pub(crate) const PROMPT: &str = "pr0mpt";
/// Marks what a model says.
pub(crate) const COMPLETION: &str = "c0mpl3t1on";

/// What the value of a lease begins with while its holder is on its way.
const RUNNING: u8 = 1;

/// Plays the case, with every cut of its answer if it asks for that.
pub(crate) fn play(file: &File, case: &Case) -> Result<(), String> {
    let cut = |step: &Step| {
        let answers = step.attempts.iter().filter_map(|attempt| attempt.answer.as_ref());
        let mut answers = answers.chain(&step.answer).filter(|answer| answer.cut_everywhere);
        answers.next().map(|answer| body(&answer.body, &answer.chunks).concat().len())
    };
    play_once(file, case, Cut::AsWritten)?;
    let Some(length) = case.steps.iter().find_map(cut) else { return Ok(()) };
    let cuts = (1..length).map(Cut::At).chain([Cut::EachByte]);
    cuts.into_iter().try_for_each(|cut| {
        play_once(file, case, cut).map_err(|why| format!("answer cut {cut:?}: {why}"))
    })
}

/// How an answer's body comes that asks for cuts.
#[derive(Clone, Copy, Debug)]
enum Cut {
    AsWritten,
    At(usize),
    EachByte,
}

fn play_once(file: &File, case: &Case, cut: Cut) -> Result<(), String> {
    let mut process = Process::new(file, case)?;
    let mut worker = 0;
    for (number, step) in case.steps.iter().enumerate() {
        worker = step.worker.unwrap_or(worker);
        process
            .worker(worker)
            .and_then(|worker| worker.step(step, cut))
            .map_err(|why| format!("step {}: {why}", number + 1))?;
    }
    process.workers.iter_mut().try_for_each(Worker::finish)?;
    process.check_leases()
}

struct Process {
    second_level: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    gateway: Vec<u8>,
    clusters: BTreeMap<String, Vec<u8>>,
    env: BTreeMap<String, String>,
    workers: Vec<Worker>,
}

impl Process {
    fn new(file: &File, case: &Case) -> Result<Self, String> {
        let merged = |shared: &BTreeMap<String, Value>, own: &BTreeMap<String, Value>| {
            let mut all = shared.clone();
            all.extend(own.clone());
            all.retain(|_, section| !section.is_null());
            all
        };
        let clusters = merged(&file.clusters, &case.clusters).into_iter();
        let mut process = Self {
            second_level: Rc::default(),
            gateway: serde_json::to_vec(&merged(&file.gateway, &case.gateway)).unwrap(),
            clusters: clusters.map(|(name, config)| (name, config.to_string().into())).collect(),
            env: file.env.clone(),
            workers: Vec::new(),
        };
        process.worker(0).map(drop)?;
        Ok(process)
    }

    fn worker(&mut self, number: usize) -> Result<&mut Worker, String> {
        while self.workers.len() <= number {
            let host = self.workers.first().map_or_else(Fake::new, |first| first.host.worker());
            let config = Gateway::from_bytes(&self.gateway).map_err(|why| why.to_string())?;
            let service = exchange::Service::open(config, &host).map_err(|why| why.to_string())?;
            let mut clusters = BTreeMap::new();
            for (cluster, config) in &self.clusters {
                let provider = Provider::from_bytes(config, &|name| self.env.get(name).cloned())
                    .map_err(|why| format!("cluster {cluster}: {why}"))?;
                clusters.insert(cluster.clone(), attempt::Service { provider });
            }
            let second_level = Rc::clone(&self.second_level);
            self.workers.push(Worker { host, service, clusters, second_level, stream: None });
        }
        Ok(&mut self.workers[number])
    }

    fn check_leases(&self) -> Result<(), String> {
        let host = &self.workers[0].host;
        for key in host.shared_keys() {
            let value = host.load(&key).unwrap().value.unwrap_or_default();
            if key.starts_with(b"llm-cache:v1:f") && value.first() == Some(&RUNNING) {
                return Err("a lease was left behind".to_owned());
            }
        }
        Ok(())
    }
}

pub(crate) struct Worker {
    pub(crate) host: Fake,
    service: exchange::Service,
    clusters: BTreeMap<String, attempt::Service>,
    second_level: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    pub(crate) stream: Option<Stream>,
}

/// One exchange, with what came out of the gateway on both sides.
pub(crate) struct Stream {
    state: exchange::State,
    request: Pipe,
    response: Pipe,
    /// To a provider.
    pub(crate) sent: Received,
    /// To the client.
    pub(crate) got: Received,
    attempt: Option<Try>,
    /// The request's headers as the last attempt left them.
    left: Pairs,
    attempts: usize,
    replies: usize,
    answering: bool,
    ended: bool,
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

struct Try {
    state: attempt::State,
    cluster: String,
    request: Pipe,
    response: Pipe,
}

impl Worker {
    fn step(&mut self, step: &Step, cut: Cut) -> Result<(), String> {
        if let Some(stream) = &mut self.stream {
            stream.seen = Seen { first_line: self.host.log_lines().len(), ..Seen::default() };
        }
        if let Some(ms) = step.advance_ms {
            self.host.advance(Duration::from_millis(ms));
        }
        for name in &step.fail {
            self.host.fail_next(call(name)?, Status::InternalFailure);
        }
        self.host.collide(step.collide.unwrap_or(0));
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
        match &step.end {
            Some(End::Plain(true)) => self.end(None),
            Some(End::Details(details)) => self.end(Some(details)),
            Some(End::Plain(false)) | None => {}
        }
        self.keep_stored();
        self.check()?;
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
        self.stream = Some(Stream::new(self.host.log_lines().len()));
        let from = request.from.as_deref().unwrap_or("192.0.2.1:4711");
        self.host.give_property(&["source", "address"], from.as_bytes());
        let chunks = body(&request.body, &request.chunks);
        let whole = request.trailers.is_none();
        let mut parts = vec![Part::Headers(request_headers(request), chunks.is_empty() && whole)];
        if !chunks.is_empty() {
            parts.extend(bodies(chunks, request.open || !whole, request.end_apart));
        }
        parts.extend(request.trailers.as_ref().map(|trailers| Part::Trailers(pairs(trailers))));
        self.upload(parts)
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
                break;
            }
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
        let length = reply.body.len().to_string();
        let mut headers = vec![
            (b":status".to_vec(), reply.status.to_string().into_bytes()),
            (b"content-length".to_vec(), length.into_bytes()),
        ];
        headers.extend(reply.headers.iter().map(|(n, v)| (n.clone().into_bytes(), v.clone())));
        host.give_property(&["response", "code_details"], reply.details.as_bytes());
        let parts = [Part::Headers(headers, false), Part::Body(reply.body.clone(), true)];
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
        let parts = stream.sent.parts(&stream.left);
        stream.attempt = None;
        if let Some(service) = clusters.get(&attempt.cluster) {
            let mut made = Try::new(&attempt.cluster);
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
        let details = answer.details.as_deref().unwrap_or("via_upstream");
        self.host.give_property(&["response", "code_details"], details.as_bytes());
        for part in self.back(answer, cut)? {
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

    fn finish(&mut self) -> Result<(), String> {
        self.end(None);
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        let Some(stream) = &self.stream else { return Ok(()) };
        stream.sent.check_length().map_err(|why| format!("sent on: {why}"))?;
        stream.got.check_length().map_err(|why| format!("to the client: {why}"))?;
        if self.host.late_edits() > 0 {
            return Err("headers were edited after they had gone on".to_owned());
        }
        if let (Some(id), Some(headers)) =
            (self.host.filter_state("llm_request_id"), &stream.got.headers)
            && find(headers, "x-request-id").map(String::into_bytes) != Some(id)
        {
            return Err("the answer does not name the request".to_owned());
        }
        self.check_marks()
    }

    fn check_marks(&self) -> Result<(), String> {
        let mut places: Vec<(String, Vec<u8>)> = Vec::new();
        for (_, line) in self.host.log_lines() {
            places.push(("a log line".to_owned(), line.into_bytes()));
        }
        for (name, value) in self.host.filter_states() {
            // What a failed attempt has to give back to the next one may be the caller's own key.
            if name != "llm_original" {
                places.push((format!("filter state {name}"), value));
            }
        }
        for name in self.host.all_metric_names() {
            places.push(("the name of a metric".to_owned(), name.into_bytes()));
        }
        for key in self.host.shared_keys() {
            places.push(("a key of shared data".to_owned(), key));
        }
        for reply in self.host.replies() {
            places.push(("a reply".to_owned(), reply.body));
            places.extend(reply.headers.into_iter().map(|(_, v)| ("a reply".to_owned(), v)));
        }
        for (place, bytes) in &places {
            for mark in [SECRET, PROMPT, COMPLETION] {
                if bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                    return Err(format!("{place} tells {mark}"));
                }
            }
        }
        let stream = self.stream.as_ref().filter(|stream| contains(&stream.got.body, SECRET));
        stream.map_or(Ok(()), |_| Err("the answer tells a credential".to_owned()))
    }
}

impl Stream {
    fn new(first_line: usize) -> Self {
        Self {
            state: exchange::State::default(),
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
    fn gateway(
        &mut self,
        side: Side,
        part: Part,
        service: &exchange::Service,
        host: &Fake,
    ) -> Vec<Part> {
        let Self { state, request, response, seen, .. } = self;
        let pipe = if side == Side::Request { request } else { response };
        host.reset_calls();
        let (flow, out) = pipe.pass(part, host, &mut |event| {
            let (next, flow) = std::mem::take(state).step(service, event, host);
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

    fn wake(&mut self, event: Event, service: &exchange::Service, host: &Fake) -> Vec<Part> {
        let Self { state, request, seen, .. } = self;
        host.reset_calls();
        let (flow, out) = request.wake(host, &mut || {
            let (next, flow) = std::mem::take(state).step(service, event, host);
            *state = next;
            flow
        });
        seen.calls += host.all_calls();
        seen.flows.push(flow);
        out
    }
}

impl Try {
    fn new(cluster: &str) -> Self {
        Self {
            state: attempt::State::default(),
            cluster: cluster.to_owned(),
            request: Pipe::new(Side::Request),
            response: Pipe::new(Side::Response),
        }
    }

    fn pass(
        &mut self,
        side: Side,
        part: Part,
        service: &attempt::Service,
        host: &Fake,
    ) -> Vec<Part> {
        let Self { state, request, response, .. } = self;
        let pipe = if side == Side::Request { request } else { response };
        let mut step = |event| {
            let (next, flow) = std::mem::take(state).step(service, event, host);
            *state = next;
            flow
        };
        pipe.pass(part, host, &mut step).1
    }
}

impl Received {
    fn add(&mut self, part: Part) {
        self.ended |= part.ends();
        match part {
            Part::Headers(headers, _) => self.headers = Some(headers),
            Part::Body(bytes, _) => self.body.extend(bytes),
            Part::Trailers(trailers) => self.trailers = Some(trailers),
        }
    }

    /// The same again for an attempt, with the headers as the one before left them.
    fn parts(&self, headers: &Pairs) -> Vec<Part> {
        let has_body = !self.body.is_empty();
        let mut parts = vec![Part::Headers(headers.clone(), !has_body && self.trailers.is_none())];
        if has_body {
            parts.push(Part::Body(self.body.clone(), self.trailers.is_none()));
        }
        parts.extend(self.trailers.clone().map(Part::Trailers));
        parts
    }

    fn check_length(&self) -> Result<(), String> {
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

fn contains(bytes: &[u8], mark: &str) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
}

fn request_headers(request: &Request) -> Pairs {
    let (method, path) = match (&request.get, &request.post, &request.method, &request.path) {
        (Some(path), ..) => ("GET", path.as_str()),
        (_, Some(path), ..) => ("POST", path.as_str()),
        (.., Some(method), path) => (method.as_str(), path.as_deref().unwrap_or("/")),
        _ => panic!("a request has get, post or method"),
    };
    let mut headers: Vec<(String, String)> = vec![
        (":method".into(), method.into()),
        (":path".into(), path.into()),
        (":scheme".into(), "http".into()),
        (":authority".into(), "gateway.example".into()),
        ("x-request-id".into(), "req-1".into()),
    ];
    if request.body.is_some() || request.chunks.is_some() {
        headers.push(("content-type".into(), "application/json".into()));
    }
    if let Some(body) = &request.body {
        headers.push(("content-length".into(), body.bytes().len().to_string()));
    }
    with(headers, &request.headers)
}

/// The usual headers with the given ones in place of those of the same name.
fn with(mut headers: Vec<(String, String)>, given: &Headers) -> Pairs {
    headers.retain(|(name, _)| !given.contains_key(name));
    for (name, header) in given {
        headers.extend(header.values().into_iter().map(|value| (name.clone(), value)));
    }
    headers.into_iter().map(|(n, v)| (n.into_bytes(), v.into_bytes())).collect()
}

fn pairs(headers: &Headers) -> Pairs {
    with(Vec::new(), headers)
}

fn body(whole: &Option<Body>, chunks: &Option<Vec<Body>>) -> Vec<Vec<u8>> {
    let chunks = whole.iter().chain(chunks.iter().flatten());
    chunks.map(|chunk| chunk.bytes().to_vec()).collect()
}

fn bodies(chunks: Vec<Vec<u8>>, open: bool, end_apart: bool) -> Vec<Part> {
    let count = chunks.len();
    let parts = chunks.into_iter().enumerate();
    let mut parts: Vec<_> =
        parts.map(|(i, c)| Part::Body(c, i + 1 == count && !open && !end_apart)).collect();
    if end_apart && !open {
        parts.push(Part::Body(Vec::new(), true));
    }
    parts
}

fn answer_parts(answer: &Answer, cut: Cut) -> Vec<Part> {
    let mut chunks = body(&answer.body, &answer.chunks);
    chunks = std::iter::repeat_n(chunks, answer.repeat.unwrap_or(1)).flatten().collect();
    if answer.cut_everywhere {
        let whole = chunks.concat();
        chunks = match cut {
            Cut::AsWritten => chunks,
            Cut::At(at) => vec![whole[..at].to_vec(), whole[at..].to_vec()],
            Cut::EachByte => whole.chunks(1).map(<[u8]>::to_vec).collect(),
        };
    }
    let whole = answer.trailers.is_none();
    let mut parts = Vec::new();
    if let Some(status) = answer.status {
        let mut headers = vec![(":status".to_owned(), status.to_string())];
        if let Some(body) = &answer.body {
            if !matches!(body, Body::Text(text) if text.starts_with("data:")) {
                headers.push(("content-type".into(), "application/json".into()));
            }
            if !answer.open && whole {
                headers.push(("content-length".into(), body.bytes().len().to_string()));
            }
        }
        let end = chunks.is_empty() && whole && !answer.open;
        parts.push(Part::Headers(with(headers, &answer.headers), end));
    }
    if !chunks.is_empty() || answer.status.is_none() && whole && !answer.open {
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        parts.extend(bodies(chunks, answer.open || !whole, answer.end_apart));
    }
    parts.extend(answer.trailers.as_ref().map(|trailers| Part::Trailers(pairs(trailers))));
    parts
}

fn call(name: &str) -> Result<Call, String> {
    let all = [
        Call::Headers,
        Call::SetHeader,
        Call::RemoveHeader,
        Call::Body,
        Call::SpliceBody,
        Call::Property,
        Call::SetFilterState,
        Call::Fill,
        Call::Load,
        Call::Save,
        Call::Reply,
        Call::Call,
    ];
    let found = all.into_iter().find(|call| format!("{call:?}") == name);
    found.ok_or_else(|| format!("{name} is no host call that can fail here"))
}
