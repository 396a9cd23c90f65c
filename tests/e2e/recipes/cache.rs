//! `cache.yaml`: two Envoys, one Redis behind a webdis.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::envoy::{Envoy, Launch};
use harness::model_server::ModelServer;
use harness::redis::{Redis, Webdis};
use harness::{http, wait_for};
use serde_json::Value;

use super::{CHAT, chat, post, recipe, text};
use crate::support::{model_server, streamed};

const DEMO: (&str, &str) = ("authorization", "Bearer demo-key");
const MODEL: &str = "llama3.2:1b";

#[test]
fn what_one_envoy_has_asked_no_other_has_to_ask() {
    let fleet = Fleet::start();
    for (number, request) in [chat(MODEL, "one"), streamed(chat(MODEL, "two"))].iter().enumerate() {
        let (status, first) = fleet.ask(0, request);
        let stored = ["llm-gateway; fwd=miss; stored", "llm-gateway; fwd=miss"][number];
        assert_eq!(status, stored);
        fleet.wait_for_keys(number + 1);
        // A busy machine can be later than the recipe lets it be.
        let only = [DEMO, ("cache-control", "only-if-cached")];
        let served = || {
            let answer = post(&fleet.envoys[1], CHAT, &only, request);
            Ok((answer.status == 200).then_some(answer))
        };
        let served = wait_for("a hit in the other Envoy", PATIENCE, served).unwrap();
        assert_eq!(served.text(), first.text());
        assert!(is_hit(served.header("cache-status").unwrap()));
    }
    let answer = post(&fleet.envoys[0], CHAT, &[], &chat(MODEL, "one"));
    assert_eq!(answer.status, 401, "who has no key gets no answer of others: {}", answer.text());
}

#[test]
fn nobody_notices_when_redis_is_gone() {
    let mut fleet = Fleet::start();
    let known = chat(MODEL, "known");
    fleet.ask(0, &known);
    fleet.redis.take().unwrap().stop().unwrap();
    for number in 0..5 {
        let new = chat(MODEL, &format!("new {number}"));
        let asked = [&new, &new, &known].map(|request| fleet.ask(0, request));
        let statuses = asked.map(|(status, answer)| {
            assert_eq!(answer.status, 200, "{}", answer.text());
            is_hit(&status)
        });
        assert_eq!(statuses, [false, true, true]);
    }
    let counted = "wasmcustom.llm_cache_skip_total.reason=backend_unavailable";
    assert!(fleet.envoys[0].admin().stat(counted).unwrap() > 0);
    drop(fleet.webdis.take());
    assert_eq!(fleet.ask(0, &chat(MODEL, "without webdis")).1.status, 200);
    assert!(is_hit(&fleet.ask(0, &known).0));
}

struct Fleet {
    envoys: [Envoy; 2],
    _model: ModelServer,
    redis: Option<Redis>,
    webdis: Option<Webdis>,
    dir: PathBuf,
}

impl Fleet {
    fn start() -> Self {
        // The name of a socket may have no more than some hundred bytes.
        let dir = super::fresh_dir();
        let dir = std::env::temp_dir().join(format!("llm-{}", dir.file_name().unwrap().display()));
        let redis = Redis::start(&dir).unwrap();
        let shipped = serde_json::from_str(&text("cache/webdis.json")).unwrap();
        let webdis = Webdis::start(&dir, &shipped, redis.socket()).unwrap();
        let model = model_server();
        let envoy = || {
            let bootstrap = recipe(&text("cache.yaml"))
                .endpoint("local", model.address())
                .and_then(|recipe| recipe.endpoint("webdis", webdis.address()))
                .unwrap();
            Launch::new(bootstrap).concurrency(2).start().unwrap()
        };
        let envoys = [envoy(), envoy()];
        Self { envoys, _model: model, redis: Some(redis), webdis: Some(webdis), dir }
    }

    /// What the answer says of the cache, and the answer.
    fn ask(&self, envoy: usize, request: &Value) -> (String, http::Answer) {
        let answer = post(&self.envoys[envoy], CHAT, &[DEMO], request);
        (answer.header("cache-status").unwrap_or_default().to_owned(), answer)
    }

    /// They are stored a moment after the answer.
    fn wait_for_keys(&self, count: usize) {
        let redis = self.redis.as_ref().unwrap();
        let keys = || Ok((redis.keys()?.len() == count).then_some(()));
        wait_for("the keys in Redis", PATIENCE, keys).unwrap();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn is_hit(status: &str) -> bool {
    status.starts_with("llm-gateway; hit; ttl=")
}

const PATIENCE: Duration = Duration::from_secs(30);

/// A second level that says whatever it wants takes neither memory nor answers.
#[test]
fn a_second_level_that_lies_takes_no_memory() {
    let liar = Liar::start();
    let model = model_server();
    let bootstrap = recipe(&text("cache.yaml"))
        .endpoint("local", model.address())
        .and_then(|recipe| recipe.endpoint("webdis", liar.address))
        .unwrap();
    let envoy = Launch::new(bootstrap).concurrency(2).start().unwrap();
    let ask = |number: usize| {
        let answer = post(&envoy, CHAT, &[DEMO], &chat(MODEL, &format!("number {number}")));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let status = answer.header("cache-status").unwrap_or_default();
        assert!(!is_hit(status), "{status}");
    };
    let before = envoy.usage().unwrap().resident_bytes;
    let most = AtomicU64::new(before);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= 400 {
                        break;
                    }
                    ask(number);
                    most.fetch_max(envoy.usage().unwrap().resident_bytes, Ordering::Relaxed);
                }
            });
        }
    });
    let grown = most.into_inner().saturating_sub(before);
    println!("{} lies, {} MiB more than before", liar.told(), grown >> 20);
    assert!(liar.told() > 0);
    assert!(grown < 64 << 20, "{grown}");
}

/// Answers everything with far too much.
struct Liar {
    address: SocketAddr,
    told: Arc<AtomicUsize>,
}

impl Liar {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, told) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = told.clone();
        // Ends with the process; whom it talks to ends before.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = count.clone();
                thread::spawn(move || lie(stream, &count));
            }
        });
        Self { address, told }
    }

    fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

fn lie(mut stream: TcpStream, count: &AtomicUsize) {
    let mut asked = [0; 4096];
    while stream.read(&mut asked).is_ok_and(|read| read > 0) {
        count.fetch_add(1, Ordering::Relaxed);
        // As much as Envoy takes where nothing else is configured.
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 31 << 20);
        let _ = stream.write_all(head.as_bytes());
        for _ in 0..31 << 4 {
            if stream.write_all(&[b'x'; 1 << 16]).is_err() {
                return;
            }
        }
    }
}
