//! Consumers: who pays, by key or by the word of an earlier filter.

use std::hint::black_box;

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind};
use crate::host::Pairs;
use crate::routing::Allow;

/// How callers are told apart.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    pub mode: Mode,
    pub consumers: Box<[Consumer]>,
    /// Set by an earlier, trusted filter, and looked at instead of keys.
    pub consumer_header: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Keys are not looked at.
    #[default]
    Off,
    /// A request without a key passes, one with a wrong key does not.
    Optional,
    Required,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    pub name: Box<str>,
    /// SHA-256 of each key; several while keys are rotated, none where a header names the consumer.
    pub keys: Box<[[u8; 32]]>,
    pub allow: Allow,
}

/// A consumer of one [`Auth`]: its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerId(usize);

impl ConsumerId {
    pub fn index(self) -> usize {
        self.0
    }
}

impl Auth {
    /// The consumer of a request; `None` if it came without a name and may.
    pub fn identify(&self, headers: &Pairs) -> Result<Option<ConsumerId>, Error> {
        let (found, absent) = match &self.consumer_header {
            Some(header) => (self.by_name(headers, header)?, UNKNOWN_CONSUMER),
            None if self.mode == Mode::Off => return Ok(None),
            None => (self.by_key(headers)?, NO_KEY),
        };
        // A header that is to name callers names all of them, unless they are told to be optional.
        if found.is_none() && self.mode != Mode::Optional {
            return Err(Error::new(Kind::Authentication, absent));
        }
        Ok(found)
    }

    /// Whether anybody is told apart.
    pub fn identifies(&self) -> bool {
        self.mode != Mode::Off || self.consumer_header.is_some()
    }

    /// `None` for an id of another configuration.
    pub fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(id.0)
    }

    /// What a caller may ask for. Without a consumer, everything: `identify` has let it pass.
    pub fn allow(&self, consumer: Option<ConsumerId>) -> &Allow {
        consumer.and_then(|id| self.consumer(id)).map_or(&Allow::Everything, |c| &c.allow)
    }

    /// Whether the caller's credentials are for this gateway, and so for no provider.
    pub fn hides_credentials(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// A name given twice is refused: one of the two is the client's own.
    fn by_name(&self, headers: &Pairs, header: &str) -> Result<Option<ConsumerId>, Error> {
        let mut given = headers.iter().filter(|(name, _)| *name == header.as_bytes());
        let Some((_, value)) = given.next() else {
            return Ok(None);
        };
        let known = self.consumers.iter().position(|consumer| consumer.name.as_bytes() == value);
        let consumer = known.filter(|_| given.next().is_none()).map(ConsumerId);
        Some(consumer.ok_or(Error::new(Kind::Authentication, UNKNOWN_CONSUMER))).transpose()
    }

    /// Looks at every key of every consumer whatever it finds, so that the time taken tells nothing.
    fn by_key(&self, headers: &Pairs) -> Result<Option<ConsumerId>, Error> {
        let Some(key) = key(headers) else {
            return Ok(None);
        };
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        for (index, consumer) in self.consumers.iter().enumerate() {
            for known in &consumer.keys {
                let differences = digest.iter().zip(known).fold(0, |all, (a, b)| all | (a ^ b));
                if black_box(differences) == 0 {
                    found = Some(ConsumerId(index));
                }
            }
        }
        Some(found.ok_or(Error::new(Kind::Authentication, WRONG_KEY))).transpose()
    }
}

/// Where callers put their keys, in the order in which they are looked at.
pub const CREDENTIAL_HEADERS: [&str; 4] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// The first key of the request. An `authorization` of another scheme than `Bearer` is no key.
fn key(headers: &Pairs) -> Option<&[u8]> {
    CREDENTIAL_HEADERS.iter().find_map(|name| {
        let value = headers.get(name)?;
        match *name {
            "authorization" => bearer(value),
            _ => Some(value.trim_ascii()),
        }
    })
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.trim_ascii().split_at_checked(6)?;
    let separated = token.first().is_none_or(u8::is_ascii_whitespace);
    (scheme.eq_ignore_ascii_case(b"bearer") && separated).then(|| token.trim_ascii())
}

