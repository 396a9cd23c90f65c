//! OpenAI chat completions at Ollama's own API, which can do more than its copy of OpenAI's.
//!
//! | OpenAI | Ollama |
//! |---|---|
//! | `developer` messages | `system` messages |
//! | text parts | one text, a line each |
//! | `image_url` with a data URL | `images` |
//! | `refusal` of an earlier answer | its text |
//! | `reasoning_content` of earlier answers | `thinking` |
//! | `tool_calls` | the same, with the arguments as an object |
//! | tool results | with the name of the tool, found by the id of the call |
//! | `tools`, `functions`, `tool_choice: none` | `tools`; none |
//! | a `custom` tool, its calls | a function of one text, `input`; told as `custom` again |
//! | arguments of earlier calls that are no object | `{"INVALID_JSON": "..."}` |
//! | `max_completion_tokens`, `max_tokens`, `stop`, `seed`, sampling and penalties | in `options` |
//! | `response_format` | `format`: `"json"` or the schema |
//! | `reasoning_effort` | `think`: true or false; the level for gpt-oss |
//!
//! Refused: images by link, audio and files, `tool_choice` `required` or a function (Ollama cannot
//! force a call), `n` above 1, `logprobs`, `top_logprobs`, `logit_bias`, `audio`, `modalities` but
//! text, `web_search_options`, results of calls that were not made.
//!
//! Left out with a warning: tools of other types, a message's `name`, an image's `detail`, `parallel_tool_calls: false`, `strict` of tools,
//! `user`, `safety_identifier`, `thinking`, all fields that are not known here.
//!
//! Answers: `thinking` becomes `reasoning_content`. Done reasons: `length`: `length`; others:
//! `tool_calls` where there are any, else `stop`. Calls without an id get one.

mod request;
mod response;

pub(super) use request::request;
pub(super) use response::{Stream, error, response};
