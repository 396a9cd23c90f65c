//! What was said, in a provider's words.

use serde_json::{Value, json};

use super::{Block, End, Said};
use crate::protocol::eventstream::tests::encode;

/// The content type and the body.
pub(super) fn answer(provider: &str, said: &Said, stream: bool) -> (&'static str, Vec<u8>) {
    let json = "application/json";
    let sse = "text/event-stream";
    match (provider, stream) {
        ("anthropic", false) => (json, anthropic(said).to_string().into_bytes()),
        ("anthropic", true) => (sse, events(anthropic_events(said))),
        ("openai", false) => (json, openai(said).to_string().into_bytes()),
        ("openai", true) => (sse, openai_events(said)),
        ("gemini", false) => (json, gemini(said).to_string().into_bytes()),
        ("gemini", true) => (sse, events(gemini_events(said))),
        ("ollama", false) => (json, ollama(said).to_string().into_bytes()),
        ("ollama", true) => ("application/x-ndjson", lines(ollama_lines(said))),
        ("cohere", false) => (json, cohere(said).to_string().into_bytes()),
        ("cohere", true) => (sse, events(cohere_events(said))),
        ("bedrock", false) => (json, bedrock(said).to_string().into_bytes()),
        ("bedrock", true) => ("application/vnd.amazon.eventstream", bedrock_events(said)),
        _ => panic!("no answers of {provider}"),
    }
}

fn events(all: Vec<Value>) -> Vec<u8> {
    all.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes()
}

fn lines(all: Vec<Value>) -> Vec<u8> {
    all.iter().map(|event| format!("{event}\n")).collect::<String>().into_bytes()
}

fn id(number: usize) -> String {
    format!("call_{number}")
}

fn ended(
    said: &Said,
    calls: &'static str,
    [stop, length, filtered]: [&'static str; 3],
) -> &'static str {
    match said.end {
        End::Stop if !said.calls().is_empty() => calls,
        End::Stop => stop,
        End::Length => length,
        End::Filtered => filtered,
    }
}

fn anthropic(said: &Said) -> Value {
    let block = |(number, block): (usize, &Block)| match block {
        Block::Thinking { text, signature } => {
            json!({"type": "thinking", "thinking": text, "signature": signature.clone().unwrap_or_default()})
        }
        Block::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::Call { name, arguments } => {
            json!({"type": "tool_use", "id": id(number), "name": name, "input": arguments})
        }
    };
    let content: Vec<_> = said.blocks.iter().enumerate().map(block).collect();
    let [input, cached, output, _] = said.usage;
    let mut message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": ended(said, "tool_use", ["end_turn", "max_tokens", "refusal"]), "stop_sequence": null,
        "usage": {"input_tokens": input - cached, "cache_read_input_tokens": cached, "output_tokens": output},
    });
    if let (End::Filtered, Some(text)) = (said.end, &said.refusal) {
        message["stop_details"] = json!({"type": "refusal", "category": null, "explanation": text});
    }
    message
}

fn anthropic_events(said: &Said) -> Vec<Value> {
    let mut message = anthropic(said);
    let content = message["content"].take();
    let stop_reason = message["stop_reason"].take();
    let stop_details = message["stop_details"].take();
    let output = message["usage"]["output_tokens"].take();
    message["content"] = json!([]);
    message["usage"]["output_tokens"] = 1.into();
    let mut all =
        vec![json!({"type": "message_start", "message": message}), json!({"type": "ping"})];
    for (index, mut block) in content.as_array().unwrap().iter().cloned().enumerate() {
        let mut deltas = Vec::new();
        let kind = block["type"].as_str().unwrap().to_owned();
        match &*kind {
            "thinking" => {
                for piece in said.cut(block["thinking"].as_str().unwrap()) {
                    deltas.push(json!({"type": "thinking_delta", "thinking": piece}));
                }
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
                block["thinking"] = "".into();
                block["signature"] = "".into();
            }
            "text" => {
                for piece in said.cut(block["text"].as_str().unwrap()) {
                    deltas.push(json!({"type": "text_delta", "text": piece}));
                }
                block["text"] = "".into();
            }
            "tool_use" => {
                deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
                let input = block["input"].to_string();
                // Anthropic tells no arguments by none.
                for piece in said.cut(if input == "{}" { "" } else { &input }) {
                    deltas.push(json!({"type": "input_json_delta", "partial_json": piece}));
                }
                block["input"] = json!({});
            }
            _ => {}
        }
        all.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        all.extend(
            deltas.into_iter().map(
                |delta| json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ),
        );
        all.push(json!({"type": "content_block_stop", "index": index}));
    }
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_details": stop_details, "stop_sequence": null}, "usage": {"output_tokens": output}}));
    all.push(json!({"type": "message_stop"}));
    all
}

