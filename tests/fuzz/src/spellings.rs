//! Paths of clients: whatever way a server may read one, the gateway has read it so.

use llm_gateway::protocol::{Endpoint, Operation, Path};

/// Every spelling of a call is that call, what goes on says so in one way, and no server that is
/// lenient in any way finds a call where the gateway found none.
pub(crate) fn spellings(data: &[u8]) {
    let path = Path::read(data);
    let again = Path::read(path.as_bytes());
    assert_eq!((again.as_bytes(), again.call()), (path.as_bytes(), path.call()));
    assert!(!again.is_respelled());
    if path.means_something() {
        let text = path.without_query();
        let mut segments = text.split(|byte| *byte == b'/');
        assert_eq!(segments.next(), Some(&b""[..]), "{:?}", shown(text));
        // A version alone has no more segments.
        let plain = |segment: &[u8]| {
            !matches!(segment, b"" | b"." | b"..")
                && !segment.iter().any(|byte| matches!(byte, b';' | b'\\'))
        };
        assert!(segments.all(plain), "{:?}", shown(text));
    }
    for read in SERVERS {
        let read = read(data);
        if let Some((_, operation)) = CALLS.iter().find(|(call, _)| *call == read) {
            assert_eq!(path.call(), Some(*operation), "a server reads {:?} as {read}", shown(data));
            assert_eq!(Endpoint::of(b"POST", &path), Endpoint::Call(*operation));
        }
    }
    spelled(data);
}

/// One of the calls, spelled as the bytes say.
fn spelled(data: &[u8]) {
    let Some((&which, how)) = data.split_first() else { return };
    let (call, operation) = CALLS[usize::from(which) % CALLS.len()];
    let mut how = how.iter().copied().chain(std::iter::repeat(0));
    let mut written = Vec::new();
    for byte in call.bytes() {
        let chosen = how.next().unwrap_or_default();
        match (byte, chosen % 8) {
            (b'/', 1) => written.extend(b"//"),
            (b'/', 2) => written.extend(b"/./"),
            (b'/', 3) => written.extend(b"/x/../"),
            (b'/', 4) if !written.is_empty() => written.extend(b"%2f"),
            (b'/', 5) if !written.is_empty() => written.extend(b";v=1/"),
            (byte, 6) if byte != b'/' => written.push(byte.to_ascii_uppercase()),
            (byte, 7) if byte != b'/' => written.extend(format!("%{byte:02X}").bytes()),
            (byte, _) => written.push(byte),
        }
    }
    match how.next().unwrap_or_default() % 4 {
        1 => written.push(b'/'),
        2 => written.extend(b";a=b"),
        3 => written.extend(b"?x=/v1/../"),
        _ => {}
    }
    let path = Path::read(&written);
    assert_eq!(path.call(), Some(operation), "{:?}", shown(&written));
    assert_eq!(path.without_query(), call.as_bytes(), "{:?}", shown(&written));
}

/// Servers, each lenient in ways of its own.
const SERVERS: [fn(&[u8]) -> String; 4] = [
    // One that looks at neither case nor a slash at the end.
    |raw| {
        let path = without_query(raw).to_ascii_lowercase();
        text(path.strip_suffix(b"/").unwrap_or(&path))
    },
    // One that decodes and then splits.
    |raw| joined(&decoded(without_query(raw))),
    // One that takes parameters out before it decodes.
    |raw| joined(&decoded(&without_parameters(without_query(raw)))),
    // All of it.
    |raw| {
        joined(
            &without_parameters(&decoded(&without_parameters(without_query(raw))))
                .to_ascii_lowercase(),
        )
    },
];

fn without_query(raw: &[u8]) -> &[u8] {
    raw.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let plain =
        segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
    plain.collect::<Vec<_>>().join(&b'/')
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let digits = path
            .get(at + 1..at + 3)
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let escape = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(escape.unwrap_or(byte));
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

/// Without empty and dot segments.
fn joined(path: &[u8]) -> String {
    let mut segments: Vec<&[u8]> = Vec::new();
    // What does not begin with a slash is no path.
    if path.first() != Some(&b'/') {
        return String::new();
    }
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    text(&[b"/", segments.join(&b'/').as_slice()].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn shown(bytes: &[u8]) -> String {
    text(bytes)
}

const CALLS: [(&str, Operation); 8] = [
    ("/v1/chat/completions", Operation::Chat),
    ("/v1/completions", Operation::Completion),
    ("/v1/embeddings", Operation::Embedding),
    ("/v1/responses", Operation::Responses),
    ("/v1/messages", Operation::Messages),
    ("/api/chat", Operation::OllamaChat),
    ("/api/generate", Operation::OllamaGenerate),
    ("/api/embed", Operation::OllamaEmbed),
];
