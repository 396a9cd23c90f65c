//! The README says what the code does: each of its tables is compared with the code that it is
//! about. A test that fails prints what has to stand there.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod config;
mod described;
mod extending;
mod fields;
mod files;
#[path = "../e2e/schemas/generate/mod.rs"]
mod generate;
mod markdown;
mod protocols;
mod security;
mod source;
mod tables;
