//! `cargo xtask check-config`: the filter's own validation, without an Envoy.

mod documents;
mod find;
mod open;

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use llm_gateway::config::{Gateway, Mistakes, Provider};

use find::{Environment, Plugin};

/// Check the filter's configuration as the filter itself does
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An Envoy configuration, or that of one plugin alone; YAML or JSON
    file: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let file = args.file.display();
    let text = fs::read_to_string(&args.file).with_context(|| format!("cannot read {file}"))?;
    let report = check(&text, &|name| std::env::var(name).ok())
        .with_context(|| format!("cannot check {file}"))?;
    print!("{report}");
    match report.mistakes() {
        0 => Ok(()),
        1 => bail!("1 mistake in {file}"),
        count => bail!("{count} mistakes in {file}"),
    }
}

/// Every plugin of the filter in a file, and what the filter would say of it.
#[derive(Debug)]
pub struct Report(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    /// Where the plugin stands, and its root id.
    place: String,
    /// What it resolves to, or the lines of the filter's log.
    outcome: Result<String, Vec<String>>,
    /// What may be wrong, but cannot be known from here, and what is legal but open.
    warnings: Vec<String>,
}

impl Report {
    /// 0: Envoy would load every one.
    pub fn mistakes(&self) -> usize {
        self.0.iter().map(|finding| finding.outcome.as_ref().err().map_or(0, Vec::len)).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { place, outcome, warnings } in &self.0 {
            match outcome {
                Ok(summary) => writeln!(f, "{place}: fine, {summary}")?,
                Err(lines) => {
                    writeln!(f, "{place}: refused")?;
                    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
                }
            }
            warnings.iter().try_for_each(|line| writeln!(f, "  warning: {line}"))?;
        }
        Ok(())
    }
}

/// Checks every plugin of the filter in `text`. `env` is where Envoy would run.
pub fn check(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Report> {
    let mut findings = Vec::new();
    for document in documents::read(text)? {
        findings.extend(find::plugins(&document)?.iter().map(|plugin| one(plugin, env)));
    }
    if findings.is_empty() {
        bail!("no plugin of the filter in it: no object with root_id and vm_config");
    }
    Ok(Report(findings))
}

fn one(plugin: &Plugin, env: &dyn Fn(&str) -> Option<String>) -> Finding {
    let mut warnings = plugin.open.clone();
    let outcome = match plugin.root_id.as_str() {
        "gateway" => Gateway::from_bytes(&plugin.configuration).map(|gateway| {
            for provider in gateway.routing.providers() {
                let cluster = &provider.cluster;
                if plugin.clusters.as_ref().is_some_and(|all| !all.contains(&**cluster)) {
                    let name = &provider.name;
                    warnings.push(format!("providers.{name}: no cluster {cluster:?} in this file"));
                }
            }
            let (models, providers) =
                (gateway.routing.targets().len(), gateway.routing.providers().count());
            format!("providers: {providers}, models: {models}, hash: {}", gateway.hash)
        }),
        "provider" => {
            let missing = RefCell::new(Vec::new());
            let read = |name: &str| variable(&plugin.environment, name, env, &missing);
            let provider = Provider::from_bytes(&plugin.configuration, &read);
            warnings.extend(missing.into_inner().into_iter().map(|name: String| {
                format!("the environment variable {name} is not set here: Envoy needs it")
            }));
            provider.map(|provider| format!("{} at {}", provider.api.name(), provider.name))
        }
        other => {
            let line = format!("root_id: {other:?} is no role: expected gateway or provider");
            let place = plugin.place();
            return Finding { place, outcome: Err(vec![line]), warnings };
        }
    };
    Finding { place: plugin.place(), outcome: outcome.map_err(|m| lines(&m)), warnings }
}

/// What the filter would find in its environment. Who checks a file need not have the keys.
fn variable(
    environment: &Environment,
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
    missing: &RefCell<Vec<String>>,
) -> Option<String> {
    match environment {
        Environment::Passed { values, host } => match values.get(name) {
            Some(value) => return Some(value.clone()),
            None if !host.contains(name) => return None,
            None => {}
        },
        Environment::Unknown => {}
    }
    let value = env(name).filter(|value| !value.is_empty());
    Some(value.unwrap_or_else(|| {
        missing.borrow_mut().push(name.to_owned());
        "unknown".to_owned()
    }))
}

fn lines(mistakes: &Mistakes) -> Vec<String> {
    mistakes.iter().map(ToString::to_string).collect()
}
