//! What clients can call, what each provider does with it, and what translations lose.

use llm_gateway::attempt::way::Way;
use llm_gateway::config::Api;
use llm_gateway::protocol::{Dialect, Endpoint, Operation, Path};
use llm_gateway::translate::Pair;

use crate::markdown::{columns, compare, plain, read, root, table, tables};

#[test]
fn calls_are_read_as_the_protocol_that_the_readme_says() {
    let rows = table("## Protocols", "call");
    let mut operations = Vec::new();
    for row in &rows {
        let (method, path) = plain(&row[0]).split_once(' ').unwrap();
        let read = Path::read(path.as_bytes());
        let Endpoint::Call(operation) = Endpoint::of(method.as_bytes(), &read) else {
            panic!("{path} is no call")
        };
        let dialect = match operation.dialect() {
            Dialect::OpenAi => "OpenAI",
            Dialect::Anthropic => "Anthropic",
            Dialect::Ollama => "Ollama",
            Dialect::Gemini => "Gemini",
        };
        assert_eq!(row[1], dialect, "{path}");
        operations.push(operation);
    }
    assert_eq!(operations, CALLS.map(|(operation, _)| operation));
}

#[test]
fn providers_take_calls_as_the_readme_says() {
    let (head, rows) = tables("## Protocols", "client \\ `api`");
    let apis = Api::NAMES.map(|(_, api)| api);
    let names = apis.iter().map(|api| format!("`{}`", api.name()));
    let first = [head[0].clone()].into_iter().chain(names).collect();
    let rows: Vec<_> = [head].into_iter().chain(rows).collect();
    let expected = CALLS.iter().map(|(operation, name)| {
        let cell = |api: &Api| match Way::of(*operation, *api) {
            Way::AsItIs => "as it is",
            Way::Translated(_) => "translated",
            Way::Unknown => "400",
        };
        let cells = apis.iter().map(|api| cell(api).to_owned());
        [(*name).to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    });
    let expected: Vec<_> = [first].into_iter().chain(expected).collect();
    compare("protocols", &rows, &expected);
}

#[test]
fn translations_lose_what_their_documentation_says() {
    let rows = table("## Translation", "from, to");
    let reached = |pair: &Pair| {
        let calls = |api| CALLS.map(|(operation, _)| Way::of(operation, api));
        let ways = Api::NAMES.into_iter().flat_map(|(_, api)| calls(api));
        let by = |way| matches!(way, Way::Translated(route) if route.pairs().any(|by| by == *pair));
        ways.into_iter().any(by)
    };
    let row = |pair: &Pair| {
        let name = pair.name();
        vec![
            format!("`{name}`"),
            paragraph(name, "Refused: "),
            paragraph(name, "Left out with a warning: "),
        ]
    };
    let expected: Vec<_> = Pair::ALL.iter().filter(|pair| reached(pair)).map(row).collect();
    compare("translations", &columns(&rows, &[0, 1, 2]), &expected);
}

/// A paragraph of a pair's documentation, on one line and without its first words.
fn paragraph(pair: &str, begin: &str) -> String {
    let folder = format!("src/translate/{pair}/mod.rs");
    let file = match root().join(&folder).exists() {
        true => folder,
        false => format!("src/translate/{pair}.rs"),
    };
    let text = read(&file);
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let text = lines.map(|line| if line.is_empty() { "\n" } else { line }).collect::<Vec<_>>();
    let text = text.join(" ");
    let found = text.split('\n').find_map(|paragraph| paragraph.trim().strip_prefix(begin));
    found.unwrap_or("nothing.").to_owned()
}

const CALLS: [(Operation, &str); 12] = [
    (Operation::Chat, "OpenAI chat completions"),
    (Operation::Completion, "OpenAI completions"),
    (Operation::Embedding, "OpenAI embeddings"),
    (Operation::Responses, "OpenAI responses"),
    (Operation::Messages, "Anthropic messages"),
    (Operation::OllamaChat, "Ollama chat"),
    (Operation::OllamaGenerate, "Ollama generate"),
    (Operation::OllamaEmbed, "Ollama embed"),
    (Operation::GeminiGenerate, "Gemini generateContent"),
    (Operation::GeminiStream, "Gemini streamGenerateContent"),
    (Operation::GeminiEmbed, "Gemini embedContent"),
    (Operation::GeminiBatchEmbed, "Gemini batchEmbedContents"),
];
