//! A JSON scanner that validates as it goes, allocates nothing and says where each thing stands.
//! Text is checked to be UTF-8 only where it leaves ASCII, so plain prompts cost one look a word.

use std::borrow::Cow;

use crate::error::{Error, Kind as ErrorKind};
use crate::protocol::edit::{Open, Span};

/// The deepest nesting that is read: as deep as `serde_json` goes, so that what passes here parses
/// in every later step.
pub const MAX_DEPTH: u32 = 127;

/// Why a body is no JSON document, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax(usize),
    Encoding(usize),
    Depth(usize),
}

/// A cursor over one document.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// Items that were kept, of all arrays together.
    kept: usize,
}

/// The type of the next value, known from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// A string as it stands in the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// Between the quotes, escapes untouched.
    pub(crate) raw: &'a [u8],
    pub(crate) escaped: bool,
    /// With the quotes.
    pub(crate) span: Span,
    quoted: &'a [u8],
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, kept: 0 }
    }

    /// Notes that one more item is kept; how many there are now.
    pub(crate) fn keep(&mut self) -> usize {
        self.kept = self.kept.saturating_add(1);
        self.kept
    }

    /// The type of the next value; stands on its first byte afterwards.
    pub(crate) fn kind(&mut self) -> Result<Kind, Fault> {
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.syntax()),
        }
    }

    /// The next value, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<Span, Fault> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Object => self.object(|inner, _| inner.skip().map(drop)).map(drop)?,
            Kind::Array => self.array(|inner, _| inner.skip().map(drop)).map(drop)?,
            Kind::String => self.text().map(drop)?,
            Kind::Number => self.number().map(drop)?,
            Kind::Bool => self.boolean().map(drop)?,
            Kind::Null => self.null()?,
        }
        Ok(Span { start, end: self.at })
    }

    /// An object; `member` must read exactly the value of its key.
    #[inline]
    pub(crate) fn object<E: From<Fault>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'a>) -> Result<(), E>,
    ) -> Result<Open, E> {
        self.enter(b'{')?;
        let at = self.at;
        let empty = self.eat(b'}');
        let mut more = !empty;
        while more {
            let key = self.text()?;
            self.expect(b':')?;
            member(self, key)?;
            more = self.comma_or(b'}')?;
        }
        self.depth -= 1;
        Ok(Open { at, empty })
    }

    /// An array, and how many items it had; `item` must read exactly one value.
    #[inline]
    pub(crate) fn array<E: From<Fault>>(
        &mut self,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.enter(b'[')?;
        let mut count = 0;
        let mut more = !self.eat(b']');
        while more {
            item(self, count)?;
            count += 1;
            more = self.comma_or(b']')?;
        }
        self.depth -= 1;
        Ok(count)
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<Text<'a>, Fault> {
        self.expect(b'"')?;
        let begin = self.at;
        let mut escaped = false;
        let mut high = 0;
        loop {
            high |= self.plain();
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.syntax()),
            }
        }
        let raw = self.bytes.get(begin..self.at).unwrap_or_default();
        if high != 0 && simdutf8::basic::from_utf8(raw).is_err() {
            let valid = std::str::from_utf8(raw).map_or_else(|error| error.valid_up_to(), str::len);
            return Err(Fault::Encoding(begin + valid));
        }
        self.at += 1;
        let span = Span { start: begin - 1, end: self.at };
        Ok(Text {
            raw,
            escaped,
            span,
            quoted: self.bytes.get(begin - 1..self.at).unwrap_or_default(),
        })
    }

    /// A number as it is written.
    pub(crate) fn number(&mut self) -> Result<&'a [u8], Fault> {
        self.kind()?;
        let start = self.at;
        self.bump(b'-');
        if !self.bump(b'0') {
            self.digits()?;
        }
        if self.bump(b'.') {
            self.digits()?;
        }
        if self.bump(b'e') || self.bump(b'E') {
            let _ = self.bump(b'+') || self.bump(b'-');
            self.digits()?;
        }
        Ok(self.bytes.get(start..self.at).unwrap_or_default())
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Fault> {
        let value = self.peek() == Some(b't');
        self.word(if value { b"true" } else { b"false" })?;
        Ok(value)
    }

    pub(crate) fn null(&mut self) -> Result<(), Fault> {
        self.word(b"null")
    }

    /// What stands at a span that was read.
    pub(crate) fn slice(&self, span: Span) -> &'a [u8] {
        self.bytes.get(span.start..span.end).unwrap_or_default()
    }

    /// How many bytes were read; the start of a value right after [`Self::kind`].
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Nothing but white space is left.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax()),
        }
    }

    /// Passes over bytes that stand for themselves, and returns non-zero if any was outside ASCII.
    #[inline]
    fn plain(&mut self) -> u64 {
        let mut high = 0;
        while let Some(word) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*word);
            let stops = stops(word);
            if stops != 0 {
                let clear = stops.trailing_zeros() / 8;
                high |= word & HIGH & !(u64::MAX << (clear * 8));
                self.at += clear as usize;
                return high;
            }
            high |= word & HIGH;
            self.at += 8;
        }
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                break;
            }
            high |= u64::from(byte) & HIGH;
            self.at += 1;
        }
        high
    }

    /// One escape sequence, standing on its backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.bytes.get(self.at) {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        _ => return Err(self.syntax()),
                    }
                }
            }
            _ => return Err(self.syntax()),
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax()) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        self.peek();
        match self.bytes.get(self.at..) {
            Some(rest) if rest.starts_with(word) => {
                self.at += word.len();
                Ok(())
            }
            _ => Err(self.syntax()),
        }
    }

    fn enter(&mut self, bracket: u8) -> Result<(), Fault> {
        self.expect(bracket)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Fault::Depth(self.at - 1)) } else { Ok(()) }
    }

    /// Whether another entry follows.
    #[inline]
    fn comma_or(&mut self, close: u8) -> Result<bool, Fault> {
        if self.eat(b',') { Ok(true) } else { self.expect(close).map(|()| false) }
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    /// Like `eat`, inside a token.
    fn bump(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn syntax(&self) -> Fault {
        Fault::Syntax(self.at)
    }
}

impl<'a> Text<'a> {
    /// What the string says; `None` for half of a surrogate pair, which no text can hold.
    pub(crate) fn decode(&self) -> Option<Cow<'a, str>> {
        if self.escaped {
            serde_json::from_slice(self.quoted).ok().map(Cow::Owned)
        } else {
            std::str::from_utf8(self.raw).ok().map(Cow::Borrowed)
        }
    }
}

