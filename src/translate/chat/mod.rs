//! OpenAI's chat completions as the client's side of several pairs.

mod answer;
mod calls;
mod chunk;
mod request;

pub(super) use answer::{Chunks, Reply, function_call};
pub(super) use calls::Calls;
pub(super) use chunk::chunk;
pub(super) use request::{
    Choice, EFFORTS, JSON_ONLY, arguments, choice, choice_field, details, limit, messages, object,
    refuse_common, seed, stops, tools,
};
