//! The shared response cache.
