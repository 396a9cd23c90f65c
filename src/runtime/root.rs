//! One loaded configuration: which role it is for, and what it resolved to.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::{Role, Worker};
use crate::config::{self, Mistakes};
use crate::held::Ledger;
use crate::host::{Buffer, Host, Status, Timestamp};
use crate::{attempt, exchange};

/// A root context.
#[derive(Default)]
pub(super) struct Root {
    loaded: Loaded,
    /// Ticks come fast, since a stream waits.
    hurried: bool,
    /// When there was the last tick of the configuration's own.
    ticked: Timestamp,
}

#[derive(Default)]
enum Loaded {
    Gateway(Rc<exchange::Service>),
    Provider(Rc<attempt::Service>),
    #[cfg(feature = "contract")]
    Contract,
    #[default]
    Nothing,
}

impl Root {
    /// What a new stream does under this configuration.
    pub(super) fn role(&self) -> Role {
        match &self.loaded {
            Loaded::Gateway(service) => Role::Gateway(service.clone(), exchange::State::default()),
            Loaded::Provider(service) => Role::Provider(service.clone(), attempt::State::default()),
            #[cfg(feature = "contract")]
            Loaded::Contract => Role::Contract,
            Loaded::Nothing => Role::Unconfigured,
        }
    }

    /// Makes ticks come fast until a tick finds that nobody waits.
    pub(super) fn hurry(&mut self, worker: &impl Worker) {
        if !self.hurried {
            self.hurried = worker.set_tick_period(HURRIED).is_ok();
        }
    }

    /// `idle`: no stream waits. Whether it was a tick of the configuration's own, in which also what
    /// the worker holds is to be told.
    pub(super) fn tick(&mut self, worker: &impl Worker, host: &impl Host, idle: bool) -> bool {
        if self.hurried && idle {
            self.hurried = rest(worker).is_err();
        }
        let now = host.now();
        // Timers are not exact: half a period is long enough.
        if u128::from(now.micros_since(self.ticked)) * 2 < PERIOD.as_micros() {
            return false;
        }
        self.ticked = now;
        if let Loaded::Gateway(service) = &self.loaded {
            service.tick(host);
        }
        true
    }

    /// What all workers hold. The provider role has no metrics; it may run in a VM of its own all
    /// the same, whose share only it knows.
    pub(super) fn tell_held(&self, host: &impl Host, bytes: u64) {
        if let Loaded::Gateway(service) = &self.loaded {
            service.tell_held(host, bytes);
        }
    }
}

fn rest(worker: &impl Worker) -> Result<(), Status> {
    worker.set_tick_period(PERIOD)
}

/// Reads and checks the plugin's configuration. `None` makes the host refuse it, after one line in
/// its log for each mistake.
pub(super) fn configure(
    worker: &impl Worker,
    ledger: &Rc<Ledger>,
    host: &impl Host,
) -> Option<Root> {
    let root = Root { loaded: load(worker, ledger, host)?, hurried: false, ticked: host.now() };
    rest(worker).map_err(|status| tell(host, format_args!("tick period: {status}"))).ok()?;
    Some(root)
}

fn load(worker: &impl Worker, ledger: &Rc<Ledger>, host: &impl Host) -> Option<Loaded> {
    let role = host.property(&["plugin_root_id"]).unwrap_or_default();
    // An absent configuration is an empty one.
    let written =
        host.body(Buffer::PluginConfiguration, 0, config::MAX_BYTES + 1).unwrap_or_default();
    match role.as_slice() {
        b"gateway" => gateway(&written, ledger, host),
        b"provider" => provider(&written, worker, ledger, host),
        #[cfg(feature = "contract")]
        b"contract" => Some(Loaded::Contract),
        other => {
            let shown = String::from_utf8_lossy(other);
            tell(host, format_args!("root_id: {shown:?} is no role: expected gateway or provider"));
            None
        }
    }
}

fn gateway(written: &[u8], ledger: &Rc<Ledger>, host: &impl Host) -> Option<Loaded> {
    let config = config::Gateway::from_bytes(written).map_err(|m| tell_all(host, &m)).ok()?;
    let service = exchange::Service::open(config, host).map_err(|f| tell(host, f)).ok()?;
    Some(Loaded::Gateway(Rc::new(service.sharing(ledger))))
}

fn provider(
    written: &[u8],
    worker: &impl Worker,
    ledger: &Rc<Ledger>,
    host: &impl Host,
) -> Option<Loaded> {
    let loaded = config::Provider::from_bytes(written, &|name: &str| worker.environment(name));
    let provider = loaded.map_err(|m| tell_all(host, &m)).ok()?;
    Some(Loaded::Provider(Rc::new(attempt::Service::new(provider, ledger))))
}

fn tell_all(host: &impl Host, mistakes: &Mistakes) {
    mistakes.iter().for_each(|mistake| tell(host, mistake));
}

fn tell(host: &impl Host, line: impl fmt::Display) {
    host.log(log::Level::Error, &line.to_string());
}

/// How often what is to be done without a request is done.
const PERIOD: Duration = Duration::from_secs(1);

/// How often a stream looks whether what it waits for is there: well below the time that any model
/// takes, well above what a look costs.
const HURRIED: Duration = Duration::from_millis(5);
