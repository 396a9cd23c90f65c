//! Gemini's `generateContent` and its stream at a server that speaks OpenAI's chat completions.
//!
//! | Gemini | OpenAI |
//! |---|---|
//! | `systemInstruction` | the first message, as one text |
//! | turns of `user` and `model` | messages of `user` and `assistant` |
//! | `functionCall` | `tool_calls`; calls without an id get one |
//! | `functionResponse` | a `tool` message, for the call of its id, else for the first of its name that has no answer yet |
//! | `inlineData` of images, of sound (WAV, MP3), of PDF | `image_url`, `input_audio`, `file` |
//! | `fileData` with a link to an image | `image_url` |
//! | `functionDeclarations` with `parameters` or `parametersJsonSchema` | `tools` with a JSON schema |
//! | ids over 40 characters, names of functions over 64 | a short form; names are told as they were |
//! | `functionCallingConfig` `AUTO` and `VALIDATED`, `ANY`, `NONE` | `tool_choice` `auto`, `required`, `none` |
//! | `allowedFunctionNames` | that function, or only these `tools` |
//! | `responseMimeType`, `responseSchema`, `responseJsonSchema` | `response_format`, strict if OpenAI's rules for that are kept |
//! | `candidateCount`, `stopSequences`, `seed`, sampling and penalties | `n`, `stop`, the same |
//! | `maxOutputTokens` | `max_tokens`; `max_completion_tokens` for OpenAI's reasoning models |
//! | `thinkingBudget` 0, up to 2047, up to 8191, more; -1 | `reasoning_effort` `none`, `low`, `medium`, `high`; `medium`: the nearest that the model knows |
//! | `thinkingLevel` | `reasoning_effort` |
//! | `streamGenerateContent` | `stream`, also `stream_options.include_usage`, for Gemini always tells |
//!
//! Refused: a forced call where all tools run at Google, `cachedContent`, files by anything but an http(s) link, links
//! to what is no image, other inline data, results of calls that were not made, results that are no
//! JSON, `responseLogprobs`, `responseModalities` but text, `responseMimeType` but text and JSON.
//!
//! Left out with a warning: tools that run at Google, `safetySettings`, `topK`; `temperature`, `topP`, penalties and
//! `stopSequences` for OpenAI's reasoning models, more than four of the last for its others; a limit
//! beyond the model's own becomes that; `thinkingConfig` for others; all fields that are not known here. Left
//! out without one, because nothing is lost: thoughts of earlier turns and their signatures, code
//! that Google ran.
//!
//! Answers: `reasoning_content` or `reasoning` becomes a part that is a thought, with its signature
//! if it has one, if `includeThoughts` asked for it. Finish reasons: `stop`, `tool_calls`: `STOP`;
//! `length`: `MAX_TOKENS`; `content_filter` and refusals: `SAFETY`; others: `OTHER`. Arguments that
//! are no JSON are kept as `{"INVALID_JSON": "..."}`. In a stream calls come whole, at its end.

mod contents;
mod request;
mod response;
mod stream;

pub(super) use super::failure::openai as error;
pub(super) use request::request;
pub(super) use response::response;
pub(super) use stream::Stream;
