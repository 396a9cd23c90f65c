//! Where a provider has a call.

use crate::config::{AzureVersion, Provider};
use crate::error::{Error, Kind};
use crate::protocol::model_path::ModelPath;
use crate::protocol::{Dialect, Operation, Path, percent_decode};
use crate::translate;

/// The caller's path at a provider that takes the call as it is. `step` is the model of this
/// attempt, where there are several; `model` what the provider calls the model in any case.
pub(super) fn of(
    provider: &Provider,
    operation: Operation,
    path: &Path<'_>,
    step: Option<&str>,
    model: impl FnOnce() -> String,
) -> Result<Vec<u8>, Error> {
    if operation.dialect() == Dialect::Gemini {
        return Ok(gemini(provider, path, step));
    }
    let Some(version) = &provider.api_version else {
        return Ok(rebase(path, path.as_bytes(), &provider.base_path));
    };
    let call = path.without_query().strip_prefix(b"/v1").filter(|_| path.means_something());
    let call = call.and_then(plain).ok_or_else(unknown)?;
    let mut ours = azure(provider, version, call, model)?.into_bytes();
    for parameter in parameters(path.query()).filter(|parameter| !is_version(parameter)) {
        ours.push(if ours.contains(&b'?') { b'&' } else { b'?' });
        ours.extend_from_slice(parameter);
    }
    Ok(ours)
}

/// A call's path under the base of a provider; `call` is in its protocol.
pub(super) fn under(provider: &Provider, call: &str, model: &str) -> Result<String, Error> {
    match &provider.api_version {
        Some(version) => azure(provider, version, call, || model.to_owned()),
        None => Ok([&provider.base_path, call].concat()),
    }
}

/// Azure's paths name the deployment, for a closed list of calls, so that no caller can name
/// another one than its model stands for. On the surface `v1` they are OpenAI's own.
fn azure(
    provider: &Provider,
    version: &AzureVersion,
    call: &str,
    model: impl FnOnce() -> String,
) -> Result<String, Error> {
    let base = &provider.base_path;
    let path = match version {
        AzureVersion::V1 { .. } => format!("{base}/v1{call}"),
        AzureVersion::Dated(_) if OF_DEPLOYMENTS.contains(&call) => {
            format!("{base}/deployments/{}{call}", translate::path_segment(&model())?)
        }
        AzureVersion::Dated(_) if call == "/responses" => format!("{base}{call}"),
        AzureVersion::Dated(_) => return Err(unknown()),
    };
    Ok(match version.parameter() {
        Some(version) => format!("{path}?api-version={version}"),
        None => path,
    })
}

/// Gemini's paths name the model.
fn gemini(provider: &Provider, path: &Path<'_>, step: Option<&str>) -> Vec<u8> {
    let named = step.and_then(|model| ModelPath::of(path)?.with(model));
    rebase(path, named.as_deref().unwrap_or(path.as_bytes()), &provider.base_path)
}

pub(super) fn unknown() -> Error {
    let message = "The provider of this model has no API for this kind of call.";
    Error::new(Kind::UnsupportedCapability, message)
}

/// What no server can read as another path.
fn plain(call: &[u8]) -> Option<&str> {
    let call = std::str::from_utf8(call).ok()?;
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    (call.starts_with('/') && call.bytes().all(safe)).then_some(call)
}

/// The parameters of a query, as they are written.
fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = query.strip_prefix(b"?").unwrap_or_default();
    query.split(|byte| *byte == b'&').filter(|parameter| !parameter.is_empty())
}

/// Whether Azure would take it for its `api-version`, which the configuration says.
fn is_version(parameter: &[u8]) -> bool {
    let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
    percent_decode(name).is_some_and(|name| name.eq_ignore_ascii_case(b"api-version"))
}

/// The caller's path, as it is now written, under the provider's base: the version at its head is
/// the gateway's own. What only looks like that could climb out of the base, and stays as it is.
fn rebase(asked: &Path<'_>, path: &[u8], base: &str) -> Vec<u8> {
    let ours = Some(path).filter(|_| asked.means_something()).unwrap_or_default();
    match ours.strip_prefix(b"/v1beta").or_else(|| ours.strip_prefix(b"/v1")) {
        Some(rest) if matches!(rest.first(), None | Some(b'/' | b'?')) => {
            [base.as_bytes(), rest].concat()
        }
        _ => path.to_vec(),
    }
}

