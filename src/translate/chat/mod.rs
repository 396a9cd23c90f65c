//! OpenAI's chat completions as the client's side of several pairs.

mod answer;
mod request;

pub(super) use answer::{Chunks, Reply, function_call};
pub(super) use request::{
    Choice, EFFORTS, JSON_ONLY, arguments, choice, limit, refuse_common, stops, tools,
};
