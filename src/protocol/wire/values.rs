//! The values that all wire types are made of.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::{MAX_REST, Path, Wire};
use crate::error::Error;
use crate::protocol::edit::write_json_string;
use crate::protocol::json::{Fault, Kind, Scanner};
use crate::protocol::mistake::{invalid_type, invalid_value};

/// A JSON value as it is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw<'a>(Cow<'a, str>);

/// The members of an object that have no field, in their order and as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest<'a>(Vec<(Raw<'a>, Raw<'a>)>);

/// A number as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number<'a>(Cow<'a, str>);

/// A text, or what the same member holds where it is no text.
#[derive(Clone, Debug, PartialEq)]
pub enum TextOr<'a, T> {
    Text(Cow<'a, str>),
    Other(T),
}

/// A value that the API writes as `null` rather than leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nullable<T>(pub Option<T>);

/// Writes an object.
pub(crate) struct Members<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'a> Raw<'a> {
    pub const NULL: Self = Self(Cow::Borrowed("null"));
    pub const EMPTY_OBJECT: Self = Self(Cow::Borrowed("{}"));

    /// `None` unless `json` is one JSON value.
    pub fn new(json: impl Into<Cow<'a, str>>) -> Option<Self> {
        let json = json.into();
        let mut scanner = Scanner::new(json.as_bytes());
        scanner.skip().and_then(|_| scanner.finish()).ok()?;
        Some(Self(json))
    }

    /// `json` must be one JSON value.
    pub(crate) const fn checked(json: Cow<'a, str>) -> Self {
        Self(json)
    }

    /// `json` must be one JSON value.
    pub(crate) const fn literal(json: &'static str) -> Self {
        Self(Cow::Borrowed(json))
    }

    pub(crate) fn from_wire<'b>(value: &impl Wire<'b>) -> Self {
        // What is written of text is text.
        Self(String::from_utf8(super::write(value)).unwrap_or_default().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_text(self) -> Cow<'a, str> {
        self.0
    }

    pub fn is_object(&self) -> bool {
        self.0.trim_ascii_start().starts_with('{')
    }

    pub fn is_null(&self) -> bool {
        self.0.trim_ascii() == "null"
    }

    /// The text, if it is a string.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        Scanner::new(self.0.as_bytes()).text().ok()?.decode()
    }

    /// Parsed; `None` if a string in it is no valid Unicode text, or a number too large.
    pub fn value(&self) -> Option<Value> {
        serde_json::from_str(&self.0).ok()
    }
}

impl Default for Raw<'_> {
    fn default() -> Self {
        Self::NULL
    }
}

impl<T> Default for TextOr<'_, T> {
    fn default() -> Self {
        Self::Text(Cow::Borrowed(""))
    }
}

impl<T> Default for Nullable<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl From<&Value> for Raw<'_> {
    fn from(value: &Value) -> Self {
        Self(Cow::Owned(value.to_string()))
    }
}

impl From<Value> for Raw<'_> {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> Wire<'a> for Raw<'a> {
    fn read(scanner: &mut Scanner<'a>, _: &Path<'_>) -> Result<Self, Error> {
        let span = scanner.skip()?;
        Ok(Self(as_text(scanner.slice(span))?))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl<'a> Rest<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Raw<'a>> {
        self.0.iter().find(|(key, _)| is_named(key, name)).map(|(_, value)| value)
    }

    pub fn remove(&mut self, name: &str) -> Option<Raw<'a>> {
        let index = self.0.iter().position(|(key, _)| is_named(key, name))?;
        Some(self.0.remove(index).1)
    }

    pub fn push(&mut self, name: &str, value: Raw<'a>) {
        let mut key = Vec::new();
        write_json_string(&mut key, name);
        self.0.push((Raw(String::from_utf8_lossy(&key).into_owned().into()), value));
    }

    /// The members' names; a name that is no text is left out.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.iter().filter_map(|(key, _)| key.text())
    }

    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &Raw<'a>)> {
        self.0.iter().filter_map(|(key, value)| Some((key.text()?, value)))
    }

    /// Keys as they are written, with their quotes.
    pub(crate) fn raw(&self) -> impl Iterator<Item = (&Raw<'a>, &Raw<'a>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Reads an object. `field` reads the values of the keys it knows and leaves the others.
    pub(crate) fn read(
        scanner: &mut Scanner<'a>,
        at: &Path<'_>,
        mut field: impl FnMut(&mut Scanner<'a>, &str) -> Result<bool, Error>,
    ) -> Result<Self, Error> {
        expect(scanner, Kind::Object, at)?;
        let mut rest = Vec::new();
        scanner.object(|scanner, key| {
            if let Some(name) = key.decode()
                && field(scanner, &name)?
            {
                return Ok(());
            }
            if rest.len() >= MAX_REST {
                let rule = format!("it must not have more than {MAX_REST} unknown members");
                return Err(invalid_value(at.to_string(), &rule));
            }
            let key = Raw(as_text(scanner.slice(key.span))?);
            rest.push((key, Raw::read(scanner, at)?));
            Ok(())
        })?;
        Ok(Self(rest))
    }
}

impl<'a> Wire<'a> for Rest<'a> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        Self::read(scanner, at, |_, _| Ok(false))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut members = Members::new(out);
        members.rest(self);
        members.end();
    }
}

