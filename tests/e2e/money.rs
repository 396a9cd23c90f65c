//! What is charged: on every way in which an exchange can end at least what a provider could bill, or
//! it is marked; and in the end log, metrics and limiter agree to the token.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use harness::envoy::{Bootstrap, Envoy, Launch};
use harness::wait_for;
use harness::wire::Request;
use serde_json::{Value, json};

use crate::support::{CHAT, ROUTE, at, cluster, shipped};

const WORKERS: u32 = 4;
/// Large enough for everything, and paid back at a token in two minutes.
const LIMIT: u64 = 20_000;
const BURST: u64 = LIMIT * 1024;
const RESPONSES: &str = "/v1/responses";

/// Everything that can become of a request, each by a caller of its own.
#[test]
fn whatever_becomes_of_a_request_is_charged_or_marked() {
    let setup = &*SETUP;
    let called = |max: u64| json!({"model": "m", "max_tokens": max, "messages": [{"role": "user", "content": "hi"}]});
    let streamed = |max: u64| {
        let mut call = called(max);
        call["stream"] = json!(true);
        call
    };
    let background =
        json!({"model": "m", "background": true, "max_output_tokens": 90_000, "input": "hi"});
    // The script, the call, when the caller leaves, what the provider could bill, and how well that is known.
    let rows = [
        Row::new("exact", CHAT, called(90_000), Leave::Never, 11 + 7, "exact"),
        Row::new("exact-stream", CHAT, streamed(90_000), Leave::Never, 11 + 7, "exact"),
        Row::new("untold", CHAT, called(90_000), Leave::Never, 2, "estimated"),
        Row::new("untold-stream", CHAT, streamed(90_000), Leave::Never, 2, "estimated"),
        Row::new("nothing", CHAT, called(90_000), Leave::Never, 90_000, "estimated"),
        Row::new("sound", CHAT, called(90_000), Leave::Never, 90_000, "estimated"),
        Row::new("stall", CHAT, called(90_000), Leave::Asked, 90_000, "estimated"),
        Row::new("stall", CHAT, streamed(90_000), Leave::Asked, 90_000, "estimated"),
        Row::new("head", CHAT, streamed(90_000), Leave::Asked, 90_000, "estimated"),
        Row::new("opening", CHAT, streamed(90_000), Leave::At("assistant"), 90_000, "estimated"),
        Row::new("said", CHAT, streamed(90_000), Leave::At("abcdefgh"), 2, "estimated"),
        Row::new("half", CHAT, called(90_000), Leave::Asked, 90_000, "estimated"),
        Row::new("cut-stream", CHAT, streamed(90_000), Leave::Never, 2, "estimated"),
        Row::new("cut", CHAT, called(90_000), Leave::Never, 90_000, "estimated"),
        Row::new("queued", RESPONSES, background, Leave::Never, 90_000, "estimated"),
        Row::new("absurd", CHAT, called(90_000), Leave::Never, 2, "estimated"),
        Row::new("absurd-stream", CHAT, streamed(90_000), Leave::Never, 2, "estimated"),
        Row::new(
            "image",
            "/v1/images/generations",
            json!({"model": "m"}),
            Leave::Never,
            1106,
            "exact",
        ),
        Row::new("sound", "/v1/audio/speech", json!({"model": "m"}), Leave::Never, 1, "missing"),
        Row::new(
            "events",
            "/v1/images/generations",
            json!({"model": "m"}),
            Leave::Never,
            1106,
            "exact",
        ),
        Row::new(
            "slow",
            CHAT,
            json!({"model": "hasty", "max_tokens": 90_000, "messages": [{"role": "user", "content": "hi"}]}),
            Leave::Never,
            90_000,
            "estimated",
        ),
        Row::new("refused", CHAT, called(90_000), Leave::Never, 0, ""),
    ];
    thread::scope(|scope| {
        for row in &rows {
            scope.spawn(move || setup.check(row));
        }
    });
    setup.assert_agreed();
}

