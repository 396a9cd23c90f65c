//! Ends every exchange, however it ended: publishes what is known of it to the rest of Envoy.

use super::failure::{ANSWER_CUT, UNUSABLE};
use super::response::{Ending, Relaying};
use super::{
    Call, Ended, Joining, Problem, Routed, Served, Service, State, attempts, charge, failure,
    keeping, limits,
};
use crate::config::LogRequests;
use crate::error::Kind;
use crate::host::{Decimal, Event, Host, Timestamp};
use crate::limit::Spend;
use crate::log;
use crate::metrics::Phase;
use crate::protocol::usage::{Quality, Usage};

/// What other filters may act on while the request is on its way.
pub(super) fn publish_request(routed: &Routed, service: &Service, host: &impl Host) {
    publish_call(&routed.call, Some(&routed.asked), service, host);
    if let Some(first) = routed.hops.first() {
        set(host, "llm_provider", first.target.provider.name.as_bytes());
        set(host, "llm_upstream_model", first.model.as_bytes());
    }
}

pub(super) fn log_request(routed: &Routed, service: &Service, bytes: usize, host: &impl Host) {
    if service.config.log_requests != LogRequests::All {
        return;
    }
    let first = routed.hops.first();
    let request = log::Request {
        request_id: routed.call.id.as_str(),
        operation: routed.call.operation.label(),
        model: &routed.asked,
        provider: first.map_or("", |hop| &hop.target.provider.name),
        upstream_model: first.map_or("", |hop| &hop.model),
        consumer: service.consumer(&routed.call).map(|consumer| &*consumer.name),
        stream: routed.stream,
        bytes,
    };
    log::log_request(host, &request);
}

/// The stream is over.
pub(super) fn settle(state: State, service: &Service, now: Timestamp, host: &impl Host) {
    let Some(mut ended) = Ended::at_end(state, host) else { return };
    let reservation = ended.served.as_mut().and_then(|served| served.reservation.take());
    if let Some(reservation) = reservation {
        limits::settle(reservation, ended.spend(), service, now, host);
    }
    keeping::abandon(&mut ended.call.caching, service, host);
    publish(&mut ended, service, host);
    log_end(&ended, service, now, host);
    count(&ended, service, now, host);
    let mut spent = ended.call.spent;
    spent.add(Event::Log, now, host.now());
    number(host, "llm_overhead_us", spent.request.saturating_add(spent.response) / NANOS_A_MICRO);
    service.metrics.overhead_us(host, Phase::Request, spent.request / NANOS_A_MICRO);
    service.metrics.overhead_us(host, Phase::Response, spent.response / NANOS_A_MICRO);
}

/// What the access log, tracing and other filters may know at the end of a request.
pub(super) fn publish(ended: &mut Ended, service: &Service, host: &impl Host) {
    if std::mem::replace(&mut ended.published, true) {
        return;
    }
    if ended.served.is_none() {
        publish_call(&ended.call, ended.asked.as_deref(), service, host);
    }
    publish_end(ended, host);
}

impl Ended {
    fn at_end(state: State, host: &impl Host) -> Option<Self> {
        Some(match state {
            State::Start | State::Passing | State::Closed => return None,
            State::Answered(ended) => *ended,
            State::Reading(reading) => Self::of(reading.call),
            State::Joining(joining) => {
                let Joining { routed, ticket, .. } = *joining;
                limits::keep(ticket);
                Self { asked: Some(routed.asked), ..Self::of(routed.call) }
            }
            State::Waiting(routed) => {
                let usage = charge::was_sent(host).then(|| charge::unanswered(&routed));
                let (call, asked, served) = routed.served(host);
                Self { asked: Some(asked), served: Some(served), usage, ..Self::of(call) }
            }
            State::Failing(failing) => {
                let (status, problem) = failure::broken(failing.status, host);
                let error = Some(problem);
                let (call, asked, served) = failing.routed.served(host);
                Self { asked: Some(asked), served: Some(served), status, error, ..Self::of(call) }
            }
            State::Relaying(relaying) => Self::relayed(*relaying, host),
        })
    }

    /// What this is charged; `None`: nothing.
    fn spend(&self) -> Option<Spend> {
        let (usage, _) = self.usage.as_ref()?;
        Some(charge::spend(self.served.as_ref()?, self.status, usage))
    }

    /// An answer that has passed, or of which no more will come.
    pub(super) fn relayed(relaying: Relaying, host: &impl Host) -> Self {
        let usage = relaying.usage();
        let code = match relaying.ended(host) {
            Ending::Open | Ending::Complete => None,
            Ending::Failed => Some(FAILED),
            Ending::Cut if relaying.is_stream() => Some(STREAM_CUT),
            Ending::Cut => Some(ANSWER_CUT),
            Ending::Unusable => Some(UNUSABLE),
        };
        let first_token = relaying.first_token.filter(|_| relaying.is_stream());
        let replaced = relaying.replaced(host);
        let (status, kind) = replaced.unwrap_or((relaying.status, Kind::Provider));
        let (call, asked, served) = relaying.routed.served(host);
        Self {
            asked: Some(asked),
            served: Some(served),
            status,
            error: code.map(|code| Problem { kind, code, param: None }),
            usage,
            first_token,
            ..Self::of(call)
        }
    }
}

