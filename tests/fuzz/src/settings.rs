//! Configurations, as text and as Envoy's protobuf.

use llm_gateway::config::{Gateway, MAX_BYTES, MAX_DEPTH, Mistakes, Provider};
use serde_json::Value;

/// Any bytes are a configuration or have at least one named mistake; YAML and JSON are the same.
pub(crate) fn config(data: &[u8]) {
    let gateway = |bytes: &[u8]| told(Gateway::from_bytes(bytes).map(drop));
    let provider =
        |bytes: &[u8]| told(Provider::from_bytes(bytes, &|name| Some(name.to_owned())).map(drop));
    let read = [gateway(data), provider(data)];
    for mistakes in read.iter().flatten() {
        assert!(!mistakes.is_empty());
        // Each is one line of a log.
        assert!(mistakes.iter().all(|line| !line.is_empty() && !line.contains(['\r', '\n'])));
    }
    let Ok(value @ Value::Object(_)) = serde_json::from_slice(data) else { return };
    let mut structure = Vec::new();
    fields(&value, &mut structure);
    if structure.len() > MAX_BYTES || depth(&value) > MAX_DEPTH {
        return;
    }
    // Very large numbers may be off by one in their last binary digit, once read from text again.
    let text = value.to_string();
    if !serde_json::from_str::<Value>(&text).is_ok_and(|again| again == value) {
        return;
    }
    assert_eq!(gateway(&structure), gateway(text.as_bytes()));
    assert_eq!(provider(&structure), provider(text.as_bytes()));
}

fn told(read: Result<(), Mistakes>) -> Option<Vec<String>> {
    read.err().map(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

/// The fields of a `google.protobuf.Struct`.
fn fields(object: &Value, out: &mut Vec<u8>) {
    for (key, value) in object.as_object().into_iter().flatten() {
        let mut entry = Vec::new();
        message(1, key.as_bytes(), &mut entry);
        message(2, &encoded(value), &mut entry);
        message(1, &entry, out);
    }
}

/// A `google.protobuf.Value`.
fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Null => out.extend([1 << 3, 0]),
        Value::Number(number) => {
            out.push(2 << 3 | 1);
            out.extend(number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Value::String(text) => message(3, text.as_bytes(), &mut out),
        Value::Bool(truth) => out.extend([4 << 3, u8::from(*truth)]),
        Value::Object(_) => {
            let mut inner = Vec::new();
            fields(value, &mut inner);
            message(5, &inner, &mut out);
        }
        Value::Array(items) => {
            let mut list = Vec::new();
            items.iter().for_each(|item| message(1, &encoded(item), &mut list));
            message(6, &list, &mut out);
        }
    }
    out
}

fn message(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}
