//! The second level of the cache, which a fleet shares: asked on a miss, told of what is stored.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::Service;
use super::caching::Asked;
use super::keeping::skip_of_fault;
use crate::cache::record::Entry;
use crate::cache::serve::Hit;
use crate::cache::webdis::{self, Answer, Call, Fault};
use crate::cache::{Cache, Lookup, Question};
use crate::config::Backend;
use crate::host::{Buffer, CallId, Host, Map, Request, SafeValue, Status, Timestamp};

/// The second level, as one worker uses it.
#[derive(Debug)]
pub(super) struct Fleet {
    backend: Backend,
    asking: Rc<Cell<u32>>,
    /// How much it was told in which second.
    told: Cell<(u64, u32)>,
}

/// What a request waits for. Its place is free again when it is dropped, however the wait ends.
#[derive(Debug)]
pub(super) struct Asking {
    call: CallId,
    asking: Rc<Cell<u32>>,
}

impl Fleet {
    pub(super) fn new(backend: Backend) -> Self {
        Self { backend, asking: Rc::default(), told: Cell::default() }
    }

    /// Another place, if one is free: Envoy keeps whatever comes for each of them.
    fn ask(&self, call: impl FnOnce(&Backend) -> Result<CallId, Status>) -> Result<Asking, Fault> {
        let places = self.asking.get();
        if places >= MAX_ASKING {
            return Err(Fault::Busy);
        }
        let call = call(&self.backend).map_err(|_| Fault::Unavailable)?;
        self.asking.set(places.saturating_add(1));
        Ok(Asking { call, asking: self.asking.clone() })
    }

    /// Whether it may be told something more now. Nobody hears when that is done: what is told in a
    /// second is over within the next.
    fn may_tell(&self, now: Timestamp) -> bool {
        let (second, told) = self.told.get();
        let told = if second == now.seconds() { told } else { 0 };
        self.told.set((now.seconds(), told.saturating_add(1)));
        told < MAX_TOLD
    }
}

impl Asking {
    pub(super) fn call(&self) -> CallId {
        self.call
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.asking.set(self.asking.get().saturating_sub(1));
    }
}

/// Asks the second level; `None` if there is none, or it cannot be asked.
pub(super) fn fetch(
    question: &Question,
    cache: &Cache,
    service: &Service,
    host: &impl Host,
) -> Option<Asking> {
    let (fleet, call) = (service.fleet.as_ref()?, cache.fetch(question)?);
    let asked =
        fleet.ask(|backend| request(&call, backend, backend.timeout, |request| host.call(request)));
    if let Err(fault) = asked {
        service.metrics.cache_skip(host, skip_of_fault(fault));
    }
    asked.ok()
}

