//! What the cache does with an answer that passes: it keeps a copy, stores it when it is whole, and
//! lets go of those who wait for it, however it ends.

use super::caching::{Asked, Caching};
use super::request::report;
use super::response::{Ending, Relaying};
use super::{Routed, Service, fleet};
use crate::cache::Cache;
use crate::cache::policy::{CacheStatus, Skip};
use crate::cache::shadow::{self, Comparison};
use crate::cache::webdis::Fault;
use crate::host::{Host, Map, Pairs, SafeValue, Timestamp};

/// Begins to keep an answer.
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
    let Some(asked) = &mut caching.asked else { return };
    let content_type = headers.get("content-type").unwrap_or_default();
    let length = headers.text("content-length").and_then(|length| length.parse().ok());
    let capture = match chain_moved {
        // The key names another model than the one that answers.
        true => Err(Skip::Failover),
        false => cache.capture(status, content_type, headers.get("content-encoding"), length),
    };
    match capture {
        Ok(capture) => asked.capture = Some(capture),
        Err(skip) => asked.skip(skip, cache, service, now, host),
    }
    if let Some(CacheStatus::Forwarded { stored, .. }) = &mut caching.status {
        *stored = asked.capture.is_some();
    }
}

/// Says in the answer's headers what the cache did.
pub(super) fn write_status(caching: &Caching, host: &impl Host) {
    let text = caching.status_text();
    if let Some(value) = SafeValue::new(text.as_bytes()).filter(|_| !text.is_empty()) {
        report(host.set_header(Map::ResponseHeaders, "cache-status", value), "cache-status", host);
    }
}

/// The next bytes of an answer, as the provider sent them.
pub(super) fn chunk(
    routed: &mut Routed,
    chunk: &[u8],
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) {
    let Some(cache) = &service.cache else { return };
    let Some(asked) = &mut routed.call.caching.asked else { return };
    if let Some(capture) = &mut asked.capture
        && !capture.chunk(chunk)
    {
        asked.capture = None;
        asked.skip(Skip::TooLarge, cache, service, now, host);
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
    let operation = relaying.routed.call.operation;
    let asked = &mut relaying.routed.call.caching.asked;
    let (Some(cache), Some(asked)) = (&service.cache, asked) else { return };
    let Some(capture) = asked.capture.take() else { return };
    if let Some(hit) = &asked.shadow {
        // What would be served until it expires is not replaced either.
        let same = shadow::compare(operation, hit, &capture, complete);
        service.metrics.cache_skip(host, skip_of_comparison(same));
        return;
    }
    let entry = cache.entry(&asked.question, &capture, complete, usage.into(), now);
    let stored = entry.and_then(|entry| cache.store(host, &entry, now).map(|_| entry));
    match stored {
        Ok(entry) => {
            fleet::share(&entry, service, host);
            if let Some(lease) = asked.lease.take() {
                cache.land(host, lease, true, now);
            }
        }
        Err(skip) => asked.skip(skip, cache, service, now, host),
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

impl Asked {
    /// The answer will not be stored: nobody need wait for it any longer.
    fn skip(
        &mut self,
        skip: Skip,
        cache: &Cache,
        service: &Service,
        now: Timestamp,
        host: &impl Host,
    ) {
        service.metrics.cache_skip(host, skip as usize);
        let Some(lease) = self.lease.take() else { return };
        match skip {
            // The next answer may be whole.
            Skip::Incomplete | Skip::ErrorBody => cache.abandon(host, lease),
            _ => cache.land(host, lease, false, now),
        }
    }
}

/// The labels of `llm_cache_skip_total`, in the order of the numbers that are counted.
pub(super) fn skip_labels() -> Vec<String> {
    let skips = Skip::ALL.into_iter().map(|skip| skip.label().to_owned());
    let faults = Fault::ALL.into_iter().map(|fault| format!("backend_{}", fault.label()));
    let shadows = Comparison::ALL.into_iter().map(|same| format!("shadow_{}", same.label()));
    skips.chain(faults).chain(shadows).collect()
}

pub(super) fn skip_of_fault(fault: Fault) -> usize {
    Skip::ALL.len() + fault as usize
}

fn skip_of_comparison(comparison: Comparison) -> usize {
    Skip::ALL.len() + Fault::ALL.len() + comparison as usize
}