impl Number<'_> {
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or_default()
    }
}

impl From<u64> for Number<'_> {
    fn from(number: u64) -> Self {
        Self(Cow::Owned(number.to_string()))
    }
}

impl From<f64> for Number<'_> {
    fn from(number: f64) -> Self {
        Self(Cow::Owned(number.to_string()))
    }
}

impl<'a> Wire<'a> for Number<'a> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        expect(scanner, Kind::Number, at)?;
        Ok(Self(as_text(scanner.number()?)?))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl<'a> Wire<'a> for u64 {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        expect(scanner, Kind::Number, at)?;
        let digits = as_text(scanner.number()?)?;
        digits
            .parse()
            .map_err(|_| invalid_value(at.to_string(), "it must be a whole number, zero or more"))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }
}

impl<'a> Wire<'a> for bool {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        expect(scanner, Kind::Bool, at)?;
        Ok(scanner.boolean()?)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl<'a> Wire<'a> for Cow<'a, str> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        text(scanner, at)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json_string(out, self);
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for TextOr<'a, T> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        match scanner.kind()? {
            Kind::String => text(scanner, at).map(Self::Text),
            _ => T::read(scanner, at).map(Self::Other),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_json_string(out, text),
            Self::Other(other) => other.write(out),
        }
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Nullable<T> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        Wire::read(scanner, at).map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn absent(_: &Path<'_>) -> Result<Self, Error> {
        Ok(Self(None))
    }
}

impl<'o> Members<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(crate) fn put<'a>(&mut self, key: &str, value: &impl Wire<'a>) {
        if !value.is_absent() {
            self.comma();
            write_json_string(self.out, key);
            self.out.push(b':');
            value.write(self.out);
        }
    }

    pub(crate) fn rest(&mut self, rest: &Rest<'_>) {
        for (key, value) in &rest.0 {
            self.raw(key, |out| value.write(out));
        }
    }

    /// `key` as it is written, with its quotes.
    pub(crate) fn raw(&mut self, key: &Raw<'_>, value: impl FnOnce(&mut Vec<u8>)) {
        self.comma();
        key.write(self.out);
        self.out.push(b':');
        value(self.out);
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }
}

/// A string.
pub(crate) fn text<'a>(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Cow<'a, str>, Error> {
    expect(scanner, Kind::String, at)?;
    let text = scanner.text()?.decode();
    text.ok_or_else(|| invalid_value(at.to_string(), "it must be valid Unicode text"))
}

/// What the next object says in its member `name`, if it does; the object itself is still to be
/// read.
pub(crate) fn tag<'a>(
    scanner: &Scanner<'a>,
    name: &'static str,
    at: &Path<'_>,
) -> Result<Option<Cow<'a, str>>, Error> {
    enum Stop<'a> {
        Found(Result<Cow<'a, str>, Error>),
        Fault(Fault),
    }
    impl From<Fault> for Stop<'_> {
        fn from(fault: Fault) -> Self {
            Self::Fault(fault)
        }
    }

    let mut ahead = scanner.clone();
    expect(&mut ahead, Kind::Object, at)?;
    let at = Path::Member(at, name);
    let read = ahead.object(|scanner, key| match key.decode() {
        Some(key) if key == name => Err(Stop::Found(text(scanner, &at))),
        _ => scanner.skip().map(drop).map_err(Stop::Fault),
    });
    match read {
        Err(Stop::Found(tag)) => tag.map(Some),
        Err(Stop::Fault(fault)) => Err(fault.into()),
        Ok(_) => Ok(None),
    }
}

/// Refuses a value of another type.
pub(super) fn expect(
    scanner: &mut Scanner<'_>,
    expected: Kind,
    at: &Path<'_>,
) -> Result<(), Error> {
    match scanner.kind()? {
        kind if kind == expected => Ok(()),
        kind => match at {
            Path::Root => Err(crate::protocol::mistake::not_an_object(kind)),
            _ => Err(invalid_type(at.to_string(), expected.words(), kind)),
        },
    }
}

fn is_named(key: &Raw<'_>, name: &str) -> bool {
    key.text().is_some_and(|key| key == name)
}

/// The scanner has checked it already.
fn as_text(bytes: &[u8]) -> Result<Cow<'_, str>, Fault> {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => Err(Fault::Encoding(0)),
    }
}
