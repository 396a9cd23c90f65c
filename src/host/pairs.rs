//! The header map as the host hands it over: one buffer, read in place.

/// Headers in their wire order, duplicates kept. Names are lower case (Envoy normalises them),
/// values are bytes.
///
/// Layout (proxy-wasm ABI 0.2.1, little endian): count, then a (name length, value length) pair
/// each, then name NUL value NUL each. A buffer that is shorter than it says yields the headers
/// that are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<u8>);

impl Pairs {
    /// Takes a buffer in the layout of the ABI.
    pub fn from_abi(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Builds the buffer that the host would hand over, or that it expects.
    pub fn encode<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
        let count = headers.clone().count();
        let mut out = Vec::with_capacity(4 + count * 48);
        let mut number = |n: usize| out.extend(u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
        number(count);
        for (name, value) in headers.clone() {
            number(name.len());
            number(value.len());
        }
        for (name, value) in headers {
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
        out
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.0.capacity()
    }

    pub fn iter(&self) -> Iter<'_> {
        let (count, rest) = take_u32(&self.0).unwrap_or((0, &[]));
        let (lengths, data) = rest.split_at_checked(count.saturating_mul(8)).unwrap_or((&[], &[]));
        Iter { lengths, data }
    }

    /// The first value of `name`, which must be lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    /// Every value of `name`, which must be lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    /// The first value of each of several names, in one pass over all headers.
    pub fn first<const N: usize>(&self, names: [&str; N]) -> [Option<&[u8]>; N] {
        let mut found = [None; N];
        for (name, value) in self.iter() {
            for (place, wanted) in found.iter_mut().zip(names) {
                if place.is_none() && name == wanted.as_bytes() {
                    *place = Some(value);
                }
            }
        }
        found
    }

    /// The first value of `name` where it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(headers: I) -> Self {
        let headers: Vec<_> = headers.into_iter().collect();
        Self(Self::encode(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()))))
    }
}

/// See [`Pairs::iter`].
#[derive(Clone)]
pub struct Iter<'a> {
    lengths: &'a [u8],
    data: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_length, rest) = take_u32(self.lengths)?;
        let (value_length, lengths) = take_u32(rest)?;
        let (name, data) = take_field(self.data, name_length)?;
        let (value, data) = take_field(data, value_length)?;
        (self.lengths, self.data) = (lengths, data);
        Some((name, value))
    }
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

fn take_field(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (field, rest) = bytes.split_at_checked(length)?;
    Some((field, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_encodes_whatever_the_bytes() {
        let headers: [(&[u8], &[u8]); 4] =
            [(b":path", b"/v1"), (b"x", b""), (b"x-mode", b"\xff\xfe"), (b"x", b"again")];
        let pairs = Pairs::from_abi(Pairs::encode(headers.iter().copied()));
        assert_eq!(pairs.iter().collect::<Vec<_>>(), headers);
        assert_eq!(pairs.get("x"), Some(&b""[..]));
        assert_eq!(pairs.text("x-mode"), None);
        assert_eq!(pairs.get("absent"), None);
        let first = pairs.first(["absent", "x", ":path", "x"]);
        assert_eq!(first, [None, Some(&b""[..]), Some(b"/v1"), Some(b"")]);
    }

    #[test]
    fn a_truncated_buffer_yields_whole_headers_only() {
        let whole: Pairs = [("a", "1"), ("b", "2")].into_iter().collect();
        for cut in 0..whole.0.len() {
            let pairs = Pairs::from_abi(whole.0[..cut].to_vec());
            assert!(pairs.iter().all(|(n, v)| n.len() == 1 && v.len() == 1), "cut at {cut}");
        }
        assert_eq!(Pairs::from_abi(vec![255; 64]).iter().count(), 0);
    }
}
