//! The one reading of a request's path, which everything asks that depends on it.
//!
//! Servers are lenient, each in its own way: one folds case, one takes `;parameters` out, one
//! decodes before it splits, one joins slashes. A [`Path`] is read as all of them together would
//! read it. What is found so is written in one canonical spelling, and that goes on, so that what
//! was judged here is what every server behind finds.

use std::borrow::Cow;

use super::model_path::{self, ModelPath};
use super::{Operation, percent_decode};

/// A path with its query, in its canonical spelling if it means anything here, else as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    text: Cow<'a, [u8]>,
    means_something: bool,
}

/// Where a request goes in the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// A call that names a model in its body, or in its path: see [`ModelPath`].
    Call(Operation),
    /// `GET /v1/models`, `GET /v1beta/models`
    Models,
    /// Ollama's `GET /api/tags`
    Tags,
    /// `GET /v1/models/{id}`, `GET /v1beta/models/{id}`, the id as it stands in the path: see
    /// [`decode_id`](super::decode_id).
    Model(&'a str),
    /// `GET /llm/health`
    Health,
    /// No LLM call.
    Unmatched,
}

impl<'a> Path<'a> {
    pub fn read(raw: &'a [u8]) -> Self {
        let (path, query) = split(raw);
        let canonical = known(path).is_some() || model_path::is_canonical(path);
        if canonical && path.len() + query.len() == raw.len() {
            return Self { text: raw.into(), means_something: true };
        }
        let respelled = respell(path).map(|path| [&path, query].concat());
        let means_something = respelled.is_some();
        let text = respelled.filter(|text| text != raw).map_or(raw.into(), Cow::Owned);
        Self { text, means_something }
    }

    pub fn into_owned(self) -> Path<'static> {
        Path { text: self.text.into_owned().into(), ..self }
    }

    /// Whether the gateway knows it, or it stands under a version of an API: then it is canonical.
    pub fn means_something(&self) -> bool {
        self.means_something
    }

    /// Whether it came in another spelling.
    pub fn is_respelled(&self) -> bool {
        matches!(self.text, Cow::Owned(_))
    }

    /// With its query.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    pub fn without_query(&self) -> &[u8] {
        split(&self.text).0
    }

    /// With its question mark; may be empty.
    pub fn query(&self) -> &[u8] {
        split(&self.text).1
    }

    /// What it asks for where its method is that of a call.
    pub fn call(&self) -> Option<Operation> {
        let path = self.without_query();
        if !self.means_something {
            return None;
        }
        match known(path) {
            Some(Known::Call(operation)) => return Some(operation),
            Some(Known::Tags | Known::Health) => return None,
            Some(Known::Models) | None => {}
        }
        under_version(path)?;
        Some(ModelPath::of(self).map_or(Operation::Other, |path| path.operation()))
    }

    /// The model that an old path names, in which some servers look for it before they look into the
    /// body: `/v1/engines/{model}/completions`.
    pub fn engine(&self) -> Option<&[u8]> {
        let mut segments = under_version(self.without_query())?.split(|byte| *byte == b'/');
        let first = segments.next()?;
        let is_old = ENGINES.iter().any(|name| name.eq_ignore_ascii_case(first));
        segments.next().filter(|_| is_old)
    }

    /// The operation of an endpoint that the gateway has at this path, and the methods that it has
    /// there.
    pub fn methods(&self) -> Option<(Operation, &'static str)> {
        match known(self.without_query())? {
            Known::Call(operation) => Some((operation, "POST")),
            Known::Models | Known::Tags | Known::Health => Some((Operation::Models, "GET, HEAD")),
        }
    }

    /// Whether what is posted there names no model, or belongs to one account of one provider.
    pub fn is_without_model(&self) -> bool {
        let rest = under_version(self.without_query()).map(<[u8]>::to_ascii_lowercase);
        rest.is_some_and(|rest| WITHOUT_MODEL.iter().any(|prefix| is_under(&rest, prefix)))
    }

    /// Whether a call asks for nothing but how many tokens another one would have: Anthropic's
    /// `messages/count_tokens`, OpenAI's `responses/input_tokens`, Gemini's `:countTokens`.
    pub fn counts_tokens(&self) -> bool {
        let path = self.without_query();
        let of_gemini = || ModelPath::of(self).is_some() && path.ends_with(b":countTokens");
        let known = [&b"/v1/messages/count_tokens"[..], b"/v1/responses/input_tokens"];
        self.means_something && (known.contains(&path) || of_gemini())
    }

    /// Whether it is of Ollama's own API.
    pub fn is_ollamas(&self) -> bool {
        self.text.starts_with(b"/api/")
    }

    /// Whether it is of Google's API.
    pub fn is_googles(&self) -> bool {
        self.text.starts_with(b"/v1beta/") || ModelPath::of(self).is_some()
    }
}

