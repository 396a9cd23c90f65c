//! A call of Anthropic's own clients at a Claude, which passes as it is, but for what other providers
//! have left in the conversation and Anthropic refuses: thinking whose signature is not its own, and
//! ids of calls with other letters. Only these bytes change.

use std::borrow::Cow;

use memchr::memmem;

use super::facts::Facts;
use super::names::{Form, is_plain};
use crate::error::Error;
use crate::protocol::edit::{Edits, Span};
use crate::protocol::json::{Kind, Scanner};

/// `None`: there is nothing to change, or it is no call that this module knows.
pub fn messages(body: &[u8]) -> Option<Vec<u8>> {
    if !is_suspicious(body) {
        return None;
    }
    let call = Call::read(body).ok()?;
    let facts = Facts::named(call.model.as_deref().filter(|model| model.contains("claude"))?);
    let mut edits = Edits::default();
    let kept: Vec<_> = call.messages.iter().filter_map(|message| message.kept(body)).collect();
    edits.replace(call.span, list(&kept));
    let last = call.messages.iter().rfind(|message| message.assistant);
    if let Some(thinking) = call.thinking.filter(|_| last.is_some_and(Message::lost_its_thinking))
        && facts.takes_budgets()
        && memmem::find(slice(body, thinking), b"\"enabled\"").is_some()
    {
        // Who thinks by budget wants the thinking back that led to a call.
        if facts.is_adaptive() {
            edits.replace(thinking, b"{\"type\":\"adaptive\"}".as_slice());
        } else {
            edits.replace(thinking, b"{\"type\":\"disabled\"}".as_slice());
            let clears =
                |span: &Span| memmem::find(slice(body, *span), b"\"clear_thinking").is_some();
            if let Some(management) = call.context_management.filter(clears) {
                edits.replace(management, b"{\"edits\":[]}".as_slice());
            }
        }
    }
    let edited = edits.apply(body);
    (edited != body).then_some(edited)
}

/// Whether it is worth to be read: a look at what stands behind some words.
fn is_suspicious(body: &[u8]) -> bool {
    let mut signed = 0usize;
    for text in values(body, b"\"signature\"") {
        signed = signed.saturating_add(1);
        if !is_own(text) {
            return true;
        }
    }
    let thought = values(body, b"\"type\"").filter(|text| *text == b"thinking").count();
    let plain = |text: &[u8]| {
        !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(b))
    };
    thought > signed || !values(body, b"\"tool_use_id\"").all(plain)
}

/// The texts behind a key, as they are written.
fn values<'a>(body: &'a [u8], key: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(body, key).filter_map(move |at| {
        let rest = body.get(at.saturating_add(key.len())..)?.trim_ascii_start();
        let rest = rest.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
        rest.get(..memchr::memchr(b'"', rest)?)
    })
}

/// Anthropic's signatures are in the alphabet of base64; other servers sign with ids and words.
fn is_own(signature: &[u8]) -> bool {
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"+/=.\\".contains(b);
    !signature.is_empty() && signature.iter().all(known)
}

#[derive(Default)]
struct Call<'a> {
    model: Option<Cow<'a, str>>,
    /// Of `messages`, `thinking` and `context_management`.
    span: Span,
    thinking: Option<Span>,
    context_management: Option<Span>,
    messages: Vec<Message>,
}

#[derive(Default)]
struct Message {
    span: Span,
    assistant: bool,
    /// Of the list of blocks, where it is one.
    content: Option<Span>,
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    span: Span,
    kind: String,
    signed: bool,
    /// The id of a call, and what it is to be.
    id: Option<(Span, String)>,
}

impl<'a> Call<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Error> {
        let mut call = Self::default();
        let mut scanner = Scanner::new(body);
        scanner.object(|scanner, key| -> Result<(), Error> {
            match key.decode().as_deref() {
                Some("model") if scanner.kind()? == Kind::String => {
                    call.model = scanner.text()?.decode();
                }
                Some("thinking") => call.thinking = Some(scanner.skip()?),
                Some("context_management") => call.context_management = Some(scanner.skip()?),
                Some("messages") if scanner.kind()? == Kind::Array => {
                    let mut ahead = scanner.clone();
                    call.span = scanner.skip()?;
                    ahead.array(|scanner, _| -> Result<(), Error> {
                        call.messages.push(Message::read(scanner)?);
                        Ok(())
                    })?;
                }
                _ => drop(scanner.skip()?),
            }
            Ok(())
        })?;
        Ok(call)
    }
}

