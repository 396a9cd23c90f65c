//! Anthropic messages at a server that speaks OpenAI's chat completions.
//!
//! | Anthropic | OpenAI |
//! |---|---|
//! | `system` | the first message, as one text |
//! | `tool_result` blocks | `tool` messages; their images follow in the user's message |
//! | `image`, `document` in base64 | `image_url` and `file` with a data URL; documents of text as text |
//! | `tool_use` | `tool_calls` |
//! | `search_result`, `tool_reference` | text |
//! | ids over 40 characters, names of tools over 64 | a short form; names are told as they were |
//! | `tools`, `tool_choice` `auto`, `any`, `tool`, `none` | `tools`, `tool_choice` `auto`, `required`, a function, `none` |
//! | `disable_parallel_tool_use` | `parallel_tool_calls: false` |
//! | `max_tokens` | the same; `max_completion_tokens` for OpenAI's reasoning models |
//! | `output_config.format` | `response_format`, strict if OpenAI's rules for that are kept |
//! | `thinking`, `output_config.effort`, also of a `system` message in the midst | `reasoning_effort` for OpenAI's reasoning models, the nearest word that the model knows |
//! | `metadata.user_id` | `user`, up to 64 characters |
//! | `stream` | also `stream_options.include_usage`, for Anthropic always tells |
//!
//! Refused: a forced call of a tool that runs at the provider, images and documents by file id,
//! documents by URL, blocks that are not known here in a message of the user.
//!
//! Left out with a warning: tools that run at the provider or that only its models know,
//! `mcp_servers`, `top_k`; `temperature`, `top_p` and stop sequences for OpenAI's reasoning models,
//! more than four of them for its others; a limit beyond the model's own becomes that; an effort
//! where its chat completions take none beside tools;
//! `thinking` for others; a `user_id` that is too long; a document's `context`, and its `title`
//! where it is a text; all fields that are not known here. Left out without one, because nothing is
//! lost: `cache_control`, earlier thinking, `is_error`.
//!
//! Answers: `reasoning_content` or `reasoning` becomes a `thinking` block without a signature, if
//! thinking was asked for. Finish reasons: `stop`: `end_turn`; `length`: `max_tokens`; `tool_calls`:
//! `tool_use`; `content_filter` and refusals: `refusal`. Arguments that are no JSON are kept as
//! `{"INVALID_JSON": "..."}`. In a stream `message_start` says 0 tokens, `message_delta` how many.

mod messages;
mod request;
mod response;
mod stream;

pub(super) use super::failure::openai as error;
pub(super) use request::request;
pub(super) use response::response;
pub(super) use stream::Stream;
