//! One spelling for every JSON document that means the same, in one pass over its bytes.
//!
//! Object members are sorted by key, white space is gone, strings are unescaped as far as JSON
//! allows, numbers are `digits` or `digits e exponent` with neither leading nor trailing zeros.
//! Nothing is rounded: two numbers share a spelling only if they are equal. Two documents have the
//! same canonical text exactly if they mean the same.

use std::ops::Range;

/// The canonical form of one JSON object.
#[derive(Debug)]
pub struct Canonical {
    text: Vec<u8>,
    members: Vec<Member>,
}

/// Why a body has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("not a JSON document")]
    Syntax,
    #[error("not a JSON object")]
    NotAnObject,
    #[error("nested deeper than {MAX_DEPTH}")]
    Depth,
    /// Parsers disagree on which of the two counts, so no key could be right for all.
    #[error("a key stands twice in one object")]
    DuplicateKey,
    #[error("an exponent beyond any number in use")]
    Exponent,
    #[error("more than {MAX_MEMBERS} members")]
    Members,
    /// Large objects, out of order, inside each other: sorting would cost more than an answer.
    #[error("too costly to sort")]
    Effort,
}

impl Canonical {
    pub fn of(json: &[u8]) -> Result<Self, Fault> {
        let mut walk = Walk::new(json);
        walk.space();
        if !walk.eat(b'{') {
            return Err(Fault::NotAnObject);
        }
        walk.members(MAX_DEPTH)?;
        walk.sort(0)?;
        walk.space();
        match walk.rest {
            [] => Ok(Self { text: walk.out, members: walk.open }),
            _ => Err(Fault::Syntax),
        }
    }

    /// The members of the outermost object in the order of their keys: the key without its quotes,
    /// and `"key":value`.
    pub fn members(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.members.iter().map(|member| {
            let key = self.text.get(member.key()).unwrap_or_default();
            let key = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
            (key, self.text.get(member.start..member.end).unwrap_or_default())
        })
    }
}

impl PartialEq for Canonical {
    fn eq(&self, other: &Self) -> bool {
        self.members().eq(other.members())
    }
}

/// Where a member stands in the canonical text.
#[derive(Clone, Copy, Debug)]
struct Member {
    start: usize,
    colon: usize,
    end: usize,
}

impl Member {
    fn key(&self) -> Range<usize> {
        self.start..self.colon
    }
}

/// What was read so far and what was made of it.
struct Walk<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    /// The members of every object that is open, innermost last.
    open: Vec<Member>,
    scratch: Vec<u8>,
    /// How many more bytes may be moved to sort members.
    effort: usize,
}

impl<'a> Walk<'a> {
    fn new(json: &'a [u8]) -> Self {
        Self {
            rest: json,
            out: Vec::with_capacity(json.len()),
            open: Vec::new(),
            scratch: Vec::new(),
            effort: json.len().saturating_mul(MAX_MOVES),
        }
    }

