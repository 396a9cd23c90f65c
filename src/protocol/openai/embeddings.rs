//! Embeddings.

use std::borrow::Cow;

use crate::error::Error;
use crate::protocol::json::{Kind, Scanner};
use crate::protocol::mistake::{invalid_type, invalid_value};
use crate::protocol::wire::{Path, Raw, Wire, object};

object! {
    /// `POST /v1/embeddings`
    pub struct EmbeddingRequest<'a> {
        model: Option<Cow<'a, str>>,
        input: Input<'a>,
        dimensions: Option<u64>,
        /// `float` or `base64`.
        encoding_format: Option<Cow<'a, str>>,
        /// No field of OpenAI's own: what the embedding is for, in the provider's words.
        input_type: Option<Cow<'a, str>>,
        user: Option<Cow<'a, str>>,
    }
}

object! {
    pub struct EmbeddingResponse<'a> {
        object: Option<Cow<'a, str>>,
        data: Vec<Embedding<'a>>,
        model: Option<Cow<'a, str>>,
        usage: Option<Raw<'a>>,
    }
}

object! {
    pub struct Embedding<'a> {
        object: Option<Cow<'a, str>>,
        index: Option<u64>,
        /// Numbers, or a base64 text of little-endian floats of 32 bits.
        embedding: Raw<'a>,
    }
}

object! {
    pub struct EmbeddingUsage<'a> {
        prompt_tokens: u64,
        total_tokens: u64,
        /// No field of OpenAI's own: the provider did not count.
        estimated: Option<bool>,
    }
}

/// What is to be embedded.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    Text(Cow<'a, str>),
    Texts(Vec<Cow<'a, str>>),
    /// Numbers of tokens of one text or of several.
    Tokens(Raw<'a>),
}

impl Default for Input<'_> {
    fn default() -> Self {
        Self::Texts(Vec::new())
    }
}

impl<'a> Wire<'a> for Input<'a> {
    fn read(scanner: &mut Scanner<'a>, at: &Path<'_>) -> Result<Self, Error> {
        match scanner.kind()? {
            Kind::String => Wire::read(scanner, at).map(Self::Text),
            Kind::Array => match first_item(scanner)? {
                None => Err(invalid_value(at.to_string(), "it must not be empty")),
                Some(Kind::Number | Kind::Array) => Wire::read(scanner, at).map(Self::Tokens),
                Some(_) => Wire::read(scanner, at).map(Self::Texts),
            },
            other => Err(invalid_type(at.to_string(), "a string or an array", other)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => text.write(out),
            Self::Texts(texts) => texts.write(out),
            Self::Tokens(tokens) => tokens.write(out),
        }
    }
}

/// What the array begins with that is to be read next.
fn first_item(scanner: &Scanner<'_>) -> Result<Option<Kind>, Error> {
    let mut first = None;
    scanner.clone().array(|scanner, index| {
        if index == 0 {
            first = Some(scanner.kind()?);
        }
        scanner.skip().map(drop)
    })?;
    Ok(first)
}
