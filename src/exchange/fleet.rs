//! The second level of the cache, which a fleet shares: asked on a miss, told of what is stored.

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

/// Asks the second level; `None` if there is none, or it cannot be asked.
pub(super) fn fetch(
    question: &Question,
    cache: &Cache,
    service: &Service,
    host: &impl Host,
) -> Option<CallId> {
    let (backend, call) = (service.backend.as_ref()?, cache.fetch(question)?);
    let fetching = request(&call, backend, backend.timeout, |request| host.call(request));
    if fetching.is_err() {
        service.metrics.cache_skip(host, skip_of_fault(Fault::Unavailable));
    }
    fetching.ok()
}

/// The second level has answered.
pub(super) fn fetched(
    asked: &Asked,
    cache: &Cache,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Option<Hit> {
    let headers = host.headers(Map::CallHeaders).unwrap_or_default();
    // A call that failed has no headers.
    let status = headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or(504);
    let body = host.body(Buffer::CallBody, 0, cache.max_fetched_bytes()).unwrap_or_default();
    match cache.fetched(host, &asked.question, Answer { status, body }, now) {
        Ok(Lookup::Hit(hit)) => Some(hit),
        Ok(Lookup::Shadow(_) | Lookup::Miss(_)) => None,
        Err(fault) => {
            service.metrics.cache_skip(host, skip_of_fault(fault));
            None
        }
    }
}

/// Gives the second level what was stored. Nobody waits for its answer.
pub(super) fn share(entry: &Entry<'_>, service: &Service, host: &impl Host) {
    let (Some(backend), Some(call)) = (&service.backend, webdis::store(entry)) else { return };
    let timeout = SHARE_TIMEOUT.max(backend.timeout);
    if request(&call, backend, timeout, |request| host.send(request)).is_err() {
        service.metrics.cache_skip(host, skip_of_fault(Fault::Unavailable));
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
