//! OpenAI chat completions at Anthropic's messages API.
//!
//! | OpenAI | Anthropic |
//! |---|---|
//! | `system`, `developer` messages | `system`, in their order, wherever they stand |
//! | only system messages; a conversation that an answer begins | a user's message of them; one of a dot before it |
//! | messages of one role in a row, tool results | one message; results become its `tool_result` blocks |
//! | `image_url`, `file.file_data` | `image`, `document`, by URL or base64; a text file as text |
//! | an answer that the model is to go on with | the same, without white space at its end |
//! | `refusal` of an earlier answer | text |
//! | `thinking_blocks` | `thinking` and `redacted_thinking` blocks, unchanged; without a signature they are left out |
//! | `cache_control` on messages, parts, tools | the same on blocks and tools |
//! | `tools`, `functions` | `tools`; `strict` where the model knows it |
//! | a `custom` tool, its calls | a tool of one text, `input`; told as `custom` again |
//! | names of tools that are too long, or have other letters | a short form; told as they were |
//! | arguments of earlier calls that are no object | `{"INVALID_JSON": "..."}` |
//! | `tool_choice` `auto`, `none`, `required`, a function, allowed tools | `auto`, `none`, `any`, `tool`; other tools are taken out |
//! | `parallel_tool_calls: false` | `disable_parallel_tool_use` |
//! | `max_completion_tokens`, `max_tokens`, neither | `max_tokens`, at most what the model can write; all that it can write |
//! | `response_format: json_schema` | `output_config.format`, objects closed, rules that Anthropic does not know in the description |
//! | `response_format: json_object` | a sentence in `system` |
//! | `reasoning_effort` | `thinking` and `output_config.effort`, the nearest that the model knows, or a budget of 1024 to 32768 tokens for models up to 4.5 |
//! | `thinking` | the same; adaptive where the model takes no budget, a budget where it is not adaptive |
//! | `top_k` | the same |
//! | `user`, `safety_identifier` | `metadata.user_id` |
//!
//! Refused: `n` above 1, `logprobs`, `top_logprobs`, `logit_bias`, `audio`, `modalities` but text,
//! `web_search_options`, audio parts, images and files of other kinds, files by id, a forced call
//! of a tool of another type, a forced call where the model always thinks.
//!
//! Left out with a warning: tools of other types, a message's `name`, an image's `detail`, `seed`, `presence_penalty`, `frequency_penalty`;
//! `temperature` above 1 is 1; sampling parameters where the model takes none, thinks, or takes one
//! of two; thinking that does not fit with the rest, or that the model cannot do without; a
//! stop sequence of white space only; a limit beyond the model's own becomes that; all fields that
//! are not known here.
//!
//! Answers: `thinking` becomes `reasoning_content` and, with its signature, `thinking_blocks`. Stop
//! reasons: `end_turn`, `stop_sequence`, `pause_turn`: `stop`; `max_tokens`,
//! `model_context_window_exceeded`: `length`; `tool_use`: `tool_calls`; `refusal`: `content_filter`.
//! Blocks of tools that run at the provider are left out.

mod messages;
mod request;
mod response;
mod stream;

pub(super) use request::request;
pub(super) use response::{error, response};
pub(super) use stream::Stream;
