//! One pass over a JSON document that streams by: finds the few members that matter, never keeps
//! the rest. It does not validate; what it hands out is parsed by whoever wants it.

use memchr::memchr2;

/// What a [`Skimmer`] looks for, and who gets it.
pub trait Sink {
    /// Asked once for each member when its value begins; `depth` is 1 in the root object.
    fn interest(&self, depth: u32, key: &[u8]) -> Interest;
    /// Bytes of a string that is [`Interest::Text`], as they are written.
    fn text(&mut self, bytes: usize);
    /// A piece of a root member's value, which begins at `at` of the given chunk; the member's key
    /// began at `key_at`. One piece if the chunk is the whole document.
    fn value(&mut self, member: Member, key_at: usize, at: usize, piece: &[u8]);
}

/// What to do with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    None,
    /// If it is a string: part of what the model said, to be counted.
    Text,
    /// To be handed out, if it stands in the root object.
    Value(Member),
}

/// The root members that say something about an answer or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    Usage,
    Choices,
    Type,
    Error,
    Done,
    /// Ollama's count of input tokens.
    PromptCount,
    /// Ollama's count of output tokens.
    OutputCount,
    /// What Gemini says of the prompt.
    Feedback,
}

/// The state between two chunks.
#[derive(Default)]
pub struct Skimmer {
    depth: u32,
    token: Token,
    /// The last string that may be a key.
    key: Key,
    /// A colon came: the next token is a value.
    value: bool,
    capture: Option<Capture>,
}

impl Skimmer {
    /// Reads on, from any byte to any byte.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) {
        let mut i = 0usize;
        // Where the captured value begins in this chunk.
        let mut from = 0usize;
        while let Some(rest) = chunk.get(i..).filter(|rest| !rest.is_empty()) {
            if let Token::String { role, escaped } = self.token {
                let (len, end) = string_part(rest, escaped);
                let part = rest.get(..len).unwrap_or_default();
                match role {
                    Role::Key => self.key.extend(part),
                    Role::Text => sink.text(len),
                    Role::Other => {}
                }
                i = i.saturating_add(len);
                match end {
                    Part::Open { escaped } => self.token = Token::String { role, escaped },
                    Part::Closed => {
                        i = i.saturating_add(1);
                        self.token = Token::None;
                        if role != Role::Key {
                            self.close(chunk, from, i, sink);
                        }
                    }
                }
                continue;
            }
            match rest.first().copied().unwrap_or_default() {
                b'"' => {
                    let role = if self.value {
                        self.open(i, &mut from, sink)
                    } else {
                        self.close(chunk, from, i, sink);
                        self.key = Key { at: i, ..Key::default() };
                        Role::Key
                    };
                    self.token = Token::String { role, escaped: false };
                }
                b'{' | b'[' => {
                    if self.value {
                        self.open(i, &mut from, sink);
                    }
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => {
                    self.close(chunk, from, i, sink);
                    self.depth = self.depth.saturating_sub(1);
                    self.close(chunk, from, i.saturating_add(1), sink);
                }
                b':' => {
                    self.close(chunk, from, i, sink);
                    self.value = true;
                }
                b',' | b' ' | b'\t' | b'\r' | b'\n' => {
                    self.close(chunk, from, i, sink);
                }
                _ if self.value => {
                    self.open(i, &mut from, sink);
                }
                _ => {}
            }
            i = i.saturating_add(1);
        }
        self.hand_out(chunk, from, chunk.len(), sink);
        self.key.at = 0;
    }

    /// Whether everything that was opened is closed.
    pub fn is_balanced(&self) -> bool {
        self.depth == 0 && matches!(self.token, Token::None)
    }

    /// The member whose value has begun and not ended.
    pub fn unfinished(&self) -> Option<Member> {
        self.capture.as_ref().map(|capture| capture.member)
    }

    /// A value begins at `i`.
    fn open(&mut self, i: usize, from: &mut usize, sink: &impl Sink) -> Role {
        self.value = false;
        match sink.interest(self.depth, self.key.name()) {
            Interest::Text => return Role::Text,
            Interest::Value(member) if self.depth == 1 => {
                self.capture = Some(Capture { member, key_at: self.key.at });
                *from = i;
            }
            Interest::Value(_) | Interest::None => {}
        }
        Role::Other
    }

    /// Back in the root object, a value that is captured ends before `end`.
    fn close(&mut self, chunk: &[u8], from: usize, end: usize, sink: &mut impl Sink) {
        if self.depth == 1 && self.capture.is_some() {
            self.hand_out(chunk, from, end, sink);
            self.capture = None;
        }
    }

    fn hand_out(&self, chunk: &[u8], from: usize, end: usize, sink: &mut impl Sink) {
        if let (Some(capture), Some(piece)) = (&self.capture, chunk.get(from..end)) {
            sink.value(capture.member, capture.key_at, from, piece);
        }
    }
}

struct Capture {
    member: Member,
    key_at: usize,
}

/// What the next byte is in.
#[derive(Clone, Copy, Default)]
enum Token {
    /// Between strings; numbers and literals need no state.
    #[default]
    None,
    /// `escaped`: the byte before was a backslash that escapes this one.
    String { role: Role, escaped: bool },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A key, or an array's element.
    Key,
    Text,
    Other,
}

/// A key's first bytes; a longer key than fits is nobody's.
#[derive(Default)]
struct Key {
    bytes: [u8; 24],
    len: usize,
    /// Where its opening quote is in the chunk.
    at: usize,
}

