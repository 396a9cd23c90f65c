//! What the gateway reads of any request body: one pass, borrowed. Whatever passes is one valid
//! JSON object, in which no reader can find another model, stream or message than was found here.

use std::borrow::Cow;

use crate::error::{Error, Kind as ErrorKind};
use crate::protocol::Operation;
use crate::protocol::edit::{Open, Span, json_string};
pub use crate::protocol::scan::MAX_DEPTH;
use crate::protocol::scan::{Fault, Kind, Scanner, Text};

/// The longest model name, in bytes of its text.
pub const MAX_MODEL_BYTES: usize = 256;

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
    /// Where a new member can be put into the body.
    pub open: Open,
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
            open,
        })
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
        } else if name.chars().any(char::is_control) {
            "it must not contain control characters"
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
        }
    }
}

/// The error for a body that lacks a required field.
pub fn missing(field: &'static str) -> Error {
    missing_at(field.into())
}

/// The members of a request that mean something to the gateway. Each may appear once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Model,
    Stream,
    StreamOptions,
    Messages,
    Input,
    Prompt,
    Conversation,
    PreviousResponseId,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    N,
    BestOf,
    Tools,
    Functions,
    Reasoning,
    ReasoningEffort,
    Thinking,
    Think,
    Options,
    Images,
}

impl Field {
    const ALL: [Self; 21] = [
        Self::Model,
        Self::Stream,
        Self::StreamOptions,
        Self::Messages,
        Self::Input,
        Self::Prompt,
        Self::Conversation,
        Self::PreviousResponseId,
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::MaxOutputTokens,
        Self::N,
        Self::BestOf,
        Self::Tools,
        Self::Functions,
        Self::Reasoning,
        Self::ReasoningEffort,
        Self::Thinking,
        Self::Think,
        Self::Options,
        Self::Images,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::StreamOptions => "stream_options",
            Self::Messages => "messages",
            Self::Input => "input",
            Self::Prompt => "prompt",
            Self::Conversation => "conversation",
            Self::PreviousResponseId => "previous_response_id",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::N => "n",
            Self::BestOf => "best_of",
            Self::Tools => "tools",
            Self::Functions => "functions",
            Self::Reasoning => "reasoning",
            Self::ReasoningEffort => "reasoning_effort",
            Self::Thinking => "thinking",
            Self::Think => "think",
            Self::Options => "options",
            Self::Images => "images",
        }
    }

    /// The field that a key names. Some back ends (all that use Go's `encoding/json`, Ollama among
    /// them) match keys without regard to case: a key that only they would take for a field is
    /// refused, or it would say one thing here and another there.
    fn of(key: Text<'_>) -> Result<Option<Self>, Error> {
        if !key.escaped {
            let exact = Self::exact(key.raw);
            if exact.is_some()
                || key.raw.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
            {
                return Ok(exact);
            }
        }
        let Some(text) = key.decode() else { return Ok(None) };
        let exact = Self::exact(text.as_bytes());
        if exact.is_some() {
            return Ok(exact);
        }
        match Self::ALL.into_iter().find(|field| same_to_go(field.name(), &text)) {
            None => Ok(None),
            Some(field) => {
                let name = field.name();
                Err(invalid_value(name, "it must be spelled in lower case"))
            }
        }
    }

    fn exact(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"model" => Self::Model,
            b"stream" => Self::Stream,
            b"stream_options" => Self::StreamOptions,
            b"messages" => Self::Messages,
            b"input" => Self::Input,
            b"prompt" => Self::Prompt,
            b"conversation" => Self::Conversation,
            b"previous_response_id" => Self::PreviousResponseId,
            b"max_tokens" => Self::MaxTokens,
            b"max_completion_tokens" => Self::MaxCompletionTokens,
            b"max_output_tokens" => Self::MaxOutputTokens,
            b"n" => Self::N,
            b"best_of" => Self::BestOf,
            b"tools" => Self::Tools,
            b"functions" => Self::Functions,
            b"reasoning" => Self::Reasoning,
            b"reasoning_effort" => Self::ReasoningEffort,
            b"thinking" => Self::Thinking,
            b"think" => Self::Think,
            b"options" => Self::Options,
            b"images" => Self::Images,
            _ => return None,
        })
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Go folds two letters outside ASCII onto ASCII ones: the long s and the Kelvin sign.
fn same_to_go(name: &str, key: &str) -> bool {
    let fold = |letter: char| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().eq(key.chars().map(fold))
}

