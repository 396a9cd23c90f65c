//! A native test double of the host, with the semantics of Envoy 1.40.
//!
//! A [`Fake`] is one worker: it sees one stream at a time. Workers of one process share what Envoy
//! shares between them: shared data, stats, the clock. What the host does not say by a return value
//! a test reads back from the `Fake`.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use super::{Buffer, CallId, Map, MetricKind, Status, Timestamp};

mod process;
mod roles;

pub use process::Metric;
use process::{Process, Stat};

/// One worker of a process.
#[derive(Default)]
pub struct Fake {
    process: Arc<Process>,
    stream: RefCell<Stream>,
    /// Each definition has an id of its own, also of a stat that exists; other workers have others.
    defined: RefCell<Vec<Stat>>,
    log: RefCell<Vec<(log::Level, String)>>,
    calls: RefCell<BTreeMap<Call, u64>>,
    failures: RefCell<Vec<(Call, Status)>>,
    collisions: Cell<u32>,
}

/// What the host keeps of the stream that a callback acts on.
#[derive(Default)]
struct Stream {
    maps: BTreeMap<u32, HeaderMap>,
    buffers: BTreeMap<u32, Vec<u8>>,
    properties: BTreeMap<String, Vec<u8>>,
    filter_state: BTreeMap<String, Vec<u8>>,
    replies: Vec<LocalReply>,
    sent: Vec<SentCall>,
    route_cache_clears: u32,
    late_edits: u32,
    logging: bool,
}

struct HeaderMap {
    access: Access,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// The filter may read and write.
    Held,
    /// The headers callback let them go: reads find nothing, edits are refused.
    Gone,
    /// A later callback let them go: reads find them, edits are taken in vain.
    Late,
}

/// What [`Reply::reply`](super::Reply::reply) was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    pub status: u16,
    pub details: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl LocalReply {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }
}

/// What [`Calls`](super::Calls) was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCall {
    /// `None` if the answer is for nobody.
    pub id: Option<CallId>,
    pub cluster: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub timeout: Duration,
}

/// A call to the host, to count it or to make it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Headers,
    SetHeader,
    RemoveHeader,
    Body,
    SpliceBody,
    Property,
    SetFilterState,
    ClearRouteCache,
    Now,
    Fill,
    Load,
    Save,
    Define,
    Add,
    Record,
    Value,
    Reply,
    Call,
    Log,
}

/// What a test does to the host.
impl Fake {
    /// A new process with one worker.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more worker of the same process.
    pub fn worker(&self) -> Self {
        Self { process: Arc::clone(&self.process), ..Self::default() }
    }

    pub fn set_time(&self, now: Timestamp) {
        self.process.set_time(now);
    }

    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.set_time(Timestamp(self.process.now().0.saturating_add(nanos)));
    }

    /// Forgets the stream so far, as when the next request comes.
    pub fn start_stream(&self) {
        self.stream.take();
    }

    /// Hands headers to the filter. Envoy has made their names lower case.
    pub fn give_headers<N, V>(&self, map: Map, headers: impl IntoIterator<Item = (N, V)>)
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let lower =
            |(name, value): (N, V)| (name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec());
        let headers = headers.into_iter().map(lower).collect();
        let map_state = HeaderMap { access: Access::Held, headers };
        self.stream.borrow_mut().maps.insert(map as u32, map_state);
    }

    /// The headers callback let the headers go on.
    pub fn send_on(&self, map: Map) {
        self.set_access(map, Access::Gone);
    }

    /// A callback after the headers callback, which had paused, let the headers go on.
    pub fn release(&self, map: Map) {
        self.set_access(map, Access::Late);
    }

    /// The stream is over and being logged: all headers can be read, bodies no more.
    pub fn end_stream(&self) {
        let mut stream = self.stream.borrow_mut();
        for map in stream.maps.values_mut().filter(|map| map.access == Access::Held) {
            map.access = Access::Late;
        }
        stream.buffers.clear();
        stream.logging = true;
    }

    /// Gives a buffer its bytes; for a body that is all that the filter can see of it now.
    pub fn give_body(&self, buffer: Buffer, bytes: &[u8]) {
        self.stream.borrow_mut().buffers.insert(buffer as u32, bytes.to_vec());
    }

    /// Takes a buffer away: its bytes went on, or were never kept.
    pub fn take_body(&self, buffer: Buffer) -> Option<Vec<u8>> {
        self.stream.borrow_mut().buffers.remove(&(buffer as u32))
    }

    pub fn give_property(&self, path: &[&str], value: &[u8]) {
        self.stream.borrow_mut().properties.insert(path.join("\0"), value.to_vec());
    }

    /// Lets the next call of this kind fail; several wait in line.
    pub fn fail_next(&self, call: Call, status: Status) {
        self.failures.borrow_mut().push((call, status));
    }

    /// Lets another worker write the key just before each of the next `saves` that expect a state.
    pub fn collide(&self, saves: u32) {
        self.collisions.set(saves);
    }
}

