//! What passes, and what does not, on a worker with several streams.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::*;
use crate::host::fake::{Call, Fake};
use crate::host::{Buffer, Map, Timestamp};

/// A worker whose contexts each have a [`Fake`].
struct Streams {
    process: Fake,
    hosts: RefCell<BTreeMap<u32, Rc<Fake>>>,
    focus: Cell<u32>,
    resumed: RefCell<Vec<u32>>,
    period: Cell<Duration>,
}

impl Worker for Rc<Streams> {
    type Host = Fake;

    fn at<T>(&self, context: u32, _root: u32, act: impl FnOnce(&Fake) -> T) -> T {
        act(&self.host(context))
    }

    fn focus(&self, context: u32) -> Result<(), Status> {
        self.focus.set(context);
        Ok(())
    }

    fn resume(&self) -> Result<(), Status> {
        self.resumed.borrow_mut().push(self.focus.get());
        Ok(())
    }

    fn set_tick_period(&self, period: Duration) -> Result<(), Status> {
        self.period.set(period);
        Ok(())
    }

    fn environment(&self, _name: &str) -> Option<String> {
        None
    }
}

impl Streams {
    fn new() -> Rc<Self> {
        let process = Fake::new();
        process.set_time(Timestamp(1_800_000_000_000_000_000));
        Rc::new(Self {
            process,
            hosts: RefCell::default(),
            focus: Cell::default(),
            resumed: RefCell::default(),
            period: Cell::default(),
        })
    }

    fn host(&self, context: u32) -> Rc<Fake> {
        let new = || Rc::new(self.process.worker());
        self.hosts.borrow_mut().entry(context).or_insert_with(new).clone()
    }

    /// The statuses that the gateway itself answered a stream with.
    fn replies(&self, context: u32) -> Vec<u16> {
        self.host(context).replies().iter().map(|reply| reply.status).collect()
    }
}

/// Contexts with one root context, whose configuration the host accepts or not.
fn contexts(role: &str, configuration: &str) -> (Contexts<Rc<Streams>>, Rc<Streams>, bool) {
    let worker = Streams::new();
    let mut contexts = Contexts {
        worker: worker.clone(),
        ledger: Rc::default(),
        id: 0,
        roots: ById::default(),
        streams: ById::default(),
        waiting: VecDeque::new(),
        calls: ById::default(),
    };
    contexts.create(ROOT, 0);
    worker.host(ROOT).give_property(&["plugin_root_id"], role.as_bytes());
    worker.host(ROOT).give_body(Buffer::PluginConfiguration, configuration.as_bytes());
    let accepted = contexts.configure(ROOT);
    (contexts, worker, accepted)
}

fn chat(host: &Fake) {
    host.give_headers(
        Map::RequestHeaders,
        [
            (":method", "POST"),
            (":path", "/v1/chat/completions"),
            ("content-type", "application/json"),
        ],
    );
    host.give_body(Buffer::RequestBody, BODY);
}

#[test]
fn a_stream_of_a_plugin_without_a_configuration_does_not_pass() {
    let (mut contexts, worker, accepted) = contexts("gateway", r#"{"providers": 3}"#);
    assert!(!accepted);
    for (id, event) in (2..).zip(REQUEST) {
        contexts.create(id, ROOT);
        assert_eq!(contexts.on(id, event), Flow::Pause, "{event:?}");
        assert_eq!(worker.replies(id), [503], "{event:?}");
        // The reply itself comes by.
        let headers = Event::ResponseHeaders { end: false };
        assert_eq!(contexts.on(id, headers), Flow::Continue);
    }
}

#[test]
fn a_stream_that_is_not_known_does_not_pass() {
    let (mut contexts, worker, accepted) = contexts("gateway", GATEWAY);
    assert!(accepted);
    for (id, event) in (2..).zip(REQUEST) {
        assert_eq!(contexts.on(id, event), Flow::Pause, "{event:?}");
        assert_eq!(worker.replies(id), [503], "{event:?}");
    }
    // Neither does one that is over, or that belongs to no root context.
    contexts.create(10, ROOT);
    contexts.delete(10);
    contexts.create(11, 99);
    for id in [10, 11] {
        assert_eq!(contexts.on(id, REQUEST[0]), Flow::Pause);
        assert_eq!(worker.replies(id), [503]);
    }
}

#[test]
fn a_known_stream_takes_its_steps() {
    let (mut contexts, worker, _) = contexts("gateway", GATEWAY);
    contexts.create(2, ROOT);
    chat(&worker.host(2));
    assert_eq!(contexts.on(2, Event::RequestHeaders { end: false }), Flow::Pause);
    assert_eq!(contexts.on(2, Event::RequestBody { size: BODY.len(), end: true }), Flow::Continue);
    assert_eq!(worker.replies(2), [0u16; 0]);
}

/// Two identical requests: the second waits for the first one's answer, then goes on by itself.
#[test]
fn a_stream_that_waits_is_resumed_by_a_tick() {
    let (mut contexts, worker, _) = contexts("gateway", CACHED);
    let rest = worker.period.get();
    for id in [2, 3] {
        contexts.create(id, ROOT);
        chat(&worker.host(id));
        assert_eq!(contexts.on(id, Event::RequestHeaders { end: false }), Flow::Pause);
        let body = Event::RequestBody { size: BODY.len(), end: true };
        assert_eq!(contexts.on(id, body) == Flow::Pause, id == 3);
    }
    assert!(worker.period.get() < rest);
    contexts.tick(ROOT);
    assert_eq!(*worker.resumed.borrow(), [0; 0]);
    worker.process.advance(Duration::from_secs(1));
    contexts.tick(ROOT);
    assert_eq!(*worker.resumed.borrow(), [3]);
    assert_eq!(worker.period.get(), rest);
}

/// Whatever of the host fails on the way of a request, it is answered or paused, never let on.
#[test]
fn a_request_whose_headers_cannot_be_read_does_not_pass() {
    for role in ["gateway", "provider"] {
        let configuration = if role == "gateway" { GATEWAY } else { r#"{"provider": "local"}"# };
        let (mut contexts, worker, accepted) = contexts(role, configuration);
        assert!(accepted, "{role}");
        contexts.create(2, ROOT);
        let host = worker.host(2);
        chat(&host);
        host.fail_next(Call::Headers, Status::InternalFailure);
        // Not even the reply works.
        host.fail_next(Call::Reply, Status::InternalFailure);
        for event in REQUEST {
            assert_eq!(contexts.on(2, event), Flow::Pause, "{role}: {event:?}");
        }
    }
}

const ROOT: u32 = 1;
const GATEWAY: &str = r#"{"providers": {"local": {"models": ["m"]}}}"#;
const CACHED: &str = r#"{"providers": {"local": {"models": ["m"]}}, "cache": {"ttl": "1h"}}"#;
const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const REQUEST: [Event; 3] = [
    Event::RequestHeaders { end: false },
    Event::RequestBody { size: BODY.len(), end: true },
    Event::RequestTrailers,
];
