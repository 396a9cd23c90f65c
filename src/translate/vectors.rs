//! Embeddings in OpenAI's shape, from any provider's.

use std::borrow::Cow;

use super::fields::{Warnings, invalid};
use super::{Asked, Context};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::openai::embeddings::{
    Embedding, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, Input,
};
use crate::protocol::usage::{Quality, Report, estimate};
use crate::protocol::wire::Raw;

/// The texts of a request. Numbers of tokens are OpenAI's own.
pub(super) fn texts<'a>(input: Input<'a>) -> Result<Vec<Cow<'a, str>>, Error> {
    match input {
        Input::Text(text) => Ok(vec![text]),
        Input::Texts(texts) => Ok(texts),
        Input::Tokens(_) => Err(invalid("input", "this provider takes text, not tokens")),
    }
}

/// What of the request shapes the answer, and what no provider here has a word for.
pub(super) fn asked(
    request: &EmbeddingRequest<'_>,
    warnings: &mut Warnings,
) -> Result<Asked, Error> {
    warnings.add_if(request.user.is_some(), "user");
    warnings.rest(&request.rest);
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(invalid("encoding_format", "it must be one of 'float', 'base64'"));
        }
    };
    let input_bytes = match &request.input {
        Input::Text(text) => text.len(),
        Input::Texts(texts) => texts.iter().map(|text| text.len()).sum(),
        Input::Tokens(_) => 0,
    };
    let input_bytes = u64::try_from(input_bytes).unwrap_or(u64::MAX);
    Ok(Asked { base64, input_bytes, ..Asked::default() })
}

/// The whole answer; `tokens` is what the provider has counted.
pub(super) fn write<'a>(
    vectors: impl IntoIterator<Item = Raw<'a>>,
    tokens: Option<u64>,
    context: &Context,
    asked: &Asked,
) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    for (vector, index) in vectors.into_iter().zip(0..) {
        data.push(Embedding {
            object: Some("embedding".into()),
            index: Some(index),
            embedding: if asked.base64 { encode(&vector)? } else { vector },
            ..Default::default()
        });
    }
    let count = tokens.unwrap_or_else(|| estimate(asked.input_bytes));
    let usage = EmbeddingUsage {
        prompt_tokens: count,
        total_tokens: count,
        estimated: tokens.is_none().then_some(true),
        ..Default::default()
    };
    let answer = EmbeddingResponse {
        object: Some("list".into()),
        data,
        model: Some(context.model.as_str().into()),
        usage: Some(Raw::from_wire(&usage)),
        ..Default::default()
    };
    Ok(answer.to_json())
}

/// The vectors of OpenAI's answer in the order of their texts, and the tokens that were counted.
pub(super) fn read(body: &[u8]) -> Result<(Vec<Raw<'_>>, Option<u64>), Error> {
    let mut answer = EmbeddingResponse::from_json(body)?;
    answer.data.sort_by_key(|embedding| embedding.index);
    if !answer.data.iter().all(|embedding| embedding.embedding.as_str().starts_with('[')) {
        return Err(super::failure::garbled());
    }
    let usage = answer.usage.and_then(|usage| {
        let report = Report::read(usage.as_str().as_bytes())?;
        let (usage, quality) = report.usage(Operation::Embedding, 0, 0);
        (quality == Quality::Exact).then_some(usage.input)
    });
    Ok((answer.data.into_iter().map(|embedding| embedding.embedding).collect(), usage))
}

/// An array of numbers as OpenAI's base64: little-endian floats of 32 bits.
fn encode<'a>(vector: &Raw<'_>) -> Result<Raw<'a>, Error> {
    if memchr::memchr_iter(b',', vector.as_str().as_bytes()).count() >= MAX_NUMBERS {
        return Err(super::failure::too_large());
    }
    let numbers: Vec<f32> =
        serde_json::from_str(vector.as_str()).map_err(|_| super::failure::garbled())?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Ok(Raw::from_wire(&Cow::<'_, str>::Owned(base64(&bytes))))
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            text.push(if place > group.len() { '=' } else { letter((bits >> shift) & 63) });
        }
    }
    text
}

/// Of a number below 64.
fn letter(number: u32) -> char {
    let byte = match u8::try_from(number).unwrap_or_default() {
        n @ 0..26 => b'A' + n,
        n @ 26..52 => b'a' + n - 26,
        n @ 52..62 => b'0' + n - 52,
        62 => b'+',
        _ => b'/',
    };
    char::from(byte)
}

/// Embeddings are not streamed.
pub(super) struct NoStream;

impl NoStream {
    pub(super) fn new(_: &Context, _: &Asked) -> Self {
        Self
    }

    /// How many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        0
    }

    pub(super) fn event(&mut self, _: &[u8], _: &[u8], _: &mut Vec<u8>) -> Result<(), Error> {
        Err(super::failure::garbled())
    }

    pub(super) fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }
}

/// An embedding that becomes base64 may have so many numbers, many times what any model makes.
const MAX_NUMBERS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn vectors_are_floats_of_32_bits() {
        let encoded = encode(&Raw::new("[1, -0.5 ,1e-3]").unwrap()).unwrap();
        assert_eq!(encoded.as_str(), "\"AACAPwAAAL9vEoM6\"");
        assert!(encode(&Raw::new("[1,null]").unwrap()).is_err());
    }
}
