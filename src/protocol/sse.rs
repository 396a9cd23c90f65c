//! Server-sent events to the WHATWG rules, on bytes; and JSON lines, which are framed the same way.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// How a body is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/event-stream`
    EventStream,
    /// `application/x-ndjson`: one JSON document a line.
    JsonLines,
}

/// Cuts a body into frames, whatever the chunking. Each byte is looked at once; only a frame that
/// is split between chunks is copied. The frames and [`Decoder::finish`] together are the body,
/// byte for byte.
pub struct Decoder {
    format: Format,
    at: At,
    /// The split frame up to this chunk; of a frame beyond [`MAX_FRAME`] nothing.
    carry: Vec<u8>,
    /// Bytes of the frame before this chunk.
    before: usize,
}

/// The smallest part of a stream that its receiver can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An event with its blank line, a lone blank line, a comment line between events, or a JSON
    /// line.
    Whole(&'a [u8]),
    /// What belongs to the frame before it: the LF of a CRLF that was split between chunks. Also
    /// the byte order mark.
    Rest(&'a [u8]),
    /// A piece of a frame that is larger than [`MAX_FRAME`]: not to be understood, only passed on.
    Excess(&'a [u8]),
}

/// A [`Frame`] and how many bytes of the given chunk are in it: less than the frame is long if it
/// began in an earlier chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub frame: Frame<'a>,
    pub taken: usize,
}

/// An event that a receiver would dispatch. `id` and `retry` stay in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Empty if the event has none.
    pub name: &'a [u8],
    /// The data lines joined by LF; borrowed if there is one.
    pub data: Cow<'a, [u8]>,
    /// Where the first data line's value begins in the frame.
    pub data_at: usize,
}

/// A frame may have this many bytes; a larger one is [`Frame::Excess`].
pub const MAX_FRAME: usize = 1 << 20;

/// The memory of a larger frame is not kept for the next one.
const KEPT: usize = 16 << 10;

impl Decoder {
    pub fn new(format: Format) -> Self {
        Self { format, at: At::Mark, carry: Vec::new(), before: 0 }
    }

    /// The next frame of `chunk`, which is what earlier calls have not taken of it. `None`: all of
    /// it has been kept as the beginning of a frame.
    pub fn next<'a>(&'a mut self, chunk: &'a [u8]) -> Option<Piece<'a>> {
        if chunk.is_empty() {
            return None;
        }
        if self.before > MAX_FRAME {
            self.carry = Vec::new();
        }
        if self.at == At::Mark {
            let mark = self.mark(chunk)?;
            if !mark.is_empty() {
                self.at = At::Start { cr: false };
                return Some(Piece { frame: Frame::Rest(MARK), taken: mark.len() });
            }
        }
        if let At::Start { cr } = self.at {
            if self.carry.capacity() > KEPT {
                self.carry = Vec::new();
            }
            self.carry.clear();
            self.before = 0;
            self.at = At::Start { cr: false };
            if let (true, Some(lf @ b"\n")) = (cr, chunk.get(..1)) {
                return Some(Piece { frame: Frame::Rest(lf), taken: 1 });
            }
        }
        match self.scan(chunk).and_then(|end| chunk.get(..end)) {
            Some(end) => Some(Piece { frame: self.complete(end), taken: end.len() }),
            None => self.keep(chunk).map(|frame| Piece { frame, taken: chunk.len() }),
        }
    }

