//! Objects of which a few members matter. Derived code would also take a list for an object, member
//! by member, which no API does.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

/// Types that are read from objects only, each of whose members may be absent but not stand twice.
macro_rules! objects {
    ($( $(#[$doc:meta])* $name:ident { $($json:literal => $member:ident: $type:ty,)* } )*) => { $(
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name {
            $(pub(super) $member: $type,)*
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> ::serde::de::Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: ::serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name, A::Error> {
                        let mut object = $name::default();
                        let mut keys = $crate::protocol::promise::object::Keys::new(&[$($json),*]);
                        while let Some(key) = map.next_key_seed(&mut keys)? {
                            match key {
                                $($json => object.$member = map.next_value()?,)*
                                _ => {
                                    map.next_value::<::serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }
    )* };
}

pub(super) use objects;

/// The keys that matter, and which of them have come.
pub(super) struct Keys {
    names: &'static [&'static str],
    seen: u32,
}

impl Keys {
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        Self { names, seen: 0 }
    }
}

/// The key, if it is one that matters; else empty.
impl<'de> DeserializeSeed<'de> for &mut Keys {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Keys {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<&'static str, E> {
        let mut bit = 1;
        for name in self.names {
            if *name == key {
                if self.seen & bit != 0 {
                    return Err(E::custom("a member stands twice"));
                }
                self.seen |= bit;
                return Ok(name);
            }
            bit <<= 1;
        }
        Ok("")
    }
}
