//! What the cache does for a call before it goes on: whether it has the answer, or will have it soon.

use super::fleet::Asking;
use super::{Ended, Joining, Routed, Service, State, answer, ask, fleet, limits, subject};
use crate::cache::capture::Capture;
use crate::cache::flight::Lease;
use crate::cache::policy::{CacheStatus, Directives};
use crate::cache::serve::Hit;
use crate::cache::{Cache, Follower, Joined, Look, Lookup, Question};
use crate::error::{Error, Kind, Retry};
use crate::host::{Decimal, Event, Flow, Host, Pairs, SafeValue, Timestamp};
use crate::metrics::CacheResult;

/// The cache's part in one call.
#[derive(Debug, Default)]
pub(super) struct Caching {
    /// What `cache-status` says; `None` where there is no cache.
    pub(super) status: Option<CacheStatus>,
    result: Option<CacheResult>,
    pub(super) asked: Option<Box<Asked>>,
}

/// A question that the cache could not answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    /// The caller wants a stored answer or none.
    only_if_cached: bool,
    /// Others wait for this answer.
    pub(super) lease: Option<Lease>,
    /// What would have been served.
    pub(super) shadow: Option<Hit>,
    pub(super) capture: Option<Capture>,
}

/// What to do with a request.
pub(super) enum Consulted {
    Serve(Box<Hit>),
    Wait(Wait),
    Go,
    Refuse(Error),
}

/// What a paused request waits for.
#[derive(Debug)]
pub(super) enum Wait {
    /// The answer to an identical request in flight.
    Follow(Follower),
    /// The second level's word.
    Store(Asking),
}

impl Caching {
    /// The value of the access log's `llm_cache`.
    pub(super) fn label(&self) -> Option<&'static str> {
        self.result.map(CacheResult::label)
    }

    pub(super) fn result(&self) -> Option<CacheResult> {
        self.result
    }

    /// The value of the `cache-status` header; empty if there is none.
    pub(super) fn status_text(&self) -> String {
        self.status.map(|status| status.to_string()).unwrap_or_default()
    }

    /// The gateway refuses the call: it was not forwarded, whatever the cache thought.
    pub(super) fn refused(&mut self) {
        self.status = self.status.filter(|status| *status == CacheStatus::OnlyIfCached);
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
    // A cache that serves nothing changes nothing.
    let only_if_cached = directives.only_if_cached && cache.serves();
    let mut question =
        match subject::question(routed, headers, body, &directives, cache, service, host) {
            Ok(question) => question,
            Err(skip) => {
                service.metrics.cache_skip(host, skip as usize);
                let (status, result) = (Some(CacheStatus::Bypass(skip)), Some(CacheResult::Bypass));
                routed.call.caching = Caching { status, result, asked: None };
                return onward(&mut routed.call.caching, only_if_cached);
            }
        };
    let (status, result, shadow) = match cache.lookup(host, &question, now) {
        Lookup::Hit(hit) => return Consulted::Serve(Box::new(hit)),
        Lookup::Shadow(hit) => (CacheStatus::Shadowed, CacheResult::ShadowHit, Some(hit)),
        Lookup::Miss(miss) => {
            if let Some(skip) = miss.skip {
                service.metrics.cache_skip(host, skip as usize);
            }
            let status = CacheStatus::Forwarded { why: miss.why, stored: false };
            (status, CacheResult::Miss, None)
        }
    };
    question.expect(body);
    let asked = Asked { question, only_if_cached, lease: None, shadow, capture: None };
    let asked = Some(Box::new(asked));
    routed.call.caching = Caching { status: Some(status), result: Some(result), asked };
    match cache.serves() {
        true => missed(&mut routed.call.caching, cache, service, now, host),
        false => Consulted::Go,
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
    let caching = &mut joining.routed.call.caching;
    let Some(asked) = &mut caching.asked else {
        return ask::go_on(*joining, service, now, host);
    };
    let next = match (&joining.wait, event) {
        (Wait::Follow(follower), Event::Tick) => {
            match cache.look(host, &asked.question, *follower, now) {
                Look::Wait => None,
                Look::Hit(hit) => {
                    caching.status = Some(CacheStatus::Collapsed);
                    caching.result = Some(CacheResult::Joined);
                    Some(Consulted::Serve(Box::new(hit)))
                }
                Look::Lead(lease) => {
                    asked.lease = Some(lease);
                    Some(Consulted::Go)
                }
                Look::Alone => Some(Consulted::Go),
            }
        }
        (Wait::Store(asking), Event::Called(id)) if asking.call() == id => {
            match fleet::fetched(asked, cache, service, now, host) {
                Some(hit) => {
                    if let Some(lease) = asked.lease.take() {
                        cache.land(host, lease, true, now);
                    }
                    Some(Consulted::Serve(Box::new(hit)))
                }
                None => {
                    let only_if_cached = asked.only_if_cached;
                    Some(onward(caching, only_if_cached))
                }
            }
        }
        _ => None,
    };
    match next {
        None => (State::Joining(joining), Flow::Pause),
        Some(Consulted::Serve(hit)) => {
            let Joining { routed, ticket, .. } = *joining;
            limits::keep(ticket);
            serve(routed, &hit, host)
        }
        Some(Consulted::Refuse(error)) => {
            let Joining { routed, ticket, .. } = *joining;
            limits::keep(ticket);
            answer::refuse(routed.call, Some(routed.asked), &error, host)
        }
        Some(Consulted::Wait(_) | Consulted::Go) => ask::go_on(*joining, service, now, host),
    }
}

/// Answers from the cache.
pub(super) fn serve(mut routed: Routed, hit: &Hit, host: &impl Host) -> (State, Flow) {
    let caching = &mut routed.call.caching;
    if caching.result != Some(CacheResult::Joined) {
        caching.status = Some(hit.cache_status());
        caching.result = Some(CacheResult::Hit);
    }
    caching.asked = None;
    let age = Decimal::new(hit.age_seconds);
    let kind = SafeValue::new(hit.content_type()).map(|kind| ("content-type", kind));
    let headers: Vec<_> = kind.into_iter().chain([("age", age.value())]).collect();
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

/// Nothing is here: others may be asking the same, and a second level may have it.
fn missed(
    caching: &mut Caching,
    cache: &Cache,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Consulted {
    let Some(asked) = &mut caching.asked else { return Consulted::Go };
    // Who would not go upstream does not lead either.
    if !asked.only_if_cached {
        match cache.join(host, &asked.question, now) {
            Joined::Lead(lease) => asked.lease = Some(lease),
            Joined::Hit(hit) => return Consulted::Serve(Box::new(hit)),
            Joined::Follow(follower) => return Consulted::Wait(Wait::Follow(follower)),
            Joined::Alone => {}
        }
    }
    let only_if_cached = asked.only_if_cached;
    match fleet::fetch(&asked.question, cache, service, host) {
        Some(asking) => Consulted::Wait(Wait::Store(asking)),
        None => onward(caching, only_if_cached),
    }
}

/// There is no answer: upstream, unless the caller forbade that.
fn onward(caching: &mut Caching, only_if_cached: bool) -> Consulted {
    if !only_if_cached {
        return Consulted::Go;
    }
    caching.status = Some(CacheStatus::OnlyIfCached);
    Consulted::Refuse(Error::new(Kind::NotCached, NOT_CACHED).retry(Retry::Never))
}

const NOT_CACHED: &str =
    "The answer is not in the cache, and the request forbids to ask for it: only-if-cached.";

#[cfg(test)]
mod tests;
