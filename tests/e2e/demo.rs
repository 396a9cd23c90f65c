//! `cargo xtask demo` as a newcomer meets it.
