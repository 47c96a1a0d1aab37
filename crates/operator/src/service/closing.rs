//! Wallets that are lost, or that their PSP wants closed: closing, returning what was not spent, and showing the sum.
//!
//! A closing is one batch: the row, and the list that the key is on. A return is one batch: the row, the posting and the
//! order to the rail. What a crash leaves undone between any two of them is found in the store and done by the next run.

use counterfoil_wire::{Code, KeyId};

use super::policy::policy;
use super::settle::{append, judged};
use super::{Desk, Service, moves};
use crate::domain::closing::{close, close_out};
use crate::domain::holding::{Holding, holding};
use crate::domain::known::Needs;
use crate::domain::wallet::Wallet;
use crate::error::Refusal;
use crate::store::{Batch, Store};

impl Service {
    /// Closes a wallet for good, once its PSP has authenticated the customer: its key goes on the revocation list at once,
    /// and what it has not spent goes to the account behind it when its window has ended. `psp` is who asks; absent for
    /// the operator itself. Asked again it changes nothing and answers how the wallet stands by then.
    ///
    /// # Errors
    /// [`Code::UnknownWallet`], also for another PSP's wallet; [`Refusal::Store`], [`Refusal::Random`].
    pub fn close_wallet(&self, psp: Option<&str>, key: &KeyId) -> Result<Holding, Refusal> {
        let now_s = self.now_s();
        self.exclusively(|desk| {
            let mut wallet = self.wallet_of(desk.store.as_ref(), psp, key)?;
            if close(&mut wallet, now_s) {
                let list = self.next_list(desk.store.as_ref(), std::slice::from_ref(&wallet))?;
                let mut batch = Batch { wallets: vec![wallet], ..Batch::default() };
                if let Some((list, revocations)) = list {
                    batch.published.push(list);
                    batch.revocations = revocations;
                }
                desk.store.commit(&batch)?;
            }
            self.close_out(desk, *key)?;
            moves::move_money(desk)?;
            self.holding_of(desk.store.as_ref(), key)
        })
    }

    /// Adds up what a wallet holds and what is awaited. `psp` is who asks; absent for the operator itself.
    ///
    /// # Errors
    /// [`Code::UnknownWallet`], also for another PSP's wallet; [`Refusal::Store`].
    pub fn holding(&self, psp: Option<&str>, key: &KeyId) -> Result<Holding, Refusal> {
        self.exclusively(|desk| {
            self.wallet_of(desk.store.as_ref(), psp, key)?;
            self.holding_of(desk.store.as_ref(), key)
        })
    }

    /// Does what is due for closed wallets.
    pub(super) fn close_out_all(&self, desk: &mut Desk) -> Result<(), Refusal> {
        for key in desk.store.closed_with_rest()? {
            self.close_out(desk, key)?;
        }
        Ok(())
    }

    fn close_out(&self, desk: &mut Desk, own: KeyId) -> Result<(), Refusal> {
        let policy = policy(desk.store.as_ref())?;
        let terms = self.terms(&policy);
        let needs = Needs::of_wallet(own);
        let mut known = desk.store.gather(std::slice::from_ref(&needs))?;
        let judge = |set| close_out(terms, own, set);
        let judgement = judged(desk.store.as_ref(), &mut known, &needs, judge)?;
        let mut batch = Batch::default();
        known.put_back(append(judgement, &mut batch, terms.now_s));
        (batch.wallets, batch.records) = known.into_changed();
        if batch.wallets.is_empty() && batch.records.is_empty() {
            return Ok(());
        }
        Ok(desk.store.commit(&batch)?)
    }

    fn holding_of(&self, store: &dyn Store, key: &KeyId) -> Result<Holding, Refusal> {
        let rows = store.holding_rows(key)?.ok_or(Code::UnknownWallet)?;
        Ok(holding(&rows, &self.scheme.rules, self.now_s()))
    }

    /// A wallet that `psp` may ask about.
    pub(super) fn wallet_of(
        &self,
        store: &dyn Store,
        psp: Option<&str>,
        key: &KeyId,
    ) -> Result<Wallet, Refusal> {
        let wallet = store.wallet(key)?.filter(|wallet| psp.is_none_or(|psp| psp == wallet.psp));
        wallet.ok_or(Code::UnknownWallet.into())
    }
}
