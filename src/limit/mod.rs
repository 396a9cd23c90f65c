//! Rate limits: integer arithmetic over slots that all workers share.

pub mod gcra;
