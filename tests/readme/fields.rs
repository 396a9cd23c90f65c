//! No declared field is lost without a word. Proven by what translations do: of requests by chance,
//! some must come out otherwise, warn or be refused where the field is taken out or says something
//! else.

use std::collections::{BTreeSet, HashSet};

use llm_gateway::attempt::way::Way;
use llm_gateway::config::Api;
use llm_gateway::protocol::Operation;
use llm_gateway::translate::{Context, Pair, Route};
use serde_json::{Value, json};

use crate::described::{Declared, fields};
use crate::generate;

/// A declared field is not among the unknown ones that a translation reports as left out: one that
/// no translation looks at would be lost without a word.
#[test]
fn every_declared_field_is_dealt_with_by_every_translation() {
    let mut lost = BTreeSet::new();
    let mut needed = BTreeSet::new();
    let mut checked = 0;
    for route in routes() {
        let client = client(route);
        let (_, files, kind) = *REQUESTS.iter().find(|(name, ..)| *name == client).unwrap();
        let requests = Requests::new(client, fields(files, kind));
        checked += requests.fields.len();
        let name = name(route);
        for field in requests.without_effect(route) {
            let is_it = |(pairs, fields, _): &&(&[&str], &[&str], _)| {
                pairs.iter().any(|pair| name.contains(pair)) && fields.contains(&&*field)
            };
            match LOSES_NOTHING.iter().find(is_it) {
                Some(_) => needed.insert(field),
                None => lost.insert(format!("{name}: {field}")),
            };
        }
    }
    assert!(lost.is_empty(), "without any effect: {lost:#?}");
    assert!(checked > 800, "{checked} fields");
    // What is on the list is found here too, so a field that is lost would be.
    let told = LOSES_NOTHING.iter().flat_map(|(_, fields, _)| fields.iter().copied());
    assert_eq!(told.collect::<BTreeSet<_>>(), needed.iter().map(String::as_str).collect());
}

/// The client's protocol, its files, and the type of its request.
const REQUESTS: [(&str, &[&str], &str); 9] = [
    ("openai", &["src/protocol/openai/chat.rs"], "ChatCompletionRequest"),
    ("embeddings", &["src/protocol/openai/embeddings.rs"], "EmbeddingRequest"),
    ("responses", &["src/protocol/openai/responses.rs"], "ResponsesRequest"),
    (
        "anthropic",
        &["src/protocol/anthropic/request.rs", "src/protocol/anthropic/mod.rs"],
        "MessagesRequest",
    ),
    ("gemini", &["src/protocol/gemini.rs"], "GenerateContentRequest"),
    ("gemini_embed", &["src/protocol/gemini.rs"], "EmbedContentRequest"),
    ("ollama", OLLAMA, "ChatRequest"),
    ("ollama_generate", OLLAMA, "GenerateRequest"),
    ("ollama_embed", OLLAMA, "EmbedRequest"),
];