fn openai_calls(said: &Said) -> Vec<Value> {
    let call = |(number, (name, arguments)): (usize, (String, Value))| json!({"id": id(number), "type": "function", "function": {"name": name, "arguments": arguments.to_string()}});
    said.calls().into_iter().enumerate().map(call).collect()
}

fn openai_usage(said: &Said) -> Value {
    let [input, cached, output, reasoning] = said.usage;
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    })
}

fn openai(said: &Said) -> Value {
    let calls = openai_calls(said);
    let mut message = json!({"role": "assistant", "content": said.text(), "refusal": said.refusal});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    if !said.thinking().is_empty() {
        message["reasoning_content"] = said.thinking().into();
    }
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": ended(said, "tool_calls", ["stop", "length", "content_filter"])}],
        "usage": openai_usage(said),
    })
}

fn openai_events(said: &Said) -> Vec<u8> {
    let chunk = |choices: Value, usage: Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage});
    let delta = |delta: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null)
    };
    let mut all = vec![delta(json!({"role": "assistant", "content": ""}))];
    all.extend(
        said.cut(&said.thinking()).iter().map(|piece| delta(json!({"reasoning_content": piece}))),
    );
    all.extend(said.cut(&said.text()).iter().map(|piece| delta(json!({"content": piece}))));
    let refusal = said.refusal.iter().flat_map(|text| said.cut(text));
    all.extend(refusal.map(|piece| delta(json!({"refusal": piece}))));
    for (index, mut call) in openai_calls(said).into_iter().enumerate() {
        let arguments = call["function"]["arguments"].take();
        call["function"]["arguments"] = "".into();
        call["index"] = index.into();
        all.push(delta(json!({"tool_calls": [call]})));
        for piece in said.cut(arguments.as_str().unwrap()) {
            all.push(delta(
                json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
            ));
        }
    }
    let end = ended(said, "tool_calls", ["stop", "length", "content_filter"]);
    all.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": end}]), Value::Null));
    all.push(chunk(json!([]), openai_usage(said)));
    let mut body = events(all);
    body.extend(b"data: [DONE]\n\n");
    body
}

