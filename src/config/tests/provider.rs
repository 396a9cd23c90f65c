use super::*;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "ANTHROPIC_API_KEY" => "sk-secret",
        "EMPTY" => "",
        "TRAILING" => "sk-secret\n",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(config: &Json) -> Result<Provider, Mistakes> {
    let read = read_all(config, |bytes| Provider::from_bytes(bytes, &env));
    assert!(!format!("{read:?}").contains("secret"), "{read:?}");
    read
}

fn minimal() -> Json {
    json!({"provider": "p"})
}

#[test]
fn the_documented_configuration_is_read() {
    let config = json!({
        "provider": "anthropic",
        "api": "anthropic",
        "host": "api.anthropic.com",
        "base_path": "/v1",
        "auth": {"header": "X-Api-Key", "env": "ANTHROPIC_API_KEY"},
        "headers": {"Anthropic-Version": "2023-06-01"},
        "forward_headers": ["Cookie", "x-team"]
    });
    let provider = read(&config).unwrap();
    assert_eq!((&*provider.name, provider.api), ("anthropic", Api::Anthropic));
    assert_eq!(provider.host.as_deref(), Some("api.anthropic.com"));
    let credential = provider.credential.unwrap();
    assert_eq!((&*credential.header, &*credential.value), ("x-api-key", "sk-secret"));
    assert_eq!(provider.headers, [("anthropic-version".into(), "2023-06-01".into())]);
    assert_eq!(provider.forward_headers, ["cookie".into(), "x-team".into()]);
}

#[test]
fn a_bearer_token_is_an_authorization_header() {
    let config = changed(&minimal(), &json!({"auth": {"bearer_env": "ANTHROPIC_API_KEY"}}));
    let credential = read(&config).unwrap().credential.unwrap();
    assert_eq!((&*credential.header, &*credential.value), ("authorization", "Bearer sk-secret"));
}

#[test]
fn what_is_not_written_fits_the_api() {
    let provider = read(&minimal()).unwrap();
    assert_eq!((provider.api, &*provider.base_path), (Api::OpenAi, "/v1"));
    assert_eq!((provider.host, provider.credential, provider.api_version), (None, None, None));
    for (name, api) in Api::NAMES {
        let provider = read(&changed(&minimal(), &json!({"api": name}))).unwrap();
        assert_eq!((provider.api, provider.api.name()), (api, name));
        assert_eq!(provider.api_version.is_some(), api == Api::AzureOpenAi);
    }
    let azure =
        json!({"api": "azure_openai", "base_path": "", "api_version": "2025-01-01-preview"});
    let provider = read(&changed(&minimal(), &azure)).unwrap();
    let version = AzureVersion::Dated("2025-01-01-preview".into());
    assert_eq!(provider.api_version, Some(version));
    assert_eq!(&*provider.base_path, "");
}

