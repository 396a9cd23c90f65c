//! Gemini's requests. Their members may be spelled in two ways, as for all of Google's JSON:
//! `generationConfig` and `generation_config`.

use super::{MAX_PLACES, Media, Model, Needs, Probe, StreamOptions};
use crate::error::Error;
use crate::protocol::edit::Span;
use crate::protocol::json::{Kind, Scanner};
use crate::protocol::mistake::{invalid_type, invalid_value, missing, not_an_object, twice};
use crate::protocol::{Operation, Path};

/// Reads a body whose `model` stands in the path.
pub(super) fn read<'a>(
    body: &'a [u8],
    operation: Operation,
    model: Model<'a>,
    path: &'a Path<'static>,
) -> Result<Probe<'a>, Error> {
    let mut scanner = Scanner::new(body);
    let kind = scanner.kind()?;
    if kind != Kind::Object {
        return Err(not_an_object(kind));
    }
    let mut reader = Reader::new(operation, &model.name);
    let open = scanner.object(|scanner, key| {
        let key = key.decode().unwrap_or_default();
        reader.member(scanner, &key)
    })?;
    scanner.finish()?;
    reader.require()?;
    let Reader { max_output_tokens, choices, needs, media, places, .. } = reader;
    Ok(Probe {
        stream: operation == Operation::GeminiStream,
        stream_options: StreamOptions::Absent,
        max_output_tokens,
        choices: choices.max(1),
        needs,
        media,
        background: false,
        open,
        path: Some(path),
        places,
        model: Some(model),
    })
}

struct Reader<'m> {
    operation: Operation,
    model: &'m str,
    seen: Vec<&'static str>,
    max_output_tokens: Option<u64>,
    choices: u64,
    needs: Needs,
    media: Media,
    places: Vec<Span>,
}

