//! `providers.yaml`: TLS, credentials and failover, in front of two servers that stand for OpenAI and
//! Anthropic and take only their own keys.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::envoy::{Bootstrap, Envoy, Launch};
use harness::model_server::{ModelServer, Options, Recorded};
use harness::wire::Request;
use harness::{http, wait_for};
use serde_json::{Value, json};

use super::tls::{Authority, Front};
use super::{CHAT, chat, fresh_dir, key_file, post, recipe, replace_file, text};

pub(super) const OPENAI_KEY: &str = "sk-secret-of-openai";
pub(super) const ANTHROPIC_KEY: &str = "sk-secret-of-anthropic";
/// The key of the consumer in the recipe.
const DEMO_KEY: &str = "demo-key";
pub(super) const DEMO: (&str, &str) = ("authorization", "Bearer demo-key");

#[test]
fn each_provider_gets_its_own_name_key_and_path_over_tls() {
    let setup = Setup::new();
    let envoy = setup.start(|_| ());

    let answer = post(&envoy, CHAT, &[DEMO], &chat("gpt-4o", "Hello"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = only_request(&setup.openai);
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {OPENAI_KEY}")));
    assert_eq!(request.authority, "api.openai.com");
    assert_eq!(request.version, hyper::Version::HTTP_2);
    assert_eq!(setup.openai_front.greetings(), [("api.openai.com".into(), "h2".into())]);

    let message = json!({"model": "claude-haiku-4-5", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello"}]});
    let answer = post(&envoy, "/v1/messages", &[("x-api-key", DEMO_KEY)], &message);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = only_request(&setup.anthropic);
    assert_eq!((&*request.path, &*request.authority), ("/v1/messages", "api.anthropic.com"));
    assert_eq!(request.header("x-api-key"), Some(ANTHROPIC_KEY));
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(setup.anthropic_front.greetings(), [("api.anthropic.com".into(), "h2".into())]);

    setup.assert_keys_stay_apart();
}

#[test]
fn failover_changes_the_provider_and_its_credentials() {
    for first in ["openai", "anthropic"] {
        for stream in [false, true] {
            let setup = Setup::failing(first, "status=503");
            let envoy = setup.start(|gateway| begin_with(first, gateway));
            let mut request = chat("fast", "Hello");
            request["stream"] = json!(stream);
            let answer = post(&envoy, CHAT, &[DEMO], &request);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains("You said: Hello") || stream, "{}", answer.text());
            let tried = (only_request(&setup.openai).status, only_request(&setup.anthropic).status);
            let (failed, answered) = (Some(503), Some(200));
            let expected = if first == "openai" { (failed, answered) } else { (answered, failed) };
            assert_eq!(tried, expected);
            // Each in its own words, whichever came first.
            assert_eq!(only_request(&setup.openai).path, CHAT);
            assert_eq!(only_request(&setup.anthropic).path, "/v1/messages");
            setup.assert_keys_stay_apart();
        }
    }
}

#[test]
fn a_refused_key_fails_over_too() {
    let setup = Setup::new();
    setup.write_key("openai", "revoked");
    let envoy = setup.start(|_| ());
    let answer = post(&envoy, CHAT, &[DEMO], &chat("fast", "Hello"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(only_request(&setup.openai).status, Some(401));
    setup.assert_keys_stay_apart();
    let counted = || {
        let refused = "wasmcustom.llm_provider_auth_failures_total.provider=openai";
        envoy.admin().stat(refused).unwrap()
    };
    assert_eq!(counted(), 1, "although no caller noticed");

    let answer = post(&envoy, CHAT, &[DEMO], &chat("gpt-4o", "Hello"));
    assert_eq!(answer.status, 502, "the caller's own key is not to blame: {}", answer.text());
    assert_eq!(counted(), 2);
}

#[test]
fn a_key_is_rotated_by_its_file() {
    let setup = Setup::new();
    let envoy = setup.start(|_| ());
    let ask = || post(&envoy, CHAT, &[DEMO], &chat("gpt-4o", "Hello")).status;
    assert_eq!(ask(), 200);
    setup.write_key("openai", "sk-next");
    wait_for("the new key", Duration::from_secs(10), || {
        ask();
        let last = setup.openai.requests().pop().unwrap();
        Ok((last.header("authorization") == Some("Bearer sk-next")).then_some(()))
    })
    .unwrap();
    setup.write_key("openai", OPENAI_KEY);
    wait_for("the old key", Duration::from_secs(10), || Ok((ask() == 200).then_some(()))).unwrap();
}

#[test]
fn a_server_with_another_certificate_gets_nothing() {
    let setup = Setup::new();
    for (what, front) in [
        ("other authority", Authority::new().front("api.openai.com", setup.openai.address())),
        ("other name", setup.authority.front("api.example.com", setup.openai.address())),
    ] {
        let bootstrap = setup.bootstrap().endpoint("openai", front.address).unwrap();
        let envoy = Launch::new(bootstrap).start().unwrap();
        let answer = post(&envoy, CHAT, &[DEMO], &chat("gpt-4o", "Hello"));
        assert_eq!((answer.status, setup.openai.total()), (503, 0), "{what}: {}", answer.text());
    }
}

#[test]
fn nobody_without_a_key_gets_in_and_what_names_no_model_goes_nowhere() {
    let setup = Setup::new();
    let envoy = setup.start(|_| ());
    for headers in [&[][..], &[("authorization", "Bearer other")]] {
        assert_eq!(post(&envoy, CHAT, headers, &chat("gpt-4o", "Hello")).status, 401);
    }
    // These would be answered with what belongs to the owner of the provider's key.
    for path in ["/v1/files", "/v1/organization/users", "/"] {
        let url = envoy.url("gateway").unwrap() + path;
        let answer = http::post(&url, &[DEMO, ("x-llm-cluster", "openai")], b"").unwrap();
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    assert_eq!(setup.openai.total() + setup.anthropic.total(), 0);
}

#[test]
fn secrets_are_in_no_log_and_in_no_answer_of_the_admin_interface() {
    let setup = Setup::failing("openai", "status=503");
    let mut bootstrap = setup.bootstrap();
    let shipped: Value = serde_norway::from_str(&text("envoy.yaml")).unwrap();
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let access_log = shipped.pointer(manager).unwrap()["access_log"].clone();
    bootstrap.0.pointer_mut(manager).unwrap()["access_log"] = access_log;
    let bootstrap = bootstrap
        .configure("gateway", |gateway| {
            gateway["log"] = json!({"requests": "all"});
        })
        .unwrap();
    let envoy = Launch::new(bootstrap).start().unwrap();
    let secret = "a secret prompt";
    assert_eq!(post(&envoy, CHAT, &[DEMO], &chat("fast", secret)).status, 200);
    assert_eq!(post(&envoy, CHAT, &[DEMO], &chat("no-such-model", secret)).status, 404);
    let entry = envoy.access_log_entry(|entry| entry["attempts"] == "2").unwrap();
    assert_eq!(entry["provider"], "anthropic");

    let admin = envoy.admin();
    let mut said = vec![
        ("log", envoy.log()),
        ("access log", fs::read_to_string(envoy.access_log_path()).unwrap()),
    ];
    for path in ["/config_dump?include_eds", "/stats", "/clusters?format=json", "/listeners"] {
        said.push((path, admin.get(path).unwrap().text()));
    }
    for (place, text) in &said {
        assert!(text.len() > 10, "{place}");
        for secret in [OPENAI_KEY, ANTHROPIC_KEY, DEMO_KEY, secret] {
            assert!(!text.contains(secret), "{place} shows {secret:?}");
        }
    }
    let dump = &said[2].1;
    assert!(dump.contains("openai.yaml"), "the configuration is there: {dump}");
}

#[test]
fn many_requests_fail_over_at_the_same_time() {
    // Envoy's own default would let three of them, and answer the others with the failure.
    let setup = Setup::failing("openai", "status=503; delay=200");
    let envoy = setup.start(|_| ());
    std::thread::scope(|scope| {
        let ask = || post(&envoy, CHAT, &[DEMO], &chat("fast", "Hello")).status;
        let asked: Vec<_> = (0..32).map(|_| scope.spawn(ask)).collect();
        let answers: Vec<_> = asked.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(answers, [200; 32]);
    });
}

#[test]
fn an_address_that_keeps_failing_is_left_alone() {
    let setup = Setup::new();
    let options = Options { controls: "status=500".into(), ..Options::default() };
    let broken = ModelServer::start(options).unwrap();
    let front = setup.authority.front("api.openai.com", broken.address());
    let mut bootstrap = setup.bootstrap();
    let clusters = bootstrap.0.pointer_mut("/static_resources/clusters").unwrap();
    let endpoints = &mut clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"];
    let mut second = endpoints[0].clone();
    second["endpoint"]["address"]["socket_address"]["port_value"] = front.address.port().into();
    endpoints.as_array_mut().unwrap().push(second);
    let envoy = Launch::new(bootstrap).start().unwrap();

    let ask = || post(&envoy, CHAT, &[DEMO], &chat("gpt-4o", "Hello")).status;
    wait_for("the broken address to be ejected", Duration::from_secs(20), || {
        ask();
        let ejected = envoy.admin().stat("cluster.openai.outlier_detection.ejections_active")?;
        Ok((ejected == 1).then_some(()))
    })
    .unwrap();
    let answers: Vec<u16> = (0..8).map(|_| ask()).collect();
    assert_eq!(answers, [200; 8]);
}

/// As shipped: after five failures in a row, for ten seconds.
#[test]
fn a_provider_that_keeps_failing_is_tried_last_until_it_is_well_again() {
    let setup = Setup::failing("openai", "fail-first=5:500");
    let envoy = setup.start(|_| ());
    let ask = || {
        let answer = post(&envoy, CHAT, &[DEMO], &chat("fast", "Hello"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        setup.openai.total()
    };
    let asked: Vec<usize> = (0..5).map(|_| ask()).collect();
    assert_eq!(asked, [1, 2, 3, 4, 5], "each is made up for by the other");
    let rested = Instant::now();
    let meanwhile: Vec<usize> = (0..8).map(|_| ask()).collect();
    // Unless this machine had no time for these.
    if rested.elapsed() < Duration::from_secs(8) {
        assert_eq!(meanwhile, [5; 8]);
    }
    let counted = |name: &str| envoy.admin().stat(&format!("wasmcustom.{name}")).unwrap();
    let failovers = "llm_failovers_total.from=openai;to=anthropic";
    assert_eq!((counted(failovers), counted("llm_provider_rests_total.provider=openai")), (5, 1));
    wait_for("openai to be asked again", Duration::from_secs(60), || Ok((ask() > 5).then_some(())))
        .unwrap();
    let anthropic = setup.anthropic.total();
    ask();
    assert_eq!((setup.anthropic.total(), counted(failovers)), (anthropic, 5));
}

#[test]
fn what_a_full_provider_cannot_take_goes_to_the_next_one() {
    let setup = Setup::new();
    let mut bootstrap = setup.bootstrap();
    let clusters = bootstrap.0.pointer_mut("/static_resources/clusters").unwrap();
    clusters[0]["circuit_breakers"]["thresholds"][0]["max_requests"] = json!(1);
    let envoy = Launch::new(bootstrap).start().unwrap();
    let address = envoy.address("gateway").unwrap();
    let slow = Request::post(CHAT, &chat("gpt-4o", "Hello"))
        .header("x-sim", "stall=headers")
        .header(DEMO.0, DEMO.1)
        .open(address)
        .unwrap();
    wait_for("the slow request", Duration::from_secs(10), || {
        Ok((setup.openai.total() == 1).then_some(()))
    })
    .unwrap();
    // Envoy does not retry this one.
    let full = post(&envoy, CHAT, &[DEMO], &chat("fast", "Hello"));
    assert_eq!(full.status, 503, "{}", full.text());
    assert_eq!(full.header("retry-after"), Some("1"));
    for _ in 0..4 {
        let answer = post(&envoy, CHAT, &[DEMO], &chat("fast", "Hello"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!((setup.openai.total(), setup.anthropic.total()), (1, 4));
    drop(slow);
}

/// Two providers behind TLS, and the files that the recipe reads.
pub(super) struct Setup {
    pub(super) authority: Authority,
    pub(super) openai: ModelServer,
    pub(super) anthropic: ModelServer,
    pub(super) openai_front: Front,
    pub(super) anthropic_front: Front,
    pub(super) dir: PathBuf,
}

impl Setup {
    fn new() -> Self {
        Self::failing("", "")
    }

    /// One of the providers does as `controls` tell.
    pub(super) fn failing(provider: &str, controls: &str) -> Self {
        let server = |name: &str, key: &str| {
            let controls = if name == provider { controls.into() } else { String::new() };
            let options = Options { key: Some(key.into()), controls, ..Options::default() };
            ModelServer::start(options).unwrap()
        };
        let openai = server("openai", OPENAI_KEY);
        let anthropic = server("anthropic", ANTHROPIC_KEY);
        let authority = Authority::new();
        let setup = Self {
            openai_front: authority.front("api.openai.com", openai.address()),
            anthropic_front: authority.front("api.anthropic.com", anthropic.address()),
            dir: fresh_dir(),
            authority,
            openai,
            anthropic,
        };
        setup.write_key("openai", OPENAI_KEY);
        setup.write_key("anthropic", ANTHROPIC_KEY);
        setup
    }

    fn write_key(&self, provider: &str, key: &str) {
        replace_file(&self.dir.join(format!("{provider}.yaml")), &key_file(provider, key));
    }

    /// The recipe with only addresses and file names changed.
    fn bootstrap(&self) -> Bootstrap {
        let authority = self.authority.write(&self.dir);
        let text = text("providers.yaml")
            .replace("envoy/keys/", &format!("{}/", self.dir.display()))
            .replace("/etc/ssl/certs/ca-certificates.crt", &authority.display().to_string());
        recipe(&text)
            .endpoint("openai", self.openai_front.address)
            .and_then(|recipe| recipe.endpoint("anthropic", self.anthropic_front.address))
            .unwrap()
    }

    fn start(&self, edit: impl FnMut(&mut Value)) -> Envoy {
        Launch::new(self.bootstrap().configure("gateway", edit).unwrap()).start().unwrap()
    }

    /// Also nothing of the gateway's own leaves it.
    pub(super) fn assert_keys_stay_apart(&self) {
        let requests = |server: &ModelServer| server.requests();
        for (requests, others) in [
            (requests(&self.openai), [ANTHROPIC_KEY, DEMO_KEY]),
            (requests(&self.anthropic), [OPENAI_KEY, DEMO_KEY]),
        ] {
            for request in requests {
                for (name, value) in &request.headers {
                    let value = String::from_utf8_lossy(value);
                    assert!(!others.iter().any(|key| value.contains(key)), "{name}: {value}");
                    assert!(!name.starts_with("x-llm-"), "{name}: {value}");
                }
            }
        }
    }
}

/// Puts this provider first in the alias of the recipe.
fn begin_with(provider: &str, gateway: &mut Value) {
    let entries = gateway["models"]["fast"].as_array_mut().unwrap();
    for entry in entries {
        entry["priority"] = u32::from(entry["provider"] != provider).into();
    }
}

pub(super) fn only_request(server: &ModelServer) -> Recorded {
    let mut requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    requests.remove(0)
}
