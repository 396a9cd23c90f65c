//! What an operator limits, resolved: which requests a rule is about, and whose state it uses.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::gcra::{Quota, QuotaError};
use crate::identity::limiter_key;
use crate::routing::{Allow, Meant, Spelled};
use crate::store::{Address, Slots};

/// One entry of the `limits` section. Each amount in it becomes a [`Rule`].
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: Box<str>,
    /// Callers that differ in one of these have debts of their own; none: all share one.
    pub key: Vec<KeyPart>,
    pub requests: Option<Amount>,
    pub tokens: Option<Amount>,
    pub cost_microusd: Option<Amount>,
    pub window: Duration,
    /// Any name of the model: as it is asked for, a provider's own, or that behind the provider's.
    pub models: Allow,
    /// Only these; none: everybody.
    pub consumers: Vec<Box<str>>,
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    pub limit: u64,
    /// The limit if not given.
    pub burst: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyPart {
    Consumer,
    ClientIp,
    Model,
    Provider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    Requests,
    Tokens,
    /// Micro-dollars.
    Cost,
}

impl Unit {
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Cost];

    /// The label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    #[default]
    Enforce,
    /// Counts as if it were enforced, and refuses nothing.
    Shadow,
}

impl Mode {
    /// The label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// Who asks for what, as far as rules care.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Only if authenticated: nobody chooses a key by a claim.
    pub consumer: Option<&'a str>,
    pub client_ip: Option<IpAddr>,
    /// What the first attempt's model counts as, however it was spelled:
    /// [`Table::counted_as`](crate::routing::Table::counted_as).
    pub model: &'a str,
    /// Of the first attempt: limits are taken before it is known whether others follow.
    pub provider: &'a str,
    /// Every name of every model that may answer; not asked where no rule is about some models only.
    pub names: &'a Spelled,
}

/// All rules of one configuration.
#[derive(Clone, Debug, Default)]
pub struct Rules(Box<[Rule]>);

/// An amount that cannot be limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Invalid {
    /// Position among the specs.
    pub spec: usize,
    pub unit: Unit,
    pub reason: QuotaError,
}

impl Rules {
    pub fn new(specs: &[Spec]) -> Result<Self, Invalid> {
        let rules = specs.iter().enumerate().flat_map(|(spec, written)| Rule::of(spec, written));
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }
}

impl std::ops::Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.0
    }
}

/// A quota, and the requests that it is about.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: Box<str>,
    pub unit: Unit,
    pub mode: Mode,
    pub(super) quota: Quota,
    key: Box<[KeyPart]>,
    models: Meant,
    consumers: Box<[Box<str>]>,
    id: [u8; 16],
}

impl Rule {
    /// One rule for each amount.
    fn of(index: usize, spec: &Spec) -> impl Iterator<Item = Result<Self, Invalid>> {
        let amounts = [spec.requests, spec.tokens, spec.cost_microusd];
        Unit::ALL.into_iter().zip(amounts).filter_map(move |(unit, amount)| {
            let Amount { limit, burst } = amount?;
            let quota = Quota::new(limit, spec.window, burst).map_err(|reason| Invalid {
                spec: index,
                unit,
                reason,
            });
            Some(quota.map(|quota| Self {
                name: spec.name.clone(),
                unit,
                mode: spec.mode,
                quota,
                key: spec.key.clone().into(),
                models: Meant::new(&spec.models),
                consumers: spec.consumers.clone().into(),
                id: identity(spec, unit),
            }))
        })
    }

    /// Whether callers that differ in `part` have debts of their own.
    pub fn counts_by(&self, part: KeyPart) -> bool {
        self.key.contains(&part)
    }

    /// Whether it is about some models only.
    pub fn names_models(&self) -> bool {
        !self.models.is_everything()
    }

    pub(super) fn applies(&self, subject: &Subject<'_>) -> bool {
        let listed = |name: &str| self.consumers.iter().any(|consumer| **consumer == *name);
        (self.consumers.is_empty() || subject.consumer.is_some_and(listed))
            && self.models.means(subject.names)
    }

    pub(super) fn address(&self, slots: &Slots, subject: &Subject<'_>) -> Address {
        let network = subject.client_ip.map(limiter_key);
        let parts = self.key.iter().map(|part| match part {
            KeyPart::Consumer => subject.consumer.map(str::as_bytes),
            KeyPart::ClientIp => network.as_ref().map(<[u8; 16]>::as_slice),
            KeyPart::Model => Some(subject.model.as_bytes()),
            KeyPart::Provider => Some(subject.provider.as_bytes()),
        });
        slots.address([Some(self.id.as_slice())].into_iter().chain(parts))
    }
}

