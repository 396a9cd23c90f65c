//! What the translators write against the types that the providers publish with their official
//! clients: every golden file, and requests by chance through every route. A request is either valid
//! at the provider or refused with the field that the provider has no word for. No Envoy needed.

mod generate;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use harness::{root, sdk, target_dir};
use llm_gateway::attempt::way::Way;
use llm_gateway::config::Api;
use llm_gateway::error::Kind;
use llm_gateway::protocol::Operation;
use llm_gateway::protocol::sse;
use llm_gateway::translate::{Context, Pair, Route};
use serde_json::{Value, json};

#[test]
fn golden_files_are_what_the_providers_publish() {
    let mut documents = Documents::default();
    for route in files(&root().join("tests/golden")) {
        let name = route.file_name().unwrap().to_string_lossy().into_owned();
        let (client, provider) = ends(&name);
        for case in files(&route) {
            let what = format!("{name}/{}", case.file_name().unwrap().to_string_lossy());
            let json = |file: &str| -> Option<Value> {
                Some(serde_json::from_slice(&fs::read(case.join(file)).ok()?).unwrap())
            };
            if let Some(mut out) = json("request.out.json")
                && let Some(path) = out["path"].as_str().map(str::to_owned)
            {
                documents.add(&what, "request", provider, &path, out["body"].take());
            }
            if let Some(out) =
                json("response.out.json").filter(|out| out["error"].get("kind").is_none())
            {
                documents.add(&what, "answer", client, "", out);
            }
            if let Ok(out) = fs::read(case.join("stream.out.sse")) {
                for event in events(&out) {
                    documents.add(&what, "event", client, "", event);
                }
            }
            for line in
                fs::read(case.join("stream.out.jsonl")).unwrap_or_default().split(|b| *b == b'\n')
            {
                if !line.is_empty() {
                    documents.add(
                        &what,
                        "event",
                        client,
                        "",
                        serde_json::from_slice(line).unwrap(),
                    );
                }
            }
        }
    }
    documents.check("golden");
}

#[test]
fn any_valid_request_is_valid_at_the_provider_or_refused_by_name() {
    let mut documents = Documents::default();
    let mut misnamed = BTreeMap::new();
    let mut clients = HashSet::new();
    for route in routes() {
        let name = name(route);
        let (client, provider) = ends(&name);
        let new = clients.insert(client.to_owned());
        let mut passed = 0;
        let mut refused = BTreeMap::<String, u32>::new();
        for seed in 0..SEEDS {
            let request = generate::request(client, seed);
            let request = request.unwrap_or_else(|| panic!("no generator of {client} requests"));
            let what = format!("{name} {seed}");
            let models = generate::models(provider, client.contains("embed"));
            let context = context(models[seed as usize % models.len()]);
            match route.request(request.to_string().as_bytes(), &context) {
                Ok(translated) => {
                    passed += 1;
                    for field in &translated.warnings {
                        if !named(&request, field) {
                            misnamed
                                .insert(format!("{name}: warning {field}"), request.to_string());
                        }
                    }
                    let body = serde_json::from_slice(&translated.body).unwrap();
                    documents.add(&what, "request", provider, &translated.path, body);
                }
                Err(error) => {
                    let field = error.param.clone().unwrap_or_else(|| panic!("{what}: {error:?}"));
                    let about = [Kind::InvalidRequest, Kind::UnsupportedCapability];
                    assert!(about.contains(&error.kind), "{what}: {error:?}");
                    if field != "model" && !named(&request, &field) {
                        misnamed.insert(format!("{name}: {field}"), format!("{error:?} {request}"));
                    }
                    *refused.entry(field.replace(char::is_numeric, "N")).or_default() += 1;
                }
            }
            if new {
                documents.add(&what, "client", client, "", request);
            }
        }
        println!("{name}: {passed} of {SEEDS} pass; refused: {refused:?}");
        // A translator that refuses nearly all would pass all else here.
        assert!(passed * 4 > SEEDS, "{name}: {passed} of {SEEDS} pass, refused: {refused:?}");
    }
    documents.check("requests");
    assert!(misnamed.is_empty(), "no fields of the request: {misnamed:#?}");
}

