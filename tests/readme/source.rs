//! The filter's source, read for facts that no public name tells.

use std::fs;
use std::path::{Path, PathBuf};

use crate::markdown::{read, root};

/// Every file of the filter, with its text up to its tests.
pub(crate) fn files() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    paths.sort();
    let file = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let text = read(&name);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        (name, code.to_owned())
    };
    let is_test = |name: &str| name.contains("/tests") || name.contains("/fake");
    paths.into_iter().map(file).filter(|(name, _)| !is_test(name)).collect()
}

fn walk(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, found),
            false => found.push(path),
        }
    }
}

/// What a constant is set to, as it is written: of `const MAX: usize = 4 << 20;` it is `4 << 20`.
pub(crate) fn constant(file: &str, name: &str) -> String {
    let text = read(file);
    let is_it = |line: &&str| {
        let line = line.trim_start().trim_start_matches("pub(super) ").trim_start_matches("pub ");
        line.strip_prefix("const ").is_some_and(|rest| rest.starts_with(&format!("{name}:")))
    };
    let line = text.lines().find(is_it).unwrap_or_else(|| panic!("{file} has no const {name}"));
    let at = text.find(line).unwrap();
    let (_, value) = text[at..].split_once("= ").unwrap();
    value.split(";\n").next().unwrap().to_owned()
}

/// A number, a shift, a product, a duration in seconds: `4 << 20`, `8 * 1024`, `16_384`.
pub(crate) fn value(expression: &str) -> u64 {
    let inside = |before: &str| expression.strip_prefix(before)?.strip_suffix(')');
    if let Some(more) = inside("NonZeroU32::MIN.saturating_add(") {
        return 1 + value(more);
    }
    let text = inside("Duration::from_secs(").unwrap_or(expression);
    if let Some((left, right)) = text.split_once(" << ") {
        return value(left) << value(right);
    }
    if let Some((left, right)) = text.split_once(" * ") {
        return value(left) * value(right);
    }
    let digits = text.replace('_', "");
    digits.parse().unwrap_or_else(|_| panic!("no number: {expression:?}"))
}

/// The string literals in a piece of code.
pub(crate) fn literals(code: &str) -> Vec<String> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}
