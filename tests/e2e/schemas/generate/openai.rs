//! OpenAI's chat completions.

use serde_json::{Value, json};

use super::{Dice, Fields, NAMES, PDF, PNG, schema, some};

pub(super) fn request(dice: &mut Dice) -> Value {
    let mut fields = Fields::new(json!({"model": "any-model", "messages": messages(dice)}));
    let f = &mut fields;
    let wanted = schema(dice);
    if dice.chance(50) {
        f.put("tools", some(dice, 3, tool));
        let names: Vec<_> = NAMES[..1].to_vec();
        f.maybe(dice, 50, "tool_choice", &[
            json!("auto"),
            json!("none"),
            json!("required"),
            json!({"type": "function", "function": {"name": names[0]}}),
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": names[0]}}]}}),
        ]);
        f.maybe(dice, 30, "parallel_tool_calls", &[json!(true), json!(false)]);
    } else if dice.chance(10) {
        f.put(
            "functions",
            some(dice, 2, |dice, number| {
                let mut function = function(dice, number)["function"].take();
                function.as_object_mut().map(|members| members.remove("strict"));
                function
            }),
        );
        f.maybe(
            dice,
            50,
            "function_call",
            &[json!("auto"), json!("none"), json!({"name": NAMES[0]})],
        );
    }
    if dice.chance(50) {
        f.put("stream", dice.chance(80));
        if f.0["stream"] == true {
            f.maybe(
                dice,
                40,
                "stream_options",
                &[json!({"include_usage": true}), json!({}), json!({"include_usage": false})],
            );
        }
    }
    f.maybe(dice, 30, "max_tokens", &[json!(1), json!(64), json!(5000), Value::Null]);
    f.maybe(dice, 40, "max_completion_tokens", &[json!(1), json!(2000), json!(100_000)]);
    f.maybe(dice, 8, "n", &[json!(1), json!(2)]);
    f.maybe(
        dice,
        30,
        "stop",
        &[json!("END"), json!(["a", "\n"]), json!(["1", "2", "3", "4"]), Value::Null],
    );
    f.maybe(
        dice,
        30,
        "temperature",
        &[json!(0), json!(0.7), json!(1), json!(1.5), json!(2), Value::Null],
    );
    f.maybe(dice, 30, "top_p", &[json!(0), json!(0.9), json!(1)]);
    f.maybe(dice, 10, "presence_penalty", &[json!(-2), json!(0), json!(0.5), json!(2)]);
    f.maybe(dice, 10, "frequency_penalty", &[json!(-1.5), json!(0), json!(0.5)]);
    f.maybe(dice, 10, "seed", &[json!(7), json!(-3)]);
    f.maybe(dice, 5, "logit_bias", &[json!({}), json!({"50256": -100})]);
    f.maybe(dice, 5, "logprobs", &[json!(false), json!(true)]);
    f.maybe(dice, 25, "response_format", &[
        json!({"type": "text"}),
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}),
        json!({"type": "json_schema", "json_schema": {"name": "strict", "description": "d", "strict": true, "schema": wanted}}),
    ]);
    f.maybe(
        dice,
        30,
        "reasoning_effort",
        &["none", "minimal", "low", "medium", "high", "xhigh"].map(Value::from),
    );
    f.maybe(dice, 10, "modalities", &[json!(["text"]), json!(["text"]), json!(["text", "audio"])]);
    f.maybe(dice, 10, "user", &[json!("user-1")]);
    f.maybe(dice, 10, "safety_identifier", &[json!("hash")]);
    f.maybe(dice, 10, "metadata", &[json!({"k": "v"}), Value::Null]);
    f.maybe(dice, 10, "store", &[json!(true), json!(false)]);
    f.maybe(dice, 10, "service_tier", &[json!("auto"), json!("flex")]);
    f.maybe(dice, 10, "verbosity", &[json!("low")]);
    f.maybe(dice, 5, "prompt_cache_key", &[json!("k")]);
    f.maybe(dice, 5, "prediction", &[json!({"type": "content", "content": "x"})]);
    f.maybe(dice, 3, "web_search_options", &[json!({})]);
    // What is not OpenAI's own.
    f.maybe(dice, 10, "top_k", &[json!(1), json!(40)]);
    f.maybe(dice, 10, "thinking", &[json!({"type": "disabled"})]);
    fields.done()
}

fn messages(dice: &mut Dice) -> Vec<Value> {
    let mut all = Vec::new();
    if dice.chance(60) {
        let role = dice.pick(&["system", "developer"]);
        all.push(message(role, texts(dice)));
    }
    let turns = 1 + dice.below(4);
    for turn in 0..turns {
        if turn > 0 || dice.chance(90) {
            all.push(user(dice));
        }
        if turn + 1 < turns {
            answer(dice, turn, &mut all);
        }
        if dice.chance(10) {
            all.push(message("system", texts(dice)));
        }
    }
    // The model's move comes after a user or the results of tools.
    if all.iter().all(|message| message["role"] != "user") {
        all.push(user(dice));
    }
    all
}