/// A caller whose request never reached a host owes nothing.
#[test]
fn who_leaves_while_nobody_has_the_request_owes_nothing() {
    let provider = Provider::start();
    let few = |bootstrap: &mut Bootstrap| {
        let local = at(bootstrap, "/static_resources/clusters/0");
        local["circuit_breakers"] = json!({"thresholds": [{"max_connections": 1}]});
    };
    // Every worker may have one connection in any case.
    let setup = Setup::start(provider, 1, few);
    let call = json!({"model": "m", "max_tokens": 90_000, "messages": [{"role": "user", "content": "hi"}]});
    let first = setup.request("c0", "stall", CHAT, &call).open(setup.address).unwrap();
    setup.provider.wait_until_asked(1);
    // It has to wait for the only connection.
    let request = setup.request("c1", "stall", CHAT, &call).header("x-request-id", "in-line");
    let second = request.open(setup.address).unwrap();
    let pending = "cluster.local.upstream_rq_pending_active";
    wait_for("a request in line", PATIENCE, || {
        Ok((setup.envoy.admin().stat(pending)? == 1).then_some(()))
    })
    .unwrap();
    second.abort();
    let entry = setup.envoy.access_log_entry(|entry| entry["request_id"] == "in-line").unwrap();
    assert_eq!(
        (&entry["tokens"], &entry["usage_quality"]),
        (&Value::Null, &Value::Null),
        "{entry}"
    );
    first.abort();
    wait_for("the connection", PATIENCE, || Ok((setup.owed("c0") > 90_000).then_some(()))).unwrap();
    assert_eq!(setup.owed("c1"), 0);
}

/// A free model with a paid one behind it: more than the limit of money is never spent.
#[test]
fn failover_to_a_dearer_model_is_charged_at_its_price_and_reserved_before() {
    const PRICE: u64 = 10;
    const TOKENS: u64 = 2400;
    let provider = Provider::start();
    let address = provider.address;
    let bootstrap = cluster(shipped(address), "paid", address, Some(json!({"provider": "paid"})));
    let bootstrap = cluster(
        bootstrap,
        "free",
        address,
        Some(json!({"provider": "free", "headers": {"x-do": "broken"}})),
    );
    let edit = |configuration: &mut Value| {
        *configuration = json!({
            "providers": {
                "free": {"models": [{"name": "m", "price": {"input": 0, "output": 0}}]},
                "paid": {"models": [{"name": "m", "price": {"input": 0, "output": PRICE}}], "priority": 1},
            },
            "limits": [{"name": "money", "key": [], "cost_usd": 0.03, "window": "31d"}],
        });
    };
    let launch = Launch::new(bootstrap.configure("gateway", edit).unwrap());
    let envoy = launch.concurrency(WORKERS).start().unwrap();
    let gateway = envoy.address("gateway").unwrap();
    let call = json!({"model": "m", "max_tokens": TOKENS, "messages": [{"role": "user", "content": "hi"}]});
    let ask = || Request::post(CHAT, &call).header("x-do", "dear").send(gateway).unwrap().status;
    let statuses: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> = (0..12).map(|_| scope.spawn(ask)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
    let series = r#"llm_cost_microusd_total{provider="paid",model="m"}"#;
    assert_eq!(envoy.admin().sample(series).unwrap(), Some((TOKENS * PRICE) as f64));
}

/// One caller, a limit of 20,000 tokens a day, streams of 100 kB that nobody bounds.
#[test]
fn streams_of_any_length_end_at_the_limit() {
    let provider = Provider::start();
    let edit = |configuration: &mut Value| {
        configuration["providers"]["local"]["models"] = json!(["m"]);
        configuration["limits"] =
            json!([{"name": "day", "key": [], "tokens": 20_000, "window": "1d"}]);
    };
    let bootstrap = shipped(provider.address).configure("gateway", edit).unwrap();
    let envoy = Launch::new(bootstrap).concurrency(WORKERS).start().unwrap();
    let gateway = envoy.address("gateway").unwrap();
    let call =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let statuses: Vec<_> = (0..12)
        .map(|_| Request::post(CHAT, &call).header("x-do", "long").send(gateway).unwrap().status)
        .collect();
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 429), "{statuses:?}");
}

