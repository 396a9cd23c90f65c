//! Paths that name their model, as Gemini's do: `/v1beta/models/{model}:{method}`.

use std::borrow::Cow;
use std::fmt::Write;

use super::{Operation, decode_id, plain};

/// A call whose path names its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPath<'a> {
    /// `None` where no model can have that name.
    pub model: Option<Cow<'a, str>>,
    /// `/v1beta` or `/v1`
    version: &'static str,
    method: Cow<'a, str>,
    /// With its question mark.
    query: &'a [u8],
    /// The path is not spelled as it is written here.
    odd: bool,
}

impl<'a> ModelPath<'a> {
    /// Of a path with its query; the method that is behind the last colon.
    pub fn of(path: &'a [u8]) -> Option<Self> {
        let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
        let (path, query) = path.split_at_checked(end)?;
        let text = std::str::from_utf8(path).ok()?;
        let dots = || text.contains("//") || text.contains("/.");
        if let Some((version, model, method)) = parts(text)
            && !dots()
        {
            let model = decode_id(model).filter(|model| is_safe(model));
            return Some(Self { model, version, method: method.into(), query, odd: false });
        }
        let plain = String::from_utf8(plain(path)?).ok()?;
        let (version, model, method) = parts(&plain)?;
        // It is decoded already.
        let written = model.replace('%', "%25");
        let model = decode_id(&written).filter(|model| is_safe(model));
        let model = model.map(|model| model.into_owned().into());
        Some(Self { model, version, method: method.to_owned().into(), query, odd: true })
    }

    pub fn operation(&self) -> Operation {
        operation(&self.method).unwrap_or(Operation::Other)
    }

    /// The path that names this model; `None` where it does.
    pub fn with(&self, model: &str) -> Option<Vec<u8>> {
        if !self.odd && self.model.as_deref() == Some(model) {
            return None;
        }
        let mut path = format!("{}/models/", self.version);
        encode(model, &mut path);
        path.push(':');
        path.push_str(&self.method);
        Some([path.as_bytes(), self.query].concat())
    }
}

/// Version, model and method. Under `/v1` only methods that are known here are Gemini's.
fn parts(path: &str) -> Option<(&'static str, &str, &str)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let under = |version: &'static str| Some((version, path.strip_prefix(version)?));
    let (version, rest) = under("/v1beta").or_else(|| under("/v1"))?;
    let (model, method) = rest.strip_prefix("/models/")?.rsplit_once(':')?;
    let named = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    let known = operation(method).is_some() || version == "/v1beta";
    (named && known).then_some((version, model, method))
}

fn operation(method: &str) -> Option<Operation> {
    Some(match method {
        "generateContent" => Operation::GeminiGenerate,
        "streamGenerateContent" => Operation::GeminiStream,
        "embedContent" => Operation::GeminiEmbed,
        "batchEmbedContents" => Operation::GeminiBatchEmbed,
        _ => return None,
    })
}

/// A server that decodes a path before it reads it must not find another one there.
fn is_safe(model: &str) -> bool {
    model.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Writes a name so that no server reads a part of it as another path, query or method.
fn encode(name: &str, out: &mut String) {
    for byte in name.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
}

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
            ("/v1beta//models/a%2541:generateContent", Some("a%41")),
            ("/v1beta/models/m%3AgenerateContent", Some("m")),
            ("/v1beta/models/a%2F..%2Fb:generateContent", None),
            ("/v1beta/models/%2E%2E:generateContent", None),
            ("/v1beta/models/:generateContent", None),
            ("/v1beta/models/a%0ab:generateContent", None),
            ("/v1beta/models/%zz:generateContent", None),
        ];
        for (path, expected) in cases {
            let read = ModelPath::of(path.as_bytes()).unwrap();
            assert_eq!(read.model.as_deref(), expected, "{path}");
        }
        for path in ["/v1/models/m:countTokens", "/v1beta/models/m", "/v1beta/models:x", "/v1beta"]
        {
            assert_eq!(ModelPath::of(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn only_the_model_changes() {
        let with = |path: &str, model| {
            let path = ModelPath::of(path.as_bytes()).unwrap();
            path.with(model).map(|path| String::from_utf8(path).unwrap())
        };
        let path = "/v1beta/models/a:streamGenerateContent?alt=sse";
        assert_eq!(with(path, "a"), None);
        let renamed = "/v1beta/models/b%2Fc%3A1%3F:streamGenerateContent?alt=sse";
        assert_eq!(with(path, "b/c:1?").as_deref(), Some(renamed));
        let odd = "//v1beta/models/a:generateContent";
        assert_eq!(with(odd, "a").as_deref(), Some("/v1beta/models/a:generateContent"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(model in "[a-z:@/.%?#&é -]{1,20}") {
            let path = ModelPath::of(b"/v1/models/x:generateContent?x=1").unwrap();
            if let (true, Some(written)) = (is_safe(&model), path.with(&model)) {
                let read = ModelPath::of(&written).unwrap();
                prop_assert_eq!(read.model.as_deref(), Some(&*model));
                prop_assert_eq!(read.operation(), Operation::GeminiGenerate);
                prop_assert!(written.ends_with(b":generateContent?x=1"));
            }
        }

        #[test]
        fn no_path_panics(path in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(path) = ModelPath::of(&path) {
                let _ = path.with("m");
            }
        }
    }
}
