//! When a provider wants to be asked again, in all the ways in which providers say it.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::retry_info;
use crate::host::{Pairs, Timestamp};

/// Milliseconds until the same request may pass, at most [`MAX_MILLIS`]; `None` if nothing that can
/// be believed says so. The first of these that does counts:
///
/// 1. `retry-after-ms`, then `retry-after`: seconds, or a date.
/// 2. The error's body: Google's `RetryInfo`, or the words "try again in 20s", "Please retry in 3s".
/// 3. When a limit that is used up comes back: `x-ratelimit-reset-*` as OpenAI and Groq write it,
///    `anthropic-ratelimit-*-reset`.
pub fn after(headers: &Pairs, body: &[u8], now: Timestamp) -> Option<u64> {
    let told = one(headers, "retry-after-ms", |value| number(value, 1))
        .or_else(|| one(headers, "retry-after", |value| seconds_or_date(value, now)))
        .or_else(|| in_body(body))
        .or_else(|| reset(headers, now));
    told.map(|millis| millis.min(MAX_MILLIS))
}

/// A header that stands there once: of several nobody knows which one counts.
fn one(headers: &Pairs, name: &str, read: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let mut values = headers.iter().filter(|(n, _)| *n == name.as_bytes());
    let (_, value) = values.next()?;
    let value = std::str::from_utf8(value).ok()?.trim();
    values.next().is_none().then(|| read(value)).flatten()
}

/// A plain decimal number of so many milliseconds each, rounded up; `None` above [`MAX_BELIEVED`].
fn number(text: &str, unit: u64) -> Option<u64> {
    let plain = |c: u8| c.is_ascii_digit() || c == b'.';
    if !text.bytes().all(plain) || !text.bytes().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let millis = text.parse::<f64>().ok()? * unit as f64;
    // Not negative, and below the bound: the cast is exact.
    (millis <= MAX_BELIEVED as f64).then(|| millis.ceil() as u64)
}

fn seconds_or_date(value: &str, now: Timestamp) -> Option<u64> {
    number(value, 1000).or_else(|| until(http_date(value)?, now))
}

fn until(at: u64, now: Timestamp) -> Option<u64> {
    let millis = at.saturating_mul(1000).saturating_sub(now.millis());
    (millis <= MAX_BELIEVED).then_some(millis)
}

/// The latest reset of those limits that have nothing left. A provider that says what is left of
/// none may have meant any of them: then nothing is said.
fn reset(headers: &Pairs, now: Timestamp) -> Option<u64> {
    let mut latest = None;
    for (name, value) in headers.iter() {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let (remaining, is_date) = if let Some(what) = name.strip_prefix("x-ratelimit-reset-") {
            (format!("x-ratelimit-remaining-{what}"), false)
        } else if let Some(what) =
            name.strip_prefix("anthropic-ratelimit-").and_then(|rest| rest.strip_suffix("-reset"))
        {
            (format!("anthropic-ratelimit-{what}-remaining"), true)
        } else {
            continue;
        };
        if headers.text(&remaining).map(str::trim) != Some("0") {
            continue;
        }
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let value = value.trim();
        let millis = match is_date {
            true => rfc3339(value).and_then(|at| until(at, now)),
            false => go_duration(value).or_else(|| number(value, 1000)),
        };
        latest = latest.max(millis);
    }
    latest
}

/// What an error's body says, which is a JSON document or text.
pub fn in_body(body: &[u8]) -> Option<u64> {
    let body = body.get(..body.len().min(MAX_BODY))?;
    detail(body).or_else(|| words(std::str::from_utf8(body).ok()?))
}

/// `{"error": {"details": [{"retryDelay": "3s"}]}}`, at times within a list.
fn detail(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        error: Option<Problem<'a>>,
    }
    #[derive(Deserialize)]
    struct Problem<'a> {
        #[serde(borrow)]
        details: Option<Vec<&'a RawValue>>,
    }
    #[derive(Deserialize)]
    struct Detail<'a> {
        #[serde(rename = "retryDelay")]
        retry_delay: Option<&'a str>,
    }
    let body: Body<'_> = match body.trim_ascii_start().first()? {
        b'[' => serde_json::from_slice::<Vec<Body<'_>>>(body).ok()?.into_iter().next()?,
        _ => serde_json::from_slice(body).ok()?,
    };
    let details = body.error?.details?;
    let details =
        details.iter().filter_map(|raw| serde_json::from_str::<Detail<'_>>(raw.get()).ok());
    details.filter_map(|detail| go_duration(detail.retry_delay?)).next()
}

/// An error in Gemini's shape that says when to come back, if it has not said so.
pub fn add_to_details(body: &[u8], millis: u64) -> Option<Vec<u8>> {
    if detail(body).is_some() {
        return None;
    }
    let mut root: Value = serde_json::from_slice(body).ok()?;
    let error = root.get_mut("error")?.as_object_mut()?;
    let details = error.entry("details").or_insert_with(|| Value::Array(Vec::new()));
    if !details.is_array() {
        *details = Value::Array(Vec::new());
    }
    details.as_array_mut()?.push(retry_info(millis));
    Some(root.to_string().into_bytes())
}

