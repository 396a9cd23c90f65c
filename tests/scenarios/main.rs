//! Both roles, played event by event on the fake host, as the YAML files beside this one say.
//!
//! A file holds cases; a case is a process with its configuration, and steps: what a client, a
//! provider or time does, and what must come of it. What is true of every exchange is checked
//! without being asked for: see [`always`].

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod always;
mod expect;
mod file;
mod parts;
mod pipe;
mod player;
mod random;
mod stream;
mod tokens;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};

/// All cases, or those whose file and name hold the text in `SCENARIO`.
#[test]
fn scenarios() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let wanted = wanted();
    let (mut played, mut failed) = (0, Vec::new());
    for path in files(&root) {
        let shown = path.strip_prefix(&root).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let file = file::read(&text).unwrap_or_else(|why| panic!("{shown}: {why}"));
        for case in &file.cases {
            let name = format!("{shown}: {}", case.name);
            if !name.contains(&wanted) {
                continue;
            }
            played += 1;
            if let Err(why) = player::play(&file, case) {
                failed.push(format!("{name}\n  {}", why.replace('\n', "\n  ")));
            }
        }
    }
    assert!(played > 0, "no case is named {wanted:?}");
    assert!(failed.is_empty(), "{} of {played} failed:\n\n{}\n", failed.len(), failed.join("\n\n"));
}

#[expect(clippy::disallowed_methods, reason = "this is no filter: it plays one")]
fn wanted() -> String {
    std::env::var("SCENARIO").unwrap_or_default()
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ext| ext == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}
