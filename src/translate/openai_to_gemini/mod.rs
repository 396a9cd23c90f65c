//! OpenAI chat completions at Google's Gemini API.
//!
//! | OpenAI | Gemini |
//! |---|---|
//! | `system`, `developer` messages | `systemInstruction`, in their order, wherever they stand |
//! | only system messages | a turn of the user's |
//! | `assistant` messages | the role `model` |
//! | tool results in a row | one turn of `functionResponse`s, found by the id of the call, in the order of the calls |
//! | `image_url`, `input_audio`, `file.file_data` | `inlineData`; `fileData` for a link |
//! | `tools`, `functions` | `functionDeclarations` with `parametersJsonSchema` |
//! | a `custom` tool, its calls | a function of one text, `input`; told as `custom` again |
//! | names of tools that are too long, or have other letters | a short form; told as they were |
//! | arguments of earlier calls that are no object | `{"INVALID_JSON": "..."}` |
//! | `tool_choice` `auto`, `none`, `required`, a function | the mode `AUTO`, `NONE`, `ANY`, `ANY` with one name |
//! | `max_completion_tokens`, `max_tokens`, `stop`, `n`, `seed`, sampling and penalties | in `generationConfig` |
//! | members beside a `$ref` in a schema | left out, for Gemini takes none |
//! | `response_format` | `responseMimeType` and `responseJsonSchema` |
//! | `reasoning_effort` | `thinkingLevel`, or up to 2.5 a `thinkingBudget`: 1024, 8192, 24576 |
//! | `thinking` with a budget | `thinkingBudget` |
//! | `tool_calls[].extra_content.google.thought_signature` | `thoughtSignature`, which Gemini 3 wants back; where a client has lost it, Google's word to skip the check |
//!
//! Refused: `logprobs`, `top_logprobs`, `logit_bias`, `audio`, `modalities` but text,
//! `web_search_options`, files by id, a forced call of a tool of another type, results of calls that
//! were not made.
//!
//! Left out with a warning: tools of other types, a message's `name`, an image's `detail`, `parallel_tool_calls: false`, `strict` of tools,
//! `user`, `safety_identifier`, `reasoning_effort` where the model does not think, more than five
//! stop sequences; a limit beyond the model's own becomes that; all fields that are not known here. Left out without one: `cache_control` (Gemini caches by itself), earlier
//! thinking.
//!
//! Answers: parts that are thoughts become `reasoning_content`. Finish reasons: `STOP`: `stop`, or
//! `tool_calls` where there are any; `MAX_TOKENS`: `length`; a blocked prompt, `SAFETY`,
//! `RECITATION` and their like: `content_filter`; others: `stop`; `MALFORMED_FUNCTION_CALL` and its
//! like, `OTHER` where nothing was said, and no candidate at all are errors. Calls without an id get one.

mod messages;
mod request;
mod response;
mod stream;

pub(super) use request::request;
pub(super) use response::{error, response};
pub(super) use stream::Stream;