/// What a test learns from the host.
impl Fake {
    /// All values of a header, also of one that went on.
    pub fn header(&self, map: Map, name: &str) -> Vec<Vec<u8>> {
        let stream = self.stream.borrow();
        let headers = stream.maps.get(&(map as u32)).map(|map| map.headers.as_slice());
        let named = headers.unwrap_or_default().iter().filter(|(n, _)| n == name.as_bytes());
        named.map(|(_, value)| value.clone()).collect()
    }

    /// A whole header map, also one that went on.
    pub fn all_headers(&self, map: Map) -> Vec<(Vec<u8>, Vec<u8>)> {
        let stream = self.stream.borrow();
        stream.maps.get(&(map as u32)).map(|map| map.headers.clone()).unwrap_or_default()
    }

    pub fn buffer(&self, buffer: Buffer) -> Option<Vec<u8>> {
        self.stream.borrow().buffers.get(&(buffer as u32)).cloned()
    }

    pub fn filter_state(&self, name: &str) -> Option<Vec<u8>> {
        self.stream.borrow().filter_state.get(name).cloned()
    }

    /// All filter state that the filter set, by name.
    pub fn filter_states(&self) -> BTreeMap<String, Vec<u8>> {
        self.stream.borrow().filter_state.clone()
    }

    pub fn replies(&self) -> Vec<LocalReply> {
        self.stream.borrow().replies.clone()
    }

    /// HTTP requests of the filter's own. To answer one, give it headers and a body and let the
    /// filter see [`Event::Called`](super::Event::Called).
    pub fn sent_calls(&self) -> Vec<SentCall> {
        self.stream.borrow().sent.clone()
    }

    /// How often the route was to be chosen again.
    pub fn route_cache_clears(&self) -> u32 {
        self.stream.borrow().route_cache_clears
    }

    /// How often the filter changed headers in vain; each is a bug of the filter.
    pub fn late_edits(&self) -> u32 {
        self.stream.borrow().late_edits
    }

    /// All lines since the worker began.
    pub fn log_lines(&self) -> Vec<(log::Level, String)> {
        self.log.borrow().clone()
    }

    /// The lines after the first `seen`.
    pub fn log_lines_after(&self, seen: usize) -> Vec<(log::Level, String)> {
        self.log.borrow().iter().skip(seen).cloned().collect()
    }

    pub fn log_length(&self) -> usize {
        self.log.borrow().len()
    }

    /// The stat's value, whoever of the workers defined it.
    pub fn metric(&self, kind: MetricKind, name: &str) -> Option<Metric> {
        self.process.metric(kind, name)
    }

    /// Names of all stats of one kind.
    pub fn metric_names(&self, kind: MetricKind) -> Vec<String> {
        self.process.metric_names(kind)
    }

    /// Names of all stats.
    pub fn all_metric_names(&self) -> Vec<String> {
        let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
        kinds.into_iter().flat_map(|kind| self.process.metric_names(kind)).collect()
    }

    /// Keys of shared data, those with an empty value too.
    pub fn shared_keys(&self) -> Vec<Vec<u8>> {
        self.process.keys()
    }

    /// Bytes of all keys and values in shared data.
    pub fn shared_bytes(&self) -> usize {
        let load = |key: &Vec<u8>| self.process.load(key).map_or(0, |(value, _)| value.len());
        self.shared_keys().iter().map(|key| key.len() + load(key)).sum()
    }

    /// How often this worker made the call.
    pub fn calls(&self, call: Call) -> u64 {
        self.calls.borrow().get(&call).copied().unwrap_or(0)
    }

    /// How many calls of all kinds this worker made.
    pub fn all_calls(&self) -> u64 {
        self.calls.borrow().values().sum()
    }

    pub fn reset_calls(&self) {
        self.calls.borrow_mut().clear();
    }

    /// Counts a call, and fails it if a test asked for that.
    fn begin(&self, call: Call) -> Result<(), Status> {
        *self.calls.borrow_mut().entry(call).or_default() += 1;
        let mut failures = self.failures.borrow_mut();
        match failures.iter().position(|(failing, _)| *failing == call) {
            Some(at) => Err(failures.remove(at).1),
            None => Ok(()),
        }
    }

