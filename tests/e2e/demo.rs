//! `cargo xtask demo` as a newcomer meets it.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use harness::envoy::free_port;
use harness::process::{Lifetime, Process};
use harness::{root, shell, tools, wait_for, wasm};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn the_commands_that_it_prints_work_as_printed_and_its_view_shows_them() {
    let mut demo = Demo::start(&["--model", "sim"]);
    let printed = demo.until("Requests (Ctrl-C");
    let commands: Vec<_> = printed.iter().filter_map(|line| command(line)).collect();
    assert!((3..=5).contains(&commands.len()), "{printed:?}");
    let answers: Vec<_> = commands.iter().map(|command| shell(command)).collect();
    let has = |part: &str| answers.iter().any(|answer| answer.contains(part));
    for part in ["chat.completion\"", "data: [DONE]", "\"object\":\"list\"", "model_not_found"] {
        assert!(has(part), "{part} in none of {answers:?}");
    }
    // One line a request, with what there is to know of it.
    let shown = demo.until("404");
    let chat = shown.iter().find(|line| line.contains("chat") && line.contains("200"));
    let chat = chat.unwrap_or_else(|| panic!("{shown:?}"));
    for part in ["local", "tok"] {
        assert!(chat.contains(part), "{part} in {chat}");
    }
}

#[test]
fn a_real_small_model_answers_at_once_and_in_a_stream() {
    let mut demo = Demo::start(&["--model", "small"]);
    let printed = demo.until("Requests (Ctrl-C");
    let url = printed.iter().find_map(|line| {
        let at = line.find("http://127.0.0.1:")?;
        line[at..].split("/v1").next().filter(|_| line.contains("/v1"))
    });
    let url = url.expect("an address").to_owned() + "/v1/chat/completions";
    let models = shell(&format!("curl -sm 10 {}", url.replace("chat/completions", "models")));
    let models: Value = serde_json::from_str(&models).unwrap();
    let model = models["data"][0]["id"].as_str().unwrap();
    let ask = |stream: bool| {
        let body = format!(
            r#"{{"model":"{model}","max_tokens":8,"stream":{stream},"stream_options":{},"messages":[{{"role":"user","content":"Say hello."}}]}}"#,
            if stream { r#"{"include_usage":true}"# } else { "null" }
        );
        shell(&format!("curl -sNm 120 {url} -H 'content-type: application/json' -d '{body}'"))
    };
    let answer: Value = serde_json::from_str(&ask(false)).unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(!text.is_empty(), "{answer}");
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{answer}");

    let stream = ask(true);
    assert!(stream.trim_end().ends_with("data: [DONE]"), "{stream}");
    assert!(stream.matches("\"delta\"").count() > 2, "{stream}");
    let usage = stream.lines().rfind(|line| line.contains("\"usage\":{")).expect("a usage event");
    let usage: Value = serde_json::from_str(usage.strip_prefix("data: ").unwrap()).unwrap();
    assert!(usage["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{usage}");
}

#[test]
fn whatever_ends_it_ends_what_it_started() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        let mut demo = Demo::start(&["--model", "sim"]);
        demo.until("Requests (Ctrl-C");
        let started = descendants(demo.process.id());
        let count = |name: &str| started.iter().filter(|(_, program)| program == name).count();
        assert_eq!((count("envoy"), count("xtask")), (1, 1), "{started:?}");
        demo.process.signal(signal).unwrap();
        let status = demo.process.wait(PATIENCE).unwrap().expect("an end of the demo");
        assert_eq!(status.success(), signal != Signal::KILL, "{signal:?}: {status}");
        wait_for("the end of what the demo started", PATIENCE, || {
            let left =
                started.iter().filter(|(pid, program)| program_of(*pid).as_ref() == Some(program));
            Ok((left.count() == 0).then_some(()))
        })
        .unwrap();
    }
}

