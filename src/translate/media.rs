//! Images and documents, which OpenAI names by URL.

use std::borrow::Cow;

/// What a URL of a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Media<'a> {
    /// `data:<type>;base64,<data>`; the type in lower case, the data is passed on unread.
    Data { media_type: Cow<'a, str>, data: &'a str },
    /// `http:` or `https:`
    Link(&'a str),
}

impl<'a> Media<'a> {
    /// `None` for any other scheme, and for data that is not in base64.
    pub(super) fn of(url: &'a str) -> Option<Self> {
        let Some(rest) = strip_prefix(url, "data:") else {
            let link = strip_prefix(url, "http:").or(strip_prefix(url, "https:"));
            return link.map(|_| Self::Link(url));
        };
        let (head, data) = rest.split_once(',')?;
        let (kind, encoding) = head.rsplit_once(';')?;
        if !encoding.eq_ignore_ascii_case("base64") {
            return None;
        }
        let media_type = lower(kind.split(';').next()?);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/+.-".contains(&b);
        let named = media_type.contains('/') && media_type.bytes().all(plain);
        named.then_some(Self::Data { media_type, data })
    }
}

/// Media types are told in any case, and compared in lower case.
pub(super) fn lower(media_type: &str) -> Cow<'_, str> {
    match media_type.bytes().any(|b| b.is_ascii_uppercase()) {
        true => media_type.to_ascii_lowercase().into(),
        false => media_type.into(),
    }
}

/// Base64 in the alphabet of data URLs; Google's clients write the one of URLs.
pub(super) fn base64(data: Cow<'_, str>) -> Cow<'_, str> {
    if data.contains(['-', '_']) { data.replace('-', "+").replace('_', "/").into() } else { data }
}

/// A data URL of base64 in either alphabet; `None` where the type is none.
pub(super) fn data_url<'a>(media_type: &str, data: Cow<'_, str>) -> Option<Cow<'a, str>> {
    let url = format!("data:{};base64,{}", lower(media_type), base64(data));
    Media::of(&url).is_some().then_some(url.into())
}

/// The type of an image in base64, by how its bytes begin.
pub(super) fn image_type(data: &str) -> Option<&'static str> {
    let known = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
    ];
    known.iter().find(|(begin, _)| data.starts_with(begin)).map(|(_, kind)| *kind)
}

/// What the base64 of a data URL says, if that is text.
pub(super) fn text(data: &str) -> Option<String> {
    let data = data.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(data.len());
    for group in data.chunks(4) {
        let mut bits = 0u32;
        for byte in group {
            bits = (bits << 6) | sextet(*byte)?;
        }
        let missing = 4usize.saturating_sub(group.len());
        for _ in 0..missing {
            bits <<= 6;
        }
        let whole = bits.to_be_bytes();
        // A lone letter is no byte.
        let known = group.len().checked_sub(1).filter(|known| *known > 0)?;
        bytes.extend(whole.iter().skip(1).take(known));
    }
    String::from_utf8(bytes).ok()
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Without regard to case, as schemes are.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_links_or_data() {
        let data = |media_type: &'static str, data| {
            Some(Media::Data { media_type: media_type.into(), data })
        };
        let cases = [
            ("https://example.com/a.png", Some(Media::Link("https://example.com/a.png"))),
            ("HTTP://example.com", Some(Media::Link("HTTP://example.com"))),
            ("data:image/png;base64,iVBO", data("image/png", "iVBO")),
            ("data:image/svg+xml;charset=utf-8;base64,iVBO", data("image/svg+xml", "iVBO")),
            ("Data:Image/PNG;Base64,iVBO", data("image/png", "iVBO")),
            ("data:image/png,raw", None),
            ("data:;base64,iVBO", None),
            ("data:image/p\"g;base64,iVBO", None),
            ("file:///etc/passwd", None),
            ("gs://bucket/a.png", None),
            ("", None),
            ("é", None),
        ];
        for (url, expected) in cases {
            assert_eq!(Media::of(url), expected, "{url}");
        }
    }

    #[test]
    fn text_is_read_from_base64() {
        for (data, expected) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYg", Some("foob")),
            ("R3LDvMOfZSs/", Some("Grüße+?")),
            ("Z", None),
            ("Zm9vY", None),
            ("Zm 9v", None),
            ("//4=", None),
        ] {
            assert_eq!(text(data).as_deref(), expected, "{data}");
        }
    }
}
