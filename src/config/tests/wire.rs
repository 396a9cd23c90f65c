use proptest::prelude::*;

use super::super::wire::{Unreadable, Value, decode};
use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

#[test]
fn both_forms_give_the_same_tree() {
    let json = json!({
        "b": [null, true, false, 1, -2.5, 1e300, "x\u{e9}\n", [], {}],
        "a": {"": 0, "long": "y".repeat(300)}
    });
    let expected = object(vec![
        ("a", object(vec![("", Value::Number(0.0)), ("long", text(&"y".repeat(300)))])),
        (
            "b",
            Value::List(
                vec![
                    Value::Null,
                    Value::Bool(true),
                    Value::Bool(false),
                    Value::Number(1.0),
                    Value::Number(-2.5),
                    Value::Number(1e300),
                    text("x\u{e9}\n"),
                    Value::List([].into()),
                    object(vec![]),
                ]
                .into(),
            ),
        ),
    ]);
    let [as_json, as_struct, _] = spellings(&json);
    assert_eq!(decode(&as_json).unwrap(), expected);
    assert_eq!(decode(&as_struct).unwrap(), expected);
}

#[test]
fn nothing_is_an_empty_object() {
    for empty in ["", "{}", " \n\t{ } ", "\n{\n}", "  "] {
        assert_eq!(decode(empty.as_bytes()).unwrap(), object(vec![]), "{empty:?}");
    }
}

/// A line feed is also the first byte of a Struct, and `{` a length of 123.
#[test]
fn json_that_begins_with_an_empty_line_is_no_struct() {
    for json in ["\n{\n  \"providers\": 1}", "\n{\n\"a\":1}", "\n\n{}", "\n  {\"a\": 1}"] {
        assert!(matches!(decode(json.as_bytes()), Ok(Value::Object(_))), "{json:?}");
    }
    for length in 1..200 {
        let object = json!({"k".repeat(length): "v".repeat(123_usize.saturating_sub(length))});
        let bytes = structure(object.as_object().unwrap());
        let key = "k".repeat(length);
        let Value::Object(members) = decode(&bytes).unwrap() else { panic!("{length}") };
        assert_eq!(&*members[0].0, key);
    }
}

#[test]
fn what_is_neither_form_is_refused() {
    for bytes in [&b"providers: {}"[..], b"[]", b"\"x\"", b"1", b"\xff", b"\x0a\xff", b"\x0a\x05a"]
    {
        assert_eq!(decode(bytes), Err(Unreadable::Neither), "{bytes:?}");
    }
    for (json, why) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("{\"a\": tru}", "expected ident at line 1 column 10"),
        ("{} x", "trailing characters at line 1 column 4"),
        ("{\"a\": 1e999}", "number out of range at line 1 column 11"),
    ] {
        assert_eq!(decode(json.as_bytes()), Err(Unreadable::Json(why.to_owned())));
    }
    assert!(matches!(decode(b"{\"a\": \"\xff\"}"), Err(Unreadable::Json(_))));
}

#[test]
fn size_and_depth_are_bounded() {
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_BYTES));
    assert_eq!(decode(long.as_bytes()), Err(Unreadable::TooLong(MAX_BYTES + 9)));

    let nested = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    let objects = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({"a": inner}));
    for inner in [nested, objects] {
        for (depth, fits) in [(MAX_DEPTH - 1, true), (MAX_DEPTH, false), (60, false)] {
            let config = json!({"a": inner(depth)});
            let fits = if inner == objects { depth < MAX_DEPTH - 1 } else { fits };
            for bytes in spellings(&config) {
                let found = decode(&bytes);
                assert_eq!(found.is_ok(), fits, "{depth} {config}");
                assert!(found.is_ok() || found == Err(Unreadable::TooDeep));
            }
        }
    }
    let hostile = [b"{\"a\":".repeat(100_000), b"[".repeat(100_000)].concat();
    assert!(decode(&hostile).is_err());
}

#[test]
fn a_struct_may_hold_fields_of_later_versions() {
    let unknown = [bytes_field(9, b"new"), vec![9 << 3, 1], vec![9 << 3 | 5, 1, 2, 3, 4]].concat();
    let value = [unknown.clone(), bytes_field(3, b"old"), bytes_field(3, b"v")].concat();
    let entry = [bytes_field(1, b"k"), unknown.clone(), bytes_field(2, &value)].concat();
    let bytes = [bytes_field(1, &entry), unknown].concat();
    assert_eq!(decode(&bytes).unwrap(), object(vec![("k", text("v"))]));
    // Defaults are not written: an entry without key and value.
    assert_eq!(decode(&bytes_field(1, b"")).unwrap(), object(vec![("", Value::Null)]));
}

#[test]
fn a_struct_that_is_cut_is_refused_or_has_fewer_members() {
    let config = json!({"a": {"b": [1, "two", null]}, "c": "d".repeat(200), "e": true});
    let bytes = structure(config.as_object().unwrap());
    let Value::Object(whole) = decode(&bytes).unwrap() else { panic!() };
    for cut in 0..bytes.len() {
        match decode(&bytes[..cut]) {
            Ok(Value::Object(members)) => {
                assert!(members.len() < whole.len());
                assert!(members.iter().all(|member| whole.contains(member)), "{cut}");
            }
            Ok(other) => panic!("{other:?}"),
            Err(why) => assert_eq!(why, Unreadable::Neither),
        }
    }
    let text = config.to_string();
    for cut in 1..text.len() {
        assert!(matches!(decode(&text.as_bytes()[..cut]), Err(Unreadable::Json(_))), "{cut}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        "[a-z*/.0-9]{0,12}".prop_map(Json::from),
        proptest::sample::select(vec!["30s", "4MiB", "on", "2.5", "openai", "gpt-*"])
            .prop_map(Json::from),
    ];
    let keys = proptest::sample::select(vec![
        "providers",
        "models",
        "openai",
        "name",
        "price",
        "input",
        "consumers",
        "limits",
        "cache",
        "auth",
        "mode",
        "key",
        "window",
        "ttl",
        "provider",
        "model",
        "headers",
        "api",
        "attempts",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Gateway::from_bytes(&bytes);
        let structure = [&[0x0a][..], &bytes].concat();
        let _ = Gateway::from_bytes(&structure);
        let _ = Provider::from_bytes(&structure, &|_| None);
    }

    #[test]
    fn a_damaged_struct_does_not_panic(json in any_json(), at: prop::sample::Index, to: u8) {
        let mut bytes = structure(json!({"providers": json}).as_object().unwrap());
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = Gateway::from_bytes(&bytes);
    }

    #[test]
    fn json_and_struct_give_the_same_mistakes(json in any_json()) {
        let config = match json {
            Json::Object(_) => json,
            other => json!({"providers": other}),
        };
        let [json, structure, _] = spellings(&config);
        let read = |bytes: &[u8]| format!("{:?}", Gateway::from_bytes(bytes).map(|read| read.hash));
        prop_assert_eq!(read(&json), read(&structure));
        let env = |_: &str| Some("value".to_owned());
        prop_assert_eq!(Provider::from_bytes(&json, &env), Provider::from_bytes(&structure, &env));
    }
}
