#![allow(
    unreachable_pub,
    dead_code,
    reason = "the descriptions are made for modules that are public"
)]

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

object! {
    pub struct Sample<'a> {
        name: Cow<'a, str>,
        count: Option<u64>,
        /// Renamed.
        kind as "Kind": Option<Word>,
        list: Option<Vec<Item<'a>>>,
        empty: Nullable<Number<'a>>,
        either: Option<TextOr<'a, Vec<bool>>>,
    }
}

words! {
    pub enum Word {
        One = "one",
        Two = "two",
    }
}

tagged! {
    pub enum Item<'a> by "type" {
        Leaf(Leaf<'a>) = "leaf",
        Node(Sample<'a>) = "node",
    }
}

object! {
    pub struct Leaf<'a> {
        text: Cow<'a, str>,
    }
}

fn refusal(body: &str) -> (Option<&'static str>, Option<String>) {
    let error = Sample::from_json(body.as_bytes()).unwrap_err();
    assert!(!error.message.contains("sesame"), "{}", error.message);
    (error.code, error.param.map(Cow::into_owned))
}

#[test]
fn fields_come_first_and_the_rest_as_it_is_written() {
    let body = r#" {"x" : [1.0, {"a":"\u0061"}] ,"Kind":"two","either":[true,false],"name":"\u006e","list":[{"b":1e1,"text":"t","type":"leaf"},{"name":"m","type":"node"},{"type":"new", "z":0}],"\u0078y":-0}"#;
    let sample = Sample::from_json(body.as_bytes()).unwrap();
    assert_eq!(sample.name, "n");
    assert_eq!(sample.rest.names().collect::<Vec<_>>(), ["x", "xy"]);
    assert_eq!(sample.rest.get("xy").map(Raw::as_str), Some("-0"));
    assert_eq!(
        String::from_utf8(sample.to_json()).unwrap(),
        r#"{"name":"n","Kind":"two","list":[{"type":"leaf","text":"t","b":1e1},{"type":"node","name":"m","empty":null},{"type":"new", "z":0}],"empty":null,"either":[true,false],"x":[1.0, {"a":"\u0061"}],"\u0078y":-0}"#
    );
}

#[test]
fn each_mistake_is_named_by_its_place() {
    let cases = [
        ("", "invalid_json", None),
        ("[]", "invalid_json", None),
        (r#"{"name":"a"}x"#, "invalid_json", None),
        (r#"{"name":"a","x":}"#, "invalid_json", None),
        ("{}", "missing_field", Some("name")),
        (r#"{"name":null}"#, "invalid_type", Some("name")),
        (r#"{"name":"\ud800"}"#, "invalid_value", Some("name")),
        (r#"{"name":"a","name":"sesame"}"#, "duplicate_field", Some("name")),
        (r#"{"name":"a","count":"sesame"}"#, "invalid_type", Some("count")),
        (r#"{"name":"a","count":-1}"#, "invalid_value", Some("count")),
        (r#"{"name":"a","count":1.5}"#, "invalid_value", Some("count")),
        (r#"{"name":"a","Kind":"sesame"}"#, "invalid_value", Some("Kind")),
        (r#"{"name":"a","either":1}"#, "invalid_type", Some("either")),
        (r#"{"name":"a","either":[0]}"#, "invalid_type", Some("either[0]")),
        (r#"{"name":"a","list":{}}"#, "invalid_type", Some("list")),
        (r#"{"name":"a","list":[1]}"#, "invalid_type", Some("list[0]")),
        (r#"{"name":"a","list":[{}]}"#, "missing_field", Some("list[0].type")),
        (r#"{"name":"a","list":[{"type":1}]}"#, "invalid_type", Some("list[0].type")),
        (r#"{"name":"a","list":[{"type":"leaf"}]}"#, "missing_field", Some("list[0].text")),
        (
            r#"{"name":"a","list":[{"type":"node","name":"b","list":[{"type":"leaf","text":[]}]}]}"#,
            "invalid_type",
            Some("list[0].list[0].text"),
        ),
    ];
    for (body, code, param) in cases {
        assert_eq!(refusal(body), (Some(code), param.map(str::to_owned)), "{body}");
    }
}

#[test]
fn sizes_are_bounded() {
    let items = |count: usize| {
        let leaves = vec![r#"{"type":"x"}"#; count].join(",");
        format!(r#"{{"name":"a","list":[{leaves}]}}"#)
    };
    assert!(Sample::from_json(items(MAX_ITEMS).as_bytes()).is_ok());
    assert_eq!(refusal(&items(MAX_ITEMS + 1)), (Some("invalid_value"), Some("list".into())));
    let members = |count: usize| {
        let members: String = (0..count).map(|i| format!(",\"x{i}\":0")).collect();
        format!(r#"{{"name":"a","list":[{{"type":"leaf","text":""{members}}}]}}"#)
    };
    // The type is one of them until it is known.
    assert!(Sample::from_json(members(MAX_REST - 1).as_bytes()).is_ok());
    assert_eq!(refusal(&members(MAX_REST)), (Some("invalid_value"), Some("list[0]".into())));
    let deep = format!(r#"{{"name":"a","x":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    assert_eq!(refusal(&deep), (Some("invalid_json"), None));
}

#[test]
fn a_body_cut_at_any_byte_is_refused_as_json() {
    let body =
        r#"{"list":[{"b":1,"type":"leaf","text":"é"},{"type":"new"}],"name":"a","empty":null}"#;
    assert!(Sample::from_json(body.as_bytes()).is_ok());
    for cut in 0..body.len() {
        let error = Sample::from_json(&body.as_bytes()[..cut]).unwrap_err();
        // A list that ends before its item says what it is, says so.
        assert!(matches!(error.code, Some("invalid_json" | "invalid_type")), "{cut} {error:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(body in "[{}\\[\\]\":,a-e0-9.\\\\ -]{0,60}") {
        let _ = Sample::from_json(body.as_bytes());
        let _ = Sample::from_json(format!(r#"{{"name":"","list":[{{"type":"node",{body}"#).as_bytes());
    }
}
