//! Where a request names its model.

use super::{Form, Model, Probe, gemini};
use crate::error::{Error, Kind as ErrorKind};
use crate::protocol::content_type::{Claim, Kind};
use crate::protocol::edit::Span;
use crate::protocol::mistake::{invalid_value, twice};
use crate::protocol::model_path::ModelPath;
use crate::protocol::{Operation, Path, fields};

/// The place, with what has to be known to find it: a member of the body unless the path names the
/// model, or the body is a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    path: Option<Path<'static>>,
    claim: Claim,
}

/// What a body is, by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// White space at most.
    Empty,
    /// An object of JSON, as far as can be seen.
    Object,
    /// JSON in two or four bytes a letter, as far as can be seen.
    Wide,
    Other,
}

impl Source {
    pub fn of<'h>(path: &Path<'_>, content_types: impl Iterator<Item = &'h [u8]>) -> Self {
        let path = ModelPath::of(path).is_some().then(|| path.clone().into_owned());
        Self { path, claim: Claim::of(content_types) }
    }

    pub fn is_path(&self) -> bool {
        self.path.is_some()
    }

    /// Whether the body is said to be a form, which may be long.
    pub fn is_form(&self) -> bool {
        matches!(self.claim.kind, Kind::Form(_))
    }

    /// Whether only the body itself can tell that there is a model in it.
    pub fn is_untold(&self) -> bool {
        self.path.is_none() && self.claim.kind == Kind::Other
    }

    /// Reads a body. Of a call that is known only JSON is read, of others forms as well.
    pub fn read<'a>(&'a self, body: &'a [u8], operation: Operation) -> Result<Probe<'a>, Error> {
        let is_json = match Shape::of(body) {
            Shape::Wide => false,
            Shape::Object => !self.claim.foreign,
            Shape::Empty => true,
            Shape::Other => self.claim.kind == Kind::Json && !self.claim.foreign,
        };
        match (&self.path, &self.claim.kind) {
            (Some(path), _) if is_json => named_by(path, body, operation),
            (None, _) if is_json => {
                // Who reads fields must not find another model.
                if self.claim.fields && fields::model(body)?.is_some() {
                    return Err(twice("model"));
                }
                Probe::read(body, operation)
            }
            _ if self.claim.foreign || operation != Operation::Other => Err(unsupported()),
            (None, Kind::Form(boundary)) => Probe::read_form(body, boundary),
            (None, Kind::Fields) => Probe::read_fields(body),
            _ => Err(unsupported()),
        }
    }
}

impl Shape {
    pub fn of(body: &[u8]) -> Self {
        if let [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, ..] | [_, 0, ..] = body {
            return Self::Wide;
        }
        let body = body.strip_prefix(BOM).unwrap_or(body);
        match body.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != VERTICAL_TAB) {
            None => Self::Empty,
            Some(b'{') => Self::Object,
            Some(_) => Self::Other,
        }
    }
}

/// Reads the body of a call whose path names the model.
fn named_by<'a>(
    path: &'a Path<'static>,
    body: &'a [u8],
    operation: Operation,
) -> Result<Probe<'a>, Error> {
    let model = ModelPath::of(path).and_then(|path| path.model);
    let rule = "the path names none that a model can have";
    let name = model.ok_or_else(|| invalid_value("model", rule))?;
    let span = Span { start: 0, end: 0 };
    let model = Model::new(name, span, Form::Resource)?;
    gemini::read(body, operation, model, path)
}

/// A body in which no model can be looked for.
pub fn unsupported() -> Error {
    let message = "The body must be JSON, in UTF-8, or a form where the call takes one: its \
                   content-type and its content are neither.";
    Error::new(ErrorKind::UnsupportedMediaType, message)
}

/// How some programs begin a text in UTF-8.
pub const BOM: &[u8] = b"\xef\xbb\xbf";
const VERTICAL_TAB: u8 = 0x0b;

#[cfg(test)]
mod tests {
    use super::*;