/// Ends or parts of the names of routes, the fields that make no difference there, and why nothing
/// is lost. The rest of the documentation of each pair says it too.
const LOSES_NOTHING: &[(&[&str], &[&str], &str)] = &[
    (
        &["_to_"],
        &[
            "ChatCompletionRequest.model",
            "ChatRequest.model",
            "EmbedContentRequest.model",
            "EmbedRequest.model",
            "EmbeddingRequest.model",
            "GenerateRequest.model",
            "MessagesRequest.model",
            "ResponsesRequest.model",
        ],
        "the provider has a name of its own",
    ),
    (
        &["_to_openai", "_to_cohere", "_to_gemini", "_to_ollama"],
        &[
            "DocumentBlock.cache_control",
            "FilePart.cache_control",
            "CustomTool.cache_control",
            "FunctionTool.cache_control",
            "ImageBlock.cache_control",
            "ImagePart.cache_control",
            "Message.cache_control",
            "TextBlock.cache_control",
            "TextPart.cache_control",
            "Tool.cache_control",
            "ToolResult.cache_control",
            "ToolUse.cache_control",
        ],
        "these cache by themselves",
    ),
    (
        &["_to_"],
        &["OutputText.annotations", "OutputText.logprobs", "FunctionCall.status"],
        "about an answer, not part of what was said",
    ),
    (
        &["responses_to_"],
        &[
            "CustomToolCall.id",
            "CustomToolCall.status",
            "FunctionCall.id",
            "ReasoningItem.content",
            "ReasoningItem.id",
            "ReasoningItem.status",
            "ReasoningItem.summary",
        ],
        "thinking of earlier turns, and names that OpenAI gave",
    ),
    (
        &["_to_openai", "_to_cohere", "_to_gemini", "_to_ollama"],
        &[
            "Message.thinking",
            "Message.thinking_blocks",
            "Part.thought_signature",
            "RedactedThinking.data",
            "Thinking.signature",
            "Thinking.thinking",
        ],
        "thinking of earlier turns, signed for another",
    ),
    (
        &["openai_to_anthropic", "openai_to_bedrock", "openai_to_gemini"],
        &["Message.reasoning_content", "Message.thinking", "Part.thought_signature"],
        "thinking of earlier turns without a signature for it",
    ),
    (
        &["_to_"],
        &["Adaptive.display", "Budget.display"],
        "only Anthropic hides what a model thinks; others tell little of it anyway",
    ),
    (&["_to_cohere", "_to_ollama"], &["Budget.budget_tokens"], "that the model thinks is said"),
    (&["_to_"], &["ToolResult.is_error"], "the result says so in words"),
    (
        &["_to_"],
        &["JsonSchema.name", "JsonSchema.description", "JsonSchema.strict"],
        "the schema itself has the rules; these providers keep every schema strictly",
    ),
    (&["_to_ollama"], &["DataSource.media_type"], "Ollama looks at the image"),
    (&["_to_gemini"], &["File.filename", "FilePart.filename"], "a name, not what the file says"),
    (
        &["gemini_embed_to_"],
        &["Content.role", "Part.thought", "Part.thought_signature"],
        "only the text is embedded",
    ),
];

const OLLAMA: &[&str] = &["src/protocol/ollama.rs", "src/protocol/openai/chat.rs"];

/// Requests by chance, and where the fields stand in them.
struct Requests {
    fields: Vec<Declared>,
    all: Vec<Value>,
    /// By field, what it said somewhere.
    said: Vec<Vec<Value>>,
}

impl Requests {
    fn new(client: &str, fields: Vec<Declared>) -> Self {
        let by_chance = (0..SEEDS).map(|seed| generate::request(client, seed).unwrap());
        let all: Vec<_> = rare(client).into_iter().chain(by_chance).collect();
        let said = |field: &Declared| {
            let mut said: Vec<Value> = Vec::new();
            for request in &all {
                for place in field.places(request) {
                    let value = request.pointer(&place).unwrap();
                    if said.len() < 4 && !said.contains(value) {
                        said.push(value.clone());
                    }
                }
            }
            said
        };
        let said = fields.iter().map(said).collect();
        Self { fields, all, said }
    }

    /// The fields that make no difference wherever they stand.
    fn without_effect(&self, route: Route) -> Vec<String> {
        let open = self.fields.iter().zip(&self.said);
        let mut open: Vec<_> =
            open.map(|(field, said)| (field, said, Refused::default())).collect();
        let models = models(route);
        for (seed, request) in self.all.iter().enumerate() {
            let context = context(models[seed % models.len()]);
            let outcome = outcome(route, request, &context);
            let differs = |other: Value| self::outcome(route, &other, &context) != outcome;
            open.retain_mut(|(field, said, refused)| {
                for place in field.places(request) {
                    if refused.tries == TRIES {
                        break;
                    }
                    refused.tries += 1;
                    if others(field, &place, said, request).into_iter().any(differs) {
                        return false;
                    }
                    if outcome.starts_with("Ok") {
                        refused.passed = true;
                    } else if !refused.seen {
                        refused.seen = differs(without(request, &place));
                    }
                }
                true
            });
        }
        let lost = open.into_iter().filter(|(.., refused)| !refused.seen || refused.passed);
        lost.map(|(field, ..)| field.name.clone()).collect()
    }
}

/// Whether what a field stands in is refused, whatever the field says.
#[derive(Default)]
struct Refused {
    /// Without what it stands in, the refusal is another one or none.
    seen: bool,
    passed: bool,
    /// Where it was tried without any difference.
    tries: u32,
}

