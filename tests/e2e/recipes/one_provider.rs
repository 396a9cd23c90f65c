//! The recipes with one provider on the internet: each in front of a server that stands for it.

use std::path::PathBuf;
use std::time::Duration;

use harness::envoy::{Bootstrap, Envoy, Launch};
use harness::model_server::{ModelServer, Options, Recorded};
use harness::{http, sdk, shell, wait_for};
use serde_json::{Value, json};

use super::providers::{DEMO, only_request};
use super::tls::{Authority, Front};
use super::{CHAT, chat, fresh_dir, key_file, post, recipe, replace_file, text};
use crate::support::streamed;

const KEY: &str = "the-key-of-the-provider";
/// For AWS, whose key is never sent.
const SECRET: &str = "the/secret+of/the+provider";

/// What a provider has to get for a chat with the recipe's `fast`.
struct Recipe {
    name: &'static str,
    host: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    /// The header with the key.
    header: &'static str,
    value: &'static str,
    /// The models behind `fast`: a path or a body has the one, then the other.
    models: [&'static str; 2],
}

const RECIPES: [Recipe; 4] = [
    Recipe {
        name: "gemini",
        host: "generativelanguage.googleapis.com",
        path: "/v1beta/models/gemini-2.5-flash:generateContent",
        query: None,
        header: "x-goog-api-key",
        value: KEY,
        models: ["gemini-2.5-flash", "gemini-2.5-flash-lite"],
    },
    Recipe {
        name: "azure",
        host: "my-resource.openai.azure.com",
        path: "/openai/deployments/my-gpt-4o-mini/chat/completions",
        query: Some("api-version=2024-10-21"),
        header: "api-key",
        value: KEY,
        models: ["my-gpt-4o-mini", "my-gpt-4o"],
    },
    Recipe {
        name: "cohere",
        host: "api.cohere.com",
        path: "/v2/chat",
        query: None,
        header: "authorization",
        value: "Bearer the-key-of-the-provider",
        models: ["command-a-03-2025", "command-r7b-12-2024"],
    },
    Recipe {
        name: "bedrock",
        host: "bedrock-runtime.us-east-1.amazonaws.com",
        path: "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
        query: None,
        header: "authorization",
        value: "AWS4-HMAC-SHA256 Credential=the-key-of-the-provider/",
        models: ["us.anthropic.claude-haiku-4-5-20251001-v1%3A0", "us.amazon.nova-lite-v1%3A0"],
    },
];

#[test]
fn gemini() {
    Running::start(&RECIPES[0]).serves_as_its_first_lines_say();
}

#[test]
fn azure() {
    let running = Running::start(&RECIPES[1]);
    running.serves_as_its_first_lines_say();
    running.server.clear();
    let image = json!({"model": "gpt-4o", "prompt": "a cat"});
    post(&running.envoy, "/v1/images/generations?a=b", &[DEMO], &image);
    let request = only_request(&running.server);
    assert_eq!(request.path, "/openai/deployments/my-gpt-4o/images/generations");
    assert_eq!(request.query.as_deref(), Some("api-version=2024-10-21&a=b"));
    assert_eq!(request.json()["model"], "my-gpt-4o");
    // This version has no responses API.
    running.server.clear();
    let responses = json!({"model": "gpt-4o", "input": "Hello", "store": false});
    let answer = post(&running.envoy, "/v1/responses", &[DEMO], &responses);
    let request = only_request(&running.server);
    assert_eq!(request.path, "/openai/deployments/my-gpt-4o/chat/completions");
    assert_eq!(answer.json().unwrap()["object"], "response", "{}", answer.text());
}

#[test]
fn cohere() {
    Running::start(&RECIPES[2]).serves_as_its_first_lines_say();
}

#[test]
fn bedrock() {
    let running = Running::start(&RECIPES[3]);
    running.serves_as_its_first_lines_say();
    running.server.clear();
    let titan = json!({"model": "amazon.titan-embed-text-v2:0", "input": "Hello"});
    let stream = streamed(chat("fast", "a stream with ünïcödé"));
    post(&running.envoy, CHAT, &[DEMO], &chat("fast", "Hello"));
    post(&running.envoy, CHAT, &[DEMO, ("x-b3-traceid", "1"), ("accept", "a,  b")], &stream);
    post(&running.envoy, "/v1/embeddings", &[DEMO], &titan);
    let requests = running.server.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_signed(request, None);
    }
}

impl Running {
    fn serves_as_its_first_lines_say(&self) {
        self.each_call_has_the_providers_name_key_and_path();
        self.a_second_model_takes_over();
        self.nobody_else_gets_in();
        self.secrets_are_shown_nowhere();
    }

