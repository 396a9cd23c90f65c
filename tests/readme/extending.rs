//! What must fail when something was added and only half of it: the tests that the README names.

use std::collections::BTreeSet;

use llm_gateway::config::Api;

use crate::markdown::{plain, read, root, table};

#[test]
fn every_test_that_is_named_is_there() {
    let mut named = 0;
    for row in table("## Extending", "to add") {
        for test in row[3].split("; ").filter(|test| test.contains(" in `")) {
            let (name, file) = test.split_once(" in ").unwrap();
            let text = read(plain(file));
            assert!(text.contains(&format!("fn {}(", plain(name))), "{test}");
            named += 1;
        }
    }
    assert!(named >= 10, "{named} tests");
}

/// A part of a limit's key that no configuration can name would be of no use.
#[test]
fn every_part_of_a_limits_key_has_a_word() {
    let rows = table("### `root_id: gateway`", "key");
    let row = rows.iter().find(|row| row[0] == "`limits[].key`").unwrap();
    let words = row[1].trim_start_matches("a list of ").split(", at most").next().unwrap();
    let words = words.replace(" or ", ", ");
    let parts = variants("src/limit/rules.rs", "KeyPart");
    let parts = parts.iter().map(|part| snake_case(part));
    assert_eq!(
        parts.collect::<BTreeSet<_>>(),
        words.split(", ").map(str::to_owned).collect::<BTreeSet<_>>()
    );
}

#[test]
fn every_api_has_a_word() {
    let named = Api::NAMES.map(|(_, api)| format!("{api:?}"));
    assert_eq!(variants("src/config/provider.rs", "Api"), named);
}

/// The variants of a plain enum.
fn variants(file: &str, name: &str) -> Vec<String> {
    let text = read(file);
    let (_, body) = text.split_once(&format!("pub enum {name} {{")).unwrap();
    let lines = body.lines().take_while(|line| *line != "}").map(str::trim);
    let names = lines.filter(|line| !line.is_empty() && !line.starts_with(['/', '#']));
    names.map(|line| line.trim_end_matches(',').to_owned()).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn every_pair_of_protocols_has_golden_files() {
    for pair in llm_gateway::translate::Pair::ALL {
        let folder = root().join("tests/golden").join(pair.name());
        let cases = std::fs::read_dir(&folder).map(Iterator::count).unwrap_or_default();
        assert!(cases > 0, "{}", folder.display());
    }
}
