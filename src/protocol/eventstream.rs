//! AWS's framing of event streams (`application/vnd.amazon.eventstream`): binary, with checksums.
//!
//! A message is: its length and the length of its headers (4 bytes each, big end first), a checksum
//! of these, the headers, the payload, a checksum of all. A header is: the length of its name (1),
//! the name, its type (1), its value.

use super::sse::MAX_FRAME;

/// Cuts a body into messages, whatever the chunking. After a fault nothing more is read.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The message that is not whole yet, or that was handed out last.
    held: Vec<u8>,
    handed_out: bool,
    fault: bool,
}

/// One message, as far as anyone acts on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// `:event-type`, `:exception-type` or `:error-code`: what it is about.
    pub name: &'a str,
    /// It says that the stream has failed.
    pub is_error: bool,
    pub payload: &'a [u8],
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More than [`MAX_FRAME`] bytes in one message.
    TooLarge,
    /// Lengths that cannot be.
    Length,
    Checksum,
    Header,
}

impl Decoder {
    /// The next message of `chunk`, of which what was taken is cut off. `None`: it is used up.
    pub fn next<'a>(&'a mut self, chunk: &mut &[u8]) -> Option<Result<Message<'a>, Fault>> {
        if self.fault {
            return None;
        }
        if std::mem::take(&mut self.handed_out) {
            if self.held.capacity() > KEPT {
                self.held = Vec::new();
            }
            self.held.clear();
        }
        self.hold(PRELUDE, chunk)?;
        let read = match prelude(&self.held) {
            Ok(length) => {
                self.hold(length, chunk)?;
                self.handed_out = true;
                message(&self.held)
            }
            Err(fault) => Err(fault),
        };
        self.fault = read.is_err();
        Some(read)
    }

    /// How many bytes are kept.
    pub fn kept(&self) -> usize {
        self.held.capacity()
    }

    /// Moves bytes until `length` are held.
    fn hold(&mut self, length: usize, chunk: &mut &[u8]) -> Option<()> {
        let missing = length.saturating_sub(self.held.len());
        let (moved, rest) = chunk.split_at_checked(missing).unwrap_or((*chunk, &[]));
        self.held.extend_from_slice(moved);
        *chunk = rest;
        (moved.len() == missing).then_some(())
    }
}

/// The memory of a larger message is not kept for the next one.
const KEPT: usize = 16 << 10;

/// The length of the message that begins here.
fn prelude(bytes: &[u8]) -> Result<usize, Fault> {
    let mut rest = bytes;
    let (total, headers) = lengths(&mut rest).ok_or(Fault::Length)?;
    let checksum = number(&mut rest).ok_or(Fault::Length)?;
    if crc32(bytes.get(..LENGTHS).unwrap_or_default()) != checksum {
        return Err(Fault::Checksum);
    }
    if headers.saturating_add(PRELUDE).saturating_add(CHECKSUM) > total {
        return Err(Fault::Length);
    }
    if total > MAX_FRAME { Err(Fault::TooLarge) } else { Ok(total) }
}

/// A whole message whose prelude is right.
fn message(bytes: &[u8]) -> Result<Message<'_>, Fault> {
    let (covered, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(Fault::Length)?;
    if crc32(covered) != u32::from_be_bytes(*checksum) {
        return Err(Fault::Checksum);
    }
    let (_, headers) = lengths(&mut &*covered).ok_or(Fault::Length)?;
    let body = covered.get(PRELUDE..).unwrap_or_default();
    let (mut headers, payload) = body.split_at_checked(headers).ok_or(Fault::Length)?;
    let mut message = Message { payload, ..Message::default() };
    while !headers.is_empty() {
        let (name, value) = header(&mut headers).ok_or(Fault::Header)?;
        let text = || std::str::from_utf8(value).map_err(|_| Fault::Header);
        match name {
            b":message-type" => message.is_error = value != b"event",
            b":event-type" | b":exception-type" | b":error-code" => message.name = text()?,
            _ => {}
        }
    }
    Ok(message)
}

/// The next header; its value only if that is bytes or a text.
fn header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let [length] = *take::<1>(rest)?;
    let name = take_slice(rest, usize::from(length))?;
    let [kind] = *take::<1>(rest)?;
    let length = match kind {
        // True and false.
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        // A long number and a time.
        5 | 8 => 8,
        // Bytes and text.
        6 | 7 => usize::from(u16::from_be_bytes(*take::<2>(rest)?)),
        9 => 16,
        _ => return None,
    };
    let value = take_slice(rest, length)?;
    Some((name, if matches!(kind, 6 | 7) { value } else { &[] }))
}

