//! What the operator chose to do about misbehaviour.

use counterfoil_wire::Code;

use super::Service;
use crate::domain::policy::Policy;
use crate::domain::reconcile::Terms;
use crate::error::Refusal;
use crate::store::{Batch, Store};

/// The setting that holds the choice.
const POLICY: &str = "revokes";

impl Service {
    /// Which cases revoke a key.
    ///
    /// # Errors
    /// [`Code::Internal`] for a setting that cannot be read; [`Refusal::Store`], [`Refusal::System`].
    pub fn policy(&self) -> Result<Policy, Refusal> {
        self.exclusively(|desk| policy(desk.store.as_ref()))
    }

    /// Changes the choice; the new one. Cases that are open stay as they are.
    ///
    /// # Errors
    /// Those of [`Service::policy`].
    pub fn choose(&self, change: impl FnOnce(&mut Policy)) -> Result<Policy, Refusal> {
        self.exclusively(|desk| {
            let mut policy = policy(desk.store.as_ref())?;
            change(&mut policy);
            let settings = vec![(POLICY.to_owned(), policy.to_text())];
            desk.store.commit(&Batch { settings, ..Batch::default() })?;
            Ok(policy)
        })
    }

    /// What statements are judged by now.
    pub(super) fn terms<'a>(&'a self, policy: &'a Policy) -> Terms<'a> {
        Terms { anchors: &self.scheme.anchors, rules: &self.scheme.rules, policy, now_s: self.now_s() }
    }
}

pub(super) fn policy(store: &dyn Store) -> Result<Policy, Refusal> {
    match store.settings()?.get(POLICY) {
        Some(text) => Ok(Policy::from_text(text).ok_or(Code::Internal)?),
        None => Ok(Policy::default()),
    }
}
