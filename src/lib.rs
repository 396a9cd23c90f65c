//! An LLM gateway that lives inside Envoy: one `.wasm` file, loaded twice.
//!
//! # The two roles
//!
//! `root_id: gateway` is an HTTP filter of a listener. It speaks the client's protocol: who calls,
//! what is asked, what is allowed, where it goes, what it used. `root_id: provider` is an upstream
//! HTTP filter of a cluster and runs once per attempt: credentials, host, path and the provider's
//! own protocol. They share nothing but filter state ([`handoff`]).
//!
//! # The life of a request
//!
//! 1. `plugin` gets a callback; [`runtime`] finds the stream's state and hands it an [`host::Event`].
//! 2. [`exchange`] reads all headers in one call, removes what clients must not say, names the
//!    request and its caller ([`identity`]), and waits for the body.
//! 3. One pass over the body ([`protocol::probe`]) finds model, stream and needs. [`routing`] makes
//!    of them an ordered chain of providers, [`limit`] counts the request and reserves what it may
//!    use.
//! 4. The body's model becomes the provider's by an edit of its bytes ([`protocol::edit`]). Filter
//!    state names the cluster; Envoy routes.
//! 5. [`attempt`], in the provider's cluster, makes the request that provider's own. If it fails,
//!    Envoy asks filter state again, and the next attempt starts from the original.
//!    Where the provider speaks another protocol, [`translate`] does request, answer and stream.
//! 6. The answer passes as it comes; [`protocol::stream`] and [`protocol::usage`] read it on the
//!    way. Errors of Envoy and of providers become the caller's dialect ([`error`]).
//! 7. However it ends, the exchange is settled once: limits get the truth, [`metrics`] count,
//!    filter state tells the access log, [`mod@log`] writes a line.
//!
//! # The tree
//!
//! Imports only go down; the modules of one floor know nothing of each other. A test checks it.
//!
//! | floor | module | what it holds |
//! |---|---|---|
//! | 10 | `plugin` | Envoy's callbacks; wasm only |
//! | 9 | [`runtime`] | the contexts of one worker: streams, their configurations, who waits |
//! | 8 | [`exchange`] | the gateway role, a state machine |
//! | 8 | [`attempt`] | the provider role, a state machine |
//! | 7 | [`config`] | what the user wrote, checked whole and resolved once |
//! | 6 | [`limit`] | rate limits: arithmetic, rules, reservations |
//! | 6 | [`cache`] | answers by digest, in bounded slots |
//! | 5 | [`translate`] | calls from one protocol to another, pure |
//! | 5 | [`store`] | slots of shared data and the one compare-and-swap loop |
//! | 5 | [`metrics`] | every metric, defined once |
//! | 6 | [`held`] | the bytes that a worker holds, and their budget |
//! | 5 | [`handoff`] | what the two roles tell each other |
//! | 5 | [`log`](mod@log) | JSON lines |
//! | 5 | [`translate`] | requests, answers, errors and streams of one protocol as those of another |
//! | 5 | [`closed`] | what happens where nobody can judge: nothing passes |
//! | 4 | [`identity`] | request ids, addresses, consumers and what they may ask for |
//! | 3 | [`routing`] | from a model to a chain of providers |
//! | 2 | [`price`] | what tokens cost, in integers |
//! | 1 | [`protocol`] | wire formats of clients and providers |
//! | 0 | [`error`] | the one table of refusals |
//! | 0 | [`host`] | what Envoy does for us, as traits; the only other file that knows Envoy is `host/wasm.rs` |
//!
//! # Where well-known names are
//!
//! | name | here |
//! |---|---|
//! | BaseError and its kinds | [`error::Error`], [`error::Kind`] |
//! | ChatCompletionRequest, ChatCompletionResponse, Message, EmbeddingRequest, EmbeddingResponse | [`protocol::openai`] |
//! | ModelInfo | [`protocol::models::ModelInfo`] |
//! | Usage | [`protocol::usage::Usage`] |
//! | ModelCapability | [`routing::Capabilities`] |
//! | get_provider_mapping | [`routing::Table::mapping`], [`routing::Table::resolve`] |
//! | get_compatible_providers | [`routing::Table::compatible`] |
//! | log_request, log_response, log_error | [`log::log_request`], [`log::log_response`], [`log::log_error`] |
//! | generate_request_id | [`identity::RequestId`] |
//! | get_client_ip | [`identity::client_ip`] |
//! | get_timestamp | [`host::Clock::now`], shown by [`host::Rfc3339`] |
//! | is_rate_limited | [`limit::Limiter::admit_request`], [`limit::Ticket::reserve`]: decisions, not a bool |
//! | CACHE_KEY_PREFIX, calculate_hash | [`cache::key`] |
//! | cache_get, cache_set with a ttl | [`cache::Cache::lookup`], [`cache::Cache::store`] |

#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::panic, clippy::unreachable))]

pub mod attempt;
pub mod cache;
pub mod closed;
pub mod config;
pub mod error;
pub mod exchange;
pub mod handoff;
pub mod held;
pub mod host;
pub mod identity;
pub mod limit;
pub mod log;
pub mod metrics;
#[cfg(target_arch = "wasm32")]
mod plugin;
pub mod price;
pub mod protocol;
pub mod routing;
pub mod runtime;
pub mod store;
pub mod translate;
