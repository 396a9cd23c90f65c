//! `jwt.yaml`: who calls is told by Envoy's own filters for tokens and keys, and by nobody else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use harness::envoy::{Envoy, Launch};
use harness::http::Answer;
use harness::model_server::ModelServer;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::tls::Authority;
use super::{CHAT, chat, fresh_dir, model_server, post, recipe, text};

const MODEL: &str = "llama3.2:1b";
const OTHER: &str = "qwen3:4b";

#[test]
fn a_token_names_the_consumer_and_a_header_of_the_clients_does_not() {
    let setup = Setup::with_tokens();
    let (web, batch) = (setup.token("web-app"), setup.token("batch"));
    let forged = ("x-consumer", "web-app");

    for headers in
        [vec![("authorization", format!("Bearer {web}"))], vec![("x-api-key", web.clone())]]
    {
        assert_eq!(setup.ask(OTHER, &headers, &[]).status, 200, "{headers:?}");
    }
    let batch = [("authorization", format!("Bearer {batch}"))];
    assert_eq!(setup.ask(MODEL, &batch, &[]).status, 200);
    assert_eq!(setup.ask(OTHER, &batch, &[]).status, 403, "its list has another model only");
    assert_eq!(setup.ask(OTHER, &batch, &[forged]).status, 403, "the token counts");
    assert_eq!(setup.ask(MODEL, &batch, &[forged, forged]).status, 200);

    // A good token that names nobody, and one that names somebody who is not known.
    let nobody = [("authorization", format!("Bearer {}", setup.token_of(&json!({}))))];
    for headers in [&[][..], &[forged]] {
        assert_refused(&setup.ask(MODEL, &nobody, headers));
    }
    let stranger = [("authorization", format!("Bearer {}", setup.token("stranger")))];
    assert_refused(&setup.ask(MODEL, &stranger, &[forged]));

    let counted = |consumer: &str| {
        let tokens = format!(r#"wasmcustom.llm_consumer_tokens_total.consumer={consumer}"#);
        setup.envoy.admin().stat(&tokens).unwrap()
    };
    assert!(counted("web-app") > 0 && counted("batch") > 0);
    setup.assert_nobody_is_named(&["web-app", "batch", &web]);
}

#[test]
fn what_is_no_good_token_is_refused_in_words_that_the_sdks_read() {
    let setup = Setup::with_tokens();
    let now = now();
    let wrong = [
        None,
        Some("no token".to_owned()),
        Some(setup.token_of(&json!({"sub": "web-app", "exp": now - 3600}))),
        Some(setup.token_of(&json!({"sub": "web-app", "iss": "https://other.example.com"}))),
        Some(setup.token_of(&json!({"sub": "web-app", "aud": "other"}))),
        Some(Issuer::new(1).token(&json!({"sub": "web-app"}))),
    ];
    for token in wrong {
        let headers: Vec<_> =
            token.iter().map(|token| ("authorization", format!("Bearer {token}"))).collect();
        let answer = setup.ask(MODEL, &headers, &[("x-consumer", "web-app")]);
        assert_refused(&answer);
        let body = answer.json().unwrap();
        let keys: Vec<_> = body["error"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["code", "message", "param", "type"], "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("Jwt"), "{body}");
    }
    let message = json!({"model": MODEL, "max_tokens": 9, "messages": []});
    let answer = post(&setup.envoy, "/v1/messages", &[], &message);
    let body = answer.json().unwrap();
    assert_eq!((answer.status, &body["type"]), (401, &json!("error")), "{body}");
    assert_eq!(body["error"]["type"], "authentication_error");
    assert!(body["request_id"].is_string(), "{body}");
    assert_eq!(setup.model.total(), 0);
}

/// As the recipe's comment has it.
#[test]
fn a_key_that_envoy_looks_up_names_the_consumer_too() {
    let setup = Setup::with_keys();
    for header in [("authorization", "Bearer KEY"), ("x-api-key", "KEY")] {
        assert_eq!(setup.ask(MODEL, &[], &[header]).status, 200, "{header:?}");
        let forged = [header, ("x-consumer", "stranger")];
        assert_eq!(setup.ask(MODEL, &[], &forged).status, 200, "{header:?}");
    }
    let forged = ("x-consumer", "web-app");
    assert_refused(&setup.ask(MODEL, &[], &[forged]));
    let wrong = setup.ask(MODEL, &[], &[forged, ("x-api-key", "other")]);
    assert_refused(&wrong);
    setup.assert_nobody_is_named(&["web-app", "KEY"]);
}

fn assert_refused(answer: &Answer) {
    let body = answer.json().unwrap_or_default();
    assert_eq!(body["error"]["code"], "invalid_api_key", "{}", answer.text());
    // A token for somebody else is a good one, and of no use here.
    let expected = if answer.text().contains("Audiences") { 403 } else { 401 };
    assert_eq!(answer.status, expected, "{body}");
}

struct Setup {
    envoy: Envoy,
    model: ModelServer,
    issuer: Issuer,
}

impl Setup {
    fn with_tokens() -> Self {
        Self::start(|_| ())
    }

    fn with_keys() -> Self {
        let recipe = text("jwt.yaml");
        let comment = recipe.lines().map_while(|line| line.strip_prefix('#'));
        let lines = comment.skip_while(|line| !line.trim().starts_with("name: api_key_auth"));
        let yaml = lines.collect::<Vec<_>>().join("\n");
        let filter: Value = serde_norway::from_str(&yaml).unwrap();
        Self::start(|filters| filters[0] = filter.clone())
    }

    fn start(edit: impl Fn(&mut Value)) -> Self {
        let (model, issuer, authority, dir) =
            (model_server(), Issuer::new(0), Authority::new(), fresh_dir());
        let front = authority.front("id.example.com", issuer.serve());
        let authority = authority.write(&dir).display().to_string();
        let text = text("jwt.yaml").replace("/etc/ssl/certs/ca-certificates.crt", &authority);
        let mut bootstrap = recipe(&text)
            .endpoint("ollama", model.address())
            .and_then(|recipe| recipe.endpoint("id", front.address))
            .unwrap();
        let filters =
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
        edit(bootstrap.0.pointer_mut(filters).unwrap());
        // It returns when the keys have come, which is all that the provider of names is for here.
        let envoy = Launch::new(bootstrap).start().unwrap();
        Self { envoy, model, issuer }
    }

    fn ask(&self, model: &str, own: &[(&str, String)], others: &[(&str, &str)]) -> Answer {
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = own.chain(others.iter().copied()).collect();
        post(&self.envoy, CHAT, &headers, &chat(model, "Hello"))
    }

    fn token(&self, name: &str) -> String {
        self.token_of(&json!({"sub": name}))
    }

    fn token_of(&self, claims: &Value) -> String {
        self.issuer.token(claims)
    }

    /// To the model.
    fn assert_nobody_is_named(&self, names: &[&str]) {
        let requests = self.model.requests();
        assert!(!requests.is_empty());
        for (name, value) in requests.iter().flat_map(|request| &request.headers) {
            let value = String::from_utf8_lossy(value);
            assert!(!names.iter().any(|named| value.contains(named)), "{name}: {value}");
        }
    }
}

/// Who makes tokens.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    /// Over what every good token says.
    fn token(&self, claims: &Value) -> String {
        let mut all =
            json!({"iss": "https://id.example.com", "aud": "llm-gateway", "exp": now() + 3600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let part = |value: &Value| BASE64.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "one"})), part(&all));
        format!("{text}.{}", BASE64.encode(self.0.sign(text.as_bytes())))
    }

    /// A server that has its public key, whatever is asked.
    fn serve(&self) -> SocketAddr {
        let x = BASE64.encode(self.0.public_key());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "one", "x": x});
        let body = json!({"keys": [key]}).to_string();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let body = body.clone();
                thread::spawn(move || {
                    let mut asked = [0; 4096];
                    while let Ok(1..) = stream.read(&mut asked) {
                        let length = body.len();
                        let _ = write!(
                            stream,
                            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
                        );
                    }
                });
            }
        });
        address
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
