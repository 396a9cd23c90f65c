//! The descriptions. They expand to plain types with public fields and the two methods
//! `from_json` and `to_json`.

/// A JSON object. The key is the field's name, or what stands after `as`, and may be spelled as
/// after `or`. A field that is no `Option` is required.
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident<$a:lifetime> {
            $($(#[$field_meta:meta])* $field:ident $(as $key:literal $(or $other:literal)?)?: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name<$a> {
            $($(#[$field_meta])* pub $field: $type,)*
            /// The members that have no field.
            pub rest: $crate::protocol::wire::Rest<$a>,
        }

        impl<$a> $name<$a> {
            pub fn from_json(body: &$a [u8]) -> Result<Self, $crate::error::Error> {
                $crate::protocol::wire::read(body)
            }

            pub fn to_json(&self) -> Vec<u8> {
                $crate::protocol::wire::write(self)
            }

            #[allow(unused_variables, reason = "an object may have no field")]
            pub(crate) fn write_members(&self, members: &mut $crate::protocol::wire::Members<'_>) {
                $(members.put($crate::protocol::wire::object!(@key $field $($key)?), &self.$field);)*
                members.rest(&self.rest);
            }
        }

        impl<$a> $crate::protocol::wire::Wire<$a> for $name<$a> {
            #[allow(unused_variables, reason = "an object may have no field")]
            fn read(
                scanner: &mut $crate::protocol::json::Scanner<$a>,
                at: &$crate::protocol::wire::Path<'_>,
            ) -> Result<Self, $crate::error::Error> {
                $(let mut $field: Option<$type> = None;)*
                let rest = $crate::protocol::wire::Rest::read(scanner, at, |scanner, key| {
                    match key {
                        $($crate::protocol::wire::object!(@key $field $($key)?) $($(| $other)?)? => {
                            let at = $crate::protocol::wire::Path::Member(at, $crate::protocol::wire::object!(@key $field $($key)?));
                            if $field.is_some() {
                                return Err($crate::protocol::mistake::twice(at.to_string()));
                            }
                            $field = Some($crate::protocol::wire::Wire::read(scanner, &at)?);
                            Ok(true)
                        })*
                        _ => Ok(false),
                    }
                })?;
                Ok(Self {
                    $($field: match $field {
                        Some(value) => value,
                        None => <$type as $crate::protocol::wire::Wire<$a>>::absent(
                            &$crate::protocol::wire::Path::Member(at, $crate::protocol::wire::object!(@key $field $($key)?)),
                        )?,
                    },)*
                    rest,
                })
            }

            fn write(&self, out: &mut Vec<u8>) {
                let mut members = $crate::protocol::wire::Members::new(out);
                self.write_members(&mut members);
                members.end();
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
}

/// JSON objects that say in one member what they are; `or` names what they are if they do not.
/// `Other` keeps what is not known.
macro_rules! tagged {
    (
        $(#[$meta:meta])*
        pub enum $name:ident<$a:lifetime> by $tag:literal $(or $default:literal)? {
            $($(#[$variant_meta:meta])* $variant:ident($type:ident<$b:lifetime>) = $word:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name<$a> {
            $($(#[$variant_meta])* $variant($type<$b>),)*
            Other($crate::protocol::wire::Raw<$a>),
        }

        impl<$a> $crate::protocol::wire::Wire<$a> for $name<$a> {
            fn read(
                scanner: &mut $crate::protocol::json::Scanner<$a>,
                at: &$crate::protocol::wire::Path<'_>,
            ) -> Result<Self, $crate::error::Error> {
                let tag = $crate::protocol::wire::tag(scanner, $tag, at)?;
                $(let tag = tag.or(Some($default.into()));)?
                let tag = tag.ok_or_else(|| {
                    let at = $crate::protocol::wire::Path::Member(at, $tag);
                    $crate::protocol::mistake::missing_at(at.to_string().into())
                })?;
                match &*tag {
                    $($word => {
                        let mut value = <$type<$b> as $crate::protocol::wire::Wire<$a>>::read(scanner, at)?;
                        value.rest.remove($tag);
                        Ok(Self::$variant(value))
                    })*
                    _ => $crate::protocol::wire::Wire::read(scanner, at).map(Self::Other),
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(value) => {
                        let mut members = $crate::protocol::wire::Members::new(out);
                        members.put($tag, &std::borrow::Cow::Borrowed($word));
                        value.write_members(&mut members);
                        members.end();
                    })*
                    Self::Other(raw) => raw.write(out),
                }
            }
        }
    };
}

/// A string that is one of a few words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl<'a> $crate::protocol::wire::Wire<'a> for $name {
            fn read(
                scanner: &mut $crate::protocol::json::Scanner<'a>,
                at: &$crate::protocol::wire::Path<'_>,
            ) -> Result<Self, $crate::error::Error> {
                match &*$crate::protocol::wire::text(scanner, at)? {
                    $($word => Ok(Self::$variant),)*
                    _ => {
                        let words: &[&str] = &[$($word),*];
                        let rule = format!("it must be one of '{}'", words.join("', '"));
                        Err($crate::protocol::mistake::invalid_value(at.to_string(), &rule))
                    }
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                $crate::protocol::edit::write_json_string(out, self.word());
            }
        }
    };
}

pub(crate) use {object, tagged, words};
