//! The front as the gateway role uses it, on the native double of the host.

use super::*;
use crate::cache::key::Tenant;
use crate::cache::policy::{CacheStatus, Scope};
use crate::cache::record::Ttl;
use crate::cache::shadow::Comparison;
use crate::host::fake::{Call, Fake};
use crate::host::{Pairs, Status};
use crate::routing::Pattern;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);
const BODY: &[u8] = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
const JSON: &[u8] = br#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"yo"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
const STREAM: &[u8] = b"data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"yo\"},\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
/// What a client sees of it that did not ask for usage.
const STRIPPED: &[u8] = b"data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"yo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn cache(mode: Mode) -> Cache {
    let policy = Policy {
        mode,
        ttl: Ttl::new(Duration::from_secs(300)).unwrap(),
        max_entry_bytes: 4096,
        scope: Scope::Consumer,
        operations: vec![Operation::Chat],
    };
    let models = Allow::Only(Box::new([Pattern::new("gpt-*")]));
    let entries = NonZeroU32::new(64).unwrap();
    Cache::new(policy, models, entries, Duration::from_millis(250))
}

fn later(millis: u64) -> Timestamp {
    Timestamp(NOW.0 + millis * 1_000_000)
}

fn ask(cache: &Cache, form: Form, usage: bool, control: &str) -> Result<Question, Skip> {
    let headers = Pairs::default();
    let subject = Subject {
        tenant: Tenant::Consumer("web-app"),
        host: b"",
        operation: Operation::Chat,
        provider: "openai",
        cluster: "c",
        model: "gpt-4o",
        route: b"",
        path: b"",
        query: b"",
        headers: &headers,
        vary: &[],
        certificate: b"",
    };
    let directives = Directives::parse([control.as_bytes()]);
    cache.admits(Operation::Chat, "gpt-4o", &directives)?;
    cache.question(&subject, BODY, Wants { form, usage }, &directives)
}

fn question(cache: &Cache, form: Form) -> Question {
    ask(cache, form, true, "").unwrap()
}

fn captured(cache: &Cache, body: &[u8]) -> Capture {
    let (form, content_type): (_, &[u8]) = match body.starts_with(b"data:") {
        true => (Form::Stream, b"text/event-stream"),
        false => (Form::Json, b"application/json"),
    };
    let question = question(cache, form);
    let mut capture = cache.capture(&question, 200, content_type, None, None).unwrap();
    body.chunks(7).for_each(|chunk| {
        capture.chunk(chunk);
    });
    capture
}

fn put(cache: &Cache, fake: &Fake, body: &[u8], now: Timestamp) -> Result<Stored, Skip> {
    let tokens = Tokens { input: 1, output: 2, ..Tokens::default() };
    let question = question(cache, Form::Json);
    let capture = captured(cache, body);
    cache.store(fake, &cache.entry(&question, &capture, true, tokens, now)?, now)
}

fn hit(lookup: Lookup) -> Hit {
    match lookup {
        Lookup::Hit(hit) => hit,
        other => panic!("{other:?}"),
    }
}

fn miss(lookup: Lookup) -> Miss {
    match lookup {
        Lookup::Miss(miss) => miss,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_served_as_it_was_until_its_time_is_over() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let json = question(&cache, Form::Json);
    assert_eq!(miss(cache.lookup(&fake, &json, NOW)), Miss { why: Forward::Miss, skip: None });
    assert_eq!(put(&cache, &fake, JSON, NOW), Ok(Stored::Placed));
    let hit = hit(cache.lookup(&fake.worker(), &json, later(17_500)));
    assert_eq!(
        (hit.status(), hit.content_type(), hit.body()),
        (200, &b"application/json"[..], JSON)
    );
    assert_eq!((hit.age_seconds, hit.tokens().output, hit.is_converted()), (17, 2, false));
    assert_eq!(hit.cache_status(), CacheStatus::Hit { ttl_seconds: 282 });
    assert_eq!(miss(cache.lookup(&fake, &json, later(300_000))).why, Forward::Stale);
}

#[test]
fn a_stream_is_served_with_and_without_usage() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    put(&cache, &fake, STREAM, NOW).unwrap();
    for (usage, body) in [(true, STREAM), (false, STRIPPED)] {
        let question = ask(&cache, Form::Stream, usage, "").unwrap();
        let hit = hit(cache.lookup(&fake, &question, NOW));
        assert_eq!((hit.body(), hit.content_type()), (body, &b"text/event-stream"[..]));
        assert!(!hit.is_converted());
    }
}