/// What was read so far.
struct Reader<'a> {
    operation: Operation,
    seen: u32,
    model: Option<Model<'a>>,
    stream: Option<bool>,
    stream_options: StreamOptions,
    max_output_tokens: Option<u64>,
    prompts: u64,
    choices: u64,
    needs: Needs,
    media: Media,
}

impl<'a> Reader<'a> {
    fn new(operation: Operation) -> Self {
        Self {
            operation,
            seen: 0,
            model: None,
            stream: None,
            stream_options: StreamOptions::Absent,
            max_output_tokens: None,
            prompts: 1,
            choices: 1,
            needs: Needs::default(),
            media: Media::default(),
        }
    }

    #[inline]
    fn member(&mut self, scanner: &mut Scanner<'a>, key: Text<'a>) -> Result<(), Error> {
        match Field::of(key)? {
            Some(field) => self.field(scanner, field),
            None => Ok(scanner.skip().map(drop)?),
        }
    }

    fn field(&mut self, scanner: &mut Scanner<'a>, field: Field) -> Result<(), Error> {
        use Operation::{
            Chat, Completion, Embedding, Messages, OllamaChat, OllamaGenerate, Other, Responses,
        };

        if self.seen & field.bit() != 0 {
            return Err(twice(field.name()));
        }
        self.seen |= field.bit();
        match (field, self.operation) {
            (Field::Model, _) => self.model(scanner),
            (_, Other) => self.skip(scanner),
            (Field::Stream, _) => self.stream(scanner),
            (Field::StreamOptions, Chat | Completion) => self.stream_options(scanner),
            (Field::Messages, Chat | Messages | OllamaChat) => self.messages(scanner),
            (Field::Input, Responses) => self.input(scanner),
            (Field::Input, Embedding) => self.texts(scanner, "input").map(drop),
            (Field::Prompt, Completion) => {
                self.prompts = self.texts(scanner, "prompt")?;
                Ok(())
            }
            (Field::MaxTokens, Chat | Completion | Messages) => self.max_tokens(scanner, field),
            (Field::MaxCompletionTokens, Chat) => self.max_tokens(scanner, field),
            (Field::MaxOutputTokens, Responses) => self.max_tokens(scanner, field),
            (Field::Options, OllamaChat | OllamaGenerate) => self.options(scanner),
            (Field::N | Field::BestOf, Chat | Completion) => {
                let count = integer(scanner, field.name())?;
                self.choices = self.choices.max(count.unwrap_or(1));
                Ok(())
            }
            (Field::Tools | Field::Functions, _) => {
                self.needs.tools |= has_items(scanner)?;
                Ok(())
            }
            (Field::Reasoning | Field::ReasoningEffort | Field::Thinking | Field::Think, _) => {
                self.needs.reasoning |= wants_reasoning(scanner)?;
                Ok(())
            }
            (Field::Images, OllamaGenerate) => self.images(scanner),
            _ => self.skip(scanner),
        }
    }

    fn skip(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        Ok(scanner.skip().map(drop)?)
    }

    fn model(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        match scanner.kind()? {
            Kind::String => {
                let text = scanner.text()?;
                let name = text
                    .decode()
                    .ok_or_else(|| invalid_value("model", "it must be valid Unicode text"))?;
                self.model = Some(Model::new(name, text.span, Form::Json)?);
                Ok(())
            }
            other => Err(invalid_type("model", "a string", other)),
        }
    }

    fn stream(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        match scanner.kind()? {
            Kind::Bool => self.stream = Some(scanner.boolean()?),
            Kind::Null => scanner.null()?,
            other => return Err(invalid_type("stream", "a boolean", other)),
        }
        Ok(())
    }

    fn stream_options(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        self.stream_options = match scanner.kind()? {
            Kind::Null => StreamOptions::Null(scanner.skip()?),
            Kind::Object => {
                let mut include_usage = None;
                let open = scanner.object(|scanner, key| {
                    if key.decode().as_deref() != Some("include_usage") {
                        return Ok(scanner.skip().map(drop)?);
                    }
                    if include_usage.is_some() {
                        return Err(twice("stream_options.include_usage"));
                    }
                    let kind = scanner.kind()?;
                    let span = scanner.skip()?;
                    let asked = kind == Kind::Bool && span.len() == b"true".len();
                    include_usage = match kind {
                        Kind::Bool | Kind::Null => Some((span, asked)),
                        _ => {
                            let field = "stream_options.include_usage";
                            return Err(invalid_type(field, "a boolean", kind));
                        }
                    };
                    Ok(())
                })?;
                StreamOptions::Object { open, include_usage }
            }
            other => return Err(invalid_type("stream_options", "an object", other)),
        };
        Ok(())
    }

