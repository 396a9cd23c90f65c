//! Streams: nothing is held back, nothing is changed, every token is counted, however they end.

use std::sync::LazyLock;
use std::time::Duration;

use harness::model_server::Outcome;
use harness::wait_for;
use harness::wire::{Answer, Request};
use serde_json::{Value, json};

use crate::support::{CHAT, Gateway, MODEL, streamed};

/// One for all tests that do not count its metrics.
static SHIPPED: LazyLock<Gateway> = LazyLock::new(Gateway::start);

const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const OLLAMA_CHAT: &str = "/api/chat";
const OLLAMA_GENERATE: &str = "/api/generate";
const EMBEDDINGS: &str = "/v1/embeddings";
const OLLAMA_EMBED: &str = "/api/embed";

/// Every call that can stream.
const STREAMING: [&str; 6] = [CHAT, COMPLETIONS, RESPONSES, MESSAGES, OLLAMA_CHAT, OLLAMA_GENERATE];

/// A call of one protocol, not streamed.
fn call(path: &str, text: &str) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    match path {
        CHAT => json!({"model": MODEL, "messages": messages}),
        MESSAGES => json!({"model": MODEL, "messages": messages, "max_tokens": 1000}),
        OLLAMA_CHAT => json!({"model": MODEL, "messages": messages, "stream": false}),
        COMPLETIONS => json!({"model": MODEL, "prompt": text}),
        OLLAMA_GENERATE => json!({"model": MODEL, "prompt": text, "stream": false}),
        _ => json!({"model": MODEL, "input": text}),
    }
}

/// The server stops in the middle of an event and says no more: what came before that is here.
#[test]
fn no_event_waits_for_the_next_one() {
    let gateway = &*SHIPPED;
    for path in STREAMING {
        let request = Request::post(path, &streamed(call(path, "a b c d e f g h")))
            .header("x-sim", "stall=midtoken")
            .patience(Duration::from_millis(500));
        let direct = request.send(gateway.model.address()).unwrap();
        let end = if path.starts_with("/api") { "\n" } else { "\n\n" };
        let whole = &direct.text()[..direct.text().rfind(end).unwrap()];
        assert!(events(path, whole) > 3 && events(path, direct.text()) > events(path, whole));

        let mut exchange = request.patience(Duration::from_secs(20)).open(gateway.address).unwrap();
        exchange.wait_until(|answer| events(path, answer) >= events(path, whole)).unwrap();
        assert_eq!(gateway.model.requests().pop().unwrap().outcome, Outcome::Pending);
        exchange.abort();
    }
}

fn events(path: &str, text: &str) -> usize {
    text.matches(if path.starts_with("/api") { "{\"created_at\"" } else { "data: {" }).count()
}

/// Wherever the provider cuts its bytes, the client gets what it would have got from it.
#[test]
fn the_client_gets_the_providers_bytes() {
    let gateway = &*SHIPPED;
    for path in STREAMING {
        let request = streamed(call(path, "one or two words"));
        let mut asking = request.clone();
        asking["stream_options"] = json!({"include_usage": true});
        for request in [&request, &asking] {
            for controls in [
                "",
                "split=1; unicode=1",
                "split=19; gap=1; unicode=1; crlf=crlf",
                "split=2; crlf=cr",
                "bom=1",
                "cached=2",
                // The comment before the usage that nobody asked for stays.
                if request == &asking { "split=3; comments=1" } else { "" },
            ] {
                let request = Request::post(path, request).header("x-sim", controls);
                let direct = request.send(gateway.model.address()).unwrap();
                let answer = gateway.send(&request);
                assert!(direct.complete && answer.complete, "{path} {controls}");
                assert_eq!(same(answer.text()), same(direct.text()), "{path} {controls}");
                assert_eq!(answer.header("content-type"), direct.header("content-type"));
            }
        }
    }
}