    fn each_call_has_the_providers_name_key_and_path(&self) {
        let name = self.of.name;
        let answer = post(&self.envoy, CHAT, &[DEMO], &chat("fast", "Hello"));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(answer.text().contains("You said: Hello"), "{name}: {}", answer.text());
        let request = only_request(&self.server);
        assert_eq!((&*request.path, &*request.authority), (self.of.path, self.of.host), "{name}");
        assert_eq!(request.query.as_deref(), self.of.query, "{name}");
        assert!(request.header(self.of.header).unwrap().starts_with(self.of.value), "{name}");
        assert_eq!(request.version, hyper::Version::HTTP_2, "{name}");
        assert_eq!(self.front.greetings(), [(self.of.host.into(), "h2".into())], "{name}");

        let message = json!({"model": "fast", "max_tokens": 9,
            "messages": [{"role": "user", "content": "Hello"}]});
        let answer = post(&self.envoy, "/v1/messages", &[("x-api-key", "demo-key")], &message);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.json().unwrap()["type"], "message", "{name}: {}", answer.text());
        let request = self.server.requests().pop().unwrap();
        assert_eq!(request.path, self.of.path, "{name}");

        let answer = post(&self.envoy, CHAT, &[DEMO], &streamed(chat("fast", "Hello")));
        let whole = answer.status == 200 && answer.text().ends_with("data: [DONE]\n\n");
        assert!(whole, "{name}: {}", answer.text());
        self.assert_nothing_else_leaves_the_gateway();
    }

    fn a_second_model_takes_over(&self) {
        self.server.clear();
        let failing = [DEMO, ("x-sim", "status=503")];
        let answer = post(&self.envoy, CHAT, &failing, &chat("fast", "Hello"));
        assert_eq!(answer.status, 503, "{}: {}", self.of.name, answer.text());
        let requests = self.server.requests();
        assert_eq!(requests.len(), 2, "{}: {requests:#?}", self.of.name);
        for (request, model) in requests.iter().zip(self.of.models) {
            let said = [request.path.as_bytes(), &request.body].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            let named = said.split(['/', ':', '"']).any(|part| part == model);
            assert!(named, "{}: {said} without {model}", self.of.name);
            assert!(request.header(self.of.header).unwrap().starts_with(self.of.value));
        }
        self.assert_nothing_else_leaves_the_gateway();
    }

    /// Without a key of the gateway's, or with a call that names no model.
    fn nobody_else_gets_in(&self) {
        self.server.clear();
        let before = self.server.total();
        let claim = ("x-llm-cluster", self.of.name);
        let answer = post(&self.envoy, CHAT, &[claim, ("api-key", "x")], &chat("fast", "Hello"));
        assert_eq!(answer.status, 401, "{}: {}", self.of.name, answer.text());
        let paths = [("/v1/files", 404), ("/v1/images/generations", 400), ("/openai/files", 404)];
        for (path, status) in paths.into_iter().chain([("/", 404)]) {
            let url = self.envoy.url("gateway").unwrap() + path;
            let headers = [DEMO, claim, ("content-type", "application/json")];
            let answer = http::post(&url, &headers, b"{}").unwrap();
            assert_eq!(answer.status, status, "{}{path}: {}", self.of.name, answer.text());
        }
        assert_eq!(self.server.total(), before, "{}", self.of.name);
    }

    fn secrets_are_shown_nowhere(&self) {
        let admin = self.envoy.admin();
        let mut said = vec![self.envoy.log()];
        for path in ["/config_dump?include_eds", "/stats", "/clusters?format=json"] {
            said.push(admin.get(path).unwrap().text());
        }
        for text in said {
            for secret in [KEY, SECRET, "demo-key"] {
                assert!(!text.contains(secret), "{}: {secret} in {text}", self.of.name);
            }
        }
    }

    /// Neither keys of callers nor headers between the roles, and no secret that is only to sign.
    fn assert_nothing_else_leaves_the_gateway(&self) {
        for request in self.server.requests() {
            for (name, value) in &request.headers {
                let value = String::from_utf8_lossy(value);
                assert!(!value.contains("demo-key") && !value.contains(SECRET), "{name}: {value}");
                assert!(!name.starts_with("x-llm-"), "{name}: {value}");
            }
        }
    }
}

