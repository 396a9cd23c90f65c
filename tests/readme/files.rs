//! What the README, CONTRIBUTING and CHANGELOG say of the repository's files.

use std::fs;

use crate::markdown::{blocks, read, root, table, ticked};

#[test]
fn the_snippet_is_in_the_file_that_it_is_from() {
    let readme = read("README.md");
    let snippets = blocks(&readme, "yaml");
    let snippet = snippets.iter().find(|block| block.contains("filters.http.wasm")).unwrap();
    let file = read("envoy/ollama.yaml");
    let indent = "          ";
    let indented: String = snippet.lines().map(|line| format!("{indent}{line}\n")).collect();
    assert!(file.contains(&indented), "not in envoy/ollama.yaml:\n{indented}");
    assert!(snippet.lines().count() <= 10);
}

#[test]
fn addresses_are_those_of_the_shipped_configuration() {
    let readme = read("README.md");
    let shipped = read("envoy/envoy.yaml");
    let ports = readme
        .split("127.0.0.1:")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    for port in ports {
        assert!(shipped.contains(&format!("port_value: {port}}}")), "{port}");
    }
}

#[test]
fn every_recipe_is_in_the_readme() {
    let entries = fs::read_dir(root().join("envoy")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.filter(|name| name.ends_with(".yaml")).collect();
    files.sort();
    let rows = table("### In your Envoy", "file");
    let paths = rows.iter().filter_map(|row| row[0].split('`').nth(1));
    let mut told: Vec<_> = paths.filter_map(|path| path.strip_prefix("envoy/")).collect();
    told.sort_unstable();
    assert_eq!(told, files);
}

#[test]
fn every_file_that_is_named_is_there() {
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = read(document);
        let links = text.split("](").skip(1).filter_map(|part| part.split(')').next());
        let links: Vec<_> = links.filter(|link| !link.contains("://")).collect();
        let ticked = ticked(&text);
        let paths = ticked.iter().map(String::as_str).filter(|word| is_path(word));
        let files = links.iter().filter_map(|link| link.split('#').next());
        for path in paths.chain(files.filter(|file| !file.is_empty())) {
            assert!(root().join(path).exists(), "{document}: {path}");
        }
        for anchor in links.iter().filter_map(|link| link.strip_prefix('#')) {
            let is_it = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                line.starts_with('#') && title.replace(['`', ':'], "").replace(' ', "-") == anchor
            };
            assert!(text.lines().any(is_it), "{document}: #{anchor}");
        }
    }
}

fn is_path(word: &str) -> bool {
    let plain = !word.contains(['*', '<', ' ', '(', '{']) && !word.contains("NAME");
    let tops = ["src/", "tests/", "envoy/", ".ci/"];
    plain && tops.iter().any(|top| word.starts_with(top))
}

#[test]
fn the_changelog_is_about_this_version() {
    let changelog = read("CHANGELOG.md");
    let versions: Vec<_> = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## [")?.split(']').next())
        .filter(|version| *version != "Unreleased")
        .collect();
    assert_eq!(versions.first(), Some(&env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_languages_rust_and_envoy_are_those_of_the_manifests() {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(read("CONTRIBUTING.md").contains(&format!("Rust {rust}")), "{rust}");
}
