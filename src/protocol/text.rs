//! Characters that are not what they seem: they end lines, turn them around, or cannot be seen.

use std::fmt::Write;

/// Whether a character can stand in a name and in a log: what a reader of either sees.
pub fn is_shown(letter: char) -> bool {
    if letter.is_ascii() {
        return !letter.is_ascii_control();
    }
    let hidden = HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&letter));
    !letter.is_control() && !hidden
}

/// A JSON text in which every such character is escaped. Outside ASCII, JSON knows none but in
/// strings, and of ASCII its writers leave only DEL as it is.
pub fn shown(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_shown(letter) {
            text.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a `String` does not fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// First and last: line and paragraph ends, what changes the direction of writing, what has no
/// width, and tags.
const HIDDEN: [(char, char); 12] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{e0000}', '\u{e0fff}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_and_means_the_same() {
        let sly = "a\u{7f}\u{85}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{200b}\u{e0041}é語\n\"";
        let json = serde_json::to_string(sly).unwrap();
        let text = shown(&json);
        assert!(text.chars().all(is_shown), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), sly);
        assert_eq!(shown("\"gpt-4o é語🙂\""), "\"gpt-4o é語🙂\"");
    }

    #[test]
    fn common_letters_are_shown() {
        for letter in "aZ0-._:/@ éß語🙂\u{301}".chars() {
            assert!(is_shown(letter), "{letter:?}");
        }
        for letter in ['\0', '\n', '\u{1b}', '\u{9b}', '\u{202d}', '\u{2068}'] {
            assert!(!is_shown(letter), "{letter:?}");
        }
    }
}
