//! Token usage of every protocol, in JSON and in streams.
