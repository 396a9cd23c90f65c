//! OpenAI's responses.

use serde_json::{Value, json};

use super::{Dice, Fields, NAMES, PDF, PNG, schema, some};

pub(super) fn request(dice: &mut Dice) -> Value {
    let input: Value = if dice.chance(30) { dice.text().into() } else { items(dice).into() };
    let mut fields = Fields::new(json!({"model": "any-model", "input": input}));
    let f = &mut fields;
    let wanted = schema(dice);
    f.maybe(dice, 50, "instructions", &[json!("Be brief."), Value::Null]);
    if dice.chance(50) {
        f.put("tools", some(dice, 3, tool));
        f.maybe(dice, 50, "tool_choice", &[
            json!("auto"),
            json!("none"),
            json!("required"),
            json!({"type": "function", "name": NAMES[0]}),
            json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": NAMES[0]}]}),
        ]);
    }
    f.maybe(dice, 30, "parallel_tool_calls", &[json!(true), json!(false)]);
    f.maybe(dice, 50, "stream", &[json!(true), json!(true), json!(false)]);
    f.maybe(dice, 40, "max_output_tokens", &[json!(16), json!(4000), Value::Null]);
    f.maybe(dice, 30, "temperature", &[json!(0), json!(1), json!(1.7)]);
    f.maybe(dice, 30, "top_p", &[json!(0.5), json!(1)]);
    f.maybe(
        dice,
        30,
        "reasoning",
        &[
            json!({"effort": "low"}),
            json!({"effort": "high", "summary": "auto"}),
            json!({"effort": "minimal"}),
            json!({}),
            Value::Null,
        ],
    );
    f.maybe(dice, 40, "text", &[
        json!({"format": {"type": "text"}}),
        json!({"format": {"type": "json_object"}}),
        json!({"format": {"type": "json_schema", "name": "a", "schema": wanted, "strict": true}}),
        json!({"verbosity": "low"}),
    ]);
    f.maybe(dice, 20, "metadata", &[json!({"k": "v"}), json!({})]);
    f.maybe(dice, 10, "user", &[json!("u")]);
    f.maybe(dice, 10, "safety_identifier", &[json!("h")]);
    f.maybe(dice, 30, "store", &[json!(true), json!(false)]);
    f.maybe(dice, 20, "include", &[json!(["reasoning.encrypted_content"]), json!([])]);
    f.maybe(dice, 10, "truncation", &[json!("auto"), json!("disabled")]);
    f.maybe(dice, 10, "service_tier", &[json!("auto")]);
    f.maybe(dice, 10, "prompt_cache_key", &[json!("k")]);
    f.maybe(dice, 5, "top_logprobs", &[json!(0), json!(2)]);
    f.maybe(dice, 5, "background", &[json!(false), json!(true)]);
    f.maybe(dice, 3, "previous_response_id", &[json!("resp_1"), Value::Null]);
    fields.done()
}

fn items(dice: &mut Dice) -> Vec<Value> {
    let mut all = Vec::new();
    if dice.chance(30) {
        let role = dice.pick(&["system", "developer"]);
        all.push(json!({"role": role, "content": [{"type": "input_text", "text": dice.text()}]}));
    }
    let turns = 1 + dice.below(4);
    for turn in 0..turns {
        let mut said = Fields::new(json!({"role": "user", "content": content(dice)}));
        said.maybe(dice, 40, "type", &[json!("message")]);
        all.push(said.done());
        if turn + 1 < turns {
            answer(dice, turn, &mut all);
        }
    }
    all
}

fn answer(dice: &mut Dice, turn: usize, all: &mut Vec<Value>) {
    if dice.chance(30) {
        let mut item = Fields::new(
            json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}),
        );
        item.maybe(dice, 30, "encrypted_content", &[json!("eA=="), Value::Null]);
        all.push(item.done());
    }
    let says = dice.chance(60);
    if says {
        all.push(match dice.below(4) {
            0 => json!({"role": "assistant", "content": dice.text()}),
            1 => json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "refusal", "refusal": "No."}]}),
            2 => json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": dice.text(), "annotations": []},
                {"type": "output_text", "text": "b", "annotations": []},
            ]}),
            _ => json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": dice.text(), "annotations": [], "logprobs": []},
            ]}),
        });
    }
    if !says || dice.chance(40) {
        let calls = 1 + dice.below(3);
        for (number, name) in NAMES.iter().enumerate().take(calls) {
            let mut call = Fields::new(
                json!({"type": "function_call", "call_id": format!("call_{turn}_{number}"), "name": name, "arguments": "{\"city\":\"Rome\"}"}),
            );
            call.maybe(dice, 50, "id", &[json!("fc_1")]);
            call.maybe(dice, 50, "status", &[json!("completed")]);
            all.push(call.done());
        }
        for number in 0..calls {
            let output = match dice.below(6) {
                0 => {
                    json!([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}])
                }
                1 => {
                    json!([{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}")}])
                }
                2 => json!(""),
                _ => json!("21 °C"),
            };
            all.push(json!({"type": "function_call_output", "call_id": format!("call_{turn}_{number}"), "output": output}));
        }
    }
}

fn content(dice: &mut Dice) -> Value {
    if dice.chance(50) {
        return dice.text().into();
    }
    some(dice, 3, |dice, _| match dice.below(10) {
        0 => json!({"type": "input_image", "detail": "auto", "image_url": "https://example.com/a.jpg"}),
        1 => json!({"type": "input_image", "detail": "low", "image_url": format!("data:image/png;base64,{PNG}")}),
        2 => json!({"type": "input_file", "filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PDF}")}),
        3 if dice.chance(20) => json!({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
        4 if dice.chance(20) => json!({"type": "input_image", "detail": "auto", "file_id": "file-1"}),
        _ => json!({"type": "input_text", "text": dice.text()}),
    })
    .into()
}

fn tool(dice: &mut Dice, number: usize) -> Value {
    if dice.chance(3) {
        return json!({"type": "web_search"});
    }
    let mut tool = Fields::new(
        json!({"type": "function", "name": NAMES[number], "parameters": schema(dice), "strict": dice.chance(50)}),
    );
    tool.maybe(dice, 70, "description", &[json!("What it does."), Value::Null]);
    tool.done()
}