impl<'a> Endpoint<'a> {
    /// Decides by method and path; the query has no say.
    pub fn of(method: &[u8], path: &'a Path<'_>) -> Self {
        if is_post(method) {
            return path.call().map_or(Self::Unmatched, Self::Call);
        }
        if !matches!(method, b"GET" | b"HEAD") {
            return Self::Unmatched;
        }
        if !path.means_something {
            return Self::Unmatched;
        }
        let text = path.without_query();
        match known(text) {
            Some(Known::Models) => return Self::Models,
            Some(Known::Tags) => return Self::Tags,
            Some(Known::Health) => return Self::Health,
            Some(Known::Call(_)) => return Self::Unmatched,
            None => {}
        }
        let id = text.strip_prefix(b"/v1/models/").or(text.strip_prefix(b"/v1beta/models/"));
        let id = id.and_then(|id| std::str::from_utf8(id).ok());
        id.map_or(Self::Unmatched, Self::Model)
    }
}

/// Some servers fold the case of methods as well.
pub fn is_post(method: &[u8]) -> bool {
    method.eq_ignore_ascii_case(b"POST")
}

/// What the gateway has at a path that is one word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Call(Operation),
    Models,
    Tags,
    Health,
}

fn known(path: &[u8]) -> Option<Known> {
    Some(Known::Call(match path {
        b"/v1/chat/completions" => Operation::Chat,
        b"/v1/completions" => Operation::Completion,
        b"/v1/embeddings" => Operation::Embedding,
        b"/v1/responses" => Operation::Responses,
        b"/v1/messages" => Operation::Messages,
        b"/api/chat" => Operation::OllamaChat,
        b"/api/generate" => Operation::OllamaGenerate,
        b"/api/embed" => Operation::OllamaEmbed,
        b"/v1/models" | b"/v1beta/models" => return Some(Known::Models),
        b"/api/tags" => return Some(Known::Tags),
        b"/llm/health" => return Some(Known::Health),
        _ => return None,
    }))
}

/// The canonical spelling of a path without its query; `None` if it means nothing here.
fn respell(path: &[u8]) -> Option<Vec<u8>> {
    let path = origin_form(path);
    let (known, named) = reading(path, is_slash);
    if known.is_some() {
        return known;
    }
    // To some servers a backslash is a letter: where the two differ, a known call comes first.
    let (known, other) = match decode(&decode(path)).contains(&b'\\') {
        true => reading(path, |byte| byte == b'/'),
        false => (None, None),
    };
    // What goes on is read again in the same way, so no backslash may be left in it.
    let plain = |path: &Vec<u8>| !path.windows(3).any(|part| part.eq_ignore_ascii_case(b"%5c"));
    known.or(named).or(other.filter(plain))
}

