//! The "model": what is answered to a prompt, and what it costs, the same in every protocol.

use serde_json::{Map, Value, json};

use super::control::Controls;

/// What a request asks of the model, whatever its protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prompt {
    pub input: Input,
    /// The text of the last user message.
    pub last: String,
    /// The last message brings a tool's result, so the answer is text.
    pub tool_result: bool,
    pub tools: Vec<Tool>,
    pub choice: ToolChoice,
    pub one_call_only: bool,
    /// The JSON schema that the answer has to fit.
    pub schema: Option<Value>,
    pub max_tokens: Option<u64>,
    pub stop: Vec<String>,
    pub thinking: bool,
}

/// Counts the tokens of a request while its parts are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Input(u64);

impl Input {
    pub(crate) fn text(&mut self, text: &str) {
        self.0 += text.split_whitespace().count() as u64;
    }

    /// An image, a file, a tool definition.
    pub(crate) fn part(&mut self) {
        self.0 += 1;
    }

    pub(crate) fn tokens(self) -> u64 {
        self.0.max(1)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub name: String,
    pub schema: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub thinking: Vec<String>,
    /// The text, a token each.
    pub tokens: Vec<String>,
    pub calls: Vec<Call>,
    pub finish: Finish,
    pub usage: Usage,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub id: String,
    pub name: String,
    pub arguments: Value,
}

impl Call {
    /// The arguments as JSON text, a token each.
    pub(crate) fn fragments(&self) -> Vec<String> {
        let text: Vec<char> = self.arguments.to_string().chars().collect();
        text.chunks(FRAGMENT).map(|chars| chars.iter().collect()).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    /// A stop sequence of the request's came up.
    StopSequence(String),
    Length,
    ToolCalls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// All of the input, `cached` and `cache_write` included.
    pub input: u64,
    pub cached: u64,
    pub cache_write: u64,
    /// All of the output, `reasoning` included.
    pub output: u64,
    pub reasoning: u64,
}

impl Reply {
    /// The answer number `index` to `prompt`; equal prompts have equal answers.
    pub(crate) fn new(prompt: &Prompt, controls: &Controls, index: usize) -> Self {
        let calls = calls(prompt, controls);
        let mut tokens = match calls.is_empty() {
            true => text(prompt, controls, index),
            false => Vec::new(),
        };
        let mut finish = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        if let Some((kept, sequence)) = stopped(&tokens, &prompt.stop) {
            tokens = kept;
            finish = Finish::StopSequence(sequence);
        }
        let limit = usize::try_from(prompt.max_tokens.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        if tokens.len() > limit || controls.length_finish {
            tokens.truncate(limit);
            finish = Finish::Length;
        }

        let thinking = match prompt.thinking {
            true => split(&format!("The user wrote {} words.", words(&prompt.last))),
            false => Vec::new(),
        };
        let call_tokens: usize = calls.iter().map(|call| 1 + call.fragments().len()).sum();
        let input = prompt.input.tokens();
        let cached = controls.cached.min(input);
        let usage = Usage {
            input,
            cached,
            cache_write: controls.cache_write.min(input - cached),
            output: (thinking.len() + tokens.len() + call_tokens) as u64,
            reasoning: thinking.len() as u64,
        };
        Self { thinking, tokens, calls, finish, usage }
    }

    pub(crate) fn text(&self) -> String {
        self.tokens.concat()
    }
}

/// An embedding of `text`: equal texts have equal vectors, of length one.
pub(crate) fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let mut state = fnv(text);
    let raw: Vec<f32> = (0..dimensions)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        })
        .collect();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.iter().map(|x| x / length).collect()
}

/// A value that fits a JSON schema, its strings taken from `seed`.
pub(crate) fn sample(schema: &Value, seed: &str) -> Value {
    sample_within(schema, seed, 16)
}