fn count(ended: &Ended, service: &Service, now: Timestamp, host: &impl Host) {
    let metrics = &service.metrics;
    let cached = ended.cached.as_ref().map(|hop| &*hop.target);
    let target = ended.served.as_ref().and_then(Served::target).or(cached);
    if let Some(result) = ended.call.caching.result() {
        metrics.cache(host, result);
    }
    let duration = now.micros_since(ended.call.started);
    metrics.request(host, Some(ended.call.operation), target, ended.status);
    metrics.duration_ms(host, target, duration.div_ceil(1000));
    if let Some(problem) = &ended.error {
        metrics.error(host, problem.kind);
    }
    let (Some(target), Some(served)) = (target, &ended.served) else { return };
    for pair in served.tried.windows(2) {
        if let [from, to] = pair {
            metrics.failover(host, &from.target, &to.target);
        }
    }
    attempts::learn(ended, service, now, host);
    if ended.error.as_ref().is_some_and(|problem| problem.code == STREAM_CUT) {
        metrics.stream_cut(host, target);
    }
    let Some((usage, quality)) = &ended.usage else { return };
    metrics.tokens(host, target, usage);
    metrics.usage(host, target, *quality);
    if let (Some(_), Some(spend)) = (target.price, ended.spend()) {
        metrics.cost(host, target, spend.cost_microusd);
    }
    if let Some(consumer) = ended.call.consumer {
        metrics.consumer_tokens(host, consumer, usage.total());
    }
    let Some(first_token) = ended.first_token else { return };
    metrics.ttft_ms(host, target, first_token.micros_since(ended.call.started).div_ceil(1000));
    let after_first = usage.output.saturating_sub(1);
    if let Some(each) = now.micros_since(first_token).checked_div(after_first) {
        metrics.time_per_output_token_us(host, target, each);
    }
}

fn publish_call(call: &Call, asked: Option<&str>, service: &Service, host: &impl Host) {
    set(host, "llm_request_id", call.id.as_str().as_bytes());
    set(host, "llm_operation", call.operation.label().as_bytes());
    if let Some(asked) = asked {
        set(host, "llm_model", asked.as_bytes());
    }
    if let Some(consumer) = service.consumer(call) {
        set(host, "llm_consumer", consumer.name.as_bytes());
    }
}

fn publish_end(ended: &Ended, host: &impl Host) {
    if let Some(cached) = &ended.cached {
        set(host, "llm_provider", cached.target.provider.name.as_bytes());
        set(host, "llm_upstream_model", cached.model.as_bytes());
    }
    if let Some(label) = ended.call.caching.label() {
        set(host, "llm_cache", label.as_bytes());
    }
    if let Some(served) = &ended.served {
        if let Some(last) = served.last().filter(|_| served.tried.len() > 1) {
            set(host, "llm_provider", last.target.provider.name.as_bytes());
            set(host, "llm_upstream_model", last.model.as_bytes());
        }
        number(host, "llm_attempts", count_attempts(served));
    }
    if let Some((usage, quality)) = &ended.usage {
        publish_usage(usage, *quality, ended, host);
    }
    if let Some(first_token) = ended.first_token {
        number(host, "llm_ttft_ms", first_token.micros_since(ended.call.started).div_ceil(1000));
    }
    if let Some(problem) = &ended.error {
        set(host, "llm_error", problem.kind.row().label.as_bytes());
    }
}

fn count_attempts(served: &Served) -> u64 {
    u64::try_from(served.tried.len()).unwrap_or(u64::MAX)
}

fn publish_usage(usage: &Usage, quality: Quality, ended: &Ended, host: &impl Host) {
    number(host, "llm_input_tokens", usage.input);
    number(host, "llm_output_tokens", usage.output);
    number(host, "llm_tokens", usage.total());
    set(host, "llm_usage_quality", quality.label().as_bytes());
    let target = ended.served.as_ref().and_then(Served::target);
    if let (Some(_), Some(spend)) = (target.and_then(|target| target.price), ended.spend()) {
        number(host, "llm_cost_microusd", spend.cost_microusd);
    }
}

fn log_end(ended: &Ended, service: &Service, now: Timestamp, host: &impl Host) {
    let target = ended.served.as_ref().and_then(Served::target);
    let provider = target.map(|target| &*target.provider.name);
    let logged = service.config.log_requests;
    if let Some(problem) = ended.error.as_ref().filter(|_| logged != LogRequests::None) {
        let failure = log::Failure {
            request_id: ended.call.id.as_str(),
            operation: ended.call.operation.label(),
            provider,
            status: ended.status,
            kind: problem.kind.row().label,
            code: problem.code,
            param: problem.param.as_deref(),
        };
        log::log_error(host, &failure);
    }
    if logged == LogRequests::All {
        let usage = ended.usage.map(|(usage, _)| usage).unwrap_or_default();
        let response = log::Response {
            request_id: ended.call.id.as_str(),
            operation: ended.call.operation.label(),
            model: ended.asked.as_deref(),
            provider,
            status: ended.status,
            attempts: ended.served.as_ref().map_or(0, count_attempts),
            input_tokens: usage.input,
            output_tokens: usage.output,
            duration_us: now.micros_since(ended.call.started),
        };
        log::log_response(host, &response);
    }
}

fn number(host: &impl Host, name: &str, value: u64) {
    set(host, name, Decimal::new(value).as_bytes());
}

/// A value that cannot be published is missing in the access log, which shows it.
fn set(host: &impl Host, name: &str, value: &[u8]) {
    let _ = host.set_filter_state(name, value);
}

const NANOS_A_MICRO: u64 = 1000;

/// The codes of errors that came after the answer had begun.
const FAILED: &str = "provider_error";
const STREAM_CUT: &str = "stream_cut";
