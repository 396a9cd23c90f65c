//! What the cache does for a call: asked before the request goes on, told when the answer has passed.

use super::request::report;
use super::response::{Ending, Relaying};
use super::{Ended, Joining, Routed, Service, State, answer, ask, limits};
use crate::cache::capture::Capture;
use crate::cache::flight::Lease;
use crate::cache::key::{Subject, Tenant};
use crate::cache::policy::{CacheStatus, Directives, Forward, Mode, Scope, Skip};
use crate::cache::record::Form;
use crate::cache::serve::Hit;
use crate::cache::shadow::{self, Comparison};
use crate::cache::webdis::{self, Answer, Call as StoreCall, Fault};
use crate::cache::{Cache, Follower, Joined, Look, Lookup, Question, Wants};
use crate::host::{
    Buffer, CallId, Event, Flow, Host, Map, Pairs, Request, SafeValue, Status, Timestamp,
};
use crate::identity::CREDENTIAL_HEADERS;
use crate::metrics::CacheResult;

/// The cache's part in one call.
#[derive(Debug, Default)]
pub(super) struct Caching {
    /// What `cache-status` says; `None` where there is no cache.
    status: Option<CacheStatus>,
    result: Option<CacheResult>,
    asked: Option<Box<Asked>>,
}

/// A question that the cache could not answer.
#[derive(Debug)]
struct Asked {
    question: Question,
    why: Forward,
    /// Others wait for this answer.
    lease: Option<Lease>,
    /// What would have been served.
    shadow: Option<Hit>,
    capture: Option<Capture>,
}

/// What to do with a request.
pub(super) enum Consulted {
    Serve(Box<Hit>),
    Wait(Wait),
    Go,
}

/// What a paused request waits for.
#[derive(Debug)]
pub(super) enum Wait {
    /// The answer to an identical request in flight.
    Follow(Follower),
    /// The second level's word.
    Store(CallId),
}

impl Caching {
    /// The value of the access log's `llm_cache`.
    pub(super) fn label(&self) -> Option<&'static str> {
        self.result.map(CacheResult::label)
    }

    pub(super) fn result(&self) -> Option<CacheResult> {
        self.result
    }
}

