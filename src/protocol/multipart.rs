//! The model that a `multipart/form-data` body names (audio transcriptions, image edits). Strict,
//! because lenient readers disagree: whatever another reader could take for another part is refused.

use std::ops::Range;

use memchr::memmem;

use crate::error::{Error, Kind};
use crate::protocol::edit::Span;
use crate::protocol::mistake::twice;
use crate::protocol::probe::{Form, Model};

/// The boundary that a `content-type` gives, if it is a form.
pub fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let rest = strip_prefix_no_case(content_type.trim_ascii(), b"multipart/form-data")?;
    let mut found = None;
    for (name, value) in Parameters(rest) {
        if name.eq_ignore_ascii_case(b"boundary") && found.replace(value?).is_some() {
            return None;
        }
    }
    found.filter(|boundary| (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()))
}

/// The value of the part named `model`, if there is one.
pub fn model<'a>(body: &'a [u8], boundary: &[u8]) -> Result<Option<Model<'a>>, Error> {
    let mut found = None;
    let mut parts = Parts::new(body, boundary);
    while let Some(part) = parts.next()? {
        if !named_model(part.head).ok_or_else(malformed)? {
            continue;
        }
        if found.is_some() {
            return Err(twice("model"));
        }
        let Span { start, end } = part.content;
        let name = body.get(start..end).and_then(|name| std::str::from_utf8(name).ok());
        found = Some(Model::new(name.ok_or_else(malformed)?.into(), part.content, Form::Plain)?);
    }
    Ok(found)
}

struct Part<'a> {
    /// The header lines, each with its line end.
    head: &'a [u8],
    content: Span,
}

/// The parts of a body. Each place where the boundary occurs must be a delimiter.
struct Parts<'a> {
    body: &'a [u8],
    delimiter: Vec<u8>,
    /// Behind the last delimiter; `None` before the first.
    at: Option<usize>,
}

impl<'a> Parts<'a> {
    fn new(body: &'a [u8], boundary: &[u8]) -> Self {
        Self { body, delimiter: [b"--", boundary].concat(), at: None }
    }

    fn next(&mut self) -> Result<Option<Part<'a>>, Error> {
        let at = match self.at {
            Some(at) => at,
            None => self.delimiter(0)?.end,
        };
        let rest = self.body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return if memmem::find(rest, &self.delimiter).is_none() {
                Ok(None)
            } else {
                Err(malformed())
            };
        }
        // The line end of the delimiter counts to the head, so that an empty head is found too.
        let head = memmem::find(
            rest.get(..rest.len().min(MAX_HEAD_BYTES)).unwrap_or_default(),
            b"\r\n\r\n",
        )
        .filter(|_| rest.starts_with(b"\r\n"))
        .ok_or_else(malformed)?;
        let start = at + head + 4;
        let next = self.delimiter(start)?;
        self.at = Some(next.end);
        let head = rest.get(2..head + 2).unwrap_or_default();
        Ok(Some(Part { head, content: Span { start, end: next.start } }))
    }

    /// The next delimiter with the line end before it.
    fn delimiter(&self, from: usize) -> Result<Range<usize>, Error> {
        let rest = self.body.get(from..).unwrap_or_default();
        let found = from + memmem::find(rest, &self.delimiter).ok_or_else(malformed)?;
        let end = found + self.delimiter.len();
        if from == 0 && found == 0 {
            return Ok(0..end);
        }
        let before = self.body.get(from..found).unwrap_or_default();
        if before.ends_with(b"\r\n") { Ok(found - 2..end) } else { Err(malformed()) }
    }
}

/// Whether a part is the one named `model`; `None` where readers might disagree.
fn named_model(head: &[u8]) -> Option<bool> {
    let mut name = None;
    let mut encoded = false;
    for line in head.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let line = line.strip_suffix(b"\r")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (header, value) = line.split_at_checked(colon)?;
        if !header.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
            return None;
        }
        encoded |= header.eq_ignore_ascii_case(b"content-transfer-encoding");
        if header.eq_ignore_ascii_case(b"content-disposition") {
            let value = value.strip_prefix(b":")?.trim_ascii();
            let parameters = Parameters(strip_prefix_no_case(value, b"form-data")?);
            for (key, value) in parameters {
                if key.eq_ignore_ascii_case(b"name") && name.replace(value?).is_some()
                    || key.eq_ignore_ascii_case(b"name*")
                {
                    return None;
                }
                value?;
            }
        }
    }
    let name = name?;
    let model = name == b"model";
    let doubtful = name.contains(&b'\\') || model && encoded;
    if doubtful { None } else { Some(model) }
}

