//! Headers that end at the gateway: what a caller and the proxies in front of it say is no provider's
//! business, and what a provider says of its own inside is no caller's.

/// Whether a request's header is about the caller, its connection, or what a proxy in front knows of
/// it. Names are in lower case.
pub fn is_private(name: &[u8]) -> bool {
    PRIVATE.contains(&name) || PRIVATE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a request's header may go to a provider that speaks another protocol than its caller:
/// others are of the caller's program, and say where and how it runs.
pub fn is_common(name: &[u8]) -> bool {
    name.starts_with(b":") || COMMON.contains(&name)
}

/// Whether an answer's header is about the provider's own inside, or would act on the caller in the
/// name of the gateway's host.
pub fn is_internal(name: &[u8]) -> bool {
    let envoys = name == b"x-envoy-upstream-service-time";
    let internal = INTERNAL_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    (internal && !envoys) || INTERNAL.contains(&name)
}

/// What the configuration may take out of these, by name.
pub fn can_be_forwarded(name: &str) -> bool {
    !name.starts_with("x-llm-") && !name.starts_with("x-envoy-")
}

/// Keys of gateways that may stand in front of this one, or behind it.
pub const FOREIGN_CREDENTIALS: [&str; 4] =
    ["apikey", "ocp-apim-subscription-key", "x-functions-key", "x-litellm-api-key"];

const PRIVATE: [&[u8]; 32] = [
    b"baggage",
    b"client-ip",
    b"cookie",
    b"cookie2",
    b"fastly-client-ip",
    b"forwarded",
    b"proxy-authorization",
    b"proxy-connection",
    b"remote-user",
    b"true-client-ip",
    b"via",
    b"x-access-token",
    b"x-anonymous-consumer",
    b"x-appengine-user-ip",
    b"x-azure-clientip",
    b"x-azure-socketip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-credential-identifier",
    b"x-endpoint-api-userinfo",
    b"x-id-token",
    b"x-jwt-assertion",
    b"x-jwt-payload",
    b"x-originating-ip",
    b"x-real-ip",
    b"x-remote-addr",
    b"x-remote-ip",
    b"x-remote-user",
    b"x-user",
    b"x-user-email",
    b"x-user-id",
    b"x-userinfo",
];

const PRIVATE_PREFIXES: [&[u8]; 25] = [
    b"akamai-",
    b"cdn-",
    b"cf-",
    b"ssl-client-",
    b"tailscale-",
    b"x-akamai-",
    b"x-amzn-mtls-",
    b"x-amzn-oidc-",
    b"x-auth-request-",
    b"x-authenticated-",
    b"x-authentik-",
    b"x-client-cert",
    b"x-consumer-",
    b"x-envoy-",
    b"x-forwarded-",
    b"x-goog-authenticated-user-",
    b"x-goog-iap-",
    b"x-ms-client-principal",
    b"x-ms-token-",
    b"x-original-",
    b"x-pomerium-",
    b"x-ssl-",
    b"x-token-",
    b"x-vouch-",
    b"x-webauth-",
];

const COMMON: [&[u8]; 13] = [
    b"accept",
    b"api-key",
    b"authorization",
    b"content-length",
    b"content-type",
    b"te",
    b"traceparent",
    b"tracestate",
    b"transfer-encoding",
    b"user-agent",
    b"x-api-key",
    b"x-goog-api-key",
    b"x-request-id",
];

const INTERNAL: [&[u8]; 20] = [
    b"alt-svc",
    b"anthropic-organization-id",
    b"clear-site-data",
    b"location",
    b"nel",
    b"openai-organization",
    b"openai-project",
    b"proxy-authenticate",
    b"proxy-connection",
    b"public-key-pins",
    b"refresh",
    b"report-to",
    b"reporting-endpoints",
    b"set-cookie",
    b"set-cookie2",
    b"strict-transport-security",
    b"via",
    b"x-powered-by",
    b"x-runtime",
    b"x-served-by",
];

const INTERNAL_PREFIXES: [&[u8]; 3] = [b"x-aspnet", b"x-envoy-", b"x-llm-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_callers_own_goes_to_no_provider() {
        for name in [
            "cookie",
            "proxy-authorization",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-user",
            "x-forwarded-client-cert",
            "x-real-ip",
            "x-envoy-external-address",
            "x-envoy-attempt-count",
            "x-auth-request-email",
            "x-goog-iap-jwt-assertion",
            "x-amzn-oidc-data",
            "cf-connecting-ip",
            "true-client-ip",
        ] {
            assert!(is_private(name.as_bytes()) && !is_common(name.as_bytes()), "{name}");
        }
        for name in ["accept", "x-request-id", "anthropic-beta", "x-stainless-os", "traceparent"] {
            assert!(!is_private(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_clients_program_is_unknown_to_providers_of_another_protocol() {
        for name in [
            "x-codex-turn-metadata",
            "session-id",
            "thread-id",
            "originator",
            "x-claude-code-session-id",
            "anthropic-dangerous-direct-browser-access",
            "anthropic-beta",
            "openai-organization",
            "x-stainless-os",
            "x-app",
        ] {
            assert!(!is_common(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_providers_inside_is_no_callers_business() {
        for name in ["set-cookie", "location", "x-llm-provider", "x-envoy-overloaded", "alt-svc"] {
            assert!(is_internal(name.as_bytes()), "{name}");
        }
        for name in ["content-type", "x-request-id", "retry-after", "x-ratelimit-limit-requests"] {
            assert!(!is_internal(name.as_bytes()), "{name}");
        }
        // Envoy writes this one itself.
        assert!(!is_internal(b"x-envoy-upstream-service-time"));
    }
}
