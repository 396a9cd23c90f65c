//! What the attempts of a request tell: which of them failed, so that the next requests go elsewhere
//! first, and which were refused for what is the operator's and not the caller's: a key, a payment,
//! an account.

use super::{Ended, Served, Service, failure};
use crate::error::Kind;
use crate::handoff::Refusal;
use crate::host::{Host, Timestamp};
use crate::routing::Target;

pub(super) fn learn(ended: &Ended, service: &Service, now: Timestamp, host: &impl Host) {
    let Some(served) = &ended.served else { return };
    let Some((last, earlier)) = served.tried.split_last() else { return };
    let rests = |target: &Target, rests: bool| {
        if rests {
            service.metrics.rested(host, target);
        }
    };
    // Who has no other is never tried last.
    let is_alone = earlier.is_empty() && served.left == 0;
    match Outcome::of(ended) {
        Outcome::Answered => service.breaker.answered(last.target.index),
        _ if is_alone => {}
        Outcome::Failed => rests(&last.target, service.breaker.failed(last.target.index, now)),
        Outcome::Lost => rests(&last.target, service.breaker.lost(last.target.index, now)),
        Outcome::Unknown => {}
    }
    if ended.error.as_ref().is_some_and(|problem| problem.code == failure::REFUSED) {
        service.metrics.auth_failure(host, &last.target);
    }
    if earlier.is_empty() {
        return;
    }
    let refusals = Refusal::read(host);
    for (index, hop) in earlier.iter().enumerate() {
        let refusal = refusals.iter().find(|refusal| served.position(refusal) == Some(index));
        match refusal {
            Some(refusal) if refusal.is_providers || service.config.auth.hides_credentials() => {
                service.metrics.auth_failure(host, &hop.target);
            }
            // One caller's wrong key is no reason to keep others from a provider.
            Some(_) => continue,
            None => {}
        }
        rests(&hop.target, service.breaker.failed(hop.target.index, now));
    }
}

/// Of the last attempt.
enum Outcome {
    Answered,
    Failed,
    /// It never began, and Envoy makes no other one then.
    Lost,
    /// The caller left before an answer.
    Unknown,
}

impl Outcome {
    fn of(ended: &Ended) -> Self {
        let problem = ended.error.as_ref();
        let is_providers = |kind| matches!(kind, Kind::Provider | Kind::Timeout);
        match ended.status {
            0 => Self::Unknown,
            _ if problem.is_some_and(|problem| problem.code == failure::NOT_TRIED) => Self::Lost,
            429 | 500.. => Self::Failed,
            _ if problem.is_some_and(|problem| is_providers(problem.kind)) => Self::Failed,
            _ => Self::Answered,
        }
    }
}

impl Served {
    /// Which of the attempts was refused.
    fn position(&self, refusal: &Refusal) -> Option<usize> {
        self.tried.len().saturating_add(self.left).checked_sub(refusal.left)
    }
}