/// The second level has answered.
pub(super) fn fetched(
    asked: &Asked,
    cache: &Cache,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Option<Hit> {
    let answered = answer(cache.max_fetched_bytes(), host);
    match answered.and_then(|answer| cache.fetched(host, &asked.question, answer, now)) {
        Ok(Lookup::Hit(hit)) => Some(hit),
        Ok(Lookup::Shadow(_) | Lookup::Miss(_)) => None,
        Err(fault) => {
            service.metrics.cache_skip(host, skip_of_fault(fault));
            None
        }
    }
}

/// What the second level said, unless it is longer than anything that was stored there: then not a
/// byte of it is copied into this worker.
fn answer(max: usize, host: &impl Host) -> Result<Answer, Fault> {
    let headers = host.headers(Map::CallHeaders).unwrap_or_default();
    // A call that failed has no headers.
    let status = headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or(504);
    if status != 200 {
        return Ok(Answer { status, body: Vec::new() });
    }
    let length = headers.text("content-length").and_then(|length| length.parse::<usize>().ok());
    let is_longer = match length {
        Some(length) => length > max,
        None => !host.body(Buffer::CallBody, max, 1).unwrap_or_default().is_empty(),
    };
    if is_longer {
        return Err(Fault::TooLarge);
    }
    Ok(Answer { status, body: host.body(Buffer::CallBody, 0, max).unwrap_or_default() })
}

/// Gives the second level what was stored. Nobody waits for its answer.
pub(super) fn share(entry: &Entry<'_>, service: &Service, now: Timestamp, host: &impl Host) {
    let Some(fleet) = &service.fleet else { return };
    let timeout = SHARE_TIMEOUT.max(fleet.backend.timeout);
    let told = match fleet.may_tell(now) {
        false => Err(Fault::Busy),
        true => webdis::store(entry).map_or(Ok(()), |call| {
            let sent = request(&call, &fleet.backend, timeout, |request| host.send(request));
            sent.map_err(|_| Fault::Unavailable)
        }),
    };
    if let Err(fault) = told {
        service.metrics.cache_skip(host, skip_of_fault(fault));
    }
}

/// Makes the headers of a call.
fn request<T>(
    call: &Call,
    backend: &Backend,
    timeout: Duration,
    send: impl FnOnce(&Request<'_>) -> Result<T, Status>,
) -> Result<T, Status> {
    let headers = [
        (":method", SafeValue::literal(call.method)),
        (":path", SafeValue::new(call.path.as_bytes()).ok_or(Status::BadArgument)?),
        (":authority", SafeValue::new(backend.cluster.as_bytes()).ok_or(Status::BadArgument)?),
    ];
    send(&Request { cluster: &backend.cluster, headers: &headers, body: &call.body, timeout })
}

const SHARE_TIMEOUT: Duration = Duration::from_secs(1);
/// Requests of one worker that wait for the second level at once.
const MAX_ASKING: u32 = 16;
/// Answers that one worker gives to it in a second.
const MAX_TOLD: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BackendProtocol;
    use crate::host::fake::{Call as HostCall, Fake};

    fn fleet() -> Fleet {
        Fleet::new(Backend {
            cluster: "webdis".into(),
            protocol: BackendProtocol::Webdis,
            timeout: Duration::from_millis(20),
        })
    }

    #[test]
    fn only_so_many_ask_at_once_and_whoever_is_done_makes_room() {
        let fleet = fleet();
        let ask = || fleet.ask(|_| Ok(CallId(1)));
        let mut asking: Vec<_> = (0..MAX_ASKING).map(|_| ask().unwrap()).collect();
        assert_eq!(ask().unwrap_err(), Fault::Busy);
        asking.pop();
        asking.push(ask().unwrap());
        assert_eq!(ask().unwrap_err(), Fault::Busy);
        drop(asking);
        // A call that could not be made takes no place.
        for _ in 0..=MAX_ASKING {
            let refused = fleet.ask(|_| Err(Status::BadArgument)).unwrap_err();
            assert_eq!(refused, Fault::Unavailable);
        }
        assert!(ask().is_ok());
    }

    #[test]
    fn only_so_much_is_told_in_a_second() {
        let fleet = fleet();
        let at = |millis: u64| Timestamp(1_800_000_000_000_000_000 + millis * 1_000_000);
        let told = (0..200).filter(|n| fleet.may_tell(at(*n))).count();
        assert_eq!(told, MAX_TOLD as usize);
        assert!(!fleet.may_tell(at(999)) && fleet.may_tell(at(1000)));
        // A clock that was set back is a second of its own.
        assert!(fleet.may_tell(at(0)));
    }

    fn answered(headers: &[(&str, &str)], body: &[u8], max: usize) -> (Result<Answer, Fault>, u64) {
        let host = Fake::new();
        host.give_headers(Map::CallHeaders, headers.iter().copied());
        host.give_body(Buffer::CallBody, body);
        host.reset_calls();
        (answer(max, &host), host.calls(HostCall::Body))
    }

    #[test]
    fn what_is_too_long_is_not_copied() {
        let body = vec![b'x'; 100];
        let whole = Ok(Answer { status: 200, body: body.clone() });
        let length = ("content-length", "100");
        for (headers, max, expected, reads) in [
            (&[(":status", "200"), length][..], 100, whole.clone(), 1),
            (&[(":status", "200"), length], 99, Err(Fault::TooLarge), 0),
            (&[(":status", "200")], 100, whole.clone(), 2),
            (&[(":status", "200")], 99, Err(Fault::TooLarge), 1),
            (&[(":status", "200"), ("content-length", "x")], 99, Err(Fault::TooLarge), 1),
            (&[(":status", "404"), length], 99, Ok(Answer { status: 404, body: vec![] }), 0),
            (&[], 99, Ok(Answer { status: 504, body: vec![] }), 0),
        ] {
            assert_eq!(answered(headers, &body, max), (expected, reads), "{headers:?} {max}");
        }
    }
}
