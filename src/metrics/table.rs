//! The public table of metrics. The README repeats it, the shipped `stats_tags` cut its labels out
//! of Envoy's stat names, and dashboards and rules query it: tests hold them together.

use std::fmt::Write as _;

use crate::host::MetricKind;

/// One name in Envoy's stats, with one series for each combination of its labels' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
    /// The OpenTelemetry metric that says the same; units may differ.
    pub otel: Option<&'static str>,
}

/// What a label says, and the OpenTelemetry attribute for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub name: &'static str,
    pub values: &'static str,
    pub otel: Option<&'static str>,
}

impl Metric {
    const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: MetricKind::Counter, labels, help, otel: None }
    }

    const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: MetricKind::Gauge, labels, help, otel: None }
    }

    const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: MetricKind::Histogram, labels, help, otel: None }
    }

    const fn otel(self, name: &'static str) -> Self {
        Self { otel: Some(name), ..self }
    }

    /// The name that Envoy is given: `llm_tokens_total.provider=openai;model=gpt-4o;type=input`.
    /// `values` are in the order of the labels.
    pub fn stat(&self, values: &[&str]) -> String {
        let mut stat = self.name.to_owned();
        for (index, (label, value)) in self.labels.iter().zip(values).enumerate() {
            let separator = if index == 0 { '.' } else { ';' };
            write!(stat, "{separator}{label}=").ok();
            stat.extend(value.chars().map(safe));
            if value.is_empty() {
                stat.push('_');
            }
        }
        stat
    }
}

/// A value must not look like the next label.
fn safe(c: char) -> char {
    if matches!(c, ';' | '=') || c.is_control() { '_' } else { c }
}

/// The regular expression with which `stats_config.stats_tags` takes the label out of a stat's
/// name: the first group is what the name loses, the second the value.
pub fn tag_regex(label: &str) -> String {
    format!(r"^wasmcustom\.llm_.*?([.;]{label}=([^;]+))")
}

/// The value of a label for what the configuration does not name.
pub const OTHER: &str = "other";

pub const REQUESTS: Metric = Metric::counter(
    "llm_requests_total",
    &["operation", "provider", "model", "code"],
    "Requests answered, by what they asked for, who answered and the status that the client got",
);
pub const ERRORS: Metric =
    Metric::counter("llm_errors_total", &["kind"], "Requests that ended in an error, by its kind");
pub const TOKENS: Metric = Metric::counter(
    "llm_tokens_total",
    &["provider", "model", "type"],
    "Tokens used; input includes cached_input, output includes reasoning",
)
.otel("gen_ai.client.token.usage");
pub const USAGE: Metric = Metric::counter(
    "llm_usage_total",
    &["provider", "quality"],
    "Answers by how well their tokens are known",
);
pub const COST: Metric = Metric::counter(
    "llm_cost_microusd_total",
    &["provider", "model"],
    "Cost in millionths of a US dollar, by the configured prices",
);
pub const CONSUMER_TOKENS: Metric = Metric::counter(
    "llm_consumer_tokens_total",
    &["consumer"],
    "Tokens used, input and output together, by who asked",
);
pub const CACHE: Metric =
    Metric::counter("llm_cache_total", &["result"], "Requests by what the cache did for them");
pub const CACHE_SKIP: Metric = Metric::counter(
    "llm_cache_skip_total",
    &["reason"],
    "Requests that passed the cache by and answers that were not stored, by the reason",
);
pub const CACHE_ENTRIES: Metric =
    Metric::gauge("llm_cache_entries", &[], "Answers in the cache now");
pub const CACHE_BYTES: Metric =
    Metric::gauge("llm_cache_bytes", &[], "Bytes of the answers in the cache now");
pub const HELD_BYTES: Metric = Metric::gauge(
    "llm_held_bytes",
    &[],
    "Bytes that all workers hold for requests and answers on their way",
);
pub const RATE_LIMITED: Metric = Metric::counter(
    "llm_rate_limited_total",
    &["limit", "unit", "mode"],
    "Requests over a limit: refused, or in shadow mode only counted",
);
pub const EVICTIONS: Metric = Metric::counter(
    "llm_limiter_evictions_total",
    &[],
    "Keys whose debt was forgotten since the limiter's slots were full",
);
pub const FAILOVERS: Metric = Metric::counter(
    "llm_failovers_total",
    &["from", "to"],
    "Attempts at the next provider after one had failed",
);
pub const AUTH_FAILURES: Metric = Metric::counter(
    "llm_provider_auth_failures_total",
    &["provider"],
    "Attempts that a provider refused for the gateway's own credentials or account (401 to 403)",
);
pub const RESTS: Metric = Metric::counter(
    "llm_provider_rests_total",
    &["provider"],
    "Times that a worker began to try a model of the provider last, since it kept failing",
);
pub const STREAMS_CUT: Metric = Metric::counter(
    "llm_streams_cut_total",
    &["provider"],
    "Streams that ended without their last event",
);
pub const DURATION: Metric = Metric::histogram(
    "llm_request_duration_ms",
    &["provider", "model"],
    "Milliseconds from the request's headers to the end of its answer",
)
.otel("gen_ai.client.operation.duration");
pub const TTFT: Metric = Metric::histogram(
    "llm_time_to_first_token_ms",
    &["provider", "model"],
    "Milliseconds from the request's headers to the first token of a stream",
)
.otel("gen_ai.server.time_to_first_token");
pub const TPOT: Metric = Metric::histogram(
    "llm_time_per_output_token_us",
    &["provider", "model"],
    "Microseconds for each token of a stream after the first",
)
.otel("gen_ai.server.time_per_output_token");
pub const OVERHEAD: Metric = Metric::histogram(
    "llm_overhead_us",
    &["phase"],
    "Microseconds that the gateway itself took for a request",
);
pub const CONFIG_INFO: Metric = Metric::gauge(
    "llm_config_info",
    &["hash"],
    "1 for the configuration in force, 0 for those before it",
);