impl Key {
    fn extend(&mut self, part: &[u8]) {
        let end = self.len.saturating_add(part.len());
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        }
        self.len = end;
    }

    fn name(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// How a part of a string ends.
enum Part {
    Closed,
    Open { escaped: bool },
}

/// The length of the part of a string that `rest` begins with, without its closing quote.
fn string_part(rest: &[u8], escaped: bool) -> (usize, Part) {
    let mut i = usize::from(escaped);
    loop {
        let Some(at) = rest.get(i..).and_then(|tail| memchr2(b'"', b'\\', tail)) else {
            return (rest.len(), Part::Open { escaped: false });
        };
        i = i.saturating_add(at);
        if rest.get(i) == Some(&b'"') {
            return (i, Part::Closed);
        }
        i = i.saturating_add(2);
        if i > rest.len() {
            return (rest.len(), Part::Open { escaped: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn root_members_are_found_and_nested_ones_are_not() {
        let json = br#" {"a":{"usage":1,"error":["usage",":",{"usage":2}]},"b":["usage"],"usage" : {"x":"}\"","y":[{}]} ,"done":true,"error":null,"type":"a\\" }"#;
        for chunks in cuts(json) {
            let seen = skim(&chunks);
            assert_eq!(seen.usage, br#"{"x":"}\"","y":[{}]}"#, "{chunks:?}");
            assert_eq!(seen.done, b"true");
            assert_eq!(seen.error, b"null");
            assert_eq!(seen.kind, br#""a\\""#);
        }
    }

    #[test]
    fn a_value_that_looks_like_a_key_is_none() {
        let seen = skim(&[br#"{"x":"usage","y":"\"usage\":1","z":["usage",2],"usag":3}"#]);
        assert_eq!(seen, Seen::default());
    }

    #[test]
    fn text_is_counted_at_any_depth() {
        let json = br#"{"text":"abc","a":[{"text":"d\"e","text":4,"text":[],"b":{"text":""}}]}"#;
        for chunks in cuts(json) {
            assert_eq!(skim(&chunks).text, 7, "{chunks:?}");
        }
    }

    #[test]
    fn the_place_of_a_member_is_known_in_a_whole_document() {
        struct Place(Vec<(usize, usize)>);
        impl Sink for Place {
            fn interest(&self, _: u32, key: &[u8]) -> Interest {
                if key == b"usage" { Interest::Value(Member::Usage) } else { Interest::None }
            }
            fn text(&mut self, _: usize) {}
            fn value(&mut self, _: Member, key_at: usize, at: usize, _: &[u8]) {
                self.0.push((key_at, at));
            }
        }
        let mut place = Place(Vec::new());
        Skimmer::default().feed(br#"{"a":1, "usage": null}"#, &mut place);
        assert_eq!(place.0, [(8, 17)]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_under_every_chunking(
            bytes in r#"([ {}\[\]:,"\\a1]|"usage"|"text":|"usage":){0,24}"#,
            at in 0usize..60,
        ) {
            let bytes = bytes.as_bytes();
            let at = at.min(bytes.len());
            prop_assert_eq!(skim(&[&bytes[..at], &bytes[at..]]), skim(&[bytes]));
        }

        #[test]
        fn it_agrees_with_a_parser(value in json(), pretty in any::<bool>()) {
            let root = serde_json::json!({"a": value.clone(), "usage": value, "done": 1});
            let text = if pretty { serde_json::to_string_pretty(&root) } else { serde_json::to_string(&root) };
            let seen = skim(&[text.unwrap().as_bytes()]);
            prop_assert_eq!(serde_json::from_slice::<Value>(&seen.usage).unwrap(), root["usage"].clone());
            prop_assert_eq!(seen.done, b"1");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a\"\\\\:,{}]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("usage|[a\"]{0,3}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    #[derive(Default, Debug, PartialEq)]
    struct Seen {
        usage: Vec<u8>,
        done: Vec<u8>,
        error: Vec<u8>,
        kind: Vec<u8>,
        text: usize,
    }

    impl Sink for Seen {
        fn interest(&self, _: u32, key: &[u8]) -> Interest {
            match key {
                b"text" => Interest::Text,
                b"usage" => Interest::Value(Member::Usage),
                b"done" => Interest::Value(Member::Done),
                b"error" => Interest::Value(Member::Error),
                b"type" => Interest::Value(Member::Type),
                _ => Interest::None,
            }
        }
        fn text(&mut self, bytes: usize) {
            self.text += bytes;
        }
        fn value(&mut self, member: Member, _: usize, _: usize, piece: &[u8]) {
            match member {
                Member::Usage => self.usage.extend_from_slice(piece),
                Member::Done => self.done.extend_from_slice(piece),
                Member::Error => self.error.extend_from_slice(piece),
                _ => self.kind.extend_from_slice(piece),
            }
        }
    }

    fn skim(chunks: &[&[u8]]) -> Seen {
        let mut seen = Seen::default();
        let mut skimmer = Skimmer::default();
        chunks.iter().for_each(|chunk| skimmer.feed(chunk, &mut seen));
        seen
    }

    fn cuts(body: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut all = vec![vec![body], body.chunks(1).collect()];
        all.extend((0..body.len()).map(|at| vec![&body[..at], &body[at..]]));
        all
    }
}