#[test]
fn each_form_serves_the_other() {
    for (stored, form) in [(JSON, Form::Stream), (STREAM, Form::Json)] {
        let (fake, cache) = (Fake::new(), cache(Mode::On));
        put(&cache, &fake, stored, NOW).unwrap();
        let hit = hit(cache.lookup(&fake, &question(&cache, form), NOW));
        assert!(hit.is_converted() && Form::of(hit.content_type()) == form);
        let back = convert::convert(Operation::Chat, form, hit.body(), true).unwrap();
        assert!(!back.is_empty());
    }
}

#[test]
fn an_answer_without_another_form_is_a_counted_miss() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    put(&cache, &fake, STRIPPED, NOW).unwrap();
    let missed = miss(cache.lookup(&fake, &question(&cache, Form::Json), NOW));
    assert_eq!(missed, Miss { why: Forward::Miss, skip: Some(Skip::FormWithoutUsage) });
    put(&cache, &fake, JSON, NOW).unwrap();
    assert_eq!(hit(cache.lookup(&fake, &question(&cache, Form::Json), NOW)).body(), JSON);
    let stream = ask(&cache, Form::Stream, false, "").unwrap();
    assert_eq!(hit(cache.lookup(&fake, &stream, NOW)).body(), STRIPPED);
}

#[test]
fn the_request_has_its_say() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    put(&cache, &fake, JSON, NOW).unwrap();
    let look = |control| {
        let question = ask(&cache, Form::Json, false, control).unwrap();
        cache.lookup(&fake, &question, later(10_000))
    };
    assert_eq!(hit(look("max-age=10")).age_seconds, 10);
    for control in ["max-age=9", "no-cache"] {
        assert_eq!(miss(look(control)).why, Forward::Request, "{control}");
    }
    assert_eq!(ask(&cache, Form::Json, false, "no-store").unwrap_err(), Skip::NoStore);
}

#[test]
fn what_the_cache_has_no_part_in() {
    let headers = Pairs::default();
    let subject = |operation| Subject {
        tenant: Tenant::Global,
        host: b"",
        operation,
        provider: "p",
        cluster: "c",
        model: "m",
        route: b"",
        path: b"",
        query: b"",
        headers: &headers,
        vary: &[],
        certificate: b"",
    };
    let wants = Wants { form: Form::Json, usage: false };
    let ask = |cache: &Cache, operation, asked, body| {
        let directives = Directives::default();
        let admitted = cache.admits(operation, asked, &directives);
        let asked = || cache.question(&subject(operation), body, wants, &directives);
        admitted.and_then(|()| asked()).unwrap_err()
    };
    let on = cache(Mode::On);
    assert_eq!(ask(&on, Operation::Embedding, "gpt-4o", b"{}"), Skip::Operation);
    assert_eq!(ask(&on, Operation::Chat, "claude", b"{}"), Skip::Model);
    assert_eq!(ask(&on, Operation::Chat, "gpt-4o", b"{"), Skip::InvalidJson);
    assert_eq!(ask(&cache(Mode::Off), Operation::Chat, "gpt-4o", b"{}"), Skip::Off);
}