impl Message {
    fn read(scanner: &mut Scanner<'_>) -> Result<Self, Error> {
        let mut message = Self::default();
        let mut ahead = scanner.clone();
        message.span = scanner.skip()?;
        if ahead.kind()? != Kind::Object {
            return Ok(message);
        }
        ahead.object(|scanner, key| -> Result<(), Error> {
            match key.decode().as_deref() {
                Some("role") if scanner.kind()? == Kind::String => {
                    message.assistant = scanner.text()?.decode().as_deref() == Some("assistant");
                }
                Some("content") if scanner.kind()? == Kind::Array => {
                    let mut ahead = scanner.clone();
                    message.content = Some(scanner.skip()?);
                    ahead.array(|scanner, _| -> Result<(), Error> {
                        message.blocks.push(Block::read(scanner)?);
                        Ok(())
                    })?;
                }
                _ => drop(scanner.skip()?),
            }
            Ok(())
        })?;
        Ok(message)
    }

    /// `None`: nothing of it is left.
    fn kept<'a>(&self, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let whole = Cow::Borrowed(slice(body, self.span));
        let Some(content) = self.content.filter(|_| !self.blocks.is_empty()) else {
            return Some(whole);
        };
        if self.blocks.iter().all(Block::stays_as_it_is) {
            return Some(whole);
        }
        let blocks = self.blocks.iter().filter(|block| !block.is_foreign());
        let blocks: Vec<_> = blocks.map(|block| block.written(body)).collect();
        (!blocks.is_empty()).then(|| {
            let before = slice(body, Span { start: self.span.start, end: content.start });
            let after = slice(body, Span { start: content.end, end: self.span.end });
            [before, &list(&blocks), after].concat().into()
        })
    }

    /// It calls, and the thinking that led to the call is gone.
    fn lost_its_thinking(&self) -> bool {
        let mut kept = self.blocks.iter().filter(|block| !block.is_foreign());
        self.blocks.iter().any(Block::is_foreign)
            && self.blocks.iter().any(|block| block.kind == "tool_use")
            && kept.next().is_none_or(|first| !first.kind.ends_with("thinking"))
    }
}

impl Block {
    fn read(scanner: &mut Scanner<'_>) -> Result<Self, Error> {
        let form = Form { longest: usize::MAX, plain: is_plain };
        let mut block = Self::default();
        let mut ahead = scanner.clone();
        block.span = scanner.skip()?;
        if ahead.kind()? != Kind::Object {
            return Ok(block);
        }
        ahead.object(|scanner, key| -> Result<(), Error> {
            let key = key.decode();
            let text = scanner.kind()? == Kind::String;
            match key.as_deref() {
                Some("type") if text => {
                    block.kind = scanner.text()?.decode().unwrap_or_default().into_owned();
                }
                Some("signature") if text => {
                    let signature = scanner.text()?;
                    block.signed = is_own(signature.raw);
                }
                Some("id" | "tool_use_id") if text => {
                    let id = scanner.text()?;
                    let known = id.decode().unwrap_or_default();
                    if known.is_empty() || !form.fits(&known) {
                        let fit = if known.is_empty() { "_".into() } else { form.id(known) };
                        block.id = Some((id.span, fit.into_owned()));
                    }
                }
                _ => drop(scanner.skip()?),
            }
            Ok(())
        })?;
        Ok(block)
    }

    fn is_foreign(&self) -> bool {
        self.kind == "thinking" && !self.signed
    }

    fn stays_as_it_is(&self) -> bool {
        !self.is_foreign() && (self.id.is_none() || !self.is_call())
    }