    fn value(&mut self, depth: u32) -> Result<(), Fault> {
        self.space();
        let Some((&first, rest)) = self.rest.split_first() else { return Err(Fault::Syntax) };
        match first {
            b'"' => {
                self.rest = rest;
                self.string()
            }
            b'{' => {
                self.rest = rest;
                self.object(depth)
            }
            b'[' => {
                self.rest = rest;
                self.array(depth)
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => Err(Fault::Syntax),
        }
    }

    fn object(&mut self, depth: u32) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Depth)?;
        let base = self.open.len();
        self.out.push(b'{');
        let start = self.out.len();
        self.members(depth)?;
        if self.sort(base)? {
            self.rewrite(base, start)?;
        }
        self.open.truncate(base);
        self.out.push(b'}');
        Ok(())
    }

    /// The members up to and with the closing bracket; each is left in `open`.
    fn members(&mut self, depth: u32) -> Result<(), Fault> {
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if self.open.len() >= MAX_MEMBERS {
                return Err(Fault::Members);
            }
            self.space();
            let start = self.out.len();
            if !self.eat(b'"') {
                return Err(Fault::Syntax);
            }
            self.string()?;
            let colon = self.out.len();
            self.space();
            if !self.eat(b':') {
                return Err(Fault::Syntax);
            }
            self.out.push(b':');
            self.value(depth)?;
            self.open.push(Member { start, colon, end: self.out.len() });
            self.space();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(Fault::Syntax);
            }
            self.out.push(b',');
        }
    }

    /// Sorts the members from `base` on; whether they were out of order.
    fn sort(&mut self, base: usize) -> Result<bool, Fault> {
        let key = |member: &Member| self.out.get(member.key()).unwrap_or_default();
        let own = self.open.get_mut(base..).unwrap_or_default();
        if own.is_sorted_by(|a, b| key(a) < key(b)) {
            return Ok(false);
        }
        own.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        if own.is_sorted_by(|a, b| key(a) < key(b)) { Ok(true) } else { Err(Fault::DuplicateKey) }
    }

    /// Writes the members from `base` on again, in their new order.
    fn rewrite(&mut self, base: usize, start: usize) -> Result<(), Fault> {
        let moved = self.out.len().saturating_sub(start);
        self.effort = self.effort.checked_sub(moved).ok_or(Fault::Effort)?;
        self.scratch.clear();
        for member in self.open.get(base..).unwrap_or_default() {
            if !self.scratch.is_empty() {
                self.scratch.push(b',');
            }
            let text = self.out.get(member.start..member.end).unwrap_or_default();
            self.scratch.extend_from_slice(text);
        }
        self.out.truncate(start);
        self.out.extend_from_slice(&self.scratch);
        Ok(())
    }

    fn array(&mut self, depth: u32) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Depth)?;
        self.out.push(b'[');
        self.space();
        if !self.eat(b']') {
            loop {
                self.value(depth)?;
                self.space();
                if self.eat(b']') {
                    break;
                }
                if !self.eat(b',') {
                    return Err(Fault::Syntax);
                }
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        Ok(())
    }

    /// A string from behind its opening quote.
    fn string(&mut self) -> Result<(), Fault> {
        self.out.push(b'"');
        loop {
            let (plain, rest) =
                self.rest.split_at_checked(plain(self.rest)).unwrap_or((self.rest, &[]));
            self.out.extend_from_slice(plain);
            match rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    self.out.push(b'"');
                    return Ok(());
                }
                [b'\\', c @ (b'n' | b'"' | b'\\' | b't' | b'r' | b'b' | b'f'), rest @ ..] => {
                    self.rest = rest;
                    self.out.extend_from_slice(&[b'\\', *c]);
                }
                [b'\\', b'/', rest @ ..] => {
                    self.rest = rest;
                    self.out.push(b'/');
                }
                [b'\\', b'u', rest @ ..] => {
                    self.rest = rest;
                    self.unicode()?;
                }
                _ => return Err(Fault::Syntax),
            }
        }
    }

    /// The four digits behind `\u`, with the second half of a pair if it follows.
    fn unicode(&mut self) -> Result<(), Fault> {
        let unit = self.hex4().ok_or(Fault::Syntax)?;
        let before = self.rest;
        let low = match unit {
            0xd800..=0xdbff => match before {
                [b'\\', b'u', rest @ ..] => {
                    self.rest = rest;
                    self.hex4().filter(|low| (0xdc00..=0xdfff).contains(low))
                }
                _ => None,
            },
            _ => None,
        };
        let scalar = match low {
            Some(low) => 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00),
            None => {
                self.rest = before;
                unit
            }
        };
        self.char(scalar);
        Ok(())
    }

    /// One character as [`Walk::string`] would have copied it from its plain spelling. Half of a
    /// surrogate pair has none and stays an escape.
    fn char(&mut self, scalar: u32) {
        let short = match scalar {
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0x22 => b'"',
            0x5c => b'\\',
            _ => 0,
        };
        match char::from_u32(scalar) {
            Some(_) if short != 0 => self.out.extend_from_slice(&[b'\\', short]),
            Some(plain) if scalar >= 0x20 => {
                self.out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => {
                self.out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    let digit = char::from_digit((scalar >> shift) & 0xf, 16).unwrap_or('0');
                    self.out.push(digit as u8);
                }
            }
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    fn number(&mut self) -> Result<(), Fault> {
        let negative = self.eat(b'-');
        let whole = self.digits();
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
            return Err(Fault::Syntax);
        }
        let fraction = if self.eat(b'.') {
            match self.digits() {
                [] => return Err(Fault::Syntax),
                digits => digits,
            }
        } else {
            &[]
        };
        let exponent = if self.eat(b'e') || self.eat(b'E') { self.exponent()? } else { 0 };
        self.decimal(negative, whole, fraction, exponent);
        Ok(())
    }

    fn exponent(&mut self) -> Result<i64, Fault> {
        let negative = self.eat(b'-');
        if !negative {
            self.eat(b'+');
        }
        let digits = self.digits();
        if digits.is_empty() {
            return Err(Fault::Syntax);
        }
        let size = digits.iter().fold(0_i64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
        });
        match (size > MAX_EXPONENT, negative) {
            (true, _) => Err(Fault::Exponent),
            (_, true) => Ok(-size),
            (_, false) => Ok(size),
        }
    }

    /// The number `whole.fraction` times ten to the `exponent`.
    fn decimal(&mut self, negative: bool, whole: &[u8], fraction: &[u8], exponent: i64) {
        let start = self.out.len();
        let whole = trim_start(whole);
        if negative {
            self.out.push(b'-');
        }
        self.out.extend_from_slice(whole);
        self.out.extend_from_slice(if whole.is_empty() { trim_start(fraction) } else { fraction });
        let mut exponent = exponent.saturating_sub(fraction.len() as i64);
        while let [.., b'0'] = *self.out {
            self.out.pop();
            exponent = exponent.saturating_add(1);
        }
        match self.out.get(start..) {
            Some([] | [b'-']) => {
                self.out.truncate(start);
                self.out.push(b'0');
            }
            _ if exponent != 0 => {
                self.out.push(b'e');
                self.out.extend_from_slice(exponent.to_string().as_bytes());
            }
            _ => {}
        }
    }

    fn digits(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        digits
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        self.rest = self.rest.strip_prefix(word).ok_or(Fault::Syntax)?;
        self.out.extend_from_slice(word);
        Ok(())
    }

    #[inline]
    fn space(&mut self) {
        while let [b' ' | b'\n' | b'\t' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

/// How many bytes at the start stand for themselves inside a string. Sixteen at a time, in the
/// shape that compilers turn into vector instructions.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    let special = |b: u8| b == b'"' || b == b'\\' || b < 0x20;
    let (chunks, _) = bytes.as_chunks::<16>();
    let blocks = chunks.iter().take_while(|c| !c.iter().fold(false, |any, &b| any | special(b)));
    let start = blocks.count() * 16;
    let tail = bytes.get(start..).unwrap_or_default();
    start + tail.iter().position(|&b| special(b)).unwrap_or(tail.len())
}

fn trim_start(mut digits: &[u8]) -> &[u8] {
    while let [b'0', rest @ ..] = digits {
        digits = rest;
    }
    digits
}

/// As deep as `serde_json` reads.
const MAX_DEPTH: u32 = 127;
/// Over all objects that are open at one moment: bounds the scratch memory.
const MAX_MEMBERS: usize = 16_384;
/// How often the whole body may be moved in memory to sort what is in it.
const MAX_MOVES: usize = 8;
/// Numbers with more digits than this exist in no API.
const MAX_EXPONENT: i64 = 999_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(json: &str) -> Result<String, Fault> {
        let canonical = Canonical::of(json.as_bytes())?;
        let members: Vec<_> =
            canonical.members().map(|(_, m)| String::from_utf8_lossy(m).into_owned()).collect();
        Ok(members.join(","))
    }

    fn value(json: &str) -> Result<String, Fault> {
        text(&format!("{{\"v\":{json}}}")).map(|text| text.replacen("\"v\":", "", 1))
    }

    #[test]
    fn members_are_sorted_at_every_level() {
        assert_eq!(
            text(r#" { "b" : [ { "y" : 1 , "x" : { } } ] , "a" : { "d" : [ ] , "c" : null } } "#),
            Ok(r#""a":{"c":null,"d":[]},"b":[{"x":{},"y":1}]"#.to_owned())
        );
    }

    #[test]
    fn equal_numbers_share_a_spelling() {
        for (spellings, canonical) in [
            (&["1", "1.0", "1e0", "10e-1", "0.1E+1", "1.000e00", "0.001e3"][..], "1"),
            (&["0", "-0", "0.0", "0e7", "-0.00E-3"], "0"),
            (&["-150", "-1.5e2", "-15e1", "-150.0"], "-15e1"),
            (&["0.7", "7e-1", "0.70"], "7e-1"),
            (&["100000", "1e5"], "1e5"),
        ] {
            for spelling in spellings {
                assert_eq!(value(spelling).as_deref(), Ok(canonical), "{spelling}");
            }
        }
    }

    #[test]
    fn numbers_that_a_double_would_merge_stay_apart() {
        for (a, b) in [
            ("9007199254740992", "9007199254740993"),
            ("0.1", "0.10000000000000000555"),
            ("1e400", "1e401"),
            ("1e-400", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567891"),
        ] {
            assert_ne!(value(a).unwrap(), value(b).unwrap(), "{a} {b}");
        }
    }

    #[test]
    fn escapes_are_undone_where_json_allows() {
        for (spelling, canonical) in [
            (r#""\u0041\/""#, r#""A/""#),
            (r#""\u00e9\u20AC\ud83d\ude00""#, r#""é€😀""#),
            (r#""\u000a\n\u0022\u005c\u0000\u001F""#, r#""\n\n\"\\\u0000\u001f""#),
            (r#""\uD83D""#, r#""\ud83d""#),
            (r#""\ud83d\u0041\ude00""#, r#""\ud83dA\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ud83d😀""#),
        ] {
            assert_eq!(value(spelling).as_deref(), Ok(canonical), "{spelling}");
        }
    }

    #[test]
    fn half_a_pair_differs_from_the_bytes_that_would_encode_it() {
        let escaped = Canonical::of(br#"{"v":"\ud800"}"#).unwrap();
        let raw = Canonical::of(b"{\"v\":\"\xed\xa0\x80\"}").unwrap();
        assert_ne!(escaped, raw);
    }

    #[test]
    fn what_is_no_json_object_has_no_key() {
        for (json, fault) in [
            ("", Fault::NotAnObject),
            ("[]", Fault::NotAnObject),
            ("{", Fault::Syntax),
            ("{}x", Fault::Syntax),
            ("{\"a\":1,}", Fault::Syntax),
            ("{\"a\":[1,]}", Fault::Syntax),
            ("{\"a\" 1}", Fault::Syntax),
            ("{a:1}", Fault::Syntax),
            ("{\"a\":\"\n\"}", Fault::Syntax),
            ("{\"a\":\"\\x\"}", Fault::Syntax),
            ("{\"a\":\"\\u12g4\"}", Fault::Syntax),
            ("{\"a\":01}", Fault::Syntax),
            ("{\"a\":1.}", Fault::Syntax),
            ("{\"a\":.1}", Fault::Syntax),
            ("{\"a\":1e}", Fault::Syntax),
            ("{\"a\":+1}", Fault::Syntax),
            ("{\"a\":tru}", Fault::Syntax),
            ("{\"a\":1e9999999999}", Fault::Exponent),
            ("{\"a\":1,\"\\u0061\":1}", Fault::DuplicateKey),
            ("{\"x\":{\"b\":1,\"a\":1,\"b\":1}}", Fault::DuplicateKey),
        ] {
            assert_eq!(text(json), Err(fault), "{json}");
        }
    }

    #[test]
    fn caps_have_their_outcomes() {
        let nested = |n| value(&("[".repeat(n) + &"]".repeat(n)));
        assert!(nested(127).is_ok());
        assert_eq!(nested(128), Err(Fault::Depth));

        let flat = |n| {
            let members: Vec<_> = (0..n).map(|i| format!("\"k{i}\":0")).collect();
            text(&format!("{{{}}}", members.join(",")))
        };
        assert!(flat(MAX_MEMBERS).is_ok());
        assert_eq!(flat(MAX_MEMBERS + 1), Err(Fault::Members));

        let unsorted = |n| {
            let long = format!("\"{}\"", "x".repeat(4096));
            let json = (0..n).fold(long, |inner, _| format!("{{\"b\":0,\"a\":{inner}}}"));
            value(&json)
        };
        assert!(unsorted(MAX_MOVES).is_ok());
        assert_eq!(unsorted(120), Err(Fault::Effort));
    }

    /// A document by its meaning. Numbers are digits without outer zeros, and an exponent.
    #[derive(Clone, Debug, PartialEq)]
    enum Json {
        Word(&'static str),
        Number(bool, String, i32),
        Text(String),
        Array(Vec<Json>),
        Object(Vec<(String, Json)>),
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(Json::Word),
            (any::<bool>(), "[1-9][0-9]{0,19}[1-9]|[1-9]", -30..30)
                .prop_map(|(negative, digits, e)| Json::Number(negative, digits, e)),
            "[a-c\"\\\\/\u{8}\t\n\u{1}é😀]{0,5}".prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
                object(inner),
            ]
        })
    }

    fn object(inner: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
        prop::collection::btree_map("[a-c\"é😀]{0,3}", inner, 0..5)
            .prop_map(|members| Json::Object(members.into_iter().collect()))
    }

    /// One of the many ways to write `json`, chosen by the numbers of `dice`.
    fn spell(json: &Json, dice: &mut impl FnMut() -> usize, out: &mut String) {
        let space = |dice: &mut dyn FnMut() -> usize, out: &mut String| {
            out.push_str(["", "", " ", "\n\t", "\r "][dice() % 5]);
        };
        space(dice, out);
        match json {
            Json::Word(word) => out.push_str(word),
            Json::Number(negative, digits, exponent) => {
                let zeros = dice() % 3;
                let sign = if *negative { "-" } else { "" };
                let shifted = exponent - zeros as i32;
                let padded = digits.clone() + &"0".repeat(zeros);
                out.push_str(&match dice() % 3 {
                    0 => format!("{sign}{padded}e{shifted:+}"),
                    1 => format!("{sign}{padded}.000E{shifted}"),
                    _ => format!("{sign}0.{padded}e{}", shifted + padded.len() as i32),
                });
            }
            Json::Text(text) => spell_text(text, dice, out),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    spell(item, dice, out);
                }
                space(dice, out);
                out.push(']');
            }
            Json::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                for i in (1..members.len()).rev() {
                    members.swap(i, dice() % (i + 1));
                }
                out.push('{');
                for (i, (key, value)) in members.into_iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    space(dice, out);
                    spell_text(key, dice, out);
                    space(dice, out);
                    out.push(':');
                    spell(value, dice, out);
                }
                space(dice, out);
                out.push('}');
            }
        }
        space(dice, out);
    }

    fn spell_text(text: &str, dice: &mut impl FnMut() -> usize, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            let must = c < ' ' || c == '"' || c == '\\';
            match (c, dice() % 3) {
                ('\n', 0) => out.push_str("\\n"),
                ('\t', 0) => out.push_str("\\t"),
                ('\u{8}', 0) => out.push_str("\\b"),
                ('/', 0) => out.push_str("\\/"),
                ('"' | '\\', 0) => out.extend(['\\', c]),
                (_, 1 | 2) if !must => out.push(c),
                (_, pick) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let hex =
                            if pick == 1 { format!("{unit:04X}") } else { format!("{unit:04x}") };
                        out.push_str("\\u");
                        out.push_str(&hex);
                    }
                }
            }
        }
        out.push('"');
    }

    fn spelled(json: &Json, dice: &[u8]) -> String {
        let mut rolls = dice.iter().cycle().map(|d| usize::from(*d));
        let mut out = String::new();
        spell(json, &mut || rolls.next().unwrap_or(0), &mut out);
        out
    }

    proptest! {
        #[test]
        fn spelling_does_not_matter_and_meaning_does(
            a in object(json()), b in object(json()),
            first in prop::collection::vec(any::<u8>(), 1..40),
            second in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let of = |json: &Json, dice: &[u8]| Canonical::of(spelled(json, dice).as_bytes());
            prop_assert_eq!(of(&a, &first)?, of(&a, &second)?);
            prop_assert_eq!(of(&a, &first)? == of(&b, &second)?, a == b);
        }

        #[test]
        fn accepts_what_serde_json_accepts(json in "[\\[\\]{}\",:0-9eE.+ atrufalsn\\\\-]{0,24}") {
            let json = format!("{{\"v\":{json}}}");
            let serde = serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok();
            match Canonical::of(json.as_bytes()) {
                Ok(_) => prop_assert!(serde, "{json}"),
                Err(Fault::Syntax) => prop_assert!(!serde, "{json}"),
                Err(_) => {}
            }
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>, cut: usize) {
            let _ = Canonical::of(&bytes);
            let json = br#"{"b":[1.5e-3,"\ud83d\ude00\n"],"a":{"d":null,"c":true}}"#;
            let cut = cut % json.len();
            prop_assert!(Canonical::of(&json[..cut]).is_err());
        }

        #[test]
        fn the_run_of_plain_bytes_ends_where_a_loop_would_end_it(bytes: Vec<u8>) {
            let naive = bytes.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..0x20)).count();
            prop_assert_eq!(plain(&bytes), naive);
        }
    }
}