/// Eight callers do whatever comes to their minds, over four workers.
#[test]
fn after_random_traffic_log_metrics_and_limiter_agree_to_the_token() {
    const CALLERS: usize = 8;
    const EACH: usize = 120;
    let setup = Setup::start(Provider::start(), WORKERS, |_| ());
    let calls = [
        (
            CHAT,
            json!({"model": "m", "max_tokens": 400, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        (
            CHAT,
            json!({"model": "local/m", "stream": true, "max_tokens": 300, "messages": [{"role": "user", "content": "hello"}]}),
        ),
        (
            RESPONSES,
            json!({"model": "alias", "background": true, "max_output_tokens": 200, "input": "hi"}),
        ),
        (
            "/v1/messages",
            json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        ("/v1/rerank", json!({"model": "m", "query": "some words"})),
        ("/api/chat", json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})),
    ];
    let scripts = [
        "exact",
        "exact-stream",
        "untold",
        "untold-stream",
        "nothing",
        "sound",
        "stall",
        "opening",
        "said",
        "half",
        "cut",
        "cut-stream",
        "absurd",
        "absurd-stream",
        "image",
        "events",
        "refused",
        "broken",
        "long",
    ];
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (setup, calls) = (&setup, &calls);
            scope.spawn(move || {
                let mut random = Random(caller as u64 + 1);
                for _ in 0..EACH {
                    let (path, call) = &calls[random.below(calls.len())];
                    let script = scripts[random.below(scripts.len())];
                    let caller = format!("c{}", random.below(CALLERS));
                    let request = setup.request(&caller, script, path, call);
                    let mut exchange =
                        request.patience(Duration::from_millis(300)).open(setup.address).unwrap();
                    match random.below(4) {
                        // Goes away at once, when something came, or when nothing comes any more.
                        0 => exchange.abort(),
                        1 => {
                            let _ = exchange.wait_until(|answer| answer.contains("data: "));
                            exchange.abort();
                        }
                        _ => drop(exchange.rest()),
                    }
                }
            });
        }
    });
    setup.assert_agreed();
    let charged: u64 = (0..CALLERS).map(|caller| setup.owed(&format!("c{caller}"))).sum();
    assert!(charged > 10_000, "{charged}");
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| Setup::start(Provider::start(), WORKERS, |_| ()));

/// A request, and what has to be charged for it.
struct Row {
    script: &'static str,
    path: &'static str,
    call: Value,
    leave: Leave,
    /// What the provider could bill.
    billed: u64,
    quality: &'static str,
}

#[derive(Clone, Copy)]
enum Leave {
    Never,
    /// When the provider has the request.
    Asked,
    /// When this came.
    At(&'static str),
}

impl Row {
    fn new(
        script: &'static str,
        path: &'static str,
        call: Value,
        leave: Leave,
        billed: u64,
        quality: &'static str,
    ) -> Self {
        Self { script, path, call, leave, billed, quality }
    }
}

/// An Envoy that limits its callers, in front of a provider that does as it is told.
struct Setup {
    envoy: Envoy,
    provider: Provider,
    address: SocketAddr,
    next: AtomicU64,
}

impl Setup {
    fn start(provider: Provider, workers: u32, adapt: impl FnOnce(&mut Bootstrap)) -> Self {
        let edit = |configuration: &mut Value| {
            *configuration = json!({
                "providers": {"local": {"models": ["m"]}},
                "models": {
                    "alias": [{"provider": "local", "model": "m"}],
                    "hasty": [{"provider": "local", "model": "m", "attempts": {"per_try_timeout": "300ms"}}],
                },
                "consumer_header": "x-consumer",
                "consumers": (0..CONSUMERS).map(|n| json!({"name": format!("c{n}")})).collect::<Value>(),
                "limits": [{"name": "each", "key": ["consumer", "model"], "tokens": {"limit": LIMIT, "burst": BURST}, "window": "31d"}],
            });
        };
        let mut bootstrap = shipped(provider.address).configure("gateway", edit).unwrap();
        at(&mut bootstrap, ROUTE)["retry_policy"]["num_retries"] = json!(0);
        adapt(&mut bootstrap);
        let envoy = Launch::new(bootstrap).concurrency(workers).start().unwrap();
        let address = envoy.address("gateway").unwrap();
        Self { envoy, provider, address, next: AtomicU64::new(0) }
    }

    fn request(&self, caller: &str, script: &str, path: &str, call: &Value) -> Request {
        Request::post(path, call).header("x-consumer", caller).header("x-do", script)
    }

