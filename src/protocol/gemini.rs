//! Google's Gemini API: `models/{model}:generateContent` and its stream, embeddings.

use std::borrow::Cow;

use super::usage::Usage;
use super::wire::{Number, Raw, object};

object! {
    pub struct GenerateContentRequest<'a> {
        system_instruction as "systemInstruction": Option<Content<'a>>,
        contents: Vec<Content<'a>>,
        tools: Option<Vec<Tool<'a>>>,
        tool_config as "toolConfig": Option<ToolConfig<'a>>,
        generation_config as "generationConfig": Option<GenerationConfig<'a>>,
    }
}

object! {
    /// One turn.
    pub struct Content<'a> {
        /// `user` or `model`
        role: Option<Cow<'a, str>>,
        parts: Option<Vec<Part<'a>>>,
    }
}

object! {
    /// One of the fields says what it is.
    pub struct Part<'a> {
        text: Option<Cow<'a, str>>,
        /// The text is what the model thought.
        thought: Option<bool>,
        inline_data as "inlineData": Option<Blob<'a>>,
        file_data as "fileData": Option<FileData<'a>>,
        function_call as "functionCall": Option<FunctionCall<'a>>,
        function_response as "functionResponse": Option<FunctionResponse<'a>>,
        /// By which the model knows its own thinking again, in base64.
        thought_signature as "thoughtSignature": Option<Cow<'a, str>>,
    }
}

object! {
    pub struct Blob<'a> {
        mime_type as "mimeType": Cow<'a, str>,
        /// In base64.
        data: Cow<'a, str>,
    }
}

object! {
    pub struct FileData<'a> {
        mime_type as "mimeType": Option<Cow<'a, str>>,
        file_uri as "fileUri": Cow<'a, str>,
    }
}

object! {
    pub struct FunctionCall<'a> {
        id: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        /// A JSON object.
        args: Option<Raw<'a>>,
    }
}

object! {
    pub struct FunctionResponse<'a> {
        id: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        /// A JSON object.
        response: Raw<'a>,
    }
}

object! {
    pub struct Tool<'a> {
        function_declarations as "functionDeclarations": Vec<FunctionDeclaration<'a>>,
    }
}

object! {
    pub struct FunctionDeclaration<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        parameters_json_schema as "parametersJsonSchema": Option<Raw<'a>>,
    }
}

object! {
    pub struct ToolConfig<'a> {
        function_calling_config as "functionCallingConfig": FunctionCallingConfig<'a>,
    }
}

object! {
    pub struct FunctionCallingConfig<'a> {
        /// `AUTO`, `ANY`, `NONE`, `VALIDATED`
        mode: Cow<'a, str>,
        allowed_function_names as "allowedFunctionNames": Option<Vec<Cow<'a, str>>>,
    }
}

object! {
    pub struct GenerationConfig<'a> {
        temperature: Option<Number<'a>>,
        top_p as "topP": Option<Number<'a>>,
        top_k as "topK": Option<Number<'a>>,
        candidate_count as "candidateCount": Option<u64>,
        max_output_tokens as "maxOutputTokens": Option<u64>,
        stop_sequences as "stopSequences": Option<Vec<Cow<'a, str>>>,
        presence_penalty as "presencePenalty": Option<Number<'a>>,
        frequency_penalty as "frequencyPenalty": Option<Number<'a>>,
        seed: Option<Number<'a>>,
        response_mime_type as "responseMimeType": Option<Cow<'a, str>>,
        response_json_schema as "responseJsonSchema": Option<Raw<'a>>,
        thinking_config as "thinkingConfig": Option<ThinkingConfig<'a>>,
    }
}

object! {
    pub struct ThinkingConfig<'a> {
        include_thoughts as "includeThoughts": Option<bool>,
        thinking_budget as "thinkingBudget": Option<u64>,
        /// `MINIMAL`, `LOW`, `MEDIUM`, `HIGH`
        thinking_level as "thinkingLevel": Option<Cow<'a, str>>,
    }
}

object! {
    /// The whole answer, and each event of a stream.
    pub struct GenerateContentResponse<'a> {
        candidates: Option<Vec<Candidate<'a>>>,
        prompt_feedback as "promptFeedback": Option<PromptFeedback<'a>>,
        usage_metadata as "usageMetadata": Option<UsageMetadata<'a>>,
        response_id as "responseId": Option<Cow<'a, str>>,
        /// Instead of all else: the stream has failed.
        error: Option<Raw<'a>>,
    }
}

object! {
    pub struct Candidate<'a> {
        index: Option<u64>,
        content: Option<Content<'a>>,
        finish_reason as "finishReason": Option<Cow<'a, str>>,
    }
}

object! {
    pub struct PromptFeedback<'a> {
        block_reason as "blockReason": Option<Cow<'a, str>>,
    }
}

object! {
    pub struct UsageMetadata<'a> {
        prompt_token_count as "promptTokenCount": Option<u64>,
        cached_content_token_count as "cachedContentTokenCount": Option<u64>,
        tool_use_prompt_token_count as "toolUsePromptTokenCount": Option<u64>,
        candidates_token_count as "candidatesTokenCount": Option<u64>,
        thoughts_token_count as "thoughtsTokenCount": Option<u64>,
    }
}

impl From<&UsageMetadata<'_>> for Usage {
    fn from(usage: &UsageMetadata<'_>) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| {
            a.unwrap_or_default().saturating_add(b.unwrap_or_default())
        };
        Self {
            input: sum(usage.prompt_token_count, usage.tool_use_prompt_token_count),
            cached_input: usage.cached_content_token_count.unwrap_or_default(),
            cache_write: 0,
            output: sum(usage.candidates_token_count, usage.thoughts_token_count),
            reasoning: usage.thoughts_token_count.unwrap_or_default(),
        }
    }
}

object! {
    pub struct BatchEmbedContentsRequest<'a> {
        requests: Vec<EmbedContentRequest<'a>>,
    }
}

object! {
    pub struct EmbedContentRequest<'a> {
        /// `models/{model}`
        model: Cow<'a, str>,
        content: Content<'a>,
        task_type as "taskType": Option<Cow<'a, str>>,
        output_dimensionality as "outputDimensionality": Option<u64>,
    }
}

object! {
    pub struct BatchEmbedContentsResponse<'a> {
        embeddings: Vec<ContentEmbedding<'a>>,
        usage_metadata as "usageMetadata": Option<UsageMetadata<'a>>,
    }
}

object! {
    pub struct ContentEmbedding<'a> {
        values: Raw<'a>,
    }
}
