//! The same request to both at once, and what became of each.

use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::World;
use crate::wire::Request;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) pairs: u64,
    pub(super) hostile: u64,
    /// The bare Envoy had an answer and the gateway none.
    pub(super) lost: u64,
    /// The other way round.
    pub(super) kept: u64,
    /// Of the same two while an upstream was away: those that differ differ by chance.
    pub(super) away: [u64; 2],
    neither: u64,
    pub(super) examples: Vec<String>,
}

impl Counts {
    pub(super) fn add(&mut self, pair: Pair) {
        self.pairs += 1;
        self.hostile += u64::from(pair.hostile);
        match (pair.gateway.is_kept, pair.bare.is_kept) {
            (true, true) => {}
            (false, false) => self.neither += 1,
            (gateway, _) if pair.away => self.away[usize::from(gateway)] += 1,
            (true, false) => self.kept += 1,
            (false, true) => {
                self.lost += 1;
                if self.examples.len() < EXAMPLES {
                    self.examples.push(format!(
                        "{}: gateway {}, bare {}",
                        pair.what, pair.gateway.said, pair.bare.said
                    ));
                }
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairs, hostile, lost, kept, away: [lost_away, kept_away], neither, .. } = self;
        write!(
            f,
            "{pairs} pairs ({hostile} hostile): {lost} lost by the gateway alone, {kept} by the bare Envoy alone, {neither} by both; while an upstream was away {lost_away} and {kept_away}"
        )
    }
}

/// One request and its two ends.
#[derive(Debug)]
pub(super) struct Pair {
    what: String,
    hostile: bool,
    /// An upstream died or came back meanwhile.
    away: bool,
    gateway: End,
    bare: End,
}

#[derive(Debug)]
struct End {
    /// A caller can make something of it.
    is_kept: bool,
    said: String,
}

pub(super) fn pair(world: &World, dice: &mut Dice) -> Pair {
    let Sent { request, hostile, what, leaves, stalls } = sent(dice);
    let epoch = world.epoch();
    let [gateway, bare] = world.addresses();
    let (gateway, bare) = thread::scope(|scope| {
        let other = scope.spawn(|| end(&request, bare, hostile, leaves, stalls));
        (end(&request, gateway, hostile, leaves, stalls), other.join())
    });
    let bare = bare.unwrap_or_else(|_| End { is_kept: false, said: "a panic".into() });
    let away = epoch % 2 == 1 || world.epoch() != epoch;
    Pair { what, hostile, away, gateway, bare }
}

/// Of a hostile provider, any whole answer is one that a caller can use, and so is a stream that
/// breaks after it began: the bare Envoy has no better one.
fn end(request: &Request, server: SocketAddr, hostile: bool, leaves: bool, stalls: bool) -> End {
    if leaves {
        let said = match request.open(server).and_then(|mut exchange| exchange.wait_for("HTTP/1.1"))
        {
            Ok(()) => "an answer, left",
            Err(_) => "nothing",
        };
        return End { is_kept: said != "nothing" || hostile, said: said.into() };
    }
    match request.send(server) {
        Ok(answer) => {
            let empty = answer.status >= 500 && answer.body.is_empty();
            let good = answer.status == 200 && answer.complete;
            let is_kept =
                if hostile { !empty || answer.complete && answer.status < 500 } else { good };
            let whole = if answer.complete { "whole" } else { "cut" };
            let text: String = String::from_utf8_lossy(&answer.body).chars().take(120).collect();
            End { is_kept, said: format!("{} {whole} {text:?}", answer.status) }
        }
        // Who waits for what never comes goes away at last.
        Err(why) => End { is_kept: stalls, said: format!("{why:#}") },
    }
}

struct Sent {
    request: Request,
    hostile: bool,
    what: String,
    /// The client leaves as soon as it has an answer's head.
    leaves: bool,
    /// The provider stops in the midst.
    stalls: bool,
}

fn sent(dice: &mut Dice) -> Sent {
    let to = if dice.below(2) == 0 { "steady" } else { "dying" };
    let both = dice.below(6) == 0;
    let model = if both { "both".to_owned() } else { format!("{to}/sim-model") };
    // Some are asked again and again, and come from the cache.
    let text = match dice.below(4) {
        0 => format!("again {}", dice.below(40)),
        _ => format!("only once {}", dice.next()),
    };
    let padding =
        if dice.below(20) == 0 { "word ".repeat(dice.below(20_000)) } else { String::new() };
    let text = format!("{text} {padding}");
    let message = json!([{"role": "user", "content": text}]);
    let stream = dice.below(3) == 0;
    let (path, body): (_, Value) = match dice.below(6) {
        0 => ("/v1/embeddings", json!({"model": model, "input": text})),
        1 => (
            "/v1/messages",
            json!({"model": model, "max_tokens": 64, "stream": stream, "messages": message}),
        ),
        2 => ("/v1/responses", json!({"model": model, "input": text, "stream": stream})),
        _ => {
            ("/v1/chat/completions", json!({"model": model, "stream": stream, "messages": message}))
        }
    };
    let controls = if dice.below(3) == 0 { Some(dice.pick(&HOSTILE)) } else { None };
    let mut request = Request::post(path, &body).patience(Duration::from_secs(20));
    // Only one of its servers is to be away at a time.
    request = request.header("x-to", if both { "steady" } else { to });
    if let Some(controls) = controls {
        request = request.header("x-sim", controls).patience(Duration::from_millis(1500));
    }
    let leaves = dice.below(12) == 0;
    let what =
        format!("{path} of {model}, stream {stream}, {}", controls.unwrap_or("a good provider"));
    let stalls = controls.is_some_and(|controls| controls.starts_with("stall"));
    Sent { request, hostile: controls.is_some(), what, leaves, stalls }
}

/// In the words of the model server.
const HOSTILE: [&str; 22] = [
    "status=500",
    "status=503",
    "status=529",
    "status=429",
    "status=400",
    "status=401",
    "status=404; body=html",
    "status=502; body=empty",
    "status=500; body=plain",
    "stall=headers",
    "stall=body",
    "stall=midtoken",
    "reset=headers",
    "cut=2",
    "cut=0",
    "end-early=1",
    "end-early=3",
    "error-event=1",
    "usage=none; split=1",
    "split=3; unicode=1; comments=1; crlf=cr",
    "size=300000",
    "delay=100; pause=20",
];

/// SplitMix64.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

const EXAMPLES: usize = 10;
