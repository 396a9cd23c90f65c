//! The crate's map is true: it names every module, and imports only go down its floors.

#![allow(clippy::unwrap_used, clippy::string_slice, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Floors by module, as the table in the crate's documentation says.
fn floors() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! |")?.split('|').map(str::trim);
        let floor = cells.next()?.parse().ok()?;
        let module = cells.next()?.trim_start_matches(['[', '`']);
        let end = module.find(['`', ']'])?;
        Some((module[..end].to_owned(), floor))
    };
    text.lines().filter_map(row).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The module that a file belongs to.
fn module(file: &Path) -> String {
    let relative = file.strip_prefix(source()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a file names by `crate::`, its tests aside.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = Vec::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            // `use crate::{attempt, exchange};`
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                found.extend(list.split(',').map(name));
            }
            None => found.push(name(after)),
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn name(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn the_map_names_every_module_and_nothing_else() {
    let mut found: Vec<_> = fs::read_dir(source())
        .unwrap()
        .map(|entry| module(&entry.unwrap().path()))
        .filter(|name| name != "lib")
        .collect();
    found.sort();
    found.dedup();
    assert_eq!(floors().into_keys().collect::<Vec<_>>(), found);
}

#[test]
fn imports_only_go_down() {
    let floors = floors();
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut arrows = 0;
    for file in all.iter().filter(|file| !file.ends_with("lib.rs")) {
        let from = module(file);
        if file.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        for to in imports(&fs::read_to_string(file).unwrap()) {
            if to == from {
                continue;
            }
            arrows += 1;
            let (above, below) = (floors[&from], floors.get(&to));
            let Some(below) = below else { panic!("{}: no module {to}", file.display()) };
            assert!(
                above > *below,
                "{}: {from} (floor {above}) imports {to} (floor {below})",
                file.display()
            );
        }
    }
    assert!(arrows > 50, "only {arrows} imports were found");
}
