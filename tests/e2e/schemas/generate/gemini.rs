//! Gemini's `generateContent`, and its embeddings.

use serde_json::{Value, json};

use super::{Dice, Fields, NAMES, PDF, PNG, schema, some};

pub(super) fn request(dice: &mut Dice) -> Value {
    let mut fields = Fields::new(json!({"contents": contents(dice)}));
    let f = &mut fields;
    f.maybe(
        dice,
        50,
        "systemInstruction",
        &[
            json!({"parts": [{"text": "Be brief."}]}),
            json!({"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}),
        ],
    );
    if dice.chance(50) {
        f.put("tools", json!([{"functionDeclarations": some(dice, 3, declaration)}]));
        let mode = |mode: &str| json!({"functionCallingConfig": {"mode": mode}});
        f.maybe(dice, 50, "toolConfig", &[
            mode("AUTO"),
            mode("ANY"),
            mode("NONE"),
            json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [NAMES[0]]}}),
        ]);
    } else {
        f.maybe(dice, 5, "tools", &[json!([{"googleSearch": {}}]), json!([])]);
    }
    if dice.chance(60) {
        f.put("generationConfig", config(dice));
    }
    f.maybe(
        dice,
        10,
        "safetySettings",
        &[json!([]), json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}])],
    );
    f.maybe(dice, 3, "cachedContent", &[json!("cachedContents/1")]);
    fields.done()
}

fn config(dice: &mut Dice) -> Value {
    let mut fields = Fields::new(json!({}));
    let f = &mut fields;
    f.maybe(dice, 30, "maxOutputTokens", &[json!(1), json!(2000)]);
    f.maybe(dice, 30, "temperature", &[json!(0), json!(1), json!(1.8)]);
    f.maybe(dice, 20, "topP", &[json!(0.5), json!(1)]);
    f.maybe(dice, 20, "topK", &[json!(40)]);
    f.maybe(dice, 5, "candidateCount", &[json!(1), json!(2)]);
    f.maybe(dice, 20, "stopSequences", &[json!(["END"]), json!([]), json!(["a", "\n"])]);
    f.maybe(dice, 10, "presencePenalty", &[json!(-0.5), json!(1)]);
    f.maybe(dice, 10, "frequencyPenalty", &[json!(0.5)]);
    f.maybe(dice, 10, "seed", &[json!(7), json!(-3)]);
    f.maybe(dice, 5, "responseLogprobs", &[json!(false), json!(true)]);
    f.maybe(dice, 5, "responseModalities", &[json!(["TEXT"]), json!(["TEXT", "IMAGE"])]);
    if dice.chance(25) {
        f.put("responseMimeType", "application/json");
        let wanted = schema(dice);
        f.maybe(dice, 70, "responseJsonSchema", &[wanted]);
    }
    f.maybe(
        dice,
        30,
        "thinkingConfig",
        &[
            json!({"includeThoughts": true}),
            json!({"thinkingBudget": 0}),
            json!({"thinkingBudget": 4096, "includeThoughts": true}),
            json!({"thinkingLevel": "LOW"}),
            json!({"thinkingBudget": -1}),
        ],
    );
    fields.done()
}

fn contents(dice: &mut Dice) -> Vec<Value> {
    let mut all = Vec::new();
    let turns = 1 + dice.below(4);
    let mut calls: Vec<Value> = Vec::new();
    for turn in 0..turns {
        let parts = if calls.is_empty() {
            some(dice, 3, part)
        } else {
            calls.drain(..).map(|call| json!({"functionResponse": call})).collect()
        };
        all.push(json!({"role": "user", "parts": parts}));
        if turn + 1 < turns {
            all.push(json!({"role": "model", "parts": answer(dice, turn, &mut calls)}));
        }
    }
    all
}

fn answer(dice: &mut Dice, turn: usize, calls: &mut Vec<Value>) -> Vec<Value> {
    let mut parts = Vec::new();
    if dice.chance(20) {
        parts.push(json!({"text": "hm", "thought": true}));
    }
    let says = dice.chance(60);
    if says {
        parts.push(json!({"text": dice.text()}));
    }
    if !says || dice.chance(40) {
        let with_id = dice.chance(50);
        parts.extend(some(dice, 3, |dice, number| {
            let mut call = json!({"name": NAMES[number], "args": dice.pick(&[json!({}), json!({"city": "Rome"})])});
            let mut result = json!({"name": NAMES[number], "response": dice.pick(&[json!({"result": "21"}), json!({})])});
            if with_id {
                let id = format!("c{turn}{number}");
                (call["id"], result["id"]) = (id.clone().into(), id.into());
            }
            calls.push(result);
            let mut part = Fields::new(json!({"functionCall": call}));
            part.maybe(dice, 30, "thoughtSignature", &[json!("c2ln")]);
            part.done()
        }));
    }
    parts
}

fn part(dice: &mut Dice, _: usize) -> Value {
    match dice.below(12) {
        0 | 1 => {
            json!({"inlineData": {"mimeType": dice.pick(&["image/png", "image/jpeg"]), "data": PNG}})
        }
        2 => json!({"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
        3 => json!({"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
        4 => json!({"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}}),
        5 if dice.chance(20) => {
            json!({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/a.mp4"}})
        }
        _ => json!({"text": dice.text()}),
    }
}

fn declaration(dice: &mut Dice, number: usize) -> Value {
    let mut declared = Fields::new(json!({"name": NAMES[number], "description": "What it does."}));
    if dice.chance(60) {
        declared.put("parametersJsonSchema", schema(dice));
    } else {
        declared.maybe(dice, 70, "parameters", &[
            json!({"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": true}}, "required": ["city"]}),
            json!({"type": "OBJECT", "properties": {"n": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": 2}}}),
        ]);
    }
    declared.done()
}

pub(super) fn embeddings(dice: &mut Dice) -> Value {
    let task = dice.pick(&[None, Some("RETRIEVAL_QUERY"), Some("CLUSTERING")]);
    let size = dice.pick(&[None, Some(256)]);
    let one = |dice: &mut Dice, _: usize| {
        let mut request =
            json!({"model": "models/any", "content": {"parts": [{"text": dice.text()}]}});
        if let Some(task) = task {
            request["taskType"] = task.into();
        }
        if let Some(size) = size {
            request["outputDimensionality"] = size.into();
        }
        request
    };
    if dice.chance(50) { one(dice, 0) } else { json!({"requests": some(dice, 3, one)}) }
}
