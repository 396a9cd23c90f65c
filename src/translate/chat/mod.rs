//! OpenAI's chat completions as the client's side of several pairs.

mod answer;
mod calls;
mod closing;
mod incoming;
mod request;
mod settle;

pub(super) use answer::{Chunks, Reply, function_call};
pub(super) use calls::Calls;
pub(super) use incoming::{Said, Sequence, Spoken, chunk, told, whole};
pub(super) use request::{
    Choice, EFFORTS, JSON_ONLY, choice, choice_field, details, limit, messages, object,
    refuse_common, seed, settled, stops, tools,
};
pub(super) use settle::{Terms, kind, settle, text_arguments, text_function, text_input};
