//! The rows of the table: every value of each dimension with every value of those that it may work
//! together with, and some of all at once by chance, always the same.

use serde_json::Value;

use super::values::{
    CALLS, CONTENT_TYPES, Call, DOORS, FULL, METHODS, NARROW, NO_CALLS, NOBODY, SPELLINGS, SPENT,
    Spelling, UNWANTED, credentials,
};

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) door: Door,
    /// `UPGRADE` is a GET that wants a websocket.
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Body,
    pub(super) content_types: &'static [&'static str],
    pub(super) credential: Credential,
    pub(super) caller: Caller,
    pub(super) http2: bool,
    /// Who serves the model.
    pub(super) provider: &'static str,
    pub(super) model: String,
    pub(super) streams: bool,
    /// What is sent where it is JSON.
    pub(super) json: Value,
}

/// Listeners of one Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// `auth: {mode: required}` and nothing else.
    Closed,
    /// The same with `unmatched: pass`.
    Open,
    /// `consumer_header: x-consumer`.
    Trusted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Json,
    /// Neither JSON nor a form.
    Garbage,
    /// A form of several parts, with the model among them.
    Form,
    /// The same in the form of a query.
    Pairs,
    Empty,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) cheap_only: bool,
}

impl Caller {
    pub(super) fn may_ask(self, model: &str) -> bool {
        !self.cheap_only || model.ends_with("-cheap")
    }
}

/// How a caller says who it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credential {
    pub(super) name: &'static str,
    /// With `KEY` and `NAME` for the caller's own.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) query: &'static str,
    pub(super) is_good: bool,
    /// The key stands in the body.
    pub(super) in_body: bool,
    /// Whether what stands in the query is good, where it is looked at.
    pub(super) in_query: Option<bool>,
}

pub(super) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    let keys = |door| credentials(door);
    for (at, call) in CALLS.iter().enumerate() {
        for door in DOORS {
            for method in METHODS {
                for good in [true, false] {
                    let credential = keys(door).into_iter().find(|one| one.is_good == good);
                    rows.push(Row {
                        method,
                        credential: credential.unwrap(),
                        ..row(call, door, at)
                    });
                }
            }
        }
        for (number, spelling) in SPELLINGS.iter().enumerate() {
            for (caller, model) in [(NARROW, "dear"), (NARROW, "cheap"), (SPENT, "cheap")] {
                rows.push(
                    spelled(Row { caller, ..row(call, Door::Closed, number) }, *spelling).of(model),
                );
                rows.push(
                    spelled(Row { caller, ..row(call, Door::Open, number) }, *spelling).of(model),
                );
            }
            rows.push(spelled(
                Row { credential: NOBODY, ..row(call, Door::Open, number) },
                *spelling,
            ));
        }
        for (number, (content_types, body)) in CONTENT_TYPES.iter().enumerate() {
            for (caller, model) in [(FULL, "cheap"), (NARROW, "dear"), (SPENT, "cheap")] {
                let row =
                    Row { caller, content_types, body: *body, ..row(call, Door::Closed, number) };
                rows.push(row.of(model));
            }
        }
        for door in DOORS {
            for (number, credential) in keys(door).into_iter().enumerate() {
                rows.push(Row { credential, ..row(call, door, number) });
            }
        }
    }
    for (number, path) in NO_CALLS.iter().enumerate() {
        for door in DOORS {
            for method in METHODS {
                for caller in [FULL, SPENT] {
                    rows.push(Row {
                        caller,
                        method,
                        path: (*path).into(),
                        ..row(&CALLS[15], door, number)
                    });
                }
                let credential = keys(door).into_iter().find(|one| !one.is_good).unwrap();
                rows.push(Row {
                    credential,
                    method,
                    path: (*path).into(),
                    ..row(&CALLS[15], door, number)
                });
            }
        }
    }
    let mut dice = Dice(1);
    rows.extend((0..BY_CHANCE).map(|_| by_chance(&mut dice)));
    rows.retain(Row::can_be_sent);
    rows
}