#[test]
fn what_a_provider_refuses_is_found() {
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let mut documents = Documents::default();
    for (side, protocol, path, value) in [
        (
            "request",
            "anthropic",
            "/messages",
            json!({"model": "m", "max_tokens": 5, "messages": user(json!([{"type": "text", "text": " "}]))}),
        ),
        (
            "request",
            "anthropic",
            "/messages",
            json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x", "name": "ann"}]}),
        ),
        (
            "request",
            "openai",
            "/chat/completions",
            json!({"model": "m", "messages": user(json!("x")), "n": "1"}),
        ),
        (
            "request",
            "gemini",
            "/models/m:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"txt": "x"}]}]}),
        ),
        (
            "request",
            "bedrock",
            "/model/m/converse",
            json!({"messages": user(json!([{"text": "x"}])), "inferenceConfig": {"temperature": 1.5}}),
        ),
        (
            "request",
            "bedrock",
            "/model/m/converse",
            json!({"messages": user(json!([{"image": {"format": "bmp", "source": {"bytes": "AA=="}}}]))}),
        ),
        (
            "request",
            "cohere",
            "/chat",
            json!({"model": "m", "stream": false, "messages": user(json!("x")), "p": 1}),
        ),
        (
            "request",
            "ollama",
            "/api/chat",
            json!({"model": "m", "messages": user(json!("x")), "tool_choice": "auto"}),
        ),
        ("answer", "openai", "", json!({"id": "1"})),
        ("event", "responses", "", json!({"type": "response.output_text.delta", "delta": "x"})),
        ("request", "openai", "/completions", json!({})),
    ] {
        documents.add("wrong", side, protocol, path, value);
    }
    let output = documents.checked("wrong");
    let none = format!("passed: 0 of {}", documents.0.len());
    assert!(output.lines().any(|line| line == none), "{output}");
}

fn context(upstream_model: &str) -> Context {
    let mut context = Context::default();
    context.upstream_model = upstream_model.into();
    context.model = "any-model".into();
    context.request_id = "req-1".into();
    context.created = 1_700_000_000;
    context.default_max_tokens = 4096;
    context
}

/// Whether there is such a field, as OpenAI writes it: `messages[0].role`. Without a number it is one
/// of any of them.
fn named(request: &Value, field: &str) -> bool {
    fn walk(value: &Value, steps: &[&str]) -> bool {
        let [step, rest @ ..] = steps else { return true };
        match (step.strip_suffix(']'), value) {
            (Some(index), _) => index
                .parse::<usize>()
                .ok()
                .and_then(|index| value.get(index))
                .is_some_and(|item| walk(item, rest)),
            (None, Value::Array(items)) => items.iter().any(|item| walk(item, steps)),
            // What is said of each request of a batch is named without it.
            (None, _) => match (value.get(step), value.get("requests")) {
                (Some(item), _) => walk(item, rest),
                (None, Some(batch)) => walk(batch, steps),
                (None, None) => false,
            },
        }
    }
    // Of a part that is left out its kind is told, too.
    let field = field.split(" (").next().unwrap();
    walk(request, &field.split(['.', '[']).collect::<Vec<_>>())
}

/// Those that a configuration can reach, and each pair alone.
fn routes() -> Vec<Route> {
    let ways = Api::NAMES.iter().flat_map(|(_, api)| {
        Operation::ALL.iter().filter_map(|operation| match Way::of(*operation, *api) {
            Way::Translated(route) => Some(route),
            _ => None,
        })
    });
    let mut seen = HashSet::new();
    Pair::ALL
        .iter()
        .map(|pair| Route::from(*pair))
        .chain(ways)
        .filter(|route| seen.insert(*route))
        .collect()
}

fn name(route: Route) -> String {
    route.pairs().map(Pair::name).collect::<Vec<_>>().join(".")
}

/// The client's protocol and the provider's.
fn ends(route: &str) -> (&str, &str) {
    (route.split("_to_").next().unwrap(), route.rsplit("_to_").next().unwrap())
}

/// What is handed to the checker, a line each.
#[derive(Default)]
struct Documents(Vec<String>);

impl Documents {
    fn add(&mut self, what: &str, side: &str, protocol: &str, path: &str, value: Value) {
        // Titan's body differs from other makers', and only the path tells.
        let path = if path.contains("titan") { "titan/invoke" } else { path };
        let line =
            json!({"what": what, "side": side, "protocol": protocol, "path": path, "value": value});
        self.0.push(line.to_string());
    }

    fn check(&self, name: &str) {
        assert!(!self.0.is_empty());
        let output = self.checked(name);
        println!("{output}");
        let all = format!("passed: {0} of {0}", self.0.len());
        assert!(output.lines().any(|line| line == all), "{output}");
    }

    /// What the checker says.
    fn checked(&self, name: &str) -> String {
        let folder = target_dir().join("tmp");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("schemas-{name}-{}.jsonl", std::process::id()));
        fs::write(&file, self.0.join("\n")).unwrap();
        let output = sdk::run_python(CHECKER, &[file.to_str().unwrap()]).unwrap();
        fs::remove_file(file).unwrap();
        output
    }
}

/// The JSON in the events of a stream, or in its lines.
fn events(stream: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(stream);
    let data = text
        .split("\n\n")
        .filter_map(|frame| Some(sse::event(frame.as_bytes())?.data.into_owned()));
    let json = |data: Vec<u8>| match &*data {
        b"[DONE]" => None,
        data => Some(serde_json::from_slice(data).unwrap()),
    };
    data.filter_map(json).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// One script.
const CHECKER: &str = concat!(
    include_str!("schemas/types.py"),
    include_str!("schemas/rules.py"),
    include_str!("schemas/published.py"),
);

/// Of each route.
const SEEDS: u64 = 300;
