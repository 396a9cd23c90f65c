//! The ids of all series, so that a request counts by looking one up.

use std::cell::{Cell, OnceCell};

use super::table::{self, Metric, OTHER};
use crate::error::Kind;
use crate::host::{Expect, MetricId, Metrics, SharedStore, Status};
use crate::identity::ConsumerId;
use crate::protocol::Operation;
use crate::protocol::usage::{Quality, Usage};
use crate::routing::{Table, Target};

/// What the configuration has that metrics count by.
#[derive(Debug)]
pub struct Shape<'a> {
    pub table: &'a Table,
    /// In the order of their [`ConsumerId`]s.
    pub consumers: Vec<&'a str>,
    /// In the order of the limiter's rules.
    pub limits: Vec<LimitLabels<'a>>,
    /// Why the cache was passed by.
    pub cache_skips: &'a [&'a str],
}

/// One rule of the limiter, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitLabels<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub mode: &'a str,
}

/// What the cache did for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheResult {
    Hit,
    Miss,
    Bypass,
    /// Got the answer to an identical request that was in flight.
    Joined,
    /// Would have been a hit.
    ShadowHit,
}

/// A part of the gateway's own work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Until the request went on.
    Request,
    /// All that was done with the answer.
    Response,
}

/// Every series of one configuration.
///
/// With T targets, P providers, C consumers, R rules and S reasons to skip the cache, these are
/// defined with the registry: 8 T + 6 P + C + R + S + 27. The others are defined when they are first
/// counted: at most 8 x 34 x (T + 1) of `llm_requests_total`, and P x P failovers. What a request
/// asks for adds none. A call that the host refuses is not counted and is no error: a request does
/// not fail over a metric.
#[derive(Debug)]
pub struct Registry {
    requests: Lazy,
    errors: [MetricId; Kind::ALL.len()],
    targets: Box<[PerTarget]>,
    providers: Box<[PerProvider]>,
    consumers: Box<[MetricId]>,
    cache: [MetricId; CacheResult::ALL.len()],
    cache_skips: Box<[MetricId]>,
    cache_entries: MetricId,
    cache_bytes: MetricId,
    held_bytes: MetricId,
    limits: Box<[MetricId]>,
    evictions: MetricId,
    failovers: Lazy,
    /// Of requests without a target.
    other_duration: MetricId,
    overhead: [MetricId; Phase::ALL.len()],
}

#[derive(Debug)]
struct PerTarget {
    /// Position in [`Registry::providers`].
    provider: usize,
    tokens: [MetricId; TOKEN_TYPES.len()],
    cost: MetricId,
    duration: MetricId,
    ttft: MetricId,
    tpot: MetricId,
}

#[derive(Debug)]
struct PerProvider {
    usage: [MetricId; Quality::ALL.len()],
    auth_failures: MetricId,
    rests: MetricId,
    streams_cut: MetricId,
}

impl Registry {
    /// For configuration time: some 30 us a series that is new, 2 us one that another worker had.
    pub fn define(host: &impl Metrics, shape: &Shape<'_>) -> Result<Self, Status> {
        let names: Vec<&str> = shape.table.providers().map(|provider| &*provider.name).collect();
        let provider = |name: &str| -> Result<PerProvider, Status> {
            Ok(PerProvider {
                usage: define_all(
                    host,
                    &table::USAGE,
                    Quality::ALL.map(Quality::label),
                    |quality| vec![name, quality],
                )?,
                auth_failures: define(host, &table::AUTH_FAILURES, &[name])?,
                rests: define(host, &table::RESTS, &[name])?,
                streams_cut: define(host, &table::STREAMS_CUT, &[name])?,
            })
        };
        let target = |target: &Target| -> Result<PerTarget, Status> {
            let (name, model) = labels(Some(target));
            Ok(PerTarget {
                provider: names.iter().position(|n| *n == name).unwrap_or(usize::MAX),
                tokens: define_all(host, &table::TOKENS, TOKEN_TYPES, |kind| {
                    vec![name, model, kind]
                })?,
                cost: define(host, &table::COST, &[name, model])?,
                duration: define(host, &table::DURATION, &[name, model])?,
                ttft: define(host, &table::TTFT, &[name, model])?,
                tpot: define(host, &table::TPOT, &[name, model])?,
            })
        };
        let targets = shape.table.targets();
        let per = |metric, values: &[&str]| -> Result<Box<[MetricId]>, Status> {
            values.iter().map(|value| define(host, metric, &[value])).collect()
        };
        let limit =
            |of: &LimitLabels<'_>| define(host, &table::RATE_LIMITED, &[of.name, of.unit, of.mode]);
        Ok(Self {
            requests: Lazy::new(targets.len() + 1, REQUEST_CELLS),
            errors: define_all(host, &table::ERRORS, Kind::ALL.map(|kind| kind.row().label), one)?,
            targets: targets.iter().map(|t| target(t)).collect::<Result<_, _>>()?,
            providers: names.iter().map(|name| provider(name)).collect::<Result<_, _>>()?,
            consumers: per(&table::CONSUMER_TOKENS, &shape.consumers)?,
            cache: define_all(host, &table::CACHE, CacheResult::ALL.map(CacheResult::label), one)?,
            cache_skips: per(&table::CACHE_SKIP, shape.cache_skips)?,
            cache_entries: define(host, &table::CACHE_ENTRIES, &[])?,
            cache_bytes: define(host, &table::CACHE_BYTES, &[])?,
            held_bytes: define(host, &table::HELD_BYTES, &[])?,
            limits: shape.limits.iter().map(limit).collect::<Result<_, _>>()?,
            evictions: define(host, &table::EVICTIONS, &[])?,
            failovers: Lazy::new(names.len(), names.len()),
            other_duration: define(host, &table::DURATION, &[OTHER, OTHER])?,
            overhead: define_all(host, &table::OVERHEAD, Phase::ALL.map(Phase::label), one)?,
        })
    }

