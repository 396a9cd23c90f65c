//! Limits are exact over all workers of a real Envoy, and give back what is not used.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use harness::wire::Request;
use serde_json::{Value, json};

use crate::support::{CHAT, Gateway, MODEL, chat};

const WORKERS: u32 = 4;

fn limited(limits: Value) -> Gateway {
    let edit = |configuration: &mut Value| configuration["limits"] = limits.clone();
    Gateway::launched(
        |bootstrap| bootstrap.configure("gateway", edit).unwrap(),
        |launch| launch.concurrency(WORKERS),
    )
}

/// What parallel clients met, each on a connection of its own that it keeps.
struct Crowd {
    passed: u64,
    refused: u64,
    /// The shortest and the longest time in which all of that can have been decided.
    inner: Duration,
    outer: Duration,
}

fn crowd(address: SocketAddr, clients: usize, each: usize, body: &Value) -> Crowd {
    let body = body.to_string();
    let began = Instant::now();
    let results: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..clients).map(|_| scope.spawn(|| client(address, each, &body))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let outer = began.elapsed();
    let first_answer = results.iter().map(|result| result.2).max().unwrap();
    let last_question = results.iter().map(|result| result.3).min().unwrap();
    Crowd {
        passed: results.iter().map(|result| result.0).sum(),
        refused: results.iter().map(|result| result.1).sum(),
        inner: last_question.saturating_duration_since(first_answer),
        outer,
    }
}

/// Passed, refused, when the first answer came and when the last question was asked.
fn client(address: SocketAddr, each: usize, body: &str) -> (u64, u64, Instant, Instant) {
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut passed, mut refused) = (0, 0);
    let (mut first, mut last) = (None, Instant::now());
    for _ in 0..each {
        last = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        match status(&mut stream) {
            200 => passed += 1,
            429 => refused += 1,
            other => panic!("status {other}"),
        }
        first.get_or_insert_with(Instant::now);
    }
    (passed, refused, first.unwrap(), last)
}

/// Reads one answer that says its length.
fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").trim().parse().unwrap();
        if answer.len() >= end + 4 + length {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

#[test]
fn four_workers_admit_what_one_would() {
    const LIMIT: u64 = 500;
    let refill = Duration::from_secs(60) / 500;
    let gateway = limited(json!([{"name": "all", "key": [], "requests": LIMIT, "window": "1m"}]));
    let crowd = crowd(gateway.address, 64, 313, &chat("limits"));
    assert_eq!(crowd.passed + crowd.refused, 64 * 313);
    // The clients ask faster than the limit refills, so no share of it is left lying.
    let share = |time: Duration| LIMIT + (time.as_nanos() / refill.as_nanos()) as u64;
    let (least, most) = (share(crowd.inner) - 1, share(crowd.outer) + 1);
    assert!((least..=most).contains(&crowd.passed), "{} of {least} to {most}", crowd.passed);
    // A limiter per worker would have let four times as many pass.
    assert!(most < LIMIT * u64::from(WORKERS), "too slow to tell: {:?}", crowd.outer);
    let series = r#"llm_rate_limited_total{limit="all",unit="requests",mode="enforce"}"#;
    assert_eq!(gateway.envoy.admin().sample(series).unwrap(), Some(crowd.refused as f64));
}

#[test]
fn tokens_in_use_never_exceed_the_limit() {
    const LIMIT: u64 = 3000;
    let gateway = limited(json!([{"name": "all", "key": [], "tokens": LIMIT, "window": "10m"}]));
    let mut body = chat("one two three four five six seven eight nine ten");
    body["max_tokens"] = json!(40);
    let crowd = crowd(gateway.address, 16, 40, &body);
    assert!(crowd.refused > 0 && crowd.passed > 0);
    let of = |kind: &str| {
        let series =
            format!(r#"llm_tokens_total{{provider="local",model="{MODEL}",type="{kind}"}}"#);
        gateway.envoy.admin().sample(&series).unwrap().unwrap_or_default()
    };
    let used = of("input") + of("output");
    let refilled = LIMIT as f64 * crowd.outer.as_secs_f64() / 600.0;
    assert!(used <= LIMIT as f64 + refilled + 1.0, "{used} tokens");
    // What was reserved and not used came back, or far fewer would have passed.
    let reserved = 40 + body.to_string().len() as u64 / 4;
    assert!(used > 0.9 * (LIMIT - 16 * reserved) as f64, "{used} tokens in {}", crowd.passed);
}

#[test]
fn many_keys_take_no_more_memory_than_the_slots() {
    let limits = json!([{"name": "each", "key": ["client_ip"], "requests": 5, "window": "1h"}]);
    let edit = |configuration: &mut Value| {
        configuration["limits"] = limits.clone();
        configuration["limiter"] = json!({"slots": 1024});
        configuration["client_ip"] = json!({"trusted_hops": 1});
    };
    let adapt = |bootstrap: harness::envoy::Bootstrap| {
        let mut bootstrap = bootstrap.configure("gateway", edit).unwrap();
        // What the clients say of themselves counts, so that there can be many of them.
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        crate::support::at(&mut bootstrap, manager)["use_remote_address"] = json!(false);
        bootstrap
    };
    let gateway = Gateway::launched(adapt, |launch| launch.concurrency(2));
    let ask = |from: u32| {
        let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + from).to_string();
        let request = Request::post(CHAT, &chat("x")).header("x-forwarded-for", ip);
        request.send(gateway.address).unwrap().status
    };
    let memory = || {
        let memory = gateway.envoy.admin().get("/memory").unwrap().json().unwrap();
        memory["allocated"].as_str().unwrap().parse::<u64>().unwrap()
    };
    let all = |from: u32, to: u32| {
        thread::scope(|scope| {
            for part in 0..8 {
                let ask = &ask;
                scope.spawn(move || {
                    for client in (from..to).filter(|client| client % 8 == part) {
                        assert_eq!(ask(client), 200, "client {client}");
                    }
                });
            }
        });
    };
    all(0, 2000);
    let before = memory();
    all(2000, 6000);
    let grown = memory().saturating_sub(before);
    assert!(grown < 4 << 20, "4000 more keys took {grown} bytes");
    assert!(
        gateway.envoy.admin().stat("wasmcustom.llm_limiter_evictions_total").unwrap() > 0,
        "more keys than slots, and none was forgotten"
    );
}
