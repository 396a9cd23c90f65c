//! Which request headers tell who calls, where the gateway itself knows no consumer.
//!
//! Callers who differ in one of them share no answer. Whoever stands in front of the gateway and
//! knows the callers says so in a header of its own: oauth2-proxy, Authelia, Authentik, Pomerium,
//! Vouch, Kong, Azure API Management and App Service, Google's IAP, AWS's load balancers, Cloudflare
//! Access, Tailscale, Istio, nginx, Traefik, LiteLLM, Portkey. Most let their operator name it. So
//! what counts are words in the name, and not a list of names: `x-auth-request-email` counts for
//! `auth` as `x-my-employee-id` does for `employee`. A header that tells who calls in no such word
//! belongs into `cache.vary`.
//!
//! The other way round, to let every header count that is not known to be harmless, would be safe
//! without `cache.vary`, but a header with a new value on each request (a trace, a retry counter)
//! would switch the cache off without a word.

/// Whether a header, by its lower-case name, can tell one caller from another.
pub(super) fn tells_who_calls(name: &[u8]) -> bool {
    if is_harmless(name) {
        return false;
    }
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.split(|byte| !byte.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
        || has_part(name)
}

/// One look at each byte; a word is compared only where its first two letters stand.
fn has_part(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let parts: &[&[u8]] = match first {
            b'a' => &[b"access", b"account", b"actor", b"app-id", b"appid", b"assert", b"auth"],
            b'b' => &[b"bearer", b"behalf", b"billing"],
            b'c' => &[
                b"caller",
                b"cert",
                b"claim",
                b"client-id",
                b"client_id",
                b"clientid",
                b"company",
                b"consumer",
                b"cookie",
                b"credential",
                b"customer",
            ],
            b'd' => &[b"department", b"device", b"dpop"],
            b'e' => &[b"employee", b"entitle", b"eppn"],
            b'g' => &[b"group"],
            b'i' => &[b"identity", b"impersonat", b"install"],
            b'j' => &[b"jwt"],
            b'k' => &[b"key"],
            b'l' => &[b"licen", b"login"],
            b'm' => &[b"mail", b"member"],
            b'n' => &[b"namespace"],
            b'o' => &[b"oidc", b"okta", b"org", b"owner"],
            b'p' => &[
                b"partner",
                b"passw",
                b"permission",
                b"person",
                b"principal",
                b"profile",
                b"project",
            ],
            b'r' => &[b"realm", b"role"],
            b's' => &[
                b"saml",
                b"secret",
                b"session",
                b"shib",
                b"signature",
                b"spiffe",
                b"ssl",
                b"subject",
                b"subscri",
            ],
            b't' => &[b"team", b"tenant", b"ticket", b"token"],
            b'u' => &[b"user"],
            b'w' => &[b"workspace"],
            _ => &[],
        };
        if parts.iter().any(|part| rest.starts_with(part)) {
            return true;
        }
        rest = tail;
    }
    false
}

/// What almost every request has, and what has one of the words above by accident.
fn is_harmless(name: &[u8]) -> bool {
    match name {
        [b':', ..]
        | b"user-agent"
        | b"x-user-agent"
        | b"x-amz-user-agent"
        | b"x-request-id"
        | b"x-client-request-id"
        | b"x-portkey-trace-id"
        | b"idempotency-key"
        | b"x-idempotency-key"
        | b"upgrade-insecure-requests"
        // Where a request came from, which many callers may share and one may change.
        | b"x-forwarded-for"
        | b"x-forwarded-proto"
        | b"x-forwarded-protocol"
        | b"x-forwarded-scheme"
        | b"x-forwarded-ssl"
        | b"x-forwarded-host"
        | b"x-forwarded-port"
        | b"x-forwarded-server"
        | b"x-forwarded-prefix"
        | b"x-forwarded-path"
        | b"x-forwarded-uri"
        | b"x-forwarded-method"
        | b"remote-addr"
        | b"x-remote-addr"
        | b"x-remote-ip"
        | b"x-remote-port" => true,
        _ => HARMLESS.iter().any(|prefix| name.starts_with(prefix)),
    }
}

/// Beginnings of names that no caller is told by.
const HARMLESS: [&[u8]; 6] =
    [b"accept", b"access-control-", b"content-", b"sec-", b"x-stainless-", b"x-envoy-"];

/// Beginnings of names that a proxy uses for nothing else.
const PREFIXES: [&[u8]; 8] = [
    b"remote-",
    b"tailscale-",
    b"x-forwarded-",
    b"x-goog-iap-",
    b"x-pomerium-",
    b"x-portkey-",
    b"x-remote-",
    b"x-verified-",
];

/// Whole words, too short to be looked for within others.
const WORDS: [&[u8]; 11] =
    [b"dn", b"from", b"iap", b"mtls", b"sid", b"sso", b"sub", b"tls", b"uid", b"upn", b"vk"];

#[cfg(test)]
mod tests {
    use super::*;