impl<'m> Reader<'m> {
    fn new(operation: Operation, model: &'m str) -> Self {
        Self {
            operation,
            model,
            seen: Vec::new(),
            max_output_tokens: None,
            choices: 1,
            needs: Needs::default(),
            media: Media::default(),
            places: Vec::new(),
        }
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Error> {
        match key {
            // Of other calls only the model is read.
            key if self.operation == Operation::Other && !NAMES.contains(&key) => skip(scanner),
            "contents" => {
                self.once("contents")?;
                self.contents(scanner)
            }
            "systemInstruction" | "system_instruction" => {
                self.once("systemInstruction")?;
                self.content(scanner)
            }
            "content" => {
                self.once("content")?;
                self.content(scanner)
            }
            "generationConfig" | "generation_config" => {
                self.once("generationConfig")?;
                self.config(scanner)
            }
            "tools" => {
                self.once("tools")?;
                self.needs.tools |= super::reader::has_items(scanner)?;
                Ok(())
            }
            "requests" => {
                self.once("requests")?;
                self.requests(scanner)
            }
            "generateContentRequest" | "generate_content_request" => {
                self.once("generateContentRequest")?;
                self.nested(scanner, "generateContentRequest.model")
            }
            "model" => {
                self.once("model")?;
                self.name(scanner, || "model".into())
            }
            _ => skip(scanner),
        }
    }

    /// Two spellings of one member are one too many: who reads on may take either.
    fn once(&mut self, field: &'static str) -> Result<(), Error> {
        if self.seen.contains(&field) {
            return Err(twice(field));
        }
        self.seen.push(field);
        Ok(())
    }

    fn require(&self) -> Result<(), Error> {
        let required = match self.operation {
            Operation::GeminiGenerate | Operation::GeminiStream => "contents",
            Operation::GeminiEmbed => "content",
            Operation::GeminiBatchEmbed => "requests",
            _ => return Ok(()),
        };
        if self.seen.contains(&required) { Ok(()) } else { Err(missing(required)) }
    }

    fn contents(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Error> {
        if scanner.kind()? != Kind::Array {
            // A server takes one for a list of one.
            return self.content(scanner);
        }
        let count = scanner.array(|scanner, _| self.content(scanner))?;
        if count == 0 {
            return Err(invalid_value("contents", "it must have at least one turn"));
        }
        Ok(())
    }

    /// One turn: what its parts are beside text.
    fn content(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Error> {
        if scanner.kind()? != Kind::Object {
            return skip(scanner);
        }
        scanner.object(|scanner, key| {
            match (&*key.decode().unwrap_or_default(), scanner.kind()?) {
                ("parts", Kind::Array) => scanner.array(|scanner, _| self.part(scanner)).map(drop),
                ("parts", Kind::Object) => self.part(scanner),
                _ => skip(scanner),
            }
        })?;
        Ok(())
    }

    fn part(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Error> {
        if scanner.kind()? != Kind::Object {
            return skip(scanner);
        }
        let start = scanner.position();
        let mut media = None;
        scanner.object(|scanner, key| {
            match (&*key.decode().unwrap_or_default(), scanner.kind()?) {
                ("inlineData" | "inline_data" | "fileData" | "file_data", Kind::Object) => {
                    media = Some(is_image(scanner)? || media == Some(true));
                    Ok(())
                }
                _ => skip(scanner),
            }
        })?;
        if let Some(image) = media {
            self.needs.vision |= image;
            self.media.add(image, scanner.position() - start);
        }
        Ok(())
    }

    fn config(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Error> {
        match scanner.kind()? {
            Kind::Object => {}
            Kind::Null => return skip(scanner),
            other => return Err(invalid_type("generationConfig", "an object", other)),
        }
        scanner.object(|scanner, key| match &*key.decode().unwrap_or_default() {
            "maxOutputTokens" | "max_output_tokens" => {
                self.once("generationConfig.maxOutputTokens")?;
                self.max_output_tokens = count(scanner, "generationConfig.maxOutputTokens")?;
                Ok(())
            }
            "candidateCount" | "candidate_count" => {
                self.once("generationConfig.candidateCount")?;
                let asked = count(scanner, "generationConfig.candidateCount")?;
                self.choices = asked.unwrap_or(1);
                Ok(())
            }
            "thinkingConfig" | "thinking_config" => {
                self.once("generationConfig.thinkingConfig")?;
                self.needs.reasoning |= wants_thinking(scanner)?;
                Ok(())
            }
            _ => skip(scanner),
        })?;
        Ok(())
    }

    /// The requests of a batch, each of which names the model of the path again.
    fn requests(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Error> {
        let kind = scanner.kind()?;
        if kind != Kind::Array {
            return Err(invalid_type("requests", "an array of objects", kind));
        }
        let count = scanner.array(|scanner, index| {
            if index >= MAX_PLACES {
                let rule = format!("it must not have more than {MAX_PLACES} items");
                return Err(invalid_value("requests", &rule));
            }
            if scanner.kind()? != Kind::Object {
                return skip(scanner);
            }
            let mut named = false;
            scanner.object(|scanner, key| match &*key.decode().unwrap_or_default() {
                "model" => {
                    let at = || format!("requests[{index}].model");
                    if std::mem::replace(&mut named, true) {
                        return Err(twice(at()));
                    }
                    self.name(scanner, at)
                }
                "content" => self.content(scanner),
                _ => skip(scanner),
            })?;
            Ok(())
        })?;
        if count == 0 {
            return Err(invalid_value("requests", "it must not be empty"));
        }
        Ok(())
    }

    /// An object that names the model.
    fn nested(&mut self, scanner: &mut Scanner<'_>, at: &'static str) -> Result<(), Error> {
        if scanner.kind()? != Kind::Object {
            return skip(scanner);
        }
        let mut named = false;
        scanner.object(|scanner, key| match &*key.decode().unwrap_or_default() {
            "model" if std::mem::replace(&mut named, true) => Err(twice(at)),
            "model" => self.name(scanner, || at.into()),
            _ => skip(scanner),
        })?;
        Ok(())
    }

    /// The model, once more. Another than in the path could be asked for past all that is checked.
    fn name(&mut self, scanner: &mut Scanner<'_>, at: impl Fn() -> String) -> Result<(), Error> {
        match scanner.kind()? {
            Kind::String => {}
            Kind::Null => return skip(scanner),
            other => return Err(invalid_type(at(), "a string", other)),
        }
        let text = scanner.text()?;
        let name = text.decode().unwrap_or_default();
        if name.strip_prefix("models/").unwrap_or(&name) != self.model {
            return Err(invalid_value(at(), "it must be the model of the path"));
        }
        self.places.push(text.span);
        Ok(())
    }
}

/// Members that name the model.
const NAMES: [&str; 3] = ["model", "generateContentRequest", "generate_content_request"];

fn skip(scanner: &mut Scanner<'_>) -> Result<(), Error> {
    Ok(scanner.skip().map(drop)?)
}

/// Whether a blob says that it is an image.
fn is_image(scanner: &mut Scanner<'_>) -> Result<bool, Error> {
    let mut image = false;
    scanner.object(|scanner, key| match (&*key.decode().unwrap_or_default(), scanner.kind()?) {
        ("mimeType" | "mime_type", Kind::String) => {
            image = scanner.text()?.raw.starts_with(b"image");
            Ok(())
        }
        _ => skip(scanner),
    })?;
    Ok(image)
}

/// Unless its budget is nothing.
fn wants_thinking(scanner: &mut Scanner<'_>) -> Result<bool, Error> {
    if scanner.kind()? != Kind::Object {
        return skip(scanner).map(|()| false);
    }
    let mut wanted = true;
    scanner.object(|scanner, key| match (&*key.decode().unwrap_or_default(), scanner.kind()?) {
        ("thinkingBudget" | "thinking_budget", Kind::Number) => {
            wanted = scanner.number()? != b"0";
            Ok(())
        }
        _ => skip(scanner),
    })?;
    Ok(wanted)
}

/// A count, which may be written as a string; `null` is none.
fn count(scanner: &mut Scanner<'_>, field: &'static str) -> Result<Option<u64>, Error> {
    let digits = match scanner.kind()? {
        Kind::Null => return Ok(scanner.null().map(|()| None)?),
        Kind::Number => scanner.number()?,
        Kind::String => scanner.text()?.raw,
        other => return Err(invalid_type(field, "an integer", other)),
    };
    let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let rule = "it must be a whole number, zero or more";
    parsed.map(Some).ok_or_else(|| invalid_value(field, rule))
}
