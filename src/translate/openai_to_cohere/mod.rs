//! OpenAI chat completions at Cohere's API, version 2.
//!
//! | OpenAI | Cohere |
//! |---|---|
//! | `developer` messages | `system` messages |
//! | text and `image_url` parts, `tool_calls`, tool results | the same |
//! | `function_call`, `function` messages | calls with an id of ours |
//! | `tools`, `functions` | `tools`; `strict_tools` if all are strict |
//! | a `custom` tool, its calls | a function of one text, `input`; told as `custom` again |
//! | arguments of earlier calls that are no object | `{"INVALID_JSON": "..."}` |
//! | `tool_choice` `auto`, `none`, `required`, a function | none, `NONE`, `REQUIRED`, `REQUIRED` with only that tool |
//! | `max_completion_tokens`, `max_tokens`, `stop`, `top_p`, `top_k`, `temperature`, `seed` | `max_tokens`, `stop_sequences`, `p` of 0.01 to 0.99, `k`, the same |
//! | `response_format` | `json_object`, with the schema |
//! | `reasoning_effort` for reasoning models | `thinking` with 1024, 4096 or any number of tokens |
//!
//! Refused: audio and files, `n` above 1, `logprobs`, `top_logprobs`, `logit_bias`, `audio`,
//! `modalities` but text, `web_search_options`, a forced call of a tool of another type.
//!
//! Left out with a warning: tools of other types, a message's `name`, `parallel_tool_calls: false`, `strict` of some
//! tools, `user`, `safety_identifier`, `thinking`, `reasoning_effort` for other models, all fields
//! that are not known here, more than five stop sequences; penalties outside of 0 to 1 and `top_p` outside of 0.01 to 0.99 become
//! the nearest.
//!
//! Answers: `thinking` and the plan for tools become `reasoning_content`. Finish reasons:
//! `COMPLETE`, `STOP_SEQUENCE`: `stop`; `MAX_TOKENS`: `length`; `TOOL_CALL`: `tool_calls`; `ERROR`
//! and `TIMEOUT` are errors. Citations are left out.

mod request;
mod response;

pub(super) use request::request;
pub(super) use response::{Stream, error, response};
