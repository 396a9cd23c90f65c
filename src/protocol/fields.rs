//! The model that the fields of a form name: `application/x-www-form-urlencoded`.

use std::borrow::Cow;

use super::edit::Span;
use super::mistake::{invalid_value, twice};
use super::percent_decode;
use super::probe::{Form, Model};
use crate::error::Error;

/// The value of the field named `model`, if there is one.
pub fn model(body: &[u8]) -> Result<Option<Model<'_>>, Error> {
    let mut found = None;
    let mut at = 0;
    // Some readers separate fields by semicolons too.
    for field in body.split(|byte| matches!(byte, b'&' | b';')) {
        let start = at;
        at += field.len() + 1;
        let end = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let (name, value) = field.split_at_checked(end).unwrap_or((field, &[]));
        if !is_model(&decode(name)) {
            continue;
        }
        if found.is_some() {
            return Err(twice("model"));
        }
        let value = value.get(1..).unwrap_or_default();
        let text = String::from_utf8(decode(value).into_owned());
        let text = text.map_err(|_| invalid_value("model", "it must be valid Unicode text"))?;
        let span = Span { start: (start + end + 1).min(body.len()), end: start + field.len() };
        found = Some(Model::new(text.into(), span, Form::Field)?);
    }
    Ok(found)
}

/// Some readers make a list of `model[]`, of which others take the first, and strip what is white.
fn is_model(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    name == b"model" || name.starts_with(b"model[")
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.into();
    }
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).unwrap_or(spaced).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::edit::Edits;

    fn named(body: &str) -> Result<Option<String>, Option<&'static str>> {
        model(body.as_bytes())
            .map(|model| model.map(|model| model.name.into_owned()))
            .map_err(|error| error.code)
    }

    #[test]
    fn a_model_is_found_however_its_name_is_written() {
        for (body, expected) in [
            ("model=whisper-1&x=y", Ok(Some("whisper-1"))),
            ("x=y&mod%65l=org%2Fm%3A1b", Ok(Some("org/m:1b"))),
            ("x=y;model=a+b", Ok(Some("a b"))),
            ("x=model&models=y", Ok(None)),
            ("", Ok(None)),
            ("model=a&model=b", Err(Some("duplicate_field"))),
            ("model=a&model[]=b", Err(Some("duplicate_field"))),
            ("model=a;mode%6C=b", Err(Some("duplicate_field"))),
            ("model=", Err(Some("invalid_value"))),
            ("model", Err(Some("invalid_value"))),
            ("model=%ff", Err(Some("invalid_value"))),
            ("model=a%0ab", Err(Some("invalid_value"))),
        ] {
            assert_eq!(named(body), expected.map(|name| name.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn another_name_takes_its_place() {
        for (body, expected) in
            [("model=a&x=y", "model=b%2Fc&x=y"), ("x=y&model=a", "x=y&model=b%2Fc")]
        {
            let found = model(body.as_bytes()).unwrap().unwrap();
            let mut edits = Edits::default();
            edits.replace(found.span, found.encode("b/c"));
            assert_eq!(edits.apply(body.as_bytes()), expected.as_bytes());
        }
    }
}
