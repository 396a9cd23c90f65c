//! Who passes, and what a provider sees of it: thousands of combinations of method, path, content
//! type, credential and protocol, against servers that read paths and bodies as real ones do.

mod contract;
mod rows;
mod send;
mod values;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::wait_for;

use contract::{Upstream, Verdict, canonical, verdicts};
use rows::{Caller, Door, Row};
use send::{Answer, all_of, one_of};
use values::{FULL, NARROW, SPENT, UNWANTED, credentials};
use world::{PROVIDERS, Seen, World};

#[test]
fn nobody_passes_the_gate_and_no_provider_sees_what_is_not_its_own() {
    let world = World::start();
    let rows = rows::all();
    assert!(rows.len() > 3000, "{} rows", rows.len());
    spend_what_there_is(&world);
    let begun = Instant::now();
    let answers = all_of(&world, &rows);
    let taken = begun.elapsed();
    let (mut seen, of_nobody) = world.seen();
    let mut broken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (number, (row, answer)) in rows.iter().zip(&answers).enumerate() {
        let seen = seen.remove(&number).unwrap_or_default();
        for why in complaints(row, answer, &seen) {
            broken.entry(why).or_default().push(shown(row, answer, &seen));
        }
    }
    for record in of_nobody.iter().chain(seen.values().flatten()) {
        broken
            .entry("a request of nobody reached a server".into())
            .or_default()
            .push(record.text.clone());
    }
    println!("{} rows in {:.1} s", rows.len(), taken.as_secs_f64());
    let told = broken.iter().map(|(why, rows)| {
        let some = rows.iter().take(SHOWN).map(|row| format!("\n    {row}"));
        format!("{why}: {} rows{}", rows.len(), some.collect::<String>())
    });
    let told: Vec<_> = told.collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    let reloads = world.envoy.admin().stats("vm_reload").unwrap();
    assert!(!reloads.is_empty() && reloads.values().all(|count| *count == 0), "{reloads:?}");
    // No key in any log either.
    for text in [world.envoy.log(), format!("{:?}", world.envoy.access_log())] {
        for secret in secrets() {
            assert!(!text.contains(&secret), "{secret} in a log");
        }
    }
}

/// After this the caller `spent` has nothing left at any door.
fn spend_what_there_is(world: &World) {
    for door in [Door::Closed, Door::Open, Door::Trusted] {
        let credential = credentials(door)[0];
        let row = Row { caller: SPENT, credential, ..rows::all()[0].clone() };
        let row = Row { door, ..row };
        let used = || Ok((one_of(world, usize::MAX, &row).status == 429).then_some(()));
        wait_for("the end of what may be spent", Duration::from_secs(10), used).unwrap();
    }
    world.seen();
}

/// What is wrong with a row; nothing if all is well.
fn complaints(row: &Row, answer: &Answer, seen: &[Seen]) -> Vec<String> {
    let mut all = Vec::new();
    let possible = verdicts(row);
    if !possible.iter().any(|verdict| fits(row, verdict, answer, seen)) {
        all.push(format!("neither of {possible:?}", possible = brief(&possible)));
    }
    for secret in secrets() {
        if answer.text.contains(&secret) {
            all.push("a key in an answer".into());
        }
    }
    for (name, value) in &answer.headers {
        let ours = ["x-llm-provider-request-id"].contains(&&**name);
        let theirs = name == "set-cookie"
            || name.starts_with("x-llm-") && !ours
            || value.contains("of-the-provider");
        if theirs {
            all.push(format!("the caller sees the provider's {name}"));
        }
    }
    if answer.status >= 400
        && row.method != "HEAD"
        && seen.is_empty()
        && !answer.text.contains("error")
    {
        all.push("a refusal that says nothing".into());
    }
    all.extend(seen.iter().flat_map(|record| seen_wrongly(row, record)));
    all
}

