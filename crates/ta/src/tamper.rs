//! Deactivation: what the host reports is told to the operator before anything new begins.
//!
//! # Why nothing is lost
//! While the wallet is deactivated it takes on nothing: no payment, receipt, decline, fund order or defunding, and no
//! request that would invite one. What it goes on with moves no new value out, and each brings a payment to rest or tells:
//! - *Resend* and everything asked again give bytes that were made durable before; whoever holds them has them anyway.
//! - *Confirm* moves nothing. *Reclaim* needs the payee's decline, which is final, of a payment in flight, so it happens
//!   once whatever state the host put back.
//! - *Statement* and *Settle* are how the operator resolves what is left, refunds and funding included; and the way out.
//! - A payment to this wallet stays in flight at its payer. It is taken once the wallet is active again, or else comes back
//!   when this wallet's statement, or its certificate's end, closes it.
//!
//! # What ends it
//! The settlement of a statement that told it, and no other. A statement made before the report cannot have told it; and of
//! a second reason, reported after a statement told the first, the settlement of that statement knows nothing, so the wallet
//! stays deactivated for the second. The same reason again is the same report.

use counterfoil_wire::Error;
use counterfoil_wire::element::Tamper;

use crate::TrustedApp;
use crate::api::Reply;
use crate::env::Env;
use crate::state::Change;

impl<E: Env> TrustedApp<E> {
    pub(crate) fn report_tamper(&mut self, tamper: Tamper) -> Result<Reply, Error> {
        let told = self.state()?.statement.as_ref().and_then(|pending| pending.tamper);
        let mut change = self.begin()?;
        let core = &mut change.core;
        let Some(first) = core.tamper else {
            core.tamper = Some(tamper);
            self.commit(change)?;
            return Ok(Reply::Deactivated { tamper, again: false });
        };
        if told.is_some() && tamper != first && core.tamper_since.is_none() {
            core.tamper_since = Some(tamper);
            self.commit(change)?;
        }
        Ok(Reply::Deactivated { tamper: first, again: true })
    }

    /// Ends the deactivation that the pending statement told.
    pub(crate) fn reactivate(&self, change: &mut Change) {
        let pending = self.state.as_ref().and_then(|state| state.statement.as_ref());
        if pending.is_some_and(|pending| pending.tamper.is_some()) {
            change.core.tamper = change.core.tamper_since.take();
        }
    }
}