fn gemini_part(block: &Block, text: &str) -> Option<Value> {
    Some(match block {
        Block::Thinking { .. } => json!({"text": text, "thought": true}),
        Block::Text(_) => json!({"text": text}),
        Block::Call { name, arguments } => {
            json!({"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "c2ln"})
        }
        Block::Redacted(_) => return None,
    })
}

fn gemini_usage(said: &Said) -> Value {
    let [input, cached, output, reasoning] = said.usage;
    json!({"promptTokenCount": input, "cachedContentTokenCount": cached, "candidatesTokenCount": output - reasoning, "thoughtsTokenCount": reasoning, "totalTokenCount": input + output})
}

fn gemini(said: &Said) -> Value {
    let part = |block: &Block| match block {
        Block::Thinking { text, .. } | Block::Text(text) => gemini_part(block, text),
        other => gemini_part(other, ""),
    };
    let parts: Vec<_> = said.blocks.iter().filter_map(part).collect();
    json!({
        "responseId": "r1", "modelVersion": "m", "usageMetadata": gemini_usage(said),
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": ended(said, "STOP", ["STOP", "MAX_TOKENS", "SAFETY"])}],
    })
}

fn gemini_events(said: &Said) -> Vec<Value> {
    let event = |parts: Value| json!({"responseId": "r1", "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}]});
    let mut all = Vec::new();
    for block in &said.blocks {
        let text = match block {
            Block::Thinking { text, .. } | Block::Text(text) => said.cut(text),
            _ => vec![String::new()],
        };
        all.extend(
            text.iter()
                .filter_map(|piece| gemini_part(block, piece))
                .map(|part| event(json!([part]))),
        );
    }
    let mut last = event(json!([{"text": ""}]));
    last["candidates"][0]["finishReason"] =
        ended(said, "STOP", ["STOP", "MAX_TOKENS", "SAFETY"]).into();
    last["usageMetadata"] = gemini_usage(said);
    all.push(last);
    all
}

fn ollama(said: &Said) -> Value {
    let call = |(name, arguments): (String, Value)| json!({"function": {"name": name, "arguments": arguments}});
    let calls: Vec<_> = said.calls().into_iter().map(call).collect();
    let mut message = json!({"role": "assistant", "content": said.text()});
    if !said.thinking().is_empty() {
        message["thinking"] = said.thinking().into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let [input, _, output, _] = said.usage;
    json!({
        "model": "m", "created_at": "2025-01-01T00:00:00Z", "message": message, "done": true,
        "done_reason": ended(said, "stop", ["stop", "length", "stop"]),
        "prompt_eval_count": input, "eval_count": output,
    })
}

fn ollama_lines(said: &Said) -> Vec<Value> {
    let mut last = ollama(said);
    let line = |message: Value| json!({"model": "m", "message": message, "done": false});
    let mut all = Vec::new();
    for piece in said.cut(&said.thinking()) {
        all.push(line(json!({"role": "assistant", "content": "", "thinking": piece})));
    }
    for piece in said.cut(&said.text()) {
        all.push(line(json!({"role": "assistant", "content": piece})));
    }
    for call in last["message"]["tool_calls"].as_array().into_iter().flatten() {
        all.push(line(json!({"role": "assistant", "content": "", "tool_calls": [call]})));
    }
    last["message"] = json!({"role": "assistant", "content": ""});
    all.push(last);
    all
}

fn cohere_usage(said: &Said) -> Value {
    let [input, cached, output, _] = said.usage;
    json!({"tokens": {"input_tokens": input, "output_tokens": output}, "cached_tokens": cached})
}

/// Whether what was thought is told as a plan.
fn plans(said: &Said) -> bool {
    said.plans && !said.calls().is_empty() && !said.thinking().is_empty()
}

fn cohere(said: &Said) -> Value {
    let mut content = Vec::new();
    if !said.thinking().is_empty() && !plans(said) {
        content.push(json!({"type": "thinking", "thinking": said.thinking()}));
    }
    if !said.text().is_empty() {
        content.push(json!({"type": "text", "text": said.text()}));
    }
    let mut message = json!({"role": "assistant", "content": content});
    if plans(said) {
        message["tool_plan"] = said.thinking().into();
    }
    if !said.calls().is_empty() {
        message["tool_calls"] = openai_calls(said).into();
    }
    json!({
        "id": "c1", "message": message, "usage": cohere_usage(said),
        "finish_reason": ended(said, "TOOL_CALL", ["COMPLETE", "MAX_TOKENS", "STOP_SEQUENCE"]),
    })
}

fn cohere_events(said: &Said) -> Vec<Value> {
    let mut all = vec![
        json!({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}}),
    ];
    for (index, (kind, text)) in
        [("thinking", said.thinking()), ("text", said.text())].into_iter().enumerate()
    {
        let event = |name: &str, content: Value| json!({"type": name, "index": index, "delta": {"message": {"content": content}}});
        if kind == "thinking" && plans(said) {
            let plan = |piece| json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}});
            all.extend(said.cut(&text).iter().map(plan));
        } else if !text.is_empty() {
            all.push(event("content-start", json!({"type": kind, kind: ""})));
            all.extend(
                said.cut(&text).iter().map(|piece| event("content-delta", json!({kind: piece}))),
            );
            all.push(json!({"type": "content-end", "index": index}));
        }
    }
    for (index, mut call) in openai_calls(said).into_iter().enumerate() {
        let arguments = call["function"]["arguments"].take();
        call["function"]["arguments"] = "".into();
        let event = |name: &str, calls: Value| json!({"type": name, "index": index, "delta": {"message": {"tool_calls": calls}}});
        all.push(event("tool-call-start", call));
        for piece in said.cut(arguments.as_str().unwrap()) {
            all.push(event("tool-call-delta", json!({"function": {"arguments": piece}})));
        }
        all.push(json!({"type": "tool-call-end", "index": index}));
    }
    let end = ended(said, "TOOL_CALL", ["COMPLETE", "MAX_TOKENS", "STOP_SEQUENCE"]);
    all.push(json!({"type": "message-end", "delta": {"finish_reason": end, "usage": cohere_usage(said)}}));
    all
}

fn bedrock_usage(said: &Said) -> Value {
    let [input, cached, output, _] = said.usage;
    json!({"inputTokens": input - cached, "cacheReadInputTokens": cached, "outputTokens": output, "totalTokens": input + output})
}

fn bedrock(said: &Said) -> Value {
    let block = |(number, block): (usize, &Block)| match block {
        Block::Thinking { text, signature } => {
            let mut thought = json!({"text": text});
            if let Some(signature) = signature {
                thought["signature"] = signature.as_str().into();
            }
            json!({"reasoningContent": {"reasoningText": thought}})
        }
        Block::Redacted(data) => json!({"reasoningContent": {"redactedContent": data}}),
        Block::Text(text) => json!({"text": text}),
        Block::Call { name, arguments } => {
            json!({"toolUse": {"toolUseId": id(number), "name": name, "input": arguments}})
        }
    };
    let content: Vec<_> = said.blocks.iter().enumerate().map(block).collect();
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": ended(said, "tool_use", ["end_turn", "max_tokens", "content_filtered"]),
        "usage": bedrock_usage(said), "metrics": {"latencyMs": 1},
    })
}

