//! Edits of a request body in place: everything else stays byte for byte.

use std::borrow::Cow;

use crate::protocol::probe::{Probe, StreamOptions};

/// Where something stands in a body: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// The opening bracket of an object: where a first member can be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The byte after the bracket.
    pub at: usize,
    /// No member follows, so an inserted one needs no comma.
    pub empty: bool,
}

/// One replacement. An empty span inserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    pub span: Span,
    pub with: Cow<'a, [u8]>,
}

/// What is to be changed in one body, in the order of the bytes and never overlapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits<'a>(Vec<Edit<'a>>);

impl<'a> Edits<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names `model` where the body names its own, or names one where it names none.
    pub fn set_model(&mut self, probe: &Probe<'_>, model: &str) {
        match &probe.model {
            Some(asked) if asked.name == model => {}
            Some(asked) if probe.path.is_some() => {
                for place in &probe.places {
                    self.replace(*place, asked.encode(model));
                }
            }
            Some(asked) => self.replace(asked.span, asked.encode(model)),
            None => {
                self.insert(probe.open, [b"\"model\":".as_slice(), &json_string(model)].concat())
            }
        }
    }

    /// Makes a streamed chat or text completion end with its usage; other stream options stay.
    pub fn ask_for_usage(&mut self, probe: &Probe<'_>) {
        match probe.stream_options {
            StreamOptions::Absent => {
                self.insert(probe.open, b"\"stream_options\":{\"include_usage\":true}".to_vec());
            }
            StreamOptions::Null(span) => self.replace(span, b"{\"include_usage\":true}".as_slice()),
            StreamOptions::Object { open, include_usage: None } => {
                self.insert(open, b"\"include_usage\":true".to_vec());
            }
            StreamOptions::Object { include_usage: Some((span, false)), .. } => {
                self.replace(span, b"true".as_slice());
            }
            StreamOptions::Object { include_usage: Some((_, true)), .. } => {}
        }
    }

    /// Replaces a span; an earlier edit that it overlaps gives way.
    pub fn replace(&mut self, span: Span, with: impl Into<Cow<'a, [u8]>>) {
        self.0.retain(|edit| edit.span.end <= span.start || span.end <= edit.span.start);
        let place = self.0.partition_point(|edit| edit.span <= span);
        self.0.insert(place, Edit { span, with: with.into() });
    }

    /// Puts a member first in an object.
    fn insert(&mut self, open: Open, mut member: Vec<u8>) {
        if !open.empty {
            member.push(b',');
        }
        self.replace(Span { start: open.at, end: open.at }, member);
    }

    /// The edited body.
    pub fn apply(&self, body: &[u8]) -> Vec<u8> {
        let mut edited = Vec::with_capacity(self.length(body.len()));
        let mut kept = 0;
        for edit in &self.0 {
            edited.extend_from_slice(body.get(kept..edit.span.start).unwrap_or_default());
            edited.extend_from_slice(&edit.with);
            kept = edit.span.end;
        }
        edited.extend_from_slice(body.get(kept..).unwrap_or_default());
        edited
    }

    /// The edits from the last to the first: applied one by one to the same buffer in this order,
    /// none moves the span of the next. Cheaper than [`Self::apply`] where the host can splice.
    pub fn splices(&self) -> impl Iterator<Item = &Edit<'a>> {
        self.0.iter().rev()
    }

    /// How long a body of `before` bytes is afterwards.
    pub fn length(&self, before: usize) -> usize {
        self.0.iter().fold(before, |length, edit| {
            length.saturating_sub(edit.span.len()).saturating_add(edit.with.len())
        })
    }
}

