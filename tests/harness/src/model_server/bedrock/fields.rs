//! The fields that a request of the Converse API may have.

use crate::model_server::shape::{MAY, NEED, Shape};

pub(super) static REQUEST: Shape = Shape::Object(&[
    ("messages", NEED, Shape::List(1, usize::MAX, &MESSAGE)),
    ("system", MAY, Shape::List(0, usize::MAX, &SYSTEM)),
    (
        "inferenceConfig",
        MAY,
        Shape::Object(&[
            ("maxTokens", MAY, Shape::Whole(1, i32::MAX as i64)),
            ("temperature", MAY, Shape::Number(0.0, 1.0)),
            ("topP", MAY, Shape::Number(0.0, 1.0)),
            ("stopSequences", MAY, Shape::List(0, 2500, &Shape::Full)),
        ]),
    ),
    ("toolConfig", MAY, Shape::Ref(&TOOLS)),
    ("guardrailConfig", MAY, Shape::Free),
    ("additionalModelRequestFields", MAY, Shape::Free),
    ("additionalModelResponseFieldPaths", MAY, Shape::List(0, 10, &Shape::Full)),
    ("requestMetadata", MAY, Shape::Free),
    ("performanceConfig", MAY, Shape::Free),
    ("serviceTier", MAY, Shape::Free),
    (
        "outputConfig",
        MAY,
        Shape::Object(&[("textFormat", MAY, Shape::Ref(&FORMAT)), ("effort", MAY, Shape::Full)]),
    ),
]);

static FORMAT: Shape = Shape::Object(&[
    ("type", NEED, Shape::Word(&["json_schema"])),
    (
        "structure",
        NEED,
        Shape::Union(&[(
            "jsonSchema",
            MAY,
            Shape::Object(&[
                ("schema", NEED, Shape::Full),
                ("name", MAY, Shape::Text),
                ("description", MAY, Shape::Text),
            ]),
        )]),
    ),
]);

static SYSTEM: Shape = Shape::Union(&[
    ("text", MAY, Shape::Full),
    ("guardContent", MAY, Shape::Free),
    ("cachePoint", MAY, Shape::Ref(&CACHE)),
]);

static CACHE: Shape = Shape::Object(&[
    ("type", NEED, Shape::Word(&["default"])),
    ("ttl", MAY, Shape::Word(&["5m", "1h"])),
]);

static MESSAGE: Shape = Shape::Object(&[
    ("role", NEED, Shape::Word(&["user", "assistant"])),
    ("content", NEED, Shape::List(1, usize::MAX, &BLOCK)),
]);

static BLOCK: Shape = Shape::Union(&[
    ("text", MAY, Shape::Text),
    ("image", MAY, Shape::Ref(&IMAGE)),
    ("document", MAY, Shape::Ref(&DOCUMENT)),
    ("video", MAY, Shape::Free),
    (
        "audio",
        MAY,
        Shape::Object(&[
            ("format", NEED, Shape::Word(&["mp3", "opus", "wav", "aac", "flac", "mp4", "ogg"])),
            ("source", NEED, Shape::Ref(&SOURCE)),
        ]),
    ),
    (
        "toolUse",
        MAY,
        Shape::Object(&[
            ("toolUseId", NEED, Shape::Name(64, "_.:-")),
            ("name", NEED, Shape::Name(64, "_-")),
            ("input", NEED, Shape::Free),
        ]),
    ),
    (
        "toolResult",
        MAY,
        Shape::Object(&[
            ("toolUseId", NEED, Shape::Name(64, "_.:-")),
            ("content", NEED, Shape::List(0, usize::MAX, &RESULT)),
            ("status", MAY, Shape::Word(&["success", "error"])),
        ]),
    ),
    ("guardContent", MAY, Shape::Free),
    ("cachePoint", MAY, Shape::Ref(&CACHE)),
    (
        "reasoningContent",
        MAY,
        Shape::Union(&[
            (
                "reasoningText",
                MAY,
                Shape::Object(&[("text", NEED, Shape::Text), ("signature", MAY, Shape::Text)]),
            ),
            ("redactedContent", MAY, Shape::Base64),
        ]),
    ),
]);

static RESULT: Shape = Shape::Union(&[
    ("json", MAY, Shape::Free),
    ("text", MAY, Shape::Text),
    ("image", MAY, Shape::Ref(&IMAGE)),
    ("document", MAY, Shape::Ref(&DOCUMENT)),
    ("video", MAY, Shape::Free),
]);

static IMAGE: Shape = Shape::Object(&[
    ("format", NEED, Shape::Word(&["png", "jpeg", "gif", "webp"])),
    ("source", NEED, Shape::Ref(&SOURCE)),
]);

static DOCUMENT: Shape = Shape::Object(&[
    (
        "format",
        MAY,
        Shape::Word(&["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]),
    ),
    ("name", NEED, Shape::Name(200, " -()[]")),
    ("source", NEED, Shape::Ref(&SOURCE)),
    ("context", MAY, Shape::Text),
    ("citations", MAY, Shape::Free),
]);

static SOURCE: Shape =
    Shape::Union(&[("bytes", MAY, Shape::Base64), ("s3Location", MAY, Shape::Free)]);

static TOOLS: Shape = Shape::Object(&[
    ("tools", NEED, Shape::List(1, usize::MAX, &TOOL)),
    (
        "toolChoice",
        MAY,
        Shape::Union(&[
            ("auto", MAY, Shape::Object(&[])),
            ("any", MAY, Shape::Object(&[])),
            ("tool", MAY, Shape::Object(&[("name", NEED, Shape::Name(64, "_-"))])),
        ]),
    ),
]);

static TOOL: Shape = Shape::Union(&[
    (
        "toolSpec",
        MAY,
        Shape::Object(&[
            ("name", NEED, Shape::Name(64, "_-")),
            ("description", MAY, Shape::Full),
            ("inputSchema", NEED, Shape::Union(&[("json", MAY, Shape::Free)])),
            ("strict", MAY, Shape::Flag),
        ]),
    ),
    ("cachePoint", MAY, Shape::Ref(&CACHE)),
]);
