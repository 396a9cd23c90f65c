//! One loaded configuration: which role it is for, and what it resolved to.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::Role;
use crate::config::{self, Mistakes};
use crate::host::wasm::Envoy;
use crate::host::{Bodies, Buffer, Clock, Logger, Properties, Status, Timestamp};
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
    pub(super) fn hurry(&mut self, envoy: Envoy) {
        if !self.hurried {
            self.hurried = envoy.set_tick_period(HURRIED).is_ok();
        }
    }

    /// `idle`: no stream waits.
    pub(super) fn tick(&mut self, envoy: Envoy, idle: bool) {
        if self.hurried && idle {
            self.hurried = self.rest(envoy).is_err();
        }
        let Loaded::Gateway(service) = &self.loaded else { return };
        let now = envoy.now();
        // Timers are not exact: half a period is long enough.
        let due =
            u128::from(now.micros_since(self.ticked)) * 2 >= service.tick_period().as_micros();
        if due {
            self.ticked = now;
            service.tick(&envoy);
        }
    }

    fn rest(&self, envoy: Envoy) -> Result<(), Status> {
        let period = match &self.loaded {
            Loaded::Gateway(service) => service.tick_period(),
            _ => Duration::ZERO,
        };
        envoy.set_tick_period(period)
    }
}

/// Reads and checks the plugin's configuration. `None` makes Envoy refuse it, after one line in its
/// log for each mistake.
pub(super) fn configure(envoy: Envoy) -> Option<Root> {
    let root = Root { loaded: load(envoy)?, hurried: false, ticked: envoy.now() };
    root.rest(envoy).map_err(|status| tell(envoy, format_args!("tick period: {status}"))).ok()?;
    Some(root)
}

fn load(envoy: Envoy) -> Option<Loaded> {
    let role = envoy.property(&["plugin_root_id"]).unwrap_or_default();
    // An absent configuration is an empty one.
    let written =
        envoy.body(Buffer::PluginConfiguration, 0, config::MAX_BYTES + 1).unwrap_or_default();
    match role.as_slice() {
        b"gateway" => gateway(&written, envoy),
        b"provider" => provider(&written, envoy),
        #[cfg(feature = "contract")]
        b"contract" => Some(Loaded::Contract),
        other => {
            let shown = String::from_utf8_lossy(other);
            tell(
                envoy,
                format_args!("root_id: {shown:?} is no role: expected gateway or provider"),
            );
            None
        }
    }
}

fn gateway(written: &[u8], envoy: Envoy) -> Option<Loaded> {
    let config = config::Gateway::from_bytes(written).map_err(|m| tell_all(envoy, &m)).ok()?;
    let service = exchange::Service::open(config, &envoy).map_err(|f| tell(envoy, f)).ok()?;
    Some(Loaded::Gateway(Rc::new(service)))
}

fn provider(written: &[u8], envoy: Envoy) -> Option<Loaded> {
    let loaded = config::Provider::from_bytes(written, &environment);
    let provider = loaded.map_err(|m| tell_all(envoy, &m)).ok()?;
    Some(Loaded::Provider(Rc::new(attempt::Service { provider })))
}

fn tell_all(envoy: Envoy, mistakes: &Mistakes) {
    mistakes.iter().for_each(|mistake| tell(envoy, mistake));
}

fn tell(envoy: Envoy, line: impl fmt::Display) {
    envoy.log(log::Level::Error, &line.to_string());
}

#[expect(clippy::disallowed_methods, reason = "the provider role's credentials may come from here")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// How often a stream looks whether what it waits for is there: well below the time that any model
/// takes, well above what a look costs.
const HURRIED: Duration = Duration::from_millis(5);
