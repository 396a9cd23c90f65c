//! Puts the objects of a stream together into one, by rules for each member.

use std::collections::BTreeMap;

use super::Obstacle;
use super::json::{Object, inner, is_null, items, object};

/// How the members of one object come together.
pub(super) struct Schema {
    pub(super) members: &'static [(&'static str, Rule)],
    pub(super) others: Rule,
}

/// How the values of one member in several events become one. Null is weaker than anything.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// All the same; an empty string is weaker than another.
    Same,
    /// Told once.
    Once,
    First,
    Last,
    /// Strings, one after the other.
    Concat,
    /// Arrays, one after the other.
    Append,
    Nested(&'static Schema),
    /// An array of objects, each with the `index` of the one that it goes on with.
    Indexed(&'static Schema),
    /// Of no meaning for the whole.
    Drop,
    /// Must be null.
    Refuse(Obstacle),
}

/// What has come together so far.
pub(super) struct Merged<'a> {
    schema: &'static Schema,
    members: Vec<(&'a str, Node<'a>)>,
}

/// A member's value.
pub(super) enum Node<'a> {
    Raw(&'a str),
    Text(Vec<&'a str>),
    Items(Vec<&'a str>),
    Nested(Merged<'a>),
    Indexed(BTreeMap<usize, Merged<'a>>),
}

impl<'a> Merged<'a> {
    pub(super) fn new(schema: &'static Schema) -> Self {
        Self { schema, members: Vec::new() }
    }

    pub(super) fn add(&mut self, object: &Object<'a>) -> Result<(), Obstacle> {
        object.iter().try_for_each(|(key, value)| self.member(key, value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &Node<'a>)> {
        self.members.iter().map(|(key, node)| (*key, node))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.members.iter().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node<'a>> {
        self.members.iter_mut().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    /// Whether there is a value other than null.
    pub(super) fn has(&self, key: &str) -> bool {
        !matches!(self.get(key), None | Some(Node::Raw(NULL)))
    }

    /// Gives a member another name, if it is there.
    pub(super) fn rename(&mut self, key: &str, to: &'static str) {
        if let Some((name, _)) = self.members.iter_mut().find(|(name, _)| *name == key) {
            *name = to;
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.members.retain(|(name, _)| *name != key);
    }

    /// Sets a member; a new one comes at the place `at`.
    pub(super) fn set(&mut self, at: usize, key: &'a str, value: &'a str) {
        match self.get_mut(key) {
            Some(node) => *node = Node::Raw(value),
            None => self.members.insert(at.min(self.members.len()), (key, Node::Raw(value))),
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        object(out, |members| {
            for (key, node) in &self.members {
                node.write(members.key(key));
            }
        });
    }

    /// Writes `value` in place of a member that is there.
    pub(super) fn write_with(&self, out: &mut String, key: &str, value: &str) {
        object(out, |members| {
            for (name, node) in &self.members {
                if *name == key {
                    members.raw(name, value);
                } else {
                    node.write(members.key(name));
                }
            }
        });
    }

    /// One more item of an array.
    pub(super) fn push(&mut self, key: &'a str, item: &'a str) -> Result<(), Obstacle> {
        self.member(key, "[]")?;
        match self.get_mut(key) {
            Some(Node::Items(all)) => {
                all.push(item);
                Ok(())
            }
            _ => Err(Obstacle::Malformed),
        }
    }

    /// Takes in one member of one event.
    pub(super) fn member(&mut self, key: &'a str, value: &'a str) -> Result<(), Obstacle> {
        let named = self.schema.members.iter().find(|(name, _)| *name == key);
        let rule = named.map_or(self.schema.others, |(_, rule)| *rule);
        match rule {
            Rule::Drop => return Ok(()),
            Rule::Refuse(_) if is_null(value) => return Ok(()),
            Rule::Refuse(why) => return Err(why),
            _ => {}
        }
        let node = match self.members.iter().position(|(name, _)| *name == key) {
            Some(at) => self.members.get_mut(at),
            None => {
                self.members.push((key, Node::Raw(NULL)));
                self.members.last_mut()
            }
        };
        match node {
            Some((_, node)) if !is_null(value) => node.add(rule, value),
            _ => Ok(()),
        }
    }
}

impl<'a> Node<'a> {
    /// Takes in a value that is not null.
    fn add(&mut self, rule: Rule, value: &'a str) -> Result<(), Obstacle> {
        let empty = matches!(self, Self::Raw(NULL));
        match (rule, &mut *self) {
            (Rule::Same, Self::Raw(known)) => match (*known, value) {
                (NULL | EMPTY, value) => *known = value,
                (_, EMPTY) => {}
                (known, value) if known == value => {}
                _ => return Err(Obstacle::Conflict),
            },
            (Rule::Once, Self::Raw(known)) if empty => *known = value,
            (Rule::Once, _) => return Err(Obstacle::Unknown),
            (Rule::First, Self::Raw(known)) if empty => *known = value,
            (Rule::First, _) => {}
            (Rule::Last, Self::Raw(known)) => *known = value,
            (Rule::Concat, Self::Text(text)) => text.push(inner(value).ok_or(Obstacle::Malformed)?),
            (Rule::Concat, _) if empty => {
                *self = Self::Text(vec![inner(value).ok_or(Obstacle::Malformed)?]);
            }
            (Rule::Append, Self::Items(all)) => all.extend(items(value)?),
            (Rule::Append, _) if empty => *self = Self::Items(items(value)?),
            (Rule::Nested(_), Self::Nested(merged)) => merged.add(&Object::parse(value)?)?,
            (Rule::Nested(schema), _) if empty => {
                let mut merged = Merged::new(schema);
                merged.add(&Object::parse(value)?)?;
                *self = Self::Nested(merged);
            }
            (Rule::Indexed(schema), node) => {
                if empty {
                    *node = Self::Indexed(BTreeMap::new());
                }
                let Self::Indexed(all) = node else { return Err(Obstacle::Malformed) };
                for item in items(value)? {
                    let item = Object::parse(item)?;
                    let index = item.get("index").and_then(|index| index.parse().ok());
                    let index = index.ok_or(Obstacle::Unknown)?;
                    all.entry(index).or_insert_with(|| Merged::new(schema)).add(&item)?;
                }
            }
            _ => return Err(Obstacle::Malformed),
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Raw(value) => out.push_str(value),
            Self::Text(pieces) => {
                out.push('"');
                pieces.iter().for_each(|piece| out.push_str(piece));
                out.push('"');
            }
            Self::Items(all) => super::json::array(out, all.iter().copied()),
            Self::Nested(merged) => merged.write(out),
            Self::Indexed(all) => {
                out.push('[');
                for (at, merged) in all.values().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    merged.write(out);
                }
                out.push(']');
            }
        }
    }
}

const NULL: &str = "null";
const EMPTY: &str = "\"\"";