#[test]
fn aws_credentials_may_be_in_a_file_and_change_there() {
    let prepared = Prepared::new(&RECIPES[3]);
    let file = prepared.dir.join("aws");
    let write = |token: &str| {
        let secret = format!("aws_secret_access_key = {SECRET}\naws_session_token = {token}\n");
        replace_file(&file, &format!("[default]\naws_access_key_id = {KEY}\n{secret}"));
    };
    write("first-token");
    let mut bootstrap = prepared.bootstrap.clone();
    let filters = "/static_resources/clusters/0/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
    let signer = &mut bootstrap.0.pointer_mut(filters).unwrap()[1];
    // As the recipe's comment has it.
    let comment = text("bedrock.yaml");
    let comment = comment.lines().map_while(|line| line.strip_prefix('#'));
    let lines = comment.skip_while(|line| !line.trim().starts_with("credential_provider:"));
    let lines = lines.take_while(|line| line.starts_with("          "));
    let yaml = lines.collect::<Vec<_>>().join("\n");
    let yaml = yaml.replace("envoy/keys", &prepared.dir.display().to_string());
    let provider: Value = serde_norway::from_str(&yaml).unwrap();
    signer["typed_config"]["credential_provider"] = provider["credential_provider"].clone();
    let envoy = Launch::new(bootstrap).env(NO_METADATA.0, NO_METADATA.1).start().unwrap();

    let ask = || {
        post(&envoy, CHAT, &[DEMO], &chat("fast", "Hello"));
        prepared.server.requests().pop().unwrap()
    };
    assert_signed(&ask(), Some("first-token"));
    write("second-token");
    wait_for("the new credentials", Duration::from_secs(20), || {
        let request = ask();
        Ok((request.header("x-amz-security-token") == Some("second-token")).then_some(request))
    })
    .map(|request| assert_signed(&request, Some("second-token")))
    .unwrap();
}

/// As AWS's own library signs it.
fn assert_signed(request: &Recorded, token: Option<&str>) {
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let authorization = header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap();
        rest.split(',').next().unwrap().to_owned()
    };
    let signed = part("SignedHeaders");
    for needed in ["host", "x-amz-content-sha256", "x-amz-date"] {
        assert!(signed.split(';').any(|name| name == needed), "{signed}");
    }
    assert_eq!(signed.contains("x-amz-security-token"), token.is_some(), "{signed}");
    assert_eq!(request.header("x-amz-security-token"), token);
    let headers: serde_json::Map<_, _> = signed
        .split(';')
        .filter(|name| *name != "host")
        .map(|name| (name.to_owned(), header(name).into()))
        .collect();
    let told = json!({
        "method": request.method, "host": request.authority, "path": request.path,
        "headers": headers, "body": String::from_utf8(request.body.to_vec()).unwrap(),
        "key": KEY, "secret": SECRET, "service": "bedrock", "region": "us-east-1",
    });
    let mut python = sdk::python().unwrap();
    python.args(["-c", include_str!("sigv4.py"), &told.to_string()]);
    let output = shell::output(python).unwrap();
    assert_eq!(output.trim(), part("Signature"), "{request:#?}");
}

/// A recipe on free ports, and a server that stands for the provider.
struct Prepared {
    bootstrap: Bootstrap,
    server: ModelServer,
    front: Front,
    dir: PathBuf,
}

struct Running {
    of: &'static Recipe,
    envoy: Envoy,
    server: ModelServer,
    front: Front,
}

impl Prepared {
    fn new(of: &Recipe) -> Self {
        let options = Options { key: Some(KEY.into()), ..Options::default() };
        let server = ModelServer::start(options).unwrap();
        let authority = Authority::new();
        let front = authority.front(of.host, server.address());
        let dir = fresh_dir();
        replace_file(&dir.join(format!("{}.yaml", of.name)), &key_file(of.name, KEY));
        let authority = authority.write(&dir).display().to_string();
        let text = text(&format!("{}.yaml", of.name))
            .replace("envoy/keys/", &format!("{}/", dir.display()))
            .replace("/etc/ssl/certs/ca-certificates.crt", &authority);
        let bootstrap = recipe(&text).endpoint(of.name, front.address).unwrap();
        // What tells the model server to fail.
        let forward = |role: &mut Value| role["forward_headers"] = json!(["x-sim"]);
        let bootstrap = bootstrap.configure("provider", forward).unwrap();
        Self { bootstrap, server, front, dir }
    }
}

impl Running {
    fn start(of: &'static Recipe) -> Self {
        let Prepared { bootstrap, server, front, .. } = Prepared::new(of);
        let launch = Launch::new(bootstrap).env(NO_METADATA.0, NO_METADATA.1);
        let launch = launch.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        Self { of, envoy: launch.start().unwrap(), server, front }
    }
}

/// Nobody asks the network what instance this is.
const NO_METADATA: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");
