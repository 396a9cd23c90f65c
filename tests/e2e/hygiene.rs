//! Who comes in, and what of a request and of an answer goes on, as providers and callers see it.

use harness::envoy::{Bootstrap, Envoy, Launch};
use harness::model_server::ModelServer;
use harness::wire::{Answer, Request};
use serde_json::{Value, json};

use crate::support::{CHAT, MODEL, ROUTE, at, chat, cluster, model_server, post_http2, shipped};

const KEY: (&str, &str) = ("authorization", "Bearer demo-key");
/// What the provider role puts in for `plain`, where all goes that names no model.
const OPERATORS: &str = "Bearer key-of-plain";

/// The shipped configuration in front of two providers with keys: `plain` speaks OpenAI's protocol,
/// `claude` Anthropic's.
struct Setup {
    envoy: Envoy,
    server: ModelServer,
}

impl Setup {
    fn new(edit: impl Fn(&mut Value), adapt: impl Fn(&mut Bootstrap)) -> Self {
        let server = model_server();
        let mut bootstrap = shipped(server.address());
        let plain = json!({"provider": "plain", "auth": {"bearer_env": "PROVIDER_KEY"}});
        let auth = json!({"header": "x-api-key", "env": "PROVIDER_KEY"});
        let claude = json!({"provider": "claude", "api": "anthropic", "auth": auth});
        for (name, role) in [("plain", plain), ("claude", claude)] {
            bootstrap = cluster(bootstrap, name, server.address(), Some(role));
        }
        let specifier = at(&mut bootstrap, ROUTE)["inline_cluster_specifier_plugin"]["extension"]
            ["typed_config"]["cluster_matcher"]
            .as_object_mut()
            .unwrap();
        let matches = specifier["matcher_tree"]["exact_match_map"]["map"]["plain"].clone();
        specifier.insert("on_no_match".to_owned(), matches);
        adapt(&mut bootstrap);
        let bootstrap = bootstrap
            .configure("gateway", |configuration| {
                configuration.as_object_mut().unwrap().remove("unmatched");
                configuration["providers"] =
                    json!({"plain": {"models": [MODEL]}, "claude": {"models": ["other"]}});
                configuration["auth"] = json!({"mode": "required"});
                configuration["consumers"] = json!([{"name": "demo", "models": [MODEL, "other"],
                    "key_sha256": "c48a01f49fd0f2cc404bc3cbbc80e91457a3d41bb429a695243de4c61794155c"}]);
                edit(configuration);
            })
            .unwrap();
        Self { envoy: Launch::new(bootstrap).start().unwrap(), server }
    }

    fn send(&self, request: Request) -> Answer {
        // An answer to HEAD announces a body that does not come.
        let request = request.header("connection", "close");
        request.send(self.envoy.address("gateway").unwrap()).unwrap()
    }
}

/// Methods and paths that are no calls, or calls in another spelling.
const ODD: [(&str, &str); 14] = [
    ("GET", "/v1/files"),
    ("GET", "/v1/responses/x"),
    ("POST", "/v1/batches"),
    ("POST", "/tokenize"),
    ("POST", "/chat/completions"),
    ("POST", "/v2/rerank"),
    ("DELETE", "/api/delete"),
    ("POST", "/api/pull"),
    ("PUT", "/v1/chat/completions"),
    ("HEAD", "/v1/chat/completions"),
    ("HEAD", "/"),
    ("OPTIONS", "/v1/models"),
    ("GET", "/v1/models/x;y/../../files"),
    ("PATCH", "/V1/Files"),
];

#[test]
fn nobody_reaches_a_provider_without_a_key_and_what_is_no_call_reaches_none() {
    let setup = Setup::new(|_| (), |_| ());
    for (method, path) in ODD.into_iter().chain([("POST", "/V1/Chat/Completions;v=1")]) {
        let request = || Request::new(method, path).body(chat("hi").to_string());
        assert_eq!(setup.send(request()).status, 401, "{method} {path}");
        let wrong = request().header("x-api-key", "demo-keys");
        assert_eq!(setup.send(wrong).status, 401, "{method} {path}");
    }
    for (method, path) in ODD {
        let request = Request::new(method, path).header(KEY.0, KEY.1).body("{}");
        let status = setup.send(request).status;
        assert!([404, 405].contains(&status), "{method} {path}: {status}");
    }
    let address = setup.envoy.address("gateway").unwrap();
    for path in ["/V1/chat/completions", "/rerank", "/v1/files"] {
        let body = chat("hi").to_string();
        assert_eq!(post_http2(address, path, &[], body, None).status, 401, "{path}");
    }
    assert_eq!(setup.server.total(), 0);
    let health = setup.send(Request::get("/llm/health"));
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
}

