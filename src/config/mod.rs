//! What the user wrote, checked whole, and what it means.
//!
//! Two stages: [`wire`] reads the bytes into a tree, whichever way they were written, and [`schema`]
//! reads that tree and collects every mistake with its path, what was found and what was expected.
//! What the sections mean is resolved once into objects that never change: [`Gateway`] for the
//! listener's filter, [`Provider`] for a cluster's.
//!
//! Envoy reads YAML in a way of its own before any of this: `2.50` and whole numbers beyond 32 bits
//! arrive as text, `on`, `off`, `yes` and `no` as booleans, and of a key that stands twice only the
//! last. So numbers are taken as text too, and booleans for the words `on` and `off`.

mod attempts;
mod auth;
mod azure;
mod breaker;
mod cache;
mod gateway;
mod limits;
mod mistakes;
mod models;
mod names;
mod provider;
mod scalar;
mod schema;
mod shown;
mod wire;

pub use azure::AzureVersion;
pub use cache::{Backend, BackendProtocol, CacheSettings};
pub use gateway::{Gateway, LogRequests, Unmatched};
pub use limits::{LimiterSettings, Unpriced};
pub use mistakes::{Mistake, Mistakes};
pub use provider::{Api, Credential, Provider};
pub use wire::{MAX_BYTES, MAX_DEPTH};

#[cfg(test)]
mod tests;
