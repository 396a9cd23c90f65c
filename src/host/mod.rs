//! What the gateway needs of its host, as small roles. Nothing outside this folder and `plugin`
//! knows that the host is Envoy.
//!
//! Every call returns a [`Status`] instead of panicking: a panic in the filter ends every stream of
//! its worker. [`wasm`] is the real host, [`fake`] a native double with the same semantics; the
//! [`contract`] suite runs on both.

use std::fmt;
use std::time::Duration;

#[cfg(any(not(target_arch = "wasm32"), feature = "contract"))]
pub mod contract;
mod decimal;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
mod pairs;
mod rfc3339;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use decimal::Decimal;
pub use pairs::Pairs;
pub use rfc3339::Rfc3339;

/// All roles together. Code that needs one or two of them asks for those.
pub trait Host:
    Headers + Bodies + Properties + Clock + Random + SharedStore + Metrics + Reply + Calls + Logger
{
}
impl<
    T: Headers + Bodies + Properties + Clock + Random + SharedStore + Metrics + Reply + Calls + Logger,
> Host for T
{
}

/// What the host tells a role about one stream, in this order. Trailers end a body as its last
/// bytes do: a body with trailers never sees `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    RequestHeaders {
        end: bool,
    },
    /// `size` is all that is buffered while the role pauses, else this chunk.
    RequestBody {
        size: usize,
        end: bool,
    },
    RequestTrailers,
    ResponseHeaders {
        end: bool,
    },
    ResponseBody {
        size: usize,
        end: bool,
    },
    ResponseTrailers,
    /// The answer to a [`Calls::call`] of this stream came, or the call failed: then it has no
    /// headers, or a status of Envoy's own. Headers and body are there for this callback only.
    Called(CallId),
    /// A moment has passed. Comes only to streams that wait for something.
    Tick,
    /// The stream is over, however it ended: the last event, and the last chance to publish
    /// filter state to the access log.
    Log,
}

/// What the host does next with the stream. A role that waits must answer `Pause` to every body
/// and trailers event too: one `Continue` releases the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Pause,
}

/// Why the host refused a call, by its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Status {
    #[error("not found")]
    NotFound,
    #[error("bad argument")]
    BadArgument,
    #[error("empty")]
    Empty,
    #[error("compare-and-swap mismatch")]
    CasMismatch,
    #[error("internal failure")]
    InternalFailure,
    #[error("status {0}")]
    Other(u32),
}

impl Status {
    /// The status of a host call's return value; `Ok` is 0.
    pub fn check(code: u32) -> Result<(), Self> {
        match code {
            0 => Ok(()),
            1 => Err(Self::NotFound),
            2 => Err(Self::BadArgument),
            7 => Err(Self::Empty),
            8 => Err(Self::CasMismatch),
            10 => Err(Self::InternalFailure),
            other => Err(Self::Other(other)),
        }
    }
}

/// A header map of the current stream, by its number in the proxy-wasm ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    CallHeaders = 6,
}

/// A byte buffer of the current stream or plugin, by its number in the proxy-wasm ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallBody = 4,
    VmConfiguration = 6,
    PluginConfiguration = 7,
}

/// A header value that cannot inject a header: Envoy writes CR, LF and NUL to the wire unchanged
/// (response) or refuses the request (request), so such a value cannot be built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SafeValue<'a>(&'a [u8]);

impl<'a> SafeValue<'a> {
    /// `None` if `bytes` holds a control character other than TAB.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.iter().all(|b| matches!(b, b'\t' | 0x20..=0x7e | 0x80..)).then_some(Self(bytes))
    }

    /// For values known when compiled; an unsafe one does not compile in a `const`.
    pub const fn literal(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        let mut rest = bytes;
        while let [first, tail @ ..] = rest {
            assert!(*first >= 0x20 && *first < 0x7f, "not a header value");
            rest = tail;
        }
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for SafeValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.0))
    }
}