    fn check(&self, row: &Row) {
        let caller = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let Row { script, path, call, .. } = row;
        let id = format!("money-{caller}-{script}");
        let request = self.request(&caller, script, path, call).header("x-request-id", &id);
        let mut exchange = request.open(self.address).unwrap();
        match row.leave {
            Leave::Never => drop(exchange.rest()),
            Leave::Asked => {
                wait_for("the provider to have it", PATIENCE, || {
                    Ok(self.provider.was_asked(&id).then_some(()))
                })
                .unwrap();
                exchange.abort();
            }
            Leave::At(text) => {
                exchange.wait_for(text).unwrap();
                exchange.abort();
            }
        }
        let entry = self.envoy.access_log_entry(|entry| entry["request_id"] == *id).unwrap();
        let quality = entry["usage_quality"].as_str().unwrap_or_default();
        assert_eq!(quality, row.quality, "{script} {entry}");
        let charged = tokens(&entry);
        match quality {
            "exact" | "" => assert_eq!(charged, row.billed, "{script} {entry}"),
            _ => assert!((row.billed..row.billed + 200).contains(&charged), "{script} {entry}"),
        }
        assert_eq!(self.owed(&caller), charged, "{script} {entry}");
    }

    /// What the limiter says that a caller owes, asked by a call that costs nothing.
    fn owed(&self, caller: &str) -> u64 {
        let request =
            self.request(caller, "counted", "/v1/messages/count_tokens", &json!({"model": "m"}));
        let answer = request.send(self.address).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let remaining = answer.header("x-ratelimit-remaining-tokens").unwrap();
        BURST - remaining.parse::<u64>().unwrap()
    }

    /// Log, metrics and limiter say the same of every caller.
    fn assert_agreed(&self) {
        let open = "http.gateway.downstream_rq_active";
        wait_for("the last request", PATIENCE, || {
            let active = self.envoy.admin().stats(open)?.values().sum::<u64>();
            Ok((active == 0).then_some(()))
        })
        .unwrap();
        // The entry of a request that is asked for now is behind those of all before it.
        let last = Request::get("/v1/models")
            .header("x-consumer", "c0")
            .header("x-request-id", "last-of-all");
        last.send(self.address).unwrap();
        self.envoy.access_log_entry(|entry| entry["request_id"] == "last-of-all").unwrap();
        let log = self.envoy.access_log();
        for caller in (0..CONSUMERS).map(|n| format!("c{n}")) {
            let logged: u64 =
                log.iter().filter(|entry| entry["consumer"] == *caller).map(tokens).sum();
            let series = format!(r#"llm_consumer_tokens_total{{consumer="{caller}"}}"#);
            let counted = self.envoy.admin().sample(&series).unwrap().unwrap_or_default() as u64;
            assert_eq!((logged, self.owed(&caller)), (counted, counted), "{caller}");
        }
    }
}

fn tokens(entry: &Value) -> u64 {
    entry["tokens"].as_str().and_then(|tokens| tokens.parse().ok()).unwrap_or(0)
}

/// A provider that answers as the header `x-do` says.
struct Provider {
    address: SocketAddr,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let heads = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = heads.clone();
                thread::spawn(move || serve(stream, &heads));
            }
        });
        Self { address, asked }
    }

    /// Whether the request of this id came.
    fn was_asked(&self, id: &str) -> bool {
        let line = format!("x-request-id: {id}\r\n");
        self.asked.lock().unwrap().iter().any(|head| head.contains(&line))
    }

    fn wait_until_asked(&self, times: usize) {
        wait_for("a request", PATIENCE, || {
            Ok((self.asked.lock().unwrap().len() >= times).then_some(()))
        })
        .unwrap();
    }
}

