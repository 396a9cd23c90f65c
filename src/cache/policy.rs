//! What may be served and stored, and how an answer says which of the two happened.

use std::fmt;
use std::time::Duration;

use super::canonical::Fault;
use super::convert::Obstacle;
use super::key::Uncacheable;
use super::record::{Form, Ttl, is_media_type};
use super::table::{Missing, Stored};
use crate::protocol::promise::{self, Lack};
use crate::protocol::{Dialect, Operation};

/// What the configuration decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    pub ttl: Ttl,
    pub max_entry_bytes: usize,
    pub scope: Scope,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    Off,
    #[default]
    On,
    /// Stores and looks up as if it were on, but serves nothing: counts what it would have served.
    Shadow,
}

/// Who shares answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Consumer,
    Global,
}

/// What a request's `cache-control` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    pub no_cache: bool,
    pub no_store: bool,
    pub only_if_cached: bool,
    pub max_age: Option<Duration>,
    pub min_fresh: Option<Duration>,
}

/// Why a request passes the cache by, or why its answer was not stored: the label of
/// `llm_cache_skip_total` and the detail of `cache-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    Off,
    /// The operation is not among those that the configuration names.
    Operation,
    /// The model is not among those that the configuration names.
    Model,
    /// `cache-control: no-store`.
    NoStore,
    Stateful,
    InvalidJson,
    DuplicateKey,
    /// The request has more structure than a key is computed for.
    TooComplex,
    Status,
    ContentType,
    /// Compressed by the provider although nobody asked for that.
    Encoded,
    TooLarge,
    /// The stream was cut, or its client left.
    Incomplete,
    /// A 2xx answer that says in its body that it is an error.
    ErrorBody,
    /// A 2xx answer that is none of its API, or says nothing.
    NoAnswer,
    /// It does not say that it ended, or says that it ended badly.
    Unfinished,
    /// Another provider answered with another model, after the first had failed.
    Failover,
    /// Shared data refused.
    Store,
    /// There is an answer, but not in the form that was asked for: [`Obstacle`] tells why.
    NoOtherForm,
    FormMalformed,
    FormUnknown,
    FormConflict,
    FormUnfinished,
    FormWithoutUsage,
    FormTooLarge,
}

/// What is known of an answer when its last byte has passed.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub form: Form,
    pub content_type: &'a [u8],
    pub content_encoding: Option<&'a [u8]>,
    /// The body came to its end; of a stream, the terminal event was seen.
    pub complete: bool,
    pub body: &'a [u8],
}

impl Policy {
    /// Whether the cache has a part in this request at all.
    pub fn admits(&self, operation: Operation, directives: &Directives) -> Result<(), Skip> {
        if self.mode == Mode::Off {
            Err(Skip::Off)
        } else if !self.operations.contains(&operation) {
            Err(Skip::Operation)
        } else if directives.no_store {
            Err(Skip::NoStore)
        } else {
            Ok(())
        }
    }

    /// How old an answer may be for this request; `None` if none may be served. A configuration
    /// that became stricter holds for what is stored already.
    pub fn max_age(&self, directives: &Directives) -> Option<Duration> {
        let ttl = self.ttl.get();
        let fresh = ttl.checked_sub(directives.min_fresh.unwrap_or_default())?;
        (!directives.no_cache).then(|| fresh.min(directives.max_age.unwrap_or(ttl)))
    }

    /// Whether an answer may be stored, judged by its head alone: no need to keep the rest if not.
    pub fn may_store(&self, operation: Operation, head: &Answer<'_>) -> Result<(), Skip> {
        let expected: &[u8] = match (head.form, operation.dialect()) {
            (Form::Json, _) => b"application/json",
            (Form::Stream, Dialect::Ollama) => b"application/x-ndjson",
            (Form::Stream, _) => b"text/event-stream",
        };
        let encoding = head.content_encoding.unwrap_or(b"identity").trim_ascii();
        if !matches!(head.status, 200 | 201) {
            Err(Skip::Status)
        } else if !encoding.eq_ignore_ascii_case(b"identity") {
            Err(Skip::Encoded)
        } else if !is_media_type(head.content_type, expected) {
            Err(Skip::ContentType)
        } else {
            Ok(())
        }
    }

    /// Whether an answer that has passed whole may be stored: it says all that its API promises.
    /// `places` is how many embeddings were asked for, if that is known.
    pub fn stores(
        &self,
        operation: Operation,
        answer: &Answer<'_>,
        places: Option<usize>,
    ) -> Result<(), Skip> {
        self.may_store(operation, answer)?;
        if !answer.complete {
            return Err(Skip::Incomplete);
        }
        if answer.body.len() > self.max_entry_bytes {
            return Err(Skip::TooLarge);
        }
        match answer.form {
            Form::Json => promise::json(operation, answer.body, places)?,
            Form::Stream => promise::stream(operation, answer.body)?,
        }
        Ok(())
    }
}