    /// Content types, a body, and what comes of it.
    type Case<'a> = (&'a [&'a str], &'a [u8], Result<String, &'a str>);

    const JSON: &[u8] = br#"{"model":"cheap"}"#;

    fn source(types: &[&str]) -> Source {
        let path = Path::read(b"/v1/rerank");
        Source::of(&path, types.iter().map(|kind| kind.as_bytes()))
    }

    /// The model that is found, or the code of the refusal.
    fn read(types: &[&str], body: &[u8], operation: Operation) -> Result<String, &'static str> {
        match source(types).read(body, operation) {
            Ok(probe) => Ok(probe.model.map(|model| model.name.into_owned()).unwrap_or_default()),
            Err(error) => Err(error.code.unwrap_or(error.kind.row().code)),
        }
    }

    #[test]
    fn json_is_read_whatever_it_is_said_to_be() {
        let cases: [&[&str]; 10] = [
            &[],
            &["text/plain"],
            &["text/json"],
            &["application/json, x"],
            &["application/json", "text/plain"],
            &["Application/JSON; charset=utf-8"],
            &["application/octet-stream"],
            &["multipart/form-data; boundary=b"],
            &["multipart/form-data"],
            &["application/x-www-form-urlencoded"],
        ];
        for types in cases {
            for body in [JSON, b" \t\r\n{\"model\":\"cheap\"}"] {
                assert_eq!(read(types, body, Operation::Other), Ok("cheap".into()), "{types:?}");
            }
        }
    }

    #[test]
    fn what_another_reader_could_read_otherwise_is_refused() {
        let unsupported = Err("unsupported_media_type");
        let utf16: Vec<u8> = JSON.iter().flat_map(|byte| [*byte, 0]).collect();
        let cases: [Case<'_>; 12] = [
            (&["application/json; charset=utf-7"], JSON, unsupported.clone()),
            (&["application/json; charset=utf-16"], &utf16, unsupported.clone()),
            (&["application/json"], &utf16, unsupported.clone()),
            (&[], b"\xff\xfe{\0}\0", unsupported.clone()),
            (
                &["application/x-www-form-urlencoded"],
                br#"{"model":"cheap","x":"&model=dear&"}"#,
                Err("duplicate_field"),
            ),
            (&["multipart/form-data; boundary=b"], b"{}\r\n--b\r\n", Err("invalid_json")),
            (&["multipart/form-data"], b"--b\r\n", unsupported.clone()),
            (&["application/json", "multipart/form-data; boundary=b"], b"--b", unsupported.clone()),
            (&["application/json"], b"hello", Err("invalid_json")),
            (&[], br#"{"model":"a","model":"b"}"#, Err("duplicate_field")),
            (&[], br#"{"model":"a","mod\u0065l":"b"}"#, Err("duplicate_field")),
            (&[], br#"{"model":"a","Model":"b"}"#, Err("invalid_value")),
        ];
        for (types, body, expected) in cases {
            let text = String::from_utf8_lossy(body).into_owned();
            assert_eq!(read(types, body, Operation::Other), expected, "{types:?} {text}");
        }
    }

    #[test]
    fn forms_are_for_calls_that_take_them() {
        let form = b"--b\r\ncontent-disposition: form-data; name=model\r\n\r\ncheap\r\n--b--\r\n";
        let claim = ["multipart/form-data; boundary=b"];
        assert_eq!(read(&claim, form, Operation::Other), Ok("cheap".into()));
        assert_eq!(read(&claim, form, Operation::Chat), Err("unsupported_media_type"));
        let fields = ["application/x-www-form-urlencoded"];
        assert_eq!(read(&fields, b"a=b&model=cheap", Operation::Other), Ok("cheap".into()));
        assert_eq!(read(&fields, b"model=cheap", Operation::Chat), Err("unsupported_media_type"));
        assert_eq!(read(&["audio/wav"], b"RIFF", Operation::Chat), Err("unsupported_media_type"));
        assert_eq!(read(&[], b"", Operation::Chat), Err("invalid_json"));
    }
}
