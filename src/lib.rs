//! An LLM gateway that lives inside Envoy.

#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::panic, clippy::unreachable))]

pub mod attempt;
pub mod cache;
pub mod config;
pub mod error;
pub mod exchange;
pub mod host;
pub mod identity;
pub mod limit;
pub mod log;
pub mod metrics;
#[cfg(target_arch = "wasm32")]
mod plugin;
pub mod price;
pub mod protocol;
pub mod routing;
pub mod store;
