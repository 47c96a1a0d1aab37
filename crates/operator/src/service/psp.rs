//! What a PSP may ask for its own customers.

use counterfoil_trust::sha256;
use counterfoil_wire::cert::Name;
use counterfoil_wire::{Code, KeyId};
use serde::Serialize;

use super::Service;
use super::enrol::{activation_hash, check_account};
use crate::domain::wallet::Wallet;
use crate::error::{Refusal, random};
use crate::store::{Batch, NewActivation};

/// How long an activation code is good, seconds.
const ACTIVATION_S: u32 = 86_400;

/// A code with which one wallet may be enrolled for one account.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Activation {
    /// The code; the operator keeps its hash alone.
    pub activation_code: String,
    /// Until when it is good, seconds since 1970.
    pub expires_at_s: u32,
}

impl Service {
    /// Checks a PSP's bearer token. The hashes are compared, so that timing tells nothing about the token.
    ///
    /// # Errors
    /// [`Code::PspUnauthorised`], also for an unknown PSP.
    pub fn check_token(&self, psp: &str, token: &str) -> Result<(), Refusal> {
        let token = sha256(token.as_bytes());
        let psps = self.exclusively(|desk| Ok(desk.store.psps()?))?;
        let known = psps.iter().any(|known| known.name == psp && known.token == token);
        if known { Ok(()) } else { Err(Code::PspUnauthorised.into()) }
    }

    /// Makes a code for one account of a PSP. A terminal enrols with it under the display name `name`, which the PSP
    /// vouches for, and no other; a wallet has none, and `name` is empty.
    ///
    /// # Errors
    /// [`Code::UnknownPsp`], [`Code::ValueOutOfRange`] for an account name or a display name.
    pub fn create_activation(&self, psp: &str, account: &str, name: &str) -> Result<Activation, Refusal> {
        if !self.scheme.psps.iter().any(|known| known == psp) {
            return Err(Code::UnknownPsp.into());
        }
        check_account(psp, account, &self.scheme.rules.loss_fund)?;
        Name::new(name).ok_or(Code::ValueOutOfRange)?;
        let activation_code = hex::encode(random::<10>()?);
        let expires_at_s = self.now_s().saturating_add(ACTIVATION_S);
        let new = NewActivation {
            code: activation_hash(&activation_code, name),
            psp: psp.to_owned(),
            account: account.to_owned(),
            until_s: expires_at_s,
        };
        let batch = Batch { new_activation: Some(new), ..Batch::default() };
        self.exclusively(|desk| Ok(desk.store.commit(&batch)?))?;
        Ok(Activation { activation_code, expires_at_s })
    }

    /// Has the wallet's next settlement unblock its PIN. `psp` is who asks; absent for the operator itself.
    ///
    /// # Errors
    /// [`Code::UnknownWallet`], also for another PSP's wallet; [`Code::WalletClosed`].
    pub fn unblock(&self, psp: Option<&str>, key: &KeyId) -> Result<(), Refusal> {
        self.change_open(psp, key, |wallet| wallet.pin_unblock = true)
    }

    /// Lets the wallet have its whole limits again from its next settlement on, whatever it reported before. A wallet that
    /// is revoked stays so. `psp` is who asks; absent for the operator itself.
    ///
    /// # Errors
    /// As [`Service::unblock`].
    pub fn lift(&self, psp: Option<&str>, key: &KeyId) -> Result<(), Refusal> {
        self.change_open(psp, key, |wallet| wallet.lowered = false)
    }

    fn change_open(
        &self,
        psp: Option<&str>,
        key: &KeyId,
        change: impl FnOnce(&mut Wallet),
    ) -> Result<(), Refusal> {
        self.exclusively(|desk| {
            let mut wallet = self.wallet_of(desk.store.as_ref(), psp, key)?;
            if wallet.is_closed() {
                return Err(Code::WalletClosed.into());
            }
            change(&mut wallet);
            Ok(desk.store.commit(&Batch { wallets: vec![wallet], ..Batch::default() })?)
        })
    }
}
