//! OpenAI's API: chat completions, embeddings, responses. Model lists are in
//! [`models`](super::models), token counts in [`usage`](super::usage).

pub mod chat;
pub mod embeddings;
pub mod responses;

pub use chat::{ChatCompletionChunk, ChatCompletionRequest, ChatCompletionResponse, Message};
pub use embeddings::{EmbeddingRequest, EmbeddingResponse};
pub use responses::{ResponsesRequest, ResponsesResponse};
