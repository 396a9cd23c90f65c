//! Counts the attempts that a provider refused for what is the operator's and not the caller's: its
//! key, its payment, its account.

use super::{Ended, Served, Service, failure};
use crate::handoff::Refusal;
use crate::host::Host;
use crate::routing::Target;

pub(super) fn count(ended: &Ended, service: &Service, host: &impl Host) {
    let Some(served) = &ended.served else { return };
    let is_last = ended.error.as_ref().is_some_and(|problem| problem.code == failure::REFUSED);
    if let Some(target) = served.target().filter(|_| is_last) {
        service.metrics.auth_failure(host, target);
    }
    // Nothing was noted where no other attempt was made.
    if served.tried.len() < 2 {
        return;
    }
    let hides = service.config.auth.hides_credentials();
    for refusal in Refusal::read(host) {
        if let Some(target) = served.earlier(refusal).filter(|_| hides || refusal.is_providers) {
            service.metrics.auth_failure(host, target);
        }
    }
}

impl Served {
    /// Who refused an attempt, unless it was the last one.
    fn earlier(&self, refusal: Refusal) -> Option<&Target> {
        let all = self.tried.len().saturating_add(self.left);
        let (_, earlier) = self.tried.split_last()?;
        earlier.get(all.checked_sub(refusal.left)?).map(|hop| &*hop.target)
    }
}