    /// The beginning of a frame that never ended: by the rules no event. [`Frame::Excess`], without
    /// bytes, if it has been passed on already.
    pub fn finish(&self) -> Frame<'_> {
        match self.at {
            At::Start { .. } => Frame::Rest(b""),
            _ if self.before > MAX_FRAME => Frame::Excess(b""),
            _ => Frame::Whole(&self.carry),
        }
    }

    /// How many bytes are kept.
    pub fn kept(&self) -> usize {
        self.carry.capacity()
    }

    /// Gives up a frame that has begun: what is kept of it, for which there is no room. The rest of
    /// it is [`Frame::Excess`]. Nothing, if none has begun.
    pub fn spill(&mut self) -> Vec<u8> {
        if matches!(self.at, At::Mark | At::Start { .. }) {
            return Vec::new();
        }
        self.before = self.before.max(MAX_FRAME.saturating_add(1));
        std::mem::take(&mut self.carry)
    }

    /// What there is of a byte order mark at the beginning of `chunk`; `None` if it may go on in
    /// the next chunk.
    fn mark<'a>(&mut self, chunk: &'a [u8]) -> Option<&'a [u8]> {
        let missing = MARK.get(self.before..).unwrap_or_default();
        let equal = missing.iter().zip(chunk).take_while(|(a, b)| a == b).count();
        if equal == missing.len() {
            return chunk.get(..equal);
        }
        if equal == chunk.len() {
            self.keep(chunk);
            return None;
        }
        self.at = if self.before == 0 { At::Start { cr: false } } else { At::Line };
        Some(&[])
    }

    fn complete<'a>(&'a mut self, end: &'a [u8]) -> Frame<'a> {
        let whole = self.before.saturating_add(end.len()) <= MAX_FRAME;
        let bytes = self.join(end);
        if whole { Frame::Whole(bytes) } else { Frame::Excess(bytes) }
    }

    /// Keeps a part of a frame, unless that makes the frame too large to be kept.
    fn keep<'a>(&'a mut self, part: &'a [u8]) -> Option<Frame<'a>> {
        self.before = self.before.saturating_add(part.len());
        if self.before > MAX_FRAME {
            return Some(Frame::Excess(self.join(part)));
        }
        self.carry.extend_from_slice(part);
        None
    }

    fn join<'a>(&'a mut self, part: &'a [u8]) -> &'a [u8] {
        if self.carry.is_empty() {
            return part;
        }
        self.carry.extend_from_slice(part);
        &self.carry
    }

    /// Moves over `chunk`, to the end of the frame if it is there.
    fn scan(&mut self, chunk: &[u8]) -> Option<usize> {
        match self.format {
            Format::EventStream => self.scan_event(chunk),
            Format::JsonLines => {
                let end = memchr(LF, chunk);
                self.at = if end.is_some() { At::Start { cr: false } } else { At::Line };
                end.map(|lf| lf.saturating_add(1))
            }
        }
    }

    fn scan_event(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut i = 0usize;
        loop {
            let rest = chunk.get(i..)?;
            let first = *rest.first()?;
            match self.at {
                At::LineStart { cr: true } if first == LF => {
                    i = i.saturating_add(1);
                    self.at = At::LineStart { cr: false };
                }
                At::Start { .. } if first == b':' => self.at = At::Comment,
                At::Mark | At::Start { .. } | At::LineStart { .. } if !line_end(first) => {
                    self.at = At::Line;
                }
                At::Line => {
                    let end = memchr2(LF, CR, rest)?;
                    self.at = At::LineStart { cr: rest.get(end) == Some(&CR) };
                    i = i.saturating_add(end).saturating_add(1);
                }
                // A blank line or a comment: the frame ends with this line.
                At::Mark | At::Start { .. } | At::LineStart { .. } | At::Comment => {
                    let end = memchr2(LF, CR, rest)?;
                    let after = rest.get(end..).unwrap_or_default();
                    let (cr, len) = match after {
                        [CR, LF, ..] => (false, 2),
                        [CR] => (true, 1),
                        _ => (false, 1),
                    };
                    self.at = At::Start { cr };
                    return Some(i.saturating_add(end).saturating_add(len));
                }
            }
        }
    }
}

/// Where the decoder stands. `cr`: the byte before was a CR, so that a LF now belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the beginning of the body, where a byte order mark may be.
    Mark,
    /// At the beginning of a frame.
    Start { cr: bool },
    /// In a comment line that no field precedes: a frame of its own, so that a keep-alive of one
    /// line is not held back.
    Comment,
    /// In a line that is not blank.
    Line,
    /// At the beginning of a line that is not the frame's first.
    LineStart { cr: bool },
}

/// The frames of a whole body, `None` for one that is too large to be read. A last one that has no
/// end is a frame too: its JSON tells whether it is whole.
pub fn frames(format: Format, body: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut decoder = Decoder::new(format);
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            let Some(piece) = decoder.next(rest) else {
                return Some(std::mem::take(&mut rest)).filter(|last| !last.is_empty()).map(Some);
            };
            let whole = match piece.frame {
                Frame::Whole(_) => Some(true),
                Frame::Excess(_) => Some(false),
                Frame::Rest(_) => None,
            };
            let (frame, after) = rest.split_at_checked(piece.taken).unwrap_or((rest, &[]));
            rest = after;
            if let Some(whole) = whole {
                return Some(whole.then_some(frame));
            }
        }
    })
}

