//! When a provider wants to be asked again.

use llm_gateway::host::{Pairs, Timestamp};
use llm_gateway::protocol::retry::{MAX_MILLIS, add_to_details, after, in_body};
use serde_json::Value;

use super::attempts::lines;

/// Whatever a provider says, nobody waits longer than is believed, and what is told is what was said.
pub(crate) fn retries(data: &[u8]) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &b""[..]),
    };
    let all: Vec<_> = lines(head).collect();
    let headers = Pairs::from_abi(Pairs::encode(all.iter().map(|(n, v)| (&**n, &**v))));
    let now = Timestamp(1_800_000_000_000_000_000);
    let told = after(&headers, body, now);
    assert!(told.is_none_or(|millis| millis <= MAX_MILLIS));
    // Later it is no longer than it was.
    let later = after(&headers, body, Timestamp(now.0 + 30_000_000_000));
    if let (Some(told), Some(later)) = (told, later) {
        assert!(later <= told || told < MAX_MILLIS, "{later} after {told}");
    }
    // A plain number counts before all that a body says.
    let seconds = u64::from(data.first().copied().unwrap_or_default());
    let plain = seconds.to_string();
    let plain =
        Pairs::from_abi(Pairs::encode([(&b"retry-after"[..], plain.as_bytes())].into_iter()));
    assert_eq!(after(&plain, body, now), Some(seconds * 1000));
    if let Some(with) = add_to_details(body, seconds * 1000) {
        assert!(serde_json::from_slice::<Value>(&with).is_ok());
        assert_eq!(in_body(&with), Some(seconds * 1000));
    }
}
