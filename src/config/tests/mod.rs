//! Every configuration is read as JSON, as the bytes of a Struct, and as what Envoy makes of YAML.

mod gateway;
mod mistakes;
mod provider;
mod wire;

use serde_json::{Value as Json, json};

use super::*;

/// The bytes of a `google.protobuf.Struct`.
fn structure(object: &serde_json::Map<String, Json>) -> Vec<u8> {
    let entry = |(key, value): (&String, &Json)| {
        bytes_field(1, &[bytes_field(1, key.as_bytes()), bytes_field(2, &value_of(value))].concat())
    };
    object.iter().map(entry).collect::<Vec<_>>().concat()
}

fn value_of(value: &Json) -> Vec<u8> {
    match value {
        Json::Null => vec![1 << 3, 0],
        Json::Bool(flag) => vec![4 << 3, u8::from(*flag)],
        Json::Number(number) => {
            let bits = number.as_f64().unwrap().to_le_bytes();
            [&[2 << 3 | 1][..], &bits].concat()
        }
        Json::String(text) => bytes_field(3, text.as_bytes()),
        Json::Object(object) => bytes_field(5, &structure(object)),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| bytes_field(1, &value_of(item))).collect();
            bytes_field(6, &items.concat())
        }
    }
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        field.push(0x80 | length as u8);
        length >>= 7;
    }
    field.push(length as u8);
    [&field, bytes].concat()
}

fn spellings(config: &Json) -> [Vec<u8>; 3] {
    let mut yaml = config.clone();
    as_envoy_reads_yaml(&mut yaml);
    let [config_object, yaml] = [config, &yaml].map(|json| structure(json.as_object().unwrap()));
    [config.to_string().into(), config_object, yaml]
}

/// Fractions and large numbers become text, `on` and `off` booleans.
fn as_envoy_reads_yaml(value: &mut Json) {
    match value {
        Json::Number(number) if number.as_i64().is_none_or(|n| i32::try_from(n).is_err()) => {
            *value = number.to_string().into();
        }
        Json::String(text) if text == "on" => *value = true.into(),
        Json::String(text) if text == "off" => *value = false.into(),
        Json::Array(items) => items.iter_mut().for_each(as_envoy_reads_yaml),
        Json::Object(object) => object.values_mut().for_each(as_envoy_reads_yaml),
        _ => {}
    }
}

/// What `read` makes of every spelling, which must be the same.
fn read_all<T: std::fmt::Debug>(
    config: &Json,
    read: impl Fn(&[u8]) -> Result<T, Mistakes>,
) -> Result<T, Mistakes> {
    let [first, others @ ..] = spellings(config).map(|bytes| read(&bytes));
    for other in others {
        assert_eq!(format!("{other:#?}"), format!("{first:#?}"), "{config}");
    }
    first
}

fn lines<T>(result: Result<T, Mistakes>) -> Vec<String> {
    result.err().iter().flat_map(|mistakes| mistakes.iter()).map(ToString::to_string).collect()
}

/// `config` with the members of `change` instead of its own; those that are null are left out.
fn changed(config: &Json, change: &Json) -> Json {
    let mut config = config.clone();
    let object = config.as_object_mut().unwrap();
    for (key, value) in change.as_object().unwrap() {
        match value {
            Json::Null => object.remove(key),
            value => object.insert(key.clone(), value.clone()),
        };
    }
    config
}

fn minimal() -> Json {
    json!({"providers": {"openai": {"models": ["gpt-4o", "o1-*"]}}})
}

const KEY: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