/// The calls that a dated version of Azure's API has under a deployment.
const OF_DEPLOYMENTS: [&str; 8] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/images/edits",
    "/images/generations",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(settings: &str) -> Provider {
        let config = format!(r#"{{"provider": "p", {settings}}}"#);
        Provider::from_bytes(config.as_bytes(), &|_| None).unwrap()
    }

    fn at(provider: &Provider, path: &str) -> Option<String> {
        let path = Path::read(path.as_bytes());
        let path = of(provider, Operation::Chat, &path, None, || "my-gpt:4o".to_owned());
        path.ok().map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn the_base_stands_in_the_place_of_v1() {
        let provider = provider(r#""base_path": "/api/v3""#);
        for (path, expected) in [
            ("/v1/chat/completions?a=b", "/api/v3/chat/completions?a=b"),
            ("/v1?a", "/api/v3?a"),
            ("/v1", "/api/v3"),
            ("/v10/chat", "/v10/chat"),
            ("/v1/../admin", "/v1/../admin"),
            ("/V1/x/../chat", "/api/v3/chat"),
            ("/api/chat", "/api/chat"),
        ] {
            assert_eq!(at(&provider, path).as_deref(), Some(expected));
        }
        assert_eq!(under(&provider, "/messages", "m").as_deref(), Ok("/api/v3/messages"));
    }

    #[test]
    fn a_dated_version_of_azure_has_deployments() {
        let provider = provider(r#""api": "azure_openai""#);
        for call in OF_DEPLOYMENTS {
            let expected = format!("/openai/deployments/my-gpt%3A4o{call}?api-version=2024-10-21");
            assert_eq!(at(&provider, &format!("/v1{call}")), Some(expected));
        }
        assert_eq!(
            under(&provider, "/chat/completions", "d").as_deref(),
            Ok("/openai/deployments/d/chat/completions?api-version=2024-10-21")
        );
        assert_eq!(
            at(&provider, "/v1/responses").as_deref(),
            Some("/openai/responses?api-version=2024-10-21")
        );
    }

    #[test]
    fn the_surface_v1_of_azure_has_none() {
        let v1 = provider(r#""api": "azure_openai", "api_version": "v1", "base_path": """#);
        let preview = provider(r#""api": "azure_openai", "api_version": "preview""#);
        for call in ["/chat/completions", "/responses", "/audio/speech", "/moderations"] {
            let path = format!("/v1{call}?a=b");
            assert_eq!(at(&v1, &path), Some(format!("/v1{call}?a=b")));
            let expected = format!("/openai/v1{call}?api-version=preview&a=b");
            assert_eq!(at(&preview, &path), Some(expected));
        }
        assert_eq!(under(&v1, "/responses", "d").as_deref(), Ok("/v1/responses"));
    }

    #[test]
    fn the_callers_parameters_stay_but_the_version_is_ours() {
        let provider = provider(r#""api": "azure_openai", "api_version": "2025-04-01-preview""#);
        let base = "/openai/deployments/my-gpt%3A4o/completions?api-version=2025-04-01-preview";
        for (query, expected) in [
            ("?a=b&c=%20&d", "&a=b&c=%20&d"),
            ("?api-version=x", ""),
            ("?a=1&API-Version=x&b=2", "&a=1&b=2"),
            ("?api%2Dversion=x&&a", "&a"),
            ("?%zz=1", "&%zz=1"),
            ("?a=b?api-version=x#api-version=y", "&a=b?api-version=x"),
            ("?", ""),
        ] {
            let path = format!("/v1/completions{query}");
            assert_eq!(at(&provider, &path), Some(format!("{base}{expected}")), "{query}");
        }
    }

    #[test]
    fn no_path_leads_to_another_deployment() {
        let dated = provider(r#""api": "azure_openai""#);
        let v1 = provider(r#""api": "azure_openai", "api_version": "v1""#);
        for path in [
            "/v1/deployments/other/chat/completions",
            "/v1/Deployments/other/chat/completions",
            "/v1/../openai/deployments/other/chat/completions",
            "/v1/%2e%2e/deployments/other/chat/completions",
            "/v1/images/variations",
            "/v1",
            "/",
        ] {
            assert_eq!(at(&dated, path), None, "{path}");
        }
        for path in ["/v1/../openai/deployments/o", "/v1/a%3fb", "/v1/a%23b", "/v1/%zz"] {
            assert_eq!(at(&v1, path), None, "{path}");
        }
        // Other spellings of a call are that call, in Azure's own spelling.
        for path in
            ["/v1//completions", "/v1/x/../completions", "/v1/%63ompletions/", "/./v1/completions"]
        {
            let expected = "/openai/deployments/my-gpt%3A4o/completions?api-version=2024-10-21";
            assert_eq!(at(&dated, path).as_deref(), Some(expected), "{path}");
            assert_eq!(at(&v1, path).as_deref(), Some("/openai/v1/completions"), "{path}");
        }
        for model in ["", "../other", "a b", "a?b"] {
            assert!(under(&dated, "/completions", model).is_err(), "{model}");
        }
    }
}