impl Directives {
    /// Reads every `cache-control` header of a request. A limit that is no number is taken as 0:
    /// who wants something fresh must not get something old for a slip of the pen.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut directives = Self::default();
        for (name, value) in headers.into_iter().flat_map(split) {
            let seconds = || Duration::from_secs(value.and_then(seconds).unwrap_or(0));
            match name.to_ascii_lowercase().as_slice() {
                b"no-cache" => directives.no_cache = true,
                b"no-store" => directives.no_store = true,
                b"only-if-cached" => directives.only_if_cached = true,
                b"max-age" => {
                    let stricter = directives.max_age.map_or(seconds(), |age| age.min(seconds()));
                    directives.max_age = Some(stricter);
                }
                b"min-fresh" => {
                    let seconds = value.and_then(self::seconds).map(Duration::from_secs);
                    directives.min_fresh =
                        directives.min_fresh.max(Some(seconds.unwrap_or(Duration::MAX)));
                }
                _ => {}
            }
        }
        directives
    }
}

/// The directives of one header: names, and values without their quotes.
fn split(header: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut quoted = false;
    let parts = header.split(move |b| {
        quoted ^= *b == b'"';
        *b == b',' && !quoted
    });
    parts.map(|part| {
        let mut sides = part.splitn(2, |b| *b == b'=');
        let name = sides.next().unwrap_or_default().trim_ascii();
        let value = sides.next().map(|value| {
            let value = value.trim_ascii();
            value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
        });
        (name, value)
    })
}

fn seconds(digits: &[u8]) -> Option<u64> {
    let digit = |b: &u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    let add = |sum: u64, b| Some(sum.saturating_mul(10).saturating_add(digit(b)?));
    digits.first().and_then(|_| digits.iter().try_fold(0, add))
}

impl Skip {
    pub const ALL: [Self; 25] = [
        Self::Off,
        Self::Operation,
        Self::Model,
        Self::NoStore,
        Self::Stateful,
        Self::InvalidJson,
        Self::DuplicateKey,
        Self::TooComplex,
        Self::Status,
        Self::ContentType,
        Self::Encoded,
        Self::TooLarge,
        Self::Incomplete,
        Self::ErrorBody,
        Self::NoAnswer,
        Self::Unfinished,
        Self::Failover,
        Self::Store,
        Self::NoOtherForm,
        Self::FormMalformed,
        Self::FormUnknown,
        Self::FormConflict,
        Self::FormUnfinished,
        Self::FormWithoutUsage,
        Self::FormTooLarge,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Operation => "operation",
            Self::Model => "model",
            Self::NoStore => "no_store",
            Self::Stateful => "stateful",
            Self::InvalidJson => "invalid_json",
            Self::DuplicateKey => "duplicate_key",
            Self::TooComplex => "too_complex",
            Self::Status => "status",
            Self::ContentType => "content_type",
            Self::Encoded => "encoded",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
            Self::ErrorBody => "error_body",
            Self::NoAnswer => "no_answer",
            Self::Unfinished => "unfinished",
            Self::Failover => "failover",
            Self::Store => "store",
            Self::NoOtherForm => "no_other_form",
            Self::FormMalformed => "form_malformed",
            Self::FormUnknown => "form_unknown",
            Self::FormConflict => "form_conflict",
            Self::FormUnfinished => "form_unfinished",
            Self::FormWithoutUsage => "form_without_usage",
            Self::FormTooLarge => "form_too_large",
        }
    }
}

impl From<Uncacheable> for Skip {
    fn from(why: Uncacheable) -> Self {
        match why {
            Uncacheable::Operation => Self::Operation,
            Uncacheable::Stateful => Self::Stateful,
            Uncacheable::Body(Fault::Syntax | Fault::NotAnObject) => Self::InvalidJson,
            Uncacheable::Body(Fault::DuplicateKey) => Self::DuplicateKey,
            Uncacheable::Body(Fault::Depth | Fault::Exponent | Fault::Members | Fault::Effort) => {
                Self::TooComplex
            }
        }
    }
}

impl From<Lack> for Skip {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Rest => Self::Incomplete,
            Lack::Success => Self::ErrorBody,
            Lack::Content => Self::NoAnswer,
            Lack::End => Self::Unfinished,
        }
    }
}

impl From<Obstacle> for Skip {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::NoOtherForm => Self::NoOtherForm,
            Obstacle::Malformed => Self::FormMalformed,
            Obstacle::Unknown => Self::FormUnknown,
            Obstacle::Conflict => Self::FormConflict,
            Obstacle::Unfinished => Self::FormUnfinished,
            Obstacle::NoUsage => Self::FormWithoutUsage,
            Obstacle::TooLarge => Self::FormTooLarge,
        }
    }
}

