//! What each check does, and in which phase.

use std::fmt::Debug;

use super::{BODY, Outcome, Phase};
use crate::host::{Buffer, Expect, Host, Map, MetricId, MetricKind, SafeValue, Status};

type Named<H> = (&'static str, fn(&H) -> Outcome);

pub(super) fn of<'a, H: Host + 'a>(phase: Phase) -> &'a [Named<H>] {
    match phase {
        Phase::RequestHeaders => &[
            ("header names are lower case", names_are_lower_case),
            ("header values are bytes", values_are_bytes),
            ("repeated headers are all there", repeated_headers),
            ("pseudo headers are headers", pseudo_headers),
            ("setting a header replaces every value", set_replaces),
            ("setting a header adds it, its name in lower case", set_adds),
            ("a header may be set to bytes", set_bytes),
            ("removing a header removes every value", remove_all),
            ("removing an absent header is no error", remove_absent),
            ("an absent map reads as empty", absent_map_is_empty),
            ("an absent map refuses to be written", absent_map_refuses),
            ("a body that has not come reads as empty", body_before_it_came),
            ("a configuration is not there in a stream", no_configuration),
            ("a property that is known is found", known_property),
            ("a property that is unknown is not found", unknown_property),
            ("filter state reads back under both its names", filter_state),
            ("filter state can be overwritten and emptied", filter_state_again),
            ("the route cache can be cleared", clear_route_cache),
            ("the clock goes forward from a plausible date", clock),
            ("random bytes differ, whatever the length", random),
            ("an absent key has no value", store_absent),
            ("only one of two creators wins", store_creators),
            ("only the first of two writers with one version wins", store_writers),
            ("an unconditional write always wins", store_anything),
            ("an absent key accepts any version", store_absent_any_version),
            ("an empty value is a present key without a value", store_empty),
            ("keys and values are bytes of any size", store_bytes),
            ("a counter counts up only", counter),
            ("a gauge goes up and down", gauge),
            ("a histogram records and has no value", histogram),
            ("two definitions of a name are one stat", defined_twice),
            ("an unknown metric is refused", unknown_metric),
        ],
        Phase::RequestBody => &[
            ("a request body can be read in parts", request_body_parts),
            ("a request body can be replaced and edited at its ends", request_body_splice),
            ("request headers can be set while they wait for the body", set_replaces),
        ],
        Phase::ResponseHeaders => &[
            ("the answer has its status", response_status),
            ("response headers can be set", response_set),
            ("the cause of an answer is a property", code_details),
            ("headers that a later callback let go can still be read", request_headers_late),
        ],
        Phase::Passed => {
            &[("headers that went on at once are neither read nor set", request_headers_gone)]
        }
        Phase::ResponseBody => &[
            ("a response body can be read in parts", response_body_parts),
            ("a response body can be replaced and edited at its ends", response_body_splice),
            ("response headers can be set while they wait for the body", response_set),
        ],
        Phase::Log => &[
            ("headers can be read in the log phase", log_headers),
            ("filter state can be set in the log phase", filter_state),
        ],
    }
}

fn names_are_lower_case<H: Host>(host: &H) -> Outcome {
    values(host, Map::RequestHeaders, "x-upper", &[b"Kept As It Is"])
}

fn values_are_bytes<H: Host>(host: &H) -> Outcome {
    values(host, Map::RequestHeaders, "x-bytes", &[b"\xff\xfe"])
}

fn repeated_headers<H: Host>(host: &H) -> Outcome {
    values(host, Map::RequestHeaders, "x-twice", &[b"one", b"two"])
}

fn pseudo_headers<H: Host>(host: &H) -> Outcome {
    values(host, Map::RequestHeaders, ":method", &[b"POST"])?;
    values(host, Map::RequestHeaders, ":path", &[b"/contract"])
}

fn set_replaces<H: Host>(host: &H) -> Outcome {
    set(host, Map::RequestHeaders, "x-twice", b"three")?;
    values(host, Map::RequestHeaders, "x-twice", &[b"three"])
}

fn set_adds<H: Host>(host: &H) -> Outcome {
    set(host, Map::RequestHeaders, "X-New", b"")?;
    values(host, Map::RequestHeaders, "x-new", &[b""])
}

