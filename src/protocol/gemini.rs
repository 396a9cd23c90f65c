//! Google's Gemini API: `models/{model}:generateContent` and its stream, embeddings.

use std::borrow::Cow;

use super::usage::{Count, Counted, Counts, Usage};
use super::wire::{Number, Raw, object};

object! {
    pub struct GenerateContentRequest<'a> {
        system_instruction as "systemInstruction" or "system_instruction": Option<Content<'a>>,
        contents: Vec<Content<'a>>,
        tools: Option<Vec<Tool<'a>>>,
        cached_content as "cachedContent" or "cached_content": Option<Raw<'a>>,
        safety_settings as "safetySettings" or "safety_settings": Option<Raw<'a>>,
        tool_config as "toolConfig" or "tool_config": Option<ToolConfig<'a>>,
        generation_config as "generationConfig" or "generation_config": Option<GenerationConfig<'a>>,
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
        inline_data as "inlineData" or "inline_data": Option<Blob<'a>>,
        file_data as "fileData" or "file_data": Option<FileData<'a>>,
        function_call as "functionCall" or "function_call": Option<FunctionCall<'a>>,
        function_response as "functionResponse" or "function_response": Option<FunctionResponse<'a>>,
        /// By which the model knows its own thinking again, in base64.
        thought_signature as "thoughtSignature" or "thought_signature": Option<Cow<'a, str>>,
    }
}

object! {
    pub struct Blob<'a> {
        mime_type as "mimeType" or "mime_type": Cow<'a, str>,
        /// In base64.
        data: Cow<'a, str>,
    }
}

object! {
    pub struct FileData<'a> {
        mime_type as "mimeType" or "mime_type": Option<Cow<'a, str>>,
        file_uri as "fileUri" or "file_uri": Cow<'a, str>,
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
        function_declarations as "functionDeclarations" or "function_declarations": Option<Vec<FunctionDeclaration<'a>>>,
    }
}

object! {
    pub struct FunctionDeclaration<'a> {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        /// A schema as OpenAPI has it, with types in upper case.
        parameters: Option<Raw<'a>>,
        parameters_json_schema as "parametersJsonSchema" or "parameters_json_schema": Option<Raw<'a>>,
    }
}

object! {
    pub struct ToolConfig<'a> {
        function_calling_config as "functionCallingConfig" or "function_calling_config": Option<FunctionCallingConfig<'a>>,
    }
}

object! {
    pub struct FunctionCallingConfig<'a> {
        /// `AUTO`, `ANY`, `NONE`, `VALIDATED`
        mode: Option<Cow<'a, str>>,
        allowed_function_names as "allowedFunctionNames" or "allowed_function_names": Option<Vec<Cow<'a, str>>>,
    }
}

object! {
    pub struct GenerationConfig<'a> {
        temperature: Option<Number<'a>>,
        top_p as "topP" or "top_p": Option<Number<'a>>,
        top_k as "topK" or "top_k": Option<Number<'a>>,
        candidate_count as "candidateCount" or "candidate_count": Option<u64>,
        max_output_tokens as "maxOutputTokens" or "max_output_tokens": Option<u64>,
        stop_sequences as "stopSequences" or "stop_sequences": Option<Vec<Cow<'a, str>>>,
        presence_penalty as "presencePenalty" or "presence_penalty": Option<Number<'a>>,
        frequency_penalty as "frequencyPenalty" or "frequency_penalty": Option<Number<'a>>,
        seed: Option<Number<'a>>,
        response_mime_type as "responseMimeType" or "response_mime_type": Option<Cow<'a, str>>,
        /// As `parameters` of a function.
        response_schema as "responseSchema" or "response_schema": Option<Raw<'a>>,
        response_modalities as "responseModalities" or "response_modalities": Option<Vec<Cow<'a, str>>>,
        response_logprobs as "responseLogprobs" or "response_logprobs": Option<bool>,
        response_json_schema as "responseJsonSchema" or "response_json_schema": Option<Raw<'a>>,
        thinking_config as "thinkingConfig" or "thinking_config": Option<ThinkingConfig<'a>>,
    }
}

object! {
    pub struct ThinkingConfig<'a> {
        include_thoughts as "includeThoughts" or "include_thoughts": Option<bool>,
        /// -1: as much as the model likes.
        thinking_budget as "thinkingBudget" or "thinking_budget": Option<Number<'a>>,
        /// `MINIMAL`, `LOW`, `MEDIUM`, `HIGH`
        thinking_level as "thinkingLevel" or "thinking_level": Option<Cow<'a, str>>,
    }
}

