//! Envoy's JSON access log as one tidy line a request.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde_json::Value;

/// Follows the log from where it was last read.
#[derive(Debug)]
pub(super) struct View {
    log: PathBuf,
    offset: u64,
    /// The start of a line whose rest is not written yet.
    rest: Vec<u8>,
    colours: bool,
}

impl View {
    pub(super) fn new(log: PathBuf, colours: bool) -> Self {
        Self { log, offset: 0, rest: Vec::new(), colours }
    }

    pub(super) fn show_new(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.offset))?;
        self.offset += file.read_to_end(&mut self.rest)? as u64;
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for line in self.rest.drain(..whole).collect::<Vec<_>>().split(|&byte| byte == b'\n') {
            if let Ok(entry) = serde_json::from_slice(line) {
                writeln!(out, "{}", line_of(&entry, self.colours))?;
            }
        }
        out.flush()
    }
}

/// `12:34:56  chat  smollm2 -> local  200  32+8 tokens  145 ms  miss`
fn line_of(entry: &Value, colours: bool) -> String {
    let text = |key: &str| match &entry[key] {
        Value::String(text) => printable(text),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let or =
        |value: String, fallback: &str| if value.is_empty() { fallback.to_owned() } else { value };

    let time = text("time");
    let time = time.get(11..19).unwrap_or_default();
    let operation = or(text("operation"), &format!("{} {}", text("method"), text("path")));
    let route = match (text("model"), text("provider")) {
        (model, provider) if provider.is_empty() => model,
        (model, provider) => format!("{model} -> {provider}"),
    };
    let status = text("status");
    let tokens = match (text("input_tokens"), text("output_tokens")) {
        (input, output) if input.is_empty() && output.is_empty() => String::new(),
        (input, output) => format!("{}+{} tokens", or(input, "0"), or(output, "0")),
    };
    let duration = format!("{} ms", text("duration_ms"));
    let colour = match entry["status"].as_u64() {
        Some(200..400) => GREEN,
        Some(400..500) => YELLOW,
        _ => RED,
    };
    let (on, off) = if colours { (colour, RESET) } else { ("", "") };
    let (cache, error) = (text("cache"), text("error"));
    let line = format!(
        "{time}  {operation:<10}  {route:<24}  {on}{status:>3}{off}  {tokens:<16}  {duration:>8}  {cache:<6}  {error}"
    );
    line.trim_end().to_owned()
}

/// What a client sent must not move the cursor of the terminal it is shown in.
fn printable(text: &str) -> String {
    const LONGEST: usize = 80;
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    shown.take(LONGEST).collect()
}

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_shows_model_provider_tokens_time_and_cache() {
        let entry = json!({
            "time": "2026-01-02T12:34:56.789Z", "operation": "chat", "model": "a", "provider": "p",
            "status": 200, "input_tokens": "32", "output_tokens": "8", "duration_ms": 145,
            "cache": "miss", "error": null,
        });
        let line = line_of(&entry, false);
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            ["12:34:56", "chat", "a", "->", "p", "200", "32+8", "tokens", "145", "ms", "miss"]
        );
        assert!(line_of(&entry, true).contains("\x1b[32m200\x1b[0m"));
    }

    #[test]
    fn what_is_no_call_shows_its_path_without_control_characters() {
        let entry = json!({"method": "GET", "path": "/a\x1b[2J", "status": 404, "duration_ms": 0});
        let line = line_of(&entry, false);
        assert!(line.contains("GET /a?[2J") && line.contains("404"), "{line}");
    }

    #[test]
    fn a_line_that_is_written_in_pieces_is_shown_once() {
        let log = std::env::temp_dir().join(format!("view-{}", std::process::id()));
        let mut view = View::new(log.clone(), false);
        let mut shown = Vec::new();
        let entry = "{\"path\":\"/one\",\"status\":200}\n{\"path\":\"/two\",\"status\":200}\n";
        for end in 0..=entry.len() {
            fs::write(&log, &entry[..end]).unwrap();
            view.show_new(&mut shown).unwrap();
        }
        fs::remove_file(log).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.contains("/one") && shown.contains("/two"));
    }
}
