//! What OpenAI's models differ in that no field of a request tells. Known from the name.

/// A reasoning model of OpenAI's: it takes `reasoning_effort` and `max_completion_tokens`, and no
/// sampling parameters.
pub(super) fn reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default();
    let number = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    let o = name.strip_prefix('o').and_then(number).is_some();
    let gpt = name.strip_prefix("gpt-").and_then(number).is_some_and(|major| major >= 5);
    (o || gpt || name.starts_with("gpt-oss")) && !name.contains("-chat")
}

/// The least effort that a reasoning model can make.
pub(super) fn least(model: &str) -> &'static str {
    let name = model.rsplit('/').next().unwrap_or_default();
    let gpt = name.starts_with("gpt-") && !name.starts_with("gpt-oss");
    if gpt { "minimal" } else { "low" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_effort_depends_on_the_model() {
        let cases = [("o3-mini", "low"), ("openai/gpt-5", "minimal"), ("gpt-oss-20b", "low")];
        for (name, expected) in cases {
            assert_eq!(least(name), expected, "{name}");
        }
    }

    #[test]
    fn reasoning_models_are_known_by_name() {
        for name in [
            "o1",
            "o3-mini",
            "o4-mini-2025-04-16",
            "gpt-5",
            "openai/gpt-5.1",
            "gpt-oss-20b",
            "gpt-10",
        ] {
            assert!(reasons(name), "{name}");
        }
        for name in ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "omni", "llama3.2:1b", "gpt-", ""] {
            assert!(!reasons(name), "{name}");
        }
    }
}
