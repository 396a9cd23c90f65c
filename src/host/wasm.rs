//! The real host: extern wrappers over proxy-wasm ABI 0.2.1 that return statuses and never panic.