    fn max_tokens(&mut self, scanner: &mut Scanner<'a>, field: Field) -> Result<(), Error> {
        let asked = integer(scanner, field.name())?;
        self.max_output_tokens = self.max_output_tokens.max(asked);
        Ok(())
    }

    /// Ollama's `options`, whose `num_predict` is unlimited where negative.
    fn options(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        match scanner.kind()? {
            Kind::Object => {}
            Kind::Null => return self.skip(scanner),
            other => return Err(invalid_type("options", "an object", other)),
        }
        scanner.object(|scanner, key| {
            if scanner.kind()? == Kind::Number && key.decode().as_deref() == Some("num_predict") {
                let asked = std::str::from_utf8(scanner.number()?).ok();
                self.max_output_tokens = asked.and_then(|digits| digits.parse().ok());
                Ok(())
            } else {
                self.skip(scanner)
            }
        })?;
        Ok(())
    }

    fn messages(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        let kind = scanner.kind()?;
        if kind != Kind::Array {
            return Err(invalid_type("messages", "an array of objects", kind));
        }
        let count = scanner.array(|scanner, index| self.message(scanner, index))?;
        // An empty list makes Ollama load the model, and is a mistake everywhere else.
        if count == 0 && self.operation != Operation::OllamaChat {
            return Err(invalid_value("messages", "it must have at least one message"));
        }
        Ok(())
    }

    fn message(&mut self, scanner: &mut Scanner<'a>, index: usize) -> Result<(), Error> {
        let at = |field: &str| format!("messages[{index}]{field}");
        let kind = scanner.kind()?;
        if kind != Kind::Object {
            return Err(invalid_type(at(""), "an object", kind));
        }
        let mut role = false;
        scanner.object(|scanner, key| match key.raw {
            b"role" => {
                role = true;
                match scanner.kind()? {
                    Kind::String => self.skip(scanner),
                    other => Err(invalid_type(at(".role"), "a string", other)),
                }
            }
            b"content" => match scanner.kind()? {
                Kind::Array => self.parts(scanner),
                Kind::String | Kind::Null => self.skip(scanner),
                other => Err(invalid_type(at(".content"), "a string or an array", other)),
            },
            b"images" if self.operation == Operation::OllamaChat => self.images(scanner),
            _ => self.skip(scanner),
        })?;
        if role { Ok(()) } else { Err(missing_at(at(".role").into())) }
    }

    /// The `input` of the responses API: a text, or items of which messages have content.
    fn input(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        match scanner.kind()? {
            Kind::String => self.skip(scanner),
            Kind::Array => self.parts(scanner),
            other => Err(invalid_type("input", "a string or an array", other)),
        }
    }

