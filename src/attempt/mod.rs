//! The provider role: one attempt at one provider, inside its cluster.
//!
//! It runs once per attempt, on the request as the attempt before left it. So it first puts back
//! what others changed, then makes the request this provider's: path, authority, credentials,
//! headers and model. It never knows who is calling, and it keeps nothing between attempts but what
//! [`original`] notes.

use crate::config;
use crate::host::{Event, Flow, Host};

pub mod original;
mod request;

/// One loaded configuration of this role.
#[derive(Debug)]
pub struct Service {
    pub provider: config::Provider,
}

/// Where one attempt stands.
#[derive(Debug, Default)]
pub enum State {
    #[default]
    Start,
    /// The body names a model that this provider knows by another name.
    Renaming { model: Box<str>, boundary: Option<Box<[u8]>> },
    /// Nothing is left to do: what follows passes.
    Sent,
}

impl State {
    #[must_use]
    pub fn step(self, service: &Service, event: Event, host: &impl Host) -> (Self, Flow) {
        match (self, event) {
            (Self::Start, Event::RequestHeaders { end }) => request::headers(service, end, host),
            (state @ Self::Renaming { .. }, Event::RequestBody { end: false, .. }) => {
                (state, Flow::Pause)
            }
            (
                Self::Renaming { model, boundary },
                Event::RequestBody { end: true, .. } | Event::RequestTrailers,
            ) => {
                request::rename(&model, boundary.as_deref(), host);
                (Self::Sent, Flow::Continue)
            }
            (state, _) => (state, Flow::Continue),
        }
    }
}
