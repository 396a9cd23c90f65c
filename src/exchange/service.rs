//! One loaded configuration of the gateway role, and what it opened at the host.

use std::rc::Rc;

use super::fleet::Fleet;
use super::{Call, keeping};
use crate::cache::Cache;
use crate::cache::policy::Mode;
use crate::cache::sweep::Sweeper;
use crate::config::{self, CacheSettings};
use crate::held::Ledger;
use crate::host::{Host, Status};
use crate::identity::Consumer;
use crate::limit::{KeyPart, Limiter, Rule};
use crate::metrics::{LimitLabels, Registry, Shape};
use crate::routing::Breaker;
use crate::store::Lost;

/// What a request needs to be served, and what is shared by all of them.
#[derive(Debug)]
pub struct Service {
    pub(super) config: config::Gateway,
    pub(super) metrics: Registry,
    /// `None` where nothing is limited.
    pub(super) limiter: Option<Limiter>,
    /// `None` where nothing is kept.
    pub(super) cache: Option<Cache>,
    /// What a fleet shares behind the cache.
    pub(super) fleet: Option<Fleet>,
    /// Who is tried last for now.
    pub(super) breaker: Breaker,
    /// What this worker holds.
    pub(super) ledger: Rc<Ledger>,
    sweeper: Sweeper,
    /// Some limit counts by the caller's address.
    pub(super) by_client_ip: bool,
    /// Some limit counts by the model.
    pub(super) by_model: bool,
    /// Some limit is about some models only.
    pub(super) by_model_name: bool,
}

/// Why a valid configuration cannot run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("a metric cannot be defined: {0}")]
    Metrics(#[from] Status),
    #[error("the limiter's shared state cannot be opened: {0}")]
    Limiter(#[from] Lost),
}

impl Service {
    /// For configuration time.
    pub fn open(config: config::Gateway, host: &impl Host) -> Result<Self, Fault> {
        let rules = &config.limits;
        let limits = rules.iter().map(|rule| LimitLabels {
            name: &rule.name,
            unit: rule.unit.label(),
            mode: rule.mode.label(),
        });
        let skips = keeping::skip_labels();
        let shape = Shape {
            table: &config.routing,
            consumers: config.auth.consumers.iter().map(|consumer| &*consumer.name).collect(),
            limits: limits.collect(),
            cache_skips: &skips.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        let metrics = Registry::define(host, &shape)?;
        let limiter = match rules.is_empty() {
            true => None,
            false => {
                let settings = &config.limiter;
                Some(Limiter::open(host, rules.clone(), settings.slots, settings.on_contention)?)
            }
        };
        let settings = config.cache.as_ref().filter(|cache| cache.policy.mode != Mode::Off);
        let cache = settings.map(|settings| {
            let CacheSettings { policy, models, max_entries, single_flight_wait, .. } = settings;
            Cache::new(policy.clone(), models.clone(), *max_entries, *single_flight_wait)
        });
        let fleet = settings.and_then(|settings| settings.backend.clone()).map(Fleet::new);
        let mut worker = [0; 8];
        host.fill(&mut worker)?;
        Registry::announce(host, &config.hash)?;
        let by = |part| rules.iter().any(|rule| rule.counts_by(part));
        let (by_client_ip, by_model) = (by(KeyPart::ClientIp), by(KeyPart::Model));
        let by_model_name = rules.iter().any(Rule::names_models);
        let sweeper = Sweeper { id: u64::from_le_bytes(worker), born: host.now() };
        let breaker = Breaker::new(config.breaker, config.routing.targets().len());
        let ledger = Ledger::new(config.max_held_bytes);
        Ok(Self {
            metrics,
            limiter,
            cache,
            fleet,
            breaker,
            ledger,
            sweeper,
            by_client_ip,
            by_model,
            by_model_name,
            config,
        })
    }

    /// Shares the account of a worker, under this configuration's budget.
    #[must_use]
    pub fn sharing(self, ledger: &Rc<Ledger>) -> Self {
        ledger.limit_to(self.config.max_held_bytes);
        Self { ledger: ledger.clone(), ..self }
    }

    pub fn ledger(&self) -> &Rc<Ledger> {
        &self.ledger
    }

    /// What is to be done from time to time, without a request: one of the workers frees what has
    /// expired and says what the cache holds.
    pub fn tick(&self, host: &impl Host) {
        let swept =
            self.cache.as_ref().and_then(|cache| cache.sweep(host, self.sweeper, host.now()));
        if let Some(held) = swept {
            self.metrics.cache_holds(host, held.entries, held.bytes);
        }
    }

    /// What all workers hold.
    pub fn tell_held(&self, host: &impl Host, bytes: u64) {
        self.metrics.held(host, bytes);
    }

    pub(super) fn consumer(&self, call: &Call) -> Option<&Consumer> {
        call.consumer.and_then(|id| self.config.auth.consumer(id))
    }
}
