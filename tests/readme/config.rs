//! Both tables of the configuration against what the validation itself says it expects.
//!
//! Nothing is repeated here: `null` in the place of a value makes the validation say what belongs
//! there, an unknown key which keys there are, a list that is too long how long it may be.

use llm_gateway::config::{Api, Gateway, Mistakes, Provider};
use serde_json::{Map, Value, json};

use crate::markdown::{compare, plain, table};

#[test]
fn every_key_of_the_gateway_is_in_the_readme() {
    compare_keys("### `root_id: gateway`", &gateway(), &check_gateway);
}

#[test]
fn every_key_of_the_provider_is_in_the_readme() {
    compare_keys("### `root_id: provider`", &provider(), &check_provider);
}

#[test]
fn the_gateways_defaults_are_as_the_readme_says() {
    check_defaults("### `root_id: gateway`", &gateway(), &|config| {
        let bytes = config.to_string().into_bytes();
        let read = Gateway::from_bytes(&bytes).map_err(|mistakes| lines(&mistakes))?;
        Ok(format!("{:?}", Gateway { hash: Box::default(), ..read }))
    });
}

#[test]
fn the_providers_defaults_are_as_the_readme_says() {
    check_defaults("### `root_id: provider`", &provider(), &|config| {
        let read = Provider::from_bytes(config.to_string().as_bytes(), &environment);
        read.map(|provider| format!("{provider:?}")).map_err(|mistakes| lines(&mistakes))
    });
}

#[test]
fn base_paths_are_as_the_readme_says() {
    let rows = table("### `root_id: provider`", "with `api`");
    let expected: Vec<_> = Api::NAMES
        .into_iter()
        .filter_map(|(name, _)| {
            let config = json!({"provider": "a", "api": name}).to_string();
            let provider = Provider::from_bytes(config.as_bytes(), &environment).ok()?;
            let path = match &*provider.base_path {
                "" => "none".to_owned(),
                path => format!("`{path}`"),
            };
            Some(vec![format!("`{name}`"), path])
        })
        .collect();
    compare("base paths", &rows, &expected);
}

#[test]
fn the_examples_are_valid() {
    let readme = crate::markdown::read("README.md");
    let mut examples = 0;
    for block in crate::markdown::blocks(&readme, "yaml") {
        let example: Value = serde_norway::from_str(&block).unwrap_or(Value::Null);
        let mistakes = match (example.get("providers"), example.get("provider")) {
            (Some(_), _) => check_gateway(&example),
            (_, Some(_)) => check_provider(&example),
            _ => continue,
        };
        examples += 1;
        assert_eq!(mistakes, Vec::<String>::new(), "{block}");
    }
    assert!(examples >= 2, "{examples} examples");
}

type Check<'a> = &'a dyn Fn(&Value) -> Vec<String>;

fn check_gateway(config: &Value) -> Vec<String> {
    Gateway::from_bytes(config.to_string().as_bytes()).err().map_or(Vec::new(), |m| lines(&m))
}

fn check_provider(config: &Value) -> Vec<String> {
    let read = Provider::from_bytes(config.to_string().as_bytes(), &environment);
    read.err().map_or(Vec::new(), |mistakes| lines(&mistakes))
}

fn lines(mistakes: &Mistakes) -> Vec<String> {
    mistakes.iter().map(ToString::to_string).collect()
}

fn environment(_: &str) -> Option<String> {
    Some("secret".to_owned())
}

/// Has one of everything, so that every place can be reached.
fn gateway() -> Value {
    let price =
        json!({"input": 1, "cached_input": 1, "cache_write": 1, "output": 1, "reasoning": 1});
    json!({
        "providers": {"openai": {
            "cluster": "openai",
            "priority": 0,
            "models": [{"name": "gpt", "capabilities": ["chat"], "context_window": 1, "price": price}],
        }},
        "models": {"fast": [{
            "provider": "openai", "model": "gpt", "priority": 0, "weight": 1,
            "attempts": {"per_try_timeout": "1s", "retry_on": ["5xx"]},
        }]},
        "default_model": "fast",
        "attempts": {"per_try_timeout": "1s", "retry_on": ["5xx"]},
        "auth": {"mode": "required"},
        "consumers": [{"name": "app", "key_sha256": "0".repeat(64), "models": ["gpt"]}],
        "limits": [{
            "name": "all", "key": ["consumer"], "window": "1m", "models": ["gpt"],
            "consumers": ["app"], "mode": "enforce",
            "requests": {"limit": 1, "burst": 1},
            "tokens": {"limit": 1, "burst": 1},
            "cost_usd": {"limit": 1, "burst": 1},
        }],
        "breaker": {},
        "limiter": {},
        "cache": {
            "ttl": "1m", "operations": ["chat"], "models": ["gpt"], "vary": ["x-region"],
            "backend": {"cluster": "webdis"},
        },
        "client_ip": {},
        "log": {},
    })
}