/// Asks the cache before anyone else.
pub(super) fn consult(
    routed: &mut Routed,
    headers: &Pairs,
    body: &[u8],
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Consulted {
    let Some(cache) = &service.cache else { return Consulted::Go };
    let cache_control = headers.iter().filter(|(name, _)| *name == b"cache-control");
    let directives = Directives::parse(cache_control.map(|(_, value)| value));
    let question = match question(routed, headers, body, &directives, cache, service) {
        Ok(question) => question,
        Err(skip) => {
            service.metrics.cache_skip(host, skip as usize);
            let result = Some(CacheResult::Bypass);
            let status = Some(CacheStatus::Bypass(skip));
            routed.call.caching = Caching { status, result, asked: None };
            return Consulted::Go;
        }
    };
    match cache.lookup(host, &question, now) {
        Lookup::Hit(hit) => Consulted::Serve(Box::new(hit)),
        Lookup::Shadow(hit) => {
            routed.call.caching = Caching {
                status: Some(CacheStatus::Shadowed),
                result: Some(CacheResult::ShadowHit),
                asked: Some(Box::new(Asked::new(question, Forward::Miss, Some(hit)))),
            };
            Consulted::Go
        }
        Lookup::Miss(miss) => {
            if let Some(skip) = miss.skip {
                service.metrics.cache_skip(host, skip as usize);
            }
            routed.call.caching = Caching {
                status: Some(CacheStatus::Forwarded { why: miss.why, stored: false }),
                result: Some(CacheResult::Miss),
                asked: Some(Box::new(Asked::new(question, miss.why, None))),
            };
            missed(routed, cache, service, now, host)
        }
    }
}

/// A paused request looks again, or has got what it waited for.
pub(super) fn wake(
    mut joining: Box<Joining>,
    event: Event,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    let Some(cache) = &service.cache else { return ask::go_on(*joining, service, now, host) };
    let Some(asked) = &mut joining.routed.call.caching.asked else {
        return ask::go_on(*joining, service, now, host);
    };
    let next = match (&joining.wait, event) {
        (Wait::Follow(follower), Event::Tick) => {
            match cache.look(host, &asked.question, *follower, now) {
                Look::Wait => None,
                Look::Hit(hit) => Some(Consulted::Serve(Box::new(hit))),
                Look::Lead(lease) => {
                    asked.lease = Some(lease);
                    Some(Consulted::Go)
                }
                Look::Alone => Some(Consulted::Go),
            }
        }
        (Wait::Store(call), Event::Called(id)) if *call == id => {
            Some(fetched(asked, cache, service, now, host))
        }
        _ => None,
    };
    match next {
        None => (State::Joining(joining), Flow::Pause),
        Some(Consulted::Serve(hit)) => {
            let followed = matches!(joining.wait, Wait::Follow(_));
            let Joining { mut routed, ticket, .. } = *joining;
            limits::spend(ticket);
            if let Some(lease) = routed.call.caching.take_lease() {
                cache.land(host, lease, true, now);
            }
            if followed {
                routed.call.caching.result = Some(CacheResult::Joined);
                routed.call.caching.status = Some(CacheStatus::Collapsed);
            }
            serve_as(routed, &hit, followed, host)
        }
        Some(Consulted::Wait(_) | Consulted::Go) => ask::go_on(*joining, service, now, host),
    }
}

/// Answers from the cache.
pub(super) fn serve(routed: Routed, hit: &Hit, host: &impl Host) -> (State, Flow) {
    serve_as(routed, hit, false, host)
}

/// Begins to keep an answer, and says what the cache did for it.
pub(super) fn head(
    routed: &mut Routed,
    status: u16,
    headers: &Pairs,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) {
    let Some(cache) = &service.cache else { return };
    let chain_moved = routed.has_moved(host);
    let caching = &mut routed.call.caching;
    if let Some(asked) = &mut caching.asked {
        let content_type = headers.get("content-type").unwrap_or_default();
        let capture = match chain_moved {
            // The key names another model than the one that answers.
            true => Err(Skip::Failover),
            false => cache.capture(status, content_type, headers.get("content-encoding")),
        };
        match capture {
            Ok(capture) => asked.capture = Some(capture),
            Err(skip) => {
                service.metrics.cache_skip(host, skip as usize);
                if let Some(lease) = asked.lease.take() {
                    cache.land(host, lease, false, now);
                }
            }
        }
        if let Some(CacheStatus::Forwarded { why, stored }) = &mut caching.status {
            (*why, *stored) = (asked.why, asked.capture.is_some());
        }
    }
    write_status(caching, host);
}

/// The next bytes of an answer, as the provider sent them.
pub(super) fn chunk(routed: &mut Routed, chunk: &[u8]) {
    let asked = routed.call.caching.asked.as_mut();
    if let Some(capture) = asked.and_then(|asked| asked.capture.as_mut()) {
        capture.chunk(chunk);
    }
}

/// Whether the answer is kept, so that its bytes are wanted.
pub(super) fn keeps(routed: &Routed) -> bool {
    routed.call.caching.asked.as_ref().is_some_and(|asked| asked.capture.is_some())
}

/// The answer has passed whole, or was cut by its provider.
pub(super) fn finish(relaying: &mut Relaying, service: &Service, now: Timestamp, host: &impl Host) {
    let usage = relaying.usage().map(|(usage, _)| usage).unwrap_or_default();
    let complete = relaying.ending == Ending::Complete;
    let (Some(cache), Some(mut asked)) =
        (&service.cache, relaying.routed.call.caching.asked.take())
    else {
        return;
    };
    let Some(capture) = asked.capture.take() else { return };
    if let Some(hit) = &asked.shadow {
        let operation = relaying.routed.call.operation;
        let same = shadow::compare(operation, hit, &capture, complete);
        service.metrics.cache_skip(host, skip_of_comparison(same));
    }
    let entry = cache.entry(&asked.question, &capture, complete, usage.into(), now);
    let stored = match &entry {
        Ok(entry) => cache.store(host, entry, now),
        Err(skip) => Err(*skip),
    };
    if let Err(skip) = &stored {
        service.metrics.cache_skip(host, *skip as usize);
    }
    if let Some(lease) = asked.lease.take() {
        cache.land(host, lease, stored.is_ok(), now);
    }
    if let (Some(backend), Ok(entry)) = (&service.backend, &entry)
        && let Some(call) = webdis::store(entry)
    {
        let shared = request(&call, &backend.cluster, |headers| {
            host.send(&Request {
                cluster: &backend.cluster,
                headers,
                body: &call.body,
                timeout: STORE_TIMEOUT.max(backend.timeout),
            })
        });
        if shared.is_err() {
            service.metrics.cache_skip(host, skip_of_fault(Fault::Unavailable));
        }
    }
}

/// The call ends without an answer to keep.
pub(super) fn abandon(caching: &mut Caching, service: &Service, host: &impl Host) {
    let (Some(cache), Some(mut asked)) = (&service.cache, caching.asked.take()) else { return };
    if asked.capture.is_some() {
        service.metrics.cache_skip(host, Skip::Incomplete as usize);
    }
    if let Some(lease) = asked.lease.take() {
        cache.abandon(host, lease);
    }
}

/// The labels of `llm_cache_skip_total`, in the order of the numbers that this module counts.
pub(super) fn skip_labels() -> Vec<String> {
    let skips = Skip::ALL.into_iter().map(|skip| skip.label().to_owned());
    let faults = Fault::ALL.into_iter().map(|fault| format!("backend_{}", fault.label()));
    let shadows = Comparison::ALL.into_iter().map(|same| format!("shadow_{}", same.label()));
    skips.chain(faults).chain(shadows).collect()
}

fn skip_of_fault(fault: Fault) -> usize {
    Skip::ALL.len() + fault as usize
}

fn skip_of_comparison(comparison: Comparison) -> usize {
    Skip::ALL.len() + Fault::ALL.len() + comparison as usize
}

impl Asked {
    fn new(question: Question, why: Forward, shadow: Option<Hit>) -> Self {
        Self { question, why, lease: None, shadow, capture: None }
    }
}

impl Caching {
    fn take_lease(&mut self) -> Option<Lease> {
        self.asked.as_mut().and_then(|asked| asked.lease.take())
    }
}

fn question(
    routed: &Routed,
    headers: &Pairs,
    body: &[u8],
    directives: &Directives,
    cache: &Cache,
    service: &Service,
) -> Result<Question, Skip> {
    let path = headers.get(":path").unwrap_or_default();
    let query = path.iter().position(|byte| *byte == b'?').and_then(|at| path.get(at..));
    let subject = Subject {
        tenant: tenant(routed, headers, service),
        operation: routed.call.operation,
        model: routed.hops.first().map_or("", |hop| &hop.model),
        query: query.and_then(|query| query.get(1..)).unwrap_or_default(),
        headers,
    };
    let form = if routed.stream { Form::Stream } else { Form::Json };
    let wants = Wants { form, usage: routed.asked_for_usage };
    cache.question(&subject, &routed.asked, body, wants, directives)
}

/// Who may share the answer: nobody who could not have asked for it.
fn tenant<'a>(routed: &Routed, headers: &'a Pairs, service: &'a Service) -> Tenant<'a> {
    let scope = service.config.cache.as_ref().map_or(Scope::Consumer, |cache| cache.policy.scope);
    match (scope, service.consumer(&routed.call)) {
        (Scope::Global, _) => Tenant::Global,
        (Scope::Consumer, Some(consumer)) => Tenant::Consumer(&consumer.name),
        (Scope::Consumer, None) => CREDENTIAL_HEADERS
            .iter()
            .find_map(|name| headers.get(name))
            .map_or(Tenant::Global, Tenant::Credential),
    }
}

/// Nothing is here: others may be asking the same, and a second level may have it.
fn missed(
    routed: &mut Routed,
    cache: &Cache,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Consulted {
    let Some(asked) = &mut routed.call.caching.asked else { return Consulted::Go };
    match cache.join(host, &asked.question, now) {
        Joined::Lead(lease) => asked.lease = Some(lease),
        Joined::Follow(follower) => return Consulted::Wait(Wait::Follow(follower)),
        Joined::Alone => {}
    }
    let on = service.config.cache.as_ref().is_some_and(|cache| cache.policy.mode == Mode::On);
    let (Some(backend), Some(call)) = (&service.backend, cache.fetch(&asked.question)) else {
        return Consulted::Go;
    };
    if !on {
        return Consulted::Go;
    }
    let fetching = request(&call, &backend.cluster, |headers| {
        host.call(&Request {
            cluster: &backend.cluster,
            headers,
            body: &call.body,
            timeout: backend.timeout,
        })
    });
    match fetching {
        Ok(id) => Consulted::Wait(Wait::Store(id)),
        Err(_) => {
            service.metrics.cache_skip(host, skip_of_fault(Fault::Unavailable));
            Consulted::Go
        }
    }
}

/// The second level has answered.
fn fetched(
    asked: &Asked,
    cache: &Cache,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Consulted {
    let headers = host.headers(Map::CallHeaders).unwrap_or_default();
    // A call that failed has no headers.
    let status = headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or(504);
    let body = host.body(Buffer::CallBody, 0, usize::MAX).unwrap_or_default();
    match cache.fetched(host, &asked.question, Answer { status, body }, now) {
        Ok(Lookup::Hit(hit)) => Consulted::Serve(Box::new(hit)),
        Ok(Lookup::Shadow(_) | Lookup::Miss(_)) => Consulted::Go,
        Err(fault) => {
            service.metrics.cache_skip(host, skip_of_fault(fault));
            Consulted::Go
        }
    }
}

/// Makes the headers of a call to the second level.
fn request<T>(
    call: &StoreCall,
    cluster: &str,
    send: impl FnOnce(&[(&str, SafeValue<'_>)]) -> Result<T, Status>,
) -> Result<T, Status> {
    let safe = |text| SafeValue::new(text).ok_or(Status::BadArgument);
    let headers = [
        (":method", safe(call.method.as_bytes())?),
        (":path", safe(call.path.as_bytes())?),
        (":authority", safe(cluster.as_bytes())?),
    ];
    send(&headers)
}

fn serve_as(mut routed: Routed, hit: &Hit, followed: bool, host: &impl Host) -> (State, Flow) {
    let caching = &mut routed.call.caching;
    if !followed {
        caching.status = Some(hit.cache_status());
        caching.result = Some(CacheResult::Hit);
    }
    caching.asked = None;
    let (status, age) = (status_text(caching), hit.age_seconds.to_string());
    let mut headers = Vec::new();
    for (name, value) in [
        ("content-type", hit.content_type()),
        ("cache-status", status.as_bytes()),
        ("age", age.as_bytes()),
    ] {
        headers.extend(SafeValue::new(value).map(|value| (name, value)));
    }
    answer::reply(&routed.call, hit.status(), "llm_cache_hit", &headers, hit.body(), host);
    let cached = routed.hops.into_vec().into_iter().next();
    let ended = Ended {
        asked: Some(routed.asked),
        status: hit.status(),
        cached,
        usage: None,
        ..Ended::of(routed.call)
    };
    (State::Answered(Box::new(ended)), Flow::Pause)
}

fn write_status(caching: &Caching, host: &impl Host) {
    let text = status_text(caching);
    if let Some(value) = SafeValue::new(text.as_bytes()).filter(|_| !text.is_empty()) {
        report(host.set_header(Map::ResponseHeaders, "cache-status", value), "cache-status", host);
    }
}

fn status_text(caching: &Caching) -> String {
    caching.status.map(|status| status.to_string()).unwrap_or_default()
}

/// What the second level is told is waited for by nobody.
const STORE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);
