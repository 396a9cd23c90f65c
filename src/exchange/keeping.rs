//! What the cache does with an answer that passes: it keeps a copy, stores it when it is whole, and
//! lets go of those who wait for it, however it ends.

use super::caching::{Asked, Caching};
use super::request::report;
use super::response::{Ending, Relaying};
use super::{Routed, Service, fleet};
use crate::cache::Cache;
use crate::cache::capture::Capture;
use crate::cache::policy::{CacheStatus, Skip};
use crate::cache::record::Form;
use crate::cache::shadow::{self, Comparison};
use crate::cache::webdis::Fault;
use crate::host::{Host, Map, Pairs, SafeValue, Timestamp};

/// Begins to keep an answer. Whether its headers are to be held back until it is whole: then they
/// can say whether it was stored. JSON is of no use before it is whole, a stream is.
pub(super) fn head(
    routed: &mut Routed,
    status: u16,
    headers: &Pairs,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> bool {
    let Some(cache) = &service.cache else { return false };
    let chain_moved = routed.has_moved(host);
    let caching = &mut routed.call.caching;
    let Some(asked) = &mut caching.asked else { return false };
    let content_type = headers.get("content-type").unwrap_or_default();
    let length = headers.text("content-length").and_then(|length| length.parse().ok());
    let capture = match chain_moved {
        // The key names another model than the one that answers.
        true => Err(Skip::Failover),
        false => {
            let encoding = headers.get("content-encoding");
            cache.capture(&asked.question, status, content_type, encoding, length)
        }
    };
    match capture {
        Ok(capture) => {
            let is_json = capture.form() == Form::Json;
            let fits = length.is_none_or(|length| length <= most_held(service));
            asked.capture = Some(capture);
            is_json && fits && asked.shadow.is_none()
        }
        Err(skip) => {
            asked.skip(skip, cache, service, now, host);
            false
        }
    }
}

/// Envoy must be able to buffer this much of a request, and buffers as much of an answer.
pub(super) fn most_held(service: &Service) -> usize {
    service.config.max_request_bytes
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

/// There is no room to keep the answer.
pub(super) fn give_up(routed: &mut Routed, service: &Service, now: Timestamp, host: &impl Host) {
    let (Some(cache), Some(asked)) = (&service.cache, &mut routed.call.caching.asked) else {
        return;
    };
    if asked.capture.take().is_some() {
        asked.skip(Skip::TooLarge, cache, service, now, host);
    }
}

/// How many bytes of the answer are kept.
pub(super) fn kept(routed: &Routed) -> usize {
    let asked = routed.call.caching.asked.as_ref();
    asked.and_then(|asked| asked.capture.as_ref()).map_or(0, Capture::kept)
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
    let Caching { status, asked, .. } = &mut relaying.routed.call.caching;
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
            if let Some(CacheStatus::Forwarded { stored, .. }) = status {
                *stored = true;
            }
            fleet::share(&entry, service, now, host);
            if let Some(lease) = asked.lease.take() {
                cache.land(host, lease, true, now);
            }
        }
        Err(skip) => asked.skip(skip, cache, service, now, host),
    }
}

/// An answer turned out to be none.
pub(super) fn unusable(
    relaying: &mut Relaying,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) {
    let usage = relaying.usage().map(|(usage, _)| usage).unwrap_or_default();
    let asked = &mut relaying.routed.call.caching.asked;
    let (Some(cache), Some(asked)) = (&service.cache, asked) else { return };
    if let Some(capture) = asked.capture.take() {
        let entry = cache.entry(&asked.question, &capture, true, usage.into(), now);
        let skip = entry.err().unwrap_or(Skip::NoAnswer);
        asked.skip(skip, cache, service, now, host);
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
            Skip::Incomplete | Skip::ErrorBody | Skip::NoAnswer | Skip::Unfinished => {
                cache.abandon(host, lease);
            }
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