    /// Says which configuration is in force, once it was accepted.
    pub fn announce(host: &(impl Metrics + SharedStore), hash: &str) -> Result<(), Status> {
        // The one before is known from shared data: a gauge outlives whoever set it.
        let before = host.load(ANNOUNCED)?.value.and_then(|hash| String::from_utf8(hash).ok());
        if let Some(before) = before.filter(|before| before != hash) {
            host.record(define(host, &table::CONFIG_INFO, &[&before])?, 0)?;
        }
        host.save(ANNOUNCED, hash.as_bytes(), Expect::Anything)?;
        host.record(define(host, &table::CONFIG_INFO, &[hash])?, 1)
    }

    /// A request that ended. `target` is whose answer it got, of the table that this registry was
    /// defined with; `status` is what the client got, 0 if it left before.
    pub fn request(
        &self,
        host: &impl Metrics,
        operation: Option<Operation>,
        target: Option<&Target>,
        status: u16,
    ) {
        let row = target.map_or(self.targets.len(), |target| target.index);
        let (code, code_label) = code(status);
        let column = operation.map_or(Operation::ALL.len(), |op| op as usize) * CODE_CELLS + code;
        let id = self.requests.get(row, column, || {
            let (provider, model) = labels(target);
            let operation = operation.map_or(OTHER, Operation::label);
            define(host, &table::REQUESTS, &[operation, provider, model, code_label]).ok()
        });
        add(host, id, 1);
    }

    pub fn error(&self, host: &impl Metrics, kind: Kind) {
        add(host, self.errors.get(kind as usize).copied(), 1);
    }

    pub fn tokens(&self, host: &impl Metrics, target: &Target, usage: &Usage) {
        let Some(of) = self.targets.get(target.index) else { return };
        let counts = [usage.input, usage.cached_input, usage.output, usage.reasoning];
        for (id, count) in of.tokens.into_iter().zip(counts) {
            add(host, Some(id), count);
        }
    }

    pub fn usage(&self, host: &impl Metrics, target: &Target, quality: Quality) {
        let of = self.provider(target);
        add(host, of.and_then(|of| of.usage.get(quality as usize).copied()), 1);
    }

    pub fn cost(&self, host: &impl Metrics, target: &Target, microusd: u64) {
        add(host, self.targets.get(target.index).map(|of| of.cost), microusd);
    }

    pub fn consumer_tokens(&self, host: &impl Metrics, consumer: ConsumerId, tokens: u64) {
        add(host, self.consumers.get(consumer.index()).copied(), tokens);
    }

    pub fn cache(&self, host: &impl Metrics, result: CacheResult) {
        add(host, self.cache.get(result as usize).copied(), 1);
    }

    /// `reason` is a position in [`Shape::cache_skips`].
    pub fn cache_skip(&self, host: &impl Metrics, reason: usize) {
        add(host, self.cache_skips.get(reason).copied(), 1);
    }

    /// What the cache holds now. Absolute, so that it is right again after a worker's VM was lost.
    pub fn cache_holds(&self, host: &impl Metrics, entries: u64, bytes: u64) {
        host.record(self.cache_entries, entries).ok();
        host.record(self.cache_bytes, bytes).ok();
    }

    /// What all workers hold. Absolute, for the same reason.
    pub fn held(&self, host: &impl Metrics, bytes: u64) {
        host.record(self.held_bytes, bytes).ok();
    }

    /// `rule` is a position in [`Shape::limits`].
    pub fn rate_limited(&self, host: &impl Metrics, rule: usize) {
        add(host, self.limits.get(rule).copied(), 1);
    }

    pub fn evictions(&self, host: &impl Metrics, count: u64) {
        add(host, Some(self.evictions), count);
    }

    pub fn failover(&self, host: &impl Metrics, from: &Target, to: &Target) {
        let index = |target: &Target| self.targets.get(target.index).map(|of| of.provider);
        if let (Some(row), Some(column)) = (index(from), index(to)) {
            let values = [&*from.provider.name, &*to.provider.name];
            let id =
                self.failovers.get(row, column, || define(host, &table::FAILOVERS, &values).ok());
            add(host, id, 1);
        }
    }