fn set_bytes<H: Host>(host: &H) -> Outcome {
    set(host, Map::RequestHeaders, "x-new", b"\xff\xfe")?;
    values(host, Map::RequestHeaders, "x-new", &[b"\xff\xfe"])
}

fn remove_all<H: Host>(host: &H) -> Outcome {
    ok(host.remove_header(Map::RequestHeaders, b"x-twice"))?;
    values(host, Map::RequestHeaders, "x-twice", &[])
}

fn remove_absent<H: Host>(host: &H) -> Outcome {
    ok(host.remove_header(Map::RequestHeaders, b"x-never-sent"))
}

fn absent_map_is_empty<H: Host>(host: &H) -> Outcome {
    same(ok(host.headers(Map::ResponseHeaders))?.iter().count(), 0)
}

fn absent_map_refuses<H: Host>(host: &H) -> Outcome {
    let set = host.set_header(Map::ResponseHeaders, "x-new", SafeValue::literal("1"));
    same(set, Err(Status::BadArgument))?;
    same(host.remove_header(Map::ResponseHeaders, b"x-new"), Err(Status::BadArgument))
}

fn body_before_it_came<H: Host>(host: &H) -> Outcome {
    same(host.body(Buffer::RequestBody, 0, 100), Ok(Vec::new()))
}

fn no_configuration<H: Host>(host: &H) -> Outcome {
    same(host.body(Buffer::PluginConfiguration, 0, 100), Err(Status::NotFound))
}

fn known_property<H: Host>(host: &H) -> Outcome {
    same(host.property(&["request", "path"]), Ok(b"/contract".to_vec()))
}

fn unknown_property<H: Host>(host: &H) -> Outcome {
    same(host.property(&["never_set"]), Err(Status::NotFound))?;
    same(host.property(&["request", "no_such_attribute"]), Err(Status::NotFound))?;
    same(host.property(&["filter_state", "wasm.never_set"]), Err(Status::NotFound))
}

fn filter_state<H: Host>(host: &H) -> Outcome {
    ok(host.set_filter_state("llm_contract", b"\xff\0state"))?;
    same(host.property(&["llm_contract"]), Ok(b"\xff\0state".to_vec()))?;
    same(host.property(&["filter_state", "wasm.llm_contract"]), Ok(b"\xff\0state".to_vec()))
}

fn filter_state_again<H: Host>(host: &H) -> Outcome {
    for value in [&b"one"[..], b"two", b""] {
        ok(host.set_filter_state("llm_again", value))?;
        same(host.property(&["llm_again"]), Ok(value.to_vec()))?;
    }
    Ok(())
}

fn clear_route_cache<H: Host>(host: &H) -> Outcome {
    ok(host.clear_route_cache())
}

fn clock<H: Host>(host: &H) -> Outcome {
    let earlier = host.now();
    let later = host.now();
    holds(earlier.seconds() > 1_600_000_000, "it is before 2020")?;
    holds(later >= earlier, "the clock went back")
}

fn random<H: Host>(host: &H) -> Outcome {
    ok(host.fill(&mut []))?;
    let (mut one, mut two) = ([0; 32], [0; 32]);
    ok(host.fill(&mut one))?;
    ok(host.fill(&mut two))?;
    holds(one != two, "the same bytes twice")?;
    let mut long = vec![0; 100_000];
    ok(host.fill(&mut long))?;
    let last = long.rchunks(64).next().unwrap_or_default();
    holds(last.iter().any(|byte| *byte != 0), "the end was not filled")
}

fn store_absent<H: Host>(host: &H) -> Outcome {
    let found = ok(host.load(&fresh_key(host)?))?;
    same((found.value, found.version), (None, Expect::Absent))
}

fn store_creators<H: Host>(host: &H) -> Outcome {
    let key = fresh_key(host)?;
    ok(host.save(&key, b"one", Expect::Absent))?;
    same(host.save(&key, b"two", Expect::Absent), Err(Status::CasMismatch))?;
    same(ok(host.load(&key))?.value.as_deref(), Some(&b"one"[..]))
}

