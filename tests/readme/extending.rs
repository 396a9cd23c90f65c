//! What must fail when something was added and only half of it: the tests that the README names.

use std::collections::BTreeSet;

use llm_gateway::config::Api;

use crate::markdown::{plain, read, root, table};
use crate::source::files;

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

/// A declared field is not among the unknown ones that a translation reports as left out: one that
/// no translation looks at would be lost without a word.
#[test]
fn every_declared_field_is_dealt_with_by_every_translation() {
    let mut checked = 0;
    for (pair, request) in pairs() {
        let fields = fields(request);
        assert!(fields.len() > 7, "{request:?}: {fields:?}");
        let code = code(&pair);
        for field in fields {
            checked += 1;
            assert!(code.contains(&format!(".{field}")), "{pair} does not look at {field}");
        }
    }
    assert!(checked > 50, "{checked} fields");
}

/// The pairs by the names of their modules, each with the request that it reads.
fn pairs() -> Vec<(String, Request)> {
    let pairs = llm_gateway::translate::Pair::ALL.iter().map(|pair| pair.name().to_owned());
    let request = |pair: &str| {
        let known = REQUESTS.iter().find(|(client, _)| pair.starts_with(client));
        known.map(|(_, request)| *request)
    };
    pairs.filter_map(|pair| request(&pair).map(|request| (pair, request))).collect()
}

/// A file, and the name of a type in it.
type Request = (&'static str, &'static str);

const REQUESTS: [(&str, Request); 5] = [
    ("openai_to_", ("src/protocol/openai/chat.rs", "ChatCompletionRequest")),
    ("gemini_to_", ("src/protocol/gemini.rs", "GenerationConfig")),
    ("ollama_to_", ("src/protocol/ollama.rs", "ChatRequest")),
    ("ollama_generate_to_", ("src/protocol/ollama.rs", "GenerateRequest")),
    ("anthropic_to_", ("src/protocol/anthropic/request.rs", "MessagesRequest")),
];

/// The fields of a type that is described with `object!`.
fn fields((file, name): Request) -> Vec<String> {
    let text = read(file);
    let (_, body) = text.split_once(&format!("pub struct {name}<'a> {{")).unwrap();
    let lines = body.lines().take_while(|line| line.trim() != "}").map(str::trim);
    let fields = lines.filter(|line| !line.starts_with("//")).filter_map(|line| {
        let (field, _) = line.split_once(':')?;
        field.split(" as ").next().map(str::to_owned)
    });
    fields.collect()
}

/// The code of a pair, and of what it shares with others: the modules beside it that it names.
fn code(pair: &str) -> String {
    let all = files();
    let of = |module: &str| {
        let (file, folder) =
            (format!("src/translate/{module}.rs"), format!("src/translate/{module}/"));
        let its = all.iter().filter(|(name, _)| *name == file || name.starts_with(&folder));
        its.map(|(_, text)| text.as_str()).collect::<String>()
    };
    let own = of(pair);
    let beside = all.iter().filter_map(|(name, _)| {
        let module = name.strip_prefix("src/translate/")?.split(['/', '.']).next()?;
        (!module.contains("_to_") && module != "mod").then_some(module)
    });
    let named: BTreeSet<_> = beside.filter(|module| own.contains(module)).collect();
    named.into_iter().map(of).chain([own.clone()]).collect()
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
