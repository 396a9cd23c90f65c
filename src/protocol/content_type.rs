//! What the content types of a request claim. Servers differ in what they believe of it, so the body
//! decides what it is, and the claim only says in which other way it could be read.

use memchr::memmem;

use super::multipart::{self, Parameters};

/// What all `content-type` headers of a request say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub kind: Kind,
    /// A reader may take the body for the fields of a form, `a=b&c=d`.
    pub fields: bool,
    /// An encoding in which ASCII may mean something else.
    pub foreign: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing that could name a model.
    #[default]
    Other,
    Json,
    /// `multipart/form-data` with this boundary.
    Form(Box<[u8]>),
    /// `application/x-www-form-urlencoded`
    Fields,
    /// Several types, or a form that not every reader can take apart.
    Doubtful,
}

impl Claim {
    pub fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut claim = Self::default();
        let mut first = true;
        for value in values.flat_map(listed) {
            let kind = Kind::of(value);
            claim.fields |= kind == Kind::Fields;
            claim.foreign |= is_foreign(value);
            claim.kind = match first || claim.kind == kind {
                true => kind,
                false => Kind::Doubtful,
            };
            first = false;
        }
        claim
    }
}

impl Kind {
    fn of(value: &[u8]) -> Self {
        let media = media(value).to_ascii_lowercase();
        if let Some(boundary) = multipart::boundary(value) {
            return Self::Form(boundary.into());
        }
        match &*media {
            b"multipart/form-data" => Self::Doubtful,
            b"application/x-www-form-urlencoded" => Self::Fields,
            b"application/json" | b"application/x-json" | b"text/json" | b"text/x-json" => {
                Self::Json
            }
            media if media.ends_with(b"+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

/// Type and subtype.
fn media(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether some reader would decode the body by this, and find other letters in it.
fn is_foreign(value: &[u8]) -> bool {
    let parameters = value.get(media_end(value)..).unwrap_or_default();
    let mut charsets = Parameters::of(parameters).filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        match value {
            Some(value) => (name == b"charset").then(|| value.to_ascii_lowercase()),
            // What cannot be read is all that is left.
            None => memmem::find(&name, b"charset").is_some().then_some(name),
        }
    });
    charsets.any(|charset| {
        let known = ASCII.iter().any(|known| *known == charset);
        !known && !ASCII_FAMILIES.iter().any(|family| charset.starts_with(family))
    })
}

fn media_end(value: &[u8]) -> usize {
    value.iter().position(|byte| *byte == b';').unwrap_or(value.len())
}

/// The types in one header: some readers take a list.
fn listed(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    value.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    })
}

/// In which a byte below 128 is ASCII, wherever it stands.
const ASCII: [&[u8]; 5] = [b"utf-8", b"utf8", b"us-ascii", b"ascii", b"latin1"];
const ASCII_FAMILIES: [&[u8]; 2] = [b"iso-8859-", b"windows-125"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_once_or_always_the_same_counts() {
        let form = || Kind::Form((*b"b").into());
        let cases: [(&[&str], Kind); 16] = [
            (&[], Kind::Other),
            (&["application/json"], Kind::Json),
            (&["Application/JSON; charset=UTF-8"], Kind::Json),
            (&["text/json"], Kind::Json),
            (&["application/vnd.x+json"], Kind::Json),
            (&["application/json", "application/json"], Kind::Json),
            (&["application/json, x"], Kind::Doubtful),
            (&["application/json", "text/plain"], Kind::Doubtful),
            (&["text/plain"], Kind::Other),
            (&["application/octet-stream", "text/plain"], Kind::Other),
            (&["multipart/form-data; boundary=b"], form()),
            (&["multipart/form-data; boundary=\"b\""], form()),
            (
                &["multipart/form-data; boundary=b", "multipart/form-data; boundary=c"],
                Kind::Doubtful,
            ),
            (&["multipart/form-data"], Kind::Doubtful),
            (&["application/x-www-form-urlencoded; charset=utf-8"], Kind::Fields),
            (&["a/b; x=\"application/json, \""], Kind::Other),
        ];
        for (values, expected) in cases {
            let claim = Claim::of(values.iter().map(|value| value.as_bytes()));
            assert_eq!(claim.kind, expected, "{values:?}");
        }
        let both = ["application/json", "application/x-www-form-urlencoded"];
        assert!(Claim::of(both.iter().map(|value| value.as_bytes())).fields);
    }

    #[test]
    fn only_encodings_that_keep_ascii_are_read() {
        for (value, foreign) in [
            ("application/json; charset=utf-8", false),
            ("application/json;charset=\"UTF-8\"", false),
            ("text/plain; charset=ISO-8859-1", false),
            ("application/json; charset=utf-7", true),
            ("application/json; charset=utf-16le", true),
            ("application/json; charset=cp037", true),
            ("application/json; a=b; charset=shift_jis", true),
            ("application/json; charset=utf-8; charset=utf-7", true),
            ("application/json; charset=\"utf-7", true),
            ("application/json", false),
        ] {
            assert_eq!(Claim::of([value.as_bytes()].into_iter()).foreign, foreign, "{value}");
        }
    }
}
