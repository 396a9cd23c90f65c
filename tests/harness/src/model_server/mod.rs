//! The built-in model server: speaks the providers' protocols, answers at once and always the same,
//! and fails as it is told to. The demo can run on it and the end-to-end tests do.
//!
//! OpenAI's protocol and Azure's form of it, Anthropic's, Gemini's, Bedrock's Converse, Cohere's
//! version 2, Ollama's. What its provider would refuse of a request is refused, in that provider's
//! words: unknown fields, wrong types, results of tools that were not called.
//!
//! # Answers
//! The text repeats the last user message, so different requests have different answers and equal
//! ones equal answers. It calls the tools whose names the last user message contains, in the order
//! in which the request defines them; the forced one if `tool_choice` forces one. Arguments and
//! structured outputs fit the JSON schema that the request gives.
//!
//! # Tokens
//! Input: one for each word (whitespace apart) of all text that the request gives to the model, one
//! for each image, file or tool definition; at least 1. Output: one for each piece that a stream
//! sends, which is a word with the white space before it, or 8 characters of tool arguments; one
//! more for each tool call. Embeddings: input only.
//!
//! # Controls
//! By request header `x-sim: key=value; key=value`, or behind the model's name, which works through
//! any translation whose target has the model in the body: `sim-model+status=503+delay=20`. Answers
//! name the bare model. Where one request may come to several servers, `x-sim-NAME` is for the one
//! of that name. A control that does not exist is answered with 400.
//!
//! | control | effect |
//! |---|---|
//! | `status=N` | an error of that status in the provider's own shape; below 400: the usual answer with that status. 429, 503 and 529 have `retry-after` |
//! | `body=provider\|html\|plain\|empty` | the body of the error |
//! | `fail-first=N:STATUS` | the first N requests with this same body have that error, the later ones none |
//! | `key=KEY` | the key that the request has to bring |
//! | `delay=MS` | time before anything is answered, so the time to the first token |
//! | `pause=MS` | time between tokens |
//! | `stall=headers\|body\|midtoken` | never answers; stops after the headers; stops in the middle of an event |
//! | `reset=headers` | the connection ends before any byte |
//! | `cut=N` | after N events (of a document: bytes) the connection breaks, before the last event at the latest. HTTP/2: the stream is reset |
//! | `end-early=N` | after N events (of a document: bytes) the body ends cleanly, before the last event at the latest |
//! | `error-event=N` | after N events the provider's in-stream error, then the end |
//! | `split=N` | a separate flush every N bytes, within events and UTF-8 characters too |
//! | `gap=MS` | time after each flush, which keeps the pieces of `split` apart on the network |
//! | `usage=none` | no usage is reported |
//! | `cached=N` | N input tokens are reported as read from the provider's cache |
//! | `cache-write=N` | N input tokens are reported as written to it |
//! | `tokens=N` | the length of the text |
//! | `size=BYTES` | the text is padded to that size |
//! | `finish=length` | the answer ends for its length |
//! | `tools=N` | N tool calls, whatever the message says |
//! | `unicode=1` | the text has characters of two, three and four bytes, combining and joined |
//! | `header=NAME:VALUE` | a response header |
//! | `trailer=NAME:VALUE` | a response trailer |
//! | `crlf=lf\|crlf\|cr` | the line ends of SSE |
//! | `bom=1` | a byte order mark before the first event |
//! | `comments=1` | an SSE comment before each event |
//! | `encoding=gzip` | compressed, if the request accepts it |

mod answer;
mod anthropic;
mod bedrock;
mod call;
mod cohere;
mod control;
mod frame;
mod gemini;
mod ollama;
mod openai;
mod record;
mod route;
mod script;
mod serve;
mod shape;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio::runtime::Runtime;

pub use self::record::{
    MAX_RECORDED, MAX_RECORDED_BYTES, MAX_RECORDED_CHUNKS, Outcome, Recorded, Sent,
};

/// How a server behaves when a request says nothing.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lower case; the header `x-sim-NAME` is for this server only.
    pub name: Option<String>,
    /// On 127.0.0.1; 0: any free one.
    pub port: u16,
    /// Between tokens.
    pub pause: Duration,
    /// The key that every request has to bring, in whatever header its provider uses.
    pub key: Option<String>,
    /// Controls for every request, before its own.
    pub controls: String,
    /// What listings name. Other models are answered all the same.
    pub models: Vec<String>,
    /// Models that do not exist.
    pub unknown_models: Vec<String>,
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            port: 0,
            pause: Duration::ZERO,
            key: None,
            controls: String::new(),
            models: ["sim-model", "sim-small", "sim-embedding"].map(str::to_owned).to_vec(),
            unknown_models: Vec::new(),
            threads: 1,
        }
    }
}

/// A running server, on a runtime of its own. Dropped, it stops and breaks its connections.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    state: Arc<serve::State>,
    runtime: Option<Runtime>,
}

impl ModelServer {
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads)
            .thread_name("model-server")
            .enable_all()
            .build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let state = Arc::new(serve::State::new(options));
        runtime.spawn(serve::accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, runtime: Some(runtime) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests since the start or the last [`clear`](Self::clear), in order of arrival, as far
    /// as they are still kept.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.recorder.all()
    }

    /// How many requests there were since the start.
    pub fn total(&self) -> usize {
        self.state.recorder.total()
    }

    /// Forgets the requests so far, and what `fail-first` counted.
    pub fn clear(&self) {
        self.state.clear();
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
