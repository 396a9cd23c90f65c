//! Identical requests in flight, over four workers.

use std::thread;
use std::time::{Duration, Instant};

use harness::wire::{Answer, Request};
use serde_json::{Value, json};

use super::cached;
use crate::support::{CHAT, Gateway, chat, streamed};

/// Sends them at the same time, each on a connection of its own.
fn at_once(
    gateway: &Gateway,
    count: usize,
    request: impl Fn(usize) -> Request + Sync,
) -> Vec<Answer> {
    thread::scope(|scope| {
        let request = &request;
        let clients: Vec<_> =
            (0..count).map(|n| scope.spawn(move || gateway.send(&request(n)))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

fn told(controls: &str, body: &Value) -> Request {
    Request::post(CHAT, body).header("x-sim", controls)
}

#[test]
fn a_hundred_identical_requests_reach_the_provider_once() {
    let gateway = cached(json!({"ttl": "1h", "single_flight_wait": "20s"}));
    for body in [chat("crowd"), streamed(chat("crowd of streams"))] {
        gateway.model.clear();
        let answers = at_once(&gateway, 100, |_| told("delay=1000", &body));
        for answer in &answers {
            assert_eq!((answer.status, answer.complete), (200, true), "{}", answer.text());
            assert_eq!(answer.text(), answers[0].text());
        }
        let said = |part: &str| {
            let with = |answer: &&Answer| answer.header("cache-status").unwrap().contains(part);
            answers.iter().filter(with).count()
        };
        let (joined, hit) = (said("collapsed"), said("hit"));
        let led = said("fwd=miss") - joined;
        println!("100 requests: {led} led, {joined} joined, {hit} were served at once");
        assert_eq!((led, joined + hit, gateway.model.requests().len()), (1, 99, 1));
        assert!(joined > 0, "the machine is too slow to tell");
    }
    gateway.assert_unharmed();
}

/// More than one worker looks at in one tick.
#[test]
fn a_large_crowd_at_one_worker_is_served_in_turn() {
    let cache = json!({"ttl": "1h", "single_flight_wait": "1m"});
    let gateway = Gateway::configured(|configuration| configuration["cache"] = cache.clone());
    let body = chat("a large crowd");
    let answers = at_once(&gateway, 300, |_| told("delay=3000", &body));
    for answer in &answers {
        assert_eq!((answer.status, answer.text()), (200, answers[0].text()));
    }
    assert_eq!(gateway.model.total(), 1);
    // Others were served meanwhile and are now.
    assert_eq!(gateway.post(CHAT, &chat("another")).status, 200);
    gateway.assert_unharmed();
}

#[test]
fn a_crowd_of_both_forms_shares_one_answer() {
    let gateway = cached(json!({"ttl": "1h", "single_flight_wait": "20s"}));
    let (json, stream) = (chat("mixed"), streamed(chat("mixed")));
    let answers =
        at_once(&gateway, 40, |n| told("delay=1000", if n % 2 == 0 { &json } else { &stream }));
    assert_eq!(gateway.model.total(), 1);
    for (n, answer) in answers.iter().enumerate() {
        let said: String = match n % 2 {
            0 => answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned(),
            _ => {
                let delta = |event: &Value| event["choices"][0]["delta"]["content"].clone();
                let events = answer.events();
                events.iter().filter_map(|event| Some(delta(event).as_str()?.to_owned())).collect()
            }
        };
        assert_eq!(said, "You said: mixed", "{n}");
    }
}

#[test]
fn when_a_leader_fails_or_leaves_the_others_are_served_all_the_same() {
    let gateway = cached(json!({"ttl": "1h", "single_flight_wait": "20s"}));
    let body = chat("unlucky");
    let leaves = told("delay=60000", &body).open(gateway.address).unwrap();
    let arrived = || Ok((gateway.model.total() == 1).then_some(()));
    harness::wait_for("the leader", super::PATIENCE, arrived).unwrap();
    thread::scope(|scope| {
        let crowd = scope.spawn(|| at_once(&gateway, 20, |_| told("fail-first=2:500", &body)));
        thread::sleep(Duration::from_millis(300));
        assert_eq!(gateway.model.total(), 1, "they wait");
        leaves.abort();
        let answers = crowd.join().unwrap();
        let statuses = |status| answers.iter().filter(|answer| answer.status == status).count();
        // Who led after the one that left had the two failures.
        assert_eq!((statuses(502), statuses(200)), (2, 18));
    });
    assert_eq!(gateway.model.total(), 4, "one that left, two that failed, one for all others");
    gateway.assert_unharmed();
}

#[test]
fn nobody_waits_longer_than_is_configured() {
    let gateway = cached(json!({"ttl": "1h", "single_flight_wait": "200ms"}));
    let body = chat("patience");
    let began = Instant::now();
    let answers = at_once(&gateway, 8, |_| told("delay=1500", &body));
    assert!(answers.iter().all(|answer| answer.status == 200));
    // Otherwise seven would have waited for the first.
    assert_eq!(gateway.model.total(), 8);
    println!("8 requests of 1.5 s each took {:?}", began.elapsed());
}
