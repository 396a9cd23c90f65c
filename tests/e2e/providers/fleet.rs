//! One model server for each provider protocol, and one Envoy in front of all.

use std::net::SocketAddr;

use harness::envoy::{Envoy, Launch, free_port};
use harness::model_server::{ModelServer, Options, Recorded};
use serde_json::{Map, Value, json};

use crate::support::{at, cluster, shipped};

/// A provider to which there is no connection.
pub(super) const NOBODY: &str = "nobody";
pub(super) const NOBODYS_MODEL: &str = "nobodys-model";

/// What the caller sends as a key: no provider may see it, for each has one of its own.
pub(super) const CALLERS_KEY: &str = "key-of-the-caller";

/// A provider and how it is configured.
pub(super) struct Provider {
    pub(super) name: &'static str,
    /// The configuration of the provider role, but for its name.
    role: fn() -> Value,
    pub(super) chat: &'static str,
    /// Takes a list of texts.
    pub(super) embedding: Option<&'static str>,
    /// Other models that it serves.
    pub(super) others: &'static [&'static str],
    /// What its protocol cannot say, and the words by which that is refused. A client that can do it
    /// all the same fails.
    pub(super) cannot: &'static [(&'static str, &'static str)],
    /// What becomes of the model's thinking: `shown`, `hidden` by the provider, or not `asked` for
    /// because the model does not think.
    pub(super) thinking: &'static str,
}

pub(super) const PROVIDERS: &[Provider] = &[
    Provider {
        name: "openai",
        role: || json!({"api": "openai", "auth": {"bearer_env": "PROVIDER_KEY"}}),
        chat: "gpt-4o-mini",
        embedding: Some("text-embedding-3-small"),
        others: &["gpt-gone"],
        cannot: &[],
        thinking: "hidden",
    },
    Provider {
        // Its newer paths, which name the model in the body.
        name: "azure",
        role: || json!({"api": "azure_openai", "auth": {"header": "api-key", "env": "PROVIDER_KEY"}}),
        chat: "my-deployment",
        embedding: Some("my-embedding"),
        others: &["azure-gone"],
        cannot: &[],
        thinking: "hidden",
    },
    Provider {
        name: "anthropic",
        role: || json!({"api": "anthropic", "auth": {"header": "x-api-key", "env": "PROVIDER_KEY"}}),
        chat: "claude-haiku-4-5",
        embedding: None,
        others: &["claude-gone"],
        cannot: &[
            ("choices", "n"),
            ("logprobs", "logprobs"),
            ("completions", ""),
            ("embeddings", ""),
            ("embeddings_base64", ""),
        ],
        thinking: "shown",
    },
    Provider {
        name: "gemini",
        role: || json!({"api": "gemini", "auth": {"header": "x-goog-api-key", "env": "PROVIDER_KEY"}}),
        chat: "gemini-2.5-flash",
        embedding: Some("gemini-embedding-001"),
        others: &["gemini-3-pro", "gemini-gone"],
        cannot: &[("logprobs", "logprobs"), ("completions", "")],
        thinking: "shown",
    },
    Provider {
        name: "bedrock",
        role: || json!({"api": "bedrock", "auth": {"bearer_env": "PROVIDER_KEY"}}),
        chat: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        embedding: Some("cohere.embed-v4:0"),
        others: &["amazon.titan-embed-text-v2:0", "amazon.gone-v1:0"],
        cannot: &[
            ("choices", "n"),
            ("logprobs", "logprobs"),
            ("completions", ""),
            ("image_link", "image_url.url"),
            ("tool_choice_none", "tool_choice"),
        ],
        thinking: "shown",
    },
    Provider {
        name: "cohere",
        role: || json!({"api": "cohere", "auth": {"bearer_env": "PROVIDER_KEY"}}),
        chat: "command-a-03-2025",
        embedding: Some("embed-v4.0"),
        others: &["command-a-reasoning-08-2025", "command-gone"],
        cannot: &[("choices", "n"), ("logprobs", "logprobs"), ("completions", "")],
        thinking: "asked",
    },
    Provider {
        name: "ollama",
        role: || json!({"api": "ollama", "auth": {"bearer_env": "PROVIDER_KEY"}}),
        chat: "llama3.2:1b",
        embedding: Some("nomic-embed-text"),
        others: &["llama-gone"],
        cannot: &[
            ("choices", "n"),
            ("logprobs", "logprobs"),
            ("completions", ""),
            ("image_link", "image_url.url"),
            ("tool_choice_required", "tool_choice"),
            ("tool_choice_named", "tool_choice"),
        ],
        thinking: "shown",
    },
];

