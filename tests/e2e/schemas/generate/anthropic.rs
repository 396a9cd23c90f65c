//! Anthropic's messages.

use serde_json::{Value, json};

use super::{Dice, Fields, NAMES, PDF, PNG, schema, some};

pub(super) fn request(dice: &mut Dice) -> Value {
    let mut fields = Fields::new(
        json!({"model": "any-model", "max_tokens": dice.pick(&[1, 1024, 8192]), "messages": messages(dice)}),
    );
    let f = &mut fields;
    let wanted = schema(dice);
    if dice.chance(60) {
        let system: Value =
            if dice.chance(50) { dice.text().into() } else { some(dice, 2, text).into() };
        f.put("system", system);
    }
    if dice.chance(60) {
        f.put("tools", some(dice, 3, tool));
        f.maybe(
            dice,
            50,
            "tool_choice",
            &[
                json!({"type": "auto"}),
                json!({"type": "auto", "disable_parallel_tool_use": true}),
                json!({"type": "any"}),
                json!({"type": "any", "disable_parallel_tool_use": false}),
                json!({"type": "tool", "name": NAMES[0]}),
                json!({"type": "none"}),
            ],
        );
    }
    let forced =
        f.0.get("tool_choice").is_some_and(|it| it["type"] == "any" || it["type"] == "tool");
    if !forced && f.0["max_tokens"] == 8192 {
        f.maybe(
            dice,
            60,
            "thinking",
            &[
                json!({"type": "enabled", "budget_tokens": 1024}),
                json!({"type": "enabled", "budget_tokens": 4096}),
                json!({"type": "adaptive"}),
                json!({"type": "adaptive", "display": "omitted"}),
                json!({"type": "disabled"}),
            ],
        );
    }
    f.maybe(
        dice,
        30,
        "output_config",
        &[
            json!({"effort": "low"}),
            json!({"effort": "max"}),
            json!({"format": {"type": "json_schema", "schema": wanted}}),
            json!({"effort": "high", "format": {"type": "json_schema", "schema": wanted}}),
        ],
    );
    f.maybe(dice, 40, "stream", &[json!(true), json!(true), json!(false)]);
    f.maybe(dice, 30, "stop_sequences", &[json!(["END"]), json!([]), json!(["a", "b"])]);
    f.maybe(dice, 30, "temperature", &[json!(0), json!(0.5), json!(1.0)]);
    f.maybe(dice, 20, "top_p", &[json!(0.9), json!(1)]);
    f.maybe(dice, 10, "top_k", &[json!(5)]);
    f.maybe(
        dice,
        20,
        "metadata",
        &[json!({"user_id": "u"}), json!({}), json!({"user_id": "x".repeat(100)})],
    );
    f.maybe(dice, 10, "service_tier", &[json!("auto"), json!("standard_only")]);
    f.maybe(dice, 10, "cache_control", &[json!({"type": "ephemeral"})]);
    fields.done()
}

fn messages(dice: &mut Dice) -> Vec<Value> {
    let mut all = Vec::new();
    let turns = 1 + dice.below(4);
    let mut calls: Vec<Value> = Vec::new();
    for turn in 0..turns {
        let mut blocks: Vec<_> = calls.drain(..).map(|id| result(dice, id)).collect();
        if blocks.is_empty() && dice.chance(50) {
            all.push(json!({"role": "user", "content": dice.text()}));
        } else {
            if blocks.is_empty() || dice.chance(40) {
                blocks.extend(some(dice, 3, block));
            }
            all.push(json!({"role": "user", "content": blocks}));
        }
        if turn + 1 < turns {
            all.push(answer(dice, turn, &mut calls));
        }
    }
    all
}

fn answer(dice: &mut Dice, turn: usize, calls: &mut Vec<Value>) -> Value {
    let mut blocks = Vec::new();
    if dice.chance(30) {
        blocks.push(json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"}));
    }
    if dice.chance(10) {
        blocks.push(json!({"type": "redacted_thinking", "data": "ZGF0YQ=="}));
    }
    let says = dice.chance(70);
    if says {
        if blocks.is_empty() && dice.chance(50) {
            return json!({"role": "assistant", "content": dice.text()});
        }
        blocks.extend(some(dice, 2, text));
    }
    if !says || dice.chance(40) {
        blocks.extend(some(dice, 3, |dice, number| {
            let id: Value = format!("toolu_{turn}{number}").into();
            calls.push(id.clone());
            json!({"type": "tool_use", "id": id, "name": NAMES[number], "input": dice.pick(&[json!({}), json!({"city": "Rome"})])})
        }));
    }
    json!({"role": "assistant", "content": blocks})
}

fn result(dice: &mut Dice, id: Value) -> Value {
    let mut result = Fields::new(json!({"type": "tool_result", "tool_use_id": id}));
    result.maybe(
        dice,
        85,
        "content",
        &[
            json!("21 °C"),
            json!(""),
            json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
            json!([{"type": "text", "text": "a"}, image("image/png")]),
            json!([image("image/jpeg")]),
            json!([]),
        ],
    );
    result.maybe(dice, 20, "is_error", &[json!(true), json!(false)]);
    result.maybe(dice, 10, "cache_control", &[json!({"type": "ephemeral"})]);
    result.done()
}

fn block(dice: &mut Dice, number: usize) -> Value {
    match dice.below(10) {
        0 => {
            json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})
        }
        1 | 2 => image(dice.pick(&["image/png", "image/jpeg", "image/gif", "image/webp"])),
        3 => {
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "A"})
        }
        4 => {
            json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}, "context": "c", "citations": {"enabled": false}})
        }
        5 if dice.chance(20) => {
            json!({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}})
        }
        _ => text(dice, number),
    }
}

fn image(kind: &str) -> Value {
    json!({"type": "image", "source": {"type": "base64", "media_type": kind, "data": PNG}})
}

fn text(dice: &mut Dice, _: usize) -> Value {
    let mut block = Fields::new(json!({"type": "text", "text": dice.text()}));
    block.maybe(
        dice,
        20,
        "cache_control",
        &[json!({"type": "ephemeral"}), json!({"type": "ephemeral", "ttl": "1h"})],
    );
    block.done()
}

fn tool(dice: &mut Dice, number: usize) -> Value {
    if dice.chance(3) {
        return json!({"type": "web_search_20250305", "name": "web_search"});
    }
    let mut tool = Fields::new(json!({"name": NAMES[number], "input_schema": schema(dice)}));
    tool.maybe(dice, 70, "description", &[json!("What it does.")]);
    tool.maybe(dice, 20, "type", &[json!("custom")]);
    tool.maybe(dice, 20, "strict", &[json!(true), json!(false)]);
    tool.maybe(dice, 10, "cache_control", &[json!({"type": "ephemeral"})]);
    tool.done()
}
