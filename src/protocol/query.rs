//! The query of a path: its parameters, each percent-decoded where names are compared.

use std::borrow::Cow;

use super::percent_decode;

/// The first value that a parameter has. A name that is spelled with escapes is that name.
pub fn value<'a>(path: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    let (_, query) = split(path)?;
    let found = query.split(|byte| *byte == b'&').find(|part| is_named(part, name))?;
    let value = found.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default();
    Some(decode(value))
}

/// The path without these parameters; `None` where it has none of them.
pub fn without(path: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let (before, query) = split(path)?;
    let named = |part: &&[u8]| names.iter().any(|name| is_named(part, name));
    let parts = || query.split(|byte| *byte == b'&');
    parts().find(|part| named(part))?;
    let mut left = before.to_vec();
    for part in parts().filter(|part| !named(part)) {
        left.push(if left.len() == before.len() { b'?' } else { b'&' });
        left.extend_from_slice(part);
    }
    Some(left)
}

/// What stands before the question mark, and behind it.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().position(|byte| *byte == b'?')?;
    let (before, query) = path.split_at_checked(at)?;
    Some((before, query.get(1..)?))
}

fn is_named(part: &[u8], name: &str) -> bool {
    let found = part.split(|byte| *byte == b'=').next().unwrap_or_default();
    *decode(found) == *name.as_bytes()
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    match text.contains(&b'%').then(|| percent_decode(text)).flatten() {
        Some(decoded) => Cow::Owned(decoded),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_in_any_spelling() {
        let cases = [
            ("/a?key=k", Some("k")),
            ("/a?x=1&k%65y=a%2Fb&key=c", Some("a/b")),
            ("/a?key", Some("")),
            ("/a?key=a=b", Some("a=b")),
            ("/a?keys=k&=key", None),
            ("/a", None),
            ("/key=k", None),
        ];
        for (path, expected) in cases {
            let found = value(path.as_bytes(), "key");
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn what_is_taken_out_is_gone_however_often_it_was_there() {
        let cases = [
            ("/a?key=k", Some("/a")),
            ("/a?key=k&alt=sse", Some("/a?alt=sse")),
            ("/a?alt=sse&k%65y=k&x&key", Some("/a?alt=sse&x")),
            ("/a?alt=sse", None),
            ("/a", None),
        ];
        for (path, expected) in cases {
            let left = without(path.as_bytes(), &["key", "other"]);
            assert_eq!(left.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }
}
