//! Two Envoys that share answers through a real Redis behind a real webdis, and lose nothing without
//! them.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use harness::redis::{Redis, Webdis};
use harness::wire::{Answer, Request};
use harness::{root, wait_for};
use serde_json::{Value, json};

use super::{PATIENCE, STORED, WORKERS, is_hit};
use crate::support::{CHAT, Gateway, chat, cluster, streamed};

struct Fleet {
    dir: PathBuf,
    redis: Option<Redis>,
    webdis: Option<Webdis>,
    one: Gateway,
    two: Gateway,
}

impl Fleet {
    fn start(name: &str, timeout: &str) -> Self {
        // The name of a socket may have no more than some hundred bytes.
        let dir = std::env::temp_dir().join(format!("llm-{name}-{}", std::process::id()));
        let redis = Redis::start(&dir).unwrap();
        let webdis = Webdis::start(&dir, &configuration(), redis.socket()).unwrap();
        let gateway = || {
            let adapt = |bootstrap| {
                let edit = |configuration: &mut Value| {
                    let backend = json!({"cluster": "webdis", "timeout": timeout});
                    configuration["cache"] =
                        json!({"ttl": "1h", "max_entry_bytes": "1MiB", "backend": backend});
                };
                let bootstrap = cluster(bootstrap, "webdis", webdis.address(), None);
                bootstrap.configure("gateway", edit).unwrap()
            };
            Gateway::launched(adapt, |launch| launch.concurrency(WORKERS))
        };
        let (one, two) = (gateway(), gateway());
        Self { dir, redis: Some(redis), webdis: Some(webdis), one, two }
    }

    fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }

    /// What was stored is on its way for a moment.
    fn wait_for_keys(&self, count: usize) -> Vec<String> {
        let keys = || Ok(Some(self.redis().keys()?).filter(|keys| keys.len() == count));
        wait_for(&format!("{count} keys in Redis"), PATIENCE, keys).unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// As it is shipped.
fn configuration() -> Value {
    let text = fs::read_to_string(root().join("envoy/cache/webdis.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn stored(gateway: &Gateway, request: &Request) -> Answer {
    let (status, answer) = gateway.asked(request);
    let is_stream =
        answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event"));
    assert_eq!(status, if is_stream { "fwd=miss" } else { STORED });
    answer
}

fn served(gateway: &Gateway, request: &Request) -> Answer {
    let (status, answer) = gateway.asked(request);
    assert!(is_hit(&status), "{status}");
    answer
}

#[test]
fn what_one_envoy_has_asked_the_other_need_not_ask() {
    // Long, since this is not about time.
    let fleet = Fleet::start("share", "10s");
    let (one, two) = (&fleet.one, &fleet.two);
    let small = Request::post(CHAT, &chat("small"));
    let large = Request::post(CHAT, &chat("large")).header("x-sim", "size=500000");
    let stream = Request::post(CHAT, &streamed(chat("stream"))).header("x-sim", "tokens=200");
    let requests = [&small, &large, &stream];
    let first = requests.map(|request| stored(one, request));
    fleet.wait_for_keys(3);
    for (request, first) in requests.iter().zip(&first) {
        let there = served(two, request);
        assert_eq!((&there.body, there.complete), (&first.body, true));
        assert_eq!(there.header("content-type"), first.header("content-type"));
        // From now on it has its own.
        served(two, request);
    }
    // The other form, of what another process has stored.
    let said = served(two, &Request::post(CHAT, &chat("stream"))).json();
    let text = said["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let deltas = first[2].events().into_iter();
    let told: String = deltas
        .filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(text, told);
    assert_eq!((one.model.total(), two.model.total()), (3, 0));
    assert_eq!((one.skipped("backend_absent"), two.skipped("backend_absent")), (3, 0));

    // A lifetime there is one here.
    for key in fleet.redis().keys().unwrap() {
        let ttl = fleet.redis().command(&format!("PTTL {key}")).unwrap();
        let ttl: u64 = ttl.trim_start_matches(':').parse().unwrap();
        assert!((1..=3_600_000).contains(&ttl), "{key}: {ttl}");
    }
    one.assert_unharmed();
    two.assert_unharmed();
}

#[test]
fn what_is_not_what_was_stored_is_a_miss() {
    let fleet = Fleet::start("corrupt", "10s");
    let mut known: Vec<String> = Vec::new();
    for (n, spoil) in
        [&["SETRANGE KEY 200 x"][..], &["SET KEY short"], &["DEL KEY", "LPUSH KEY no-string"]]
            .iter()
            .enumerate()
    {
        let request = Request::post(CHAT, &chat(&format!("spoilt {n}")));
        stored(&fleet.one, &request);
        let keys = fleet.wait_for_keys(n + 1);
        // Whoever missed stores its own answer there, soon: only the newest key is to be spoilt.
        let key = keys.iter().find(|key| !known.contains(key)).unwrap();
        assert!(key.starts_with("llm-cache:v1:"), "{key}");
        for command in *spoil {
            let answer = fleet.redis().command(&command.replace("KEY", key)).unwrap();
            assert!(!answer.starts_with('-'), "{answer}");
        }
        known.push(key.clone());
        stored(&fleet.two, &request);
        assert_eq!(fleet.two.skipped("backend_corrupt"), n as u64 + 1, "{spoil:?}");
    }
}

#[test]
fn what_webdis_does_not_allow_is_a_miss() {
    let dir = std::env::temp_dir().join(format!("llm-acl-{}", std::process::id()));
    let redis = Redis::start(&dir).unwrap();
    let mut nothing = configuration();
    nothing["acl"] = json!([{"disabled": ["*"]}]);
    let webdis = Webdis::start(&dir, &nothing, redis.socket()).unwrap();
    let gateway = Gateway::launched(
        |bootstrap| {
            let backend = json!({"cluster": "webdis", "timeout": "10s"});
            cluster(bootstrap, "webdis", webdis.address(), None)
                .configure("gateway", |configuration| {
                    configuration["cache"] = json!({"ttl": "1h", "backend": backend});
                })
                .unwrap()
        },
        |launch| launch,
    );
    stored(&gateway, &Request::post(CHAT, &chat("forbidden")));
    assert_eq!(gateway.skipped("backend_forbidden"), 1);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn without_redis_or_webdis_answers_come_in_time_and_it_is_counted() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    /// What a request may take on a machine with more to do than it can.
    const SLACK: Duration = Duration::from_secs(5);
    let mut fleet = Fleet::start("outage", "300ms");
    let mut number = 0;
    // Requests that nobody has asked before, while whatever is down is down.
    let mut ask = |gateway: &Gateway| {
        let unavailable = gateway.skipped("backend_unavailable");
        let mut slowest = Duration::ZERO;
        for _ in 0..8 {
            number += 1;
            let began = Instant::now();
            stored(gateway, &Request::post(CHAT, &chat(&format!("outage {number}"))));
            slowest = slowest.max(began.elapsed());
        }
        assert!(slowest < TIMEOUT + SLACK, "{slowest:?}");
        (gateway.skipped("backend_unavailable") - unavailable, slowest)
    };
    let known = Request::post(CHAT, &chat("known"));
    stored(&fleet.one, &known);

    // On a slow machine also a healthy one may be late.
    let (late, _) = ask(&fleet.one);
    assert!(late < 8, "{late}");

    // In the middle of traffic.
    let redis = fleet.redis.take().unwrap();
    let address = fleet.webdis.as_ref().unwrap().address();
    let one = &fleet.one;
    thread::scope(|scope| {
        let traffic: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn(move || {
                    for n in 0..20 {
                        let request = Request::post(CHAT, &chat(&format!("traffic {client} {n}")));
                        stored(one, &request);
                        served(one, &request);
                    }
                })
            })
            .collect();
        redis.stop().unwrap();
        traffic.into_iter().for_each(|client| client.join().unwrap());
    });
    let (unavailable, slowest) = ask(one);
    println!("Redis stopped: {unavailable} of 8 unavailable, the slowest took {slowest:?}");
    assert_eq!(unavailable, 8);

    fleet.webdis.as_ref().unwrap().freeze().unwrap();
    let (unavailable, slowest) = ask(one);
    println!("webdis frozen: {unavailable} of 8 unavailable, the slowest took {slowest:?}");
    assert_eq!(unavailable, 8);
    assert!(slowest >= TIMEOUT, "{slowest:?}");
    served(one, &known);

    drop(fleet.webdis.take());
    let (unavailable, slowest) = ask(one);
    println!("webdis gone: {unavailable} of 8 unavailable, the slowest took {slowest:?}");
    assert_eq!(unavailable, 8);
    served(one, &known);

    // Both come back, and so does sharing.
    let redis = Redis::start(&fleet.dir).unwrap();
    let webdis = Webdis::start_at(&fleet.dir, &configuration(), redis.socket(), address).unwrap();
    (fleet.redis, fleet.webdis) = (Some(redis), Some(webdis));
    let shared = Request::post(CHAT, &chat("shared again"));
    stored(&fleet.one, &shared);
    fleet.wait_for_keys(1);
    wait_for("the second level's word", PATIENCE, || {
        let (status, _) =
            fleet.two.asked(&shared.clone().header("cache-control", "only-if-cached"));
        Ok(is_hit(&status).then_some(()))
    })
    .unwrap();
    assert_eq!(fleet.two.model.total(), 0);
    fleet.one.assert_unharmed();
}
