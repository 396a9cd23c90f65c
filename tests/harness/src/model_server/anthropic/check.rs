//! What Anthropic's API would refuse of a request is refused.

use serde_json::Value;

use super::messages::missing;
use crate::model_server::{
    call::Fault,
    shape::{MAY, NEED, Shape, What},
};

pub(super) fn request(body: &Value) -> Result<(), Fault> {
    REQUEST.check(body).map_err(|slip| {
        let field = slip.field().replace('[', ".").replace(']', "");
        match slip.what {
            What::Missing(_) => missing(&field),
            What::Unknown(_) => refused(format!("{field}: Extra inputs are not permitted")),
            What::Not(expected) => refused(format!("{field}: Input should be {expected}")),
        }
    })?;
    let messages = body["messages"].as_array().into_iter().flatten();
    let mut called: Vec<&str> = Vec::new();
    for (index, message) in messages.enumerate() {
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let by_user = message["role"] == "user";
        let (mut calls, mut results) = (Vec::new(), Vec::new());
        for (number, block) in blocks.iter().enumerate() {
            let at = format!("messages.{index}.content.{number}");
            self::block(block, by_user, &at)?;
            calls.extend(block["id"].as_str().filter(|_| block["type"] == "tool_use"));
            results.extend(block["tool_use_id"].as_str());
        }
        if let Some(id) = results.iter().find(|id| !called.contains(id)) {
            return Err(refused(format!(
                "messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks: \
                 {id}. Each `tool_result` block must have a corresponding `tool_use` block in the \
                 previous message."
            )));
        }
        unanswered(&called, &results, index)?;
        called = calls;
    }
    unanswered(&called, &[], 0)?;
    tools(body)?;
    thinking(body)
}

fn tools(body: &Value) -> Result<(), Fault> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, tool) in tools.iter().enumerate() {
        let own = tool.get("type").is_none_or(|kind| kind == "custom");
        if own && tool.get("input_schema").is_none() {
            return Err(missing(&format!("tools.{index}.custom.input_schema")));
        }
        if own && tool["input_schema"].get("type").is_none() {
            return Err(missing(&format!("tools.{index}.custom.input_schema.type")));
        }
        if own && tool["input_schema"]["type"] != "object" {
            return Err(refused(format!(
                "tools.{index}.custom.input_schema.type: Input should be 'object'"
            )));
        }
    }
    let choice = &body["tool_choice"];
    let known = |name: &Value| tools.iter().any(|tool| tool["name"] == *name);
    match choice["type"].as_str() {
        Some("any" | "tool") if tools.is_empty() => {
            Err(refused("tool_choice may only be specified while providing tools."))
        }
        Some("tool") if !known(&choice["name"]) => {
            Err(refused(format!("Tool '{}' not found in provided tools", choice["name"])))
        }
        _ => Ok(()),
    }
}

fn unanswered(called: &[&str], results: &[&str], index: usize) -> Result<(), Fault> {
    let open: Vec<&str> = called.iter().filter(|id| !results.contains(id)).copied().collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(refused(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        open.join(", ")
    )))
}

fn block(block: &Value, by_user: bool, at: &str) -> Result<(), Fault> {
    let need = |key: &str| match block.get(key) {
        Some(value) => Ok(value),
        None => Err(missing(&format!("{at}.{key}"))),
    };
    match need("type")?.as_str().unwrap_or_default() {
        "text" if need("text")?.as_str().is_none_or(|text| text.trim().is_empty()) => {
            Err(refused("messages: text content blocks must be non-empty"))
        }
        "text" | "document" | "search_result" | "redacted_thinking" => Ok(()),
        "image" if by_user => SOURCE.check(need("source")?).map_err(|slip| {
            refused(format!("{at}.image.source.{}: Input should be valid", slip.field()))
        }),
        "thinking" if !by_user => need("signature").map(|_| ()),
        "tool_use" if !by_user => {
            need("id")?;
            need("name")?;
            match need("input")?.is_object() {
                true => Ok(()),
                false => Err(refused(format!("{at}.tool_use.input: Input should be an object"))),
            }
        }
        "tool_result" if by_user => need("tool_use_id").map(|_| ()),
        kind => Err(refused(format!("{at}: Input tag '{kind}' is not expected here"))),
    }
}

