//! Requests: a payee asks to be paid.

use counterfoil_wire::header::Signer;
use counterfoil_wire::message::{Request, STANDING_FIRST};
use counterfoil_wire::{Amount, Code, Error, Nonce, Reference};

use crate::api::{Command, Reply};
use crate::env::Env;
use crate::journal::message;
use crate::state::{OpenRequest, keys, read_all};
use crate::statement::number_of;
use crate::{TrustedApp, arguments};

/// Requests that may be open at once.
const OPEN_MAX: usize = 64;

/// Of these, standing ones.
const STANDING_MAX: usize = 32;

impl<E: Env> TrustedApp<E> {
    pub(crate) fn request(
        &mut self,
        amount: Option<Amount>,
        standing: bool,
        reference: Reference,
    ) -> Result<Reply, Error> {
        let named = arguments(&Command::Request { amount, standing, reference });
        if let Some(before) = self.done_before(&reference, &named)? {
            return Ok(before);
        }
        self.check_active()?;
        if amount.is_some_and(Amount::is_zero) {
            return Err(Code::AmountZero.into());
        }
        let now_s = self.now_s()?;
        // Nothing closes a standing request, so they must leave places for the others.
        let open = read_all::<OpenRequest, _>(self.env.store(), b"q")?;
        let is_standing = |key: &[u8]| number_of(key).is_some_and(|number| number >= STANDING_FIRST);
        let standing_ones = open.iter().filter(|(key, _)| is_standing(key)).count();
        if open.len() >= OPEN_MAX || (standing && standing_ones >= STANDING_MAX) {
            return Err(Code::TooManyRequests.into());
        }
        let nonce = if standing { None } else { Some(Nonce(self.random())) };
        let state = self.state()?;
        let cert = state.cert()?.clone();
        if now_s > cert.not_after_s() {
            return Err(Code::OwnCertificateExpired.into());
        }
        let window_s = state.rules.as_ref().ok_or(Code::NotEnrolled)?.request_window_s;
        let mut change = self.begin()?;
        let next = if standing { &mut change.core.next_standing } else { &mut change.core.next_request };
        let number = *next;
        let limit = if standing { u32::MAX } else { STANDING_FIRST };
        *next = number.checked_add(1).filter(|next| *next <= limit).ok_or(Code::TooManyRequests)?;
        let expiry_s = if standing { 0 } else { now_s.saturating_add(window_s) };
        let request = Request {
            number,
            nonce,
            amount,
            expiry_s,
            revocation_no: state.revoked.number,
            trust_no: state.anchors.list_no,
        };
        let (envelope, id) = self.sign(&request, Signer::Cert(cert))?;
        let message = message(&envelope);
        change.put(keys::by_seq(b'q', number), &OpenRequest { id, amount, expiry_s });
        let again = Reply::Message { message: message.clone(), again: true };
        self.remember(&mut change, &reference, named, &again)?;
        self.commit(change)?;
        Ok(Reply::Message { message, again: false })
    }
}
