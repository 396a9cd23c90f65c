//! Reads the members of a request, each by what its operation makes of it.

use super::field::Field;
use super::{Form, Media, Model, Needs, StreamOptions};
use crate::error::Error;
use crate::protocol::Operation;
use crate::protocol::json::{Fault, Kind, Scanner, Text};
use crate::protocol::mistake::{invalid_type, invalid_value, missing, missing_at, twice};

/// What was read so far.
pub(super) struct Reader<'a> {
    pub(super) operation: Operation,
    pub(super) seen: u32,
    pub(super) model: Option<Model<'a>>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: StreamOptions,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) prompts: u64,
    pub(super) choices: u64,
    pub(super) needs: Needs,
    pub(super) media: Media,
    pub(super) background: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(operation: Operation) -> Self {
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
            background: false,
        }
    }

    #[inline]
    pub(super) fn member(&mut self, scanner: &mut Scanner<'a>, key: Text<'a>) -> Result<(), Error> {
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
            (Field::Background, Responses) => self.background(scanner),
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

    /// Some servers take other words for true.
    fn background(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        self.background = match scanner.kind()? {
            Kind::Bool => scanner.boolean()?,
            Kind::Null => scanner.null().map(|()| false)?,
            _ => scanner.skip().map(|_| true)?,
        };
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
                // Ollama takes any number, and of two the last one.
                let asked = asked.and_then(|digits| digits.parse::<f64>().ok());
                let asked = asked.filter(|tokens| *tokens > 0.0).map(|tokens| tokens as u64);
                self.max_output_tokens = self.max_output_tokens.max(asked);
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
            let mut is_text = false;
            let start = scanner.position();
            scanner.object(|scanner, key| match (key.raw, scanner.kind()?) {
                (b"type", Kind::String) => {
                    part = Part::of(scanner.text()?.raw);
                    Ok(())
                }
                (b"content" | b"output", Kind::Array) => self.parts(scanner),
                (b"source", Kind::Object) => {
                    is_text = self.source(scanner)?;
                    Ok(())
                }
                _ => self.skip(scanner),
            })?;
            if part != Part::Text && !is_text {
                self.needs.vision |= part == Part::Image;
                self.media.add(part == Part::Image, scanner.position() - start);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Where Anthropic's parts have what they are made of; says whether that is text.
    fn source(&mut self, scanner: &mut Scanner<'a>) -> Result<bool, Error> {
        let mut is_text = false;
        scanner.object(|scanner, key| match (key.raw, scanner.kind()?) {
            (b"type", Kind::String) => {
                is_text = matches!(scanner.text()?.raw, b"text" | b"content");
                Ok(())
            }
            (b"content", Kind::Array) => self.parts(scanner),
            _ => self.skip(scanner),
        })?;
        Ok(is_text)
    }

    /// Ollama's `images`: a list of base64 texts.
    fn images(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Error> {
        let start = scanner.position();
        if scanner.kind()? != Kind::Array {
            return self.skip(scanner);
        }
        let count = scanner.array(|scanner, _| self.skip(scanner))?;
        self.needs.vision |= count > 0;
        (0..count).for_each(|_| self.media.add(true, 0));
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

    pub(super) fn require(&self) -> Result<(), Error> {
        let any = |fields: &[Field]| fields.iter().any(|field| self.seen & field.bit() != 0);
        let required: &[&[Field]] = match self.operation {
            Operation::Chat => &[&[Field::Messages]],
            Operation::Completion => &[&[Field::Prompt]],
            Operation::Embedding => &[&[Field::Input]],
            Operation::Responses => {
                &[&[Field::Input, Field::Prompt, Field::PreviousResponseId, Field::Conversation]]
            }
            Operation::Messages => &[&[Field::Messages], &[Field::MaxTokens]],
            // The rest is read by `gemini`, or not at all.
            Operation::GeminiGenerate
            | Operation::GeminiStream
            | Operation::GeminiEmbed
            | Operation::GeminiBatchEmbed => &[],
            // Ollama answers these by loading the model.
            Operation::OllamaChat | Operation::OllamaGenerate | Operation::OllamaEmbed => &[],
            Operation::Other | Operation::Models => &[],
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
            b"computer_call_output" => Self::Image,
            b"input_audio"
            | b"audio_url"
            | b"video_url"
            | b"file"
            | b"input_file"
            | b"document"
            | b"image_generation_call" => Self::Media,
            _ => Self::Text,
        }
    }
}

pub(super) fn has_items(scanner: &mut Scanner<'_>) -> Result<bool, Fault> {
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
