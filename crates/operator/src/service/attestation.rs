//! What the operator trusts of a platform that attests to a wallet's element.

use counterfoil_wire::element::{CounterKind, ElementStatement};
use counterfoil_wire::{Code, Digest};

use super::Service;
use crate::attestation::{AndroidPolicy, check};
use crate::domain::element::Evidence;
use crate::error::Refusal;
use crate::store::{Batch, Store};

/// The setting that holds the policy, as JSON.
const ANDROID: &str = "android";

impl Service {
    /// Trusts these roots and applications of Android from now on, and no others.
    ///
    /// # Errors
    /// [`Refusal::Store`], [`Refusal::System`].
    pub fn trust_android(&self, policy: &AndroidPolicy) -> Result<(), Refusal> {
        let text = serde_json::to_string(policy).map_err(|_| Code::Internal)?;
        let batch = Batch { settings: vec![(ANDROID.to_owned(), text)], ..Batch::default() };
        self.exclusively(|desk| Ok(desk.store.commit(&batch)?))
    }

    /// What is trusted of Android; nothing, until [`Service::trust_android`] said what.
    ///
    /// # Errors
    /// [`Code::Internal`] for a setting that cannot be read; [`Refusal::Store`], [`Refusal::System`].
    pub fn android(&self) -> Result<AndroidPolicy, Refusal> {
        self.exclusively(|desk| policy(desk.store.as_ref()))
    }

    /// Checks a chain over the enrolment with this SHA-256 digest, for an element as its host states it.
    pub(super) fn check_attestation(
        &self,
        store: &dyn Store,
        chain: &[Vec<u8>],
        stated: &ElementStatement,
        enrolment: &Digest,
    ) -> Result<Evidence, Refusal> {
        // A chain speaks for a counter of the platform, and for nothing else.
        if stated.counter != CounterKind::Platform {
            return Err(Code::EvidenceInvalid.into());
        }
        match check(&policy(store)?, chain, enrolment, &stated.application, self.now_s()) {
            Ok(()) => Ok(Evidence::AndroidKey),
            Err(why) => {
                tracing::warn!(%why, "an attestation was refused");
                Err(Code::EvidenceInvalid.into())
            }
        }
    }
}

fn policy(store: &dyn Store) -> Result<AndroidPolicy, Refusal> {
    match store.settings()?.get(ANDROID) {
        Some(text) => Ok(serde_json::from_str(text).map_err(|_| Code::Internal)?),
        None => Ok(AndroidPolicy::default()),
    }
}