/// Every metric, in the order of the README.
pub const METRICS: [Metric; 22] = [
    REQUESTS,
    ERRORS,
    TOKENS,
    USAGE,
    COST,
    CONSUMER_TOKENS,
    CACHE,
    CACHE_SKIP,
    CACHE_ENTRIES,
    CACHE_BYTES,
    HELD_BYTES,
    RATE_LIMITED,
    EVICTIONS,
    FAILOVERS,
    AUTH_FAILURES,
    RESTS,
    STREAMS_CUT,
    DURATION,
    TTFT,
    TPOT,
    OVERHEAD,
    CONFIG_INFO,
];

/// Every label of [`METRICS`], in the order in which they first appear there.
pub const LABELS: [Label; 17] = [
    label(
        "operation",
        "`chat`, `text_completion`, `embeddings`, `responses`, `messages`, `generate_content`, `models`, `other`",
    )
    .otel("gen_ai.operation.name"),
    label("provider", "a name of `providers`, else `other`").otel("gen_ai.provider.name"),
    label("model", "a model or wildcard as the configuration has it, else `other`")
        .otel("gen_ai.request.model"),
    label(
        "code",
        "a status, of rare ones the class (`4xx`); `0`: the client left before an answer",
    )
    .otel("http.response.status_code"),
    label("kind", "the error's kind, as in the table of errors").otel("error.type"),
    label("type", "`input`, `cached_input`, `output`, `reasoning`").otel("gen_ai.token.type"),
    label("quality", "`exact`, `estimated`, `missing`"),
    label("consumer", "a name of `consumers`"),
    label("result", "`hit`, `miss`, `bypass`, `joined`, `shadow_hit`"),
    label("reason", "as in the `detail` of the `cache-status` header"),
    label("limit", "a name of `limits`"),
    label("unit", "`requests`, `tokens`, `cost`"),
    label("mode", "`enforce`, `shadow`"),
    label("from", "a name of `providers`"),
    label("to", "a name of `providers`"),
    label("phase", "`request`, `response`"),
    label("hash", "of the configuration"),
];

const fn label(name: &'static str, values: &'static str) -> Label {
    Label { name, values, otel: None }
}

impl Label {
    const fn otel(self, name: &'static str) -> Self {
        Self { otel: Some(name), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_metrics_have_the_labels_of_the_table_of_labels() {
        let mut used = Vec::new();
        for label in METRICS.iter().flat_map(|metric| metric.labels) {
            if !used.contains(label) {
                used.push(*label);
            }
        }
        assert_eq!(used, LABELS.iter().map(|label| label.name).collect::<Vec<_>>());
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
    }

    #[test]
    fn a_name_says_its_kind_and_unit() {
        for metric in METRICS {
            assert!(metric.name.starts_with("llm_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter);
            let unit = metric.name.ends_with("_ms") || metric.name.ends_with("_us");
            assert_eq!(unit, metric.kind == MetricKind::Histogram, "{}", metric.name);
        }
    }

    #[test]
    fn labels_stand_in_the_name() {
        assert_eq!(
            REQUESTS.stat(&["chat", "openai", "gpt-4.1", "200"]),
            "llm_requests_total.operation=chat;provider=openai;model=gpt-4.1;code=200"
        );
        assert_eq!(CACHE_BYTES.stat(&[]), "llm_cache_bytes");
        assert_eq!(CONSUMER_TOKENS.stat(&[""]), "llm_consumer_tokens_total.consumer=_");
    }

    proptest! {
        #[test]
        fn no_value_passes_for_a_label(provider in ".*", model in ".*") {
            let stat = COST.stat(&[&provider, &model]);
            prop_assert_eq!(stat.matches('=').count(), 2);
            prop_assert_eq!(stat.matches(';').count(), 1);
            prop_assert!(!stat.chars().any(char::is_control));
        }
    }
}
