//! What the two roles tell each other through filter state, which no client can reach.
//!
//! [`CLUSTER`] is what Envoy's route reads. [`CHAIN`] is there only where a failed attempt has
//! somewhere else to go: a line for each attempt that is left, this one first. The gateway role
//! writes it, the provider role of each attempt takes its line off, so what is left at the end tells
//! how many attempts were made.

use crate::host::{Headers, Map, Pairs, Properties, Status};
use crate::protocol::hygiene::is_internal;

/// The cluster of the next attempt.
pub const CLUSTER: &str = "llm_cluster";
/// The attempts that are left, the next one first.
pub const CHAIN: &str = "llm_chain";
/// The request's headers before the first attempt: see `attempt::original`.
pub const ORIGINAL: &str = "llm_original";
/// Whose credential the last attempt carried: [`PROVIDERS`], or the caller's own.
pub const CREDENTIAL: &str = "llm_credential";
/// The provider role put in a credential of its own.
pub const PROVIDERS: &[u8] = b"provider";
/// The headers of an answer that reach the caller although they would not, by the configuration of
/// one attempt's provider: see [`forward`].
pub const FORWARDED: &str = "llm_forwarded";
/// The attempts that their providers refused for the credential: see [`Refusal`].
pub const REFUSED: &str = "llm_refused";
/// The header that names the cluster for routes that read no filter state.
pub const CLUSTER_HEADER: &str = "x-llm-cluster";

/// One attempt. No part holds a tab or a line end: configured names are checked for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    pub cluster: &'a str,
    pub provider: &'a str,
    /// What the provider calls the model.
    pub model: &'a str,
}

impl<'a> Step<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut parts = line.split('\t');
        let step = Self { cluster: parts.next()?, provider: parts.next()?, model: parts.next()? };
        parts.next().is_none().then_some(step)
    }
}

/// Writes the attempts of a request. One alone needs no chain.
pub fn announce<'a>(
    host: &impl Properties,
    steps: impl Iterator<Item = Step<'a>> + Clone,
) -> Result<(), Status> {
    if let Some(first) = steps.clone().next() {
        host.set_filter_state(CLUSTER, first.cluster.as_bytes())?;
    }
    if steps.clone().count() < 2 {
        return Ok(());
    }
    let mut chain = String::new();
    for Step { cluster, provider, model } in steps {
        for part in [cluster, "\t", provider, "\t", model, "\n"] {
            chain.push_str(part);
        }
    }
    host.set_filter_state(CHAIN, chain.as_bytes())
}

/// The attempts that are left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left(String);

impl Left {
    /// `None` where the request never had more than one attempt to make.
    pub fn read(host: &impl Properties) -> Option<Self> {
        host.property(&[CHAIN]).ok().and_then(|bytes| String::from_utf8(bytes).ok()).map(Self)
    }

    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.0.lines().filter_map(Step::read)
    }

    /// Takes this attempt's line off, and names the cluster of the one that follows.
    pub fn advance(&self, host: &impl Properties) -> Result<(), Status> {
        let rest = self.0.split_once('\n').map_or("", |(_, rest)| rest);
        host.set_filter_state(CHAIN, rest.as_bytes())?;
        match rest.lines().next().and_then(Step::read) {
            Some(next) => host.set_filter_state(CLUSTER, next.cluster.as_bytes()),
            None => Ok(()),
        }
    }
}

/// An attempt that its provider refused for the credential, and that another could follow: who
/// makes the last one needs no telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The attempts that were left, this one included.
    pub left: usize,
    /// The provider role had put in a credential of its own.
    pub is_providers: bool,
}

impl Refusal {
    /// Adds this one to those before.
    pub fn note(self, host: &impl Properties) -> Result<(), Status> {
        let mut all = host.property(&[REFUSED]).unwrap_or_default();
        all.push(u8::try_from(self.left).unwrap_or(u8::MAX));
        all.push(u8::from(self.is_providers));
        host.set_filter_state(REFUSED, &all)
    }

    pub fn read(host: &impl Properties) -> Vec<Self> {
        let all = host.property(&[REFUSED]).unwrap_or_default();
        let (pairs, _) = all.as_chunks();
        let refusal =
            |[left, own]: &[u8; 2]| Self { left: usize::from(*left), is_providers: *own == 1 };
        pairs.iter().map(refusal).collect()
    }
}

/// Notes the headers that an attempt lets through: how many attempts were left, this one included, 0
/// where there is no chain, and a line for each name.
pub fn forward(left: usize, names: &[Box<str>], host: &impl Properties) -> Result<(), Status> {
    let text = format!("{left}\n{}", names.join("\n"));
    host.set_filter_state(FORWARDED, text.as_bytes())
}

/// The names that the last attempt lets through, a line each.
pub fn forwarded(host: &impl Properties) -> Vec<u8> {
    let Ok(noted) = host.property(&[FORWARDED]) else { return Vec::new() };
    let Some((by, names)) = std::str::from_utf8(&noted).ok().and_then(|it| it.split_once('\n'))
    else {
        return Vec::new();
    };
    let left = Left::read(host).map_or(0, |left| left.steps().count().saturating_add(1));
    if by.parse() == Ok(left) { names.as_bytes().to_vec() } else { Vec::new() }
}

/// Takes from an answer what is the provider's own. `headers` are those that came; `forwarded` says
/// which are let through, and is asked only where there is something to take.
pub fn clean_answer(
    headers: &Pairs,
    forwarded: impl FnOnce() -> Vec<u8>,
    host: &impl Headers,
) -> Result<(), Status> {
    let mut internal = headers.iter().filter(|(name, _)| is_internal(name)).peekable();
    if internal.peek().is_none() {
        return Ok(());
    }
    let forwarded = forwarded();
    let is_kept = |name: &[u8]| forwarded.split(|byte| *byte == b'\n').any(|kept| kept == name);
    internal
        .filter(|(name, _)| !is_kept(name))
        .try_for_each(|(name, _)| host.remove_header(Map::ResponseHeaders, name))
}

/// Whether a provider refuses a credential, or the account behind it, with this status.
pub fn refuses_credential(status: u16) -> bool {
    matches!(status, 401..=403)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    const A: Step<'_> = Step { cluster: "c-a", provider: "a", model: "gpt-4o" };
    const B: Step<'_> = Step { cluster: "c-b", provider: "b", model: "org/llama3.2:1b" };

    #[test]
    fn one_attempt_needs_no_chain() {
        let host = Fake::new();
        announce(&host, [A].into_iter()).unwrap();
        assert_eq!(host.filter_state(CLUSTER).unwrap(), b"c-a");
        assert_eq!(Left::read(&host), None);
    }

    #[test]
    fn each_attempt_takes_its_line_and_names_the_next_cluster() {
        let host = Fake::new();
        announce(&host, [A, B].into_iter()).unwrap();
        for (step, next) in [(A, "c-b"), (B, "c-b")] {
            let left = Left::read(&host).unwrap();
            assert_eq!(left.steps().next(), Some(step));
            left.advance(&host).unwrap();
            assert_eq!(host.filter_state(CLUSTER).unwrap(), next.as_bytes());
        }
        assert_eq!(Left::read(&host).unwrap().steps().count(), 0);
    }

    #[test]
    fn refusals_are_read_as_they_were_noted() {
        let host = Fake::new();
        assert_eq!(Refusal::read(&host), []);
        let refusals =
            [(8, true), (2, false)].map(|(left, is_providers)| Refusal { left, is_providers });
        for refusal in refusals {
            refusal.note(&host).unwrap();
        }
        assert_eq!(Refusal::read(&host), refusals);
    }
}
