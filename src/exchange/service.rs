//! One loaded configuration of the gateway role, and what it opened at the host.

use std::time::Duration;

use super::Call;
use crate::config;
use crate::host::{Host, Status};
use crate::identity::Consumer;
use crate::limit::{KeyPart, Limiter};
use crate::metrics::{LimitLabels, Registry, Shape};
use crate::store::Lost;

/// What a request needs to be served, and what is shared by all of them.
#[derive(Debug)]
pub struct Service {
    pub(super) config: config::Gateway,
    pub(super) metrics: Registry,
    /// `None` where nothing is limited.
    pub(super) limiter: Option<Limiter>,
    /// Some limit counts by the caller's address.
    pub(super) by_client_ip: bool,
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
        let shape = Shape {
            table: &config.routing,
            consumers: config.auth.consumers.iter().map(|consumer| &*consumer.name).collect(),
            limits: limits.collect(),
            cache_skips: &[],
        };
        let metrics = Registry::define(host, &shape)?;
        let limiter = match rules.is_empty() {
            true => None,
            false => {
                let settings = &config.limiter;
                Some(Limiter::open(host, rules.clone(), settings.slots, settings.on_contention)?)
            }
        };
        Registry::announce(host, &config.hash)?;
        let by_client_ip = rules.iter().any(|rule| rule.counts_by(KeyPart::ClientIp));
        Ok(Self { metrics, limiter, by_client_ip, config })
    }

    /// How often [`Service::tick`] is wanted; zero: never.
    pub fn tick_period(&self) -> Duration {
        Duration::ZERO
    }

    /// What is to be done from time to time, without a request.
    pub fn tick(&self, _host: &impl Host) {}

    pub(super) fn consumer(&self, call: &Call) -> Option<&Consumer> {
        call.consumer.and_then(|id| self.config.auth.consumer(id))
    }
}
