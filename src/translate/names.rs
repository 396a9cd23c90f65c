//! What tools are called at a provider, where it does not take the caller's names: those are too
//! long, have letters that it does not know, stand in a namespace, or are of tools that take a text.

use std::borrow::Cow;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The names of one request that differ from the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Vec<Name>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    /// As the provider knows it.
    pub(crate) sent: String,
    /// As the caller knows it.
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// The caller's tool takes a text, not an object.
    pub(crate) custom: bool,
}

impl Names {
    pub(crate) fn add(&mut self, name: Name) {
        let same = name.sent == name.name && name.namespace.is_none() && !name.custom;
        if !same && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Which tool of the caller's a call of the provider's is about. A model may forget the
    /// namespace where only one of them has such a tool.
    pub(crate) fn find(&self, sent: &str) -> Option<&Name> {
        let bare = || {
            let mut known = self.0.iter().filter(|name| name.name == sent);
            known.next().filter(|name| name.namespace.is_some() && known.next().is_none())
        };
        self.0.iter().find(|name| name.sent == sent).or_else(bare)
    }

    /// The caller's name.
    pub(crate) fn given<'a>(&self, sent: Cow<'a, str>) -> Cow<'a, str> {
        match self.find(&sent) {
            Some(name) => name.name.clone().into(),
            None => sent,
        }
    }

    /// The names of a request that was made of another, whose names these are.
    pub(super) fn of(mut self, later: Self) -> Self {
        for name in later.0 {
            match self.0.iter_mut().find(|known| known.sent == name.name) {
                Some(known) => known.sent = name.sent,
                None => self.0.push(name),
            }
        }
        self
    }

    /// Fits a name, and remembers what it was.
    pub(super) fn fit<'a>(&mut self, name: Cow<'a, str>, form: &Form) -> Cow<'a, str> {
        if form.fits(&name) {
            return name;
        }
        let sent = form.marked(&name);
        let name = name.into_owned();
        self.add(Name { sent: sent.clone(), name, ..Name::default() });
        sent.into()
    }
}

/// What a provider takes as a name or an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) longest: usize,
    pub(super) plain: fn(char) -> bool,
}

impl Form {
    pub(super) const ANY: Self = Self { longest: usize::MAX, plain: |_| true };

    pub(super) fn fits(&self, text: &str) -> bool {
        text.len() <= self.longest && text.chars().all(self.plain)
    }

    /// An id, the same for the same one. Ids are told apart by more than the letters that are
    /// replaced, so only a long one needs a mark.
    pub(super) fn id<'a>(&self, id: Cow<'a, str>) -> Cow<'a, str> {
        if self.fits(&id) {
            return id;
        }
        if id.len() > self.longest {
            return self.marked(&id).into();
        }
        self.replaced(&id).into()
    }

    /// A text that fits and that no other one becomes: its beginning and a mark.
    fn marked(&self, text: &str) -> String {
        let room = self.longest.saturating_sub(MARK + 1);
        let mut fit = self.replaced(text);
        while fit.len() > room {
            fit.pop();
        }
        format!("{fit}_{}", mark(text))
    }

    fn replaced(&self, text: &str) -> String {
        text.chars().map(|c| if (self.plain)(c) { c } else { '_' }).collect()
    }
}

/// Letters, digits, `_` and `-`.
pub(super) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// The id of a call that its provider has given none, or that the client has sent without one. It
/// fits everywhere, and the call of a number has the same one in each request of that id.
pub(super) fn call_id<'a>(request_id: &str, number: u64) -> Cow<'a, str> {
    let form = Form { longest: LONGEST_ID.saturating_sub(9), plain: is_plain };
    let request_id = if form.fits(request_id) { request_id.into() } else { mark(request_id) };
    format!("call_{request_id}_{number}").into()
}

/// Twelve digits that stand for a text.
fn mark(text: &str) -> String {
    format!("{:012x}", digest(text) >> 16)
}

pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// Of a mark.
const MARK: usize = 12;

/// OpenAI takes no longer id of a call.
pub(super) const LONGEST_ID: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_has_a_short_form_and_is_found_again() {
        let form = Form { longest: 64, plain: is_plain };
        let mut names = Names::default();
        assert_eq!(names.fit("get-weather".into(), &form), "get-weather");
        assert_eq!(names, Names::default());
        let long = "mcp__server__".repeat(6);
        let other = format!("{long}x");
        let sent = names.fit(long.as_str().into(), &form);
        assert!(form.fits(&sent), "{sent}");
        assert_eq!(names.fit(long.as_str().into(), &form), sent);
        assert_ne!(names.fit(other.as_str().into(), &form), sent);
        assert_eq!(names.given(sent), long);
        let dotted = names.fit("a.b é".into(), &form);
        assert!(form.fits(&dotted), "{dotted}");
        assert_eq!(names.given(dotted), "a.b é");
        assert_eq!(names.given("unknown".into()), "unknown");
    }

    #[test]
    fn an_id_fits_and_stays_the_same() {
        let form = Form { longest: LONGEST_ID, plain: |_| true };
        assert_eq!(form.id("functions.Bash:0".into()), "functions.Bash:0");
        let long = "call_0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b_0";
        let short = form.id(long.into());
        assert_eq!(short.len(), LONGEST_ID);
        assert_eq!(form.id(long.into()), short);
        let plain = Form { longest: usize::MAX, plain: is_plain };
        assert_eq!(plain.id("functions.Bash:0".into()), "functions_Bash_0");
    }

    #[test]
    fn an_id_that_is_made_fits_everywhere() {
        assert_eq!(call_id("req-1", 0), "call_req-1_0");
        for request_id in ["0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "a b/é", &"x".repeat(128)] {
            let id = call_id(request_id, 127);
            assert!(id.len() <= LONGEST_ID && id.chars().all(is_plain), "{id}");
            assert_ne!(id, call_id(request_id, 126));
        }
    }

    #[test]
    fn a_forgotten_namespace_is_found_where_there_is_only_one() {
        let name = |namespace: &str| Name {
            sent: format!("{namespace}__f"),
            name: "f".into(),
            namespace: Some(namespace.into()),
            custom: false,
        };
        let mut names = Names::default();
        names.add(name("a"));
        assert_eq!(names.find("f"), Some(&name("a")));
        names.add(name("b"));
        assert_eq!(names.find("f"), None);
        assert_eq!(names.find("b__f"), Some(&name("b")));
    }
}