/// The event in a whole frame of an event stream, `None` if it has no data.
pub fn event(frame: &[u8]) -> Option<Event<'_>> {
    let mut event = Event { name: b"", data: Cow::Borrowed(b""), data_at: 0 };
    let mut data = false;
    for (at, line) in lines(frame) {
        match field(line) {
            (b"data", skip) => {
                let value = line.get(skip..).unwrap_or_default();
                if data {
                    let all = event.data.to_mut();
                    all.push(LF);
                    all.extend_from_slice(value);
                } else {
                    event.data = Cow::Borrowed(value);
                    event.data_at = at.saturating_add(skip);
                    data = true;
                }
            }
            (b"event", skip) => event.name = line.get(skip..).unwrap_or_default(),
            _ => {}
        }
    }
    data.then_some(event)
}

/// Whether a frame has a field of an event, or nothing at all.
pub fn may_be_event(frame: &[u8]) -> bool {
    let is_known =
        |line: &[u8]| matches!(field(line).0, b"data" | b"event" | b"id" | b"retry" | b"");
    frame.trim_ascii().is_empty()
        || lines(frame).any(|(_, line)| !line.is_empty() && is_known(line))
}

/// Appends an event to `out`. A line end in `name` would begin another field, so the name ends
/// there.
pub fn write(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    let name = name.split(['\r', '\n']).next().unwrap_or_default();
    if !name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(LF);
    }
    let mut rest = Some(data);
    while let Some(text) = rest {
        let (line, next) = cut_line(text);
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(LF);
        rest = next;
    }
    out.push(LF);
}

/// A line's field name, and where its value begins. A comment's name is empty.
fn field(line: &[u8]) -> (&[u8], usize) {
    let colon = memchr(b':', line).unwrap_or(line.len());
    let name = line.get(..colon).unwrap_or_default();
    let space = line.get(colon.saturating_add(1)) == Some(&b' ');
    (name, colon.saturating_add(if space { 2 } else { 1 }))
}

/// The lines of a frame with their positions.
fn lines(frame: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = Some(frame);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, next) = cut_line(text);
        rest = next;
        Some((frame.len().saturating_sub(text.len()), line))
    })
}

/// The first line, and what follows its end if it has one.
fn cut_line(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some((line, end)) = memchr2(LF, CR, text).and_then(|at| text.split_at_checked(at)) else {
        return (text, None);
    };
    (line, end.strip_prefix(b"\r\n").or_else(|| end.get(1..)))
}

fn line_end(byte: u8) -> bool {
    matches!(byte, CR | LF)
}

