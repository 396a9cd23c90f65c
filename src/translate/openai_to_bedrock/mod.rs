//! OpenAI chat completions at Amazon Bedrock's Converse API.
//!
//! | OpenAI | Bedrock |
//! |---|---|
//! | `system`, `developer` messages | `system`, in their order, wherever they stand |
//! | only system messages; a conversation that an answer begins | a user's message of them; one of a dot before it |
//! | messages of one role in a row, tool results | one message |
//! | `image_url` and `file` with a data URL, `input_audio` | `image`, `document`, `audio` |
//! | a document alone; documents of one name | a dot beside it; a number behind it |
//! | `thinking_blocks` | `reasoningContent` |
//! | `cache_control` on messages, parts, tools | a `cachePoint` behind them |
//! | `tools`, `functions`; calls without any | `toolSpec`s; one for each name that was called, for Bedrock wants them |
//! | a `custom` tool, its calls | a tool of one text, `input`; told as `custom` again |
//! | names of tools that are too long, or have other letters | a short form; told as they were |
//! | arguments of earlier calls that are no object | `{"INVALID_JSON": "..."}` |
//! | `tool_choice` `auto`, `none`, `required`, a function | `auto`, no tools, `any`, `tool` |
//! | `max_completion_tokens`, `max_tokens`, `stop`, `temperature`, `top_p` | `inferenceConfig` |
//! | `response_format: json_schema` | `outputConfig.textFormat` |
//! | `response_format: json_object` | a sentence in `system` |
//! | `reasoning_effort`, `thinking`, `top_k` for Claude | as at Anthropic, in `additionalModelRequestFields` and `outputConfig.effort` |
//! | `reasoning_effort` for OpenAI's open models | the same, in `additionalModelRequestFields` |
//!
//! Refused: images by link or of other kinds, files by id, `tool_choice: none` after calls, `n`
//! above 1, `logprobs`, `top_logprobs`, `logit_bias`, `audio`, `modalities` but text,
//! `web_search_options`, a forced call of a tool of another type.
//!
//! Left out with a warning: tools of other types, a message's `name`, an image's `detail`, `temperature` above 1 is 1; `seed`, penalties,
//! `parallel_tool_calls: false`, `user`, `safety_identifier`; `reasoning_effort`, `thinking`,
//! `top_k` for other models; sampling parameters that a Claude does not take; stop sequences of white
//! space only or more than the model takes; a limit beyond the model's own becomes that; all fields
//! that are not known here. Left out without one: `cache_control` where the model cannot be told
//! what to cache.
//!
//! Answers: `reasoningContent` becomes `reasoning_content` and `thinking_blocks`. Stop reasons:
//! `end_turn`, `stop_sequence`: `stop`; `max_tokens`, `model_context_window_exceeded`: `length`;
//! `tool_use`: `tool_calls`; `guardrail_intervened`, `content_filtered`: `content_filter`; others:
//! `stop`; `malformed_model_output` and `malformed_tool_use` are errors. Exceptions within a stream are errors with their meaning.

mod messages;
mod request;
mod response;
mod stream;

pub(super) use request::request;
pub(super) use response::{error, response};
pub(super) use stream::Stream;
