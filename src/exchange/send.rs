//! The request goes on: what it may spend is taken, its bytes become the provider's, Envoy learns
//! where it goes.

use super::request::report;
use super::{Routed, Service, State, answer, failure, limits, settle};
use crate::handoff::{self, CLUSTER_HEADER, Step};
use crate::host::{Buffer, Decimal, Flow, Host, Map, SafeValue, Status, Timestamp};
use crate::limit::Ticket;
use crate::protocol::Operation;
use crate::protocol::edit::Edits;
use crate::protocol::probe::Probe;

pub(super) fn send(
    mut routed: Routed,
    ticket: Option<Ticket>,
    probe: &Probe<'_>,
    body: &[u8],
    service: &Service,
    now: Timestamp,
    host: &impl Host,
) -> (State, Flow) {
    match limits::reserve(&mut routed, ticket, service, now, host) {
        Ok(reservation) => routed.reservation = reservation,
        Err(refusal) => return answer::refuse(routed.call, Some(routed.asked), &refusal, host),
    }
    let mut edits = Edits::default();
    if let Some(first) = routed.hops.first() {
        edits.set_model(probe, &first.model);
    }
    if probe.stream && matches!(routed.call.operation, Operation::Chat | Operation::Completion) {
        edits.ask_for_usage(probe);
    }
    let named = routed.hops.first().and_then(|first| probe.path_with(&first.model));
    let written = write_path(named.as_deref(), host)
        .and_then(|()| write_body(body, &edits, host))
        .and_then(|()| announce(&routed, host));
    if let Err(status) = written {
        report(Err(status), "request", host);
        return failure::lost(routed, host);
    }
    settle::publish_request(&routed, service, host);
    settle::log_request(&routed, service, body.len(), host);
    (State::Waiting(Box::new(routed)), Flow::Continue)
}

/// `path`: the one that names the provider's model, where it has to.
fn write_path(path: Option<&[u8]>, host: &impl Host) -> Result<(), Status> {
    path.map_or(Ok(()), |path| set(host, ":path", path))
}

fn write_body(body: &[u8], edits: &Edits<'_>, host: &impl Host) -> Result<(), Status> {
    if edits.is_empty() {
        return Ok(());
    }
    let edited = edits.apply(body);
    host.splice_body(Buffer::RequestBody, 0, usize::MAX, &edited)?;
    if edited.len() == body.len() {
        return Ok(());
    }
    host.set_header(Map::RequestHeaders, "content-length", Decimal::new(edited.len()).value())
}

/// Tells Envoy, and the provider role, where the request goes.
fn announce(routed: &Routed, host: &impl Host) -> Result<(), Status> {
    let steps = routed.hops.iter().map(|hop| Step {
        cluster: &hop.target.provider.cluster,
        provider: &hop.target.provider.name,
        model: &hop.model,
    });
    handoff::announce(host, steps.clone())?;
    // Setting a header also makes Envoy choose the route anew, so the filter state comes before it.
    if let Some(first) = steps.clone().next() {
        set(host, CLUSTER_HEADER, first.cluster.as_bytes())?;
    }
    let number =
        |name: &str, number: Decimal| host.set_header(Map::RequestHeaders, name, number.value());
    number("x-envoy-max-retries", Decimal::new(routed.hops.len().saturating_sub(1)))?;
    if let Some(timeout) = routed.attempts.per_try_timeout {
        number("x-envoy-upstream-rq-per-try-timeout-ms", Decimal::new(timeout.as_millis()))?;
    }
    if let Some(retry_on) = &routed.attempts.retry_on {
        set(host, "x-envoy-retry-on", retry_on.conditions.as_bytes())?;
        if !retry_on.status_codes.is_empty() {
            set(host, "x-envoy-retriable-status-codes", retry_on.status_codes.as_bytes())?;
        }
    }
    Ok(())
}

fn set(host: &impl Host, name: &str, value: &[u8]) -> Result<(), Status> {
    let value = SafeValue::new(value).ok_or(Status::BadArgument)?;
    host.set_header(Map::RequestHeaders, name, value)
}