/// The path as servers read it to which these bytes are slashes: one that is known here, or one
/// under a version of an API.
fn reading(path: &[u8], slash: Slash) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let once = decode(&without_parameters(path, slash));
    let mut whole = once.clone();
    for _ in 0..MAX_DECODINGS {
        let more = decode(&whole);
        if more == whole {
            break;
        }
        whole = more;
    }
    let folded = fold(&whole, slash);
    if known(&folded).is_some() {
        return (Some(folded), None);
    }
    (None, under_one(&folded, &once, &whole, slash))
}

fn under_one(folded: &[u8], once: &[u8], whole: &[u8], slash: Slash) -> Option<Vec<u8>> {
    let version: &[u8] = match folded.get(1..)?.split(|byte| *byte == b'/').next()? {
        b"v1beta" => b"/v1beta",
        b"v1" => b"/v1",
        _ => return None,
    };
    // Names keep their case, and what is an escape in them.
    let named = |text| {
        let segments = segments(text, slash);
        let (first, rest) = segments.split_first()?;
        (fold(first, slash) == version).then(|| rest.to_vec())
    };
    let rest = named(once).or_else(|| named(whole))?;
    let mut written = version.to_vec();
    match rest.split_first() {
        Some((first, spec)) if fold(first, slash) == b"/models" && !spec.is_empty() => {
            written.extend_from_slice(b"/models/");
            model_path::write(&spec.join(&b'/'), &mut written);
        }
        _ => {
            for segment in rest {
                written.push(b'/');
                model_path::encode(segment, SAFE, &mut written);
            }
        }
    }
    Some(written)
}

/// `http://host/path` is `/path`.
fn origin_form(path: &[u8]) -> &[u8] {
    if path.first().is_none_or(|byte| matches!(byte, b'/' | b'\\')) {
        return path;
    }
    let Some(at) = memchr::memmem::find(path, b"://") else { return path };
    let rest = path.get(at.saturating_add(3)..).unwrap_or_default();
    let slash = rest.iter().position(|byte| is_slash(*byte)).unwrap_or(rest.len());
    rest.get(slash..).unwrap_or_default()
}

/// Each segment as far as its first `;`.
fn without_parameters(path: &[u8], slash: Slash) -> Vec<u8> {
    let mut inside = false;
    let kept = path.iter().filter(|byte| {
        inside = **byte == b';' || (inside && !slash(**byte));
        !inside
    });
    kept.copied().collect()
}