fn thinking(body: &Value) -> Result<(), Fault> {
    let thinking = &body["thinking"];
    if thinking["type"] == "enabled" {
        let budget = thinking["budget_tokens"].as_u64();
        let budget = budget.ok_or_else(|| missing("thinking.enabled.budget_tokens"))?;
        if budget < 1024 {
            return Err(refused(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            ));
        }
        if body["max_tokens"].as_u64().is_some_and(|limit| limit <= budget) {
            return Err(refused("`max_tokens` must be greater than `thinking.budget_tokens`."));
        }
    }
    let thinks = matches!(thinking["type"].as_str(), Some("enabled" | "adaptive"));
    if thinks && body["temperature"].as_f64().is_some_and(|it| it != 1.0) {
        return Err(refused("`temperature` may only be set to 1 when thinking is enabled."));
    }
    if thinks && matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return Err(refused("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}

fn refused(message: impl Into<String>) -> Fault {
    Fault::new(400, message)
}

static REQUEST: Shape = Shape::Object(&[
    ("model", NEED, Shape::Full),
    ("messages", NEED, Shape::List(1, 100_000, &MESSAGE)),
    ("max_tokens", MAY, Shape::Whole(1, i64::MAX)),
    ("system", MAY, Shape::Either(&[Shape::Text, Shape::List(0, usize::MAX, &SYSTEM)])),
    ("stop_sequences", MAY, Shape::List(0, usize::MAX, &Shape::Full)),
    ("stream", MAY, Shape::Flag),
    ("temperature", MAY, Shape::Number(0.0, 1.0)),
    ("top_k", MAY, Shape::Whole(0, i64::MAX)),
    ("top_p", MAY, Shape::Number(0.0, 1.0)),
    ("tools", MAY, Shape::List(0, usize::MAX, &TOOL)),
    (
        "tool_choice",
        MAY,
        Shape::Object(&[
            ("type", NEED, Shape::Word(&["auto", "any", "tool", "none"])),
            ("name", MAY, Shape::Full),
            ("disable_parallel_tool_use", MAY, Shape::Flag),
        ]),
    ),
    (
        "thinking",
        MAY,
        Shape::Object(&[
            ("type", NEED, Shape::Word(&["enabled", "disabled", "adaptive"])),
            ("budget_tokens", MAY, Shape::Whole(0, i64::MAX)),
            ("display", MAY, Shape::Word(&["summarized", "omitted"])),
        ]),
    ),
    (
        "output_config",
        MAY,
        Shape::Object(&[
            ("effort", MAY, Shape::Word(&["low", "medium", "high", "xhigh", "max"])),
            ("format", MAY, Shape::Ref(&FORMAT)),
        ]),
    ),
    ("output_format", MAY, Shape::Ref(&FORMAT)),
    ("metadata", MAY, Shape::Object(&[("user_id", MAY, Shape::Text)])),
    ("service_tier", MAY, Shape::Word(&["auto", "standard_only"])),
    ("cache_control", MAY, Shape::Ref(&CACHE)),
    ("container", MAY, Shape::Any),
    ("context_management", MAY, Shape::Free),
    ("inference_geo", MAY, Shape::Text),
    ("speed", MAY, Shape::Word(&["standard", "fast"])),
    ("diagnostics", MAY, Shape::Any),
    ("user_profile_id", MAY, Shape::Text),
    ("workspace_id", MAY, Shape::Text),
    ("mcp_servers", MAY, Shape::List(0, 20, &Shape::Free)),
]);

static FORMAT: Shape =
    Shape::Object(&[("type", NEED, Shape::Word(&["json_schema"])), ("schema", NEED, Shape::Free)]);

static CACHE: Shape = Shape::Object(&[
    ("type", NEED, Shape::Word(&["ephemeral"])),
    ("ttl", MAY, Shape::Word(&["5m", "1h"])),
]);

static SYSTEM: Shape = Shape::Object(&[
    ("type", NEED, Shape::Word(&["text"])),
    ("text", NEED, Shape::Full),
    ("cache_control", MAY, Shape::Ref(&CACHE)),
    ("citations", MAY, Shape::Any),
]);

static MESSAGE: Shape = Shape::Object(&[
    // Newer versions take the system's word in the list, too.
    ("role", NEED, Shape::Word(&["user", "assistant", "system"])),
    ("content", NEED, Shape::Either(&[Shape::Full, Shape::List(1, usize::MAX, &Shape::Free)])),
]);

/// Tools of a type of their own run at the provider.
static TOOL: Shape = Shape::Object(&[
    ("name", NEED, Shape::Name(128, "_-")),
    ("type", MAY, Shape::Full),
    ("description", MAY, Shape::Text),
    ("input_schema", MAY, Shape::Free),
    ("cache_control", MAY, Shape::Ref(&CACHE)),
    ("strict", MAY, Shape::Flag),
    ("eager_input_streaming", MAY, Shape::Flag),
    ("defer_loading", MAY, Shape::Flag),
    ("input_examples", MAY, Shape::List(0, usize::MAX, &Shape::Free)),
    ("allowed_callers", MAY, Shape::List(0, usize::MAX, &Shape::Text)),
    ("max_uses", MAY, Shape::Whole(1, i64::MAX)),
]);

static SOURCE: Shape = Shape::Object(&[
    ("type", NEED, Shape::Word(&["base64", "url", "file"])),
    ("media_type", MAY, Shape::Word(&["image/jpeg", "image/png", "image/gif", "image/webp"])),
    ("data", MAY, Shape::Base64),
    ("url", MAY, Shape::Full),
    ("file_id", MAY, Shape::Full),
]);