    fn is_call(&self) -> bool {
        matches!(&*self.kind, "tool_use" | "tool_result")
    }

    fn written<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.id {
            Some((place, id)) if self.is_call() => {
                let before = slice(body, Span { start: self.span.start, end: place.start });
                let after = slice(body, Span { start: place.end, end: self.span.end });
                // Its letters need no escaping.
                [before, b"\"", id.as_bytes(), b"\"", after].concat().into()
            }
            _ => Cow::Borrowed(slice(body, self.span)),
        }
    }
}

fn slice(body: &[u8], span: Span) -> &[u8] {
    body.get(span.start..span.end).unwrap_or_default()
}

fn list(items: &[Cow<'_, [u8]>]) -> Vec<u8> {
    [b"[".as_slice(), &items.join(b",".as_slice()), b"]"].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn repaired(model: &str, thinking: Value, messages: Value) -> Option<Value> {
        let body = json!({"model": model, "max_tokens": 9, "thinking": thinking, "messages": messages, "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}});
        let edited = super::messages(body.to_string().as_bytes())?;
        Some(serde_json::from_slice(&edited).unwrap())
    }

    #[test]
    fn thinking_of_others_never_reaches_anthropic() {
        let user = json!({"role": "user", "content": "x"});
        let text = json!({"type": "text", "text": "hi"});
        let own = json!({"type": "thinking", "thinking": "hm", "signature": "EqQB+/=="});
        let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
        for signature in ["", "2f1c6a0e-uuid", "skip_thought_signature_validator"] {
            let foreign = json!({"type": "thinking", "thinking": "hm", "signature": signature});
            let said =
                |blocks: Value| json!([user, {"role": "assistant", "content": blocks}, user]);
            let adaptive = json!({"type": "adaptive"});
            let out = repaired("claude-opus-4-6", adaptive.clone(), said(json!([foreign, text])))
                .unwrap();
            assert_eq!(out["messages"], said(json!([text])));
            assert_eq!(out["thinking"], adaptive);
            let out = repaired("claude-opus-4-6", adaptive, said(json!([foreign]))).unwrap();
            assert_eq!(out["messages"], json!([user, user]));
            let enabled = json!({"type": "enabled", "budget_tokens": 1024});
            let calls = said(json!([foreign, text, call]));
            let out = repaired("claude-sonnet-4-5", enabled.clone(), calls.clone()).unwrap();
            assert_eq!(out["thinking"], json!({"type": "disabled"}));
            assert_eq!(out["context_management"], json!({"edits": []}));
            let out = repaired("claude-opus-4-6", enabled.clone(), calls).unwrap();
            assert_eq!(out["thinking"], json!({"type": "adaptive"}));
            let both = said(json!([own, foreign, call]));
            let out = repaired("claude-sonnet-4-5", enabled.clone(), both).unwrap();
            assert_eq!(out["messages"], said(json!([own, call])));
            assert_eq!(out["thinking"], enabled);
            // Other servers of this protocol have no signatures to check.
            assert_eq!(repaired("kimi-k2", enabled, said(json!([foreign, text]))), None);
        }
        let unsigned = json!([user, {"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}, text]}, user]);
        assert!(repaired("claude-opus-4-6", Value::Null, unsigned).is_some());
        let signed = json!([user, {"role": "assistant", "content": [own, text, call]}, user]);
        assert_eq!(repaired("claude-sonnet-4-5", Value::Null, signed), None);
    }

    #[test]
    fn ids_of_calls_have_only_the_letters_that_anthropic_takes() {
        let messages = |id: &str| {
            json!([
                {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "Bash", "input": {"id": "a:0"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "\"tool_use_id\":\"a:0\""}]},
            ])
        };
        let out = repaired("claude-opus-4-6", Value::Null, messages("functions.Bash:0")).unwrap();
        assert_eq!(out["messages"], messages("functions_Bash_0"));
        assert_eq!(repaired("claude-opus-4-6", Value::Null, messages("toolu_01-a")), None);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = super::messages(&[b"\"signature\":\"\"".as_slice(), &body].concat());
        }
    }
}