fn store_writers<H: Host>(host: &H) -> Outcome {
    let key = fresh_key(host)?;
    ok(host.save(&key, b"zero", Expect::Absent))?;
    let version = ok(host.load(&key))?.version;
    holds(version != Expect::Version(0), "0 means any version")?;
    ok(host.save(&key, b"one", version))?;
    same(host.save(&key, b"two", version), Err(Status::CasMismatch))?;
    let found = ok(host.load(&key))?;
    same(found.value.as_deref(), Some(&b"one"[..]))?;
    holds(found.version != version, "a write left the version as it was")
}

fn store_anything<H: Host>(host: &H) -> Outcome {
    let key = fresh_key(host)?;
    for value in [b"one", b"two"] {
        ok(host.save(&key, value, Expect::Anything))?;
        same(ok(host.load(&key))?.value.as_deref(), Some(&value[..]))?;
    }
    Ok(())
}

fn store_absent_any_version<H: Host>(host: &H) -> Outcome {
    let key = fresh_key(host)?;
    ok(host.save(&key, b"one", Expect::Version(1)))?;
    same(ok(host.load(&key))?.value.as_deref(), Some(&b"one"[..]))
}

fn store_empty<H: Host>(host: &H) -> Outcome {
    let key = fresh_key(host)?;
    ok(host.save(&key, b"", Expect::Absent))?;
    let found = ok(host.load(&key))?;
    same(found.value, None)?;
    holds(matches!(found.version, Expect::Version(_)), "the key counts as absent")?;
    ok(host.save(&key, b"one", found.version))
}

fn store_bytes<H: Host>(host: &H) -> Outcome {
    let mut key = fresh_key(host)?;
    key.extend(b"\0\xff");
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    ok(host.save(&key, &value, Expect::Absent))?;
    let found = ok(host.load(&key))?.value;
    ok(host.save(&key, b"", Expect::Anything))?;
    holds(found.as_deref() == Some(&value), "1 MiB came back changed")
}

fn counter<H: Host>(host: &H) -> Outcome {
    let id = ok(host.define(MetricKind::Counter, "llm_contract_counter"))?;
    let before = ok(host.value(id))?;
    ok(host.add(id, 3))?;
    same(host.add(id, 0), Err(Status::BadArgument))?;
    same(host.add(id, -1), Err(Status::BadArgument))?;
    same(host.value(id), Ok(before + 3))
}

fn gauge<H: Host>(host: &H) -> Outcome {
    let id = ok(host.define(MetricKind::Gauge, "llm_contract_gauge"))?;
    ok(host.record(id, 5))?;
    ok(host.add(id, 2))?;
    ok(host.add(id, -3))?;
    ok(host.add(id, 0))?;
    same(host.value(id), Ok(4))
}

fn histogram<H: Host>(host: &H) -> Outcome {
    let id = ok(host.define(MetricKind::Histogram, "llm_contract_histogram"))?;
    ok(host.record(id, 5))?;
    same(host.add(id, 1), Err(Status::BadArgument))?;
    same(host.value(id), Err(Status::BadArgument))
}

fn defined_twice<H: Host>(host: &H) -> Outcome {
    let one = ok(host.define(MetricKind::Counter, "llm_contract_twice"))?;
    let two = ok(host.define(MetricKind::Counter, "llm_contract_twice"))?;
    ok(host.add(one, 1))?;
    let before = ok(host.value(one))?;
    ok(host.add(two, 1))?;
    same(host.value(one), Ok(before + 1))
}

fn unknown_metric<H: Host>(host: &H) -> Outcome {
    let unknown = MetricId(0x7fff_fffc);
    holds(host.add(unknown, 1).is_err(), "it counted")?;
    holds(host.record(unknown, 1).is_err(), "it recorded")?;
    holds(host.value(unknown).is_err(), "it has a value")
}

fn request_body_parts<H: Host>(host: &H) -> Outcome {
    body_parts(host, Buffer::RequestBody)
}

fn response_body_parts<H: Host>(host: &H) -> Outcome {
    body_parts(host, Buffer::ResponseBody)
}

fn body_parts<H: Host>(host: &H, buffer: Buffer) -> Outcome {
    let part = |start, max| host.body(buffer, start, max);
    same(part(0, usize::MAX), Ok(BODY.to_vec()))?;
    same(part(3, 4), Ok(b"3456".to_vec()))?;
    same(part(7, 100), Ok(b"789".to_vec()))?;
    same(part(0, 0), Ok(Vec::new()))?;
    same(part(10, 1), Ok(Vec::new()))?;
    same(part(11, 1), Ok(Vec::new()))
}