const NO_KEY: &str = "No API key was sent: use `Authorization: Bearer KEY`, `x-api-key`, `api-key` or `x-goog-api-key`";
const WRONG_KEY: &str = "Incorrect API key provided";
const UNKNOWN_CONSUMER: &str = "Unknown consumer";

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(name: &str, keys: &[&str]) -> Consumer {
        let keys = keys.iter().map(|key| Sha256::digest(key).into()).collect();
        Consumer { name: name.into(), keys, allow: Allow::Only([].into()) }
    }

    fn auth(mode: Mode, consumer_header: Option<&str>) -> Auth {
        Auth {
            mode,
            consumers: [consumer("web", &["sk-web"]), consumer("job", &["sk-old", "sk-new"])]
                .into(),
            consumer_header: consumer_header.map(Into::into),
        }
    }

    /// The consumer's name, `-` for none, or the message of a refusal.
    fn outcome(auth: &Auth, headers: &[(&str, &str)]) -> String {
        match auth.identify(&headers.iter().copied().collect()) {
            Ok(Some(id)) => auth.consumer(id).unwrap().name.to_string(),
            Ok(None) => "-".to_owned(),
            Err(error) => {
                assert_eq!(error.kind, Kind::Authentication);
                error.message.into_owned()
            }
        }
    }

    #[test]
    fn a_key_is_found_in_each_of_the_headers() {
        let auth = auth(Mode::Required, None);
        for (header, value, expected) in [
            ("authorization", "Bearer sk-web", "web"),
            ("authorization", "bearer  sk-web ", "web"),
            ("x-api-key", "sk-old", "job"),
            ("api-key", "sk-new", "job"),
            ("x-goog-api-key", "sk-web", "web"),
            ("authorization", "Bearersk-web", NO_KEY),
            ("authorization", "Basic c2std2Vi", NO_KEY),
            ("authorization", "Bearer", WRONG_KEY),
            ("authorization", "Bearer sk-we", WRONG_KEY),
            ("api-key", "", WRONG_KEY),
            ("x-other", "sk-web", NO_KEY),
        ] {
            assert_eq!(outcome(&auth, &[(header, value)]), expected, "{header}: {value}");
        }
        assert_eq!(outcome(&auth, &[("x-api-key", "sk-web"), ("authorization", "Basic x")]), "web");
        assert_eq!(
            outcome(&auth, &[("x-api-key", "sk-web"), ("authorization", "Bearer x")]),
            WRONG_KEY
        );
    }

    #[test]
    fn a_wrong_key_passes_only_where_keys_are_not_looked_at() {
        let wrong = [("authorization", "Bearer sk-wrong")];
        for (mode, without, with_wrong) in [
            (Mode::Off, "-", "-"),
            (Mode::Optional, "-", WRONG_KEY),
            (Mode::Required, NO_KEY, WRONG_KEY),
        ] {
            let auth = auth(mode, None);
            assert_eq!(outcome(&auth, &[]), without, "{mode:?}");
            assert_eq!(outcome(&auth, &wrong), with_wrong, "{mode:?}");
        }
    }

    #[test]
    fn a_trusted_header_names_the_consumer_and_keys_do_not() {
        for mode in [Mode::Off, Mode::Optional, Mode::Required] {
            let auth = auth(mode, Some("x-consumer"));
            let absent = if mode == Mode::Optional { "-" } else { UNKNOWN_CONSUMER };
            assert_eq!(outcome(&auth, &[("x-consumer", "web")]), "web");
            assert_eq!(outcome(&auth, &[("x-consumer", "nobody")]), UNKNOWN_CONSUMER);
            assert_eq!(outcome(&auth, &[("x-api-key", "sk-web")]), absent);
            assert_eq!(
                outcome(&auth, &[("x-consumer", "web"), ("x-consumer", "job")]),
                UNKNOWN_CONSUMER
            );
        }
    }

    #[test]
    fn an_allow_list_binds_its_consumer_and_no_one_else() {
        let auth = auth(Mode::Optional, None);
        let web = auth.identify(&[("api-key", "sk-web")].into_iter().collect()).unwrap();
        assert!(!auth.allow(web).allows("gpt-4o"));
        assert!(auth.allow(None).allows("gpt-4o"));
        assert!(auth.hides_credentials() && !Auth::default().hides_credentials());
    }

    #[test]
    fn no_message_repeats_a_key() {
        let auth = auth(Mode::Required, None);
        for header in CREDENTIAL_HEADERS {
            let message = outcome(&auth, &[(header, "Bearer sk-secret-123")]);
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