/// The request without the field, and with other values of it.
fn others(field: &Declared, place: &str, said: &[Value], request: &Value) -> Vec<Value> {
    let mut values = said.to_vec();
    match request.pointer(place) {
        Some(Value::String(text)) if field.text => values.push(format!("{text}A").into()),
        _ => {}
    }
    // Absent and null are one.
    values.extend((!field.required).then_some(Value::Null));
    let other = |value: Value| {
        let mut other = request.clone();
        *other.pointer_mut(place).unwrap() = value;
        other
    };
    values.into_iter().map(other).filter(|other| other != request).collect()
}

/// The request without the item of a list, or the member, that the place is in.
fn without(request: &Value, place: &str) -> Value {
    let steps: Vec<_> = place.split('/').collect();
    let is_item = |step: &&str| step.bytes().all(|b| b.is_ascii_digit());
    let end = steps.iter().skip(1).rposition(is_item).map_or(1, |at| at + 1);
    let mut other = request.clone();
    let parent = other.pointer_mut(&steps[..end].join("/")).unwrap();
    match (parent, steps[end].parse::<usize>()) {
        (Value::Array(items), Ok(index)) => drop(items.remove(index)),
        (Value::Object(members), _) => drop(members.remove(steps[end])),
        _ => {}
    }
    other
}

fn outcome(route: Route, request: &Value, context: &Context) -> String {
    format!("{:?}", route.request(request.to_string().as_bytes(), context))
}

fn context(upstream_model: &str) -> Context {
    let mut context = Context::default();
    context.upstream_model = upstream_model.into();
    context.default_max_tokens = 4096;
    context
}

fn models(route: Route) -> &'static [&'static str] {
    let last = route.pairs().last().unwrap().name();
    generate::models(last.rsplit("_to_").next().unwrap(), client(route).contains("embed"))
}

fn name(route: Route) -> String {
    route.pairs().map(Pair::name).collect::<Vec<_>>().join(".")
}

fn client(route: Route) -> &'static str {
    route.pairs().next().unwrap().name().split("_to_").next().unwrap()
}

/// All pairs, and all ways from a client to a provider.
fn routes() -> Vec<Route> {
    let calls = |api: Api| {
        Operation::ALL.iter().filter_map(move |operation| match Way::of(*operation, api) {
            Way::Translated(route) => Some(route),
            _ => None,
        })
    };
    let ways = Api::NAMES.into_iter().flat_map(|(_, api)| calls(api));
    let mut seen = HashSet::new();
    let all = Pair::ALL.iter().map(|pair| Route::from(*pair)).chain(ways);
    all.filter(|route| seen.insert(*route)).collect()
}

/// Of each client's protocol.
const SEEDS: u64 = 400;