    pub fn auth_failure(&self, host: &impl Metrics, target: &Target) {
        add(host, self.provider(target).map(|of| of.auth_failures), 1);
    }

    pub fn rested(&self, host: &impl Metrics, target: &Target) {
        add(host, self.provider(target).map(|of| of.rests), 1);
    }

    pub fn stream_cut(&self, host: &impl Metrics, target: &Target) {
        add(host, self.provider(target).map(|of| of.streams_cut), 1);
    }

    pub fn duration_ms(&self, host: &impl Metrics, target: Option<&Target>, ms: u64) {
        let of = target.and_then(|target| self.targets.get(target.index));
        host.record(of.map_or(self.other_duration, |of| of.duration), ms).ok();
    }

    pub fn ttft_ms(&self, host: &impl Metrics, target: &Target, ms: u64) {
        if let Some(of) = self.targets.get(target.index) {
            host.record(of.ttft, ms).ok();
        }
    }

    pub fn time_per_output_token_us(&self, host: &impl Metrics, target: &Target, us: u64) {
        if let Some(of) = self.targets.get(target.index) {
            host.record(of.tpot, us).ok();
        }
    }

    pub fn overhead_us(&self, host: &impl Metrics, phase: Phase, us: u64) {
        if let Some(id) = self.overhead.get(phase as usize) {
            host.record(*id, us).ok();
        }
    }

    fn provider(&self, target: &Target) -> Option<&PerProvider> {
        self.providers.get(self.targets.get(target.index)?.provider)
    }
}

impl CacheResult {
    pub const ALL: [Self; 5] = [Self::Hit, Self::Miss, Self::Bypass, Self::Joined, Self::ShadowHit];

    pub fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::Joined => "joined",
            Self::ShadowHit => "shadow_hit",
        }
    }
}

impl Phase {
    pub const ALL: [Self; 2] = [Self::Request, Self::Response];

    pub fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// Ids that are defined when they are first asked for; a row takes memory from then on.
#[derive(Debug)]
struct Lazy {
    rows: Box<[OnceCell<Row>]>,
    columns: usize,
}

type Row = Box<[Cell<Option<MetricId>>]>;

impl Lazy {
    fn new(rows: usize, columns: usize) -> Self {
        Self { rows: (0..rows).map(|_| OnceCell::new()).collect(), columns }
    }

    fn get(
        &self,
        row: usize,
        column: usize,
        define: impl FnOnce() -> Option<MetricId>,
    ) -> Option<MetricId> {
        let row = self.rows.get(row)?.get_or_init(|| vec![Cell::new(None); self.columns].into());
        let cell = row.get(column)?;
        if cell.get().is_none() {
            cell.set(define());
        }
        cell.get()
    }
}

fn define(host: &impl Metrics, metric: &Metric, values: &[&str]) -> Result<MetricId, Status> {
    host.define(metric.kind, &metric.stat(values))
}

/// One series for each of `last`.
fn define_all<'a, const N: usize>(
    host: &impl Metrics,
    metric: &Metric,
    last: [&'a str; N],
    values: impl Fn(&'a str) -> Vec<&'a str>,
) -> Result<[MetricId; N], Status> {
    let mut ids = [MetricId(0); N];
    for (id, label) in ids.iter_mut().zip(last) {
        *id = define(host, metric, &values(label))?;
    }
    Ok(ids)
}

fn one(label: &str) -> Vec<&str> {
    vec![label]
}

/// The host refuses to add 0 to a counter.
fn add(host: &impl Metrics, id: Option<MetricId>, count: u64) {
    if let Some(id) = id.filter(|_| count > 0) {
        host.add(id, i64::try_from(count).unwrap_or(i64::MAX)).ok();
    }
}

fn labels(target: Option<&Target>) -> (&str, &str) {
    target.map_or((OTHER, OTHER), |target| (&target.provider.name, &target.label))
}

/// A status as a cell and a label: those that are common by themselves, others by their class.
fn code(status: u16) -> (usize, &'static str) {
    let known = CODES.iter().enumerate().find(|(_, (code, _))| *code == status);
    known.map(|(index, (_, label))| (index, *label)).unwrap_or_else(|| {
        let class = usize::from(status / 100).checked_sub(1).unwrap_or(usize::MAX);
        CLASSES
            .get(class)
            .map_or((CODES.len() + CLASSES.len(), OTHER), |label| (CODES.len() + class, *label))
    })
}

const TOKEN_TYPES: [&str; 4] = ["input", "cached_input", "output", "reasoning"];
const CODES: [(u16, &str); 28] = [
    (0, "0"),
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (402, "402"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (424, "424"),
    (429, "429"),
    (499, "499"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (520, "520"),
    (529, "529"),
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The last one is for what is no status.
const CODE_CELLS: usize = CODES.len() + CLASSES.len() + 1;
/// The last operation is none.
const REQUEST_CELLS: usize = (Operation::ALL.len() + 1) * CODE_CELLS;
/// The configuration that was announced last, in shared data.
const ANNOUNCED: &[u8] = b"llm-metrics:v1:config";

#[cfg(test)]
mod tests;