object! {
    /// The whole answer, and each event of a stream.
    pub struct GenerateContentResponse<'a> {
        candidates: Option<Vec<Candidate<'a>>>,
        prompt_feedback as "promptFeedback" or "prompt_feedback": Option<PromptFeedback<'a>>,
        usage_metadata as "usageMetadata" or "usage_metadata": Option<Raw<'a>>,
        model_version as "modelVersion" or "model_version": Option<Cow<'a, str>>,
        response_id as "responseId" or "response_id": Option<Cow<'a, str>>,
        /// Instead of all else: the stream has failed.
        error: Option<Raw<'a>>,
    }
}

object! {
    pub struct Candidate<'a> {
        index: Option<u64>,
        content: Option<Content<'a>>,
        finish_reason as "finishReason" or "finish_reason": Option<Cow<'a, str>>,
    }
}

object! {
    pub struct PromptFeedback<'a> {
        block_reason as "blockReason" or "block_reason": Option<Cow<'a, str>>,
    }
}

object! {
    pub struct UsageMetadata<'a> {
        prompt_token_count as "promptTokenCount" or "prompt_token_count": Count,
        cached_content_token_count as "cachedContentTokenCount" or "cached_content_token_count": Count,
        tool_use_prompt_token_count as "toolUsePromptTokenCount" or "tool_use_prompt_token_count": Count,
        candidates_token_count as "candidatesTokenCount" or "candidates_token_count": Count,
        thoughts_token_count as "thoughtsTokenCount" or "thoughts_token_count": Count,
        total_token_count as "totalTokenCount" or "total_token_count": Count,
    }
}

impl From<Usage> for UsageMetadata<'_> {
    fn from(usage: Usage) -> Self {
        let some = |count: u64| Some(count).filter(|count| *count > 0).into();
        Self {
            prompt_token_count: usage.input.into(),
            cached_content_token_count: some(usage.cached_input),
            candidates_token_count: usage.output.saturating_sub(usage.reasoning).into(),
            thoughts_token_count: some(usage.reasoning),
            total_token_count: usage.total().into(),
            ..Self::default()
        }
    }
}

impl UsageMetadata<'_> {
    /// What `usageMetadata` says; `None` if nothing, or what cannot be.
    pub fn usage(json: &Raw<'_>) -> Option<Usage> {
        let counts = UsageMetadata::from_json(json.as_str().as_bytes()).ok()?;
        counts.counted().filter(|_| !counts.is_empty()).map(|counted| counted.usage)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all() == [Count::Absent; 6]
    }

    pub(super) fn counted(&self) -> Option<Counted> {
        if self.all().contains(&Count::Absurd) {
            return None;
        }
        let [prompt, said, thought, tools, cached_input, _] =
            self.all().map(|count| count.get().unwrap_or_default());
        let usage = Usage {
            input: prompt.saturating_add(tools),
            cached_input,
            cache_write: 0,
            output: said.saturating_add(thought),
            reasoning: thought,
        };
        let least = prompt.saturating_add(said);
        Counts { usage, total: self.total_token_count.get(), least }.check()
    }

    fn all(&self) -> [Count; 6] {
        [
            self.prompt_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
            self.tool_use_prompt_token_count,
            self.cached_content_token_count,
            self.total_token_count,
        ]
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
        model: Option<Cow<'a, str>>,
        content: Content<'a>,
        task_type as "taskType" or "task_type": Option<Cow<'a, str>>,
        output_dimensionality as "outputDimensionality" or "output_dimensionality": Option<u64>,
        /// The newer place of all but `model` and `content`.
        config as "embedContentConfig" or "embed_content_config": Option<EmbedContentConfig<'a>>,
    }
}

object! {
    pub struct EmbedContentConfig<'a> {
        task_type as "taskType" or "task_type": Option<Cow<'a, str>>,
        output_dimensionality as "outputDimensionality" or "output_dimensionality": Option<u64>,
    }
}

object! {
    pub struct EmbedContentResponse<'a> {
        embedding: ContentEmbedding<'a>,
        usage_metadata as "usageMetadata" or "usage_metadata": Option<Raw<'a>>,
    }
}

object! {
    pub struct BatchEmbedContentsResponse<'a> {
        embeddings: Vec<ContentEmbedding<'a>>,
        usage_metadata as "usageMetadata" or "usage_metadata": Option<Raw<'a>>,
    }
}

object! {
    pub struct ContentEmbedding<'a> {
        values: Raw<'a>,
    }
}