/// Without what differs from call to call: the last 24 characters of ids, and times.
fn same(text: &str) -> String {
    let mut at_least_once = false;
    let parts = text.split('"').map(|part| {
        let digits = part.strip_prefix(':').map(|rest| rest.trim_end_matches([',', '}']));
        let is_time = |digits: &str| digits.len() == 10 && digits.parse::<u64>().is_ok();
        let stamp = part.len() >= 20 && part.starts_with("20") && part.ends_with('Z');
        let id = part.len().checked_sub(24).and_then(|at| part.split_at_checked(at));
        let id = id.filter(|(_, id)| id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let changed = match id {
            Some((prefix, _)) => prefix,
            None if stamp || digits.is_some_and(is_time) => "TIME",
            None => return part,
        };
        at_least_once = true;
        changed
    });
    let text = parts.collect::<Vec<_>>().join("\"");
    assert!(at_least_once, "{text}");
    text
}

/// Each protocol's own usage, JSON and streamed, is what the access log says.
#[test]
fn the_access_log_has_the_providers_own_count() {
    let gateway = &*SHIPPED;
    for path in STREAMING.into_iter().chain([EMBEDDINGS, OLLAMA_EMBED]) {
        let text = format!("some words for {path}");
        for controls in ["", "cached=2", "finish=length; tokens=7", "split=1"] {
            let json = Request::post(path, &call(path, &text)).header("x-sim", controls);
            let direct = json.send(gateway.model.address()).unwrap();
            let (input, output) = usage(&direct.json());
            let stream =
                Request::post(path, &streamed(call(path, &text))).header("x-sim", controls);
            let both = if STREAMING.contains(&path) { vec![json, stream] } else { vec![json] };
            for (request, form) in both.iter().zip(["json", "stream"]) {
                let entry = gateway.logged(&gateway.send(request));
                let counted = ["input_tokens", "output_tokens", "tokens", "usage_quality"]
                    .map(|key| entry[key].as_str().unwrap_or_default());
                let expected = [input, output, input + output].map(|count| count.to_string());
                let [input, output, both] = &expected;
                assert_eq!(counted, [input, output, both, "exact"], "{path} {form} {controls}");
            }
        }
    }
}

/// Input and output tokens in an answer of any protocol.
fn usage(answer: &Value) -> (u64, u64) {
    let usage = answer.get("usage").unwrap_or(answer);
    let count = |names: [&str; 3]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    let input = count(["prompt_tokens", "input_tokens", "prompt_eval_count"]).unwrap();
    let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"]
        .map(|name| usage.get(name).and_then(Value::as_u64).unwrap_or(0));
    let output = count(["completion_tokens", "output_tokens", "eval_count"]).unwrap_or(0);
    (input + cached.iter().sum::<u64>(), output)
}

#[test]
fn a_stream_without_usage_is_estimated() {
    let gateway = &*SHIPPED;
    for path in STREAMING {
        let answer = gateway.told("usage=none", path, &streamed(call(path, "nobody counts")));
        let entry = gateway.logged(&answer);
        assert_eq!(entry["usage_quality"], "estimated", "{path}");
        let output: u64 = entry["output_tokens"].as_str().unwrap().parse().unwrap();
        assert!((1..100).contains(&output), "{path}: {entry}");
    }
}

/// The client leaves: the provider is let go, and what it said is counted.
#[test]
fn a_client_that_leaves_is_charged_for_what_was_said() {
    let gateway = &*SHIPPED;
    for path in STREAMING {
        let id = format!("leaves{}", path.replace('/', "-"));
        let request = Request::post(path, &streamed(call(path, "a b c d e f g h")))
            .header("x-sim", "stall=midtoken")
            .header("x-request-id", &id);
        let mut exchange = request.open(gateway.address).unwrap();
        // The first events of some protocols say nothing yet.
        let has_said = |answer: &str| events(path, answer) > 3 && answer.contains("said");
        exchange.wait_until(has_said).unwrap();
        exchange.abort();
        let entry = gateway.logged_as(&id);
        assert_eq!((&entry["flags"], &entry["status"]), (&json!("DC"), &json!(200)), "{entry}");
        assert_eq!(entry["error"], Value::Null, "{entry}");
        let output: u64 = entry["output_tokens"].as_str().unwrap().parse().unwrap();
        assert!((1..50).contains(&output), "{entry}");
        wait_for("the provider's end", Duration::from_secs(10), || {
            let requests = gateway.model.requests();
            let mine = requests.iter().find(|r| r.header("x-request-id") == Some(&id)).unwrap();
            Ok((mine.outcome == Outcome::Aborted).then_some(()))
        })
        .unwrap();
    }
}

/// A stream that ends without its last event is told and counted.
#[test]
fn a_stream_that_ends_early_ends_with_an_error() {
    let gateway = Gateway::start();
    let mut cut = 0.0;
    for path in STREAMING {
        let silent = gateway.told("end-early=0", path, &streamed(call(path, "a")));
        assert_eq!(silent.status, 502, "{path}");
        for controls in ["end-early=1", "end-early=3", "end-early=3; split=1"] {
            let answer = gateway.told(controls, path, &streamed(call(path, "a b c d e")));
            assert!(
                answer.complete && tells_an_error(path, &answer),
                "{path} {controls}: {answer:?}"
            );
            assert_eq!(answer.text().matches("[DONE]").count(), 0);
            let entry = gateway.logged(&answer);
            assert_eq!(entry["error"], "provider", "{entry}");
            cut += 1.0;
        }
    }
    let series = r#"llm_streams_cut_total{provider="local"}"#;
    assert_eq!(gateway.envoy.admin().sample(series).unwrap(), Some(cut));
}

fn tells_an_error(path: &str, answer: &Answer) -> bool {
    let text = answer.text().trim_end();
    match path {
        OLLAMA_CHAT | OLLAMA_GENERATE => {
            let last = text.lines().last().unwrap_or_default();
            serde_json::from_str::<Value>(last).is_ok_and(|last| last["error"].is_string())
        }
        _ => answer
            .events()
            .pop()
            .is_some_and(|last| last["error"]["message"].is_string() || last["type"] == "error"),
    }
}

/// A connection that breaks is one for the client too, and counted.
#[test]
fn a_stream_that_breaks_is_counted() {
    let gateway = Gateway::start();
    for path in STREAMING {
        let id = format!("breaks{}", path.replace('/', "-"));
        let request = Request::post(path, &streamed(call(path, "a b c d e")))
            .header("x-sim", "cut=3")
            .header("x-request-id", &id);
        let answer = gateway.send(&request);
        assert_eq!((answer.status, answer.complete), (200, false), "{path}");
        let entry = gateway.logged_as(&id);
        assert_eq!(entry["error"], "provider", "{entry}");
        assert!(entry["output_tokens"].is_string(), "{entry}");
    }
    let series = r#"llm_streams_cut_total{provider="local"}"#;
    let cut = gateway.envoy.admin().sample(series).unwrap();
    assert_eq!(cut, Some(STREAMING.len() as f64));
}

/// What the provider says of its failure in the middle of a stream reaches the client once.
#[test]
fn an_error_within_a_stream_is_passed_on_and_counted() {
    let gateway = &*SHIPPED;
    for path in STREAMING {
        let request = streamed(call(path, "a b c d e"));
        let request = Request::post(path, &request).header("x-sim", "error-event=3");
        let direct = request.send(gateway.model.address()).unwrap();
        let answer = gateway.send(&request);
        assert_eq!(same(answer.text()), same(direct.text()), "{path}");
        assert_eq!(gateway.logged(&answer)["error"], "provider", "{path}");
    }
}