#[test]
fn what_is_not_whole_is_not_stored() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let question = question(&cache, Form::Json);
    assert_eq!(
        cache.capture(&question, 200, b"application/json", None, Some(4097)).unwrap_err(),
        Skip::TooLarge
    );
    let store = |capture: &Capture, complete| {
        let entry = cache.entry(&question, capture, complete, Tokens::default(), NOW)?;
        cache.store(&fake, &entry, NOW)
    };
    assert_eq!(store(&captured(&cache, STREAM), false), Err(Skip::Incomplete));
    assert_eq!(store(&captured(&cache, br#"{"error":{}}"#), true), Err(Skip::ErrorBody));
    assert_eq!(store(&captured(&cache, &[b' '; 5000]), true), Err(Skip::TooLarge));
    assert!(fake.shared_keys().is_empty());
}

#[test]
fn a_shadow_serves_nothing_and_compares() {
    let (fake, cache) = (Fake::new(), cache(Mode::Shadow));
    put(&cache, &fake, JSON, NOW).unwrap();
    let Lookup::Shadow(hit) = cache.lookup(&fake, &question(&cache, Form::Stream), NOW) else {
        panic!()
    };
    let compare = |body: &[u8], complete| {
        shadow::compare(Operation::Chat, &hit, &captured(&cache, body), complete)
    };
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(compare(STREAM, true), Comparison::Same);
    assert_eq!(compare(text(JSON).replace("\"1\"", "\"2\"").as_bytes(), true), Comparison::Same);
    assert_eq!(compare(text(STREAM).replace("yo", "no").as_bytes(), true), Comparison::Different);
    assert_eq!(compare(STREAM, false), Comparison::Unknown);
    assert_eq!(cache.join(&fake, &question(&cache, Form::Json), NOW), Joined::Alone);
}

fn lead(cache: &Cache, fake: &Fake, now: Timestamp) -> Lease {
    match cache.join(fake, &question(cache, Form::Json), now) {
        Joined::Lead(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn follow(cache: &Cache, fake: &Fake, question: &Question, now: Timestamp) -> Follower {
    match cache.join(fake, question, now) {
        Joined::Follow(follower) => follower,
        other => panic!("{other:?}"),
    }
}

#[test]
fn followers_get_the_leaders_answer_in_their_own_form() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let other = fake.worker();
    let lease = lead(&cache, &fake, NOW);
    let stream = ask(&cache, Form::Stream, false, "").unwrap();
    let follower = follow(&cache, &other, &stream, NOW);
    assert!(matches!(cache.look(&other, &stream, follower, later(10)), Look::Wait));
    put(&cache, &fake, JSON, later(20)).unwrap();
    cache.land(&fake, lease, true, later(20));
    let Look::Hit(hit) = cache.look(&other, &stream, follower, later(30)) else { panic!() };
    let body = std::str::from_utf8(hit.body()).unwrap();
    assert!(hit.is_converted() && body.contains("\"content\":\"yo\"") && !body.contains("usage"));
}

#[test]
fn a_follower_goes_on_alone_when_its_wait_is_over_or_in_vain() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let question = question(&cache, Form::Json);
    let lease = lead(&cache, &fake, NOW);
    let follower = follow(&cache, &fake, &question, NOW);
    assert!(matches!(cache.look(&fake, &question, follower, later(249)), Look::Wait));
    assert!(matches!(cache.look(&fake, &question, follower, later(250)), Look::Alone));
    cache.land(&fake, lease, false, later(260));
    assert!(matches!(cache.look(&fake, &question, follower, later(261)), Look::Alone));
    assert_eq!(cache.join(&fake, &question, later(261)), Joined::Alone);
}

#[test]
fn when_a_leader_gives_up_one_follower_leads() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let question = question(&cache, Form::Json);
    let lease = lead(&cache, &fake, NOW);
    let follower = follow(&cache, &fake, &question, NOW);
    cache.abandon(&fake, lease);
    let Look::Lead(lease) = cache.look(&fake, &question, follower, later(10)) else { panic!() };
    assert!(matches!(cache.look(&fake, &question, follower, later(11)), Look::Wait));
    cache.abandon(&fake, lease);
}

#[test]
fn who_takes_the_lease_just_after_it_was_given_back_is_served() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let question = question(&cache, Form::Json);
    let lease = lead(&cache, &fake, NOW);
    miss(cache.lookup(&fake, &question, NOW));
    put(&cache, &fake, JSON, NOW).unwrap();
    cache.land(&fake, lease, true, NOW);
    assert!(matches!(cache.join(&fake, &question, NOW), Joined::Hit(_)));
    assert!(matches!(cache.join(&fake, &question, later(300_000)), Joined::Lead(_)));
}

#[test]
fn who_could_not_be_served_does_not_wait() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    for control in ["no-cache", "max-age=0"] {
        let question = ask(&cache, Form::Json, false, control).unwrap();
        assert_eq!(cache.join(&fake, &question, NOW), Joined::Alone, "{control}");
    }
    let patient = Cache { wait: Duration::ZERO, ..cache.clone() };
    assert_eq!(patient.join(&fake, &question(&cache, Form::Json), NOW), Joined::Alone);
}

