//! Images and documents, which OpenAI names by URL.

/// What a URL of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media<'a> {
    /// `data:<type>;base64,<data>`; the data is passed on unread.
    Data { media_type: &'a str, data: &'a str },
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
        let media_type = head.strip_suffix(";base64")?.split(';').next()?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/+.-".contains(&b);
        let named = media_type.contains('/') && media_type.bytes().all(plain);
        named.then_some(Self::Data { media_type, data })
    }
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
        let data = |media_type, data| Some(Media::Data { media_type, data });
        let cases = [
            ("https://example.com/a.png", Some(Media::Link("https://example.com/a.png"))),
            ("HTTP://example.com", Some(Media::Link("HTTP://example.com"))),
            ("data:image/png;base64,iVBO", data("image/png", "iVBO")),
            ("data:image/svg+xml;charset=utf-8;base64,iVBO", data("image/svg+xml", "iVBO")),
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
}