    fn set_access(&self, map: Map, access: Access) {
        if let Some(map) = self.stream.borrow_mut().maps.get_mut(&(map as u32)) {
            map.access = access;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{
        Clock, Expect, Headers, Metrics, Properties, SafeValue, SharedStore, Stored,
    };

    #[test]
    fn workers_share_data_stats_and_time_but_no_stream() {
        let one = Fake::new();
        let two = one.worker();
        one.save(b"k", b"v", Expect::Absent).unwrap();
        assert_eq!(two.save(b"k", b"w", Expect::Absent), Err(Status::CasMismatch));
        for worker in [&one, &two] {
            let id = worker.define(MetricKind::Counter, "c").unwrap();
            worker.add(id, 2).unwrap();
        }
        assert_eq!(one.metric(MetricKind::Counter, "c"), Some(Metric::Counter(4)));
        one.advance(Duration::from_secs(3));
        assert_eq!(one.now(), two.now());
        one.set_filter_state("a", b"1").unwrap();
        assert_eq!(two.filter_state("a"), None);
    }

    #[test]
    fn no_write_is_lost_between_workers_that_compare_and_swap() {
        let fake = Fake::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let worker = fake.worker();
                scope.spawn(move || (0..250).for_each(|_| increment(&worker)));
            }
        });
        assert_eq!(fake.load(b"n").unwrap().value, Some(1000_u64.to_le_bytes().to_vec()));
    }

    fn increment(host: &impl SharedStore) {
        loop {
            let Stored { value, version } = host.load(b"n").unwrap();
            let old = value.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
            match host.save(b"n", &(old + 1).to_le_bytes(), version) {
                Ok(()) => return,
                Err(status) => assert_eq!(status, Status::CasMismatch),
            }
        }
    }

    #[test]
    fn a_collision_refuses_the_next_conditional_saves_only() {
        let fake = Fake::new();
        fake.collide(2);
        fake.save(b"k", b"v", Expect::Anything).unwrap();
        for _ in 0..2 {
            let version = fake.load(b"k").unwrap().version;
            assert_eq!(fake.save(b"k", b"w", version), Err(Status::CasMismatch));
        }
        assert_eq!(fake.load(b"k").unwrap().value.as_deref(), Some(&b"v"[..]));
        let version = fake.load(b"k").unwrap().version;
        assert_eq!(fake.save(b"k", b"w", version), Ok(()));
        fake.collide(1);
        assert_eq!(fake.save(b"absent", b"v", Expect::Absent), Err(Status::CasMismatch));
    }

    #[test]
    fn a_test_can_make_a_call_fail_and_count_calls() {
        let fake = Fake::new();
        fake.fail_next(Call::Load, Status::InternalFailure);
        assert_eq!(fake.load(b"k"), Err(Status::InternalFailure));
        assert!(fake.load(b"k").is_ok());
        assert_eq!((fake.calls(Call::Load), fake.all_calls()), (2, 2));
        fake.reset_calls();
        assert_eq!(fake.all_calls(), 0);
    }

    #[test]
    fn headers_that_went_on_are_neither_read_nor_changed_until_the_log() {
        let fake = Fake::new();
        fake.give_headers(Map::RequestHeaders, [("X-A", "1")]);
        fake.set_header(Map::RequestHeaders, "x-b", SafeValue::literal("2")).unwrap();
        assert_eq!(fake.route_cache_clears(), 1);
        fake.send_on(Map::RequestHeaders);
        let set = |name| fake.set_header(Map::RequestHeaders, name, SafeValue::literal("3"));
        assert_eq!(set("x-c"), Err(Status::BadArgument));
        assert_eq!(fake.headers(Map::RequestHeaders).unwrap().iter().count(), 0);
        fake.end_stream();
        assert_eq!(fake.headers(Map::RequestHeaders).unwrap().get("x-a"), Some(&b"1"[..]));
        assert_eq!(set("x-c"), Err(Status::BadArgument));
    }

    #[test]
    fn an_edit_in_vain_is_counted() {
        let fake = Fake::new();
        fake.give_headers(Map::RequestHeaders, [("x-a", "1")]);
        fake.release(Map::RequestHeaders);
        fake.remove_header(Map::RequestHeaders, b"x-a").unwrap();
        assert_eq!((fake.late_edits(), fake.route_cache_clears()), (1, 0));
    }
}
