//! Every metric: what there is ([`table`]), and how a request counts ([`Registry`]).
//!
//! Labels come from the configuration and from enums, never from a request: Envoy keeps a stat for
//! ever once it is defined.

mod registry;
pub mod table;

pub use registry::{CacheResult, LimitLabels, Phase, Registry, Shape};