pub(super) struct Fleet {
    pub(super) envoy: Envoy,
    pub(super) servers: Vec<(&'static str, ModelServer)>,
}

impl Fleet {
    /// `edit` changes the gateway's configuration and each provider's.
    pub(super) fn start(edit: impl Fn(&str, &mut Value)) -> Self {
        let server = |provider: &Provider| {
            let gone = provider.others.iter().filter(|model| model.contains("gone"));
            let options = Options {
                name: Some(provider.name.to_owned()),
                key: Some(key_of(provider.name)),
                unknown_models: gone.map(|model| (*model).to_owned()).collect(),
                ..Options::default()
            };
            (provider.name, ModelServer::start(options).unwrap())
        };
        let servers: Vec<_> = PROVIDERS.iter().map(server).collect();
        let mut bootstrap = shipped(servers[0].1.address());
        for (provider, (_, server)) in PROVIDERS.iter().zip(&servers) {
            let mut role = (provider.role)();
            role["provider"] = json!(provider.name);
            edit(provider.name, &mut role);
            bootstrap = cluster(bootstrap, provider.name, server.address(), Some(role));
        }
        let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let role = json!({"provider": NOBODY, "api": "anthropic"});
        bootstrap = cluster(bootstrap, NOBODY, nobody, Some(role));
        for cluster in at(&mut bootstrap, CLUSTERS).as_array_mut().unwrap() {
            // Tests run side by side, and Envoy's own default is three.
            cluster["circuit_breakers"] = json!({"thresholds": [{"max_retries": 1024}]});
        }
        let bootstrap = bootstrap
            .configure("gateway", |value| {
                *value = configuration();
                edit("gateway", value);
            })
            .unwrap();
        let envoy = Launch::new(bootstrap).concurrency(2).start().unwrap();
        Self { envoy, servers }
    }

    pub(super) fn server(&self, name: &str) -> &ModelServer {
        let found = self.servers.iter().find(|(named, _)| *named == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// No provider has seen a key that is not its own, nor a header of the gateway's.
    pub(super) fn assert_keys_stay_apart(&self) {
        for (name, server) in &self.servers {
            for request in server.requests() {
                assert_apart(name, &request);
            }
        }
    }
}

/// As the cluster's environment has it.
pub(super) fn key_of(provider: &str) -> String {
    format!("key-of-{provider}")
}

fn assert_apart(provider: &str, request: &Recorded) {
    let path = request.query.iter().fold(request.path.clone(), |path, query| path + "?" + query);
    let line = (":path".to_owned(), path.into_bytes());
    for (name, value) in request.headers.iter().chain([&line]) {
        let value = String::from_utf8_lossy(value);
        assert!(!name.starts_with("x-llm-"), "{provider} got {name}: {value}");
        assert!(!value.contains(CALLERS_KEY), "{provider} got the caller's key in {name}");
        for other in PROVIDERS.iter().filter(|other| other.name != provider) {
            assert!(!value.contains(&key_of(other.name)), "{provider} got {name}: {value}");
        }
    }
}

fn configuration() -> Value {
    let models = |provider: &Provider| {
        let models = [Some(provider.chat), provider.embedding].into_iter().flatten();
        json!({"models": models.chain(provider.others.iter().copied()).collect::<Vec<_>>()})
    };
    let providers = PROVIDERS.iter().map(|it| (it.name.to_owned(), models(it)));
    let nobody = (NOBODY.to_owned(), json!({"models": [NOBODYS_MODEL]}));
    let providers: Map<_, _> = providers.chain([nobody]).collect();
    json!({"providers": providers, "unmatched": "reject"})
}

const CLUSTERS: &str = "/static_resources/clusters";
