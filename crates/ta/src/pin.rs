//! The PIN: kept only here, three tries, and a try is used up before the PIN is looked at.

use alloc::vec::Vec;

use counterfoil_trust::sha256;
use counterfoil_wire::{Code, Digest, Error, Nonce};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::TrustedApp;
use crate::api::Pin;
use crate::env::Env;
use crate::state::PinRecord;

/// Wrong PINs that block.
pub const TRIES: u8 = 3;

/// Whether these are 4 to 12 digits.
fn well_formed(pin: &Pin) -> bool {
    (4..=12).contains(&pin.0.len()) && pin.0.bytes().all(|byte| byte.is_ascii_digit())
}

fn hash(salt: &Nonce, pin: &Pin) -> Digest {
    let mut salted = Zeroizing::new(Vec::with_capacity(28));
    salted.extend_from_slice(&salt.0);
    salted.extend_from_slice(pin.0.as_bytes());
    sha256(&salted)
}

/// What is kept of a new PIN.
///
/// # Errors
/// [`Code::PinMalformed`].
pub fn new_record(pin: &Pin, salt: Nonce) -> Result<PinRecord, Error> {
    if !well_formed(pin) {
        return Err(Code::PinMalformed.into());
    }
    Ok(PinRecord { hash: hash(&salt, pin), salt, tries: TRIES })
}

impl<E: Env> TrustedApp<E> {
    /// Checks the PIN where one is given or required. Says whether a PIN was given and right.
    ///
    /// # Errors
    /// [`Code::PinRequired`], [`Code::PinBlocked`], [`Code::PinMalformed`]; [`Code::PinWrong`] after a try is used up.
    pub(crate) fn check_pin(&mut self, pin: Option<&Pin>, required: bool) -> Result<bool, Error> {
        let Some(record) = &self.state()?.core.pin else {
            return if required { Err(Code::PinRequired.into()) } else { Ok(false) };
        };
        let Some(pin) = pin else {
            return if required { Err(Code::PinRequired.into()) } else { Ok(false) };
        };
        let record = record.clone();
        if record.tries == 0 {
            return Err(Code::PinBlocked.into());
        }
        // What can be nobody's PIN is a slip of the hand, and tells nothing.
        if !well_formed(pin) {
            return Err(Code::PinMalformed.into());
        }
        let mut change = self.begin()?;
        change.core.pin = Some(PinRecord { tries: record.tries.saturating_sub(1), ..record.clone() });
        self.commit(change)?;
        let right: bool = hash(&record.salt, pin).0.ct_eq(&record.hash.0).into();
        if !right {
            return Err(Code::PinWrong.into());
        }
        let mut change = self.begin()?;
        change.core.pin = Some(PinRecord { tries: TRIES, ..record });
        self.commit(change)?;
        Ok(true)
    }
}
