//! Paths that name their model, as Gemini's do: `/v1beta/models/{model}:{method}`.

use std::borrow::Cow;

use super::{Operation, Path, decode_id};

/// A call whose path names its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPath<'a> {
    /// `None` where no model can have that name.
    pub model: Option<Cow<'a, str>>,
    /// `/v1beta` or `/v1`
    version: &'static str,
    method: &'a str,
    /// With its question mark.
    query: &'a [u8],
}

impl<'a> ModelPath<'a> {
    /// The method is behind the last colon.
    pub fn of(path: &'a Path<'_>) -> Option<Self> {
        let text = std::str::from_utf8(path.without_query()).ok()?;
        let (version, model, method) = parts(text).filter(|_| path.means_something())?;
        let model = decode_id(model).filter(|model| is_safe(model));
        Some(Self { model, version, method, query: path.query() })
    }

    pub fn operation(&self) -> Operation {
        operation(self.method).unwrap_or(Operation::Other)
    }

    /// The path that names this model; `None` where it does.
    pub fn with(&self, model: &str) -> Option<Vec<u8>> {
        if self.model.as_deref() == Some(model) {
            return None;
        }
        let mut path = [self.version, "/models/"].concat().into_bytes();
        encode(model.as_bytes(), UNRESERVED, &mut path);
        path.push(b':');
        path.extend_from_slice(self.method.as_bytes());
        path.extend_from_slice(self.query);
        Some(path)
    }
}

/// Whether a path without its query names a model, in a spelling that no server reads otherwise.
pub(super) fn is_canonical(path: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || PLAIN.contains(byte);
    let Ok(text) = std::str::from_utf8(path) else { return false };
    let Some((_, model, method)) = parts(text) else { return false };
    path.iter().all(plain) && is_safe(model) && named(method).is_none_or(|name| name == method)
}

/// Writes what stands behind `/models/`, decoded, in its canonical spelling.
pub(super) fn write(spec: &[u8], out: &mut Vec<u8>) {
    let colon = spec.iter().rposition(|byte| *byte == b':');
    let method = colon.and_then(|at| Some((spec.get(..at)?, spec.get(at + 1..)?)));
    let method = method.and_then(|(model, method)| Some((model, is_method(method)?)));
    let Some((model, method)) = method else { return encode(spec, UNRESERVED, out) };
    encode(model, UNRESERVED, out);
    out.push(b':');
    out.extend_from_slice(named(method).unwrap_or(method).as_bytes());
}

/// A name as it can stand in a path, or in a query.
pub(super) fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    encode(name.as_bytes(), UNRESERVED, &mut out);
    out
}

/// Writes a name so that no server reads a part of it as another path, query or method.
pub(super) fn encode(name: &[u8], safe: &[u8], out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for &byte in name {
        if byte.is_ascii_alphanumeric() || safe.contains(&byte) {
            out.push(byte);
        } else {
            let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Version, model and method.
fn parts(path: &str) -> Option<(&'static str, &str, &str)> {
    let under = |version: &'static str| Some((version, path.strip_prefix(version)?));
    let (version, rest) = under("/v1beta").or_else(|| under("/v1"))?;
    let (model, method) = rest.strip_prefix("/models/")?.rsplit_once(':')?;
    is_method(method.as_bytes()).map(|method| (version, model, method))
}

fn is_method(text: &[u8]) -> Option<&str> {
    let letters = !text.is_empty() && text.iter().all(u8::is_ascii_alphabetic);
    std::str::from_utf8(text).ok().filter(|_| letters)
}

/// A method that is known here, in its own case.
fn named(method: &str) -> Option<&'static str> {
    let names = METHODS.iter().map(|(name, _)| *name);
    names.into_iter().find(|name| name.eq_ignore_ascii_case(method))
}

fn operation(method: &str) -> Option<Operation> {
    METHODS.iter().find(|(name, _)| *name == method).map(|(_, operation)| *operation)
}

/// A server that decodes a path before it reads it must not find another one there.
fn is_safe(model: &str) -> bool {
    model.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

const METHODS: [(&str, Operation); 5] = [
    ("generateContent", Operation::GeminiGenerate),
    ("streamGenerateContent", Operation::GeminiStream),
    ("embedContent", Operation::GeminiEmbed),
    ("batchEmbedContents", Operation::GeminiBatchEmbed),
    ("countTokens", Operation::Other),
];
const UNRESERVED: &[u8] = b"-._~";
/// What a path may hold beside letters and digits and say the same to everybody.
const PLAIN: &[u8] = b"-._~/:@";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_model_is_what_stands_before_the_last_colon() {
        let cases = [
            ("/v1beta/models/gemini-2.5-flash:generateContent", Some("gemini-2.5-flash")),
            ("/v1beta/models/org/m:1b:generateContent?alt=sse", Some("org/m:1b")),
            ("/v1beta/models/org%2Fm%3A1b:generateContent", Some("org/m:1b")),
            ("/v1/models/m:embedContent/", Some("m")),
            ("/v1/models/Dear:countTokens", Some("Dear")),
            ("/v1/models/dear:predict", Some("dear")),
            ("/v1beta//models/a%2541:generateContent", Some("a%41")),
            ("/v1beta/models/m%3AgenerateContent", Some("m")),
            ("/v1beta/models/a%0ab:generateContent", None),
            ("/v1beta/models/a%E2%80%AEb:generateContent", None),
            ("/v1beta/models/%zz:generateContent", Some("%zz")),
        ];
        for (path, expected) in cases {
            let path = Path::read(path.as_bytes());
            assert_eq!(ModelPath::of(&path).unwrap().model.as_deref(), expected, "{path:?}");
        }
        for path in ["/v1/models/m:1b", "/v1beta/models/m", "/v1beta/models:x", "/v1beta"] {
            assert_eq!(ModelPath::of(&Path::read(path.as_bytes())), None, "{path}");
        }
    }

    #[test]
    fn only_the_model_changes() {
        let with = |path: &str, model| {
            let path = Path::read(path.as_bytes());
            let path = ModelPath::of(&path).unwrap().with(model);
            path.map(|path| String::from_utf8(path).unwrap())
        };
        let path = "/v1beta/models/a:streamGenerateContent?alt=sse";
        assert_eq!(with(path, "a"), None);
        let renamed = "/v1beta/models/b%2Fc%3A1%3F:streamGenerateContent?alt=sse";
        assert_eq!(with(path, "b/c:1?").as_deref(), Some(renamed));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(model in "[a-z:@/.%?#&é -]{1,20}") {
            let path = Path::read(b"/v1/models/x:generateContent?x=1");
            let written = ModelPath::of(&path).unwrap().with(&model);
            if let (true, Some(written)) = (is_safe(&model), written) {
                let path = Path::read(&written);
                prop_assert!(!path.is_respelled());
                let read = ModelPath::of(&path).unwrap();
                prop_assert_eq!(read.model.as_deref(), Some(&*model));
                prop_assert_eq!(read.operation(), Operation::GeminiGenerate);
                prop_assert!(written.ends_with(b":generateContent?x=1"));
            }
        }

        #[test]
        fn no_path_panics(path in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(path) = ModelPath::of(&Path::read(&path)) {
                let _ = path.with("m");
            }
        }
    }
}