/// State belongs to what a rule is, not to its place: the same name, key, unit and window find the
/// same debts after a reload, in any order. Limit, burst, filters and mode are left out, so that a
/// change of them judges the debts that are there. The window is not: parts of a unit depend on it.
fn identity(spec: &Spec, unit: Unit) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update((spec.name.len() as u64).to_le_bytes());
    hash.update(spec.name.as_bytes());
    hash.update([unit as u8]);
    hash.update(spec.window.as_nanos().to_le_bytes());
    for part in &spec.key {
        hash.update([*part as u8]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::host::fake::Fake;
    use crate::routing::Pattern;

    fn spec() -> Spec {
        Spec {
            name: "r".into(),
            key: vec![],
            requests: Some(Amount { limit: 10, burst: None }),
            tokens: None,
            cost_microusd: None,
            window: Duration::from_secs(60),
            models: Allow::Everything,
            consumers: vec![],
            mode: Mode::Enforce,
        }
    }

    fn subject() -> Subject<'static> {
        static NAMES: Spelled = Spelled::none();
        let (consumer, model, provider) = (Some("web"), "gpt-4o", "openai");
        Subject { consumer, client_ip: None, model, provider, names: &NAMES }
    }

    fn rule(spec: &Spec) -> Rule {
        Rules::new(std::slice::from_ref(spec)).unwrap()[0].clone()
    }

    fn slots() -> Slots {
        Slots::open(&Fake::new(), NonZeroU32::new(1000).unwrap()).unwrap()
    }

    #[test]
    fn each_amount_is_a_rule() {
        let amount = Some(Amount { limit: 5, burst: None });
        let spec = Spec { tokens: amount, cost_microusd: amount, ..spec() };
        let rules = Rules::new(&[spec.clone(), spec]).unwrap();
        assert_eq!(rules.iter().map(|rule| rule.unit).collect::<Vec<_>>(), [Unit::ALL; 2].concat());
    }

    #[test]
    fn an_impossible_amount_is_named() {
        let bad = Spec { tokens: Some(Amount { limit: 0, burst: None }), ..spec() };
        assert_eq!(
            Rules::new(&[spec(), bad]).unwrap_err(),
            Invalid { spec: 1, unit: Unit::Tokens, reason: QuotaError::Limit }
        );
    }

    #[test]
    fn filters_choose_by_a_name_of_the_model_and_known_consumer() {
        let models = Allow::Only([Pattern::new("gpt-4*")].into());
        let by_model = rule(&Spec { models, ..spec() });
        assert!(by_model.names_models() && !rule(&spec()).names_models());
        let named = |name| Spelled::new(name, std::iter::empty());
        assert!(by_model.applies(&Subject { names: &named("gpt-4o"), ..subject() }));
        assert!(!by_model.applies(&Subject { names: &named("llama"), ..subject() }));
        let by_consumer = rule(&Spec { consumers: vec!["web".into()], ..spec() });
        assert!(by_consumer.applies(&subject()));
        assert!(!by_consumer.applies(&Subject { consumer: Some("app"), ..subject() }));
        assert!(!by_consumer.applies(&Subject { consumer: None, ..subject() }));
    }

    #[test]
    fn only_the_parts_of_the_key_tell_callers_apart() {
        let slots = slots();
        let others = [
            (KeyPart::Consumer, Subject { consumer: None, ..subject() }),
            (KeyPart::ClientIp, Subject { client_ip: Some([1, 2, 3, 4].into()), ..subject() }),
            (KeyPart::Model, Subject { model: "o1", ..subject() }),
            (KeyPart::Provider, Subject { provider: "azure", ..subject() }),
        ];
        for (part, _) in others {
            let rule = rule(&Spec { key: vec![part], ..spec() });
            for (changed, other) in others {
                let same = rule.address(&slots, &subject()) == rule.address(&slots, &other);
                assert_eq!(same, part != changed, "{part:?} {changed:?}");
            }
        }
    }

    #[test]
    fn an_ipv6_caller_has_one_debt_for_its_whole_network() {
        let (slots, rule) = (slots(), rule(&Spec { key: vec![KeyPart::ClientIp], ..spec() }));
        let address = |ip: &str| {
            rule.address(&slots, &Subject { client_ip: Some(ip.parse().unwrap()), ..subject() })
        };
        assert_eq!(address("2001:db8:0:1::1"), address("2001:db8:0:1:ffff::2"));
        assert_ne!(address("2001:db8:0:1::1"), address("2001:db8:0:2::1"));
        assert_eq!(address("192.0.2.7"), address("::ffff:192.0.2.7"));
        assert_ne!(address("192.0.2.7"), address("192.0.2.8"));
    }

    #[test]
    fn state_belongs_to_what_a_rule_is() {
        let slots = slots();
        let address = |spec: &Spec| rule(spec).address(&slots, &subject());
        let same = Spec {
            requests: Some(Amount { limit: 99, burst: Some(7) }),
            mode: Mode::Shadow,
            models: Allow::Only([Pattern::new("*")].into()),
            consumers: vec!["web".into()],
            ..spec()
        };
        assert_eq!(address(&same), address(&spec()));
        for other in [
            Spec { name: "q".into(), ..spec() },
            Spec { key: vec![KeyPart::Consumer], ..spec() },
            Spec { window: Duration::from_secs(61), ..spec() },
            Spec { requests: None, tokens: spec().requests, ..spec() },
        ] {
            assert_ne!(address(&other), address(&spec()), "{other:?}");
        }
    }
}
