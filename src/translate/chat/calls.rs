//! The calls of a stream: to which of them a piece belongs, and all of them for clients that get
//! each of them whole.

use std::borrow::Cow;

use super::closing::Closing;
use crate::error::Error;
use crate::protocol::openai::chat::ToolCallDelta;
use crate::translate::{failure, names};

/// Tells calls apart. Servers number them from 0, or give all of them the number 0, or none; they
/// give the id with the first piece, with each or with a later one.
#[derive(Debug, Default)]
pub(in crate::translate) struct Numbers {
    calls: Vec<Known>,
    /// The call of the last piece.
    last: usize,
}

#[derive(Debug, Default)]
struct Known {
    index: Option<u64>,
    /// The digest of its id.
    id: Option<u64>,
    named: bool,
    arguments: Closing,
    /// The client was told of it.
    told: bool,
}

impl Numbers {
    /// The place of the piece's call among all of them.
    pub(in crate::translate) fn place(
        &mut self,
        piece: &ToolCallDelta<'_>,
    ) -> Result<usize, Error> {
        let id = piece.id.as_deref().filter(|id| !id.is_empty()).map(names::digest);
        let function = piece.function.as_ref();
        let named = function.and_then(|it| it.name.as_deref()).is_some_and(|it| !it.is_empty());
        let arguments = function.and_then(|it| it.arguments.as_deref()).unwrap_or_default();
        let place = match self.known(piece.index, id, named, !arguments.is_empty()) {
            Some(place) => place,
            None if self.calls.len() >= MAX_CALLS => return Err(failure::too_large()),
            None => {
                self.calls.push(Known { index: piece.index, ..Known::default() });
                self.calls.len().saturating_sub(1)
            }
        };
        self.last = place;
        if let Some(known) = self.calls.get_mut(place) {
            known.named |= named;
            known.arguments.read(arguments);
            known.id = known.id.or(id);
        }
        Ok(place)
    }

    fn known(&self, index: Option<u64>, id: Option<u64>, named: bool, says: bool) -> Option<usize> {
        let by_id = |id| self.calls.iter().position(|known| known.id == Some(id));
        if let Some(place) = id.and_then(by_id) {
            return Some(place);
        }
        let Some(index) = index else {
            // Some servers number no calls, and send each whole.
            return (id.is_none() && !self.calls.is_empty()).then_some(self.last);
        };
        let place = self.calls.iter().rposition(|known| known.index == Some(index))?;
        let known = self.calls.get(place)?;
        // Another call under the same number.
        let other_id = id.is_some() && known.id.is_some() && named;
        let begins = id.is_none() && named && says && known.named && known.arguments.is_closed();
        (!other_id && !begins).then_some(place)
    }

    pub(super) fn told(&self, place: usize) -> bool {
        self.calls.get(place).is_some_and(|known| known.told)
    }

    pub(super) fn tell(&mut self, place: usize) {
        if let Some(known) = self.calls.get_mut(place) {
            known.told = true;
        }
    }

    /// Its arguments are whole.
    pub(super) fn is_closed(&self, place: usize) -> bool {
        self.calls.get(place).is_some_and(|known| known.arguments.is_closed())
    }
}

