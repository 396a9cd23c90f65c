//! What one set of the table holds, in one small value: read before any body is.

use super::key::Key;
use super::record::Form;

/// The slots of one set. Way `n` of the index tells about the body in place `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Index([Slot; WAYS]);

/// What lies in one place. An `expires_ms` of 0 is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// Half of the key: the body has it whole.
    pub(super) tag: [u8; 16],
    pub(super) stream: bool,
    pub(super) created_ms: u64,
    pub(super) expires_ms: u64,
    pub(super) used_ms: u64,
    pub(super) bytes: u32,
}

impl Index {
    /// A value of any other form counts as empty.
    pub(super) fn decode(value: &[u8]) -> Self {
        let slots = match value.split_first() {
            Some((&VERSION, rest)) => match rest.as_chunks::<SLOT_BYTES>() {
                (slots, []) if slots.len() == WAYS => slots,
                _ => &[],
            },
            _ => &[],
        };
        let mut index = Self::default();
        for (slot, bytes) in index.0.iter_mut().zip(slots) {
            *slot = Slot::decode(bytes).unwrap_or_default();
        }
        index
    }

    /// Writes over `value`. A set with nothing in it is an empty value.
    pub(super) fn encode(&self, value: &mut Vec<u8>) {
        value.clear();
        if self.0.iter().any(Slot::is_taken) {
            value.reserve_exact(1 + WAYS * SLOT_BYTES);
            value.push(VERSION);
            self.0.iter().for_each(|slot| slot.encode(value));
        }
    }

    /// Every place that is taken.
    pub(super) fn taken(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.0.iter().enumerate().filter(|(_, slot)| slot.is_taken())
    }

    pub(super) fn slot_mut(&mut self, way: usize) -> Option<&mut Slot> {
        self.0.get_mut(way)
    }

    /// Where `key` lies in this form.
    pub(super) fn find(&self, key: &Key, form: Form) -> Option<(usize, Slot)> {
        self.taken().find(|(_, slot)| slot.is_of(key, form)).map(|(way, slot)| (way, *slot))
    }

    /// The place among the first `ways` that `key` should take: its own, an empty one, one that
    /// expired, or the least valuable.
    pub(super) fn place(&self, key: &Key, form: Form, ways: usize, now_ms: u64) -> usize {
        let rank = |slot: &Slot| {
            if slot.is_of(key, form) {
                Rank::Own
            } else if !slot.is_taken() {
                Rank::Empty
            } else if slot.expires_ms <= now_ms {
                Rank::Expired
            } else {
                Rank::Live(slot.worthlessness(now_ms))
            }
        };
        let candidates = self.0.iter().take(ways).enumerate();
        candidates.max_by_key(|(_, slot)| rank(slot)).map_or(0, |(way, _)| way)
    }
}

/// Whose place is taken first, last to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Live(u64),
    Expired,
    Empty,
    Own,
}

impl Slot {
    pub(super) fn new(key: &Key, form: Form) -> Self {
        Self { tag: tag(key), stream: form == Form::Stream, ..Self::default() }
    }

    pub(super) fn is_of(&self, key: &Key, form: Form) -> bool {
        self.is_taken() && self.tag == tag(key) && self.stream == (form == Form::Stream)
    }

    /// Whether this is still the answer that `other` told of.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Self { used_ms: 0, ..*self } == Self { used_ms: 0, ..*other }
    }

    fn is_taken(&self) -> bool {
        self.expires_ms != 0
    }

    /// The time since its last use, weighed by the order of its size: a large answer goes before a
    /// small one that is as old, but not before one that is much older.
    fn worthlessness(&self, now_ms: u64) -> u64 {
        let idle = now_ms.saturating_sub(self.used_ms).saturating_add(1);
        idle.saturating_mul(u64::from(u32::BITS - self.bytes.leading_zeros()))
    }

    fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let (tag, rest) = bytes.split_first_chunk()?;
        let ([stream], rest) = rest.split_first_chunk::<1>()?;
        let (created, rest) = rest.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (used, rest) = rest.split_first_chunk()?;
        Some(Self {
            tag: *tag,
            stream: *stream != 0,
            created_ms: u64::from_le_bytes(*created),
            expires_ms: u64::from_le_bytes(*expires),
            used_ms: u64::from_le_bytes(*used),
            bytes: u32::from_le_bytes(*rest.first_chunk()?),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag);
        out.push(u8::from(self.stream));
        for time in [self.created_ms, self.expires_ms, self.used_ms] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        out.extend_from_slice(&self.bytes.to_le_bytes());
    }
}

fn tag(key: &Key) -> [u8; 16] {
    let (_, tag) = key.as_bytes().split_last_chunk().unwrap_or((&[], &[0; 16]));
    *tag
}

/// Places in a set. More would make the index longer, fewer would evict while others are free.
pub(super) const WAYS: usize = 8;
pub(super) const SLOT_BYTES: usize = 16 + 1 + 3 * 8 + 4;
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_000_000;

    fn key(n: u8) -> Key {
        Key::from_bytes([n; 32])
    }

    fn slot(n: u8, idle: u64, bytes: u32) -> Slot {
        let (created_ms, expires_ms) = (1, NOW + 1);
        let used_ms = NOW - idle;
        Slot { created_ms, expires_ms, used_ms, bytes, ..Slot::new(&key(n), Form::Json) }
    }

    fn full(idle: [u64; WAYS]) -> Index {
        let mut index = Index::default();
        for (way, idle) in idle.into_iter().enumerate() {
            index.0[way] = slot(way as u8, idle, 1000);
        }
        index
    }

    #[test]
    fn a_key_takes_its_own_place_then_a_free_one_then_an_expired_one_then_the_idlest() {
        let mut index = full([3, 9, 4, 1, 5, 7, 2, 6]);
        let place = |index: &Index| index.place(&key(100), Form::Json, WAYS, NOW);
        assert_eq!(place(&index), 1);
        index.0[4].expires_ms = NOW;
        assert_eq!(place(&index), 4);
        index.0[6] = Slot::default();
        assert_eq!(place(&index), 6);
        assert_eq!(index.place(&key(3), Form::Json, WAYS, NOW), 3);
        assert_eq!(index.place(&key(3), Form::Stream, WAYS, NOW), 6);
    }

    #[test]
    fn a_large_answer_goes_before_a_small_one_as_old() {
        let mut index = full([5; WAYS]);
        index.0[2].bytes = 100_000;
        assert_eq!(index.place(&key(100), Form::Json, WAYS, NOW), 2);
        index.0[5].used_ms = NOW - 50;
        assert_eq!(index.place(&key(100), Form::Json, WAYS, NOW), 5);
    }

    #[test]
    fn places_beyond_the_table_are_not_given_away() {
        let index = full([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(index.place(&key(100), Form::Json, 3, NOW), 2);
    }

    #[test]
    fn a_set_with_nothing_in_it_costs_nothing() {
        let mut value = vec![1, 2, 3];
        Index::default().encode(&mut value);
        assert!(value.is_empty());
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote_and_takes_the_rest_for_empty(
            idle: [u8; WAYS], cut in 0..1 + WAYS * SLOT_BYTES, noise: Vec<u8>,
        ) {
            let index = full(idle.map(u64::from));
            let mut value = Vec::new();
            index.encode(&mut value);
            prop_assert_eq!(Index::decode(&value), index);
            prop_assert_eq!(Index::decode(&value[..cut]), Index::default());
            let _ = Index::decode(&noise);
        }
    }
}
