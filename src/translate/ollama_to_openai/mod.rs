//! Ollama's chat at a server that speaks OpenAI's chat completions.
//!
//! | Ollama | OpenAI |
//! |---|---|
//! | `messages` | the same; calls without an id get one |
//! | `images`, whose type is known from how they begin | `image_url` with a data URL |
//! | the result of a tool | a `tool` message, for the call of its id, else for the first of its name that has no answer yet |
//! | `tools` | the same |
//! | `format` `json` or a schema | `response_format`, strict if OpenAI's rules for that are kept |
//! | `options.num_predict` above 0 | `max_tokens`; `max_completion_tokens` for OpenAI's reasoning models |
//! | `options` `stop`, `seed`, `temperature`, `top_p` and penalties | the same |
//! | `think` true, false, `low`, `medium`, `high` | `reasoning_effort` `medium`, `none`, the same: the nearest that the model knows |
//! | `stream`, which is true if nothing is said | the same, also `stream_options.include_usage`, for Ollama always tells |
//!
//! Refused: no messages, which loads a model; images of other types, results of calls that were not
//! made, `logprobs`.
//!
//! Left out with a warning: `options` that are not known here (`num_ctx` and what else is about the
//! machine), `options.top_k`; `temperature`, `top_p`, penalties and `stop` for OpenAI's reasoning
//! models, more than four stop sequences for its others; a limit beyond the model's own becomes that;
//! `think` for others; all fields that are not known here. Left out without one: `keep_alive`,
//! thinking of earlier turns.
//!
//! Answers: `reasoning_content` or `reasoning` becomes `thinking`, unless `think` is false. Finish
//! reasons: `length`: the same; others: `stop`. Arguments that are no JSON are kept as
//! `{"INVALID_JSON": "..."}`. In a stream calls come whole, before the last line. Durations are
//! those of the call as it is seen from here: `prompt_eval_duration` until the first token,
//! `load_duration` 0.

mod request;

use super::ollama::{self, Lines, Said};
use super::{Asked, Context};
use crate::error::Error;

pub(super) use super::failure::openai as error;
pub(super) use request::request;

pub(super) fn response(body: &[u8], context: &Context, asked: &Asked) -> Result<Vec<u8>, Error> {
    ollama::response(body, Said::Chat, context, asked)
}

pub(super) struct Stream(Lines);

impl Stream {
    pub(super) fn new(context: &Context, asked: &Asked) -> Self {
        Self(Lines::new(Said::Chat, context, asked))
    }

    /// How many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        self.0.kept()
    }

    pub(super) fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.0.event(name, data, out)
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.end(out)
    }
}
