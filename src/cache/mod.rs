//! The response cache: who may share an answer, where it lies in shared data, and in which form.

pub mod canonical;
pub mod key;
