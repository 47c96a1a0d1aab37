//! Enrolment: a key is made here, and its possession is proved.
//!
//! On stale state it begins anew: the batch that writes the fresh key deletes every record that there was. So there is no
//! moment with some of each, and the old key, which may have signed more than this copy knows of, signs nothing again. The
//! store's first commit on stale state brings state and counter in step; a cut before it leaves the state as stale as it
//! was, and after it the enrolment is pending as any other is.

use counterfoil_trust::{Anchors, Revoked, SigningKey, seal};
use counterfoil_wire::cert::{Grade, Name, RootCert};
use counterfoil_wire::element::ElementStatement;
use counterfoil_wire::header::Signer;
use counterfoil_wire::sync::{Enrolment, Standing};
use counterfoil_wire::{Amount, Code, Digest, Error, Nonce};

use crate::TrustedApp;
use crate::api::{Pin, Reply, algorithm};
use crate::env::{Batch, Env, Store};
use crate::journal::message;
use crate::pin;
use crate::state::{
    Change, Core, Counters, PendingEnrolment, STATE_VERSION, Secret, State, Window, store_error,
};

/// What a new key is to say of itself.
pub(crate) struct Wanted {
    pub grade: Grade,
    pub name: Name,
    pub binding: Digest,
    pub element: ElementStatement,
}

impl<E: Env> TrustedApp<E> {
    pub(crate) fn enrol(
        &mut self,
        es256: bool,
        pin: Option<Pin>,
        root: RootCert,
        wanted: Wanted,
    ) -> Result<Reply, Error> {
        let Wanted { grade, name, binding, element } = wanted;
        let anew = self.is_stale();
        if let Some(state) = self.state.as_ref().filter(|_| !anew) {
            return match &state.core.enrolment {
                Some(pending) => Ok(Reply::Message { message: pending.message.clone(), again: true }),
                None => Err(Code::AlreadyEnrolled.into()),
            };
        }
        // A name travels with every payment; only a merchant's acceptor has one to show.
        if grade.has_element() && !name.as_str().is_empty() {
            return Err(Code::ValueOutOfRange.into());
        }
        let anchors = Anchors::new(root.clone())?;
        let pin = match pin {
            Some(pin) => Some(pin::new_record(&pin, Nonce(self.random()))?),
            None => None,
        };
        let env = &mut self.env;
        let key = SigningKey::generate(algorithm(es256), &mut |bytes| env.fill_random(bytes))?;
        let public = key.public();
        let nonce = Nonce(self.random());
        let hedge = self.random::<32>();
        let body = Enrolment { nonce, grade, name: name.clone(), binding, element };
        let (envelope, _) = seal(&anchors.scheme, &key, &hedge, &body, Signer::Key(public), None);
        let message = message(&envelope);
        let core = Core {
            version: STATE_VERSION,
            es256,
            secret: Secret(key.secret()),
            grade,
            name,
            root,
            enrolment: Some(PendingEnrolment { nonce, message: message.clone() }),
            pin,
            platform: None,
            funded: Amount::ZERO,
            received: Amount::ZERO,
            spent: Amount::ZERO,
            head_seq: 0,
            head: Digest::NONE,
            acked_seq: 0,
            acked: Digest::NONE,
            counters: Counters::ZERO,
            window: Window { index: 0, total: Amount::ZERO, count: 0 },
            next_request: 1,
            next_standing: counterfoil_wire::message::STANDING_FIRST,
            closed_below: 1,
            time_bound_s: 0,
            closed_before_s: 0,
            synced_at_s: 0,
            funding_total: Amount::ZERO,
            order_no: 0,
            defunding: Amount::ZERO,
            standing: Standing::Good,
            last_settlement: Digest::NONE,
            rules_no: 0,
            references: 0,
            tamper: None,
            tamper_since: None,
        };
        let mut batch = Batch::new();
        if anew {
            let mut delete = |key: &[u8], _: &[u8]| batch.delete(key);
            self.env.store().scan(b"", &mut delete).map_err(store_error)?;
        }
        self.commit(Change { core: core.clone(), batch })?;
        self.begun_anew |= anew;
        self.state = Some(State {
            core,
            key,
            public,
            cert: None,
            rules: None,
            anchors,
            revoked: Revoked::empty(),
            trust_envelope: None,
            order: None,
            statement: None,
        });
        Ok(Reply::Message { message, again: false })
    }
}
