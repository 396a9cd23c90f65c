//! What a request takes from the limits before it goes on, and what it gives back.

use super::request::report;
use super::{Call, Routed, Service};
use crate::error::Error;
use crate::host::{Host, Map, Pairs, Timestamp};
use crate::limit::headers::RateHeaders;
use crate::limit::{Notes, Refused, Reservation, Spend, Subject, Ticket};
use crate::protocol::Operation;
use crate::protocol::probe::Probe;
use crate::protocol::usage::Usage;
use crate::routing::Target;

/// What a call asks for, as far as limits care.
#[derive(Clone, Copy)]
struct Ask<'a> {
    /// The name as it was asked for.
    model: &'a str,
    /// Of the first attempt.
    target: Option<&'a Target>,
}

impl<'a> Ask<'a> {
    fn of(routed: &'a mut Routed) -> (&'a mut Call, Self) {
        let Routed { call, asked, hops, .. } = routed;
        (call, Self { model: asked, target: hops.first().map(|hop| &*hop.target) })
    }
}

/// The request counts.
pub(super) fn admit(
    routed: &mut Routed,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Result<Option<Ticket>, Error> {
    let Some(limiter) = &service.limiter else { return Ok(None) };
    let (call, ask) = Ask::of(routed);
    match limiter.admit_request(host, &subject(call, ask, service), now) {
        Ok(ticket) => {
            count(ticket.notes(), service, host);
            call.standings = ticket.standings();
            Ok(Some(ticket))
        }
        Err(refused) => Err(refusal(call, ask, &refused, service, host)),
    }
}

/// A request that asks for no model counts as one of every limit that is for all of them.
pub(super) fn pass(
    call: &mut Call,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Result<(), Error> {
    let Some(limiter) = &service.limiter else { return Ok(()) };
    let ask = Ask { model: "", target: None };
    match limiter.admit_request(host, &subject(call, ask, service), now) {
        Ok(ticket) => {
            count(ticket.notes(), service, host);
            ticket.spend();
            Ok(())
        }
        Err(refused) => Err(refusal(call, ask, &refused, service, host)),
    }
}

/// It is going to spend this much, as far as its body tells.
pub(super) fn reserve(
    routed: &mut Routed,
    ticket: Option<Ticket>,
    estimate: &Usage,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Result<Option<Reservation>, Error> {
    let (Some(limiter), Some(ticket)) = (&service.limiter, ticket) else { return Ok(None) };
    let (call, ask) = Ask::of(routed);
    let estimate = cost(ask.target, estimate);
    match ticket.reserve(limiter, host, &subject(call, ask, service), estimate, now) {
        Ok(reservation) => {
            count(reservation.notes(), service, host);
            call.standings = reservation.standings();
            Ok(Some(reservation))
        }
        Err(refused) => Err(refusal(call, ask, &refused, service, host)),
    }
}

/// The request was answered without a provider: it counts, and spends nothing else.
pub(super) fn spend(ticket: Option<Ticket>) {
    if let Some(ticket) = ticket {
        ticket.spend();
    }
}

/// What a request may use at most: all of its text as input, and the longest answer that it allows
/// or, where it sets no bound, the configured one. Of calls that are not read, nobody knows what
/// they will say.
pub(super) fn estimate(routed: &Routed, probe: &Probe<'_>, service: &Service) -> Usage {
    let output = match routed.call.operation {
        Operation::Embedding
        | Operation::OllamaEmbed
        | Operation::GeminiEmbed
        | Operation::GeminiBatchEmbed
        | Operation::Other
        | Operation::Models => 0,
        _ => probe.max_output_tokens.unwrap_or(service.config.limiter.default_output_tokens),
    };
    let output = output.saturating_mul(probe.choices);
    Usage { input: routed.estimated_input, output, ..Usage::default() }
}

/// Puts what was used in the place of what was reserved; nothing, where the provider refused.
pub(super) fn settle(
    reservation: Reservation,
    used: Option<&Usage>,
    target: Option<&Target>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) {
    let notes = match used {
        Some(used) => reservation.settle(host, cost(target, used), now),
        None => reservation.release(host, now),
    };
    count(&notes, service, host);
}

/// What limits leave the caller, on whatever answer it gets.
pub(super) fn rate_headers(call: &Call, now: Timestamp) -> RateHeaders {
    RateHeaders::new(&call.standings, call.dialect, now)
}

/// `theirs` are the answer's headers as they came. Where the gateway has a limit, the provider's own
/// are about another account than the caller's, and would be taken for ours.
pub(super) fn write_rate_headers(call: &Call, theirs: &Pairs, now: Timestamp, host: &impl Host) {
    let ours = rate_headers(call, now);
    for (name, value) in ours.iter() {
        report(host.set_header(Map::ResponseHeaders, name, value), name, host);
    }
    if ours.iter().next().is_none() {
        return;
    }
    for (name, _) in theirs.iter() {
        let is_limit = RATE_HEADERS.iter().any(|prefix| name.starts_with(prefix));
        if is_limit && ours.iter().all(|(own, _)| own.as_bytes() != name) {
            report(host.remove_header(Map::ResponseHeaders, name), "rate headers", host);
        }
    }
}

fn refusal(
    call: &mut Call,
    ask: Ask<'_>,
    refused: &Refused,
    service: &Service,
    host: &impl Host,
) -> Error {
    count(&refused.notes, service, host);
    call.standings = refused.standings;
    refused.error(ask.model)
}

fn subject<'a>(call: &Call, ask: Ask<'a>, service: &'a Service) -> Subject<'a> {
    Subject {
        consumer: service.consumer(call).map(|consumer| &*consumer.name),
        client_ip: call.client_ip,
        model: ask.model,
        provider: ask.target.map_or("", |target| &target.provider.name),
    }
}

/// A model without a price costs nothing.
fn cost(target: Option<&Target>, usage: &Usage) -> Spend {
    let price = target.and_then(|target| target.price);
    let cost_microusd = price.map_or(0, |price| price.cost_microusd(usage));
    Spend { tokens: usage.total(), cost_microusd }
}

fn count(notes: &Notes, service: &Service, host: &impl Host) {
    for rule in &notes.refused {
        service.metrics.rate_limited(host, *rule);
    }
    service.metrics.evictions(host, notes.evictions.into());
}

/// What OpenAI's and Anthropic's headers about rate limits begin with.
const RATE_HEADERS: [&[u8]; 2] = [b"x-ratelimit-", b"anthropic-ratelimit-"];
