//! Keeps an answer while it passes, up to a limit.

use super::policy::{Answer, Policy, Skip};
use super::record::Form;
use crate::protocol::Operation;

/// An answer as the provider sent it, before anything is taken out of it for one client. Of the
/// headers only the content type is kept: the others tell of one exchange, not of the answer.
#[derive(Clone, Debug)]
pub struct Capture {
    form: Form,
    status: u16,
    content_type: Vec<u8>,
    body: Vec<u8>,
    max: usize,
    outgrown: bool,
}

impl Capture {
    pub(super) fn new(
        policy: &Policy,
        operation: Operation,
        status: u16,
        content_type: &[u8],
        content_encoding: Option<&[u8]>,
    ) -> Result<Self, Skip> {
        let form = Form::of(content_type);
        let head =
            Answer { status, form, content_type, content_encoding, complete: false, body: b"" };
        policy.may_store(operation, &head)?;
        Ok(Self {
            form,
            status,
            content_type: content_type.to_vec(),
            body: Vec::new(),
            max: policy.max_entry_bytes,
            outgrown: false,
        })
    }

    /// The next bytes of the body; whether they still fit. Beyond the limit nothing is kept, not
    /// even what was.
    pub fn chunk(&mut self, chunk: &[u8]) -> bool {
        if self.outgrown {
            return false;
        }
        if chunk.len() > self.max.saturating_sub(self.body.len()) {
            self.outgrown = true;
            self.body = Vec::new();
        } else {
            self.body.extend_from_slice(chunk);
        }
        !self.outgrown
    }

    /// How many bytes are kept.
    pub fn kept(&self) -> usize {
        self.body.capacity()
    }

    pub fn form(&self) -> Form {
        self.form
    }

    pub(super) fn answer(&self, complete: bool) -> Result<Answer<'_>, Skip> {
        if self.outgrown {
            return Err(Skip::TooLarge);
        }
        Ok(Answer {
            status: self.status,
            form: self.form,
            content_type: &self.content_type,
            content_encoding: None,
            complete,
            body: &self.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::policy::{Mode, Scope};
    use crate::cache::record::Ttl;

    fn policy() -> Policy {
        Policy {
            mode: Mode::On,
            ttl: Ttl::new(Duration::from_secs(300)).unwrap(),
            max_entry_bytes: 10,
            scope: Scope::Consumer,
            operations: vec![Operation::Chat],
        }
    }

    fn capture(chunks: &[&[u8]]) -> Capture {
        let mut capture =
            Capture::new(&policy(), Operation::Chat, 200, b"application/json", None).unwrap();
        chunks.iter().for_each(|chunk| {
            capture.chunk(chunk);
        });
        capture
    }

    #[test]
    fn what_passes_is_kept() {
        let capture = capture(&[b"0123", b"", b"456789"]);
        let answer = capture.answer(true).unwrap();
        assert_eq!(
            (answer.body, answer.status, answer.form),
            (&b"0123456789"[..], 200, Form::Json)
        );
    }

    #[test]
    fn an_answer_beyond_the_limit_takes_no_memory() {
        let mut capture = capture(&[b"0123", b"456789", b"x"]);
        assert_eq!(capture.answer(true).unwrap_err(), Skip::TooLarge);
        assert_eq!(capture.body.capacity(), 0);
        capture.chunk(b"y");
        assert_eq!(capture.body.capacity(), 0);
    }

    #[test]
    fn the_head_decides_whether_anything_is_kept() {
        let of = |status, content_type: &[u8], encoding: Option<&[u8]>| {
            let capture = Capture::new(&policy(), Operation::Chat, status, content_type, encoding);
            capture.map(|capture| capture.form)
        };
        assert_eq!(of(200, b"application/json", None), Ok(Form::Json));
        assert_eq!(of(200, b"text/event-stream; charset=utf-8", None), Ok(Form::Stream));
        assert_eq!(of(200, b"application/x-ndjson", None), Err(Skip::ContentType));
        assert_eq!(of(500, b"application/json", None), Err(Skip::Status));
        assert_eq!(of(200, b"text/html", None), Err(Skip::ContentType));
        assert_eq!(of(200, b"application/json", Some(b"br")), Err(Skip::Encoded));
    }
}