impl Stored {
    /// Why an answer that was to be stored is not.
    pub fn skipped(self) -> Option<Skip> {
        match self {
            Self::Placed | Self::Evicted => None,
            Self::TooLarge => Some(Skip::TooLarge),
        }
    }
}

/// The value of the `cache-status` header (RFC 9211).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    Hit {
        ttl_seconds: u64,
    },
    /// Nothing could be served; `stored` if the answer is in the cache now.
    Forwarded {
        why: Forward,
        stored: bool,
    },
    /// Waited for the answer to an identical request in flight.
    Collapsed,
    Bypass(Skip),
    /// Nothing could be served, and the request forbade to forward it.
    OnlyIfCached,
    /// There was an answer, but this configuration only counts.
    Shadowed,
}

/// Why a request went upstream although the cache had a part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    Miss,
    /// There was an answer, but its time was over.
    Stale,
    /// The request asked for a fresh one.
    Request,
}

impl From<Missing> for Forward {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Absent | Missing::TooLarge | Missing::Overtaken => Self::Miss,
            Missing::Expired => Self::Stale,
            Missing::TooOld => Self::Request,
        }
    }
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("llm-gateway; ")?;
        match self {
            Self::Hit { ttl_seconds } => write!(f, "hit; ttl={ttl_seconds}"),
            Self::Forwarded { why, stored } => {
                let why = match why {
                    Forward::Miss => "miss",
                    Forward::Stale => "stale",
                    Forward::Request => "request",
                };
                write!(f, "fwd={why}{}", if *stored { "; stored" } else { "" })
            }
            Self::Collapsed => f.write_str("fwd=miss; collapsed"),
            Self::Bypass(skip) => write!(f, "fwd=bypass; detail={}", skip.label()),
            Self::OnlyIfCached => f.write_str("detail=only_if_cached"),
            Self::Shadowed => f.write_str("fwd=bypass; detail=shadow"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn policy() -> Policy {
        Policy {
            mode: Mode::On,
            ttl: Ttl::new(Duration::from_secs(300)).unwrap(),
            max_entry_bytes: 100,
            scope: Scope::Consumer,
            operations: vec![Operation::Chat, Operation::Responses],
        }
    }

    fn parse(headers: &[&str]) -> Directives {
        Directives::parse(headers.iter().map(|h| h.as_bytes()))
    }

    fn secs(secs: u64) -> Option<Duration> {
        Some(Duration::from_secs(secs))
    }

    const NONE: Directives = Directives {
        no_cache: false,
        no_store: false,
        only_if_cached: false,
        max_age: None,
        min_fresh: None,
    };

    #[test]
    fn directives_are_read_in_every_form_that_clients_write() {
        for (headers, expected) in [
            (&[][..], NONE),
            (&["no-cache"], Directives { no_cache: true, ..NONE }),
            (&["No-Store , NO-CACHE"], Directives { no_cache: true, no_store: true, ..NONE }),
            (&["max-age=60"], Directives { max_age: secs(60), ..NONE }),
            (&["max-age = \"60\""], Directives { max_age: secs(60), ..NONE }),
            (&["max-age=60", "no-store"], Directives { no_store: true, max_age: secs(60), ..NONE }),
            (&["max-age=60, max-age=5"], Directives { max_age: secs(5), ..NONE }),
            (&["only-if-cached,,"], Directives { only_if_cached: true, ..NONE }),
            (&["min-fresh=10"], Directives { min_fresh: secs(10), ..NONE }),
            (&["x=\"a, no-store\", no-cache"], Directives { no_cache: true, ..NONE }),
            (&["max-stale=9, no-transform, stale-if-error=3"], NONE),
        ] {
            assert_eq!(parse(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_limit_that_is_no_number_is_the_strictest() {
        for header in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=soon"] {
            assert_eq!(parse(&[header]).max_age, secs(0), "{header}");
        }
        assert_eq!(policy().max_age(&parse(&["min-fresh=x"])), None);
        assert_eq!(parse(&["max-age=99999999999999999999999"]).max_age, secs(u64::MAX));
    }

    #[test]
    fn the_request_and_the_configuration_bound_the_age_together() {
        for (header, max_age) in [
            ("", secs(300)),
            ("max-age=10", secs(10)),
            ("max-age=1000", secs(300)),
            ("max-age=0", secs(0)),
            ("min-fresh=100", secs(200)),
            ("min-fresh=301", None),
            ("no-cache", None),
        ] {
            assert_eq!(policy().max_age(&parse(&[header])), max_age, "{header}");
        }
    }

    #[test]
    fn what_is_off_or_not_named_or_not_wanted_passes_by() {
        let off = Policy { mode: Mode::Off, ..policy() };
        assert_eq!(off.admits(Operation::Chat, &NONE), Err(Skip::Off));
        assert_eq!(policy().admits(Operation::Embedding, &NONE), Err(Skip::Operation));
        assert_eq!(policy().admits(Operation::Chat, &parse(&["no-store"])), Err(Skip::NoStore));
        assert_eq!(policy().admits(Operation::Chat, &parse(&["no-cache"])), Ok(()));
        let shadow = Policy { mode: Mode::Shadow, ..policy() };
        assert_eq!(shadow.admits(Operation::Chat, &NONE), Ok(()));
    }

    const CHAT: &[u8] = br#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    const STREAM: &[u8] =
        b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    #[test]
    fn only_whole_answers_are_stored() {
        let good = Answer {
            status: 200,
            form: Form::Json,
            content_type: b"application/json; charset=utf-8",
            content_encoding: None,
            complete: true,
            body: CHAT,
        };
        let stream =
            Answer { form: Form::Stream, content_type: b"Text/Event-Stream", body: STREAM, ..good };
        let long = [b' '; 101];
        for (answer, expected) in [
            (good, Ok(())),
            (stream, Ok(())),
            (Answer { content_encoding: Some(b"Identity"), ..good }, Ok(())),
            (Answer { content_type: b"application/x-ndjson", ..stream }, Err(Skip::ContentType)),
            (Answer { status: 404, ..good }, Err(Skip::Status)),
            (Answer { status: 206, ..good }, Err(Skip::Status)),
            (Answer { status: 304, ..good }, Err(Skip::Status)),
            (Answer { content_type: b"text/html", ..good }, Err(Skip::ContentType)),
            (Answer { content_type: b"", ..stream }, Err(Skip::ContentType)),
            (Answer { content_type: b"application/x-ndjson", ..good }, Err(Skip::ContentType)),
            (Answer { form: Form::Stream, ..good }, Err(Skip::ContentType)),
            (Answer { content_encoding: Some(b"gzip"), ..good }, Err(Skip::Encoded)),
            (Answer { complete: false, ..good }, Err(Skip::Incomplete)),
            (Answer { complete: false, ..stream }, Err(Skip::Incomplete)),
            (Answer { body: &CHAT[1..], ..good }, Err(Skip::NoAnswer)),
            (Answer { body: &CHAT[..20], ..good }, Err(Skip::Incomplete)),
            (Answer { body: br#"{"error":{"message":"no"}}"#, ..good }, Err(Skip::ErrorBody)),
            (Answer { body: b"{}", ..good }, Err(Skip::NoAnswer)),
            (Answer { body: br#"{"choices":[{}]}"#, ..good }, Err(Skip::Unfinished)),
            (Answer { body: b"data: [DONE]\n\n", ..stream }, Err(Skip::NoAnswer)),
            (Answer { body: &long, ..good }, Err(Skip::TooLarge)),
            (Answer { body: &long, ..stream }, Err(Skip::TooLarge)),
        ] {
            assert_eq!(policy().stores(Operation::Chat, &answer, None), expected, "{answer:?}");
        }
    }

    #[test]
    fn cache_status_is_as_rfc_9211_has_it() {
        let miss = |why, stored| CacheStatus::Forwarded { why, stored };
        for (status, value) in [
            (CacheStatus::Hit { ttl_seconds: 283 }, "llm-gateway; hit; ttl=283"),
            (miss(Forward::Miss, true), "llm-gateway; fwd=miss; stored"),
            (miss(Forward::Stale, false), "llm-gateway; fwd=stale"),
            (miss(Forward::Request, true), "llm-gateway; fwd=request; stored"),
            (CacheStatus::Collapsed, "llm-gateway; fwd=miss; collapsed"),
            (CacheStatus::Bypass(Skip::NoStore), "llm-gateway; fwd=bypass; detail=no_store"),
            (CacheStatus::Shadowed, "llm-gateway; fwd=bypass; detail=shadow"),
        ] {
            assert_eq!(status.to_string(), value);
        }
    }

    #[test]
    fn every_reason_has_a_label_of_its_own_that_can_stand_in_a_header() {
        let labels: HashSet<_> = Skip::ALL.into_iter().map(Skip::label).collect();
        assert_eq!(labels.len(), Skip::ALL.len());
        let token = |label: &&str| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(labels.iter().all(token));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(header: Vec<u8>) {
            let _ = policy().max_age(&Directives::parse([header.as_slice()]));
        }
    }

    /// Metrics count a reason by its position.
    #[test]
    fn reasons_are_in_their_order() {
        let positions = Skip::ALL.map(|skip| skip as usize);
        assert!(positions.into_iter().eq(0..Skip::ALL.len()));
        let labels: HashSet<_> = Skip::ALL.into_iter().map(Skip::label).collect();
        assert_eq!(labels.len(), Skip::ALL.len());
    }
}