fn provider() -> Value {
    json!({
        "provider": "openai",
        "auth": {"header": "x-api-key", "env": "KEY"},
        "headers": {"x-extra": "1"},
        "forward_headers": ["cookie"],
    })
}

/// The keys and values of the table, and no others, in the order of the validation's own list.
fn compare_keys(heading: &str, config: &Value, check: Check<'_>) {
    let mut expected = Vec::new();
    walk(&Place::default(), config, check, &mut expected);
    let rows = table(heading, "key").into_iter();
    let found: Vec<_> = rows.map(|row| vec![plain(&row[0]).to_owned(), row[1].clone()]).collect();
    compare(heading, &found, &expected);
}

/// Adds a row for every value at `place` and inside of it.
fn walk(place: &Place, config: &Value, check: Check<'_>, rows: &mut Vec<Vec<String>>) {
    let expected = match place.is_root() {
        true => String::new(),
        false => expected_at(place, config, check),
    };
    let expected = match place.cap(config, check) {
        Some(cap) => format!("{expected}, at most {cap}"),
        None => expected,
    };
    let keys = keys_at(place, config, check);
    if !(place.is_root() || expected.starts_with("an object with ")) {
        rows.push(vec![place.shown(), expected.clone()]);
    }
    for key in keys {
        walk(&place.key(&key, &key), config, check, rows);
    }
    if let Some(Value::Object(members)) = place.get(config).filter(|_| is_map(&expected)) {
        let first = members.keys().next().unwrap();
        walk(&place.key(first, "NAME"), config, check, rows);
    }
    if matches!(place.get(config), Some(Value::Array(_))) {
        let item = place.item();
        if !keys_at(&item, config, check).is_empty() {
            walk_inside(&item, config, check, rows);
        }
    }
}

/// What is in an item of a list, which has no row of its own.
fn walk_inside(place: &Place, config: &Value, check: Check<'_>, rows: &mut Vec<Vec<String>>) {
    for key in keys_at(place, config, check) {
        walk(&place.key(&key, &key), config, check, rows);
    }
}

fn is_map(expected: &str) -> bool {
    expected.starts_with("an object of ")
}

fn expected_at(place: &Place, config: &Value, check: Check<'_>) -> String {
    let mut changed = place.set(config, Value::Null);
    if place.shown() == "auth.bearer_env" {
        // It stands alone.
        changed["auth"] = json!({"bearer_env": null});
    }
    let path = format!("{}: ", place.path());
    let mistakes = check(&changed);
    let of_place = mistakes.iter().filter_map(|line| line.strip_prefix(&path));
    // What is said of the place itself comes before what is said of the value.
    let expected = of_place.filter_map(|text| text.split_once(", expected ")).next_back();
    let (_, expected) = expected.unwrap_or_else(|| panic!("{path} is not checked: {mistakes:?}"));
    // The example is for who is wrong.
    expected.split(", like \"").next().unwrap_or_default().to_owned()
}