#[test]
fn a_call_reaches_its_provider_in_its_own_spelling_and_without_the_callers_key() {
    let setup = Setup::new(|_| (), |_| ());
    for path in [
        "/v1/Chat/Completions",
        "/v1/chat/completions;v=1",
        "//v1//chat%2Fcompletions/?a=b",
        "/v1/files/%2e%2e/chat/completions",
        "/v1/chat/completions?key=demo-key&a=b",
    ] {
        for kind in ["application/json", "text/plain", "application/json, x"] {
            let request = Request::new("POST", path).header("content-type", kind);
            let request = request.header("api-key", "demo-key").header(KEY.0, KEY.1);
            let answer = setup.send(request.body(chat("hi").to_string()));
            assert_eq!(answer.status, 200, "{path} {kind}: {}", answer.text());
            let seen = setup.server.requests().pop().unwrap();
            assert_eq!(seen.path, CHAT, "{path}");
            assert_eq!(seen.header("authorization"), Some(OPERATORS));
            let told = format!("{:?} {:?}", seen.headers, seen.query);
            assert!(!told.contains("demo-key"), "{path}: {told}");
        }
    }
}

#[test]
fn what_passes_takes_no_key_of_the_gateways_along() {
    let setup = Setup::new(|configuration| configuration["unmatched"] = json!("pass"), |_| ());
    let request = Request::get("/v1/files?key=demo-key").header(KEY.0, KEY.1);
    setup.send(request.header("cookie", "a=b").header("api-key", "demo-key"));
    let seen = setup.server.requests().pop().unwrap();
    assert_eq!((&*seen.path, seen.query.as_deref()), ("/v1/files", None));
    assert_eq!(seen.header("authorization"), Some(OPERATORS));
    for name in ["cookie", "api-key", "x-forwarded-for", "x-envoy-internal"] {
        assert_eq!(seen.headers.iter().find(|(own, _)| own == name), None, "{name}");
    }
    assert_eq!(setup.send(Request::get("/v1/files")).status, 401);
    assert_eq!(setup.server.total(), 1);
}

/// What says who calls and from where, also what Envoy itself adds.
#[test]
fn providers_learn_nothing_of_who_calls() {
    let setup = Setup::new(|_| (), |_| ());
    let personal = [
        ("cookie", "session=1"),
        ("proxy-authorization", "Basic x"),
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-user", "me"),
        ("x-real-ip", "192.0.2.1"),
        ("x-envoy-external-address", "192.0.2.1"),
        ("x-envoy-decorator-operation", "x"),
        ("x-auth-request-email", "me@example.com"),
        ("x-goog-iap-jwt-assertion", "x"),
        ("x-amzn-oidc-data", "x"),
        ("cf-connecting-ip", "192.0.2.1"),
        ("true-client-ip", "192.0.2.1"),
    ];
    let program = [
        ("x-codex-turn-metadata", "{}"),
        ("session-id", "x"),
        ("originator", "codex_exec"),
        ("x-stainless-os", "Linux"),
        ("x-app", "cli"),
        ("anthropic-dangerous-direct-browser-access", "true"),
    ];
    for (model, translated) in [(MODEL, false), ("other", true)] {
        let mut body = chat("hi");
        body["model"] = json!(model);
        let mut request = Request::post(CHAT, &body).header(KEY.0, KEY.1);
        for (name, value) in personal.into_iter().chain(program) {
            request = request.header(name, value);
        }
        let request = request.header("x-sim", "header=set-cookie:a=b; header=location:/x");
        let answer = setup.send(request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = setup.server.requests().pop().unwrap();
        let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        for (name, _) in personal {
            assert!(!names.contains(&name), "{model}: {names:?}");
        }
        for prefix in ["x-envoy-", "x-forwarded-", "x-llm-", "via"] {
            assert!(!names.iter().any(|name| name.starts_with(prefix)), "{model}: {names:?}");
        }
        for (name, _) in program {
            assert_eq!(names.contains(&name), !translated, "{model}: {name}");
        }
        for name in ["set-cookie", "location"] {
            assert_eq!(answer.header(name), None, "{model}: {:?}", answer.headers);
        }
    }
}

#[test]
fn a_providers_redirect_leads_nobody_away() {
    let setup = Setup::new(|_| (), |_| ());
    let request = Request::post(CHAT, &chat("hi")).header(KEY.0, KEY.1);
    let answer = setup.send(request.header("x-sim", "status=307; header=location:/elsewhere"));
    assert_eq!((answer.status, answer.header("location")), (502, None), "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "provider_error");
}

#[test]
fn websockets_are_told_to_go_on_over_http() {
    let upgrades = |bootstrap: &mut Bootstrap| {
        at(bootstrap, MANAGER)["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
    };
    let ask = |setup: &Setup, path: &str, key: bool| {
        let request = Request::new("GET", path).header("connection", "upgrade");
        let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
        let request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let request = if key { request.header(KEY.0, KEY.1) } else { request };
        request.send(setup.envoy.address("gateway").unwrap()).unwrap().status
    };
    // Envoy itself refuses what it is not told to upgrade.
    let setup = Setup::new(|_| (), |_| ());
    assert_eq!(ask(&setup, "/v1/responses", true), 426);
    let setup = Setup::new(|_| (), upgrades);
    assert_eq!(ask(&setup, "/v1/responses", true), 426);
    assert_eq!(ask(&setup, "/v1/responses", false), 401);
    assert_eq!(ask(&setup, "/v1/realtime?model=x", false), 401);
    assert_eq!(ask(&setup, "/v1/realtime?model=x", true), 404);
    assert_eq!(setup.server.total(), 0);
}

/// The listener's connection manager.
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