const CR: u8 = b'\r';
const LF: u8 = b'\n';
const MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_follow_the_standard() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("data: a\n\n", &[("", "a")]),
            ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
            ("data: a\r\n\ndata: b\n\r", &[("", "a"), ("", "b")]),
            ("data:a\ndata:  b\ndata\ndata:c\n\n", &[("", "a\n b\n\nc")]),
            ("event: x\ndata: a\nid: 1\nretry: 5\nother: y\n\n", &[("x", "a")]),
            ("event: x\nevent\ndata\n\n", &[("", "")]),
            ("event: x\n\ndata: a\n\n", &[("", "a")]),
            (": ping\n\ndata: a\n: c\n\n:\n\n", &[("", "a")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
            ("\n\n\ndata: a\n\n\n", &[("", "a")]),
            ("data: a\n\ndata: b\n", &[("", "a")]),
            ("Data: a\n data: b\ndata : c\n\n", &[]),
            ("", &[]),
        ];
        for (body, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, d)| (n.as_bytes().to_vec(), d.as_bytes().to_vec()))
                .collect();
            for chunks in cuts(body.as_bytes()) {
                assert_eq!(decode(Format::EventStream, &chunks).events, expected, "{chunks:?}");
            }
        }
    }

    #[test]
    fn json_lines_end_at_line_feeds_only() {
        let body = b"{\"a\":1}\r\n\n{\"b\":\r2}\n{\"c\":3}";
        for chunks in cuts(body) {
            let all = decode(Format::JsonLines, &chunks);
            assert_eq!(all.frames, [&b"{\"a\":1}\r\n"[..], b"\n", b"{\"b\":\r2}\n"], "{chunks:?}");
            assert_eq!(all.unfinished, b"{\"c\":3}");
        }
    }

    #[test]
    fn a_keep_alive_of_one_line_is_a_frame() {
        let mut decoder = Decoder::new(Format::EventStream);
        let frame = decoder.next(b": ping\n").map(|piece| piece.frame);
        assert_eq!(frame, Some(Frame::Whole(b": ping\n")));
    }

    #[test]
    fn the_line_feed_of_a_split_line_end_belongs_to_the_frame_before() {
        let mut decoder = Decoder::new(Format::EventStream);
        let frame = decoder.next(b"data: a\r\n\r").map(|piece| piece.frame);
        assert_eq!(frame, Some(Frame::Whole(b"data: a\r\n\r")));
        let piece = decoder.next(b"\ndata: b\n\n");
        assert_eq!(piece, Some(Piece { frame: Frame::Rest(b"\n"), taken: 1 }));
    }

    #[test]
    fn a_frame_beyond_the_cap_is_passed_on_and_the_next_one_is_read() {
        for size in [MAX_FRAME - 8, MAX_FRAME - 7] {
            let mut body = b"data: ".to_vec();
            body.resize(6 + size, b'x');
            body.extend_from_slice(b"\n\ndata: b\n\n");
            for step in [body.len(), 4096, 1 << 20] {
                let chunks: Vec<_> = body.chunks(step).collect();
                let all = decode(Format::EventStream, &chunks);
                assert_eq!(all.events.len(), if size + 8 > MAX_FRAME { 1 } else { 2 });
                assert_eq!(all.events.last().map(|event| &event.1[..]), Some(&b"b"[..]));
                assert!(all.bytes == body);
            }
        }
    }

    #[test]
    fn an_event_in_one_chunk_is_not_copied() {
        let chunk = b"data: a\n\ndata: b\n\n";
        let mut decoder = Decoder::new(Format::EventStream);
        let first = decoder.next(chunk).unwrap();
        let Frame::Whole(frame) = first.frame else { panic!("{first:?}") };
        assert_eq!(frame.as_ptr(), chunk.as_ptr());
        assert!(matches!(event(frame).unwrap().data, Cow::Borrowed(b"a")));
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            body in "(\u{feff})?([ade:t \r\n]|data: |data|event: |\r\n|\n\n){0,30}",
            at in prop::collection::vec(0usize..80, 0..6),
            lines in any::<bool>(),
        ) {
            let format = if lines { Format::JsonLines } else { Format::EventStream };
            let body = body.as_bytes();
            let whole = decode(format, &[body]);
            let cut = decode(format, &split(body, at));
            prop_assert_eq!(&cut.bytes, body);
            prop_assert_eq!(cut.events, whole.events);
        }

        #[test]
        fn what_is_written_is_read_again(name in "[a-z\r\n]{0,6}", data in "[a: \r\n]{0,12}") {
            let mut out = Vec::new();
            write(&mut out, &name, data.as_bytes());
            let read = decode(Format::EventStream, &[&out]).events;
            let name = name.split(['\r', '\n']).next().unwrap().as_bytes().to_vec();
            let data = data.replace("\r\n", "\n").replace('\r', "\n").into_bytes();
            prop_assert_eq!(read, vec![(name, data)]);
        }
    }

    #[derive(Default)]
    struct Decoded {
        events: Vec<(Vec<u8>, Vec<u8>)>,
        frames: Vec<Vec<u8>>,
        unfinished: Vec<u8>,
        /// All frames and the unfinished one.
        bytes: Vec<u8>,
    }

    fn decode(format: Format, chunks: &[&[u8]]) -> Decoded {
        let mut decoder = Decoder::new(format);
        let mut all = Decoded::default();
        for &chunk in chunks {
            let mut rest = chunk;
            while let Some(Piece { frame, taken }) = decoder.next(rest) {
                if let Frame::Whole(bytes) = frame {
                    all.frames.push(bytes.to_vec());
                    if let (Format::EventStream, Some(event)) = (format, event(bytes)) {
                        if let Cow::Borrowed(data) = event.data {
                            assert!(bytes[event.data_at..].starts_with(data));
                        }
                        all.events.push((event.name.to_vec(), event.data.into_owned()));
                    }
                }
                let (Frame::Whole(bytes) | Frame::Rest(bytes) | Frame::Excess(bytes)) = frame;
                all.bytes.extend_from_slice(bytes);
                rest = &rest[taken..];
            }
        }
        if let Frame::Whole(bytes) = decoder.finish() {
            all.unfinished = bytes.to_vec();
            all.bytes.extend_from_slice(bytes);
        }
        all
    }

    /// `body` whole, in single bytes, and cut once at every byte.
    fn cuts(body: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut all = vec![vec![body], body.chunks(1).collect()];
        all.extend((0..body.len()).map(|at| vec![&body[..at], &body[at..]]));
        all
    }

    fn split(body: &[u8], mut at: Vec<usize>) -> Vec<&[u8]> {
        at.iter_mut().for_each(|at| *at = (*at).min(body.len()));
        at.extend([0, body.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
    }
}
