//! `cargo xtask demo` as a newcomer meets it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use harness::root;
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

/// The command on free ports; what it started goes with it.
struct Demo {
    child: Child,
    lines: Receiver<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["demo", "--port", "0", "--admin-port", "0"])
            .args(arguments)
            .current_dir(root())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// What it prints up to a line that says this.
    fn until(&mut self, text: &str) -> Vec<String> {
        // The first time it fetches a model of some 130 MB.
        let deadline = Instant::now() + Duration::from_secs(600);
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

impl Drop for Demo {
    fn drop(&mut self) {
        // As Ctrl-C would, so that it stops what it has started.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn command(line: &str) -> Option<&str> {
    let at = line.find("curl ")?;
    line.get(at..)
}

fn shell(command: &str) -> String {
    let limited = command.replacen("curl ", "curl --max-time 120 ", 1);
    let output = Command::new("sh").args(["-c", &limited]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
