//! The requests that are measured.

use bytes::Bytes;
use serde_json::{Value, json};

use super::load::{Body, Expect, Load};
use super::upstream::{MODEL, Order, Pace};

/// A load and what to call it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) load: Load,
}

pub(super) fn all() -> [Case; 4] {
    [
        Case { key: "chat_300b", title: "Chat of 300 B", load: chat(300) },
        Case { key: "chat_16kib", title: "Chat of 16 KiB", load: chat(16 << 10) },
        Case { key: "chat_1mib", title: "Chat of 1 MiB", load: chat(1 << 20) },
        Case {
            key: "stream_200",
            title: "Stream of 200 events, as fast as it goes",
            load: stream(200, Pace::Free, CONNECTIONS),
        },
    ]
}

/// A chat whose request has exactly `size` bytes.
pub(super) fn chat(size: usize) -> Load {
    Load {
        path: "/v1/chat/completions",
        body: Body::Same(body(size, false)),
        order: Order::Document,
        connections: CONNECTIONS,
        expect: Expect::Everything,
        control: None,
    }
}

/// Chats of which no two are equal.
pub(super) fn different_chats(size: usize) -> Load {
    let text = body(size, false);
    let end = text.len() - END.len();
    Load { body: Body::Numbered { text, number: end - 16..end }, ..chat(size) }
}

/// Streams that are asked for at the same time.
pub(super) fn stream(events: u32, pace: Pace, parallel: usize) -> Load {
    Load {
        body: Body::Same(body(300, true)),
        order: Order::Stream { events, pace },
        connections: parallel,
        ..chat(300)
    }
}

/// A conversation of messages of about 1 KiB, as clients send them; the last one fills up.
fn body(size: usize, stream: bool) -> Bytes {
    let mut messages = vec![json!({"role": "system", "content": "You answer in one sentence."})];
    let whole = |messages: &[Value]| {
        let stream = if stream { r#""stream":true,"# } else { "" };
        let messages = Value::from(messages);
        format!(r#"{{"model":"{MODEL}","temperature":0.2,{stream}"messages":{messages}}}"#)
    };
    let empty = whole(&[]).len();
    let mut length = whole(&messages).len();
    for turn in 0.. {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        // Code and quotes: what JSON has to escape.
        let content = format!("{}\n\tlet x = \"y\";\n", text(1000));
        let mut message = json!({"role": role, "content": content});
        let last = length + message.to_string().len() + 2000 > size.max(empty);
        if last && role == "user" {
            message["content"] = "".into();
            let content = size.saturating_sub(length + 1 + message.to_string().len());
            message["content"] = text(content).into();
            messages.push(message);
            break;
        }
        length += message.to_string().len() + 1;
        messages.push(message);
    }
    whole(&messages).into()
}

/// Exactly `size` bytes of words.
fn text(size: usize) -> String {
    const WORDS: &str =
        "What does a proxy do between a client and its server, and what does it cost? ";
    WORDS.chars().cycle().take(size).collect()
}

/// How a body ends behind its last text.
const END: &str = r#"","role":"user"}]}"#;
const CONNECTIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_chats_differ_in_their_last_message_only() {
        let Load { body: Body::Numbered { text, number }, .. } = different_chats(300) else {
            panic!("no number");
        };
        let mut numbered = text.to_vec();
        numbered[number].copy_from_slice(b"0123456789012345");
        let json: Value = serde_json::from_slice(&numbered).unwrap();
        let last = json["messages"].as_array().unwrap().last().unwrap();
        assert!(last["content"].as_str().unwrap().ends_with("0123456789012345"));
        assert_eq!(last["role"], "user");
    }

    #[test]
    fn a_request_has_exactly_the_size_that_it_is_named_after() {
        for size in [300, 4096, 16 << 10, 1 << 20] {
            for stream in [false, true] {
                let body = body(size, stream);
                let json: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(body.len(), size);
                assert_eq!(json["model"], MODEL);
                let last = json["messages"].as_array().unwrap().last().unwrap();
                assert_eq!(last["role"], "user");
            }
        }
    }
}