#[test]
fn two_processes_share_through_the_second_level() {
    let (here, there, cache) = (Fake::new(), Fake::new(), cache(Mode::On));
    let question = question(&cache, Form::Json);
    let capture = captured(&cache, JSON);
    let entry = cache.entry(&question, &capture, true, Tokens::default(), NOW).unwrap();
    let call = webdis::store(&entry).unwrap();
    assert!(cache.fetch(&question).unwrap().path.contains(&question.key().to_string()));
    let answer = |body| webdis::Answer { status: 200, body };
    let hit =
        hit(cache.fetched(&there, &question, answer(call.body.clone()), later(5000)).unwrap());
    assert_eq!((hit.body(), hit.age_seconds, hit.ttl_seconds), (JSON, 5, 295));
    assert!(matches!(cache.lookup(&there, &question, later(5000)), Lookup::Hit(_)));
    let mut cut = call.body;
    cut.pop();
    let fault = cache.fetched(&here, &question, answer(cut), NOW).unwrap_err();
    assert_eq!(fault, webdis::Fault::Corrupt);
    let fault = cache.fetched(&here, &question, answer(vec![b' '; 5000]), NOW).unwrap_err();
    assert_eq!(fault, webdis::Fault::TooLarge);
    assert!(here.shared_keys().is_empty());
}

/// Whoever wrote it, and whatever gateway that was: the seal only says that it is whole.
#[test]
fn what_the_second_level_says_is_judged_like_an_answer() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let question = question(&cache, Form::Json);
    let good = Entry {
        key: question.key(),
        form: Form::Json,
        strips: false,
        status: 200,
        content_type: b"application/json",
        tokens: Tokens::default(),
        created: NOW,
        ttl: Ttl::new(Duration::from_secs(300)).unwrap(),
        body: JSON,
    };
    let stream =
        Entry { form: Form::Stream, content_type: b"text/event-stream", body: STREAM, ..good };
    let fetched = |entry: &Entry<'_>| {
        let body = webdis::store(entry).unwrap().body;
        cache.fetched(&fake, &question, webdis::Answer { status: 200, body }, NOW)
    };
    let cut = STREAM.strip_suffix(b"data: [DONE]\n\n").unwrap();
    let long = [b" ".repeat(4096), JSON.to_vec()].concat();
    for bad in [
        Entry { body: b"{}", ..good },
        Entry { body: b"[]", ..good },
        Entry { body: br#"{"choices":[]}"#, ..good },
        Entry { body: br#"{"error":{"message":"no"}}"#, ..good },
        Entry { body: &JSON[1..], ..good },
        Entry { body: &JSON[..50], ..good },
        Entry { body: STREAM, ..good },
        Entry { body: &long, ..good },
        Entry { status: 206, ..good },
        Entry { status: 500, ..good },
        Entry { content_type: b"text/html", ..good },
        Entry { content_type: b"text/event-stream", ..good },
        Entry { body: JSON, ..stream },
        Entry { body: cut, ..stream },
        Entry { content_type: b"application/x-ndjson", ..stream },
        Entry { key: &Key::from_bytes([1; 32]), ..good },
    ] {
        assert_eq!(fetched(&bad).unwrap_err(), webdis::Fault::Corrupt, "{bad:?}");
        assert!(fake.shared_keys().is_empty(), "{bad:?}");
    }
    assert_eq!(hit(fetched(&good).unwrap()).body(), JSON);

    // What it says of how to take the usage out of a stream is found out again.
    let spaced = String::from_utf8(STREAM.to_vec()).unwrap().replace(":[],", ": [],");
    let lies = Entry { strips: true, body: spaced.as_bytes(), created: later(1), ..stream };
    assert!(fetched(&lies).is_ok());
    let question = ask(&cache, Form::Stream, false, "").unwrap();
    let hit = hit(cache.lookup(&fake, &question, later(1)));
    assert!(!String::from_utf8_lossy(hit.body()).contains("usage"));
}

#[test]
fn a_host_that_fails_is_a_miss() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    let question = question(&cache, Form::Json);
    fake.fail_next(Call::Load, Status::InternalFailure);
    let missed = miss(cache.lookup(&fake, &question, NOW));
    assert_eq!(missed.skip, Some(Skip::Store));
    fake.fail_next(Call::Save, Status::InternalFailure);
    assert_eq!(put(&cache, &fake, JSON, NOW), Err(Skip::Store));
    fake.fail_next(Call::Fill, Status::InternalFailure);
    assert_eq!(cache.join(&fake, &question, NOW), Joined::Alone);
}

#[test]
fn a_sweep_tells_what_is_held() {
    let (fake, cache) = (Fake::new(), cache(Mode::On));
    put(&cache, &fake, JSON, NOW).unwrap();
    let sweeper = |id| Sweeper { id, born: NOW };
    assert_eq!(cache.sweep(&fake, sweeper(1), NOW).unwrap().entries, 1);
    assert_eq!(cache.sweep(&fake.worker(), sweeper(2), NOW), None);
    assert_eq!(cache.sweep(&fake, sweeper(1), later(300_000)).unwrap().entries, 0);
}