impl Kind {
    /// In OpenAI's words: "expected a string, but got {} instead".
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let why = match fault {
            Fault::Syntax(at) => format!("it is not valid JSON at byte {at}"),
            Fault::Encoding(at) => format!("it is not valid UTF-8 at byte {at}"),
            Fault::Depth(at) => format!("it is nested deeper than {MAX_DEPTH} levels at byte {at}"),
        };
        Self::new(
            ErrorKind::InvalidRequest,
            format!("We could not parse the JSON body of your request: {why}."),
        )
        .code("invalid_json")
    }
}

/// The high bit of each byte that ends a plain run: a quote, a backslash, a control character. Only
/// the lowest is exact, because the subtractions borrow upwards.
#[inline]
fn stops(word: u64) -> u64 {
    let quote = word ^ (LOW * b'"' as u64);
    let backslash = word ^ (LOW * b'\\' as u64);
    let hit = (quote.wrapping_sub(LOW) & !quote)
        | (backslash.wrapping_sub(LOW) & !backslash)
        | (word.wrapping_sub(LOW * 0x20) & !word);
    hit & HIGH
}

const LOW: u64 = u64::from_le_bytes([0x01; 8]);
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn scan(bytes: &[u8]) -> Result<(), Fault> {
        let mut scanner = Scanner::new(bytes);
        scanner.skip()?;
        scanner.finish()
    }

    /// `IgnoredAny` takes lone surrogates and huge numbers as the grammar does, but skips UTF-8.
    fn reference(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
    }

    #[test]
    fn the_grammar_is_kept_to_the_letter() {
        #[rustfmt::skip]
        let cases: [&[u8]; 42] = [
            b"{}", b"[]", b"null", b"true", b"false", b"0", b"-0", b"1.5e+10", b"1E9", b"\"\\u00e9\\n\"", b" [ 1 , {\"a\" : []} ] ",
            b"", b" ", b"{", b"[1,]", b"{\"a\":1,}", b"{a:1}", b"{\"a\"}", b"{\"a\":}", b"[1 2]", b"01", b"+1", b".5", b"1.", b"1e", b"-",
            b"NaN", b"Infinity", b"nul", b"truefalse", b"{}x", b"{}{}", b"\"\\x\"", b"\"\\u12g4\"", b"\"a\nb\"", b"\"", b"\"abcdefgh",
            b"\xef\xbb\xbf{}", b"\"\xff\"", b"\"\xc3\xa9\"", b"[1}", b"// c\n{}",
        ];
        for case in cases {
            assert_eq!(scan(case).is_ok(), reference(case), "{:?}", String::from_utf8_lossy(case));
        }
    }

    #[test]
    fn nesting_ends_where_serde_json_ends() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert_eq!(scan(&nested(127)), Ok(()));
        assert_eq!(scan(&nested(128)), Err(Fault::Depth(127)));
        assert!(serde_json::from_slice::<serde_json::Value>(&nested(127)).is_ok());
        assert!(serde_json::from_slice::<serde_json::Value>(&nested(128)).is_err());
        assert_eq!(scan(&b"[".repeat(1 << 20)), Err(Fault::Depth(127)));
    }

    #[test]
    fn a_stop_is_found_at_every_place_of_a_word() {
        for stop in [b'"', b'\\', 0x00, 0x1f] {
            for other in [b'a', b'!', b'#', b'[', b']', b' ', 0x80, 0xff, b'"' | 0x80, b'\\' | 0x80]
            {
                for place in 0..8 {
                    let mut word = [other; 8];
                    word[place] = stop;
                    assert_eq!(stops(u64::from_le_bytes(word)).trailing_zeros() / 8, place as u32);
                    assert_eq!(stops(u64::from_le_bytes([other; 8])), 0);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_as_serde_json_judges_them(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                "[\\[\\]{}:,\"\\\\u0-9a-f.eE+\\- \n\té\u{1}nultrs]{0,40}".prop_map(String::into_bytes),
                "\"[^\"]{0,40}\"".prop_map(String::into_bytes),
            ],
        ) {
            prop_assert_eq!(scan(&bytes).is_ok(), reference(&bytes));
        }
    }
}