fn sample_within(schema: &Value, seed: &str, depth: usize) -> Value {
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(value) = schema.get("enum").and_then(|values| values.get(0)) {
        return value.clone();
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(key).and_then(|options| options.get(0)) {
            return sample_within(first, seed, depth.saturating_sub(1));
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    // Gemini writes the types in capitals.
    match kind.map(str::to_ascii_lowercase).as_deref() {
        _ if depth == 0 => Value::Null,
        Some("string") => json!(seed),
        Some("integer") => json!(words(seed)),
        Some("number") => json!(words(seed) as f64 + 0.5),
        Some("boolean") => json!(true),
        Some("array") => match schema.get("items") {
            Some(items) => json!([sample_within(items, seed, depth - 1)]),
            None => json!([]),
        },
        Some("null") => Value::Null,
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            Value::Object(Map::from_iter(
                fields.map(|(key, field)| (key.clone(), sample_within(field, seed, depth - 1))),
            ))
        }
    }
}

fn calls(prompt: &Prompt, controls: &Controls) -> Vec<Call> {
    let named: Vec<&Tool> =
        prompt.tools.iter().filter(|tool| prompt.last.contains(&tool.name)).collect();
    let mut chosen: Vec<&Tool> = match (&prompt.choice, controls.tools) {
        (ToolChoice::None, _) | (_, Some(0)) => Vec::new(),
        (_, Some(count)) => prompt.tools.iter().cycle().take(count).collect(),
        _ if prompt.tool_result => Vec::new(),
        (ToolChoice::Named(name), None) => {
            prompt.tools.iter().filter(|tool| tool.name == *name).collect()
        }
        (ToolChoice::Required, None) if named.is_empty() => prompt.tools.iter().take(1).collect(),
        _ => named,
    };
    if prompt.one_call_only {
        chosen.truncate(1);
    }
    let calls = chosen.into_iter().enumerate().map(|(index, tool)| Call {
        id: format!("{:016x}{index:08x}", fnv(&prompt.last)),
        name: tool.name.clone(),
        arguments: sample(&tool.schema, &excerpt(&prompt.last)),
    });
    calls.collect()
}

fn text(prompt: &Prompt, controls: &Controls, index: usize) -> Vec<String> {
    if let Some(schema) = &prompt.schema {
        return split(&sample(schema, &excerpt(&prompt.last)).to_string());
    }
    let mut text = match prompt.tool_result {
        true => format!("The tool said: {}", excerpt(&prompt.last)),
        false => format!("You said: {}", excerpt(&prompt.last)),
    };
    if index > 0 {
        text += &format!(" (choice {index})");
    }
    if controls.unicode {
        text += UNICODE;
    }
    let mut tokens = split(&text);
    if let Some(count) = controls.tokens {
        tokens = tokens.iter().cycle().take(count).cloned().collect();
    }
    let missing = controls.size.saturating_sub(text.len());
    tokens.extend(std::iter::repeat_n(PADDING.to_owned(), missing.div_ceil(PADDING.len())));
    tokens
}

/// The first words; where there are more, a mark that differs with the rest.
fn excerpt(text: &str) -> String {
    let first: Vec<&str> = text.split_whitespace().take(EXCERPT).collect();
    let all = words(text);
    match all > EXCERPT {
        true => format!("{} ... {all} words, {:08x}", first.join(" "), fnv(text) as u32),
        false => first.join(" "),
    }
}

fn stopped(tokens: &[String], stop: &[String]) -> Option<(Vec<String>, String)> {
    let text = tokens.concat();
    let found = stop.iter().filter(|sequence| !sequence.is_empty());
    let (at, sequence) =
        found.filter_map(|sequence| Some((text.find(sequence)?, sequence))).min()?;
    Some((split(&text[..at]), sequence.clone()))
}

/// Words with the white space before them.
fn split(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for char in text.chars() {
        if tokens.is_empty() || (char.is_whitespace() && in_word) {
            tokens.push(String::new());
        }
        in_word = !char.is_whitespace();
        if let Some(token) = tokens.last_mut() {
            token.push(char);
        }
    }
    tokens
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// FNV-1a.
pub(super) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Words of the last message that an answer repeats.
const EXCERPT: usize = 24;
/// Characters of one token of tool arguments.
const FRAGMENT: usize = 8;
/// Two to four bytes a character, a combining mark, a joined emoji.
const UNICODE: &str = " né 世界 e\u{301} 🦀 👩\u{200d}👩\u{200d}👧 \u{1d11e}";
const PADDING: &str = " paddingpaddingpaddingpaddingpaddingpaddingpaddingpaddingpaddingp";

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(last: &str) -> Prompt {
        let mut input = Input::default();
        input.text(last);
        Prompt { input, last: last.to_owned(), ..Prompt::default() }
    }

    #[test]
    fn different_prompts_have_different_answers() {
        let long = "word ".repeat(100);
        let texts = ["one", "two", &format!("{long}a"), &format!("{long}b")]
            .map(|last| Reply::new(&prompt(last), &Controls::default(), 0).text());
        for (index, text) in texts.iter().enumerate() {
            assert!(!texts[..index].contains(text));
        }
    }

    #[test]
    fn tokens_are_counted_as_stated() {
        let reply = Reply::new(&prompt("two words"), &Controls::default(), 0);
        assert_eq!(reply.text(), "You said: two words");
        assert_eq!((reply.usage.input, reply.usage.output), (2, 4));
    }

    #[test]
    fn a_limit_ends_the_answer() {
        let reply =
            Reply::new(&Prompt { max_tokens: Some(2), ..prompt("hello") }, &Controls::default(), 0);
        assert_eq!((reply.text().as_str(), reply.finish), ("You said:", Finish::Length));
    }

    #[test]
    fn a_stop_sequence_is_left_out() {
        let stop = vec!["lo".to_owned(), " hel".to_owned()];
        let reply = Reply::new(&Prompt { stop, ..prompt("hello") }, &Controls::default(), 0);
        assert_eq!(reply.text(), "You said:");
        assert_eq!(reply.finish, Finish::StopSequence(" hel".to_owned()));
    }

    #[test]
    fn tools_that_the_last_message_names_are_called() {
        let tools = ["alpha", "beta", "gamma"].map(|name| Tool {
            name: name.to_owned(),
            schema: json!({"type": "object", "properties": {"x": {"type": "integer"}}}),
        });
        let prompt = Prompt { tools: tools.to_vec(), ..prompt("use beta and gamma") };
        let called = |prompt: &Prompt| {
            let reply = Reply::new(prompt, &Controls::default(), 0);
            reply.calls.into_iter().map(|call| (call.name, call.arguments)).collect::<Vec<_>>()
        };
        let beta = ("beta".to_owned(), json!({"x": 4}));
        assert_eq!(called(&prompt), [beta.clone(), ("gamma".to_owned(), json!({"x": 4}))]);
        assert_eq!(called(&Prompt { one_call_only: true, ..prompt.clone() }), [beta]);
        assert_eq!(called(&Prompt { tool_result: true, ..prompt }), []);
    }

    #[test]
    fn a_sample_fits_its_schema() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "array", "items": {"type": "boolean"}},
            "unit": {"enum": ["C", "F"]}, "note": {"type": ["null", "string"]}}});
        assert_eq!(
            sample(&schema, "Rome"),
            json!({"city": "Rome", "days": [true], "unit": "C", "note": null})
        );
    }
}
