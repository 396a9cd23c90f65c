//! Ollama's chat, generate and embed.

use serde_json::{Value, json};

use super::{Dice, Fields, NAMES, PNG, schema, some};

pub(super) fn chat(dice: &mut Dice) -> Value {
    let mut fields = Fields::new(json!({"model": "any-model", "messages": messages(dice)}));
    if dice.chance(50) {
        fields.put("tools", some(dice, 3, tool));
    }
    wishes(dice, &mut fields);
    fields.done()
}

pub(super) fn generate(dice: &mut Dice) -> Value {
    let mut fields = Fields::new(json!({"model": "any-model", "prompt": dice.text()}));
    let f = &mut fields;
    f.maybe(dice, 40, "system", &[json!("Be brief."), json!("")]);
    f.maybe(dice, 20, "images", &[json!([PNG])]);
    f.maybe(dice, 5, "suffix", &[json!("x")]);
    f.maybe(dice, 5, "raw", &[json!(true), json!(false)]);
    f.maybe(dice, 5, "context", &[json!([1, 2])]);
    f.maybe(dice, 3, "template", &[json!("{{ .Prompt }}")]);
    wishes(dice, f);
    fields.done()
}

pub(super) fn embed(dice: &mut Dice) -> Value {
    let input = dice.pick(&[json!("Hello"), json!(["a", "Grüße"])]);
    let mut fields = Fields::new(json!({"model": "any-model", "input": input}));
    fields.maybe(dice, 30, "truncate", &[json!(true), json!(false)]);
    fields.maybe(dice, 30, "dimensions", &[json!(256)]);
    fields.maybe(dice, 10, "keep_alive", &[json!("5m"), json!(0)]);
    fields.done()
}

/// What both kinds of chat can wish for.
fn wishes(dice: &mut Dice, f: &mut Fields) {
    let wanted = schema(dice);
    f.maybe(dice, 50, "stream", &[json!(true), json!(false)]);
    f.maybe(dice, 25, "format", &[json!("json"), wanted]);
    f.maybe(dice, 30, "think", &[json!(true), json!(false), json!("high")]);
    f.maybe(dice, 10, "keep_alive", &[json!("5m"), json!(-1)]);
    if dice.chance(50) {
        let mut options = Fields::new(json!({}));
        let o = &mut options;
        o.maybe(dice, 30, "num_predict", &[json!(-1), json!(64)]);
        o.maybe(dice, 30, "temperature", &[json!(0.0), json!(0.7), json!(1.5)]);
        o.maybe(dice, 20, "top_p", &[json!(0.9)]);
        o.maybe(dice, 20, "top_k", &[json!(40)]);
        o.maybe(dice, 20, "seed", &[json!(42)]);
        o.maybe(dice, 20, "stop", &[json!(["END"]), json!(["a", "b"])]);
        o.maybe(dice, 20, "num_ctx", &[json!(4096)]);
        o.maybe(dice, 10, "presence_penalty", &[json!(0.5)]);
        o.maybe(dice, 10, "frequency_penalty", &[json!(1.0)]);
        f.put("options", options.done());
    }
}

fn messages(dice: &mut Dice) -> Vec<Value> {
    let mut all = Vec::new();
    if dice.chance(40) {
        all.push(json!({"role": "system", "content": dice.text()}));
    }
    let turns = 1 + dice.below(4);
    for turn in 0..turns {
        let mut said = Fields::new(json!({"role": "user", "content": dice.text()}));
        said.maybe(dice, 20, "images", &[json!([PNG]), json!(["/9j/4AAQ", PNG])]);
        all.push(said.done());
        if turn + 1 < turns {
            answer(dice, &mut all);
        }
    }
    all
}

fn answer(dice: &mut Dice, all: &mut Vec<Value>) {
    let mut said = Fields::new(json!({"role": "assistant", "content": dice.pick(&["", "Yes."])}));
    said.maybe(dice, 20, "thinking", &[json!("hm")]);
    let calls = if dice.chance(50) { 1 + dice.below(3) } else { 0 };
    if calls > 0 {
        let names = NAMES.iter().take(calls);
        let call = |name| json!({"function": {"name": name, "arguments": {"city": "Rome"}}});
        said.put("tool_calls", names.map(call).collect::<Vec<_>>());
    } else {
        said.put("content", "Yes.");
    }
    all.push(said.done());
    for name in NAMES.iter().take(calls) {
        all.push(json!({"role": "tool", "tool_name": name, "content": dice.text()}));
    }
}

fn tool(dice: &mut Dice, number: usize) -> Value {
    json!({"type": "function", "function": {"name": NAMES[number], "description": "What it does.", "parameters": schema(dice)}})
}