    /// What proxies, gateways and clients send to say who calls, by their documentation.
    const TELLING: &str = "
        authorization proxy-authorization x-authorization x-original-authorization
        x-api-key api-key apikey x-apikey x-goog-api-key ocp-apim-subscription-key
        x-litellm-api-key x-litellm-end-user-id x-portkey-api-key x-portkey-virtual-key
        x-portkey-metadata x-bf-vk helicone-auth helicone-user-id x-rapidapi-key x-rapidapi-user
        x-rapidapi-proxy-secret x-mashape-user
        x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username
        x-forwarded-access-token x-forwarded-client-cert x-forwarded-tenant
        x-auth-request-user x-auth-request-email x-auth-request-groups
        x-auth-request-preferred-username x-auth-request-access-token
        x-goog-iap-jwt-assertion x-goog-authenticated-user-email x-goog-authenticated-user-id
        x-serverless-authorization x-endpoint-api-userinfo x-apigateway-api-userinfo
        x-amzn-oidc-data x-amzn-oidc-identity x-amzn-oidc-accesstoken x-amz-security-token
        x-amzn-mtls-clientcert x-amzn-mtls-clientcert-subject
        x-ms-client-principal x-ms-client-principal-id x-ms-client-principal-name
        x-ms-token-aad-id-token x-ms-token-aad-access-token x-arr-clientcert
        cf-access-authenticated-user-email cf-access-jwt-assertion cf-access-client-id
        cf-access-client-secret
        x-consumer-id x-consumer-username x-consumer-custom-id x-consumer-groups
        x-credential-identifier x-authenticated-userid x-authenticated-scope x-anonymous-consumer
        remote-user remote-groups remote-email remote-name x-remote-user x-remote-group
        x-remote-extra-scopes impersonate-user
        x-user x-user-id x-userid x-user-email x-tenant x-tenant-id x-org x-org-id
        x-organization-id x-account-id x-customer-id x-team x-workspace-id x-project-id
        x-scope-orgid x-vault-token x-vault-namespace x-access-token x-auth-token x-csrf-token
        x-jwt-payload x-jwt-claim-sub x-verified-email x-pomerium-claim-email
        x-pomerium-jwt-assertion tailscale-user-login tailscale-user-name
        x-authentik-username x-authentik-uid x-authentik-jwt x-webauth-user x-webauth-email
        x-vouch-user x-vouch-idp-claims-sub x-okta-user teleport-jwt-assertion oidc_claim_sub
        cookie cookie2 client-cert client-cert-chain ssl-client-cert ssl-client-subject-dn
        x-ssl-client-s-dn x-client-dn x-tls-client-subject x-spiffe-id x-real-user from
        x-email x-sub x-employee-id x-principal x-subject x-session-id session_id mcp-session-id
        x-device-id x-codex-installation-id x-client-id x-openwebui-user-email dpop signature
        signature-input x-on-behalf-of x-hasura-role x-parse-session-token x-shopify-access-token";

    /// What clients, proxies and tracers send that is no identity, or is new on each request.
    const HARMLESS_NAMES: &str = "
        :authority :method :path :scheme accept accept-encoding accept-language accept-charset
        connection content-length content-type content-encoding content-language date expect host
        te trailer transfer-encoding upgrade via user-agent referer origin dnt priority pragma
        cache-control if-none-match range forwarded x-requested-with upgrade-insecure-requests
        sec-fetch-mode sec-fetch-site sec-fetch-user sec-ch-ua sec-websocket-key
        access-control-request-headers
        x-request-id x-client-request-id x-correlation-id x-trace-id x-request-start
        traceparent tracestate baggage b3 x-b3-traceid x-b3-spanid x-b3-sampled x-ot-span-context
        uber-trace-id sentry-trace newrelic elastic-apm-traceparent x-datadog-trace-id
        x-datadog-sampling-priority x-cloud-trace-context x-amzn-trace-id grpc-trace-bin
        x-ms-client-request-id x-portkey-trace-id
        x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-server
        x-forwarded-prefix x-real-ip x-client-ip x-cluster-client-ip true-client-ip
        fastly-client-ip remote-addr x-remote-addr x-envoy-external-address
        x-envoy-attempt-count x-envoy-expected-rq-timeout-ms
        cf-connecting-ip cf-ray cf-visitor cf-ipcountry cdn-loop x-amz-cf-id x-azure-ref
        x-azure-clientip x-azure-fdid x-vercel-id fly-region x-appengine-country
        x-stainless-lang x-stainless-os x-stainless-arch x-stainless-runtime
        x-stainless-retry-count x-stainless-read-timeout x-stainless-helper-method
        x-stainless-package-version x-app x-title http-referer openai-beta anthropic-version
        anthropic-beta x-goog-api-client x-goog-request-params x-client-version
        idempotency-key x-region x-experiment x-variant x-llm-upstream x-sim";

    #[test]
    fn whoever_stands_in_front_is_understood() {
        for name in TELLING.split_whitespace() {
            assert!(tells_who_calls(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_is_no_identity_does_not_keep_callers_apart() {
        for name in HARMLESS_NAMES.split_whitespace() {
            assert!(!tells_who_calls(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn every_part_is_found_wherever_it_stands() {
        for part in ["auth", "user", "tenant", "jwt", "workspace", "key", "session"] {
            for name in [part.to_owned(), format!("x-my{part}"), format!("x_{part}_y")] {
                assert!(tells_who_calls(name.as_bytes()), "{name}");
            }
        }
        assert!(!tells_who_calls(b""));
    }

    #[test]
    fn the_headers_that_the_gateway_takes_keys_from_are_among_them() {
        for name in crate::identity::CREDENTIAL_HEADERS {
            assert!(tells_who_calls(name.as_bytes()), "{name}");
        }
    }
}
