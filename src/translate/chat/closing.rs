//! Whether a JSON object that comes in pieces is whole.

/// How far it has come. What is no object is never whole.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::translate) struct Closing {
    depth: u32,
    text: bool,
    escaped: bool,
    begun: bool,
}

impl Closing {
    pub(in crate::translate) fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if std::mem::take(&mut self.escaped) => {}
                b'\\' if self.text => self.escaped = true,
                b'"' => self.text = !self.text,
                b'{' | b'[' if !self.text => {
                    self.begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' if !self.text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(in crate::translate) fn is_closed(&self) -> bool {
        self.begun && self.depth == 0 && !self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_whole_when_its_last_brace_came() {
        for (json, closed) in [
            ("", false),
            ("{}", true),
            (r#"{"a":{"b":[1]}}"#, true),
            (r#"{"a":{"b":[1]}"#, false),
            (r#"{"a":"}"#, false),
            (r#"{"a":"\"}"}"#, true),
            (r#"{"a":"\\"}"#, true),
            ("text", false),
        ] {
            let mut whole = Closing::default();
            whole.read(json);
            let mut pieces = Closing::default();
            json.split_inclusive(|_| true).for_each(|piece| pieces.read(piece));
            assert_eq!((whole.is_closed(), pieces.is_closed()), (closed, closed), "{json}");
        }
    }
}
