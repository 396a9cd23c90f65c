//! Calls from one protocol to another: request, answer, stream and error. Pure: bytes in, bytes
//! out. One file or folder per pair, `<client>_to_<provider>`, all with the same functions:
//!
//! - `request(body, context)`: the provider's request, or a refusal that names the field that the
//!   provider has no word for. What it cannot say and the caller can do without is left out, and
//!   named in [`Translated::warnings`]; the module's doc has the table.
//! - `response(body, context, asked)`: the client's answer.
//! - `error(status, body)`: the refusal with its meaning.
//! - `Stream`: the client's events, one by one as the provider's come.
//!
//! A client's protocol that is not OpenAI's reaches other providers by two pairs, a [`Route`].
//!
//! Who holds the connection needs only [`Call`]: `request` once the body is there, [`Call::answer`]
//! once the answer's headers are, and then [`Answer::chunk`] for each piece of a stream and
//! [`Answer::end`] at its end, or [`Answer::whole`].

mod answer;
mod anthropic_to_openai;
mod chat;
mod claude;
mod clock;
mod closed;
mod embeddings_to_bedrock;
mod embeddings_to_cohere;
mod embeddings_to_gemini;
mod embeddings_to_ollama;
mod facts;
mod failure;
mod fields;
mod gemini_embed_to_openai;
mod gemini_to_openai;
mod media;
mod names;
mod ollama;
mod ollama_embed_to_openai;
mod ollama_generate_to_openai;
mod ollama_to_openai;
mod openai_to_anthropic;
mod openai_to_bedrock;
mod openai_to_cohere;
mod openai_to_gemini;
mod openai_to_ollama;
mod path;
pub mod repair;
mod responses_to_openai;
mod schema;
mod vectors;
mod words;

use std::borrow::Cow;

use answer::Framing;
pub use answer::{Answer, MAX_ANSWER, MAX_ERROR};
pub use clock::Clock;
pub use path::segment as path_segment;

use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::wire::Rest;

/// What a translation has to know beside the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The model as the provider calls it.
    pub upstream_model: String,
    /// The model as the caller asked for it: the answer names it so.
    pub model: String,
    pub request_id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// A model that this one behaves like, where its own name does not tell.
    pub like: Option<String>,
    /// The most tokens that an answer of it may have, where the configuration says.
    pub max_output_tokens: Option<u64>,
    /// For a provider that wants a limit of output tokens when the caller has set none.
    pub default_max_tokens: u64,
    /// The path, not the body, says that the answer is to be a stream.
    pub stream: bool,
    /// For clients that are told how long things took.
    pub clock: Clock,
    /// Another pair reads what this one writes, and knows more than an OpenAI server.
    pub(crate) between: bool,
}

/// A request for the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// Under the provider's base path, with its query: `/messages`.
    pub path: String,
    /// To be set beside `content-type: application/json`.
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Vec<u8>,
    /// Fields that were left out. Safe to be shown in a header; at most 16.
    pub warnings: Vec<Cow<'static, str>>,
    pub asked: Asked,
}

/// What of a request shapes its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub stream: bool,
    /// The stream is to end with its usage.
    pub usage: bool,
    /// What the model thinks is to be told.
    pub thinking: bool,
    /// Embeddings are to come as a list, also if there is only one.
    pub(crate) batch: bool,
    /// Embeddings are to be in base64.
    pub(crate) base64: bool,
    /// Of the texts to be embedded, for an estimate.
    pub(crate) input_bytes: u64,
    /// Tools whose names the provider does not take.
    pub(crate) names: names::Names,
    /// The same of the second pair's request, where there are two.
    pub(crate) provider: Option<Box<Asked>>,
    /// Fields of the request that the answer tells again.
    pub(crate) echo: Rest<'static>,
}

impl Asked {
    /// How many bytes are kept of the request.
    fn kept(&self) -> usize {
        let echo = self.echo.raw().map(|(key, value)| key.as_str().len() + value.as_str().len());
        self.provider.as_ref().map_or(0, |provider| provider.kept()).saturating_add(echo.sum())
    }
}

/// The pairs: the client's operation, and how the provider frames its streams.
macro_rules! pairs {
    ($($pair:ident = $module:ident, $operation:ident, $framing:ident;)*) => {
        /// A client's protocol and a provider's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Pair {
            $($pair,)*
        }

        impl Pair {
            pub const ALL: &[Self] = &[$(Self::$pair,)*];

            /// The name of the pair's module.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$pair => stringify!($module),)*
                }
            }

            pub fn request(self, body: &[u8], context: &Context) -> Result<Translated, Error> {
                match self {
                    $(Self::$pair => $module::request(body, context),)*
                }
            }

            /// The client's answer to a call that went well.
            pub fn response(
                self,
                body: &[u8],
                context: &Context,
                asked: &Asked,
            ) -> Result<Vec<u8>, Error> {
                let read = match self {
                    $(Self::$pair => $module::response(body, context, asked),)*
                };
                read.map_err(failure::not_understood)
            }

            /// What a provider's refusal means. Its words are kept where they are about the
            /// request, so they may name a part of it: for the caller, not for a log.
            pub fn error(self, status: u16, body: &[u8]) -> Error {
                match self {
                    $(Self::$pair => $module::error(status, body),)*
                }
            }

            /// Of the client's side.
            fn operation(self) -> Operation {
                match self {
                    $(Self::$pair => Operation::$operation,)*
                }
            }

            fn framing(self) -> Framing {
                match self {
                    $(Self::$pair => Framing::$framing,)*
                }
            }

            fn stream(self, context: &Context, asked: &Asked) -> Stream {
                match self {
                    $(Self::$pair => Stream::$pair($module::Stream::new(context, asked)),)*
                }
            }
        }

        /// A stream on its way, of any pair.
        enum Stream {
            $($pair($module::Stream),)*
        }

        impl Stream {
            /// The provider's next event; what the client gets for it is appended to `out`. An
            /// error ends the stream.
            fn event(&mut self, name: &[u8], data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
                match self {
                    $(Self::$pair(stream) => stream.event(name, data, out),)*
                }
            }

            /// The provider's stream has ended. Only a stream that came to its end gets the
            /// client's terminal event.
            fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
                match self {
                    $(Self::$pair(stream) => stream.end(out),)*
                }
            }

            /// How many bytes are kept of what was read.
            fn kept(&self) -> usize {
                match self {
                    $(Self::$pair(stream) => stream.kept(),)*
                }
            }
        }
    };
}

