//! The model list, in OpenAI's shape and in Anthropic's.