#[test]
fn every_mistake_is_named_and_no_secret() {
    let value = "expected 1 to 8192 bytes, no control characters, no space at the ends";
    let header = "expected the name of a header that is free to be set";
    let forwarded = "expected the name of a header, none of credentials, of the connection or the body, x-llm- or x-envoy-";
    let variable = "expected one with a value, that vm_config.environment_variables passes on";
    let table = [
        (json!({"provider": null}), "provider: found nothing, expected a name: 1 to 64 visible ASCII characters without ; = / and *".to_owned()),
        (json!({"provider": "a/b"}), "provider: found \"a/b\", expected a name: 1 to 64 visible ASCII characters without ; = / and *".to_owned()),
        (json!({"api": "openia"}), "api: found \"openia\", expected openai, azure_openai, anthropic, gemini, bedrock, ollama or cohere".to_owned()),
        (json!({"providers": {}}), "providers: unknown key, expected provider".to_owned()),
        (json!({"api_version": "2024-10-21"}), "api_version: found a version, expected none: only azure_openai has one".to_owned()),
        (json!({"api": "azure_openai", "api_version": "a&b"}), "api_version: found \"a&b\", expected a version like 2024-10-21 or 2025-04-01-preview, v1 or preview".to_owned()),
        (json!({"auth": "sk-secret"}), "auth: found a string, expected an object with header, env or bearer_env".to_owned()),
        (json!({"auth": {}}), "auth.env: found nothing, expected the name of an environment variable, here or at bearer_env".to_owned()),
        (json!({"auth": {"env": "ANTHROPIC_API_KEY"}}), format!("auth.header: found nothing, {header}")),
        (json!({"auth": {"header": "x y", "env": "ANTHROPIC_API_KEY"}}), format!("auth.header: found \"x y\", {header}")),
        (json!({"auth": {"header": "x", "env": "NO_SUCH"}}), format!("auth.env: found no environment variable NO_SUCH, {variable}")),
        (json!({"auth": {"bearer_env": "EMPTY"}}), format!("auth.bearer_env: found no environment variable EMPTY, {variable}")),
        (json!({"auth": {"bearer_env": "0secret"}}), "auth.bearer_env: found a string of 7 characters, expected the name of an environment variable".to_owned()),
        (json!({"auth": {"bearer_env": "abcsecret"}}), format!("auth.bearer_env: found no environment variable of this name, {variable}")),
        (json!({"auth": {"bearer_env": "TRAILING"}}), format!("auth.bearer_env: found another value in the environment variable TRAILING, {value}")),
        (json!({"auth": {"bearer_env": "ANTHROPIC_API_KEY", "env": "ANTHROPIC_API_KEY", "header": "x"}}), "auth.bearer_env: found both env and bearer_env, expected one of them".to_owned()),
        (json!({"auth": {"bearer_env": "ANTHROPIC_API_KEY", "header": "x"}}), "auth.header: found a header, expected none beside bearer_env, which is authorization".to_owned()),
        (json!({"headers": {"a": "b\r\nsecret: 1"}}), format!("headers.a: found a string of 12 characters, {value}")),
        (json!({"headers": {"a": " secret"}}), format!("headers.a: found a string of 7 characters, {value}")),
        (json!({"headers": {"a": ""}}), format!("headers.a: found a string of 0 characters, {value}")),
        (json!({"forward_headers": ["authorization"]}), format!("forward_headers[0]: found \"authorization\", {forwarded}")),
        (json!({"forward_headers": ["x-llm-model"]}), format!("forward_headers[0]: found \"x-llm-model\", {forwarded}")),
        (json!({"forward_headers": ["x-envoy-internal"]}), format!("forward_headers[0]: found \"x-envoy-internal\", {forwarded}")),
        (json!({"forward_headers": ["Host"]}), format!("forward_headers[0]: found \"Host\", {forwarded}")),
        (json!({"forward_headers": ["a b"]}), format!("forward_headers[0]: found \"a b\", {forwarded}")),
        (json!({"forward_headers": ["cookie", "Cookie"]}), "forward_headers[1]: found \"Cookie\", expected each header once, whatever its case".to_owned()),
        (json!({"headers": {"a": 1}}), format!("headers.a: found a number without quotes, {value}")),
        (json!({"headers": {"Host": "secret"}}), format!("headers.Host: found \"Host\", {header}, and credentials in auth")),
        (json!({"headers": {":path": "secret"}}), format!("headers[\":path\"]: found \":path\", {header}, and credentials in auth")),
        (json!({"headers": {"x-llm-a": "secret"}}), format!("headers.x-llm-a: found \"x-llm-a\", {header}, and credentials in auth")),
        (json!({"headers": {"authorization": "Bearer secret"}}), format!("headers.authorization: found \"authorization\", {header}, and credentials in auth")),
        (json!({"headers": {"A": "1", "a": "2"}}), "headers.a: found \"a\", expected each header once, whatever its case, and not in auth too".to_owned()),
        (json!({"auth": {"header": "x-own-key", "env": "ANTHROPIC_API_KEY"}, "headers": {"x-own-key": "1"}}), "headers.x-own-key: found \"x-own-key\", expected each header once, whatever its case, and not in auth too".to_owned()),
    ];
    for (change, line) in table {
        let found = lines(read(&changed(&minimal(), &change)));
        assert_eq!(found, [line], "{change}");
    }
}

#[test]
fn hosts_and_paths_cannot_leave_their_place() {
    for (host, fits) in [
        ("api.openai.com", true),
        ("api.openai.com:8443", true),
        ("127.0.0.1:80", true),
        ("[::1]", true),
        ("[::1]:443", true),
        ("", false),
        ("::1", false),
        ("a:0", false),
        ("a:", false),
        ("a:65536", false),
        ("a/b", false),
        ("a b", false),
        ("user@a", false),
        ("https://a", false),
        ("a\r\nx: y", false),
        ("[::1", false),
        ("[a]", false),
    ] {
        let found = lines(read(&changed(&minimal(), &json!({"host": host}))));
        assert_eq!(found.is_empty(), fits, "{host:?} {found:?}");
    }
    for (path, fits) in [
        ("", true),
        ("/v1", true),
        ("/a/b-c_d.e", true),
        ("/", false),
        ("v1", false),
        ("/v1/", false),
        ("//a", false),
        ("/a/../b", false),
        ("/a?b", false),
        ("/a#b", false),
        ("/a b", false),
        ("/a\r\nx", false),
    ] {
        let found = lines(read(&changed(&minimal(), &json!({"base_path": path}))));
        assert_eq!(found.is_empty(), fits, "{path:?} {found:?}");
    }
}
