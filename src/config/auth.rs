//! `auth`, `consumers` and `consumer_header`: who is calling.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::names::{self, LABEL, Reach, header_name, label};
use super::schema::Object;
use super::shown::Quoted;
use crate::identity::{Auth, CREDENTIAL_HEADERS, Consumer, Mode};
use crate::routing::Allow;

pub(super) fn read(root: &Object<'_>, reach: &Reach) -> Auth {
    let section = root.get("auth").map(|node| node.object(&["mode"]));
    let written = section.as_ref().and_then(|auth| auth.get("mode"));
    let mode = match &written {
        Some(node) => node.word(&MODES),
        None => Some(Mode::default()),
    };
    let header = root.get("consumer_header");
    let consumer_header = header.as_ref().and_then(|node| {
        node.text(CONSUMER_HEADER, |text| consumer_header(text).then(|| Box::from(text)))
    });
    let consumers = consumers(root, reach, header.is_some());
    match (root.get("consumers"), &header, mode) {
        (None, Some(_), _) => root.missing("consumers", "those that consumer_header names"),
        (None, None, Some(Mode::Optional | Mode::Required)) => {
            root.missing("consumers", "those that auth.mode is about");
        }
        (Some(_), None, Some(Mode::Off)) => match (written, &section) {
            (Some(node), _) => node.wrong(LOOKED_AT),
            (None, Some(auth)) => auth.missing("mode", LOOKED_AT),
            (None, None) => root.missing("auth", format_args!("a mode that is {LOOKED_AT}")),
        },
        _ => {}
    }
    Auth { mode: mode.unwrap_or_default(), consumers, consumer_header }
}

fn consumers(root: &Object<'_>, reach: &Reach, by_header: bool) -> Box<[Consumer]> {
    let section = root.get("consumers");
    let entries = section.map(|node| node.list("consumers", MAX_CONSUMERS)).unwrap_or_default();
    let (mut names, mut keys) = (BTreeMap::new(), BTreeMap::new());
    let consumers = entries.iter().filter_map(|node| {
        let object = node.object(&["name", "key_sha256", "models"]);
        let allow = object.get("models").map(|node| names::allow(&node, reach));
        let own = own_keys(&object, by_header, &mut keys);
        let node = object.need("name", LABEL)?;
        let name = node.text(LABEL, |text| label(text).then_some(text))?;
        if let Some(first) = names.insert(name, node.path().to_owned()) {
            node.mistake(Quoted(name), format_args!("another name than {first}"));
        }
        Some(Consumer { name: name.into(), keys: own, allow: allow.unwrap_or(Allow::Everything) })
    });
    consumers.collect()
}

fn own_keys(
    consumer: &Object<'_>,
    by_header: bool,
    seen: &mut BTreeMap<[u8; 32], String>,
) -> Box<[[u8; 32]]> {
    let node = match consumer.get("key_sha256") {
        None if by_header => return Box::default(),
        Some(node) if by_header => {
            node.mistake("a key", "none, as consumer_header is looked at instead of keys");
            return Box::default();
        }
        None => {
            consumer.need("key_sha256", KEY);
            return Box::default();
        }
        Some(node) => node.secret(),
    };
    let keys = node.one_or_more("SHA-256 digests", MAX_KEYS).into_iter().filter_map(|node| {
        let digest = node.text(KEY, sha256)?;
        if digest == <[u8; 32]>::from(Sha256::digest([])) {
            node.mistake("the digest of an empty key", KEY);
        } else if let Some(first) = seen.insert(digest, node.path().to_owned()) {
            node.mistake("a key", format_args!("another one than {first}"));
        }
        Some(digest)
    });
    keys.collect()
}

/// 64 hexadecimal digits.
fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(digit).ok()?;
        }
    }
    Some(digest)
}

fn consumer_header(name: &str) -> bool {
    let ours = name.starts_with("x-llm-") || CREDENTIAL_HEADERS.contains(&name);
    header_name(name) && !name.bytes().any(|b| b.is_ascii_uppercase()) && !ours
}

const MODES: [(&str, Mode); 3] =
    [("off", Mode::Off), ("optional", Mode::Optional), ("required", Mode::Required)];
const LOOKED_AT: &str = "optional or required, or a consumer_header: else nobody is a consumer";
const KEY: &str = "the SHA-256 of a key, 64 hexadecimal digits";
const CONSUMER_HEADER: &str =
    "a header name in lower case, none of credentials and none that begins with x-llm-";
const MAX_CONSUMERS: usize = 4096;
const MAX_KEYS: usize = 16;