/// `; name=value; name="value"`. A value that cannot be read is `None`, and the last.
pub(super) struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    /// From the first semicolon on.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self(text)
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0).trim_ascii();
        if rest.is_empty() {
            return None;
        }
        let unreadable = Some((rest, None));
        let Some((name, value)) = rest.strip_prefix(b";").and_then(|rest| {
            let equals = rest.iter().position(|&byte| byte == b'=')?;
            rest.split_at_checked(equals)
        }) else {
            return unreadable;
        };
        let value = value.strip_prefix(b"=").unwrap_or_default();
        let end = match value.strip_prefix(b"\"") {
            Some(quoted) => match closing_quote(quoted) {
                Some(end) => end + 2,
                None => return unreadable,
            },
            None => value.iter().position(|&byte| byte == b';').unwrap_or(value.len()),
        };
        let Some((value, rest)) = value.split_at_checked(end) else { return unreadable };
        self.0 = rest;
        let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        Some((name.trim_ascii(), Some(bare.unwrap_or(value.trim_ascii()))))
    }
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn strip_prefix_no_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn malformed() -> Error {
    Error::new(Kind::InvalidRequest, "We could not parse the multipart body of your request.")
        .code("invalid_multipart")
}

/// The longest boundary that RFC 2046 allows.
const MAX_BOUNDARY_BYTES: usize = 70;
/// The header lines of one part.
const MAX_HEAD_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::edit::Edits;

    const BODY: &[u8] =
        b"--x-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b=\\\"c.wav\"\r\n\
        Content-Type: audio/wav\r\n\r\n\x00\xff\r\n\r\n--x\r\n--x-1\r\n\
        content-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n--x-1--\r\n";

    fn named(body: &[u8]) -> Result<Option<String>, Option<&'static str>> {
        model(body, b"b")
            .map(|model| model.map(|model| model.name.into_owned()))
            .map_err(|error| error.code)
    }

    fn part(head: &str, content: &str) -> String {
        format!("--b\r\n{head}\r\n\r\n{content}\r\n")
    }

    #[test]
    fn the_model_is_found_between_other_parts() {
        let model = model(BODY, b"x-1").unwrap().unwrap();
        assert_eq!(model.name, "whisper-1");
        assert_eq!(&BODY[model.span.start..model.span.end], b"whisper-1");
        let mut edits = Edits::default();
        edits.replace(model.span, model.encode("tiny"));
        let edited = edits.apply(BODY);
        assert_eq!(super::model(&edited, b"x-1").unwrap().unwrap().name, "tiny");
        assert_eq!(edited.len(), BODY.len() - "whisper-1".len() + "tiny".len());
    }

    #[test]
    fn a_form_without_a_model_names_none() {
        let body = part("content-disposition: form-data; name=purpose", "batch") + "--b--";
        assert_eq!(named(body.as_bytes()), Ok(None));
    }

    #[test]
    fn a_cut_form_is_refused_at_every_byte() {
        let end = BODY.len() - b"--\r\n".len();
        for cut in 0..end + 2 {
            assert!(model(&BODY[..cut], b"x-1").is_err(), "{cut}");
        }
        assert!(model(&BODY[..end + 2], b"x-1").is_ok());
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let name = "content-disposition: form-data; name=\"model\"";
        let model = part(name, "good");
        let cases = [
            (model.repeat(2) + "--b--", "duplicate_field"),
            (model.clone() + "x\n--b\n" + name + "\n\nevil\n--b--", "invalid_multipart"),
            (model.clone() + "--b--\r\n" + &model, "invalid_multipart"),
            (
                part(&format!("{name}\r\ncontent-transfer-encoding: base64"), "Zw==") + "--b--",
                "invalid_multipart",
            ),
            (
                part("content-disposition: form-data; name=a; name=model", "x") + "--b--",
                "invalid_multipart",
            ),
            (
                part("content-disposition: form-data; name=a; name*=utf-8''model", "x") + "--b--",
                "invalid_multipart",
            ),
            (
                part("content-disposition: form-data; name=\"mod\\el\"", "x") + "--b--",
                "invalid_multipart",
            ),
            (
                part("content-disposition: form-data;\r\n name=model", "x") + "--b--",
                "invalid_multipart",
            ),
            (
                part("content-disposition: form-data; name=\"a\"model\"", "x") + "--b--",
                "invalid_multipart",
            ),
            (part(name, "") + "--b--", "invalid_value"),
            (part(name, "a\r\nb") + "--b--", "invalid_value"),
            (part(name, &"m".repeat(257)) + "--b--", "invalid_value"),
        ];
        for (body, code) in cases {
            assert_eq!(named(body.as_bytes()), Err(Some(code)), "{body}");
        }
    }

    #[test]
    fn the_boundary_is_read_as_rfc_2046_writes_it() {
        let cases: [(&str, Option<&str>); 9] = [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b;c\"", Some("a b;c")),
            ("multipart/form-data;boundary=abc ; x=y", Some("abc")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=a; boundary=b", None),
            ("multipart/form-data; boundary=\"a", None),
            ("multipart/mixed; boundary=a", None),
            ("application/json", None),
        ];
        for (content_type, expected) in cases {
            assert_eq!(
                boundary(content_type.as_bytes()),
                expected.map(str::as_bytes),
                "{content_type}"
            );
        }
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
        assert_eq!(boundary(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in prop::collection::vec(prop_oneof![Just(b'-'), Just(b'b'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..80)) {
            let _ = model(&body, b"b");
            let _ = boundary(&body);
        }
    }
}
