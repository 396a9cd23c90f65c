//! A native test double of the host, with the semantics of Envoy 1.40.