/// What requests by chance do not say.
fn rare(client: &str) -> Vec<Value> {
    let turn = |content: Value| json!([{"role": "user", "content": content}]);
    let cached = json!({"type": "ephemeral"});
    let hello = || turn("x".into());
    let png = "data:image/png;base64,AAAA";
    let custom = json!({"type": "custom", "custom": {"name": "p", "description": "d", "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a"}}}, "cache_control": cached});
    let grammar = json!({"type": "custom", "name": "p", "description": "d", "format": {"type": "grammar", "syntax": "regex", "definition": "a"}});
    let space = json!({"type": "namespace", "name": "s", "tools": [{"type": "function", "name": "f", "parameters": null, "strict": null}]});
    match client {
        "openai" => vec![
            json!({"messages": hello(), "audio": {"voice": "alloy"}}),
            json!({"messages": hello(), "top_logprobs": 2}),
            json!({"messages": turn(json!([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}]))}),
            json!({"messages": turn(json!([{"type": "image_url", "image_url": {"url": png, "detail": "low"}}]))}),
            json!({"messages": hello(), "tools": [{"type": "function", "function": {"name": "g"}}, {"type": "function", "function": {"name": "h"}}], "tool_choice": {"type": "function", "function": {"name": "g"}}}),
            json!({"messages": turn(json!([{"type": "image_url", "image_url": {"url": png}, "cache_control": cached}]))}),
            json!({"messages": turn(json!([{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}, "cache_control": cached}]))}),
            json!({"messages": hello(), "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]}}}),
            json!({"messages": hello(), "tools": [custom.clone(), {"type": "custom", "custom": {"name": "q"}}], "tool_choice": {"type": "custom", "custom": {"name": "p"}}}),
            json!({"messages": hello(), "tools": [custom.clone(), {"type": "custom", "custom": {"name": "q"}}], "tool_choice": {"type": "custom", "custom": {"name": "q"}}}),
            json!({"tools": [custom], "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "tool_calls": [{"type": "custom", "id": "c1", "custom": {"name": "p", "input": "x"}}, {"type": "custom", "id": "c2", "custom": {"name": "q", "input": "y"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "x"},
                {"role": "tool", "tool_call_id": "c2", "content": "x"},
            ]}),
        ],
        "responses" => vec![
            json!({"input": "x", "conversation": "conv_1"}),
            json!({"input": "x", "prompt": {"id": "pmpt_1"}}),
            json!({"input": "x", "text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": {"type": "object"}}}}),
            json!({"input": turn(json!([{"type": "input_file", "file_id": "file-1"}]))}),
            json!({"input": turn(json!([{"type": "input_image", "file_id": "file-1"}]))}),
            json!({"input": [{"type": "reasoning", "id": "rs_1", "status": "completed", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}, {"role": "user", "content": "x"}]}),
            json!({"input": "x", "tools": [{"type": "function", "name": "f", "parameters": null, "strict": null}, {"type": "function", "name": "g", "parameters": null, "strict": null}], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]}}),
            json!({"input": "x", "tools": [space.clone(), grammar.clone()], "tool_choice": {"type": "function", "namespace": "s", "name": "f"}}),
            json!({"input": "x", "tools": [space.clone(), {"type": "namespace", "name": "t", "tools": [{"type": "function", "name": "g", "parameters": null, "strict": null}]}, grammar.clone()], "tool_choice": {"type": "custom", "name": "p"}}),
            json!({"tools": [space, grammar], "input": [
                {"type": "function_call", "call_id": "a", "namespace": "s", "name": "f", "arguments": "{}"},
                {"type": "custom_tool_call", "id": "ctc_1", "call_id": "b", "namespace": "s", "name": "p", "input": "x", "status": "completed"},
                {"type": "function_call_output", "call_id": "a", "output": "1"},
                {"type": "custom_tool_call_output", "call_id": "b", "output": "2"},
            ]}),
        ],
        "anthropic" => vec![
            json!({"max_tokens": 9000, "messages": hello(), "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}}),
            json!({"max_tokens": 9000, "messages": turn(json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}, "cache_control": cached}]))}),
            json!({"max_tokens": 9000, "messages": turn(json!([{"type": "document", "title": "t", "context": "c", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "cache_control": cached}]))}),
            json!({"max_tokens": 9000, "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}, "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}, "cache_control": cached}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]},
            ]}),
        ],
        "gemini" => vec![
            json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "properties": {}}}}),
        ],
        "gemini_embed" => {
            let part =
                |part: Value| json!({"content": {"role": "user", "parts": [{"text": "x"}, part]}});
            vec![
                json!({"content": {"parts": [{"text": "x"}]}, "embedContentConfig": {"taskType": "CLUSTERING", "outputDimensionality": 8}}),
                part(json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}})),
                part(
                    json!({"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}}),
                ),
                part(json!({"functionCall": {"id": "1", "name": "f", "args": {}}})),
                part(json!({"functionResponse": {"id": "1", "name": "f", "response": {}}})),
                part(json!({"text": "y", "thought": true, "thoughtSignature": "c2ln"})),
            ]
        }
        "ollama" => vec![
            json!({"messages": hello(), "logprobs": true}),
            json!({"messages": hello(), "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": cached}]}),
            json!({"messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}, {"id": "b", "function": {"name": "f", "arguments": {}}}]},
                {"role": "tool", "tool_call_id": "b", "tool_name": "f", "content": "1"},
                {"role": "tool", "tool_call_id": "a", "tool_name": "f", "content": "2"},
            ]}),
        ],
        "ollama_generate" => vec![json!({"prompt": "x", "logprobs": true})],
        "ollama_embed" => vec![json!({"input": "x", "options": {"num_ctx": 4096}})],
        _ => Vec::new(),
    }
}

/// Whoever makes no difference so often never does.
const TRIES: u32 = 24;
