//! Each promise of SECURITY.md names tests, and the tests exist.

use crate::markdown::{plain, read};

/// The rows of all its tables: the promise, and what holds it.
fn promises() -> Vec<(String, String)> {
    let text = read("SECURITY.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.filter_map(|row| row.rsplit_once(" | ")).filter(|row| row.0 != "promise");
    rows.map(|(promise, tests)| (promise.to_owned(), tests.to_owned())).collect()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let promises = promises();
    assert!(promises.len() >= 20, "{} promises", promises.len());
    let mut wrong = Vec::new();
    for (promise, tests) in &promises {
        assert!(promise.ends_with('.') && tests.starts_with('`'), "{promise}: {tests}");
        for test in tests.split("; ") {
            let (name, file) =
                test.split_once("` in `").unwrap_or_else(|| panic!("{promise}: {test}"));
            if !exists(name.trim_start_matches('`'), plain(file)) {
                wrong.push(test.to_owned());
            }
        }
    }
    assert!(wrong.is_empty(), "no such tests: {wrong:#?}");
}

/// A function that is a test, a target that `tests/fuzz` replays, or a case of a scenario.
fn exists(name: &str, file: &str) -> bool {
    let text = read(file);
    if file.ends_with(".yaml") {
        return text.lines().any(|line| line == format!("- name: {name}"));
    }
    if file.starts_with("tests/fuzz/src/") {
        let target = format!("::{name}),");
        return text.contains(&format!("pub(crate) fn {name}(data: &[u8])"))
            && read("tests/fuzz/src/lib.rs").contains(&target);
    }
    let Some((before, _)) = text.split_once(&format!("fn {name}()")) else { return false };
    // Attributes stand right before it.
    before.trim_end().lines().rev().take(3).any(|line| line.trim() == "#[test]")
}

/// A table without a row would promise nothing.
#[test]
fn every_table_has_promises() {
    let text = read("SECURITY.md");
    for part in text.split("\n## ").filter(|part| part.starts_with("From ")) {
        let rows = part.lines().filter(|line| line.starts_with("| ") && line.contains("` in `"));
        assert!(rows.count() >= 3, "{}", part.lines().next().unwrap());
    }
}

#[test]
fn the_readme_leads_there() {
    assert!(read("README.md").contains("(SECURITY.md)"));
}
