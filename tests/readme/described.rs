//! The wire types as their files describe them: every declared field of a request, with the way to
//! it, so that a test can find it in any JSON.

use serde_json::Value;

use crate::markdown::read;

/// One declared field, wherever in a request its type may stand.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// `ImageUrl.detail`
    pub(crate) name: String,
    ways: Vec<Vec<Step>>,
    /// The request cannot be without it.
    pub(crate) required: bool,
    /// Any text will do.
    pub(crate) text: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// A member, under any of its names.
    Member(Vec<String>),
    Items,
    /// Only where this member says this.
    Tagged(String, String),
    /// Only where this member is absent.
    Untagged(String),
}

impl Declared {
    /// Where the field stands in a request, as JSON pointers.
    pub(crate) fn places(&self, request: &Value) -> Vec<String> {
        self.ways.iter().flat_map(|way| places(way, request)).collect()
    }
}

fn places(way: &[Step], request: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    for step in way {
        let one = |at: String| -> Vec<String> {
            let value = request.pointer(&at).unwrap_or(&Value::Null);
            match step {
                Step::Member(names) => {
                    let there = names.iter().filter(|name| value.get(name).is_some());
                    there.map(|name| format!("{at}/{name}")).collect()
                }
                Step::Items => {
                    let items = value.as_array().map_or(0, Vec::len);
                    (0..items).map(|item| format!("{at}/{item}")).collect()
                }
                Step::Tagged(tag, word) if value[tag] == **word => vec![at],
                Step::Untagged(tag) if value.is_object() && value.get(tag).is_none() => {
                    vec![at]
                }
                Step::Tagged(..) | Step::Untagged(..) => Vec::new(),
            }
        };
        found = found.into_iter().flat_map(one).collect();
    }
    found
}

/// All fields of a type of the first file; types that it names are looked for in all of them.
pub(crate) fn fields(files: &[&str], root: &str) -> Vec<Declared> {
    let types = Types { texts: files.iter().map(read).collect() };
    let mut found = Vec::new();
    types.walk(root, &[], &mut Vec::new(), &mut found);
    found
}

struct Types {
    texts: Vec<String>,
}

impl Types {
    fn walk(&self, name: &str, way: &[Step], within: &mut Vec<String>, found: &mut Vec<Declared>) {
        // A choice of tools may hold choices of tools.
        if within.iter().any(|outer| outer == name) {
            return;
        }
        within.push(name.to_owned());
        let more = |step: Step| [way, &[step]].concat();
        if let Some(body) = self.body(&format!("pub struct {name}<'a> {{")) {
            for (field, names, kind) in members(&body) {
                let name = format!("{name}.{field}");
                let way = more(Step::Member(names));
                match found.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.ways.push(way.clone()),
                    None => found.push(Declared {
                        name,
                        ways: vec![way.clone()],
                        required: !kind.starts_with("Option<") && !kind.starts_with("Nullable<"),
                        text: kind.starts_with("Cow<'a, str>"),
                    }),
                }
                self.value(&kind, &way, within, found);
            }
        } else if let Some(body) = self.body(&format!("pub enum {name}<'a> by ")) {
            let tag = body.split('"').nth(1).unwrap_or_default().to_owned();
            let default = body.lines().next().and_then(|line| line.split(" or \"").nth(1));
            let default = default.and_then(|rest| rest.split('"').next());
            for (kind, word) in body.lines().filter_map(variant) {
                let tagged = more(Step::Tagged(tag.clone(), word.clone()));
                self.walk(&kind, &tagged, within, found);
                if default == Some(&word) {
                    self.walk(&kind, &more(Step::Untagged(tag.clone())), within, found);
                }
            }
        } else if let Some(body) = self.body(&format!("pub enum {name}<'a> {{")) {
            // Read by hand: what has no word for what it is, is the one that is no `tagged!`.
            for kind in body.lines().filter_map(variant_without_word) {
                let tagged = self.body(&format!("pub enum {kind}<'a> by ")).is_some();
                let way = if tagged { way.to_vec() } else { more(Step::Untagged("type".into())) };
                self.walk(&kind, &way, within, found);
            }
        }
        within.pop();
    }

    /// Through what may hold a type.
    fn value(&self, kind: &str, way: &[Step], within: &mut Vec<String>, found: &mut Vec<Declared>) {
        let inside = |before: &str| kind.strip_prefix(before)?.strip_suffix('>');
        let through = ["Option<", "Nullable<", "Box<", "TextOr<'a, "];
        if let Some(inner) = through.iter().find_map(|before| inside(before)) {
            self.value(inner, way, within, found);
        } else if let Some(inner) = inside("Vec<") {
            let way = [way, &[Step::Items]].concat();
            self.value(inner, &way, within, found);
        } else {
            self.walk(kind.trim_end_matches("<'a>"), way, within, found);
        }
    }

    /// From behind the head of a type to its end.
    fn body(&self, head: &str) -> Option<String> {
        let body = self.texts.iter().find_map(|text| text.split_once(head))?.1;
        let lines = body.lines().take_while(|line| line.trim() != "}");
        Some(lines.map(|line| format!("{line}\n")).collect())
    }
}

/// The fields of an `object!`: the field's name, its names in JSON, its type.
fn members(body: &str) -> Vec<(String, Vec<String>, String)> {
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let member = |line: &str| {
        let (names, kind) = line.split_once(": ")?;
        let field = names.split(' ').next()?.to_owned();
        let mut spelled: Vec<_> = names.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        if spelled.is_empty() {
            spelled.push(field.clone());
        }
        Some((field, spelled, kind.trim_end_matches(',').to_owned()))
    };
    lines.filter_map(member).collect()
}

/// `Text(TextPart<'a>) = "text",`
fn variant(line: &str) -> Option<(String, String)> {
    let (variant, word) = line.trim().split_once(" = \"")?;
    let (_, kind) = variant.split_once('(')?;
    Some((kind.trim_end_matches("<'a>)").to_owned(), word.trim_end_matches("\",").to_owned()))
}

/// `Message(InputMessage<'a>),`
fn variant_without_word(line: &str) -> Option<String> {
    let (_, kind) = line.trim().split_once('(')?;
    kind.strip_suffix("<'a>),").map(str::to_owned)
}
