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
mod extending;
mod files;
mod markdown;
mod protocols;
mod source;
mod tables;