/// Of the message and of its headers.
fn lengths(rest: &mut &[u8]) -> Option<(usize, usize)> {
    let length = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Some((length(number(rest)?), length(number(rest)?)))
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    take::<4>(rest).map(|bytes| u32::from_be_bytes(*bytes))
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(taken)
}

fn take_slice<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

/// The checksum of gzip and Ethernet.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        let step = usize::try_from(index).ok().and_then(|index| STEPS.get(index));
        step.copied().unwrap_or_default() ^ (crc >> 8)
    })
}

const STEPS: [u32; 256] = {
    let mut steps = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "the index is below 256")]
        {
            steps[index as usize] = crc;
        }
        index += 1;
    }
    steps
};

/// Both lengths.
const LENGTHS: usize = 8;
/// Both lengths and their checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message with text headers.
    pub(crate) fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(u8::try_from(name.len()).unwrap());
            block.extend(name.as_bytes());
            block.push(7);
            block.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            block.extend(value.as_bytes());
        }
        frame(&block, payload)
    }

    fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let total = u32::try_from(PRELUDE + headers.len() + payload.len() + CHECKSUM).unwrap();
        let mut frame = total.to_be_bytes().to_vec();
        frame.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend(headers);
        frame.extend(payload);
        frame.extend(crc32(&frame).to_be_bytes());
        frame
    }

    type Read = Result<(String, bool, Vec<u8>), Fault>;

    fn decode(chunks: &[&[u8]]) -> Vec<Read> {
        let mut decoder = Decoder::default();
        let mut all = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while let Some(read) = decoder.next(&mut rest) {
                all.push(read.map(|message| {
                    (message.name.to_owned(), message.is_error, message.payload.to_vec())
                }));
            }
        }
        all
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn messages_are_read_whatever_the_chunking() {
        // A published vector: one header of type text, and a payload of JSON.
        let vector = [
            &[0, 0, 0, 0x3d, 0, 0, 0, 0x20, 0x07, 0xfd, 0x83, 0x96, 0x0c][..],
            b"content-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1",
        ]
        .concat();
        assert_eq!(decode(&[&vector]), [Ok((String::new(), false, b"{'foo':'bar'}".to_vec()))]);

        let body = [
            encode(&[(":event-type", "messageStart"), (":message-type", "event")], b"{\"a\":1}"),
            encode(&[], b""),
            encode(&[(":message-type", "exception"), (":exception-type", "x")], b"{}"),
        ]
        .concat();
        let expected = [
            Ok(("messageStart".to_owned(), false, b"{\"a\":1}".to_vec())),
            Ok((String::new(), false, Vec::new())),
            Ok(("x".to_owned(), true, b"{}".to_vec())),
        ];
        assert_eq!(decode(&[&body]), expected);
        for cut in 0..body.len() {
            assert_eq!(decode(&[&body[..cut], &body[cut..]]), expected, "{cut}");
        }
        assert_eq!(decode(&body.chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn headers_of_every_type_are_passed_over() {
        let mut headers = Vec::new();
        for (kind, length) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            headers.extend([1, b'h', kind]);
            headers.extend(vec![0xff; length]);
        }
        headers.extend(b"\x01h\x06\x00\x02\xff\xff\x0b:event-type\x07\x00\x01e");
        let read = decode(&[&frame(&headers, b"p")]);
        assert_eq!(read, [Ok(("e".to_owned(), false, b"p".to_vec()))]);
    }

    #[test]
    fn a_fault_ends_the_stream() {
        let good = encode(&[(":event-type", "e")], b"payload");
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            bad.extend(&good);
            let read = decode(&[&bad]);
            assert!(matches!(read[..], [Err(_)]), "{place} {read:?}");
        }
        let unknown = frame(b"\x01h\x0a", b"");
        assert_eq!(decode(&[&unknown, &good]), [Err(Fault::Header)]);
        let short = frame(b"\x01h\x07\x00\x09e", b"");
        assert_eq!(decode(&[&short]), [Err(Fault::Header)]);
        let large = frame(b"", &vec![0; MAX_FRAME]);
        assert_eq!(decode(&[&large]), [Err(Fault::TooLarge)]);
        let mut lengths = [0u32, 9].map(u32::to_be_bytes).concat();
        lengths.extend(crc32(&lengths).to_be_bytes());
        assert_eq!(decode(&[&lengths]), [Err(Fault::Length)]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(headers in prop::collection::vec(any::<u8>(), 0..40), body in prop::collection::vec(any::<u8>(), 0..40)) {
            decode(&[&body]);
            decode(&[&frame(&headers, &body)]);
        }
    }
}