fn fits(row: &Row, verdict: &Verdict, answer: &Answer, seen: &[Seen]) -> bool {
    verdict.statuses.contains(&answer.status)
        && match &verdict.upstream {
            Upstream::Nothing => seen.is_empty(),
            Upstream::Passed => seen.len() <= 1,
            Upstream::Call(provider, path) => match seen {
                [one] => {
                    let served = one.served.as_deref();
                    one.method == "POST"
                        && canonical(&one.path).eq_ignore_ascii_case(path)
                        && (!path.starts_with("/v1/") || one.path.starts_with("/v1/"))
                        && served.is_none_or(|model| model == row.model)
                        && row.model.starts_with(provider)
                }
                _ => false,
            },
        }
}

/// What no server may see, whatever the row is.
fn seen_wrongly(row: &Row, seen: &Seen) -> Vec<String> {
    let mut all = Vec::new();
    let good = row.credential.is_good || row.credential.in_query == Some(true);
    if !good {
        all.push("a caller without a credential reached a provider".into());
    }
    for Caller { key, .. } in [FULL, NARROW, SPENT] {
        if seen.text.contains(key) {
            all.push("the gateway's own key reached a provider".into());
        }
    }
    for (name, value) in UNWANTED {
        if seen.header(name).is_some()
            || seen.headers.iter().any(|(_, there)| there == value && value.contains("caller"))
        {
            all.push(format!("{name} reached a provider"));
        }
    }
    if let Some((name, _)) = seen
        .headers
        .iter()
        .find(|(name, _)| name.starts_with("x-llm-") || name.starts_with("x-forwarded-"))
    {
        all.push(format!("{name} reached a provider"));
    }
    let keys: Vec<_> = PROVIDERS
        .iter()
        .filter(|(name, ..)| seen.text.contains(&format!("key-of-{name}")))
        .collect();
    match keys[..] {
        [(name, _, header)] => {
            let right = seen.header(header).is_some_and(|value| {
                value.trim_start_matches("Bearer ") == format!("key-of-{name}")
            });
            let passed = *name == "fast" && !row.model.starts_with(name);
            if !right || !(row.model.starts_with(name) || passed) {
                all.push("the key of another provider".into());
            }
        }
        _ => all.push(format!("{} operators' keys", keys.len())),
    }
    if let Some(model) = &seen.served
        && !row.caller.may_ask(model)
        && row.door != Door::Open
    {
        all.push("a model that the caller may not ask for".into());
    }
    if row.caller.name == SPENT.name {
        all.push("a caller who has nothing left reached a provider".into());
    }
    all
}

fn secrets() -> Vec<String> {
    let callers = [FULL, NARROW, SPENT].map(|caller| caller.key.to_owned());
    let operators = PROVIDERS.map(|(name, ..)| format!("key-of-{name}"));
    callers.into_iter().chain(operators).collect()
}

fn brief(verdicts: &[Verdict]) -> Vec<(&'static [u16], &'static str)> {
    let brief = |verdict: &Verdict| match verdict.upstream {
        Upstream::Nothing => (verdict.statuses, "nothing upstream"),
        Upstream::Passed => (verdict.statuses, "passed"),
        Upstream::Call(..) => (verdict.statuses, "one call upstream"),
    };
    verdicts.iter().map(brief).collect()
}

fn shown(row: &Row, answer: &Answer, seen: &[Seen]) -> String {
    let paths: Vec<_> =
        seen.iter().map(|record| (&record.method, &record.path, &record.served)).collect();
    let text: String = answer.text.chars().take(150).collect();
    format!(
        "{:?} {} {} {:?} {:?}, {}, {}, {} for {}: {} {paths:?} {text}",
        row.door,
        row.method,
        row.target(),
        row.body,
        row.content_types,
        row.credential.name,
        row.caller.name,
        if row.http2 { "h2" } else { "h1" },
        row.model,
        answer.status,
    )
}

/// Of rows that fail in one way.
const SHOWN: usize = 5;
