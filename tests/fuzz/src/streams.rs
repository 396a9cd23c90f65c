//! Answers that stream by: the same whatever the chunks.

use llm_gateway::protocol::sse::{Decoder, Format, Frame};
use llm_gateway::protocol::stream::{End, Relay, Relayed};
use llm_gateway::protocol::usage::{MAX_COUNT, Meter, Quality};

use super::{operation, pieces};

pub(crate) fn relay(data: &[u8]) {
    let Some((operation, data)) = operation(data) else { return };
    let [flags, seed, body @ ..] = data else { return };
    for format in [Format::EventStream, Format::JsonLines] {
        frames(format, body, *seed);
    }
    let asked = flags & 1 == 1;
    let relayed = |cut: &mut dyn Iterator<Item = &[u8]>| {
        let mut relay = Relay::new(operation, asked)?;
        let mut out = Vec::new();
        for chunk in cut {
            match relay.chunk(chunk) {
                Relayed::Unchanged => out.extend_from_slice(chunk),
                Relayed::Replaced(bytes) => out.extend_from_slice(bytes),
            }
        }
        let usage = relay.usage(1);
        Some((out, relay.end("id"), relay.phase(), relay.content_events(), usage))
    };
    let Some(whole) = relayed(&mut std::iter::once(body)) else { return };
    let cut = relayed(&mut pieces(body, *seed)).expect("the same operation");
    assert_eq!(whole, cut);

    let (out, end, ..) = whole;
    assert!(is_subsequence(&out, body), "bytes were added within the stream");
    let append = match end {
        // Where the model said why it ended, and its server forgot to say that it is done.
        End::Complete { append } if append.ends_with(b"data: [DONE]\n\n") => {
            append[..append.len() - 14].trim_ascii_end().to_vec()
        }
        End::Complete { append } | End::Failed { append } => append,
        End::Cut { append } => {
            assert!(!append.is_empty(), "a cut stream ends without an error");
            return;
        }
    };
    assert!(is_subsequence(&[out, append].concat(), body), "bytes were added at the end");
}

/// The frames and what is left at the end are the body.
fn frames(format: Format, body: &[u8], seed: u8) {
    let mut decoder = Decoder::new(format);
    let mut all = Vec::new();
    for chunk in pieces(body, seed) {
        let mut rest = chunk;
        while let Some(piece) = decoder.next(rest) {
            all.extend_from_slice(match piece.frame {
                Frame::Whole(bytes) | Frame::Rest(bytes) | Frame::Excess(bytes) => bytes,
            });
            rest = &rest[piece.taken..];
        }
    }
    all.extend_from_slice(match decoder.finish() {
        Frame::Whole(bytes) | Frame::Rest(bytes) | Frame::Excess(bytes) => bytes,
    });
    assert_eq!(all, body);
}

/// What is counted does not depend on the chunks.
pub(crate) fn usage(data: &[u8]) {
    let Some((operation, data)) = operation(data) else { return };
    let Some((&seed, body)) = data.split_first() else { return };
    let mut whole = Meter::new(operation);
    whole.chunk(body);
    let mut cut = Meter::new(operation);
    pieces(body, seed).for_each(|chunk| cut.chunk(chunk));
    assert_eq!(whole.usage(7), cut.usage(7));
    let (usage, quality) = whole.usage(7);
    assert!(usage.cached_input.saturating_add(usage.cache_write) <= usage.input, "{usage:?}");
    assert!(usage.reasoning <= usage.output, "{usage:?}");
    let possible = |count: u64| count <= MAX_COUNT.max(body.len() as u64);
    assert!(possible(usage.input) && possible(usage.output), "{usage:?}");
    assert!(quality != Quality::Exact || usage.input > 0, "nobody asks nothing");
}

fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}
