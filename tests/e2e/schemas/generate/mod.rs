//! Valid requests of each client's API, by chance but always the same for a seed: every field that
//! the wire types know, and some that they do not, in all combinations.

mod anthropic;
mod embeddings;
mod gemini;
mod ollama;
mod openai;
mod responses;

use serde_json::{Map, Value, json};

/// A valid request of the client's protocol; `None` if there is no generator for it.
pub(super) fn request(protocol: &str, seed: u64) -> Option<Value> {
    let dice = &mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Some(match protocol {
        "openai" => openai::request(dice),
        "anthropic" => anthropic::request(dice),
        "responses" => responses::request(dice),
        "embeddings" => embeddings::request(dice),
        "gemini" => gemini::request(dice),
        "gemini_embed" => gemini::embeddings(dice),
        "ollama" => ollama::chat(dice),
        "ollama_generate" => ollama::generate(dice),
        "ollama_embed" => ollama::embed(dice),
        _ => return None,
    })
}

/// Models that are told apart.
pub(super) fn models(provider: &str, embeds: bool) -> &'static [&'static str] {
    match (provider, embeds) {
        ("bedrock", true) => &["amazon.titan-embed-text-v2:0", "cohere.embed-multilingual-v3"],
        (_, true) => &["an-embedding-model"],
        ("openai", _) => &["gpt-4o", "gpt-5", "llama-3.1-8b"],
        ("anthropic", _) => &[
            "claude-3-5-sonnet-20241022",
            "claude-sonnet-4-5",
            "claude-opus-4-7",
            "claude-fable-5-1",
            "kimi-k2",
        ],
        ("gemini", _) => &["gemini-2.0-flash", "gemini-2.5-flash", "gemini-3-pro"],
        ("bedrock", _) => &[
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "anthropic.claude-opus-4-7",
            "amazon.nova-lite-v1:0",
            "openai.gpt-oss-20b-1:0",
        ],
        ("cohere", _) => &["command-a-03-2025", "command-a-reasoning-08-2025"],
        ("ollama", _) => &["llama3.2:1b", "gpt-oss:20b"],
        _ => panic!("no models of {provider}"),
    }
}

/// SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1.
    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn text(&mut self) -> &'static str {
        self.pick(&[
            "Hello",
            "What is 2 + 2?",
            "a \"quoted\" line\nand\tanother",
            "Grüße, 世界 🌍",
            "x",
            "  spaces around  ",
        ])
    }
}

/// An object whose members are there by chance.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    fn new(always: Value) -> Self {
        match always {
            Value::Object(members) => Self(members),
            other => panic!("no object: {other}"),
        }
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// One of `values`, in `percent` of all requests.
    fn maybe(&mut self, dice: &mut Dice, percent: usize, name: &str, values: &[Value]) {
        if dice.chance(percent) {
            self.put(name, dice.pick(values));
        }
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// `of(number)` for 1 to `most` numbers.
fn some(dice: &mut Dice, most: usize, mut of: impl FnMut(&mut Dice, usize) -> Value) -> Vec<Value> {
    let count = 1 + dice.below(most);
    (0..count).map(|number| of(dice, number)).collect()
}

fn schema(dice: &mut Dice) -> Value {
    dice.pick(&[
        json!({"type": "object", "properties": {"city": {"type": "string", "description": "A city"}}, "required": ["city"], "additionalProperties": false}),
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {
            "n": {"type": "integer", "description": "A number", "minimum": 1, "maximum": 9},
            "s": {"type": "string", "pattern": "^a+$", "minLength": 1, "format": "date"},
            "l": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": true}]}, "minItems": 2, "maxItems": 3}
        }, "required": ["n"], "additionalProperties": true}),
        json!({"type": "object", "properties": {
            "list": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            "unit": {"type": "string", "enum": ["c", "f"]},
            "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]}
        }, "required": ["list"], "$defs": {"item": {"type": "object", "properties": {"n": {"type": "number"}}}}}),
    ])
}

const NAMES: [&str; 4] = ["get_weather", "search-web", "f", "Read_File2"];
/// One pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PDF: &str = "JVBERi0xLjQK";
