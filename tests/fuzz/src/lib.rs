//! Fuzz targets: one function each, from any bytes to assertions. `fuzz_targets/` hands them to
//! libFuzzer, `replay.rs` runs the seeds through them in every test run.

#![allow(unreachable_pub, reason = "`replay.rs` has this file as a module")]

mod answers;
mod attempts;
mod bodies;
mod caching;
mod callers;
mod flights;
mod headers;
mod limits;
mod retries;
mod settings;
mod spellings;
mod streams;
mod translate;

use llm_gateway::protocol::Operation;

pub type Target = fn(&[u8]);

/// All targets by name; `seeds/` has a folder for each.
pub const TARGETS: [(&str, Target); 20] = [
    ("callers", callers::callers),
    ("canonical", caching::canonical),
    ("config", settings::config),
    ("conversion", answers::conversion),
    ("directives", answers::directives),
    ("edits", bodies::edits),
    ("flights", flights::flights),
    ("handoff", attempts::handoff),
    ("headers", headers::headers),
    ("limiter", limits::limiter),
    ("multipart", bodies::multipart),
    ("paths", attempts::paths),
    ("probe", bodies::probe),
    ("record", caching::record),
    ("relay", streams::relay),
    ("retries", retries::retries),
    ("spellings", spellings::spellings),
    ("table", answers::table),
    ("translate", translate::translate),
    ("usage", streams::usage),
];

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.expect("a target of TARGETS");
    target(data);
}

/// The first byte chooses, the rest is the input.
fn choose<'a, T: Copy>(data: &'a [u8], from: &[T]) -> Option<(T, &'a [u8])> {
    let (first, rest) = data.split_first()?;
    Some((from[usize::from(*first) % from.len()], rest))
}

fn operation(data: &[u8]) -> Option<(Operation, &[u8])> {
    choose(data, &Operation::ALL)
}

/// Cuts `data` into pieces of 0 to 7 bytes, other ones for another `seed`.
fn pieces(data: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    let mut state = u32::from(seed).wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (state >> 24) as usize % 8;
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        rest = tail;
        Some(piece)
    })
}
