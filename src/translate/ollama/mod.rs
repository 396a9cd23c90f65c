//! Ollama's chat and generate as the client's side: what the two share.

mod answer;
mod options;

pub(super) use answer::{Lines, Said, response};
pub(super) use options::{Wishes, pictures};
