//! The calls of a stream, for clients that get each of them whole.

use std::borrow::Cow;

use crate::error::Error;
use crate::protocol::openai::chat::ToolCallDelta;
use crate::translate::failure;

/// Calls that are still being written.
#[derive(Debug, Default)]
pub(in crate::translate) struct Calls {
    calls: Vec<Call>,
    kept: usize,
}

#[derive(Debug)]
struct Call {
    number: u64,
    id: String,
    name: String,
    arguments: String,
}

impl Calls {
    /// The next piece.
    pub(in crate::translate) fn add(
        &mut self,
        piece: ToolCallDelta<'_>,
        request_id: &str,
    ) -> Result<(), Error> {
        let function = piece.function.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let begun = u64::try_from(self.calls.len()).unwrap_or(u64::MAX);
        // Some servers number no calls, and send each whole.
        let number = piece.index.unwrap_or(match piece.id {
            Some(_) => begun,
            None => begun.saturating_sub(1),
        });
        self.kept = self.kept.saturating_add(arguments.len()).saturating_add(name.len());
        if self.kept > MAX_KEPT {
            return Err(failure::too_large());
        }
        if let Some(known) = self.calls.iter_mut().find(|known| known.number == number) {
            known.arguments.push_str(&arguments);
            return Ok(());
        }
        if self.calls.len() >= MAX_CALLS {
            return Err(failure::too_large());
        }
        let id = piece.id.filter(|id| !id.is_empty());
        let id = id.map_or_else(|| format!("call_{request_id}_{begun}"), Cow::into_owned);
        let (name, arguments) = (name.into_owned(), arguments.into_owned());
        self.calls.push(Call { number, id, name, arguments });
        Ok(())
    }

    /// Id, name and arguments of each.
    pub(in crate::translate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments))
    }
}

/// More calls in one answer are not kept apart.
const MAX_CALLS: usize = 128;

/// Of the calls of an answer no more bytes are kept than these.
const MAX_KEPT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::openai::chat::FunctionDelta;

    fn piece<'a>(index: Option<u64>, id: Option<&'a str>, arguments: &'a str) -> ToolCallDelta<'a> {
        let function = FunctionDelta {
            name: id.map(|_| "f".into()),
            arguments: Some(arguments.into()),
            ..Default::default()
        };
        let (id, function) = (id.map(Into::into), Some(function));
        ToolCallDelta { index, id, function, ..Default::default() }
    }

    #[test]
    fn pieces_find_their_call_with_and_without_numbers() {
        let mut calls = Calls::default();
        for piece in [
            piece(Some(0), Some("a"), "{\"x\""),
            piece(Some(1), Some(""), "{}"),
            piece(Some(0), None, ":1}"),
        ] {
            calls.add(piece, "req").unwrap();
        }
        let all: Vec<_> = calls.iter().collect();
        assert_eq!(all, [("a", "f", "{\"x\":1}"), ("call_req_1", "f", "{}")]);
        let mut calls = Calls::default();
        for piece in
            [piece(None, Some("a"), "{}"), piece(None, Some("b"), "{"), piece(None, None, "}")]
        {
            calls.add(piece, "req").unwrap();
        }
        let all: Vec<_> = calls.iter().collect();
        assert_eq!(all, [("a", "f", "{}"), ("b", "f", "{}")]);
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let mut calls = Calls::default();
        let many = (0..200).map(|number| calls.add(piece(Some(number), Some("a"), ""), "req"));
        assert_eq!(many.filter(Result::is_ok).count(), MAX_CALLS);
        let long = "x".repeat(MAX_KEPT);
        assert!(Calls::default().add(piece(None, Some("a"), &long), "req").is_err());
    }
}
