//! One loaded configuration: which role it is for, and what it resolved to.

use std::fmt;
use std::rc::Rc;

use super::Stream;
use crate::config::{self, Mistakes};
use crate::host::wasm::Envoy;
use crate::host::{Bodies, Buffer, Logger, Properties};
use crate::{attempt, exchange};

/// A root context.
#[derive(Default)]
pub(super) enum Root {
    Gateway(Rc<exchange::Service>),
    Provider(Rc<attempt::Service>),
    #[cfg(feature = "contract")]
    Contract,
    #[default]
    Unconfigured,
}

impl Root {
    /// A new stream under this configuration.
    pub(super) fn stream(&self) -> Stream {
        match self {
            Self::Gateway(service) => Stream::Gateway(service.clone(), exchange::State::default()),
            Self::Provider(service) => Stream::Provider(service.clone(), attempt::State::default()),
            #[cfg(feature = "contract")]
            Self::Contract => Stream::Contract,
            Self::Unconfigured => Stream::Unconfigured,
        }
    }
}

/// Reads and checks the plugin's configuration. `None` makes Envoy refuse it, after one line in its
/// log for each mistake.
pub(super) fn configure() -> Option<Root> {
    let role = Envoy.property(&["plugin_root_id"]).unwrap_or_default();
    // An absent configuration is an empty one.
    let written =
        Envoy.body(Buffer::PluginConfiguration, 0, config::MAX_BYTES + 1).unwrap_or_default();
    match role.as_slice() {
        b"gateway" => gateway(&written),
        b"provider" => provider(&written),
        #[cfg(feature = "contract")]
        b"contract" => Some(Root::Contract),
        other => {
            let shown = String::from_utf8_lossy(other);
            tell(format_args!("root_id: {shown:?} is no role: expected gateway or provider"));
            None
        }
    }
}

fn gateway(written: &[u8]) -> Option<Root> {
    let config = config::Gateway::from_bytes(written).map_err(|m| tell_all(&m)).ok()?;
    let service = exchange::Service::open(config, &Envoy).map_err(tell).ok()?;
    Some(Root::Gateway(Rc::new(service)))
}

fn provider(written: &[u8]) -> Option<Root> {
    let loaded = config::Provider::from_bytes(written, &environment);
    let provider = loaded.map_err(|m| tell_all(&m)).ok()?;
    Some(Root::Provider(Rc::new(attempt::Service { provider })))
}

fn tell_all(mistakes: &Mistakes) {
    mistakes.iter().for_each(tell);
}

fn tell(line: impl fmt::Display) {
    Envoy.log(log::Level::Error, &line.to_string());
}

#[expect(clippy::disallowed_methods, reason = "the provider role's credentials may come from here")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