/// Percent-decoded. What is no escape stays.
fn decode(text: &[u8]) -> Vec<u8> {
    if !text.contains(&b'%') {
        return text.to_vec();
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = rest.get(..3).filter(|_| byte == b'%').and_then(percent_decode);
        match escape {
            Some(escape) => {
                decoded.extend(escape);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    decoded
}

/// A decoded path as servers compare it: in lower case, without parameters, without what stands at
/// the end of a segment and is left out by some.
fn fold(path: &[u8], slash: Slash) -> Vec<u8> {
    let path = without_parameters(path, slash);
    let mut folded = Vec::with_capacity(path.len() + 1);
    for segment in segments(&path, slash) {
        let ends = |byte: &u8| *byte > b' ' && *byte != b'.';
        let end = segment.iter().rposition(ends).map_or(0, |last| last + 1);
        let kept = segment.get(..end).filter(|kept| !kept.is_empty()).unwrap_or(segment);
        folded.push(b'/');
        folded.extend(kept.to_ascii_lowercase());
    }
    // Two letters that are ASCII in lower or upper case: the Kelvin sign and the long s.
    match std::str::from_utf8(&folded) {
        Ok(text) if !text.is_ascii() => text.replace('\u{212a}', "k").replace('ſ', "s").into(),
        _ => folded,
    }
}

/// Without empty and dot segments.
fn segments(path: &[u8], slash: Slash) -> Vec<&[u8]> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| slash(*byte)) {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments
}

/// Path and query. A fragment is for clients only.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    path.split_at_checked(end).unwrap_or((path, &[]))
}

fn under_version(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(b"/v1/").or_else(|| path.strip_prefix(b"/v1beta/"))
}

fn is_under(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// Which bytes separate segments.
type Slash = fn(u8) -> bool;

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// How often a path is decoded to find one that is known here: proxies before a server may do so too.
const MAX_DECODINGS: usize = 4;

/// What a segment may hold beside letters and digits without being escaped.
const SAFE: &[u8] = b"-._~!$&'()*+,=:@";

/// Under the version: see [`Path::is_without_model`].
const WITHOUT_MODEL: [&[u8]; 9] = [
    b"batches",
    b"cachedcontents",
    b"containers",
    b"conversations",
    b"files",
    b"messages/batches",
    b"organization",
    b"uploads",
    b"vector_stores",
];

/// Behind these a model follows: see [`Path::engine`].
const ENGINES: [&[u8]; 2] = [b"deployments", b"engines"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::decode_id;

    /// The endpoint, and the path that goes on.
    fn read(method: &str, path: &str) -> (String, String) {
        let path = Path::read(path.as_bytes());
        let endpoint = Endpoint::of(method.as_bytes(), &path);
        (format!("{endpoint:?}"), String::from_utf8(path.as_bytes().to_vec()).unwrap())
    }

    fn of(method: &str, path: &str, expected: &str) {
        assert_eq!(read(method, path).0, expected, "{method} {path}");
    }

    #[test]
    fn calls_are_told_by_method_and_path() {
        for (method, path, expected) in [
            ("POST", "/v1/chat/completions", "Call(Chat)"),
            ("POST", "/v1/chat/completions?x=/v1/files", "Call(Chat)"),
            ("POST", "/v1/chat/completions/id", "Call(Other)"),
            ("POST", "/v1/completions", "Call(Completion)"),
            ("POST", "/v1/embeddings", "Call(Embedding)"),
            ("POST", "/v1/responses", "Call(Responses)"),
            ("POST", "/v1/messages?beta=true", "Call(Messages)"),
            // A backslash is a slash or a letter.
            ("POST", "/v1\\messages", "Call(Messages)"),
            ("POST", "/v1/x\\y/../messages", "Call(Messages)"),
            ("POST", "/..;\\c/.;./api/embed", "Call(OllamaEmbed)"),
            ("POST", "/..;\\c/v1/rerank", "Call(Other)"),
            ("POST", "/v1/messages/count_tokens", "Call(Other)"),
            ("POST", "/api/chat", "Call(OllamaChat)"),
            ("POST", "/api/generate", "Call(OllamaGenerate)"),
            ("POST", "/api/embed", "Call(OllamaEmbed)"),
            ("POST", "/v1beta/models/m:generateContent", "Call(GeminiGenerate)"),
            ("POST", "/v1beta/models/m:streamGenerateContent?alt=sse", "Call(GeminiStream)"),
            ("POST", "/v1/models/m:embedContent", "Call(GeminiEmbed)"),
            ("POST", "/v1beta/models/m:batchEmbedContents/", "Call(GeminiBatchEmbed)"),
            ("POST", "/v1beta/models/org/m:1b:generateContent", "Call(GeminiGenerate)"),
            ("POST", "/v1beta/models/m:countTokens", "Call(Other)"),
            ("POST", "/v1/models/m:countTokens", "Call(Other)"),
            // Whatever is posted under a version may name a model.
            ("POST", "/v1beta/models/m", "Call(Other)"),
            ("POST", "/v1beta/cachedContents", "Call(Other)"),
            ("POST", "/v1/files?purpose=batch", "Call(Other)"),
            ("POST", "/v1/models", "Call(Other)"),
            ("GET", "/v1/models/%00", r#"Model("%00")"#),
            ("POST", "/v1/audio/transcriptions", "Call(Other)"),
            ("post", "/v1/chat/completions", "Call(Chat)"),
            ("POST", "/v1", "Unmatched"),
            ("POST", "/v10/chat/completions", "Unmatched"),
            ("POST", "/v2/rerank", "Unmatched"),
            ("POST", "/chat/completions", "Unmatched"),
            ("POST", "/tokenize", "Unmatched"),
            ("POST", "/api/pull", "Unmatched"),
            ("POST", "/api/tags", "Unmatched"),
            ("POST", "/v1/engines/m/chat/completions", "Call(Other)"),
            ("POST", "", "Unmatched"),
            ("POST", "*", "Unmatched"),
            ("PUT", "/v1/chat/completions", "Unmatched"),
            ("GET", "/v1/chat/completions", "Unmatched"),
            ("GET", "/v1/files", "Unmatched"),
            ("OPTIONS", "*", "Unmatched"),
            ("GET", "/api/tags", "Tags"),
            ("GET", "/llm/health", "Health"),
            ("HEAD", "/llm/health?x", "Health"),
            ("POST", "/llm/health", "Unmatched"),
            ("GET", "/v1/models", "Models"),
            ("HEAD", "/v1/models", "Models"),
            ("GET", "/v1/models/?limit=20", "Models"),
            ("GET", "/v1beta/models?pageSize=5", "Models"),
            ("GET", "/v1beta/models/gemini-2.5-flash", r#"Model("gemini-2.5-flash")"#),
            ("GET", "/v1/models/gpt-4o", r#"Model("gpt-4o")"#),
            ("GET", "/v1/models/org/name%3A1b?x", r#"Model("org%2Fname%3A1b")"#),
            ("GET", "/v1/modelsx", "Unmatched"),
            ("DELETE", "/v1/models/gpt-4o", "Unmatched"),
        ] {
            of(method, path, expected);
        }
    }

    #[test]
    fn a_call_is_found_in_whatever_spelling_and_goes_on_in_its_own() {
        for path in [
            "/v1/Chat/Completions",
            "/V1/CHAT/COMPLETIONS",
            "/v1/chat/completions/",
            "/v1/chat/completions;v=1",
            "/v1;a/chat;b=c/completions;/",
            "/v1/chat/completions%3Bv=1",
            "//v1//chat///completions//",
            "/v1/chat%2Fcompletions",
            "/v1/chat%2fcompletions%2F",
            "/%76%31/%63hat/completions",
            "/v1/ch%2561t/completions",
            "/%252576%31/chat/completions",
            "/v1/./chat/completions/.",
            "/v1/files/../chat/completions",
            "/v1/files/%2e%2e/chat/completions",
            "/v1/files/%252e%252e/chat/completions",
            "/v1/x/..;/chat/completions",
            "/x/../../v1/chat/completions",
            "/v1\\chat\\completions",
            "/v1%5Cchat%5ccompletions",
            "\\v1\\chat/completions",
            "/v1/chat/completions%20",
            "/v1/chat/completions%00",
            "/v1/chat/completions.",
            "/v1/chat/completion\u{17f}",
            "/v1/chat/completion%C5%BF",
            "http://host/v1/chat/completions",
            "HTTPS://host:8443/v1/Chat/completions",
            "v1/chat/completions",
        ] {
            let expected = ("Call(Chat)".to_owned(), "/v1/chat/completions".to_owned());
            assert_eq!(read("POST", path), expected, "{path}");
        }
        for (path, written) in [
            ("/V1/Messages?Beta=True", "/v1/messages?Beta=True"),
            ("/v1/messages#/v1/files", "/v1/messages"),
            ("/v1/messages?a#b?c", "/v1/messages?a"),
            ("/API/Chat", "/api/chat"),
            ("/LLM/health", "/llm/health"),
            ("/V1/Rerank/", "/v1/Rerank"),
            ("/v1/x/../Rerank;a", "/v1/Rerank"),
            ("/v1/a%20b%2Fc%3fd", "/v1/a%20b/c%3Fd"),
            ("/v1/%zz", "/v1/%25zz"),
            ("/v1/\u{ff}", "/v1/%C3%BF"),
            ("/%25761/x", "/v1/x"),
            ("/v1/a:b@c$d", "/v1/a:b@c$d"),
            // Models keep their case, and all that is theirs.
            ("/V1beta/Models/Org%2FM:GenerateContent", "/v1beta/models/Org%2FM:generateContent"),
            ("/v1beta/models/org/m:1b:generateContent", "/v1beta/models/org/m:1b:generateContent"),
            ("//v1beta/./models/m%3AgenerateContent", "/v1beta/models/m:generateContent"),
            (
                "/v1beta/models/m:generateContent;x=y?alt=sse",
                "/v1beta/models/m:generateContent?alt=sse",
            ),
            ("/v1beta/models/a%2541:generateContent/", "/v1beta/models/a%2541:generateContent"),
            ("/v1/Models/GPT-4o/", "/v1/models/GPT-4o"),
            ("/v1/models/a%3Bb", "/v1/models/a%3Bb"),
            // What means nothing here is not touched.
            ("/Other//x/../y;z", "/Other//x/../y;z"),
            ("/v1/../v2", "/v1/../v2"),
            ("/v1", "/v1"),
            ("", ""),
        ] {
            assert_eq!(read("POST", path).1, written, "{path}");
        }
    }

    #[test]
    fn who_has_a_path_says_how_it_is_asked() {
        for (path, expected) in [
            ("/v1/Chat/Completions", Some((Operation::Chat, "POST"))),
            ("/v1/models", Some((Operation::Models, "GET, HEAD"))),
            ("/llm/health", Some((Operation::Models, "GET, HEAD"))),
            ("/v1/files", None),
        ] {
            assert_eq!(Path::read(path.as_bytes()).methods(), expected, "{path}");
        }
        for (path, expected) in [
            ("/v1/files", true),
            ("/v1/Files/x", true),
            ("/v1beta/cachedContents", true),
            ("/v1/messages/batches", true),
            ("/v1/filesystem", false),
            ("/v1/rerank", false),
        ] {
            assert_eq!(Path::read(path.as_bytes()).is_without_model(), expected, "{path}");
        }
    }

    #[test]
    fn an_old_path_names_a_model() {
        for (path, expected) in [
            ("/v1/Engines/m/completions", Some("m")),
            ("/v1/deployments/m", Some("m")),
            ("/v1/engines", None),
            ("/v1/x/engines/m", None),
            ("/engines/m", None),
        ] {
            let path = Path::read(path.as_bytes());
            assert_eq!(path.engine(), expected.map(str::as_bytes), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_on_is_read_as_it_was_judged(
            method in "GET|POST|HEAD|PUT",
            path in "(/|//|\\\\)?(v1|V1|v1beta|api|x|%76%31|llm)(/|%2f|%2F|//|/\\./|;a/){1,2}(chat|models|Chat|files|rerank|m%25zz|\\.\\.|health)?(/completions|/m:generateContent|:x|/%2e%2e|%3b|;b|\\?q=a)?(/|%00)?",
        ) {
            let first = Path::read(path.as_bytes());
            let again = Path::read(first.as_bytes());
            prop_assert!(!again.is_respelled(), "{:?} {:?}", first, again);
            let endpoint = Endpoint::of(method.as_bytes(), &first);
            prop_assert_eq!(endpoint, Endpoint::of(method.as_bytes(), &again));
        }

        #[test]
        fn no_path_panics(method in "GET|POST", path in prop::collection::vec(any::<u8>(), 0..60)) {
            for prefix in [&b"/v1/models/"[..], b"/v1/", b""] {
                let raw = [prefix, &path].concat();
                let read = Path::read(&raw);
                if let Endpoint::Model(id) = Endpoint::of(method.as_bytes(), &read) {
                    let _ = decode_id(id);
                }
                let again = Path::read(read.as_bytes());
                prop_assert_eq!(again.as_bytes(), read.as_bytes());
            }
        }
    }
}