fn bedrock_events(said: &Said) -> Vec<u8> {
    let mut body = Vec::new();
    let mut put = |name: &str, payload: Value| {
        let headers = [
            (":message-type", "event"),
            (":event-type", name),
            (":content-type", "application/json"),
        ];
        body.extend(encode(&headers, payload.to_string().as_bytes()));
    };
    put("messageStart", json!({"role": "assistant"}));
    for (index, block) in said.blocks.iter().enumerate() {
        let mut deltas = Vec::new();
        match block {
            Block::Text(text) => {
                deltas.extend(said.cut(text).iter().map(|piece| json!({"text": piece})))
            }
            Block::Thinking { text, signature } => {
                deltas.extend(
                    said.cut(text).iter().map(|piece| json!({"reasoningContent": {"text": piece}})),
                );
                deltas.extend(
                    signature
                        .iter()
                        .map(|signature| json!({"reasoningContent": {"signature": signature}})),
                );
            }
            Block::Redacted(data) => {
                deltas.push(json!({"reasoningContent": {"redactedContent": data}}))
            }
            Block::Call { name, arguments } => {
                put(
                    "contentBlockStart",
                    json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id(index), "name": name}}}),
                );
                deltas.extend(
                    said.cut(&arguments.to_string())
                        .iter()
                        .map(|piece| json!({"toolUse": {"input": piece}})),
                );
            }
        }
        for delta in deltas {
            put("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}));
        }
        put("contentBlockStop", json!({"contentBlockIndex": index}));
    }
    put(
        "messageStop",
        json!({"stopReason": ended(said, "tool_use", ["end_turn", "max_tokens", "content_filtered"])}),
    );
    put("metadata", json!({"usage": bedrock_usage(said), "metrics": {"latencyMs": 1}}));
    body
}