/// Header maps, as bytes: headers need not be UTF-8.
pub trait Headers {
    /// All headers of `map` in one call: from three headers up cheaper than single gets.
    fn headers(&self, map: Map) -> Result<Pairs, Status>;
    /// Replaces every value of `name`. On request headers this also clears Envoy's route cache.
    ///
    /// Once the headers went on, an edit is too late. If the headers callback let them go, it is a
    /// `BadArgument`; if a later one did, Envoy takes the edit, to no effect, and for request
    /// headers reports a bug of the filter to its log.
    fn set_header(&self, map: Map, name: &str, value: SafeValue<'_>) -> Result<(), Status>;
    /// Removes every value of `name`; a name that is absent is no error.
    fn remove_header(&self, map: Map, name: &[u8]) -> Result<(), Status>;
}

/// Bodies and configurations.
pub trait Bodies {
    /// Up to `max` bytes from `start`; past the end, empty. A stream's body that has not come reads
    /// as empty too; any other buffer outside its callback is `NotFound`.
    fn body(&self, buffer: Buffer, start: usize, max: usize) -> Result<Vec<u8>, Status>;
    /// Replaces `len` bytes at `start` by `bytes`. Envoy edits a body at its ends only: a `start`
    /// other than 0 must be at or past the end, and appends; a `len` may reach past the end. All
    /// else is `BadArgument`. The caller keeps `content-length` true.
    fn splice_body(
        &self,
        buffer: Buffer,
        start: usize,
        len: usize,
        bytes: &[u8],
    ) -> Result<(), Status>;
}

/// Envoy's attributes, and filter state for the rest of the filter chain.
pub trait Properties {
    fn property(&self, path: &[&str]) -> Result<Vec<u8>, Status>;
    /// Visible to other filters, access logs and tracing as `wasm.<name>`.
    fn set_filter_state(&self, name: &str, value: &[u8]) -> Result<(), Status>;
    /// Needed after filter state alone chose another cluster.
    fn clear_route_cache(&self) -> Result<(), Status>;
}

/// The wall clock.
pub trait Clock {
    fn now(&self) -> Timestamp;
}

/// Nanoseconds since the Unix epoch. Envoy's clock has a resolution of 1 us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }
    pub fn millis(self) -> u64 {
        self.0 / 1_000_000
    }
    pub fn micros(self) -> u64 {
        self.0 / 1_000
    }
    /// Microseconds since `earlier`; 0 when the clock was set back in between.
    pub fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000
    }
}

/// Cryptographically strong random bytes.
pub trait Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Status>;
}

/// The key-value map that all workers share. It has no deletion and no expiry: keys must come from
/// a bounded set.
pub trait SharedStore {
    /// `None` if the key is absent or its value empty, and the version to compare against.
    fn load(&self, key: &[u8]) -> Result<Stored, Status>;
    /// `Err(CasMismatch)` if the key's state is not `expect`.
    fn save(&self, key: &[u8], value: &[u8], expect: Expect) -> Result<(), Status>;
}

/// What [`SharedStore::load`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub value: Option<Vec<u8>>,
    /// What [`SharedStore::save`] must expect so that no other write is lost.
    pub version: Expect,
}

/// The state of a key that a write depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Write whatever is there.
    Anything,
    /// Write only if the key is absent.
    Absent,
    /// Write only if nobody wrote since this version was read. Never 0.
    Version(u32),
}

impl Expect {
    /// The number the ABI takes. On an absent key any number inserts, on a present one a wrong
    /// non-zero number fails: a number that is never current therefore means "only if absent".
    pub fn cas(self) -> u32 {
        match self {
            Self::Anything => 0,
            Self::Absent => u32::MAX,
            Self::Version(v) => v,
        }
    }
}

/// Envoy stats. Metrics are never freed: names come from the configuration only.
pub trait Metrics {
    fn define(&self, kind: MetricKind, name: &str) -> Result<MetricId, Status>;
    /// Counters and gauges. The host refuses to add 0 or less to a counter; callers skip it.
    fn add(&self, id: MetricId, delta: i64) -> Result<(), Status>;
    /// Gauges: sets; histograms: records.
    fn record(&self, id: MetricId, value: u64) -> Result<(), Status>;
    /// Counters and gauges; a histogram has no single value.
    fn value(&self, id: MetricId) -> Result<u64, Status>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetricId(pub u32);

/// Answers of the gateway's own.
pub trait Reply {
    /// Ends the request with this answer. `details` is the access log's `response_code_details`.
    /// The reply passes this filter's response callbacks.
    fn reply(
        &self,
        status: u16,
        details: &str,
        headers: &[(&str, SafeValue<'_>)],
        body: &[u8],
    ) -> Result<(), Status>;
}

/// HTTP requests of the gateway's own, to clusters of the same Envoy.
pub trait Calls {
    /// Sends a request for this stream; [`Event::Called`] brings the answer, unless the stream ends
    /// before. An unknown cluster, or a request without method, path and authority, is a
    /// `BadArgument`.
    fn call(&self, request: &Request<'_>) -> Result<CallId, Status>;
    /// Sends a request for nobody: it goes out even if this stream ends now, and nobody sees the
    /// answer.
    fn send(&self, request: &Request<'_>) -> Result<(), Status>;
}

/// An HTTP request to a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub cluster: &'a str,
    /// With `:method`, `:path` and `:authority`.
    pub headers: &'a [(&'a str, SafeValue<'a>)],
    pub body: &'a [u8],
    /// Whole milliseconds; when it is over, the answer is a 504.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// One line to Envoy's log.
pub trait Logger {
    fn log(&self, level: log::Level, line: &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_could_inject_a_header_cannot_be_built() {
        for bad in [&b"a\r\nset-cookie: x=1"[..], b"a\nb", b"a\0b", b"\x1b[31m", b"\x7f"] {
            assert_eq!(SafeValue::new(bad), None, "{bad:?}");
        }
        for good in [&b""[..], b"gpt-4o", b"llama3.2:1b", b"a\tb", "é".as_bytes()] {
            assert!(SafeValue::new(good).is_some(), "{good:?}");
        }
    }

    #[test]
    fn the_sentinel_is_never_a_version_in_use() {
        assert_eq!(Expect::Anything.cas(), 0);
        assert_ne!(Expect::Absent.cas(), 0);
    }
}
