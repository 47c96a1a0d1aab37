//! Approvals: the phone's own lock in the place of the PIN.
//!
//! A key that the platform releases after it authenticated whoever holds the phone signs a challenge that names one payment
//! at one place of the journal ([`Approval`]). Nothing of it is remembered here: the journal moves with the payment that the
//! approval is given for, and with it the challenge, so an approval cannot be used twice, nor for anything else.
//!
//! What it stands for is less than the PIN, which the holder alone knows:
//! - It covers payments up to the rules' `platform_auth_max`; above that the PIN stays required.
//! - It vouches for the one payment that it signs. That payment adds nothing to the total without PIN, and the total stays
//!   as it was: only the PIN sets it to nothing. So whoever has got past the phone's lock opens no small payments again.
//! - It cannot be guessed, so a wrong one uses no try; but where wrong PINs have blocked the wallet, no approval unblocks it.
//! - The key is bound, replaced and removed with the PIN. So where one is bound there is a PIN.

use counterfoil_trust::{Approval, check_key, open_message};
use counterfoil_wire::message::Request;
use counterfoil_wire::{Amount, Bytes, Code, Error, PublicKey, Reference, Signature};

use crate::TrustedApp;
use crate::api::{Command, Pin, Reply};
use crate::arguments;
use crate::env::Env;
use crate::pay::Prepared;

/// What is given to vouch for a payment.
pub(crate) struct Vouchers {
    pub pin: Option<Pin>,
    pub approval: Option<Signature>,
}

/// What vouches for a payment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voucher {
    /// Nothing: the rules let it go without.
    None,
    /// The bound key.
    Approval,
    /// The PIN.
    Pin,
}

impl<E: Env> TrustedApp<E> {
    pub(crate) fn bind_platform(
        &mut self,
        key: Option<PublicKey>,
        pin: Option<&Pin>,
    ) -> Result<Reply, Error> {
        self.check_active()?;
        self.state()?.cert()?;
        if let Some(key) = &key {
            check_key(key)?;
        }
        self.check_pin(pin, true)?;
        let mut change = self.begin()?;
        change.core.platform = key;
        self.commit(change)?;
        Ok(Reply::PlatformBound { key })
    }

    pub(crate) fn platform_challenge(
        &self,
        request: &Bytes,
        amount: Option<Amount>,
        reference: &Reference,
    ) -> Result<Reply, Error> {
        let named = arguments(&Command::Pay {
            request: request.clone(),
            amount,
            pin: None,
            reference: *reference,
            approval: None,
        });
        // Done already, the payment is told again whatever it comes with; under other arguments it is refused here.
        self.done_before(reference, &named)?;
        // All that would be refused is refused before anybody is asked for a fingerprint.
        let opened = open_message::<Request>(&request.0)?;
        let id = opened.id(self.state()?.scheme());
        let prepared = self.prepare(opened, id, amount)?;
        if prepared.amount > self.state()?.limits()?.platform_auth_max {
            return Err(Code::PinRequired.into());
        }
        self.platform_key()?;
        Ok(Reply::Challenge { challenge: self.approval_of(&prepared, request, reference)?.challenge() })
    }

    /// Whether what is given lets a payment go.
    ///
    /// # Errors
    /// [`Code::PinRequired`]; of an approval [`Code::NoPlatformKey`], [`Code::PinBlocked`], [`Code::ApprovalWrong`]; of a
    /// PIN those of [`TrustedApp::check_pin`].
    pub(crate) fn check_vouchers(
        &mut self,
        given: &Vouchers,
        prepared: &Prepared,
        request: &Bytes,
        reference: &Reference,
    ) -> Result<Voucher, Error> {
        let approval = given.approval.as_ref().filter(|_| given.pin.is_none());
        // Of a larger payment it says nothing, right or wrong.
        let covered = prepared.amount <= self.state()?.limits()?.platform_auth_max;
        if let Some(approval) = approval.filter(|_| covered) {
            let key = self.platform_key()?;
            self.approval_of(prepared, request, reference)?.check(&key, approval)?;
            return Ok(Voucher::Approval);
        }
        let right = self.check_pin(given.pin.as_ref(), prepared.required)?;
        Ok(if right { Voucher::Pin } else { Voucher::None })
    }

    /// The bound key, where it may approve.
    fn platform_key(&self) -> Result<PublicKey, Error> {
        let core = &self.state()?.core;
        let key = core.platform.ok_or(Code::NoPlatformKey)?;
        if core.pin.as_ref().is_none_or(|pin| pin.tries == 0) {
            return Err(Code::PinBlocked.into());
        }
        Ok(key)
    }

    fn approval_of<'r>(
        &self,
        prepared: &Prepared,
        request: &'r Bytes,
        reference: &Reference,
    ) -> Result<Approval<'r>, Error> {
        let state = self.state()?;
        Ok(Approval {
            wallet: state.public,
            head_seq: state.core.head_seq,
            head: state.core.head,
            request: &request.0,
            amount: prepared.amount,
            reference: *reference,
        })
    }
}
