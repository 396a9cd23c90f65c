//! OpenAI's responses API at a server that only knows chat completions.
//!
//! | responses | chat completions |
//! |---|---|
//! | `instructions` | the first message, of the system |
//! | `input`: a text; messages | a message of the user; messages |
//! | `function_call` items in a row, after an answer | the `tool_calls` of one message, of that answer |
//! | `function_call_output` | a `tool` message; its images and files follow in a message of the user |
//! | `input_image`, `input_file` with data or an id | `image_url`, `file` |
//! | `tools`, `tool_choice` | the same, one level deeper |
//! | a `custom` tool, its calls and results | a function of one text, `input`; told as `custom` again |
//! | the tools of a `namespace` | functions named `NAMESPACE__NAME`; told with both again |
//! | `local_shell_call` and its kin, which the caller carries out | calls of functions of these names |
//! | ids over 40 characters, names of tools over 64 | a short form; names are told as they were |
//! | `text.format` | `response_format` |
//! | `text.verbosity`, `reasoning.effort` | `verbosity`, `reasoning_effort`, the nearest that the model knows |
//! | `max_output_tokens` | `max_tokens`; `max_completion_tokens` for OpenAI's reasoning models |
//! | `stream` | also `stream_options.include_usage`, for this API always tells |
//!
//! Refused: what lives at OpenAI: `previous_response_id`, `conversation`, `prompt`, `background`,
//! items by reference but reasoning (a client that refers to them by itself wants to be told
//! `store: false`), images by reference, files by link, a forced call of a tool that runs there;
//! `top_logprobs`.
//!
//! Left out with a warning: tools that run at OpenAI (`web_search` and all types but `function`,
//! `custom` and `namespace`), what they did in earlier turns; `temperature`, `top_p` for its
//! reasoning models, an effort that a model does not take; a limit beyond the model's own becomes
//! that; all fields that are not known here. Left out without one: reasoning of
//! earlier turns, `metadata` (the answer has it), `store: false`.
//!
//! Answers: one item each for reasoning (as a summary), for what is said and for every call; the
//! fields of the request are told again. Finish reasons: `length`, `content_filter`: `incomplete`
//! with the reason; others: `completed`.

mod items;
mod request;
mod response;
mod stream;
mod tools;

pub(super) use super::failure::openai as error;
pub(super) use request::request;
pub(super) use response::response;
pub(super) use stream::Stream;