fn by_chance(dice: &mut Dice) -> Row {
    let door = dice.pick(&DOORS);
    let call = dice.pick(&CALLS);
    let (content_types, body) = dice.pick(&CONTENT_TYPES);
    let row = Row {
        method: if dice.below(3) == 0 { dice.pick(&METHODS) } else { "POST" },
        content_types,
        body,
        credential: dice.pick(&credentials(door)),
        caller: dice.pick(&[FULL, NARROW, SPENT]),
        ..row(&call, door, dice.below(8))
    };
    spelled(row, dice.pick(&SPELLINGS)).of(dice.pick(&["cheap", "dear"]))
}

/// What is good in everything; `number` chooses what makes no difference.
fn row(call: &Call, door: Door, number: usize) -> Row {
    let provider = call.providers[number % call.providers.len()];
    let row = Row {
        door,
        method: "POST",
        path: call.path.to_owned(),
        body: Body::Json,
        content_types: &["application/json"],
        credential: credentials(door)[0],
        caller: FULL,
        http2: number % 2 == 1,
        provider,
        model: String::new(),
        streams: call.streams,
        json: (call.body)("MODEL"),
    };
    row.of("cheap")
}

impl Row {
    /// Asks for another of its provider's models.
    fn of(mut self, model: &str) -> Self {
        let model = format!("{}-{model}", self.provider);
        let before = if self.model.is_empty() { "MODEL" } else { &*self.model };
        self.path = self.path.replace(before, &model);
        self.json = serde_json::from_str(&self.json.to_string().replace(before, &model)).unwrap();
        Self { model, ..self }
    }

    /// A websocket begins with HTTP/1.1 here, and only what has a body can have a type.
    fn can_be_sent(&self) -> bool {
        !(self.method == "UPGRADE" && self.http2)
    }

    pub(super) fn has_body(&self) -> bool {
        ["POST", "PUT", "PATCH"].contains(&self.method)
    }

    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let own =
            |value: &str| value.replace("KEY", self.caller.key).replace("NAME", self.caller.name);
        let mut headers: Vec<_> =
            self.credential.headers.iter().map(|(name, value)| (*name, own(value))).collect();
        if self.has_body() {
            headers.extend(
                self.content_types.iter().map(|value| ("content-type", (*value).to_owned())),
            );
        }
        headers.extend(UNWANTED.iter().map(|(name, value)| (*name, (*value).to_owned())));
        headers
    }

    pub(super) fn target(&self) -> String {
        let query = self.credential.query.replace("KEY", self.caller.key);
        let join = if query.is_empty() {
            ""
        } else if self.path.contains('?') {
            "&"
        } else {
            "?"
        };
        format!("{}{join}{query}", self.path)
    }

    /// `number` is found again in what a provider was sent, also where its headers are others.
    pub(super) fn bytes(&self, number: usize) -> Vec<u8> {
        let numbered =
            |json: &Value| json.to_string().replace("Hello", &format!("Hello row-{number}-"));
        match self.body {
            _ if !self.has_body() => Vec::new(),
            Body::Json if self.credential.in_body => {
                let mut json = self.json.clone();
                json["api_key"] = self.caller.key.into();
                numbered(&json).into()
            }
            Body::Json => numbered(&self.json).into(),
            Body::Garbage => b"Hello \xff\x00".into(),
            Body::Pairs => format!("model={}&prompt=x", self.model).into(),
            Body::Empty => Vec::new(),
            Body::Form => format!("--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{}\r\n--b\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n--b--\r\n", self.model).into(),
        }
    }
}

fn spelled(mut row: Row, spelling: Spelling) -> Row {
    let (path, query) =
        row.path.split_once('?').map_or((&*row.path, None), |(path, query)| (path, Some(query)));
    let path = spelling(path);
    row.path = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    row
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

const BY_CHANCE: usize = 2500;
