//! Server-sent events to the WHATWG rules, on bytes.
