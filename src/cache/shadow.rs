//! Whether an answer that would have been served says what the fresh one says.

use serde_json::Value;

use super::capture::Capture;
use super::convert::convert;
use super::record::Form;
use super::serve::Hit;
use crate::protocol::Operation;

/// The answer that the cache would have served, beside the one that the provider gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    Same,
    Different,
    /// The fresh answer is not whole, or the two are of forms that cannot be compared.
    Unknown,
}

impl Comparison {
    pub const ALL: [Self; 3] = [Self::Same, Self::Different, Self::Unknown];

    pub fn label(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Unknown => "unknown",
        }
    }
}

/// Compares all but what no two answers share: ids, times, durations, and what they cost.
pub fn compare(operation: Operation, hit: &Hit, fresh: &Capture, complete: bool) -> Comparison {
    let Ok(fresh) = fresh.answer(complete) else { return Comparison::Unknown };
    let (form, body) = hit.stored();
    let both = (said(operation, form, body), said(operation, fresh.form, fresh.body));
    match both {
        (Some(stored), Some(fresh)) if complete => {
            if stored == fresh {
                Comparison::Same
            } else {
                Comparison::Different
            }
        }
        _ => Comparison::Unknown,
    }
}

fn said(operation: Operation, form: Form, body: &[u8]) -> Option<Value> {
    let mut value = match form {
        Form::Json => serde_json::from_slice(body).ok()?,
        Form::Stream => {
            let json = convert(operation, form, body, true).ok()?;
            serde_json::from_slice(&json).ok()?
        }
    };
    strip(&mut value);
    Some(value)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !VOLATILE.contains(&key.as_str()));
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

const VOLATILE: [&str; 18] = [
    "id",
    "call_id",
    "created",
    "created_at",
    "completed_at",
    "usage",
    "service_tier",
    "system_fingerprint",
    "signature",
    "encrypted_content",
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
    "context",
    "prompt_cache_key",
];