fn user(dice: &mut Dice) -> Value {
    let content: Value =
        if dice.chance(50) { dice.text().into() } else { some(dice, 3, part).into() };
    let mut fields = Fields::new(message("user", content));
    fields.maybe(dice, 10, "name", &[json!("ann")]);
    fields.maybe(dice, 10, "cache_control", &[json!({"type": "ephemeral"})]);
    fields.done()
}

/// What the model said, and the results of what it called.
fn answer(dice: &mut Dice, turn: usize, all: &mut Vec<Value>) {
    let mut said = Fields::new(json!({"role": "assistant"}));
    if dice.chance(15) {
        said.put(
            "thinking_blocks",
            json!([
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            ]),
        );
        said.put("reasoning_content", "hm");
    }
    if dice.chance(8) {
        said.put("content", Value::Null);
        said.put("function_call", json!({"name": NAMES[0], "arguments": "{\"city\":\"Rome\"}"}));
        all.push(said.done());
        all.push(json!({"role": "function", "name": NAMES[0], "content": dice.text()}));
        return;
    }
    if dice.chance(45) {
        let calls = some(dice, 3, |dice, number| {
            let arguments = dice.pick(&["{}", "{\"city\": \"Rome\", \"n\": [1, 2.5]}", "{ }", ""]);
            let id = dice.pick(&[
                "call_",
                "toolu-01.a:",
                "chatcmpl-tool-0123456789012345678901234567890123456789012345678901234567890123",
            ]);
            json!({"id": format!("{id}{turn}_{number}"), "type": "function", "function": {"name": NAMES[number], "arguments": arguments}})
        });
        said.maybe(dice, 60, "content", &[Value::Null, json!(""), json!("I look.")]);
        let mut results: Vec<_> = calls
            .iter()
            .map(
                |call| json!({"role": "tool", "tool_call_id": call["id"], "content": result(dice)}),
            )
            .collect();
        if dice.chance(20) {
            results.reverse();
        }
        said.put("tool_calls", calls);
        all.push(said.done());
        all.extend(results);
        return;
    }
    match dice.below(10) {
        0 => said.put("refusal", "I cannot."),
        1 => said.put("content", json!([{"type": "refusal", "refusal": "No."}])),
        2 | 3 => said.put(
            "content",
            json!([{"type": "text", "text": dice.text()}, {"type": "text", "text": "b"}]),
        ),
        _ => said.put("content", dice.text()),
    }
    all.push(said.done());
}

fn result(dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => json!([{"type": "text", "text": "21"}, {"type": "text", "text": "°C"}]),
        1 => json!("{\"temperature\": 21}"),
        2 => json!(""),
        _ => dice.text().into(),
    }
}

fn texts(dice: &mut Dice) -> Value {
    if dice.chance(60) {
        return dice.text().into();
    }
    some(dice, 2, |dice, _| {
        let mut part = Fields::new(json!({"type": "text", "text": dice.text()}));
        part.maybe(dice, 20, "cache_control", &[json!({"type": "ephemeral", "ttl": "1h"})]);
        part.done()
    })
    .into()
}

fn part(dice: &mut Dice, _: usize) -> Value {
    let kind = dice.pick(&["image/png", "image/jpeg", "image/webp", "image/gif"]);
    match dice.below(14) {
        0 => {
            json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}})
        }
        1 | 2 => {
            json!({"type": "image_url", "image_url": {"url": format!("data:{kind};base64,{PNG}")}})
        }
        3 => json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
        4 | 5 => {
            json!({"type": "file", "file": {"filename": "a b.pdf", "file_data": format!("data:application/pdf;base64,{PDF}")}})
        }
        6 if dice.chance(20) => json!({"type": "file", "file": {"file_id": "file-1"}}),
        7 => {
            json!({"type": "file", "file": {"filename": "n.txt", "file_data": "data:text/plain;base64,SGkhCg=="}})
        }
        8 => json!({"type": "text", "text": " "}),
        _ => json!({"type": "text", "text": dice.text()}),
    }
}

fn tool(dice: &mut Dice, number: usize) -> Value {
    if dice.chance(3) {
        return json!({"type": "custom", "custom": {"name": "free"}});
    }
    let mut tool = Fields::new(function(dice, number));
    tool.maybe(dice, 10, "cache_control", &[json!({"type": "ephemeral"})]);
    tool.done()
}

fn function(dice: &mut Dice, number: usize) -> Value {
    let mut function = Fields::new(json!({"name": NAMES[number]}));
    function.maybe(dice, 70, "description", &[json!("What it does."), json!("")]);
    if dice.chance(80) {
        function.put("parameters", schema(dice));
        function.maybe(dice, 20, "strict", &[json!(true), json!(false), Value::Null]);
    }
    json!({"type": "function", "function": function.done()})
}

fn message(role: &str, content: Value) -> Value {
    json!({"role": role, "content": content})
}
