//! The model behind the demo: an Ollama that runs already, a small real model, or the built-in
//! server.

use std::env;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::process::{Lifetime, Process, announced_address};
use crate::tools::{OLLAMA_MODEL, small_model};
use crate::{http, progress, wait_for};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Choice {
    /// An Ollama on port 11434
    Ollama,
    /// SmolLM2 with llama.cpp, fetched once (about 130 MB)
    Small,
    /// The built-in model server, which needs nothing
    Sim,
}

/// A model server that answers.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) description: String,
    pub(super) address: SocketAddr,
    /// What it serves; the first one is good for a chat.
    pub(super) names: Vec<String>,
    process: Option<Process>,
    log: PathBuf,
}

/// A model whose server can be started, with all that had to be fetched for it.
#[derive(Debug)]
pub(super) enum Prepared {
    /// It runs already, with these models.
    Ollama(SocketAddr, Vec<String>),
    /// The command that serves it. Unless it was asked for, the built-in server is as good.
    Small {
        command: Box<Command>,
        asked_for: bool,
    },
    Sim,
}

/// Finds or fetches the model.
pub(super) fn prepare(choice: Option<Choice>) -> Result<Prepared> {
    let small =
        |asked_for| Ok(Prepared::Small { command: Box::new(small_model::command()?), asked_for });
    match choice {
        Some(Choice::Ollama) => ollama(),
        Some(Choice::Small) => small(true),
        Some(Choice::Sim) => Ok(Prepared::Sim),
        None => ollama().or_else(|_| small(false)).or_else(|error| {
            progress::say(&format!("no small model: {error:#}\nusing the built-in model server"));
            Ok(Prepared::Sim)
        }),
    }
}

fn ollama() -> Result<Prepared> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 11434));
    let tags = http::get_within(&format!("http://{address}/api/tags"), PROBE)
        .context("no Ollama on port 11434.\n  mend: ollama serve, or --model small")?
        .json()?;
    let names = ollama_models(&tags);
    if names.is_empty() {
        bail!("Ollama has no model to chat with.\n  mend: ollama pull {OLLAMA_MODEL}");
    }
    Ok(Prepared::Ollama(address, names))
}

impl Model {
    pub(super) fn start(prepared: Prepared, dir: &Path, lifetime: Lifetime) -> Result<Self> {
        let log = dir.join("model.log");
        match prepared {
            Prepared::Ollama(address, names) => {
                Ok(Self { description: "Ollama".into(), address, names, process: None, log })
            }
            Prepared::Small { command, asked_for } => {
                let started = Self::small(*command, log.clone(), lifetime);
                started.or_else(|error| {
                    if asked_for {
                        return Err(error);
                    }
                    progress::say(&format!("{error:#}\nusing the built-in model server"));
                    Self::sim(log, lifetime)
                })
            }
            Prepared::Sim => Self::sim(log, lifetime),
        }
    }

    fn small(command: Command, log: PathBuf, lifetime: Lifetime) -> Result<Self> {
        let description = "SmolLM2-135M in llama.cpp".into();
        let names = vec![small_model::NAME.into()];
        Self::run(command, description, names, log, lifetime, "/health")
    }

    fn sim(log: PathBuf, lifetime: Lifetime) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["model-server", "--pause-ms", "40"]);
        let names = ["sim-model", "sim-small", "sim-embedding"].map(str::to_owned).to_vec();
        let description = "the built-in model server, which repeats what you say".into();
        Self::run(command, description, names, log, lifetime, "/v1/models")
    }

    fn run(
        mut command: Command,
        description: String,
        names: Vec<String>,
        log: PathBuf,
        lifetime: Lifetime,
        health: &str,
    ) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        let mut process = Process::spawn("the model server", command, lifetime)?;
        let running = |process: &mut Process| match process.exited()? {
            Some(status) => bail!("the model server ended ({status}); its log: {}", log.display()),
            None => Ok(()),
        };
        let address = wait_for("the model server", STARTUP, || {
            running(&mut process)?;
            announced_address(&log)
        })?;
        wait_for("the model server", STARTUP, || {
            running(&mut process)?;
            let answer = http::get_within(&format!("http://{address}{health}"), PROBE);
            Ok(answer.ok().filter(|answer| answer.status == 200))
        })?;
        Ok(Self { description, address, names, process: Some(process), log })
    }

    pub(super) fn check_running(&mut self) -> Result<()> {
        match self.process.as_mut().map(Process::exited).transpose()?.flatten() {
            Some(status) => {
                bail!("the model server ended ({status}); its log: {}", self.log.display())
            }
            None => Ok(()),
        }
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        match &mut self.process {
            Some(process) => process.stop(PROBE).map(drop),
            None => Ok(()),
        }
    }

    /// Leaves it running; its pid, if it was started here.
    pub(super) fn release(&mut self) -> Option<u32> {
        self.process.as_mut().map(Process::release)
    }

    #[cfg(test)]
    pub(super) fn somewhere(address: impl Into<SocketAddr>, names: &[&str]) -> Self {
        Self {
            description: "a model".into(),
            address: address.into(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            process: None,
            log: PathBuf::new(),
        }
    }
}

/// The names in Ollama's list, models for embeddings last; nothing if it has only those.
fn ollama_models(tags: &Value) -> Vec<String> {
    let models = tags["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_embedding = |model: &&Value| {
        let family = model["details"]["family"].as_str().unwrap_or_default();
        family.contains("bert") || model["name"].as_str().is_some_and(|name| name.contains("embed"))
    };
    let (embedding, chat): (Vec<_>, Vec<_>) = models.iter().partition(is_embedding);
    if chat.is_empty() {
        return Vec::new();
    }
    let names = chat.into_iter().chain(embedding);
    names.filter_map(|model| model["name"].as_str()).map(str::to_owned).collect()
}

const PROBE: Duration = Duration::from_secs(2);
const STARTUP: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_for_chats_comes_first() {
        let bert = json!({"name": "all-minilm:latest", "details": {"family": "bert"}});
        let embed = json!({"name": "nomic-embed-text:latest"});
        let llama = json!({"name": "llama3.2:1b", "details": {"family": "llama"}});
        assert_eq!(ollama_models(&json!({"models": [bert, embed]})), Vec::<String>::new());
        assert_eq!(
            ollama_models(&json!({"models": [bert, llama, embed]})),
            ["llama3.2:1b", "all-minilm:latest", "nomic-embed-text:latest"]
        );
    }
}
