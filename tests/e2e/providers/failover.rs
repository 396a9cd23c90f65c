//! Chains of three providers that speak three protocols: which failures go on to the next one, and
//! what the caller sees of it, in every dialect, streamed and not.

mod call;

use std::sync::LazyLock;

use harness::wire::Request;
use serde_json::{Value, json};

use call::{Dialect, calls};

use super::fleet::{Fleet, NOBODY, NOBODYS_MODEL, PROVIDERS};

/// Every provider is once the first.
const CHAINS: [[&str; 3]; 7] = [
    ["anthropic", "gemini", "ollama"],
    ["gemini", "openai", "bedrock"],
    ["bedrock", "cohere", "azure"],
    ["cohere", "bedrock", "openai"],
    ["ollama", "anthropic", "cohere"],
    ["openai", "ollama", "gemini"],
    ["azure", "gemini", "anthropic"],
];

/// Nobody answers at its first provider.
const BEHIND_NOBODY: [&str; 3] = [NOBODY, "cohere", "bedrock"];

#[test]
fn after_503_and_429_the_third_answers() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for call in calls(&chain.join("-"), &[(first, "status=503"), (second, "status=429")]) {
            call.answered_by(third, 3);
            for provider in chain {
                assert_eq!(call.seen_by(provider), 1, "{provider}: {call:?}");
            }
        }
    }
    FLEET.assert_keys_stay_apart();
}

#[test]
fn a_reset_before_the_first_byte_goes_on() {
    for chain in CHAINS {
        let [first, second, _] = chain;
        for call in calls(&chain.join("-"), &[(first, "reset=headers")]) {
            call.answered_by(second, 2);
        }
    }
}

#[test]
fn a_refused_connection_goes_on() {
    let [_, second, third] = BEHIND_NOBODY;
    for call in calls(&BEHIND_NOBODY.join("-"), &[]) {
        call.answered_by(second, 2);
    }
    for call in calls(&BEHIND_NOBODY.join("-"), &[(second, "status=500; body=html")]) {
        call.answered_by(third, 3);
    }
    FLEET.assert_keys_stay_apart();
}

#[test]
fn a_provider_that_does_not_answer_in_time_is_left() {
    for chain in &CHAINS[..2] {
        let [first, second, _] = *chain;
        for call in calls(&format!("{}-in-time", chain.join("-")), &[(first, "stall=headers")]) {
            call.answered_by(second, 2);
        }
    }
}

/// Gemini says of a wrong key that the request is wrong, Bedrock that it is forbidden.
#[test]
fn a_wrong_key_goes_on() {
    for chain in CHAINS {
        let [first, second, _] = chain;
        for call in calls(&chain.join("-"), &[(first, "key=another")]) {
            call.answered_by(second, 2);
            let refused = FLEET.server(first).requests();
            let refused = refused.iter().rfind(|it| is_about(&it.body, &call.text)).unwrap();
            assert!(refused.status.is_some_and(|status| (400..=403).contains(&status)));
        }
    }
    FLEET.assert_keys_stay_apart();
}

#[test]
fn a_stream_that_fails_before_it_says_anything_goes_on() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for (controls, of_second) in
            [("error-event=0", ""), ("end-early=0", "error-event=0"), ("end-early=1", "")]
        {
            // The first event of these says something already.
            if controls == "end-early=1" && matches!(first, "gemini" | "ollama") {
                continue;
            }
            let told = [(first, controls), (second, of_second)];
            for call in calls(&chain.join("-"), &told).into_iter().filter(|call| call.stream) {
                match of_second {
                    "" => call.answered_by(second, 2),
                    _ => call.answered_by(third, 3),
                }
            }
        }
    }
}

#[test]
fn a_stream_that_fails_later_ends_with_an_error_and_nobody_takes_over() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for controls in ["error-event=6", "end-early=6"] {
            let calls = calls(&chain.join("-"), &[(first, controls)]);
            for call in calls.into_iter().filter(|call| call.stream) {
                assert_eq!(call.answer.status, 200, "{call:?}");
                let text = call.said();
                assert!(text.starts_with("You said:") && !text.ends_with("end"), "{call:?}");
                assert!(call.error().is_some(), "{call:?}");
                assert!(!call.ended_well(), "{call:?}");
                assert_eq!(call.logged()["attempts"], "1");
                assert_eq!([second, third].map(|provider| call.seen_by(provider)), [0, 0]);
            }
        }
    }
}

#[test]
fn an_exhausted_chain_tells_what_the_last_provider_said() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for (controls, status, kinds, words) in [
            (
                "status=429",
                429,
                ["requests", "rate_limit_error", "RESOURCE_EXHAUSTED"],
                "Rate limit reached",
            ),
            (
                "status=400",
                400,
                ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"],
                "as it asked",
            ),
            ("status=503", 503, ["server_error", "overloaded_error", "UNAVAILABLE"], ""),
        ] {
            let told = [(first, "status=503"), (second, "status=500"), (third, controls)];
            for call in calls(&chain.join("-"), &told) {
                assert_eq!(call.answer.status, status, "{call:?}");
                let error = call.error().unwrap_or_else(|| panic!("{call:?}"));
                let kind = match call.dialect {
                    // What Azure's own gateway says has no type, which its clients know.
                    Dialect::OpenAi if third == "azure" && status == 429 => None,
                    Dialect::OpenAi => Some((&error["type"], kinds[0])),
                    Dialect::Anthropic => Some((&error["type"], kinds[1])),
                    Dialect::Gemini => Some((&error["status"], kinds[2])),
                    Dialect::Ollama => None,
                };
                assert!(kind.is_none_or(|(found, expected)| found == expected), "{call:?}");
                let message = error.as_str().or(error["message"].as_str()).unwrap();
                assert!(message.contains(words), "{call:?}");
                assert_eq!(call.logged()["attempts"], "3");
                assert_eq!(chain.map(|provider| call.seen_by(provider)), [1, 1, 1]);
            }
        }
    }
}

#[test]
fn a_mistake_of_the_callers_goes_no_further() {
    for chain in CHAINS {
        let [first, second, third] = chain;
        for call in calls(&chain.join("-"), &[(first, "status=400")]) {
            assert_eq!(call.answer.status, 400, "{call:?}");
            assert_eq!([second, third].map(|provider| call.seen_by(provider)), [0, 0]);
        }
    }
    // What the first provider's protocol cannot say is one, too.
    let parts = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    let body =
        json!({"model": "bedrock-cohere-azure", "messages": [{"role": "user", "content": parts}]});
    let answer = Request::post("/v1/chat/completions", &body).send(address()).unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "messages[0].content[0].image_url.url");
}

fn is_about(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

fn address() -> std::net::SocketAddr {
    FLEET.envoy.address("gateway").unwrap()
}

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    Fleet::start(|name, value| {
        if name != "gateway" {
            return;
        }
        value["attempts"] = json!({"retry_on": ["401", "402", "403"]});
        value["models"] = json!({});
        for chain in CHAINS.iter().chain([&BEHIND_NOBODY]) {
            let model = |name: &str| match PROVIDERS.iter().find(|it| it.name == name) {
                Some(provider) => provider.chat,
                None => NOBODYS_MODEL,
            };
            let entries = chain.iter().enumerate().map(|(priority, name)| {
                json!({"provider": name, "model": model(name), "priority": priority})
            });
            let mut entries: Vec<Value> = entries.collect();
            value["models"][chain.join("-")] = json!(entries);
            entries[0]["attempts"] = json!({"per_try_timeout": "3s"});
            value["models"][format!("{}-in-time", chain.join("-"))] = json!(entries);
        }
    })
});
