//! The Markdown files, read as far as the tests need it.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path: PathBuf = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The rows of the table under a heading whose head begins with `first`, each cell trimmed.
pub(crate) fn table(heading: &str, first: &str) -> Vec<Vec<String>> {
    tables(heading, first).1
}

/// The head and the rows.
pub(crate) fn tables(heading: &str, first: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let section = section(heading);
    let mut lines = section.lines().skip_while(|line| !line.starts_with(&format!("| {first} |")));
    let head = lines.next().unwrap_or_else(|| panic!("{heading}: no table of {first}"));
    assert!(lines.next().is_some_and(|line| line.starts_with("|---")), "{heading}: no table");
    let rows = lines.take_while(|line| line.starts_with('|'));
    (cells(head), rows.map(cells).collect())
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The given columns of a table.
pub(crate) fn columns(rows: &[Vec<String>], wanted: &[usize]) -> Vec<Vec<String>> {
    rows.iter().map(|row| wanted.iter().map(|at| row[*at].clone()).collect()).collect()
}

/// The text under a heading of the README, up to the next heading of any level.
pub(crate) fn section(heading: &str) -> String {
    let readme = read("README.md");
    let (_, after) = readme
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the README has no heading {heading:?}"));
    let mut fenced = false;
    let inside = after.lines().take_while(|line| {
        fenced ^= line.starts_with("```");
        fenced || !line.starts_with('#')
    });
    inside.map(|line| format!("{line}\n")).collect()
}

/// The blocks of a language, in their order.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let parts = text.split(&begin).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// What stands between backticks, outside of blocks.
pub(crate) fn ticked(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2).collect::<String>();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A cell without its backticks.
pub(crate) fn plain(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// Fails with all of what should stand in a table if anything differs.
pub(crate) fn compare(what: &str, found: &[Vec<String>], expected: &[Vec<String>]) {
    let line = |row: &Vec<String>| format!("| {} |", row.join(" | "));
    let gone = found.iter().filter(|row| !expected.contains(row));
    let gone = gone.map(|row| format!("{what}: not so: {}", line(row)));
    let missing = expected.iter().filter(|row| !found.contains(row));
    let missing = missing.map(|row| format!("{what}: missing: {}", line(row)));
    let all: Vec<_> = gone.chain(missing).collect();
    assert!(found == expected, "{what} differ, if only in their order:\n{}", all.join("\n"));
}