/// A caller's proxy is not asked for what is on this machine: not by the demo, nor by what it
/// prints.
#[test]
fn a_proxy_in_the_environment_is_no_obstacle() {
    // What has to be fetched is asked of the proxy.
    tools::envoy::find().unwrap();
    wasm::module().unwrap();
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let proxies = |command: &mut Command| {
        shell::without_proxies(command).env_remove("no_proxy").env_remove("NO_PROXY");
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env(name, &nowhere);
        }
    };
    let mut demo = Demo::launch(&["--model", "sim"], proxies);
    let printed = demo.until("Requests (Ctrl-C");
    let chat = printed.iter().find_map(|line| command(line)).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", chat]);
    proxies(&mut shell);
    let said = shell::captured(shell, PATIENCE * 4).unwrap();
    assert!(said.stdout.contains("chat.completion\""), "{chat}: {said:?}");
    assert!(printed.iter().any(|line| line.contains("no_proxy=127.0.0.1")), "{printed:?}");
}

/// Everything that the command keeps is in the target folder.
#[test]
fn a_home_that_cannot_be_written_is_no_obstacle() {
    let home = PathBuf::from(env::var_os("HOME").unwrap());
    let cargo = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let rustup = env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
    let mut demo = Demo::launch(&["--model", "sim"], |command| {
        command.env("HOME", "/dev/null").env("CARGO_HOME", cargo).env("RUSTUP_HOME", rustup);
    });
    demo.until("Requests (Ctrl-C");
}

#[test]
fn a_busy_port_is_named_with_who_has_it() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_xtask"));
    demo.args(["demo", "--model", "sim", "--admin-port", "0", "--port", &port]);
    let said = shell::captured(demo, PATIENCE).unwrap();
    assert!(!said.status.success());
    for part in [&*port, "--port", &format!("process {}", std::process::id())] {
        assert!(said.stderr.contains(part), "{part} in {}", said.stderr);
    }
}

/// The command on free ports; what it started goes with it.
struct Demo {
    process: Process,
    lines: Receiver<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        Self::launch(arguments, |_| {})
    }

    fn launch(arguments: &[&str], adapt: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["demo", "--port", "0", "--admin-port", "0"]).args(arguments);
        command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::piped());
        adapt(&mut command);
        let mut process = Process::spawn("the demo", command, Lifetime::Owner).unwrap();
        let output = process.pipes().0.unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { process, lines }
    }

    /// What it prints up to a line that says this.
    fn until(&mut self, text: &str) -> Vec<String> {
        // The first time it fetches a model of some 130 MB.
        let deadline = Instant::now() + Duration::from_secs(540);
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("{text:?} was not printed: {seen:?}")
            };
            seen.push(line);
            if seen.last().is_some_and(|line| line.contains(text)) {
                return seen;
            }
        }
    }
}

/// The children of a process and theirs, with the names of their programs.
fn descendants(pid: u32) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, stat(pid)?.1))).collect();
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(parent) = open.pop() {
        let children = parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid);
        open.extend(children.clone());
        found.extend(children.filter_map(|pid| Some((pid, stat(pid)?.0))));
    }
    found
}

/// The name of a process that has not ended.
fn program_of(pid: u32) -> Option<String> {
    stat(pid).map(|(name, _)| name)
}

/// Its program and its parent; nothing of one that nobody has collected yet.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    let alive = fields.next()? != "Z";
    let parent = fields.next()?.parse().ok()?;
    alive.then(|| (before.split_once('(').unwrap_or_default().1.to_owned(), parent))
}

fn command(line: &str) -> Option<&str> {
    let at = line.find("curl ")?;
    line.get(at..)
}

fn shell(command: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    let said = shell::captured(shell, PATIENCE * 4).unwrap();
    assert!(said.status.success(), "{command}: {}", said.stderr);
    said.stdout
}

const PATIENCE: Duration = Duration::from_secs(30);
