//! What the gateway reads of any request body: one pass, borrowed. Whatever passes is one valid
//! JSON object, in which no reader can find another model, stream or message than was found here.

mod field;
mod gemini;
mod reader;
mod source;

use std::borrow::Cow;

use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::edit::{Open, Span, json_string};
pub use crate::protocol::json::MAX_DEPTH;
use crate::protocol::json::{Kind, Scanner};
pub use crate::protocol::mistake::missing;
use crate::protocol::mistake::{invalid_value, not_an_object};
use crate::protocol::model_path::{self, ModelPath};
use crate::protocol::text::is_shown;
use crate::protocol::usage::estimate;
use crate::protocol::{Path, fields, multipart};
use reader::Reader;
pub use source::{BOM, Shape, Source, unsupported};

/// The longest model name, in bytes of its text.
pub const MAX_MODEL_BYTES: usize = 256;

/// What an image counts as, and other media at least: about what providers take for one of common
/// size. They count by pixels, seconds and pages, which nobody here looks at.
pub const PART_TOKENS: u64 = 1000;

/// Of sound, films and documents, whose base64 is far longer than what they count as.
const BYTES_PER_MEDIA_TOKEN: u64 = 256;

/// A batch may repeat the model of its path so often.
pub const MAX_PLACES: usize = 2_048;

/// What a request asks for, as far as a gateway acts on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe<'a> {
    /// Absent where the body names none: the default model's case.
    pub model: Option<Model<'a>>,
    /// Whether the answer is to be a stream; Ollama streams unless told otherwise.
    pub stream: bool,
    pub stream_options: StreamOptions,
    /// The most tokens that one answer may have, if the caller said so.
    pub max_output_tokens: Option<u64>,
    /// How many answers are generated: prompts times `n` or `best_of`.
    pub choices: u64,
    pub needs: Needs,
    pub media: Media,
    /// The answer says no more than that the model will work on it.
    pub background: bool,
    /// Where a new member can be put into the body.
    pub open: Open,
    /// The path, where it names the model. The body may repeat that in `places`.
    pub path: Option<&'a Path<'a>>,
    pub places: Vec<Span>,
}

/// The model that a body names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model<'a> {
    pub name: Cow<'a, str>,
    /// What an edit replaces: in JSON the string with its quotes, in a form the bare value.
    pub span: Span,
    pub(super) form: Form,
}

/// How a model name is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Plain,
    /// The value of a field, percent-encoded.
    Field,
    /// In a path, and in the body as `"models/{model}"`.
    Resource,
}

/// The `stream_options` of OpenAI's chat and text completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOptions {
    Absent,
    Null(Span),
    Object {
        open: Open,
        /// Where its value stands and what it is; `null` is false.
        include_usage: Option<(Span, bool)>,
    },
}

/// What a model must be able to do for this request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub tools: bool,
    pub vision: bool,
    pub reasoning: bool,
}

/// Parts of messages that are no text, which a token estimate by length must leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    pub parts: usize,
    pub bytes: usize,
    /// What they may count as, roughly.
    pub tokens: u64,
}

impl Media {
    fn add(&mut self, image: bool, bytes: usize) {
        let long = u64::try_from(bytes).unwrap_or(u64::MAX) / BYTES_PER_MEDIA_TOKEN;
        let tokens = if image { PART_TOKENS } else { long.max(PART_TOKENS) };
        self.parts = self.parts.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

impl<'a> Probe<'a> {
    pub fn read(body: &'a [u8], operation: Operation) -> Result<Self, Error> {
        let mut scanner = Scanner::new(body);
        let kind = scanner.kind()?;
        if kind != Kind::Object {
            return Err(not_an_object(kind));
        }
        let mut reader = Reader::new(operation);
        let open = scanner.object(|scanner, key| reader.member(scanner, key))?;
        scanner.finish()?;
        reader.require()?;
        Ok(Self {
            model: reader.model,
            stream: reader.stream.unwrap_or(streams_by_default(operation)),
            stream_options: reader.stream_options,
            max_output_tokens: reader.max_output_tokens,
            choices: reader.prompts.max(1).saturating_mul(reader.choices.max(1)),
            needs: reader.needs,
            media: reader.media,
            background: reader.background,
            open,
            path: None,
            places: Vec::new(),
        })
    }

    /// A form's body: of it only the model is read.
    pub fn read_form(body: &'a [u8], boundary: &[u8]) -> Result<Self, Error> {
        Ok(Self::of_form(multipart::model(body, boundary)?, body))
    }

    /// The same of a form whose fields are written one behind the other.
    pub fn read_fields(body: &'a [u8]) -> Result<Self, Error> {
        Ok(Self::of_form(fields::model(body)?, body))
    }

    fn of_form(model: Option<Model<'a>>, body: &[u8]) -> Self {
        Self {
            model,
            stream: false,
            stream_options: StreamOptions::Absent,
            max_output_tokens: None,
            choices: 1,
            needs: Needs::default(),
            media: Media { parts: 1, bytes: body.len(), tokens: 0 },
            background: false,
            open: Open { at: 0, empty: true },
            path: None,
            places: Vec::new(),
        }
    }

    /// The path in which the model is this one; `None` where nothing has to change.
    pub fn path_with(&self, model: &str) -> Option<Vec<u8>> {
        ModelPath::of(self.path?)?.with(model)
    }

    /// Tokens of a request of this length: of its text by its bytes, of what is no text by its kind.
    pub fn estimated_input(&self, length: usize) -> u64 {
        let text = length.saturating_sub(self.media.bytes);
        estimate(u64::try_from(text).unwrap_or(u64::MAX)).saturating_add(self.media.tokens)
    }

    /// Whether the caller itself asked for the usage event that ends a stream.
    pub fn asked_for_usage(&self) -> bool {
        matches!(self.stream_options, StreamOptions::Object { include_usage: Some((_, true)), .. })
    }
}

impl<'a> Model<'a> {
    /// A name that may be looked up, logged and counted, or why not.
    pub(super) fn new(name: Cow<'a, str>, span: Span, form: Form) -> Result<Self, Error> {
        let fault = if name.is_empty() {
            "it must not be empty"
        } else if name.len() > MAX_MODEL_BYTES {
            "it must not be longer than 256 bytes"
        } else if !name.chars().all(is_shown) {
            "it must not contain characters that control or hide text"
        } else {
            return Ok(Self { name, span, form });
        };
        Err(invalid_value("model", fault))
    }

    /// `name` as it must be written in place of this one.
    pub(super) fn encode(&self, name: &str) -> Vec<u8> {
        match self.form {
            Form::Json => json_string(name),
            Form::Plain => name.as_bytes().to_vec(),
            Form::Field => model_path::encoded(name),
            Form::Resource => json_string(&format!("models/{name}")),
        }
    }
}

fn streams_by_default(operation: Operation) -> bool {
    matches!(operation, Operation::OllamaChat | Operation::OllamaGenerate)
}

#[cfg(test)]
mod tests;
