//! Ollama's native API.
