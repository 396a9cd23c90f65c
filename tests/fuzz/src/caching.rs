//! What the cache takes for the same request, and what it takes for a record.

use std::time::Duration;

use llm_gateway::cache::canonical::Canonical;
use llm_gateway::cache::key::{Key, Subject, Tenant};
use llm_gateway::cache::record::{self, Entry, Form, Record, Tokens, Ttl};
use llm_gateway::host::{Pairs, Timestamp};
use llm_gateway::protocol::Operation;
use serde_json::Value;

/// Another spelling of a request has its key, another request has not.
pub(crate) fn canonical(data: &[u8]) {
    let Some((&seed, json)) = data.split_first() else { return };
    let Ok(one) = Canonical::of(json) else { return };
    let headers = Pairs::default();
    let subject = Subject {
        tenant: Tenant::Global,
        host: b"",
        operation: Operation::Chat,
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
    let key = |body: &[u8]| Key::of(&subject, body);

    let spelled = respelled(json, seed);
    assert_eq!(Canonical::of(&spelled).expect("the same document"), one);
    assert_eq!(key(&spelled), key(json));

    let Ok(value) = serde_json::from_slice::<Value>(json) else { return };
    if !has_float(&value) {
        // With sorted members.
        let sorted = value.to_string();
        assert_eq!(Canonical::of(sorted.as_bytes()).expect("the same document"), one);
    }
    let mut other = json.to_vec();
    let at = usize::from(seed) % other.len();
    other[at] = other[at].wrapping_add(1);
    if let (Ok(two), Ok(changed)) = (Canonical::of(&other), serde_json::from_slice(&other)) {
        let _: &Value = &changed;
        assert!(one != two || changed == value, "two documents, one spelling");
    }
}

/// White space between tokens and escapes in strings.
fn respelled(json: &[u8], seed: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut in_string = false;
    // How many of the next bytes belong to an escape.
    let mut escaped = 0;
    for (at, &byte) in json.iter().enumerate() {
        let chosen = (at ^ usize::from(seed)) % 3 == 0;
        match byte {
            _ if escaped > 0 => {
                escaped = if byte == b'u' && json[at - 1] == b'\\' { 4 } else { escaped - 1 };
                out.push(byte);
            }
            b'\\' if in_string => {
                escaped = 1;
                out.push(byte);
            }
            b'"' => {
                in_string = !in_string;
                out.push(byte);
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' if !in_string && chosen => {
                out.extend_from_slice(&[b' ', byte, b'\n', b'\t']);
            }
            b' '..=b'~' if in_string && chosen => {
                out.extend_from_slice(format!("\\u{byte:04X}").as_bytes());
            }
            _ => out.push(byte),
        }
    }
    out
}

fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(members) => members.values().any(has_float),
        _ => false,
    }
}

/// A record is what was written or nothing.
pub(crate) fn record(data: &[u8]) {
    if let Some(record) = Record::parse(data.to_vec()) {
        assert!(record.content_type().len() + record.body().len() <= data.len());
        let _ = (record.age_seconds(Timestamp(u64::MAX)), record.ttl_seconds(Timestamp(0)));
        if let Some(entry) = record.entry(Timestamp(0)) {
            let again = Record::parse(entry.encode().expect("lengths that fitted")).expect("whole");
            assert_eq!(
                (again.body(), again.content_type()),
                (record.body(), record.content_type())
            );
        }
    }
    let _ = record::unseal(data.to_vec());

    let [length, status, flip, rest @ ..] = data else { return };
    let (content_type, body) = rest.split_at(usize::from(*length).min(rest.len()));
    let key = Key::from_bytes([*flip; 32]);
    let entry = Entry {
        key: &key,
        form: if status & 1 == 0 { Form::Json } else { Form::Stream },
        status: u16::from(*status) * 2,
        strips: status & 2 == 2,
        content_type,
        tokens: Tokens { input: 1, cached_input: 2, output: 3, reasoning: 4 },
        created: Timestamp(1_000_000_000),
        ttl: Ttl::new(Duration::from_secs(u64::from(*flip) + 1)).expect("a second or more"),
        body,
    };
    let bytes = entry.encode().expect("lengths that fit");
    let read = Record::parse(bytes.clone()).expect("what was written");
    assert_eq!((read.body(), read.content_type()), (body, content_type));
    assert_eq!((read.status, read.form, read.key), (entry.status, entry.form, key));
    assert_eq!(Record::parse(bytes[..bytes.len() - 1].to_vec()), None);

    let mut sealed = record::seal(bytes);
    assert_eq!(record::unseal(sealed.clone()), Some(read));
    let at = usize::from(*flip) % sealed.len();
    sealed[at] ^= 1;
    assert_eq!(record::unseal(sealed), None);
}