    /// Content parts, and in them the content of tool results.
    fn parts(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        scanner.array(|scanner, _| {
            if scanner.kind()? != Kind::Object {
                return self.skip(scanner);
            }
            let mut part = Part::Text;
            let start = scanner.position();
            scanner.object(|scanner, key| match (key.raw, scanner.kind()?) {
                (b"type", Kind::String) => {
                    part = Part::of(scanner.text()?.raw);
                    Ok(())
                }
                (b"content" | b"output", Kind::Array) => self.parts(scanner),
                _ => self.skip(scanner),
            })?;
            if part != Part::Text {
                self.needs.vision |= part == Part::Image;
                self.media.parts += 1;
                self.media.bytes += scanner.position() - start;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Ollama's `images`: a list of base64 texts.
    fn images(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        let start = scanner.position();
        if scanner.kind()? != Kind::Array {
            return self.skip(scanner);
        }
        let count = scanner.array(|scanner, _| self.skip(scanner))?;
        self.needs.vision |= count > 0;
        self.media.parts += count;
        self.media.bytes += scanner.position() - start;
        Ok(())
    }

    /// One text or several, or the same as token numbers; says how many.
    fn texts(&mut self, scanner: &mut Scanner<'a>, field: &'static str) -> Result<u64, Error> {
        match scanner.kind()? {
            Kind::String => self.skip(scanner).map(|()| 1),
            Kind::Array => {
                let mut tokens = false;
                let count = scanner.array(|scanner, _| {
                    tokens |= scanner.kind()? == Kind::Number;
                    self.skip(scanner)
                })?;
                match count {
                    0 => Err(invalid_value(field, "it must not be empty")),
                    _ if tokens => Ok(1),
                    _ => Ok(u64::try_from(count).unwrap_or(u64::MAX)),
                }
            }
            other => Err(invalid_type(field, "a string or an array", other)),
        }
    }

    fn require(&self) -> Result<(), Error> {
        let any = |fields: &[Field]| fields.iter().any(|field| self.seen & field.bit() != 0);
        let required: &[&[Field]] = match self.operation {
            Operation::Chat => &[&[Field::Messages]],
            Operation::Completion => &[&[Field::Prompt]],
            Operation::Embedding => &[&[Field::Input]],
            Operation::Responses => {
                &[&[Field::Input, Field::Prompt, Field::PreviousResponseId, Field::Conversation]]
            }
            Operation::Messages => &[&[Field::Messages], &[Field::MaxTokens]],
            // Ollama answers these by loading the model.
            Operation::OllamaChat | Operation::OllamaGenerate | Operation::OllamaEmbed => &[],
            Operation::Other => &[],
        };
        match required.iter().find(|fields| !any(fields)).and_then(|fields| fields.first()) {
            None => Ok(()),
            Some(field) => Err(missing(field.name())),
        }
    }
}

/// A part of a message, by its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    Image,
    Media,
}

impl Part {
    fn of(kind: &[u8]) -> Self {
        match kind {
            b"image_url" | b"input_image" | b"image" => Self::Image,
            b"input_audio" | b"audio_url" | b"video_url" | b"file" | b"input_file"
            | b"document" => Self::Media,
            _ => Self::Text,
        }
    }
}

fn streams_by_default(operation: Operation) -> bool {
    matches!(operation, Operation::OllamaChat | Operation::OllamaGenerate)
}

fn has_items(scanner: &mut Scanner<'_>) -> Result<bool, Fault> {
    if scanner.kind()? == Kind::Array {
        Ok(scanner.array(|scanner, _| scanner.skip().map(drop))? > 0)
    } else {
        scanner.skip().map(|_| false)
    }
}

/// Reads `true`, an effort other than "none", or an object that does not say so in its `type` or
/// `effort`.
fn wants_reasoning(scanner: &mut Scanner<'_>) -> Result<bool, Fault> {
    match scanner.kind()? {
        Kind::Bool => scanner.boolean(),
        Kind::String => Ok(!matches!(scanner.text()?.raw, b"none" | b"disabled")),
        Kind::Object => {
            let mut wanted = true;
            scanner.object(|scanner, key| match (key.raw, scanner.kind()?) {
                (b"type" | b"effort", Kind::String) => {
                    wanted &= !matches!(scanner.text()?.raw, b"none" | b"disabled");
                    Ok(())
                }
                _ => scanner.skip().map(drop),
            })?;
            Ok(wanted)
        }
        _ => scanner.skip().map(|_| false),
    }
}

/// A count; `null` is none.
fn integer(scanner: &mut Scanner<'_>, field: &'static str) -> Result<Option<u64>, Error> {
    match scanner.kind()? {
        Kind::Null => Ok(scanner.null().map(|()| None)?),
        Kind::Number => {
            let digits = std::str::from_utf8(scanner.number()?).unwrap_or_default();
            match digits.parse() {
                Ok(count) => Ok(Some(count)),
                Err(_) => Err(invalid_value(field, "it must be a whole number, zero or more")),
            }
        }
        other => Err(invalid_type(field, "an integer", other)),
    }
}

fn not_an_object(kind: Kind) -> Error {
    let message = format!(
        "We could not parse the JSON body of your request: it must be an object, but is {}.",
        kind.words()
    );
    Error::new(ErrorKind::InvalidRequest, message).code("invalid_json")
}

fn missing_at(field: Cow<'static, str>) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("Missing required parameter: '{field}'."))
        .param(field)
        .code("missing_field")
}

fn invalid_type(field: impl Into<Cow<'static, str>>, expected: &str, kind: Kind) -> Error {
    let field = field.into();
    let got = kind.words();
    Error::new(
        ErrorKind::InvalidRequest,
        format!("Invalid type for '{field}': expected {expected}, but got {got} instead."),
    )
    .param(field)
    .code("invalid_type")
}

fn invalid_value(field: &'static str, rule: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("Invalid value for '{field}': {rule}."))
        .param(field)
        .code("invalid_value")
}

pub(super) fn twice(field: &'static str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("Duplicate parameter: '{field}'."))
        .param(field)
        .code("duplicate_field")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]"#;

    fn chat(more: &str) -> String {
        format!("{CHAT}{more}}}")
    }

    /// Code and param of the refusal.
    fn refusal(body: &str, operation: Operation) -> (&'static str, Option<String>) {
        let error = Probe::read(body.as_bytes(), operation).unwrap_err();
        assert_eq!(error.status(), 400);
        (error.code.unwrap(), error.param.map(Cow::into_owned))
    }

    #[test]
    fn a_plain_chat_asks_for_one_answer_and_no_stream() {
        let body = chat("");
        let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
        let model = probe.model.clone().unwrap();
        assert_eq!(model.name, "m");
        assert_eq!(&body.as_bytes()[model.span.start..model.span.end], b"\"m\"");
        assert!(!probe.stream && !probe.asked_for_usage());
        assert_eq!((probe.max_output_tokens, probe.choices), (None, 1));
        assert_eq!((probe.needs, probe.media), (Needs::default(), Media::default()));
        assert_eq!(probe.open, Open { at: 1, empty: false });
    }

    #[test]
    fn what_is_needed_is_read_for_each_operation() {
        use Operation::{Chat, Completion, Messages, OllamaChat, OllamaGenerate, Responses};
        let with = |body: &str, operation| {
            let probe = Probe::read(body.as_bytes(), operation).unwrap();
            (probe.stream, probe.max_output_tokens, probe.choices, probe.needs, probe.media.parts)
        };
        let none = Needs::default();
        let tools = Needs { tools: true, ..none };
        let vision = Needs { vision: true, ..none };
        let reasoning = Needs { reasoning: true, ..none };
        #[rustfmt::skip]
        let cases = [
            (chat(r#","stream":true,"max_tokens":5,"max_completion_tokens":7,"n":3"#), Chat, (true, Some(7), 3, none, 0)),
            (chat(r#","stream":null,"max_tokens":null,"n":null,"tools":[],"reasoning_effort":"none""#), Chat, (false, None, 1, none, 0)),
            (chat(r#","tools":[{"type":"function"}]"#), Chat, (false, None, 1, tools, 0)),
            (chat(r#","reasoning_effort":"low""#), Chat, (false, None, 1, reasoning, 0)),
            (r#"{"messages":[{"role":"user","content":[{"image_url":{"url":"data:"},"type":"image_url"},{"type":"text","text":""},{"type":"file"}]}]}"#.into(), Chat, (false, None, 1, vision, 2)),
            (r#"{"prompt":["a","b"],"best_of":4,"n":2,"max_tokens":9}"#.into(), Completion, (false, Some(9), 8, none, 0)),
            (r#"{"prompt":[1,2,3]}"#.into(), Completion, (false, None, 1, none, 0)),
            (r#"{"prompt":[[1],[2]]}"#.into(), Completion, (false, None, 2, none, 0)),
            (r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image"}]}]}],"max_tokens":1,"thinking":{"type":"disabled"}}"#.into(), Messages, (false, Some(1), 1, vision, 1)),
            (r#"{"messages":[{"role":"user","content":""}],"max_tokens":1,"thinking":{"type":"enabled","budget_tokens":9}}"#.into(), Messages, (false, Some(1), 1, reasoning, 0)),
            (r#"{"input":[{"role":"user","content":[{"type":"input_image"}]}],"max_output_tokens":3}"#.into(), Responses, (false, Some(3), 1, vision, 1)),
            (r#"{"input":"x","reasoning":{"effort":"high"}}"#.into(), Responses, (false, None, 1, reasoning, 0)),
            (r#"{"input":"x","max_tokens":3}"#.into(), Responses, (false, None, 1, none, 0)),
            (r#"{"messages":[],"options":{"num_predict":11}}"#.into(), OllamaChat, (true, Some(11), 1, none, 0)),
            (r#"{"stream":false,"options":{"num_predict":-1},"think":true}"#.into(), OllamaChat, (false, None, 1, reasoning, 0)),
            (r#"{"prompt":"x","images":["aGk="]}"#.into(), OllamaGenerate, (true, None, 1, vision, 1)),
        ];
        for (body, operation, expected) in cases {
            assert_eq!(with(&body, operation), expected, "{body}");
        }
    }

    #[test]
    fn media_counts_its_own_bytes_only() {
        let part = r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#;
        let body = format!(r#"{{"messages":[{{"role":"user","content":["text", {part}]}}]}}"#);
        let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
        assert_eq!(probe.media, Media { parts: 1, bytes: part.len() });
    }

    #[test]
    fn each_mistake_is_named_with_its_param() {
        use Operation::{Chat, Completion, Embedding, Messages, Other, Responses};
        let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(257));
        #[rustfmt::skip]
        let cases = [
            ("", Chat, "invalid_json", None),
            ("[]", Chat, "invalid_json", None),
            ("\"x\"", Other, "invalid_json", None),
            ("{}x", Other, "invalid_json", None),
            ("{\"a\":NaN}", Other, "invalid_json", None),
            ("{}", Chat, "missing_field", Some("messages")),
            ("{}", Completion, "missing_field", Some("prompt")),
            ("{}", Embedding, "missing_field", Some("input")),
            ("{}", Responses, "missing_field", Some("input")),
            ("{}", Messages, "missing_field", Some("messages")),
            (r#"{"messages":[{"role":"user"}]}"#, Messages, "missing_field", Some("max_tokens")),
            (r#"{"messages":"x"}"#, Chat, "invalid_type", Some("messages")),
            (r#"{"messages":null}"#, Chat, "invalid_type", Some("messages")),
            (r#"{"messages":[]}"#, Chat, "invalid_value", Some("messages")),
            (r#"{"messages":[{"role":"user"},1]}"#, Chat, "invalid_type", Some("messages[1]")),
            (r#"{"messages":[{"role":"user"},{}]}"#, Chat, "missing_field", Some("messages[1].role")),
            (r#"{"messages":[{"role":1}]}"#, Chat, "invalid_type", Some("messages[0].role")),
            (r#"{"messages":[{"role":"user","content":1}]}"#, Chat, "invalid_type", Some("messages[0].content")),
            (r#"{"model":1}"#, Chat, "invalid_type", Some("model")),
            (r#"{"model":null}"#, Other, "invalid_type", Some("model")),
            (r#"{"model":""}"#, Other, "invalid_value", Some("model")),
            (r#"{"model":"a\u0000"}"#, Other, "invalid_value", Some("model")),
            (r#"{"model":"a\r\nx-evil: 1"}"#, Other, "invalid_value", Some("model")),
            (r#"{"model":"\ud800"}"#, Other, "invalid_value", Some("model")),
            (&long, Other, "invalid_value", Some("model")),
            (r#"{"stream":"true"}"#, Chat, "invalid_type", Some("stream")),
            (r#"{"stream_options":true}"#, Chat, "invalid_type", Some("stream_options")),
            (r#"{"stream_options":{"include_usage":1}}"#, Chat, "invalid_type", Some("stream_options.include_usage")),
            (r#"{"max_tokens":-1}"#, Chat, "invalid_value", Some("max_tokens")),
            (r#"{"max_tokens":1.5}"#, Chat, "invalid_value", Some("max_tokens")),
            (r#"{"max_tokens":99999999999999999999}"#, Chat, "invalid_value", Some("max_tokens")),
            (r#"{"n":"2"}"#, Chat, "invalid_type", Some("n")),
            (r#"{"prompt":[]}"#, Completion, "invalid_value", Some("prompt")),
            (r#"{"input":{}}"#, Embedding, "invalid_type", Some("input")),
        ];
        for (body, operation, code, param) in cases {
            assert_eq!(refusal(body, operation), (code, param.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn a_second_model_is_refused_however_it_is_spelled() {
        for key in ["model", r"mod\u0065l", r"\u006d\u006F\u0064\u0065\u006c"] {
            let body = chat(&format!(r#","{key}":"other""#));
            assert_eq!(refusal(&body, Operation::Chat), ("duplicate_field", Some("model".into())));
        }
        // What Go's reader takes for the same key.
        for (key, field) in [
            ("Model", "model"),
            ("MODEL", "model"),
            (r"\u004dodel", "model"),
            ("ſtream", "stream"),
            ("max_toKens", "max_tokens"),
        ] {
            let body = chat(&format!(r#","{key}":"other""#));
            assert_eq!(
                refusal(&body, Operation::Chat),
                ("invalid_value", Some(field.into())),
                "{key}"
            );
        }
        for field in Field::ALL {
            let body = format!(r#"{{"{0}":"a","{0}":"a"}}"#, field.name());
            assert_eq!(
                refusal(&body, Operation::Other),
                ("duplicate_field", Some(field.name().into()))
            );
            assert_eq!(Field::exact(field.name().as_bytes()), Some(field));
        }
    }

    #[test]
    fn an_escaped_key_is_the_same_key() {
        let body = r#"{"mod\u0065l":"a\u002fb","m\u0065ssages":[{"role":"user"}],"\ud800":1}"#;
        let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
        assert_eq!(probe.model.unwrap().name, "a/b");
    }

    #[test]
    fn unknown_members_of_any_shape_pass() {
        let body = chat(r#","x":{"model":1,"messages":[]},"X-Y":[[{}]],"é":"\ud800""#);
        assert_eq!(Probe::read(body.as_bytes(), Operation::Chat).unwrap().model.unwrap().name, "m");
    }

    #[test]
    fn a_body_cut_at_any_byte_is_refused_as_json() {
        let body = chat(
            r#","stream":true,"stream_options":{"include_usage":true},"max_tokens":12,"tools":[{"a":"é"}]"#,
        );
        assert!(Probe::read(body.as_bytes(), Operation::Chat).unwrap().asked_for_usage());
        for cut in 0..body.len() {
            let error = Probe::read(&body.as_bytes()[..cut], Operation::Chat).unwrap_err();
            assert_eq!(error.code, Some("invalid_json"), "{cut}");
        }
    }

    #[test]
    fn errors_never_repeat_the_prompt() {
        for more in [r#","secret":"sesame"x"#, r#","stream":"sesame""#, r#","n":"sesame""#] {
            let error = Probe::read(chat(more).as_bytes(), Operation::Chat).unwrap_err();
            assert!(!error.message.contains("sesame"), "{}", error.message);
        }
    }

    fn any_operation() -> impl Strategy<Value = Operation> {
        prop::sample::select(Operation::ALL.to_vec())
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,8}|type|content", inner, 0..4)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_panic(operation in any_operation(), body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Probe::read(&body, operation);
            let _ = Probe::read(&[b"{\"messages\":[{\"content\":".as_slice(), &body].concat(), operation);
        }

        #[test]
        fn the_probe_sees_what_serde_json_sees(
            model in "[^\\p{Cc}]{1,40}",
            stream in any::<Option<bool>>(),
            usage in any::<Option<bool>>(),
            max in any::<Option<u64>>(),
            content in any_value(),
            extra in prop::collection::btree_map("x_[a-z\"\\\\é]{0,8}", any_value(), 0..4),
            pretty in any::<bool>(),
        ) {
            prop_assume!(model.len() <= MAX_MODEL_BYTES);
            prop_assume!(content.is_string() || content.is_array() || content.is_null());
            let mut value = json!({
                "model": model, "stream": stream, "max_tokens": max,
                "messages": [{"role": "user", "content": content}],
                "stream_options": usage.map(|usage| json!({"include_usage": usage})),
            });
            for (key, extra) in extra {
                value[key] = extra;
            }
            let body = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            let probe = Probe::read(body.as_bytes(), Operation::Chat).unwrap();
            let found = probe.model.as_ref().unwrap();
            prop_assert_eq!(&found.name, &model);
            let span = &body.as_bytes()[found.span.start..found.span.end];
            prop_assert_eq!(serde_json::from_slice::<String>(span).unwrap(), model);
            prop_assert_eq!(probe.stream, stream.unwrap_or(false));
            prop_assert_eq!(probe.asked_for_usage(), usage.unwrap_or(false));
            prop_assert_eq!(probe.max_output_tokens, max);
        }

        /// Whatever passes parses, and to the same model.
        #[test]
        fn mangled_bodies_pass_only_if_they_parse(at in 0usize..120, byte in any::<u8>(), operation in any_operation()) {
            let mut body = chat(r#","stream":true,"max_tokens":12,"input":"a","prompt":["é"]"#).into_bytes();
            if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
            if let Ok(probe) = Probe::read(&body, operation) {
                let value: Value = serde_json::from_slice(&body).unwrap();
                prop_assert_eq!(probe.model.as_ref().map(|model| &*model.name), value.get("model").and_then(Value::as_str));
            }
        }
    }
}
