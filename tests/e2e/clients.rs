//! Clients whose protocol no provider but their own speaks: Google's and Ollama's, used as their
//! users use them, reach every provider by the model's name.

use std::sync::LazyLock;

use harness::model_server::{ModelServer, Options, Recorded};
use harness::sdk;
use harness::wire::Request;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Gateway, cluster};

#[test]
fn google_genai_for_python() {
    let output = run(include_str!("clients/genai_sdk.py"), &APIS);
    assert_eq!(passed(&output), APIS.len(), "{output}");
}

#[test]
fn ollama_for_python() {
    let output = run(include_str!("clients/ollama_sdk.py"), &APIS);
    assert_eq!(passed(&output), APIS.len(), "{output}");
}

/// Neither what the caller sent to get in, nor where it was sent.
#[test]
fn the_callers_key_reaches_no_provider() {
    let Fleet { gateway, servers } = &*FLEET;
    for api in APIS {
        let path = format!("/v1beta/models/by-{api}:generateContent?key=key-of-app");
        let text = format!("key for {api}");
        let body = json!({"contents": [{"parts": [{"text": text}]}]});
        let answer = gateway.post(&path, &body);
        assert_eq!(answer.status, 200, "{api}: {}", answer.text());
        let shown = shown(servers, api, &text);
        assert!(!shown.contains("key-of-app"), "{shown}");
        let entry = gateway.logged(&answer);
        assert!(!entry.to_string().contains("key-of-app"), "{entry}");
        assert_eq!(entry["operation"], "generate_content");
    }
    gateway.assert_unharmed();
}

/// A chain that begins with Google's protocol and goes on with another, and the other way round.
#[test]
fn a_chain_changes_its_protocol() {
    let Fleet { gateway, servers } = &*FLEET;
    for (model, failing, serving) in
        [("gemini-first", "gemini", "anthropic"), ("gemini-last", "openai", "gemini")]
    {
        for method in ["generateContent", "streamGenerateContent?alt=sse"] {
            let path = format!("/v1beta/models/{model}:{method}");
            let text = format!("{model} {method}");
            let body = json!({"contents": [{"parts": [{"text": text}]}]});
            let request = Request::post(&path, &body)
                .header("x-goog-api-key", "key-of-app")
                .header(&format!("x-sim-{failing}"), "status=503");
            let answer = gateway.send(&request);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains("\"finishReason\":\"STOP\""), "{}", answer.text());
            let entry = gateway.logged(&answer);
            assert_eq!((&entry["provider"], &entry["attempts"]), (&json!(serving), &json!("2")));
            let all = shown(servers, serving, &text);
            assert!(all.contains(&format!("key-of-{serving}")), "{all}");
            assert!(!all.contains(&format!("key-of-{failing}")) && !all.contains("key-of-app"));
        }
    }
}

/// All but the body of what a server got with this text; other tests ask it too.
fn shown(servers: &[(&'static str, ModelServer)], name: &str, text: &str) -> String {
    let (_, server) = servers.iter().find(|(api, _)| *api == name).unwrap();
    let said = |received: &Recorded| String::from_utf8_lossy(&received.body).contains(text);
    let received = server.requests().into_iter().find(said).unwrap();
    let header =
        |(name, value): &(String, Vec<u8>)| format!("{name}: {}\n", String::from_utf8_lossy(value));
    let headers: String = received.headers.iter().map(header).collect();
    format!("{} {:?}\n{headers}", received.path, received.query)
}

/// One Envoy, and behind it a server for each protocol, each with a key of its own.
struct Fleet {
    gateway: Gateway,
    servers: Vec<(&'static str, ModelServer)>,
}

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let server = |api: &'static str| {
        let options = Options {
            name: Some(api.to_owned()),
            key: Some(format!("key-of-{api}")),
            ..Options::default()
        };
        (api, ModelServer::start(options).unwrap())
    };
    let servers: Vec<_> = APIS.into_iter().map(server).collect();
    let gateway = Gateway::adapted(|bootstrap| {
        let behind = servers.iter().fold(bootstrap, |bootstrap, (api, server)| {
            let role = json!({"provider": api, "api": api, "auth": auth(api)});
            cluster(bootstrap, api, server.address(), Some(role))
        });
        behind.configure("gateway", |value| *value = configuration()).unwrap()
    });
    Fleet { gateway, servers }
});

fn auth(api: &str) -> Value {
    match api {
        "anthropic" => json!({"header": "x-api-key", "env": "PROVIDER_KEY"}),
        "gemini" => json!({"header": "x-goog-api-key", "env": "PROVIDER_KEY"}),
        _ => json!({"bearer_env": "PROVIDER_KEY"}),
    }
}

/// Models to chat with and to embed. Translations know by the name what a model can do.
fn served(api: &str) -> (&str, &str) {
    match api {
        "openai" => ("gpt-4o-mini", "text-embedding-3-small"),
        "anthropic" => ("claude-sonnet-4-5", "none"),
        "gemini" => ("gemini-2.5-flash", "gemini-embedding-001"),
        "bedrock" => ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "cohere.embed-english-v3"),
        "ollama" => ("llama3.2:1b", "all-minilm"),
        _ => ("command-a-03-2025", "embed-v4.0"),
    }
}

fn configuration() -> Value {
    let provider = |api: &str| {
        let (chat, embedding) = served(api);
        (api.to_owned(), json!({"models": [chat, embedding]}))
    };
    let providers: Map<_, _> = APIS.into_iter().map(provider).collect();
    let mut models = Map::new();
    for api in APIS {
        let (chat, embedding) = served(api);
        models.insert(format!("by-{api}"), json!([{"provider": api, "model": chat}]));
        models.insert(format!("embed-{:.3}", api), json!([{"provider": api, "model": embedding}]));
    }
    for (name, first, last) in
        [("gemini-first", "gemini", "anthropic"), ("gemini-last", "openai", "gemini")]
    {
        let chain = json!([
            {"provider": first, "model": served(first).0},
            {"provider": last, "model": served(last).0, "priority": 1},
        ]);
        models.insert(name.to_owned(), chain);
    }
    let consumer = |name: &str| {
        let digest = Sha256::digest(format!("key-of-{name}"));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"name": name, "key_sha256": digest})
    };
    json!({
        "providers": providers,
        "models": models,
        "auth": {"mode": "required"},
        "consumers": [consumer("app"), consumer("limited")],
        "limits": [{"name": "once", "key": ["consumer", "model"], "consumers": ["limited"], "requests": 1, "window": "1h"}],
    })
}

fn run(script: &str, apis: &[&str]) -> String {
    let url = FLEET.gateway.envoy.url("gateway").unwrap();
    let args: Vec<_> = [&*url].into_iter().chain(apis.iter().copied()).collect();
    sdk::run_python(script, &args).unwrap()
}

/// A script prints a line for each provider.
fn passed(output: &str) -> usize {
    output.lines().filter(|line| line.starts_with("passed: ")).count()
}

const APIS: [&str; 6] = ["openai", "anthropic", "gemini", "bedrock", "ollama", "cohere"];
