//! What a request tells the server to do: the table of controls, parsed once into a struct.

use std::time::Duration;

/// The meaning of each is in the documentation of [`super`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Controls {
    pub status: Option<u16>,
    pub body: ErrorBody,
    pub fail_first: Option<(u32, u16)>,
    pub key: Option<String>,
    pub delay: Duration,
    pub pause: Option<Duration>,
    pub stall: Option<Stall>,
    pub reset: bool,
    pub cut: Option<usize>,
    pub end_early: Option<usize>,
    pub error_event: Option<usize>,
    pub split: Option<usize>,
    pub gap: Duration,
    pub no_usage: bool,
    pub cached: u64,
    pub cache_write: u64,
    pub tokens: Option<usize>,
    pub size: usize,
    pub length_finish: bool,
    pub tools: Option<usize>,
    pub unicode: bool,
    pub headers: Vec<(String, String)>,
    pub trailers: Vec<(String, String)>,
    pub line_end: LineEnd,
    pub bom: bool,
    pub comments: bool,
    pub gzip: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ErrorBody {
    /// The error of the request's own provider protocol.
    #[default]
    Provider,
    Html,
    Plain,
    Empty,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// Nothing is ever answered.
    Headers,
    /// Headers, and then nothing.
    Body,
    /// Half of the events, and then half of the bytes of one more.
    Midtoken,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LineEnd {
    #[default]
    Lf,
    CrLf,
    Cr,
}

impl LineEnd {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
            Self::Cr => "\r",
        }
    }
}

impl Controls {
    /// Reads the `x-sim` headers and the suffix of the model name. Returns the controls and the
    /// model's bare name.
    pub(super) fn read<'h>(
        headers: impl IntoIterator<Item = &'h [u8]>,
        model: &str,
    ) -> Result<(Self, String), Mistake> {
        let mut controls = Self::default();
        for header in headers {
            let header = str::from_utf8(header).map_err(|_| Mistake("bytes".to_owned()))?;
            controls.apply_all(header.split(';'))?;
        }
        let mut parts = model.split('+');
        let base = parts.next().unwrap_or_default().to_owned();
        controls.apply_all(parts)?;
        Ok((controls, base))
    }

    fn apply_all<'a>(&mut self, settings: impl Iterator<Item = &'a str>) -> Result<(), Mistake> {
        for setting in settings.map(str::trim).filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            let applied = TABLE
                .iter()
                .find(|(name, _)| *name == key.trim())
                .and_then(|(_, apply)| apply(self, value.trim()));
            applied.ok_or_else(|| Mistake(setting.to_owned()))?;
        }
        Ok(())
    }
}

/// A control that does not exist or has no such value: answered with 400, so that a test with a
/// misspelt control fails.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake(pub String);

type Apply = fn(&mut Controls, &str) -> Option<()>;

#[rustfmt::skip]
const TABLE: &[(&str, Apply)] = &[
    ("status",      |c, v| set(&mut c.status, status(v).map(Some))),
    ("body",        |c, v| set(&mut c.body, error_body(v))),
    ("fail-first",  |c, v| set(&mut c.fail_first, fail_first(v).map(Some))),
    ("key",         |c, v| set(&mut c.key, Some(Some(v.to_owned())))),
    ("delay",       |c, v| set(&mut c.delay, millis(v))),
    ("pause",       |c, v| set(&mut c.pause, millis(v).map(Some))),
    ("stall",       |c, v| set(&mut c.stall, stall(v).map(Some))),
    ("reset",       |c, v| set(&mut c.reset, (v == "headers").then_some(true))),
    ("cut",         |c, v| set(&mut c.cut, count(v).map(Some))),
    ("end-early",   |c, v| set(&mut c.end_early, count(v).map(Some))),
    ("error-event", |c, v| set(&mut c.error_event, count(v).map(Some))),
    ("split",       |c, v| set(&mut c.split, count(v).filter(|n| *n > 0).map(Some))),
    ("gap",         |c, v| set(&mut c.gap, millis(v))),
    ("usage",       |c, v| set(&mut c.no_usage, (v == "none").then_some(true))),
    ("cached",      |c, v| set(&mut c.cached, v.parse().ok())),
    ("cache-write", |c, v| set(&mut c.cache_write, v.parse().ok())),
    ("tokens",      |c, v| set(&mut c.tokens, count(v).map(Some))),
    ("size",        |c, v| set(&mut c.size, count(v))),
    ("finish",      |c, v| set(&mut c.length_finish, (v == "length").then_some(true))),
    ("tools",       |c, v| set(&mut c.tools, count(v).map(Some))),
    ("unicode",     |c, v| set(&mut c.unicode, flag(v))),
    ("header",      |c, v| push(&mut c.headers, v)),
    ("trailer",     |c, v| push(&mut c.trailers, v)),
    ("crlf",        |c, v| set(&mut c.line_end, line_end(v))),
    ("bom",         |c, v| set(&mut c.bom, flag(v))),
    ("comments",    |c, v| set(&mut c.comments, flag(v))),
    ("encoding",    |c, v| set(&mut c.gzip, (v == "gzip").then_some(true))),
];

/// What a control may ask for at most, in events, tokens or bytes of an answer.
const MAX_COUNT: usize = 64 << 20;

fn set<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

fn push(list: &mut Vec<(String, String)>, value: &str) -> Option<()> {
    let (name, value) = value.split_once(':')?;
    list.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    Some(())
}

fn count(value: &str) -> Option<usize> {
    value.parse().ok().filter(|n| *n <= MAX_COUNT)
}

fn status(value: &str) -> Option<u16> {
    value.parse().ok().filter(|code| (200..=599).contains(code))
}

fn fail_first(value: &str) -> Option<(u32, u16)> {
    let (times, code) = value.split_once(':')?;
    Some((times.parse().ok()?, status(code)?))
}

fn millis(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_millis)
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn error_body(value: &str) -> Option<ErrorBody> {
    match value {
        "provider" => Some(ErrorBody::Provider),
        "html" => Some(ErrorBody::Html),
        "plain" => Some(ErrorBody::Plain),
        "empty" => Some(ErrorBody::Empty),
        _ => None,
    }
}

fn stall(value: &str) -> Option<Stall> {
    match value.to_ascii_lowercase().as_str() {
        "headers" => Some(Stall::Headers),
        "body" => Some(Stall::Body),
        "midtoken" => Some(Stall::Midtoken),
        _ => None,
    }
}

fn line_end(value: &str) -> Option<LineEnd> {
    match value {
        "lf" => Some(LineEnd::Lf),
        "crlf" => Some(LineEnd::CrLf),
        "cr" => Some(LineEnd::Cr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_model_suffix_mean_the_same() {
        let (by_header, base) = Controls::read([&b"status=503; cut=3"[..]], "sim-model").unwrap();
        let (by_name, same) = Controls::read([], "sim-model+status=503+cut=3").unwrap();
        assert_eq!((by_header, base), (by_name, same));
    }

    #[test]
    fn a_control_that_does_not_exist_is_named() {
        assert_eq!(Controls::read([], "m+stauts=503"), Err(Mistake("stauts=503".to_owned())));
        assert_eq!(Controls::read([], "m+status=99"), Err(Mistake("status=99".to_owned())));
        assert_eq!(Controls::read([], "m+split=0"), Err(Mistake("split=0".to_owned())));
    }

    #[test]
    fn every_control_is_documented() {
        let doc = include_str!("mod.rs");
        for (name, _) in TABLE {
            assert!(doc.contains(&format!("//! | `{name}=")), "{name} is not in the module doc");
        }
    }
}
