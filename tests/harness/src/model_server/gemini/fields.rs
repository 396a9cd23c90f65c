//! The fields that a request may have.

use crate::model_server::shape::{MAY, NEED, Shape};

pub(super) static REQUEST: Shape = Shape::Object(&[
    ("contents", MAY, Shape::List(0, usize::MAX, &CONTENT)),
    ("systemInstruction", MAY, Shape::Ref(&SYSTEM)),
    ("tools", MAY, Shape::List(0, 128, &TOOL)),
    (
        "toolConfig",
        MAY,
        Shape::Object(&[
            (
                "functionCallingConfig",
                MAY,
                Shape::Object(&[
                    ("mode", MAY, Shape::Word(&["AUTO", "ANY", "NONE", "VALIDATED"])),
                    ("allowedFunctionNames", MAY, Shape::List(0, 128, &Shape::Full)),
                ]),
            ),
            ("retrievalConfig", MAY, Shape::Free),
        ]),
    ),
    ("generationConfig", MAY, Shape::Ref(&CONFIG)),
    ("safetySettings", MAY, Shape::List(0, 16, &SAFETY)),
    ("cachedContent", MAY, Shape::Full),
    ("labels", MAY, Shape::Free),
    // Of the same request within another.
    ("model", MAY, Shape::Full),
]);

static SAFETY: Shape =
    Shape::Object(&[("category", NEED, Shape::Full), ("threshold", NEED, Shape::Full)]);

static SYSTEM: Shape = Shape::Object(&[
    ("role", MAY, Shape::Text),
    ("parts", NEED, Shape::List(1, usize::MAX, &Shape::Object(&[("text", NEED, Shape::Text)]))),
]);

pub(super) static CONTENT: Shape = Shape::Object(&[
    ("role", MAY, Shape::Word(&["user", "model", "function"])),
    ("parts", MAY, Shape::List(0, usize::MAX, &PART)),
]);

static PART: Shape = Shape::Object(&[
    ("text", MAY, Shape::Text),
    ("thought", MAY, Shape::Flag),
    ("thoughtSignature", MAY, Shape::Full),
    (
        "inlineData",
        MAY,
        Shape::Object(&[
            ("mimeType", NEED, Shape::Full),
            ("data", NEED, Shape::Base64),
            ("displayName", MAY, Shape::Text),
        ]),
    ),
    (
        "fileData",
        MAY,
        Shape::Object(&[("mimeType", MAY, Shape::Full), ("fileUri", NEED, Shape::Full)]),
    ),
    (
        "functionCall",
        MAY,
        Shape::Object(&[
            ("id", MAY, Shape::Full),
            ("name", NEED, Shape::Full),
            ("args", MAY, Shape::Free),
        ]),
    ),
    (
        "functionResponse",
        MAY,
        Shape::Object(&[
            ("id", MAY, Shape::Full),
            ("name", NEED, Shape::Full),
            ("response", NEED, Shape::Free),
        ]),
    ),
    ("executableCode", MAY, Shape::Free),
    ("codeExecutionResult", MAY, Shape::Free),
    ("videoMetadata", MAY, Shape::Free),
    ("mediaResolution", MAY, Shape::Free),
]);

static TOOL: Shape = Shape::Object(&[
    (
        "functionDeclarations",
        MAY,
        Shape::List(
            1,
            512,
            &Shape::Object(&[
                ("name", NEED, Shape::Name(64, "_.:-")),
                ("description", MAY, Shape::Text),
                ("behavior", MAY, Shape::Word(&["BLOCKING", "NON_BLOCKING"])),
                ("parameters", MAY, Shape::Ref(&SCHEMA)),
                ("parametersJsonSchema", MAY, Shape::Free),
                ("response", MAY, Shape::Ref(&SCHEMA)),
                ("responseJsonSchema", MAY, Shape::Free),
            ]),
        ),
    ),
    ("googleSearch", MAY, Shape::Free),
    ("codeExecution", MAY, Shape::Free),
    ("urlContext", MAY, Shape::Free),
]);

/// Google's own kind of schema, a part of OpenAPI's.
static SCHEMA: Shape = Shape::Object(&[
    (
        "type",
        NEED,
        Shape::Word(&[
            "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "string",
            "number", "integer", "boolean", "array", "object", "null",
        ]),
    ),
    ("format", MAY, Shape::Text),
    ("title", MAY, Shape::Text),
    ("description", MAY, Shape::Text),
    ("nullable", MAY, Shape::Flag),
    ("enum", MAY, Shape::List(0, usize::MAX, &Shape::Text)),
    ("maxItems", MAY, Shape::Any),
    ("minItems", MAY, Shape::Any),
    ("properties", MAY, Shape::Free),
    ("required", MAY, Shape::List(0, usize::MAX, &Shape::Text)),
    ("propertyOrdering", MAY, Shape::List(0, usize::MAX, &Shape::Text)),
    ("minLength", MAY, Shape::Any),
    ("maxLength", MAY, Shape::Any),
    ("pattern", MAY, Shape::Text),
    ("example", MAY, Shape::Any),
    ("anyOf", MAY, Shape::List(1, usize::MAX, &Shape::Ref(&SCHEMA))),
    ("default", MAY, Shape::Any),
    ("items", MAY, Shape::Ref(&SCHEMA)),
    ("minimum", MAY, Shape::Number(f64::MIN, f64::MAX)),
    ("maximum", MAY, Shape::Number(f64::MIN, f64::MAX)),
]);

static CONFIG: Shape = Shape::Object(&[
    ("temperature", MAY, Shape::Number(0.0, 2.0)),
    ("topP", MAY, Shape::Number(0.0, 1.0)),
    ("topK", MAY, Shape::Number(1.0, 1e6)),
    ("candidateCount", MAY, Shape::Whole(1, 8)),
    ("maxOutputTokens", MAY, Shape::Whole(1, i64::MAX)),
    ("stopSequences", MAY, Shape::List(0, 5, &Shape::Text)),
    ("presencePenalty", MAY, Shape::Number(-2.0, 2.0)),
    ("frequencyPenalty", MAY, Shape::Number(-2.0, 2.0)),
    ("seed", MAY, Shape::Whole(i32::MIN as i64, i32::MAX as i64)),
    ("responseLogprobs", MAY, Shape::Flag),
    ("logprobs", MAY, Shape::Whole(0, 20)),
    ("responseMimeType", MAY, Shape::Word(&["text/plain", "application/json", "text/x.enum"])),
    ("responseSchema", MAY, Shape::Ref(&SCHEMA)),
    ("responseJsonSchema", MAY, Shape::Free),
    ("responseModalities", MAY, Shape::List(0, 3, &Shape::Text)),
    ("mediaResolution", MAY, Shape::Text),
    (
        "thinkingConfig",
        MAY,
        Shape::Object(&[
            ("includeThoughts", MAY, Shape::Flag),
            ("thinkingBudget", MAY, Shape::Whole(-1, 32_768)),
            ("thinkingLevel", MAY, Shape::Word(&["MINIMAL", "LOW", "MEDIUM", "HIGH"])),
        ]),
    ),
]);
