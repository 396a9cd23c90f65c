//! The order in which targets are tried.

use super::{Attempts, Capabilities, Choice, Name, Target};

/// As many attempts as one request can make. More choices than this are drawn from, not all tried.
pub const MAX_CHAIN: usize = 8;

/// One to [`MAX_CHAIN`] different targets, the first to try first. Lives on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    label: &'a str,
    first: Entry<'a>,
    rest: [Option<Entry<'a>>; MAX_CHAIN - 1],
}

/// One attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub target: &'a Target,
    /// What the provider calls the model.
    pub model: &'a str,
    pub priority: u32,
    pub attempts: &'a Attempts,
}

impl<'a> Chain<'a> {
    /// The configured name that matched: an alias, a model or a wildcard. Bounded, unlike what was
    /// asked.
    pub fn label(&self) -> &'a str {
        self.label
    }

    pub fn first(&self) -> Entry<'a> {
        self.first
    }

    /// What follows when the first attempt fails.
    pub fn rest(&self) -> impl Iterator<Item = Entry<'a>> + Clone + use<'a> {
        self.rest.into_iter().flatten()
    }

    pub fn iter(&self) -> impl Iterator<Item = Entry<'a>> + Clone + use<'a> {
        std::iter::once(self.first).chain(self.rest())
    }

    /// Never 0.
    #[expect(clippy::len_without_is_empty, reason = "a chain has a first entry")]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The choices of `name` that have everything in `need`; `None` if there are none.
    pub(super) fn draw(
        name: &'a Name,
        asked: &'a str,
        need: Capabilities,
        pick: &mut dyn FnMut() -> u64,
    ) -> Option<Self> {
        let mut draw = Draw { groups: name.choices.as_ref(), equals: &[], open: 0 };
        let mut entries = [None; MAX_CHAIN];
        for slot in &mut entries {
            let Some(choice) = draw.next(need, pick) else { break };
            *slot = Some(Entry::new(choice, asked));
        }
        let [Some(first), rest @ ..] = entries else { return None };
        Some(Self { label: name.name.as_str(), first, rest })
    }
}

impl<'a> Entry<'a> {
    pub(super) fn new(choice: &'a Choice, asked: &'a str) -> Self {
        Self {
            target: &choice.target,
            model: choice.model.as_deref().unwrap_or(asked),
            priority: choice.priority,
            attempts: &choice.attempts,
        }
    }
}

/// A weighted draw without replacement inside each priority, one priority after the other.
struct Draw<'a> {
    /// Lower priorities, not yet looked at.
    groups: &'a [Choice],
    equals: &'a [Choice],
    /// Which of `equals` are able and not yet drawn, a bit each.
    open: u64,
}

impl<'a> Draw<'a> {
    fn next(&mut self, need: Capabilities, pick: &mut dyn FnMut() -> u64) -> Option<&'a Choice> {
        while self.open == 0 {
            self.equals = self.groups.chunk_by(|a, b| a.priority == b.priority).next()?;
            self.groups = self.groups.get(self.equals.len()..)?;
            let able = |choice: &Choice| choice.target.capabilities.covers(need);
            self.open = (self.equals.iter().zip(bits()))
                .fold(0, |open, (choice, bit)| if able(choice) { open | bit } else { open });
        }
        let open = self.open;
        let candidates = || self.equals.iter().zip(bits()).filter(move |(_, bit)| open & bit != 0);
        let total: u64 = candidates().map(|(choice, _)| u64::from(choice.weight.get())).sum();
        let mut ticket = if open.is_power_of_two() { 0 } else { pick().checked_rem(total)? };
        let (choice, bit) = candidates().find(|(choice, _)| {
            let weight = u64::from(choice.weight.get());
            let hit = ticket < weight;
            ticket = ticket.saturating_sub(weight);
            hit
        })?;
        self.open &= !bit;
        Some(choice)
    }
}

/// As many choices behind one name as [`Draw`] can tell apart.
pub const MAX_CHOICES: usize = u64::BITS as usize;

fn bits() -> impl Iterator<Item = u64> {
    (0..u64::BITS).map(|i| 1 << i)
}