impl Span {
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `text` as a JSON string, with its quotes.
pub fn json_string(text: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    write_json_string(&mut quoted, text);
    quoted
}

/// Appends `text` as a JSON string, with its quotes.
pub fn write_json_string(quoted: &mut Vec<u8>, text: &str) {
    quoted.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend_from_slice(&[b'\\', byte]),
            0x00..0x20 => {
                quoted.extend_from_slice(b"\\u00");
                quoted.push(b'0' + (byte >> 4));
                quoted.push(match byte & 0x0f {
                    digit @ 0..10 => b'0' + digit,
                    letter => b'a' + letter - 10,
                });
            }
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::protocol::Operation;

    /// Both ways to apply must agree.
    fn edited(body: &str, edit: impl Fn(&mut Edits<'_>, &Probe<'_>)) -> String {
        let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
        let mut edits = Edits::default();
        edit(&mut edits, &probe);
        let applied = edits.apply(body.as_bytes());
        let mut spliced = body.as_bytes().to_vec();
        for Edit { span, with } in edits.splices() {
            spliced.splice(span.start..span.end, with.iter().copied());
        }
        assert_eq!(applied, spliced);
        assert_eq!(applied.len(), edits.length(body.len()));
        String::from_utf8(applied).unwrap()
    }

    const MESSAGES: &str = r#""messages":[{"role":"user","content":"\u0068i \/ 1.0"}]"#;

    #[test]
    fn the_model_changes_and_nothing_else() {
        let body = format!(" {{ {MESSAGES} , \"mod\\u0065l\" : \"a\\u0062c\" ,\"seed\":1.0e0}}\n");
        assert_eq!(
            edited(&body, |edits, probe| edits.set_model(probe, "x/\"y\"\n")),
            body.replace("\"a\\u0062c\"", r#""x/\"y\"\u000a""#)
        );
        assert_eq!(edited(&body, |edits, probe| edits.set_model(probe, "abc")), body);
    }

    #[test]
    fn a_body_without_a_model_gets_one() {
        let body = format!("{{{MESSAGES}}}");
        assert_eq!(
            edited(&body, |edits, probe| edits.set_model(probe, "m")),
            format!("{{\"model\":\"m\",{MESSAGES}}}")
        );
        let probe = Probe::read(b"{ }", Operation::Other).unwrap();
        let mut edits = Edits::default();
        edits.set_model(&probe, "m");
        assert_eq!(edits.apply(b"{ }"), b"{\"model\":\"m\" }");
    }

    #[test]
    fn usage_is_asked_for_once_and_other_options_stay() {
        let cases = [
            ("", "\"stream_options\":{\"include_usage\":true},"),
            ("\"stream_options\":null,", "\"stream_options\":{\"include_usage\":true},"),
            ("\"stream_options\": { },", "\"stream_options\": {\"include_usage\":true },"),
            (
                "\"stream_options\":{\"a\":[1]},",
                "\"stream_options\":{\"include_usage\":true,\"a\":[1]},",
            ),
            (
                "\"stream_options\":{\"a\":1, \"include_usage\" : false},",
                "\"stream_options\":{\"a\":1, \"include_usage\" : true},",
            ),
            (
                "\"stream_options\":{\"include_usage\":null},",
                "\"stream_options\":{\"include_usage\":true},",
            ),
            (
                "\"stream_options\":{\"include_usage\":true},",
                "\"stream_options\":{\"include_usage\":true},",
            ),
        ];
        for (before, after) in cases {
            let body = |options: &str| format!("{{{options}{MESSAGES}}}");
            assert_eq!(
                edited(&body(before), |edits, probe| edits.ask_for_usage(probe)),
                body(after)
            );
        }
    }

    #[test]
    fn two_insertions_in_one_place_keep_their_order() {
        let both = |edits: &mut Edits<'_>, probe: &Probe<'_>| {
            edits.set_model(probe, "m");
            edits.ask_for_usage(probe);
        };
        assert_eq!(
            edited(&format!("{{{MESSAGES}}}"), both),
            format!("{{\"model\":\"m\",\"stream_options\":{{\"include_usage\":true}},{MESSAGES}}}")
        );
    }

    #[test]
    fn an_edit_of_the_same_place_takes_the_place_of_the_earlier_one() {
        let body = format!("{{\"model\":\"a\",{MESSAGES}}}");
        let twice = |edits: &mut Edits<'_>, probe: &Probe<'_>| {
            edits.set_model(probe, "b");
            edits.set_model(probe, "c");
        };
        assert_eq!(edited(&body, twice), format!("{{\"model\":\"c\",{MESSAGES}}}"));
    }

    proptest! {
        #[test]
        fn a_json_string_says_what_it_was_made_from(text in any::<String>()) {
            let read: String = serde_json::from_slice(&json_string(&text)).unwrap();
            prop_assert_eq!(read, text);
        }

        #[test]
        fn edits_in_any_order_give_one_body(
            body in prop::collection::vec(any::<u8>(), 0..40),
            places in prop::collection::vec((0usize..41, 0usize..41, "[a-z]{0,3}"), 0..6),
        ) {
            let mut edits = Edits::default();
            for (a, b, with) in places {
                let (a, b) = (a.min(body.len()), b.min(body.len()));
                let span = Span { start: a.min(b), end: a.max(b) };
                edits.replace(span, with.into_bytes());
            }
            let mut spliced = body.clone();
            for Edit { span, with } in edits.splices() {
                spliced.splice(span.start..span.end, with.iter().copied());
            }
            prop_assert_eq!(&edits.apply(&body), &spliced);
            prop_assert_eq!(edits.length(body.len()), spliced.len());
        }

        #[test]
        fn only_the_model_and_the_usage_differ(
            model in "[a-z0-9:/é.-]{1,20}",
            extra in prop::collection::btree_map("x[a-zé\"]{1,8}", any::<(bool, i32, String)>(), 0..5),
        ) {
            let mut value = serde_json::json!({"model": "before", "messages": [{"role": "user"}]});
            for (key, (flag, number, text)) in extra {
                value[key] = serde_json::json!([flag, number, text]);
            }
            let after = edited(&value.to_string(), |edits, probe| {
                edits.set_model(probe, &model);
                edits.ask_for_usage(probe);
            });
            value["model"] = model.into();
            value["stream_options"] = serde_json::json!({"include_usage": true});
            prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), value);
        }
    }
}