/// "Please try again in 20s." "Please retry in 3.2s."
fn words(text: &str) -> Option<u64> {
    WORDS.iter().find_map(|words| {
        let (_, rest) = text.split_once(words)?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        let word = rest.get(..end)?.trim_end_matches('.');
        go_duration(word).or_else(|| {
            // "in 20 seconds"
            let unit = rest.get(end..)?.trim_start();
            unit.starts_with("second").then(|| number(word, 1000)).flatten()
        })
    })
}

/// A duration as Go prints it: `1s`, `500ms`, `6m0s`, `1h2m3.5s`; in milliseconds, rounded up.
fn go_duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut all = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (amount, tail) = rest.split_at_checked(digits)?;
        // The unit.
        let end = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let millis = match unit {
            "h" => number(amount, 3_600_000),
            "m" => number(amount, 60_000),
            "s" => number(amount, 1000),
            "ms" => number(amount, 1),
            "us" | "µs" | "ns" => number(amount, 1).map(|_| 1),
            _ => None,
        };
        all = all.saturating_add(millis?);
        rest = tail;
    }
    (!text.is_empty() && all <= MAX_BELIEVED).then_some(all)
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`; the two older forms of RFC 9110 are read
/// too.
fn http_date(text: &str) -> Option<u64> {
    let rest = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let parts: Vec<&str> = rest.split([' ', '-']).filter(|part| !part.is_empty()).collect();
    let (day, month, year, time) = match parts.as_slice() {
        [day, month, year, time, "GMT" | "UTC"] => (day, month, year, time),
        // `Sun Nov  6 08:49:37 1994`
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let year: u64 = year.parse().ok()?;
    let year = match year {
        0..70 => year.saturating_add(2000),
        70..100 => year.saturating_add(1900),
        year => year,
    };
    seconds(year, u64::try_from(month).ok()?.saturating_add(1), day.parse().ok()?, time)
}

/// Seconds since 1970 of `2026-01-02T03:04:05Z`, with or without a fraction; other zones than UTC
/// are read too.
fn rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let mut next = || date.next()?.parse::<u64>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    let (time, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let (time, zone) = time.split_at_checked(at)?;
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let hours: i64 = hours.parse().ok().filter(|hours| *hours < 24)?;
            let minutes: i64 = minutes.parse().ok().filter(|minutes| *minutes < 60)?;
            let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60));
            (time, if zone.starts_with('-') { seconds } else { seconds.saturating_neg() })
        }
    };
    seconds(year, month, day, time)?.checked_add_signed(offset)
}

fn seconds(year: u64, month: u64, day: u64, time: &str) -> Option<u64> {
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let time = time.split('.').next()?;
    let mut parts = time.split(':');
    let mut next = |below: u64| parts.next()?.parse::<u64>().ok().filter(|part| *part < below);
    let (hour, minute, second) = (next(24)?, next(60)?, next(61)?);
    // Years that begin in March have their leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year / 400, year % 400);
    let day = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + year * 365 + year / 4 - year / 100 + day;
    Some(days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A caller is told to wait for a day at most.
pub const MAX_MILLIS: u64 = 86_400_000;

/// What is further away than a month is no wait but a mistake.
const MAX_BELIEVED: u64 = 2_678_400_000;

/// Of an error no more bytes than these are read.
const MAX_BODY: usize = 64 << 10;

const WORDS: [&str; 3] = ["ry again in ", "etry in ", "etry after "];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-02T03:04:05.500Z
    const NOW: Timestamp = Timestamp(1_767_323_045_500_000_000);

    type Sent<'a> = &'a [(&'a str, &'a str)];

    fn told(headers: Sent<'_>, body: &str) -> Option<u64> {
        after(&headers.iter().copied().collect(), body.as_bytes(), NOW)
    }

    #[test]
    fn every_way_of_saying_it_is_understood() {
        let cases: &[(Sent<'_>, &str, u64)] = &[
            (&[("retry-after", "7")], "", 7000),
            (&[("retry-after", "0")], "", 0),
            (&[("retry-after", " 1.5 ")], "", 1500),
            (&[("retry-after-ms", "1234"), ("retry-after", "9")], "", 1234),
            (&[("retry-after-ms", "0.5")], "", 1),
            (&[("retry-after", "Fri, 02 Jan 2026 03:04:15 GMT")], "", 9500),
            (&[("retry-after", "Friday, 02-Jan-26 03:04:15 GMT")], "", 9500),
            (&[("retry-after", "Fri Jan  2 03:04:15 2026")], "", 9500),
            (&[("retry-after", "Fri, 02 Jan 2026 03:04:00 GMT")], "", 0),
            (
                &[("x-ratelimit-reset-tokens", "6m0s"), ("x-ratelimit-remaining-tokens", "0")],
                "",
                360_000,
            ),
            (
                &[
                    ("x-ratelimit-reset-requests", "1s"),
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-tokens", "2m59.56s"),
                    ("x-ratelimit-remaining-tokens", "0"),
                ],
                "",
                179_560,
            ),
            (
                &[("x-ratelimit-reset-requests", "12"), ("x-ratelimit-remaining-requests", "0")],
                "",
                12_000,
            ),
            (
                &[
                    ("anthropic-ratelimit-tokens-reset", "2026-01-02T03:05:00Z"),
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                ],
                "",
                54_500,
            ),
            (
                &[
                    ("anthropic-ratelimit-tokens-reset", "2026-01-02T04:05:00+01:00"),
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                ],
                "",
                54_500,
            ),
            (
                &[],
                r#"{"error":{"code":429,"message":"q","details":[{"@type":"x","quotaId":"y"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3.25s"}]}}"#,
                3250,
            ),
            (&[], r#"[{"error":{"details":[{"retryDelay":"34s"}]}}]"#, 34_000),
            (
                &[],
                r#"{"error":{"message":"Rate limit reached. Please try again in 20s. Visit ..."}}"#,
                20_000,
            ),
            (&[], r#"{"error":{"message":"Please try again in 6m0s."}}"#, 360_000),
            (&[], r#"{"error":{"message":"Please retry in 17.09s."}}"#, 17_090),
            (&[], "Try again in 500ms", 500),
            (&[], "Please retry after 30 seconds.", 30_000),
        ];
        for (headers, body, millis) in cases {
            assert_eq!(told(headers, body), Some(*millis), "{headers:?} {body}");
        }
    }

    #[test]
    fn what_cannot_be_meant_says_nothing() {
        let values = [
            "",
            " ",
            "-1",
            "soon",
            "18446744073709551616",
            "1e9",
            "0x10",
            "1, 2",
            "NaN",
            "inf",
            ".",
            "Fri, 02 Jan 9999 03:04:15 GMT",
            "Fri, 32 Jan 2026 03:04:15 GMT",
            "2026-01-02",
            "+5",
        ];
        for value in values {
            assert_eq!(told(&[("retry-after", value)], ""), None, "{value}");
            assert_eq!(told(&[("retry-after-ms", value)], ""), None, "{value}");
        }
        assert_eq!(told(&[("retry-after", "1"), ("retry-after", "2")], ""), None);
        // Nobody said that this limit is the one.
        assert_eq!(told(&[("x-ratelimit-reset-tokens", "6m0s")], ""), None);
        for body in [
            "",
            "null",
            "[]",
            r#"{"error":{"details":[1,{"retryDelay":"x"}]}}"#,
            "try again in a while",
        ] {
            assert_eq!(told(&[], body), None, "{body}");
        }
    }

    #[test]
    fn what_gemini_did_not_say_is_added_once() {
        let body = br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x"}]}}"#;
        let added = add_to_details(body, 1000).unwrap();
        assert_eq!(in_body(&added), Some(1000));
        let value: Value = serde_json::from_slice(&added).unwrap();
        assert_eq!(value["error"]["details"][0]["@type"], "x");
        assert_eq!(add_to_details(&added, 5), None);
        for body in [&br#"{"error":{"code":429}}"#[..], br#"{"error":{"details":null}}"#] {
            assert_eq!(in_body(&add_to_details(body, 1000).unwrap()), Some(1000));
        }
        assert_eq!(add_to_details(b"no", 1000), None);
    }

    #[test]
    fn nobody_is_told_to_wait_for_longer_than_a_day() {
        assert_eq!(told(&[("retry-after", "172800")], ""), Some(MAX_MILLIS));
        assert_eq!(told(&[("retry-after", "86400")], ""), Some(MAX_MILLIS));
        assert_eq!(told(&[("retry-after", "5356800")], ""), None);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            ("Sat, 01 Jan 2000 00:00:00 GMT", 946_684_800),
        ] {
            assert_eq!(http_date(text), Some(seconds), "{text}");
        }
        assert_eq!(rfc3339("2024-02-29T23:59:59.9Z"), Some(1_709_251_199));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_all_is_bounded(value in ".{0,40}", body in ".{0,80}") {
            let headers = [
                ("retry-after", value.as_str()),
                ("x-ratelimit-reset-a", value.as_str()),
                ("x-ratelimit-remaining-a", "0"),
                ("anthropic-ratelimit-a-reset", value.as_str()),
                ("anthropic-ratelimit-a-remaining", "0"),
            ];
            prop_assert!(told(&headers, &body).unwrap_or(0) <= MAX_MILLIS);
        }
    }
}
