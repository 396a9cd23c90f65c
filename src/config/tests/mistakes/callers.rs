use super::*;

#[test]
fn callers() {
    let by_key = |consumers: Json| json!({"auth": {"mode": "required"}, "consumers": consumers});
    let key = "expected the SHA-256 of a key, 64 hexadecimal digits";
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let other = KEY.replace('2', "3");
    check(&[
        (
            json!({"auth": {"mode": "on"}}),
            "auth.mode: found \"on\", expected off, optional or required",
        ),
        (
            json!({"auth": {"mode": "all"}, "consumers": [{"name": "a", "key_sha256": KEY}]}),
            "auth.mode: found \"all\", expected off, optional or required",
        ),
        (
            json!({"auth": {"mode": "required"}}),
            "consumers: found nothing, expected those that auth.mode is about",
        ),
        (
            json!({"consumer_header": "x-consumer"}),
            "consumers: found nothing, expected those that consumer_header names",
        ),
        (
            json!({"consumers": [{"name": "a", "key_sha256": KEY}]}),
            "auth: found nothing, expected a mode that is optional or required, or a consumer_header: else nobody is a consumer",
        ),
        (
            json!({"auth": {"mode": "off"}, "consumers": [{"name": "a", "key_sha256": KEY}]}),
            "auth.mode: found \"off\", expected optional or required, or a consumer_header: else nobody is a consumer",
        ),
        (by_key(json!([])), "consumers: found nothing in it, expected at least one of consumers"),
        (
            by_key(json!({"web": "sk-secret"})),
            "consumers: found an object, expected a list of consumers",
        ),
        (
            by_key(json!(["sk-secret"])),
            "consumers[0]: found a string, expected an object with name, key_sha256 or models",
        ),
        (
            by_key(json!([{"key_sha256": KEY}])),
            "consumers[0].name: found nothing, expected a name: 1 to 64 visible ASCII characters without ; and =",
        ),
        (
            by_key(json!([{"name": "a;b", "key_sha256": KEY}])),
            "consumers[0].name: found \"a;b\", expected a name: 1 to 64 visible ASCII characters without ; and =",
        ),
        (
            by_key(json!([{"name": true, "key_sha256": KEY}])),
            "consumers[0].name: found true without quotes, expected a name: 1 to 64 visible ASCII characters without ; and =",
        ),
        (by_key(json!([{"name": "a"}])), &format!("consumers[0].key_sha256: found nothing, {key}")),
        (
            by_key(json!([{"name": "a", "key_sha256": "sk-secret"}])),
            &format!("consumers[0].key_sha256: found a string of 9 characters, {key}"),
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": [KEY, 17]}])),
            &format!("consumers[0].key_sha256[1]: found a number without quotes, {key}"),
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": empty}])),
            &format!("consumers[0].key_sha256: found the digest of an empty key, {key}"),
        ),
        (
            by_key(
                json!([{"name": "a", "key_sha256": KEY}, {"name": "b", "key_sha256": [KEY.to_uppercase()]}]),
            ),
            "consumers[1].key_sha256[0]: found a key, expected another one than consumers[0].key_sha256",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY}, {"name": "a", "key_sha256": other}])),
            "consumers[1].name: found \"a\", expected another name than consumers[0].name",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY, "models": ["gpt-5"]}])),
            "consumers[0].models[0]: found \"gpt-5\", expected a name that clients can ask for",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY, "models": ["claude-*"]}])),
            "consumers[0].models[0]: found \"claude-*\", expected a name that clients can ask for",
        ),
        (
            by_key(json!([{"name": "a", "key_sha256": KEY, "models": ["*", "*"]}])),
            "consumers[0].models[1]: found \"*\", expected each name once",
        ),
        (
            json!({"consumer_header": "x-consumer", "consumers": [{"name": "a", "key_sha256": KEY}]}),
            "consumers[0].key_sha256: found a key, expected none, as consumer_header is looked at instead of keys",
        ),
    ]);
    for header in ["X-Consumer", "x consumer", "x-llm-consumer", "authorization", ":path", ""] {
        let line = format!(
            "consumer_header: found {header:?}, expected a header name in lower case, none of credentials and none that begins with x-llm-"
        );
        check(&[(json!({"consumer_header": header, "consumers": [{"name": "a"}]}), &line)]);
    }
    for pattern in ["openai/gpt-4o", "*4o", "o1-preview", "openai/*", "o*-mini", "x*/*"] {
        let models = [pattern];
        let found = mistakes(&changed(
            &minimal(),
            &by_key(json!([{"name": "a", "key_sha256": KEY, "models": models}])),
        ));
        assert_eq!(found.is_empty(), pattern != "x*/*", "{pattern} {found:?}");
    }
}