/// Answers one request.
fn serve(mut stream: TcpStream, asked: &std::sync::Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let head = loop {
        let Ok(read @ 1..) = stream.read(&mut piece) else { return };
        request.extend_from_slice(&piece[..read]);
        let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end + 2]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if request.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap()) {
            break head;
        }
    };
    let script =
        head.lines().find_map(|line| line.strip_prefix("x-do: ")).unwrap_or("exact").to_owned();
    asked.lock().unwrap().push(head);
    let (kind, body, ending) = answer(&script);
    let status = match &*script {
        "refused" => "400 Bad Request",
        "broken" => "503 Service Unavailable",
        _ => "200 OK",
    };
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n");
    match ending {
        Ending::Whole => bytes += &format!("content-length: {}\r\n\r\n{body}", body.len()),
        Ending::Cut => bytes += &format!("content-length: {}\r\n\r\n{body}", body.len() + 100),
        Ending::Stall if script == "stall" || script == "slow" => bytes.clear(),
        Ending::Stall => bytes += &format!("content-length: {}\r\n\r\n{body}", body.len() + 100),
    }
    if stream.write_all(bytes.as_bytes()).is_err() {
        return;
    }
    if ending == Ending::Stall {
        // Until Envoy gives up.
        while matches!(stream.read(&mut piece), Ok(1..)) {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
    Stall,
}

/// Content type, body and end of an answer.
fn answer(script: &str) -> (&'static str, String, Ending) {
    const JSON: &str = "application/json";
    const EVENTS: &str = "text/event-stream";
    let whole = |usage: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"finish_reason":"stop","message":{{"role":"assistant","content":"abcdefgh"}}}}]{usage}}}"#
        )
    };
    let opening = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let said = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let done = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let events = |usage: &str| format!("{opening}{}{}{done}", said("abcdefgh"), usage);
    let summed = |usage: &str| format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
    match script {
        "exact" | "dear" | "slow" => {
            let output = if script == "dear" { 2400 } else { 7 };
            let usage = format!(r#","usage":{{"prompt_tokens":11,"completion_tokens":{output},"total_tokens":{}}}"#, 11 + output);
            (JSON, whole(&usage), if script == "slow" { Ending::Stall } else { Ending::Whole })
        }
        "exact-stream" => (EVENTS, events(&summed(r#"{"prompt_tokens":11,"completion_tokens":7}"#)), Ending::Whole),
        "untold" => (JSON, whole(""), Ending::Whole),
        "untold-stream" => (EVENTS, events(""), Ending::Whole),
        "nothing" => (JSON, "{}".to_owned(), Ending::Whole),
        "counted" => (JSON, r#"{"input_tokens":9}"#.to_owned(), Ending::Whole),
        "sound" => ("audio/mpeg", "\0\0\0".to_owned(), Ending::Whole),
        "stall" => (JSON, String::new(), Ending::Stall),
        "head" => (EVENTS, String::new(), Ending::Stall),
        "opening" => (EVENTS, opening.to_owned(), Ending::Stall),
        "said" => (EVENTS, format!("{opening}{}", said("abcdefgh")), Ending::Stall),
        "half" => (JSON, r#"{"choices":[{"message":{"content":"abcdefgh"#.to_owned(), Ending::Stall),
        "cut" => (JSON, r#"{"choices":[{"message":{"content":"abcdefgh"#.to_owned(), Ending::Cut),
        "cut-stream" => (EVENTS, format!("{opening}{}", said("abcdefgh")), Ending::Cut),
        "queued" => (JSON, r#"{"id":"resp_1","object":"response","status":"queued","output":[],"usage":null}"#.to_owned(), Ending::Whole),
        "absurd" => (JSON, whole(r#","usage":{"prompt_tokens":9223372036854775808,"completion_tokens":1}"#), Ending::Whole),
        "absurd-stream" => (EVENTS, events(&summed(r#"{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":1000000000}}"#)), Ending::Whole),
        "image" => (JSON, r#"{"data":[],"usage":{"input_tokens":50,"output_tokens":1056,"total_tokens":1106}}"#.to_owned(), Ending::Whole),
        "events" => (EVENTS, "event: image_generation.completed\ndata: {\"usage\":{\"input_tokens\":50,\"output_tokens\":1056,\"total_tokens\":1106}}\n\n".to_owned(), Ending::Whole),
        "long" => (EVENTS, format!("{opening}{}{done}", said(&"abcdefghi ".repeat(100)).repeat(100)), Ending::Whole),
        "refused" => (JSON, r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#.to_owned(), Ending::Whole),
        "broken" => (JSON, r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#.to_owned(), Ending::Whole),
        other => panic!("no script {other}"),
    }
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

const CONSUMERS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(20);
