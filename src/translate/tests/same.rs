//! A provider's answer says the same whole and as a stream: each is made of one answer by chance,
//! translated, and read as the client's SDK would read it.

mod client;
mod provider;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::context;

/// What a model has said, before any provider puts it into its words.
#[derive(Clone, Debug)]
struct Said {
    blocks: Vec<Block>,
    end: End,
    /// Where a provider has a word of its own for it.
    refusal: Option<String>,
    /// What was thought is told as a plan, where a provider does so before calls.
    plans: bool,
    /// Input, of it read from a cache, output, of it reasoning.
    usage: [u64; 4],
    /// Into how many pieces a text is cut.
    pieces: usize,
}

#[derive(Clone, Debug)]
enum Block {
    Thinking { text: String, signature: Option<String> },
    Redacted(String),
    Text(String),
    Call { name: String, arguments: Value },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stop,
    Length,
    Filtered,
}

/// What a client's program sees of an answer.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    id: String,
    model: String,
    text: String,
    refusal: String,
    thinking: String,
    /// What has to come back unchanged.
    signed: Vec<Value>,
    /// Id, name, arguments.
    calls: Vec<(String, String, Value)>,
    end: String,
    usage: Value,
}

impl Said {
    /// A provider signs all that its model thinks, or nothing.
    fn signed(mut self, signs: bool) -> Self {
        for block in &mut self.blocks {
            if let Block::Thinking { signature, .. } = block {
                *signature = signs.then(|| "c2lnbmVk".into());
            }
        }
        self.blocks.retain(|block| signs || !matches!(block, Block::Redacted(_)));
        self
    }

    fn text(&self) -> String {
        let text = |block: &Block| match block {
            Block::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.blocks.iter().filter_map(text).collect()
    }

    fn thinking(&self) -> String {
        let text = |block: &Block| match block {
            Block::Thinking { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.blocks.iter().filter_map(text).collect()
    }

    fn calls(&self) -> Vec<(String, Value)> {
        let call = |block: &Block| match block {
            Block::Call { name, arguments } => Some((name.clone(), arguments.clone())),
            _ => None,
        };
        self.blocks.iter().filter_map(call).collect()
    }

    /// `text` in pieces, cut between characters.
    fn cut(&self, text: &str) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        let length = letters.len().div_ceil(self.pieces).max(1);
        letters.chunks(length).map(|piece| piece.iter().collect()).collect()
    }
}

/// All pairs that stream, alone and as two.
fn routes() -> Vec<Route> {
    let ends = |pair: &Pair| pair.name().split_once("_to_").unwrap();
    let chats = |pair: &&Pair| !pair.name().contains("embed");
    let all: Vec<Pair> = Pair::ALL.iter().filter(chats).copied().collect();
    let mut routes: Vec<Route> = all.iter().map(|pair| (*pair).into()).collect();
    for first in all.iter().filter(|pair| ends(pair).1 == "openai") {
        let second = all.iter().filter(|pair| ends(pair).0 == "openai");
        routes.extend(second.map(|second| Route::through(*first, *second)));
    }
    routes
}

fn seen(route: Route, said: &Said, stream: bool) -> Seen {
    let pairs: Vec<_> = route.pairs().map(Pair::name).collect();
    let (client, _) = pairs.first().unwrap().split_once("_to_").unwrap();
    let (_, provider) = pairs.last().unwrap().split_once("_to_").unwrap();
    let mut call = Call::new(route, Context { stream, ..context() });
    let _ = call.request(client::request(client, stream).to_string().as_bytes()).unwrap();
    let (content_type, body) = provider::answer(provider, said, stream);
    let mut answer = call.answer(200, content_type.as_bytes());
    assert_eq!(answer.is_stream(), stream);
    if !stream {
        return client::whole(client, &answer.whole(&body).unwrap());
    }
    let mut out = Vec::new();
    body.chunks(37).for_each(|chunk| answer.chunk(chunk, &mut out));
    answer.end(&mut out);
    client::stream(client, &out)
}

fn said() -> impl Strategy<Value = Said> {
    let text = || "[a-zé€🌍\"\\\\ \n]{1,12}";
    let arguments = prop_oneof![
        Just(json!({})),
        Just(json!({"city": "Rome"})),
        Just(json!({"a": [1, 2.5, null, true], "b": {"c": "\"é\n"}})),
    ];
    let block = prop_oneof![
        3 => text().prop_map(Block::Text),
        2 => text().prop_map(|text| Block::Thinking { text, signature: None }),
        1 => Just(Block::Redacted("ZGF0YQ==".into())),
        2 => ("[a-z_]{1,8}", arguments).prop_map(|(name, arguments)| Block::Call { name, arguments }),
    ];
    let end = prop_oneof![4 => Just(End::Stop), 1 => Just(End::Length), 1 => Just(End::Filtered)];
    let usage = (0u64..9, 0u64..9, 0u64..9, 0u64..9).prop_map(|(fresh, cached, said, thought)| {
        [fresh + cached, cached, said + thought, thought]
    });
    let refusal = prop::option::weighted(0.2, text());
    let flags = (any::<bool>(), any::<bool>());
    (prop::collection::vec(block, 0..6), end, refusal, usage, 1usize..5, flags).prop_map(
        |(blocks, end, refusal, usage, pieces, (plans, signs))| {
            Said { blocks, end, refusal, plans, usage, pieces }.signed(signs)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_says_what_the_whole_answer_says(said in said()) {
        for route in routes() {
            let whole = seen(route, &said, false);
            let streamed = seen(route, &said, true);
            let names: Vec<_> = route.pairs().map(Pair::name).collect();
            prop_assert_eq!(&whole, &streamed, "{:?}", names);
            // A client that has no word for a refusal gets it as text.
            let rest = whole.text.strip_prefix(&said.text());
            prop_assert!(rest == Some("") || rest == said.refusal.as_deref(), "{:?}", names);
            if names.first() == Some(&"ollama_generate_to_openai") {
                // It has no calls.
                continue;
            }
            let calls: Vec<_> = whole.calls.into_iter().map(|(_, name, arguments)| (name, arguments)).collect();
            prop_assert_eq!(calls, said.calls(), "{:?}", names);
            // A client that cannot sign it may not get it.
            let thinking = whole.thinking;
            prop_assert!(thinking == said.thinking() || thinking.is_empty(), "{:?}", names);
        }
    }
}