/// Calls that are still being written.
#[derive(Debug, Default)]
pub(in crate::translate) struct Calls {
    numbers: Numbers,
    calls: Vec<Call>,
    kept: usize,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Calls {
    /// The next piece.
    pub(in crate::translate) fn add(&mut self, piece: ToolCallDelta<'_>) -> Result<(), Error> {
        let place = self.numbers.place(&piece)?;
        let function = piece.function.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let id = piece.id.as_ref().map_or(0, |id| id.len());
        for bytes in [arguments.len(), name.len(), id] {
            self.kept = self.kept.saturating_add(bytes);
        }
        if self.kept > MAX_KEPT {
            return Err(failure::too_large());
        }
        if place >= self.calls.len() {
            self.calls.push(Call::default());
        }
        let Some(call) = self.calls.get_mut(place) else { return Ok(()) };
        call.arguments.push_str(&arguments);
        for (known, told) in [(&mut call.id, piece.id.unwrap_or_default()), (&mut call.name, name)]
        {
            if known.is_empty() {
                *known = told.into_owned();
            }
        }
        Ok(())
    }

    /// How many bytes are kept, at most.
    pub(in crate::translate) fn kept(&self) -> usize {
        self.kept.saturating_mul(2)
    }

    /// Id, name and arguments of each.
    pub(in crate::translate) fn iter(
        &self,
        request_id: &str,
    ) -> impl Iterator<Item = (Cow<'_, str>, &str, &str)> {
        self.calls.iter().zip(0..).map(move |(call, number)| {
            let id = match call.id.is_empty() {
                true => names::call_id(request_id, number),
                false => Cow::Borrowed(&*call.id),
            };
            (id, &*call.name, &*call.arguments)
        })
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

    fn piece<'a>(
        index: Option<u64>,
        id: Option<&'a str>,
        name: &'a str,
        arguments: &'a str,
    ) -> ToolCallDelta<'a> {
        let name = Some(name).filter(|name| !name.is_empty()).map(Into::into);
        let function =
            FunctionDelta { name, arguments: Some(arguments.into()), ..Default::default() };
        let (id, function) = (id.map(Into::into), Some(function));
        ToolCallDelta { index, id, function, ..Default::default() }
    }

    fn calls(pieces: Vec<ToolCallDelta<'_>>) -> Vec<[String; 3]> {
        let mut calls = Calls::default();
        pieces.into_iter().for_each(|piece| calls.add(piece).unwrap());
        let all = calls.iter("req");
        all.map(|(id, name, arguments)| [id.into(), name.into(), arguments.into()]).collect()
    }

    #[test]
    fn pieces_find_their_call_however_a_server_numbers_them() {
        let two = [["a", "f", r#"{"x":1}"#], ["b", "g", r#"{"y":2}"#]];
        let numbered = vec![
            piece(Some(0), Some("a"), "f", "{\"x\""),
            piece(Some(1), Some("b"), "g", "{\"y"),
            piece(Some(0), None, "", ":1}"),
            piece(Some(1), None, "", "\":2}"),
        ];
        let without = vec![
            piece(None, Some("a"), "f", r#"{"x":1}"#),
            piece(None, Some("b"), "g", "{"),
            piece(None, None, "", r#""y":2}"#),
        ];
        let all_zero = vec![
            piece(Some(0), Some("a"), "f", "{\"x\""),
            piece(Some(0), None, "", ":1}"),
            piece(Some(0), Some("b"), "g", ""),
            piece(Some(0), None, "", r#"{"y":2}"#),
        ];
        let zero_by_id = vec![
            piece(Some(0), Some("a"), "f", "{"),
            piece(Some(0), Some("b"), "g", "{"),
            piece(Some(0), Some("a"), "f", r#""x":1}"#),
            piece(Some(0), Some("b"), "", r#""y":2}"#),
        ];
        let late = vec![
            piece(Some(0), None, "f", ""),
            piece(Some(0), Some("a"), "", r#"{"x":1}"#),
            piece(Some(1), Some("b"), "", r#"{"y""#),
            piece(Some(1), Some(""), "g", ":2}"),
        ];
        for pieces in [numbered, without, all_zero, zero_by_id, late] {
            assert_eq!(calls(pieces.clone()), two, "{pieces:?}");
        }
        let nameless = vec![piece(Some(0), None, "f", "{}"), piece(Some(0), None, "f", "{}")];
        assert_eq!(calls(nameless), [["call_req_0", "f", "{}"], ["call_req_1", "f", "{}"]]);
        let other_id_each = vec![
            piece(Some(0), Some("a"), "f", "{"),
            piece(Some(0), Some("b"), "", "}"),
            piece(Some(0), Some("c"), "", ""),
        ];
        assert_eq!(calls(other_id_each), [["a", "f", "{}"]]);
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let mut all = Calls::default();
        let many = (0..200).map(|number| all.add(piece(Some(number), None, "f", "")));
        assert_eq!(many.filter(Result::is_ok).count(), MAX_CALLS);
        let long = "x".repeat(MAX_KEPT);
        assert!(Calls::default().add(piece(None, Some("a"), "f", &long)).is_err());
    }
}
