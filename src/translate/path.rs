//! Model names that become a part of a URL's path.

use std::fmt::Write;

use crate::error::Error;
use crate::protocol::probe::MAX_MODEL_BYTES;
use crate::translate::fields::invalid;

/// The model as one segment of a path, or why it cannot be one. Nothing that a server could read
/// as another path, a query or another method passes.
pub fn segment(model: &str) -> Result<String, Error> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:@/".contains(&b);
    let parts = || model.split('/');
    let safe = model.len() <= MAX_MODEL_BYTES
        && model.bytes().all(plain)
        && parts().all(|part| !matches!(part, "" | "." | ".."));
    if !safe {
        return Err(invalid("model", "this provider has no model of such a name"));
    }
    let mut segment = String::with_capacity(model.len());
    for c in model.chars() {
        match c {
            // What would separate parts and methods.
            ':' | '@' | '/' => drop(write!(segment, "%{:02X}", u32::from(c))),
            _ => segment.push(c),
        }
    }
    Ok(segment)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_models_pass() {
        let cases = [
            ("gemini-2.5-flash", "gemini-2.5-flash"),
            (
                "anthropic.claude-3-5-sonnet-20241022-v2:0",
                "anthropic.claude-3-5-sonnet-20241022-v2%3A0",
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude",
                "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude",
            ),
            ("my_deployment~1", "my_deployment~1"),
            ("...", "..."),
        ];
        for (model, expected) in cases {
            assert_eq!(segment(model).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn attacks_do_not() {
        let long = "a".repeat(MAX_MODEL_BYTES + 1);
        for model in [
            "",
            ".",
            "..",
            "../secret",
            "a/../b",
            "a/..",
            "/etc",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            "..%2f",
            "%2e%2e",
            "a%2fb",
            "%",
            "a?x=1",
            "a#b",
            "a;b",
            "a\\b",
            "..\\b",
            "a b",
            "a\tb",
            "a\r\nhost: evil",
            "a\0",
            "a\u{7f}",
            "é",
            "a\u{ff0f}b",
            "a\"b",
            "a{b}",
            "a&b",
            "a=b",
            "a+b",
            "a,b",
            "a'b",
            "a|b",
            "a<b",
            "a*",
            "a!",
            "a$",
            "a(b)",
            "[::1]",
            &long,
        ] {
            let error = segment(model).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("model"), "{model:?}");
            assert!(model.len() < 3 || !error.message.contains(model), "{model:?}");
        }
    }

    #[test]
    fn a_name_cannot_choose_the_method() {
        assert_eq!(segment("m:countTokens").as_deref(), Ok("m%3AcountTokens"));
    }

    proptest! {
        #[test]
        fn what_passes_is_one_segment(model in "[a-z:@/.%?#\\\\ -]{0,20}|.{0,20}") {
            if let Ok(segment) = segment(&model) {
                prop_assert!(segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
                prop_assert!(!matches!(&*segment, "" | "." | ".."));
            }
        }
    }
}
