//! OpenAI's chat completions as the client's side of several pairs.

mod answer;
mod calls;
mod closing;
mod incoming;
mod openai;
mod request;
mod settle;

pub(super) use answer::{Chunks, Reply, function_call};
pub(super) use calls::Calls;
pub(super) use incoming::{Said, Sequence, Spoken, chunk, told, whole};
pub(super) use openai::at_openai;
pub(super) use request::{
    Choice, EFFORTS, JSON_ONLY, choice, choice_field, details, limit, limit_of, messages, object,
    refuse_common, seed, settled, stops_of, tools,
};
pub(super) use settle::{Terms, kind, settle, text_arguments, text_function, text_input};
