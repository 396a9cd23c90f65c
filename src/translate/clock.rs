//! How long a call has taken: Ollama tells its clients.

use std::cell::Cell;
use std::rc::Rc;

use crate::host::Timestamp;

/// All copies show the same time. Who holds the connection sets it as bytes come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    began: Timestamp,
    /// Nanoseconds.
    elapsed: Rc<Cell<u64>>,
}

impl Clock {
    pub fn starting(now: Timestamp) -> Self {
        Self { began: now, elapsed: Rc::default() }
    }

    pub fn set(&self, now: Timestamp) {
        self.elapsed.set(now.0.saturating_sub(self.began.0));
    }

    /// In nanoseconds.
    pub(super) fn elapsed(&self) -> u64 {
        self.elapsed.get()
    }
}
