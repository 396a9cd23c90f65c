//! Wire types: described once, read and written by the description. What the gateway acts on has a
//! field; the rest is kept as it is written. A mistake is named by where it stands, and no value is
//! ever repeated in it.
//!
//! ```text
//! object! {
//!     pub struct Part<'a> {
//!         text: Cow<'a, str>,                       required
//!         cache as "cache_control": Option<Raw<'a>>, absent and null are one
//!     }
//! }
//! tagged! { pub enum Block<'a> by "type" { Text(Part<'a>) = "text", } }
//! words! { pub enum Role { User = "user", } }
//! ```

mod macros;
mod values;

use std::fmt;

use crate::error::Error;
use crate::protocol::json::{Kind, Scanner};
use crate::protocol::mistake::{invalid_value, missing_at};

pub(crate) use macros::{object, tagged, words};
pub(crate) use values::{Members, tag, text};
pub use values::{Nullable, Number, Raw, Rest, TextOr};

/// An array may have so many items. More would cost many times their own size when read.
pub const MAX_ITEMS: usize = 16_384;

/// And so many may be in all arrays of a message together.
pub const MAX_ALL_ITEMS: usize = 32_768;

/// An object may have so many members that have no field.
pub const MAX_REST: usize = 1_024;

/// A part of a wire format.
pub(crate) trait Wire<'a>: Sized {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error>;

    fn write(&self, out: &mut Vec<u8>);

    /// What a member is that is not there.
    fn absent(at: &Path<'_>) -> Result<Self, Error> {
        Err(missing_at(at.to_string().into()))
    }

    /// Not to be written at all.
    fn is_absent(&self) -> bool {
        false
    }
}

/// One document and nothing behind it.
pub(crate) fn read<'a, T: Wire<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let mut scanner = Scanner::new(body);
    let value = T::read(&mut scanner, &Path::Root)?;
    scanner.finish()?;
    Ok(value)
}

pub(crate) fn write<'a>(value: &impl Wire<'a>) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

/// Where a value stands, as OpenAI writes it: `messages[0].role`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'static str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(name),
            Self::Member(of, name) => write!(f, "{of}.{name}"),
            Self::Item(of, index) => write!(f, "{of}[{index}]"),
        }
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        if scanner.kind()? == Kind::Null {
            scanner.null()?;
            return Ok(None);
        }
        T::read(scanner, at).map(Some)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn absent(_: &Path<'_>) -> Result<Self, Error> {
        Ok(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        values::expect(scanner, Kind::Array, at)?;
        let mut items = Self::new();
        scanner.array(|scanner, index| {
            if index >= MAX_ITEMS {
                let rule = format!("it must not have more than {MAX_ITEMS} items");
                return Err(invalid_value(at.to_string(), &rule));
            }
            if scanner.keep() > MAX_ALL_ITEMS {
                let rule =
                    format!("all arrays together must not have more than {MAX_ALL_ITEMS} items");
                return Err(invalid_value(at.to_string(), &rule));
            }
            items.push(T::read(scanner, &Path::Item(at, index))?);
            Ok(())
        })?;
        Ok(items)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.write(out);
        }
        out.push(b']');
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Box<T> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        T::read(scanner, at).map(Self::new)
    }

    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }
}

#[cfg(test)]
mod tests;
