//! The response cache: who may share an answer, where it lies in shared data, and in which form.

pub mod canonical;
pub mod flight;
mod index;
pub mod key;
pub mod policy;
pub mod record;
pub mod sweep;
pub mod table;
