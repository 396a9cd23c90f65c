//! What an OpenAI server says in a stream.

use crate::error::Error;
use crate::protocol::openai::ChatCompletionChunk;
use crate::translate::failure;

/// The next chunk; `None` at the end of the stream. A chunk that is an error is one here too.
pub(in crate::translate) fn chunk(data: &[u8]) -> Result<Option<ChatCompletionChunk<'_>>, Error> {
    if data.trim_ascii() == b"[DONE]" {
        return Ok(None);
    }
    let chunk = ChatCompletionChunk::from_json(data)?;
    if chunk.error.is_some() {
        return Err(failure::openai(500, data));
    }
    Ok(Some(chunk))
}
