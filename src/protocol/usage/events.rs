//! The data of server-sent events that nobody else reads, without keeping any of them.

use memchr::memchr2;

/// Finds the data in a stream that is cut anywhere.
#[derive(Default)]
pub(super) struct Events {
    line: Line,
    /// The last byte was a carriage return, whose line feed belongs to it.
    returned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So many bytes of `data:` have come.
    Name(usize),
    Data,
    /// Another field, or a comment.
    Skipped,
}

/// What was found.
pub(super) enum Found<'a> {
    /// More of an event's data.
    Data(&'a [u8]),
    /// The event is whole.
    End,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(0)
    }
}

impl Events {
    pub(super) fn feed(&mut self, chunk: &[u8], mut found: impl FnMut(Found<'_>)) {
        let mut rest = chunk;
        if std::mem::take(&mut self.returned) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while !rest.is_empty() {
            let at = memchr2(b'\n', b'\r', rest);
            let (part, end) = rest.split_at_checked(at.unwrap_or(rest.len())).unwrap_or_default();
            let part = self.begin(part);
            if self.line == Line::Data && !part.is_empty() {
                found(Found::Data(part));
            }
            let Some((last, mut tail)) = end.split_first() else { return };
            match std::mem::take(&mut self.line) {
                Line::Name(0) => found(Found::End),
                // A line end within data separates as a space does.
                Line::Data => found(Found::Data(b"\n")),
                Line::Name(_) | Line::Skipped => {}
            }
            if *last == b'\r' {
                self.returned = tail.is_empty();
                tail = tail.strip_prefix(b"\n").unwrap_or(tail);
            }
            rest = tail;
        }
    }

    /// What of the line stands behind its field's name.
    fn begin<'a>(&mut self, part: &'a [u8]) -> &'a [u8] {
        let mut part = part;
        while let (Line::Name(matched), Some((first, tail))) = (self.line, part.split_first()) {
            self.line = match DATA.get(matched) {
                Some(expected) if expected == first => Line::Name(matched.saturating_add(1)),
                _ => Line::Skipped,
            };
            if self.line == Line::Name(DATA.len()) {
                self.line = Line::Data;
            }
            part = tail;
        }
        part
    }
}

const DATA: &[u8] = b"data:";

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut events, mut all, mut open) = (Events::default(), Vec::new(), Vec::new());
        for chunk in chunks {
            events.feed(chunk, |found| match found {
                Found::Data(data) => open.extend_from_slice(data),
                Found::End => all.push(String::from_utf8(std::mem::take(&mut open)).unwrap()),
            });
        }
        all
    }

    #[test]
    fn data_is_found_under_every_chunking() {
        for end in ["\n", "\r\n", "\r"] {
            let stream =
                [": hello", "event: x", "data: {\"a\":", "data:1}", "", "dat: no", "data: two", ""];
            let body: String = stream.iter().flat_map(|line| [line, end]).collect();
            let expected = [" {\"a\":\n1}\n", " two\n"];
            for step in 1..=body.len() {
                assert_eq!(read(body.as_bytes().chunks(step)), expected, "{end:?} {step}");
            }
        }
    }
}