/// The keys that may stand in an object at `place`; none if there can be no object.
fn keys_at(place: &Place, config: &Value, check: Check<'_>) -> Vec<String> {
    let unknown = json!({UNKNOWN: null});
    let changed = place.set(config, unknown);
    let says = format!("{UNKNOWN}: unknown key, expected ");
    let mistakes = check(&changed);
    let list = mistakes.iter().find_map(|line| line.split_once(&says));
    let words = list.map_or("", |(_, list)| list).replace(" or ", ", ");
    words.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzz";

/// For rows with a value as their default: the same as to leave the key out. For those that are
/// required: to leave them out is a mistake.
fn check_defaults(
    heading: &str,
    config: &Value,
    read: &dyn Fn(&Value) -> Result<String, Vec<String>>,
) {
    for row in table(heading, "key") {
        let [key, _, default, _] = row.as_slice() else { panic!("{heading}: not 4 columns") };
        let place = Place::parse(plain(key), config);
        let mut config = config.clone();
        if key == "`auth.mode`" {
            // Consumers without a mode are a mistake.
            config = json!({"providers": config["providers"], "auth": {}});
        }
        let without = place.remove(&config);
        if default == "required" {
            let mistakes = read(&without).expect_err(key);
            assert!(mistakes.iter().any(|line| line.contains("found no")), "{key}: {mistakes:?}");
        } else if default.starts_with('`') {
            let value: Value = serde_norway::from_str(plain(default)).unwrap();
            let with = read(&place.set(&config, value)).unwrap_or_else(|m| panic!("{key}: {m:?}"));
            assert_eq!(read(&without).as_ref(), Ok(&with), "{key}: {default} is not the default");
        }
    }
}

/// A place in a configuration: `providers.openai.models[0].name`, shown as
/// `providers.NAME.models[].name`.
#[derive(Clone, Default)]
struct Place(Vec<Step>);

#[derive(Clone)]
enum Step {
    Key { key: String, shown: String },
    Item,
}

impl Place {
    fn parse(shown: &str, config: &Value) -> Self {
        let mut place = Self::default();
        for part in shown.split('.') {
            let name = part.trim_end_matches("[]");
            let real = match (name, place.get(config)) {
                ("NAME", Some(Value::Object(members))) => members.keys().next().unwrap().clone(),
                _ => name.to_owned(),
            };
            place = place.key(&real, name);
            if part.ends_with("[]") {
                place = place.item();
            }
        }
        place
    }

    fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn key(&self, key: &str, shown: &str) -> Self {
        let step = Step::Key { key: key.to_owned(), shown: shown.to_owned() };
        Self([self.0.clone(), vec![step]].concat())
    }

    fn item(&self) -> Self {
        Self([self.0.clone(), vec![Step::Item]].concat())
    }

    fn write(&self, item: &str, name: impl Fn(&Step) -> &str) -> String {
        let mut text = String::new();
        for step in &self.0 {
            match step {
                Step::Item => text.push_str(item),
                Step::Key { .. } if text.is_empty() => text.push_str(name(step)),
                Step::Key { .. } => text = format!("{text}.{}", name(step)),
            }
        }
        text
    }

    fn shown(&self) -> String {
        self.write("[]", |step| match step {
            Step::Key { shown, .. } => shown,
            Step::Item => "",
        })
    }

    fn path(&self) -> String {
        self.write("[0]", |step| match step {
            Step::Key { key, .. } => key,
            Step::Item => "",
        })
    }

    fn get<'v>(&self, config: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(config, |value, step| match step {
            Step::Key { key, .. } => value.get(key),
            Step::Item => value.get(0),
        })
    }

    fn set(&self, config: &Value, new: Value) -> Value {
        let mut changed = config.clone();
        let mut at = &mut changed;
        for step in &self.0 {
            at = match step {
                // An amount may be a number; here it has parts.
                Step::Key { key, .. } => &mut at[key.as_str()],
                Step::Item => &mut at[0],
            };
        }
        match (at, new) {
            // At the root a key is added.
            (Value::Object(members), Value::Object(new)) if self.is_root() => members.extend(new),
            (at, new) => *at = new,
        }
        changed
    }

    fn remove(&self, config: &Value) -> Value {
        let mut changed = config.clone();
        let mut at = &mut changed;
        let (last, above) = self.0.split_last().unwrap();
        for step in above {
            at = match step {
                Step::Key { key, .. } => &mut at[key.as_str()],
                Step::Item => &mut at[0],
            };
        }
        if let (Step::Key { key, .. }, Some(members)) = (last, at.as_object_mut()) {
            members.remove(key);
        }
        changed
    }

    /// How many entries a list or a map may have at this place.
    fn cap(&self, config: &Value, check: Check<'_>) -> Option<String> {
        let many = match self.get(config)? {
            // The names of a limit's consumers can be no more than there are.
            Value::Array(_) if self.shown() != "limits[].consumers" => {
                Value::Array(vec![Value::Null; MANY])
            }
            Value::Object(_) => {
                let members = (0..MANY).map(|i| (format!("x-{i}"), Value::Null));
                Value::Object(members.collect::<Map<_, _>>())
            }
            _ => return None,
        };
        let says = format!("{}: found {MANY} entries, expected at most ", self.path());
        let mistakes = check(&self.set(config, many));
        mistakes.iter().find_map(|line| line.strip_prefix(&says)).map(str::to_owned)
    }
}

/// More than any list may have.
const MANY: usize = 5000;
