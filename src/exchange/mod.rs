//! The gateway role: one request of a client from its headers to its last byte.
