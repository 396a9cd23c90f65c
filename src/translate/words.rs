//! What a client calls a field of the chat completion that was made of its request: where a second
//! pair refuses a field or leaves it out, the caller has to find it in what it wrote.

use std::borrow::Cow;

use crate::error::Error;
use crate::protocol::{Operation, overflow};

/// The refusal in the client's words.
pub(super) fn told(client: Operation, error: Error) -> Error {
    let Some(chat) = error.param.clone() else { return error };
    let field = of_client(client, &chat);
    let message = error.message.replace(&format!("'{chat}'"), &format!("'{field}'"));
    Error { message: message.into(), param: Some(field.into_owned().into()), ..error }
}

/// A refusal of a prompt that is too long, in the words that the client acts on.
pub(super) fn overflow(client: Operation, error: Error) -> Error {
    if error.code != Some(TOO_LONG) {
        return error;
    }
    let message = overflow::told(client.dialect(), &error.message).into_owned();
    Error { message: message.into(), ..error }
}

/// Messages and their parts are many to many, so of them only the list is named.
pub(super) fn of_client(client: Operation, chat: &str) -> Cow<'_, str> {
    let known: &[(&str, &str)] = match client {
        Operation::Messages => &[
            ("messages", "messages"),
            ("max_completion_tokens", "max_tokens"),
            ("max_tokens", "max_tokens"),
            ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
            ("reasoning_effort", "output_config.effort"),
            ("response_format", "output_config.format"),
            ("stop", "stop_sequences"),
            ("user", "metadata.user_id"),
        ],
        Operation::Responses => &[
            ("messages", "input"),
            ("max_tokens", "max_output_tokens"),
            ("max_completion_tokens", "max_output_tokens"),
            ("reasoning_effort", "reasoning.effort"),
            ("response_format", "text.format"),
            ("tool_choice", "tool_choice"),
            ("verbosity", "text.verbosity"),
        ],
        Operation::GeminiGenerate | Operation::GeminiStream => &[
            ("messages", "contents"),
            ("frequency_penalty", "generationConfig.frequencyPenalty"),
            ("max_completion_tokens", "generationConfig.maxOutputTokens"),
            ("max_tokens", "generationConfig.maxOutputTokens"),
            ("n", "generationConfig.candidateCount"),
            ("presence_penalty", "generationConfig.presencePenalty"),
            ("reasoning_effort", "generationConfig.thinkingConfig"),
            ("response_format", "generationConfig.responseMimeType"),
            ("seed", "generationConfig.seed"),
            ("stop", "generationConfig.stopSequences"),
            ("temperature", "generationConfig.temperature"),
            ("tool_choice", "toolConfig.functionCallingConfig"),
            ("tools", "tools"),
            ("top_k", "generationConfig.topK"),
            ("top_p", "generationConfig.topP"),
        ],
        Operation::OllamaChat | Operation::OllamaGenerate => &[
            ("messages", if client == Operation::OllamaChat { "messages" } else { "prompt" }),
            ("frequency_penalty", "options.frequency_penalty"),
            ("max_completion_tokens", "options.num_predict"),
            ("max_tokens", "options.num_predict"),
            ("presence_penalty", "options.presence_penalty"),
            ("reasoning_effort", "think"),
            ("response_format", "format"),
            ("seed", "options.seed"),
            ("stop", "options.stop"),
            ("temperature", "options.temperature"),
            ("tools", "tools"),
            ("top_k", "options.top_k"),
            ("top_p", "options.top_p"),
        ],
        Operation::GeminiEmbed | Operation::GeminiBatchEmbed => &[
            ("dimensions", "outputDimensionality"),
            ("input", "content"),
            ("input_type", "taskType"),
        ],
        _ => return Cow::Borrowed(chat),
    };
    let first = chat.split(['.', '[']).next().unwrap_or_default();
    match known.iter().find(|(name, _)| *name == first) {
        Some((_, client)) => Cow::Borrowed(*client),
        // Tools stay in their places and lose a level.
        None if first == "tools" && chat.contains(".function.") => {
            Cow::Owned(chat.replace(".function.", "."))
        }
        None => Cow::Borrowed(chat),
    }
}

/// OpenAI's code for it.
const TOO_LONG: &str = "context_length_exceeded";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::fields::invalid;

    #[test]
    fn fields_are_named_as_the_client_names_them() {
        for (client, chat, expected) in [
            (Operation::Messages, "messages[3].content[0].image_url.url", "messages"),
            (Operation::Messages, "tools[1].function.strict", "tools[1].strict"),
            (Operation::Messages, "tools[1].type", "tools[1].type"),
            (Operation::Messages, "stop", "stop_sequences"),
            (Operation::Messages, "top_k", "top_k"),
            (Operation::Responses, "messages[0]", "input"),
            (Operation::Responses, "tool_choice.allowed_tools.mode", "tool_choice"),
            (Operation::Responses, "tools.function.strict", "tools.strict"),
            (Operation::GeminiStream, "n", "generationConfig.candidateCount"),
            (Operation::GeminiGenerate, "tools.function.strict", "tools"),
            (Operation::OllamaChat, "stop", "options.stop"),
            (Operation::OllamaGenerate, "messages[0].content[1].type", "prompt"),
            (Operation::Chat, "messages[0]", "messages[0]"),
        ] {
            assert_eq!(of_client(client, chat), expected, "{chat}");
        }
    }

    #[test]
    fn a_refusal_says_the_same_field_in_its_words() {
        let error = told(Operation::Responses, invalid("response_format", "it must not be"));
        assert_eq!(error.param.as_deref(), Some("text.format"));
        assert_eq!(error.message, "Invalid value for 'text.format': it must not be.");
    }
}
