//! `cargo xtask demo`.

mod hints;
mod holder;
mod model;
mod view;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::envoy::{Bootstrap, Envoy, Launch};
use crate::process::Lifetime;
use crate::{root, target_dir, tools, wasm};
use model::{Choice, Model};
use view::View;

/// Run a real Envoy with the filter in front of a model
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model behind the gateway [default: Ollama if it runs, else a small one, else the built-in server]
    #[arg(long, value_enum)]
    model: Option<Choice>,
    /// Another Envoy bootstrap. Its cluster `local`, if it has one, is pointed to the model
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway's port; 0: any free one
    #[arg(long, default_value_t = 10000)]
    port: u16,
    /// The port of Envoy's admin interface; 0: any free one
    #[arg(long, default_value_t = 9901)]
    admin_port: u16,
    /// The port of the page for people; 0: any free one [default: 10001, unless that is taken]
    #[arg(long)]
    page_port: Option<u16>,
    /// Envoy's worker threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// Print the process ids and leave everything running
    #[arg(long)]
    exit_when_ready: bool,
}

pub fn run(args: &Args) -> Result<()> {
    check_port(args.port, "--port")?;
    check_port(args.admin_port, "--admin-port")?;
    check_port(args.page_port.unwrap_or(0), "--page-port")?;
    // Fetching waits for the network, building for the processor. What cannot be fetched is told
    // at once: the build ends with this process.
    let built = thread::spawn(wasm::module);
    tools::envoy::find()?;
    let prepared = model::prepare(args.model)?;
    let module = built.join().unwrap_or_else(|_| bail!("the build broke off"))?;

    let stop = stop_signal()?;
    let dir = args.dir();
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lifetime = if args.exit_when_ready { Lifetime::Detached } else { Lifetime::Owner };
    let file = args.config.clone().unwrap_or_else(|| root().join("envoy/envoy.yaml"));
    let mut bootstrap = Bootstrap::read(&file)?
        .module(module)
        .admin_port(args.admin_port)
        .listener_port(LISTENER, args.port)?;
    let has_page = bootstrap.has_listener(PAGE);
    if has_page {
        bootstrap = bootstrap.listener_port(PAGE, args.page_port())?;
    }
    let mut model = Model::start(prepared, &dir, lifetime)?;
    let bootstrap = attach(bootstrap, &model)?;
    let mut envoy = Launch::new(bootstrap)
        .concurrency(args.concurrency)
        .lifetime(lifetime)
        .dir(&dir)
        .start()
        .with_context(|| format!("Envoy refuses {}", file.display()))?;

    let mut out = io::stdout();
    let url = envoy.url(LISTENER)?;
    let page = if has_page { Some(format!("{}/llm", envoy.url(PAGE)?)) } else { None };
    let places = hints::Places {
        url: &url,
        page: page.as_deref(),
        admin: envoy.admin().address(),
        dir: &dir,
        proxied: hints::is_proxied(|name| std::env::var(name).ok()),
    };
    let introduction = hints::introduction(&places, &model);
    out.write_all(introduction.as_bytes())?;
    if args.exit_when_ready {
        let pids = [Some(envoy.release()), model.release()];
        let pids: Vec<_> = pids.into_iter().flatten().map(|pid| pid.to_string()).collect();
        writeln!(out, "pids: {}", pids.join(" "))?;
        return Ok(());
    }
    writeln!(out, "Requests (Ctrl-C stops everything):")?;
    let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let mut view = View::new(envoy.access_log_path(), colours);
    while !stop.load(Ordering::Relaxed) {
        view.show_new(&mut out)?;
        check_running(&mut envoy, &mut model)?;
        thread::sleep(VIEW_INTERVAL);
    }
    view.show_new(&mut out)?;
    envoy.stop()?;
    model.stop()?;
    writeln!(out, "stopped")?;
    Ok(())
}

impl Args {
    /// Nobody has to choose a port for a second demo's page.
    fn page_port(&self) -> u16 {
        let any = self.port == 0 || check_port(PAGE_PORT, "--page-port").is_err();
        let usual = || if any { 0 } else { PAGE_PORT };
        self.page_port.unwrap_or_else(usual)
    }

    /// Demos on different ports keep their files apart.
    fn dir(&self) -> PathBuf {
        let dir = target_dir().join("demo");
        match self.port {
            10000 => dir,
            0 => dir.join(format!("process-{}", std::process::id())),
            port => dir.join(format!("port-{port}")),
        }
    }
}

/// Envoy shares its ports with other processes that allow it, so a second demo would not fail by
/// itself: it would get half of the requests.
fn check_port(port: u16, option: &str) -> Result<()> {
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        let (who, stop) = match holder::of(port) {
            Some((pid, name)) => (format!(" (by process {pid}, {name})"), format!("kill {pid}")),
            None => (String::new(), "stop what listens there".to_owned()),
        };
        bail!(
            "port {port} cannot be used: {error}{who}.\n  mend: {stop}, or choose another port with {option}"
        );
    }
    Ok(())
}

/// The model becomes the endpoint of the cluster `local`, and its models what `local` serves.
fn attach(bootstrap: Bootstrap, model: &Model) -> Result<Bootstrap> {
    if !bootstrap.has_cluster(CLUSTER) {
        return Ok(bootstrap);
    }
    bootstrap.endpoint(CLUSTER, model.address)?.configure("gateway", |configuration| {
        if let Some(provider) = configuration["providers"].get_mut(CLUSTER) {
            provider["models"] = json!(model.names);
        }
    })
}

fn check_running(envoy: &mut Envoy, model: &mut Model) -> Result<()> {
    if let Some(status) = envoy.exited()? {
        bail!("Envoy ended ({status}); its log: {}", envoy.log_path().display());
    }
    model.check_running()
}

/// Set by the first Ctrl-C, SIGTERM or SIGHUP; a second one ends this process at once.
fn stop_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

const LISTENER: &str = "gateway";
const PAGE: &str = "page";
const PAGE_PORT: u16 = 10001;
const CLUSTER: &str = "local";
const VIEW_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_with_the_option_that_helps() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_port(port, "--port").unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
        drop(taken);
        check_port(port, "--port").unwrap();
    }

    #[test]
    fn the_shipped_configuration_takes_the_model() {
        let model = Model::somewhere(([127, 0, 0, 1], 4321), &["a", "b"]);
        let shipped = Bootstrap::read(&root().join("envoy/envoy.yaml")).unwrap();
        let attached = attach(shipped.listener_port(LISTENER, 1).unwrap(), &model).unwrap();
        assert!(attached.to_string().contains("4321"));
        let plugins = attached.plugins().unwrap();
        assert_eq!(plugins[0].configuration["providers"]["local"]["models"], json!(["a", "b"]));
    }
}