fn request_body_splice<H: Host>(host: &H) -> Outcome {
    body_splice(host, Buffer::RequestBody)
}

fn response_body_splice<H: Host>(host: &H) -> Outcome {
    body_splice(host, Buffer::ResponseBody)
}

fn body_splice<H: Host>(host: &H, buffer: Buffer) -> Outcome {
    let splice = |start, len, bytes: &[u8], after: &[u8]| {
        ok(host.splice_body(buffer, start, len, bytes))?;
        same(host.body(buffer, 0, usize::MAX), Ok(after.to_vec()))
    };
    splice(0, 0, b"ab", b"ab0123456789")?;
    splice(12, 0, b"yz", b"ab0123456789yz")?;
    splice(100, 5, b"!", b"ab0123456789yz!")?;
    splice(0, usize::MAX, b"", b"")?;
    splice(0, 0, BODY, BODY)?;
    splice(0, 2, b"-", b"-23456789")?;
    splice(0, 9, b"new", b"new")?;
    for (start, len) in [(1, 0), (1, 1), (2, 100)] {
        same(host.splice_body(buffer, start, len, b"-"), Err(Status::BadArgument))?;
    }
    splice(0, 4, BODY, BODY)
}

fn response_status<H: Host>(host: &H) -> Outcome {
    values(host, Map::ResponseHeaders, ":status", &[b"200"])
}

fn response_set<H: Host>(host: &H) -> Outcome {
    set(host, Map::ResponseHeaders, "x-set", b"\xff")?;
    values(host, Map::ResponseHeaders, "x-set", &[b"\xff"])?;
    ok(host.remove_header(Map::ResponseHeaders, b"x-set"))?;
    values(host, Map::ResponseHeaders, "x-set", &[])
}

fn request_headers_gone<H: Host>(host: &H) -> Outcome {
    same(ok(host.headers(Map::RequestHeaders))?.iter().count(), 0)?;
    let set = host.set_header(Map::RequestHeaders, "x-late", SafeValue::literal("1"));
    same(set, Err(Status::BadArgument))
}

fn request_headers_late<H: Host>(host: &H) -> Outcome {
    values(host, Map::RequestHeaders, ":path", &[b"/contract"])
}

fn code_details<H: Host>(host: &H) -> Outcome {
    same(host.property(&["response", "code_details"]), Ok(b"direct_response".to_vec()))
}

fn log_headers<H: Host>(host: &H) -> Outcome {
    values(host, Map::RequestHeaders, ":path", &[b"/contract"])?;
    values(host, Map::ResponseHeaders, ":status", &[b"200"])
}

/// A key of shared data that nobody used, so that the suite can run again and again.
fn fresh_key<H: Host>(host: &H) -> Result<Vec<u8>, String> {
    let mut key = b"contract:0123456789abcdef".to_vec();
    ok(host.fill(key.get_mut(9..).unwrap_or_default()))?;
    Ok(key)
}

pub(super) fn set<H: Host>(host: &H, map: Map, name: &str, value: &[u8]) -> Outcome {
    let value = SafeValue::new(value).ok_or("not a safe value")?;
    ok(host.set_header(map, name, value))
}

fn values<H: Host>(host: &H, map: Map, name: &str, want: &[&[u8]]) -> Outcome {
    let headers = ok(host.headers(map))?;
    let named = headers.iter().filter(|(n, _)| *n == name.as_bytes());
    same(named.map(|(_, value)| value).collect::<Vec<_>>(), want.to_vec())
}

fn ok<T>(result: Result<T, Status>) -> Result<T, String> {
    result.map_err(|status| format!("refused: {status}"))
}

fn same<T: PartialEq + Debug>(got: T, want: T) -> Outcome {
    if got == want { Ok(()) } else { Err(format!("{got:?} instead of {want:?}")) }
}

fn holds(condition: bool, otherwise: &str) -> Outcome {
    if condition { Ok(()) } else { Err(otherwise.to_owned()) }
}
