//! The device's own lock in the place of the PIN: bound once with the PIN, and asked for each payment that needs one.

use counterfoil_ta::api::{Command, Pin, Reply};
use counterfoil_tre::{LockError, PlatformLock};
use counterfoil_trust::open;
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::Request;
use counterfoil_wire::{Amount, Bytes, Code, PublicKey, Reference, Signature};

use crate::amounts::format_amount;
use crate::error::WalletError;
use crate::operation::{Done, Order};
use crate::wallet::Wallet;

/// What a holder has at hand to vouch for a payment.
pub(crate) struct Vouchers<'l> {
    pub(crate) pin: Option<Pin>,
    pub(crate) lock: Option<&'l dyn PlatformLock>,
}

impl Wallet {
    /// Lets the device's own lock stand for the PIN, where the rules allow that. The key that was bound before is replaced.
    ///
    /// # Errors
    /// Those of the PIN: the lock that was bound stays. [`WalletError::Lock`]: none is bound.
    pub fn bind_lock(&mut self, lock: &dyn PlatformLock, pin: Option<Pin>) -> Result<PublicKey, WalletError> {
        // The PIN first: making a key ends the one that is bound.
        self.bind(None, pin.clone())?;
        let key = lock.make_key(&self.settings.label)?;
        self.bind(Some(key), pin)?;
        Ok(key)
    }

    /// Ends that.
    ///
    /// # Errors
    /// Those of the PIN: the lock stays bound. [`WalletError::Lock`]: it is not bound, and keeps a key of no use.
    pub fn unbind_lock(&mut self, lock: &dyn PlatformLock, pin: Option<Pin>) -> Result<(), WalletError> {
        self.bind(None, pin)?;
        Ok(lock.remove_key(&self.settings.label)?)
    }

    /// As [`Wallet::perform`]; of a payment that needs a voucher, `lock` is asked to approve. Nobody is asked where the
    /// rules want nothing, or would refuse, or want the PIN itself.
    ///
    /// # Errors
    /// Those of [`Wallet::perform`]; [`Code::PinRequired`] if the rules want the PIN; [`Code::NoPlatformKey`];
    /// [`WalletError::Lock`]: nothing was paid.
    pub fn perform_approved(&mut self, order: Order, lock: &dyn PlatformLock) -> Result<Done, WalletError> {
        self.perform_vouched(order, Some(lock))
    }

    pub(crate) fn pay(
        &mut self,
        request: &[u8],
        amount: Option<Amount>,
        reference: Reference,
        Vouchers { pin, lock }: Vouchers<'_>,
    ) -> Result<(Vec<u8>, bool), WalletError> {
        let lock = lock.filter(|_| pin.is_none());
        let command = |pin, approval| Command::Pay {
            request: Bytes(request.to_vec()),
            amount,
            pin,
            reference,
            approval,
        };
        match (self.message(&command(pin, None)), lock) {
            (Err(WalletError::Refused(error)), Some(lock)) if error.code == Code::PinRequired => {
                let approval = self.approve(lock, request, amount, reference)?;
                self.message(&command(None, Some(approval)))
            }
            (answer, _) => answer,
        }
    }

    fn approve(
        &mut self,
        lock: &dyn PlatformLock,
        request: &[u8],
        amount: Option<Amount>,
        reference: Reference,
    ) -> Result<Signature, WalletError> {
        let command = Command::PlatformChallenge { request: Bytes(request.to_vec()), amount, reference };
        let challenge = match self.ask(&command)? {
            Reply::Challenge { challenge } => challenge,
            _ => return Err(WalletError::UnexpectedReply),
        };
        let asked = open::<Request>(request).map_err(|_| WalletError::UnexpectedReply)?;
        let payee = match &asked.envelope.signer {
            Signer::Cert(cert) => cert.name.as_str(),
            _ => "",
        };
        let amount = asked.body.amount.or(amount).ok_or(WalletError::UnexpectedReply)?;
        let mut purpose = format!("pay {}", format_amount(amount, self.currency()?));
        if !payee.is_empty() {
            purpose.push_str(&format!(" to {payee}"));
        }
        Ok(lock.approve(&self.settings.label, &challenge, &purpose)?)
    }

    fn bind(&mut self, key: Option<PublicKey>, pin: Option<Pin>) -> Result<(), WalletError> {
        match self.ask(&Command::BindPlatform { key, pin })? {
            Reply::PlatformBound { .. } => Ok(()),
            _ => Err(WalletError::UnexpectedReply),
        }
    }
}

impl From<LockError> for WalletError {
    fn from(error: LockError) -> Self {
        // A key that was lost is as one that was never bound, and the way out is the same.
        match error {
            LockError::NoKey => Self::Refused(Code::NoPlatformKey.into()),
            error => Self::Lock(error),
        }
    }
}
