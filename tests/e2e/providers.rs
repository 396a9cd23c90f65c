//! Every provider protocol behind one Envoy: real clients reach each of them by a model's name alone,
//! and a call whose provider fails goes to one that speaks another protocol.

mod clients;
mod failover;
mod fleet;
