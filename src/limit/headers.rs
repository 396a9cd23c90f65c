//! The rate limit headers of answers, as OpenAI and Anthropic write them.

use std::fmt::{self, Write};

use super::gcra::Standing;
use super::reservation::Standings;
use crate::error::Retry;
use crate::host::{Rfc3339, SafeValue, Timestamp};
use crate::protocol::Dialect;

/// Header names and values, the values in one buffer.
#[derive(Clone, Debug, Default)]
pub struct RateHeaders {
    text: String,
    /// Each name with the end of its value.
    names: Vec<(&'static str, usize)>,
}

impl RateHeaders {
    /// OpenAI's for every caller, as most tools read them; Anthropic's for callers who speak that.
    pub fn new(standings: &Standings, dialect: Dialect, now: Timestamp) -> Self {
        let mut headers = Self::default();
        let Standings { requests, tokens } = standings;
        headers.openai(requests, &OPENAI_REQUESTS);
        headers.openai(tokens, &OPENAI_TOKENS);
        if dialect == Dialect::Anthropic {
            headers.anthropic(requests, &ANTHROPIC_REQUESTS, now);
            // A limit of all tokens binds the tokens of each kind.
            for names in &ANTHROPIC_TOKENS {
                headers.anthropic(tokens, names, now);
            }
        }
        headers
    }

    pub fn retry(&mut self, retry: Retry) {
        match retry {
            Retry::Unspecified => {}
            Retry::AfterMillis(millis) => {
                self.push("retry-after", millis.div_ceil(1000));
                self.push("retry-after-ms", millis);
            }
            Retry::Never => self.push("x-should-retry", false),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, SafeValue<'_>)> {
        let starts = std::iter::once(0).chain(self.names.iter().map(|(_, end)| *end));
        self.names.iter().zip(starts).filter_map(|((name, end), start)| {
            Some((*name, SafeValue::new(self.text.get(start..*end)?.as_bytes())?))
        })
    }

    fn openai(&mut self, standing: &Option<Standing>, [limit, remaining, reset]: &Names) {
        let Some(standing) = standing else { return };
        self.push(limit, standing.limit);
        self.push(remaining, standing.remaining);
        self.push(reset, GoDuration(millis(standing.reset)));
    }

    fn anthropic(
        &mut self,
        standing: &Option<Standing>,
        [limit, remaining, reset]: &Names,
        now: Timestamp,
    ) {
        let Some(standing) = standing else { return };
        let at = Timestamp(now.0.saturating_add(standing.reset));
        self.push(limit, standing.limit);
        self.push(remaining, standing.remaining);
        let at = Timestamp(at.0.div_ceil(NANOS).saturating_mul(NANOS));
        self.push(reset, format_args!("{:.0}", Rfc3339(at)));
    }

    fn push(&mut self, name: &'static str, value: impl fmt::Display) {
        if self.names.is_empty() {
            self.text.reserve(256);
        }
        // Writing to a `String` does not fail.
        let _ = write!(self.text, "{value}");
        self.names.push((name, self.text.len()));
    }
}

/// Whole milliseconds, rounded up: who waits that long has waited long enough.
pub(super) fn millis(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000)
}

/// Milliseconds as Go prints durations: `0s`, `120ms`, `51.189s`, `6m0s`, `24h0m0s`.
pub(super) struct GoDuration(pub(super) u64);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(millis) = *self;
        if (1..1000).contains(&millis) {
            return write!(f, "{millis}ms");
        }
        let (minutes, millis) = (millis / 60_000, millis % 60_000);
        match (minutes / 60, minutes % 60) {
            (0, 0) => {}
            (0, minutes) => write!(f, "{minutes}m")?,
            (hours, minutes) => write!(f, "{hours}h{minutes}m")?,
        }
        match (millis / 1000, millis % 1000) {
            (seconds, 0) => write!(f, "{seconds}s"),
            (seconds, fraction) => {
                let (mut fraction, mut digits) = (fraction, 3);
                while fraction % 10 == 0 {
                    (fraction, digits) = (fraction / 10, digits - 1);
                }
                write!(f, "{seconds}.{fraction:0digits$}s")
            }
        }
    }
}

const NANOS: u64 = 1_000_000_000;

type Names = [&'static str; 3];

const OPENAI_REQUESTS: Names =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const OPENAI_TOKENS: Names =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
const ANTHROPIC_REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const ANTHROPIC_TOKENS: [Names; 3] = [
    [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
    [
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ],
    [
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(remaining: u64, reset_millis: u64) -> Option<Standing> {
        Some(Standing {
            limit: 60,
            used: 60 - remaining,
            remaining,
            reset: reset_millis * 1_000_000,
        })
    }

    fn written(headers: &RateHeaders) -> Vec<(&'static str, String)> {
        headers
            .iter()
            .map(|(name, value)| (name, String::from_utf8(value.as_bytes().to_vec()).unwrap()))
            .collect()
    }

    #[test]
    fn openai_callers_see_openai_headers() {
        let standings = Standings { requests: standing(59, 1000), tokens: standing(0, 360_000) };
        let mut headers = RateHeaders::new(&standings, Dialect::OpenAi, Timestamp(0));
        headers.retry(Retry::AfterMillis(1001));
        let expected = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "60"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("retry-after", "2"),
            ("retry-after-ms", "1001"),
        ];
        assert_eq!(written(&headers), expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn anthropic_callers_also_see_anthropic_headers() {
        let standings = Standings { requests: standing(59, 1), tokens: standing(7, 0) };
        let now = Timestamp(1_736_951_040_000_000_000);
        let headers = written(&RateHeaders::new(&standings, Dialect::Anthropic, now));
        assert_eq!(headers.len(), 6 + 4 * 3);
        for (name, value) in [
            ("anthropic-ratelimit-requests-limit", "60"),
            ("anthropic-ratelimit-requests-remaining", "59"),
            ("anthropic-ratelimit-requests-reset", "2025-01-15T14:24:01Z"),
            ("anthropic-ratelimit-tokens-remaining", "7"),
            ("anthropic-ratelimit-tokens-reset", "2025-01-15T14:24:00Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "7"),
            ("anthropic-ratelimit-output-tokens-reset", "2025-01-15T14:24:00Z"),
        ] {
            assert!(headers.contains(&(name, value.to_owned())), "{name}");
        }
    }

    #[test]
    fn a_unit_without_a_rule_has_no_headers() {
        let standings = Standings { requests: standing(1, 1), tokens: None };
        assert_eq!(RateHeaders::new(&standings, Dialect::OpenAi, Timestamp(0)).iter().count(), 3);
        let none = Standings::default();
        assert_eq!(RateHeaders::new(&none, Dialect::Anthropic, Timestamp(0)).iter().count(), 0);
    }

    #[test]
    fn useless_retries_are_told_apart() {
        let mut headers = RateHeaders::default();
        headers.retry(Retry::Unspecified);
        headers.retry(Retry::Never);
        assert_eq!(written(&headers), [("x-should-retry", "false".to_owned())]);
    }

    #[test]
    fn durations_read_as_go_prints_them() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1ms"),
            (120, "120ms"),
            (999, "999ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (1050, "1.05s"),
            (51_189, "51.189s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (60_001, "1m0.001s"),
            (3_600_000, "1h0m0s"),
            (86_399_990, "23h59m59.99s"),
            (2_678_400_000, "744h0m0s"),
        ] {
            assert_eq!(GoDuration(millis).to_string(), text);
        }
    }
}
