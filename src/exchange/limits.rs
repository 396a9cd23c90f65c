//! What a request takes from the limits before it goes on, and what it gives back.

use super::request::report;
use super::{Call, Hop, Routed, Service};
use crate::error::Error;
use crate::host::{Host, Map, Pairs, Timestamp};
use crate::limit::headers::RateHeaders;
use crate::limit::{Notes, Refused, Reservation, Spend, Subject, Ticket};
use crate::protocol::probe::Probe;
use crate::protocol::usage::Usage;
use crate::protocol::{Operation, Path};
use crate::routing::{Spelled, Target};

/// What a call asks for, as far as limits care.
#[derive(Clone, Copy)]
struct Ask<'a> {
    /// The name as it was asked for.
    model: &'a str,
    hops: &'a [Hop],
    names: &'a Spelled,
}

impl<'a> Ask<'a> {
    fn of(routed: &'a mut Routed) -> (&'a mut Call, Self) {
        let Routed { call, asked, hops, names, .. } = routed;
        (call, Self { model: asked, hops, names })
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
    if service.by_model_name {
        let behind = routed.hops.iter().map(|hop| (&*hop.target, &*hop.model));
        routed.names = Spelled::new(&routed.asked, behind);
    }
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
    let ask = Ask { model: "", hops: &[], names: &Spelled::none() };
    match limiter.admit_request(host, &subject(call, ask, service), now) {
        Ok(ticket) => {
            count(ticket.notes(), service, host);
            ticket.spend();
            Ok(())
        }
        Err(refused) => Err(refusal(call, ask, &refused, service, host)),
    }
}

/// It is going to spend this much, as far as its body tells, at whichever provider of its chain is
/// the dearest.
pub(super) fn reserve(
    routed: &mut Routed,
    ticket: Option<Ticket>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> Result<Option<Reservation>, Error> {
    let (Some(limiter), Some(ticket)) = (&service.limiter, ticket) else { return Ok(None) };
    let estimate = routed.estimate;
    let sizeless = routed.call.operation == Operation::Other && estimate.total() > 0;
    let (call, ask) = Ask::of(routed);
    let mut estimate = spend_at_most(ask.hops, &estimate);
    if sizeless && ask.hops.iter().any(|hop| hop.target.price.is_some_and(|it| !it.is_free())) {
        estimate.cost_microusd = estimate.cost_microusd.max(1);
    }
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
pub(super) fn keep(ticket: Option<Ticket>) {
    if let Some(ticket) = ticket {
        ticket.spend();
    }
}

/// What a request may use at most: all of its text as input, and the longest answer that it allows
/// or, where it sets no bound, the configured one. Of calls that are not read, nobody knows what
/// they will say: they take at least one token, so that who has none left is refused. To count
/// tokens costs none.
pub(super) fn estimate(
    operation: Operation,
    path: &[u8],
    body: &[u8],
    probe: &Probe<'_>,
    service: &Service,
) -> Usage {
    if operation == Operation::Other && Path::read(path).counts_tokens() {
        return Usage::default();
    }
    let output = match operation {
        Operation::Embedding
        | Operation::OllamaEmbed
        | Operation::GeminiEmbed
        | Operation::GeminiBatchEmbed
        | Operation::Other
        | Operation::Models => 0,
        // Some servers take 0 for no bound.
        _ => (probe.max_output_tokens.filter(|tokens| *tokens > 0))
            .unwrap_or(service.config.limiter.default_output_tokens),
    };
    let output = output.saturating_mul(probe.choices);
    Usage { input: probe.estimated_input(body.len()).max(1), output, ..Usage::default() }
}

/// Puts what was used in the place of what was reserved; nothing, where the provider refused.
pub(super) fn settle(
    reservation: Reservation,
    spent: Option<Spend>,
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) {
    let notes = match spent {
        Some(spent) => reservation.settle(host, spent, now),
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
    let first = ask.hops.first();
    let model = first.filter(|_| service.by_model);
    Subject {
        consumer: service.consumer(call).map(|consumer| &*consumer.name),
        client_ip: call.client_ip,
        model: model.map_or("", |hop| service.config.routing.counted_as(&hop.model)),
        provider: first.map_or("", |hop| &hop.target.provider.name),
        names: ask.names,
    }
}

/// What so much costs at this provider. A model without a price costs nothing.
pub(super) fn spend(target: &Target, usage: &Usage) -> Spend {
    let cost_microusd = target.price.map_or(0, |price| price.cost_microusd(usage));
    Spend { tokens: usage.total(), cost_microusd }
}

/// What so much costs at the dearest of these.
pub(super) fn spend_at_most(hops: &[Hop], usage: &Usage) -> Spend {
    let costs = hops.iter().map(|hop| spend(&hop.target, usage).cost_microusd);
    Spend { tokens: usage.total(), cost_microusd: costs.max().unwrap_or(0) }
}

fn count(notes: &Notes, service: &Service, host: &impl Host) {
    for rule in &notes.refused {
        service.metrics.rate_limited(host, *rule);
    }
    service.metrics.evictions(host, notes.evictions.into());
}

/// What OpenAI's and Anthropic's headers about rate limits begin with.
const RATE_HEADERS: [&[u8]; 2] = [b"x-ratelimit-", b"anthropic-ratelimit-"];
