//! What an exchange is charged, on each way in which it can end.
//!
//! What the provider reports is charged, at the price of who answered, or what can be seen of the
//! answer where it reports nothing that can be believed. Where nobody can see what it used, the
//! exchange is charged what was taken for it, the most that it may have used:
//!
//! | how it ends | what it is charged |
//! |---|---|
//! | an answer or a stream with a report | the report |
//! | one without, or one that cannot be true | its text, and the request's |
//! | a stream that is left or cut in the middle | the same, or what was reported by then if that is more |
//! | a stream that is left or cut before the model said anything, a document before its end | what was taken |
//! | an answer that cannot be read, or that says nothing; `background: true` | what was taken |
//! | the caller leaves, or Envoy's patience ends, before the answer and after a provider was asked | what was taken, at the dearest of those |
//! | an error; nobody was asked | nothing |

use super::response::{Ending, Reader, Relaying};
use super::{Routed, Served, limits, meaning};
use crate::host::Host;
use crate::limit::Spend;
use crate::protocol::Operation;
use crate::protocol::stream::Phase;
use crate::protocol::usage::{Quality, Usage};

impl Relaying {
    /// What is known of the usage by now; `None` of what is no answer of a model.
    pub(super) fn usage(&self) -> Option<(Usage, Quality)> {
        if !matches!(self.status, 200..300) {
            return None;
        }
        let taken = self.routed.estimate;
        let (seen, quality) = match &self.reader {
            Reader::Stream(relay) => relay.usage(taken.input),
            Reader::Json(meter, _) => meter.usage(taken.input),
            Reader::Opaque => (Usage::default(), Quality::Missing),
        };
        let is_seen = match &self.reader {
            _ if self.routed.background => false,
            // Who says that it failed has not gone on.
            _ if self.ending == Ending::Failed => true,
            Reader::Stream(relay) => relay.phase() != Phase::Opening && quality != Quality::Missing,
            Reader::Json(..) => self.ending == Ending::Complete && quality != Quality::Missing,
            Reader::Opaque => false,
        };
        if quality == Quality::Exact {
            return Some((seen, quality));
        }
        let usage = if is_seen { seen } else { at_least(seen, taken) };
        // Of a call that is not read nobody knows what it should have used.
        let unknown = self.routed.call.operation == Operation::Other && quality == Quality::Missing;
        Some((usage, if unknown { Quality::Missing } else { Quality::Estimated }))
    }
}

/// What a request is charged whose answer nobody will see.
pub(super) fn unanswered(routed: &Routed) -> (Usage, Quality) {
    (routed.estimate, Quality::Estimated)
}

/// Whether a provider has had the request. It has a connection, or had one that failed: a host
/// alone (`upstream.address`) is chosen before that.
pub(super) fn was_sent(host: &impl Host) -> bool {
    let said = |name| host.property(&["upstream", name]).unwrap_or_default();
    if !said("local_address").is_empty() {
        return true;
    }
    let attempts = said("request_attempt_count");
    attempts.first_chunk().is_some_and(|count| u64::from_le_bytes(*count) > 1)
}

/// Where Envoy has waited long enough for a provider that may go on. Of a connection that did not
/// come about in time nobody was asked.
pub(super) fn of_timeout(
    details: &[u8],
    routed: &Routed,
    host: &impl Host,
) -> Option<(Usage, Quality)> {
    let waited = TIMEOUTS.iter().any(|timeout| meaning::contains(details, timeout));
    (waited && was_sent(host)).then(|| unanswered(routed))
}

/// What is charged to limits, and told to everybody else.
pub(super) fn spend(served: &Served, status: u16, usage: &Usage) -> Spend {
    match served.last() {
        Some(last) if matches!(status, 200..300) => limits::spend(&last.target, usage),
        _ => limits::spend_at_most(&served.tried, usage),
    }
}

/// Envoy's response code details: of the route, of an attempt, and of a stream.
const TIMEOUTS: [&[u8]; 4] =
    [b"response_timeout", b"per_try_timeout", b"idle_timeout", b"max_stream_duration"];

fn at_least(seen: Usage, taken: Usage) -> Usage {
    Usage { input: seen.input.max(taken.input), output: seen.output.max(taken.output), ..seen }
}