pairs! {
    OpenAiToAnthropic = openai_to_anthropic, Chat, EventStream;
    AnthropicToOpenAi = anthropic_to_openai, Messages, EventStream;
    GeminiToOpenAi = gemini_to_openai, GeminiStream, EventStream;
    OpenAiToGemini = openai_to_gemini, Chat, EventStream;
    OpenAiToOllama = openai_to_ollama, Chat, JsonLines;
    OpenAiToCohere = openai_to_cohere, Chat, EventStream;
    OpenAiToBedrock = openai_to_bedrock, Chat, Aws;
    OllamaToOpenAi = ollama_to_openai, OllamaChat, EventStream;
    OllamaGenerateToOpenAi = ollama_generate_to_openai, OllamaGenerate, EventStream;
    ResponsesToOpenAi = responses_to_openai, Responses, EventStream;
    OllamaEmbedToOpenAi = ollama_embed_to_openai, OllamaEmbed, EventStream;
    GeminiEmbedToOpenAi = gemini_embed_to_openai, GeminiEmbed, EventStream;
    EmbeddingsToGemini = embeddings_to_gemini, Embedding, EventStream;
    EmbeddingsToCohere = embeddings_to_cohere, Embedding, EventStream;
    EmbeddingsToBedrock = embeddings_to_bedrock, Embedding, EventStream;
    EmbeddingsToOllama = embeddings_to_ollama, Embedding, EventStream;
}

/// From the client's protocol to the provider's: by one pair, or by two that meet in OpenAI's chat
/// completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    client: Pair,
    provider: Option<Pair>,
}

impl From<Pair> for Route {
    fn from(pair: Pair) -> Self {
        Self { client: pair, provider: None }
    }
}

impl Route {
    /// One or two, the client's first.
    pub fn pairs(self) -> impl Iterator<Item = Pair> {
        [Some(self.client), self.provider].into_iter().flatten()
    }

    /// `client` writes what `provider` reads.
    pub const fn through(client: Pair, provider: Pair) -> Self {
        Self { client, provider: Some(provider) }
    }

    pub fn request(self, body: &[u8], context: &Context) -> Result<Translated, Error> {
        let Some(provider) = self.provider else { return self.client.request(body, context) };
        let first = self.client.request(body, &Context { between: true, ..context.clone() })?;
        let client = self.client.operation();
        let second = provider.request(&first.body, context);
        let mut second = second.map_err(|error| words::told(client, error))?;
        for field in &mut second.warnings {
            *field = words::of_client(client, field).into_owned().into();
        }
        second.warnings.extend(first.warnings);
        second.warnings.truncate(fields::MAX_WARNINGS);
        second.asked = Asked { provider: Some(Box::new(second.asked)), ..first.asked };
        Ok(second)
    }

    fn response(self, body: &[u8], context: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
        match (self.provider, &asked.provider) {
            (Some(provider), Some(between)) => {
                let answer = provider.response(body, context, between)?;
                self.client.response(&answer, context, asked)
            }
            _ => self.client.response(body, context, asked),
        }
    }

    /// What a provider's refusal means.
    pub fn error(self, status: u16, body: &[u8]) -> Error {
        let error = self.provider.unwrap_or(self.client).error(status, body);
        words::overflow(self.client.operation(), error)
    }
}

/// One call at one provider.
#[derive(Clone, Debug)]
pub struct Call {
    route: Route,
    context: Context,
    asked: Asked,
}

impl Call {
    pub fn new(route: impl Into<Route>, context: Context) -> Self {
        Self { route: route.into(), context, asked: Asked::default() }
    }

    pub fn upstream_model(&self) -> &str {
        &self.context.upstream_model
    }

    /// How many bytes are kept of the request.
    pub fn kept(&self) -> usize {
        self.asked.kept()
    }

    /// The request body came whole.
    pub fn request(&mut self, body: &[u8]) -> Result<Translated, Error> {
        let translated = self.route.request(body, &self.context)?;
        self.asked = translated.asked.clone();
        Ok(translated)
    }

    /// The answer's headers came.
    pub fn answer(self, status: u16, content_type: &[u8]) -> Answer {
        Answer::new(self.route, self.context, self.asked, status, content_type)
    }
}

#[cfg(test)]
mod tests;
