//! A prompt that is too long for its model. Agents act on it, each on the words of its own provider:
//! they make the conversation shorter and ask again. So whatever a provider says, the caller is told
//! in the words of its dialect, with the provider's own behind them.

use std::borrow::Cow;

use super::Dialect;

/// Whether a refusal is about the length of the prompt.
pub fn is_meant(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    TOO_LONG.iter().any(|words| message.contains(words))
}

/// Such a refusal in the words of the dialect.
pub fn told(dialect: Dialect, message: &str) -> Cow<'_, str> {
    let numbers = numbers(message);
    let lower = message.to_ascii_lowercase();
    let is_said = |words: &str| lower.contains(words);
    let more = match numbers.as_slice() {
        [a, b, ..] => Some((*a.max(b), *a.min(b))),
        _ => None,
    };
    let said = match (dialect, more) {
        (Dialect::Anthropic, _) if lower.starts_with("prompt is too long") => {
            return message.into();
        }
        (Dialect::Anthropic, _) if lower.starts_with("input length and `max_tokens`") => {
            return message.into();
        }
        (Dialect::Anthropic, Some((asked, most))) => match with_output(&lower, &numbers) {
            Some([input, output, most]) => format!(
                "input length and `max_tokens` exceed context limit: {input} + {output} > {most}, \
                 decrease input length or `max_tokens` and try again"
            ),
            None => format!("prompt is too long: {asked} tokens > {most} maximum"),
        },
        (Dialect::Anthropic, None) => return format!("prompt is too long: {message}").into(),
        (Dialect::OpenAi, Some((asked, most))) if !is_said("maximum context length") => format!(
            "This model's maximum context length is {most} tokens. However, your messages \
             resulted in {asked} tokens"
        ),
        (Dialect::Gemini, Some((asked, most)))
            if !is_said("exceeds the maximum number of tokens") =>
        {
            format!(
                "The input token count ({asked}) exceeds the maximum number of tokens allowed \
                 ({most})"
            )
        }
        _ => return message.into(),
    };
    format!("{said}. The provider says: {message}").into()
}

/// The tokens of the prompt, those wished for the answer, and the limit, where only both together
/// are too many.
fn with_output(lower: &str, numbers: &[u64]) -> Option<[u64; 3]> {
    let known = match numbers {
        [most, _, input, output, ..] if lower.contains("in the completion") => {
            [*input, *output, *most]
        }
        [output, most, input, ..] if lower.contains("is too large") => [*input, *output, *most],
        _ => return None,
    };
    let [input, output, most] = known;
    (input < most && output > 0).then_some(known)
}

/// The numbers that can be counts of tokens, with or without commas.
fn numbers(message: &str) -> Vec<u64> {
    let is_part = |c: char| c.is_ascii_digit() || c == ',';
    let words = message.split(|c| !is_part(c));
    let counts = words.filter_map(|word| word.replace(',', "").parse::<u64>().ok());
    counts.filter(|count| *count >= LEAST).take(MOST_NUMBERS).collect()
}

/// In lower case.
const TOO_LONG: [&str; 22] = [
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "maximum context length",
    "maximum prompt length",
    "max context length",
    "context length exceeded",
    "context_length_exceeded",
    "exceed context limit",
    "exceeds the context",
    "exceed the context",
    "the context length",
    "context window",
    "available context size",
    "exceeds the maximum number of tokens",
    "exceeds the maximum number of input tokens",
    "exceeded model token limit",
    "reduce the length of the messages",
    "reduce the length of your prompt",
    "input tokens exceed",
    "too many input tokens",
    "too many tokens: ",
];

/// Smaller numbers count something else.
const LEAST: u64 = 100;
const MOST_NUMBERS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &str = "This model's maximum context length is 128000 tokens. However, your messages resulted in 140000 tokens. Please reduce the length of the messages.";
    const ANTHROPIC: &str = "prompt is too long: 208310 tokens > 200000 maximum";
    const GEMINI: &str =
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    const LLAMA_CPP: &str =
        "request (3122 tokens) exceeds the available context size (2048 tokens), try increasing it";
    const MISTRAL: &str = "Prompt contains 65,673 tokens and 0 draft tokens, too large for model with 32,768 maximum context length";

    #[test]
    fn claude_code_is_told_what_makes_it_shorten_the_conversation() {
        for (message, begin) in [
            (OPENAI, "prompt is too long: 140000 tokens > 128000 maximum"),
            (GEMINI, "prompt is too long: 1200000 tokens > 1048576 maximum"),
            (LLAMA_CPP, "prompt is too long: 3122 tokens > 2048 maximum"),
            (MISTRAL, "prompt is too long: 65673 tokens > 32768 maximum"),
            (
                "Please reduce the length of the messages or completion.",
                "prompt is too long: Please reduce",
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (5000 in the messages, 4000 in the completion).",
                "input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192",
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 16384 tokens and your request has 1200 input tokens",
                "input length and `max_tokens` exceed context limit: 1200 + 32000 > 16384",
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 19000 tokens (15000 in the messages, 4000 in the completion).",
                "prompt is too long: 19000 tokens > 8192 maximum",
            ),
        ] {
            assert!(is_meant(message), "{message}");
            let told = told(Dialect::Anthropic, message);
            assert!(told.starts_with(begin) && told.ends_with(message), "{told}");
        }
        assert_eq!(told(Dialect::Anthropic, ANTHROPIC), ANTHROPIC);
    }

    #[test]
    fn others_are_told_in_their_words() {
        for message in [ANTHROPIC, GEMINI, LLAMA_CPP] {
            let told = told(Dialect::OpenAi, message);
            assert!(
                told.contains("maximum context length is ") && told.ends_with(message),
                "{told}"
            );
        }
        for message in [ANTHROPIC, OPENAI, LLAMA_CPP] {
            let told = told(Dialect::Gemini, message);
            assert!(
                told.starts_with("The input token count (") && told.ends_with(message),
                "{told}"
            );
        }
        assert_eq!(told(Dialect::OpenAi, OPENAI), OPENAI);
        assert_eq!(told(Dialect::Gemini, GEMINI), GEMINI);
        assert_eq!(told(Dialect::Ollama, LLAMA_CPP), LLAMA_CPP);
    }

    #[test]
    fn what_is_about_something_else_is_not_meant() {
        for message in
            ["no", "Too many requests", "max_tokens is too large: 32000.", "string too long"]
        {
            assert!(!is_meant(message), "{message}");
        }
    }
}
