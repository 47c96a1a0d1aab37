//! The end of a wallet that is lost, or that its PSP wants closed.
//!
//! ```text
//!   good or suspended --close--> closed: on the revocation list, suspended for good
//!                                   |  until the window ends: payees claim, payers show receipts, the wallet may turn up
//!                                   v
//!                                 due: what evidence says it holds goes to the account behind it, whenever it is above zero
//! ```
//!
//! # When it is due, and why then
//! What a lost wallet holds is what evidence says, less what it may have paid since its last statement. Whoever took such
//! a payment took it under a certificate of this key, so not after the last of them ended; from that moment the rules give
//! a payee the *claim window* to make it known. And the operator itself gives a key up, refunding payments to it and
//! writing off what it owes, the *grace period* after that same moment. Before the later of the two a return could be
//! taken from a payee who did nothing late, or contradict a promise of the operator's own; after it nobody who kept the
//! rules has a claim left. So a wallet is due at `last certificate's end + max(claim window, grace)`. A terminal cannot
//! pay, nobody can have a claim against it, and it is due at once.
//!
//! # Why nothing is returned twice, or more than evidence says
//! A return debits the wallet's shadow, which is what evidence says, to zero, in the batch that orders the transfer; the
//! posting's key and the transfer's id are made of the wallet and the count of its returns, which rises in that batch.
//! Whatever comes later moves the shadow from zero: evidence of more is returned under the next number, and a claim
//! makes it negative, which is a loss, paid at once by whom the rules name. The payee has its own in either case. What
//! reaches the wallet after a loss goes back to whoever bore it before anything is returned.
//!
//! # What never happened on the device any more
//! A refund is booked when its payer says that it applied it. A closed wallet may never say so, and can spend no more, so
//! the operator books its refunds itself. Should the wallet turn up and tell of the same refund, or of a reclaim of the
//! same payment, the payment is back already and is not given back again.

use counterfoil_wire::KeyId;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Outcome, Standing};

use super::ledger::Kind;
use super::reconcile::{Desk, Judgement, Terms, WorkingSet};
use super::record::Event;
use super::settle::resolve;
use super::wallet::Wallet;

/// Closes `wallet`, for good. `false` if it was closed before: nothing is changed then.
pub fn close(wallet: &mut Wallet, now_s: u32) -> bool {
    if wallet.is_closed() {
        return false;
    }
    wallet.closed_at_s = now_s.max(1);
    wallet.standing = Standing::Suspended;
    wallet.revoked = true;
    wallet.pin_unblock = false;
    true
}

/// From when on the unspent balance of a closed wallet is returned, seconds since 1970.
pub fn due_s(wallet: &Wallet, rules: &Rules) -> u32 {
    // A terminal that was proven to cheat may owe something after all.
    if wallet.grade == Grade::Terminal && wallet.liable.is_none() {
        return wallet.closed_at_s;
    }
    wallet.cert_until_s.saturating_add(rules.claim_window_s.max(rules.grace_s))
}

/// Whether what `wallet` has not spent is returned by now.
pub fn is_due(wallet: &Wallet, rules: &Rules, now_s: u32) -> bool {
    wallet.is_closed() && now_s >= due_s(wallet, rules)
}

/// Whether a shadow below zero is no loss yet: the wallet is closed, nobody has shown that it cheated, and the receipts
/// that may cover it can still come.
pub fn is_waiting(wallet: &Wallet, rules: &Rules, now_s: u32) -> bool {
    wallet.is_closed() && wallet.liable.is_none() && !is_due(wallet, rules, now_s)
}

/// Does what is due for the closed wallet `own`: books the refunds of payments that it sent and that nobody can take any
/// more, makes losses good, and returns what is left once the window has ended. The set must hold the wallet, its
/// payments in flight and their payees. Done again, it does nothing more.
pub fn close_out(terms: Terms<'_>, own: KeyId, set: WorkingSet) -> Judgement {
    let mut desk = Desk::new(terms, set);
    let Some(wallet) = desk.out.set.wallets.get(&own).filter(|wallet| wallet.is_closed()).cloned() else {
        return desk.out;
    };
    for resolution in resolve(&wallet, &mut desk.out.set, terms.rules, terms.now_s) {
        if resolution.outcome == Outcome::Refunded {
            // Refused only for what is back already.
            let _ = desk.happened(resolution.payment, Event::RefundBooked);
        }
    }
    desk.losses();
    desk.give_back(own);
    desk.out
}

impl Desk<'_> {
    fn give_back(&mut self, own: KeyId) {
        let Some(wallet) = self.out.set.wallets.get_mut(&own) else { return };
        let amount = wallet.shadow_or_zero();
        if amount.is_zero() || !is_due(wallet, self.terms.rules, self.terms.now_s) {
            return;
        }
        let Some(closed_out) = wallet.closed_out.plus(amount) else { return };
        wallet.closed_out = closed_out;
        wallet.closed_out_no = wallet.closed_out_no.saturating_add(1);
        let number = wallet.closed_out_no;
        self.leave(&own, Kind::CloseOut, number, amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::{Account, Books, Posting};
    use crate::domain::policy::Policy;
    use crate::domain::reconcile::Move;
    use crate::domain::record::{Record, bit};
    use counterfoil_trust::x509::issue_root;
    use counterfoil_trust::{Anchors, SigningKey};
    use counterfoil_wire::cert::Name;
    use counterfoil_wire::rules::{Liability, Preset};
    use counterfoil_wire::{Algorithm, Amount, Digest, PublicKey};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LOST: KeyId = KeyId([1; 32]);
    const OTHER: KeyId = KeyId([2; 32]);
    const UNTIL_S: u32 = 1_000_000;

    fn minor(minor: u64) -> Amount {
        Amount::new(minor).unwrap()
    }

    fn anchors() -> Anchors {
        let key = SigningKey::from_secret(Algorithm::EdDsa, &[1; 32]).unwrap();
        let root = issue_root(Name::new("root").unwrap(), 0, 1, &key, &[0; 32]);
        Anchors::new(root).unwrap()
    }

    fn wallet(id: KeyId, grade: Grade) -> Wallet {
        Wallet {
            id,
            pin_unblock: true,
            cert_until_s: UNTIL_S,
            ..Wallet::new(
                PublicKey::from_slice(&[9; 32]).unwrap(),
                if id == LOST { "alpha" } else { "beta" },
                "account",
                grade,
                1,
            )
        }
    }

    #[test]
    fn a_wallet_is_due_after_the_later_of_claim_window_and_grace_and_a_terminal_at_once() {
        for (claim_window_s, grace_s, due) in
            [(10, 20, UNTIL_S + 20), (20, 10, UNTIL_S + 20), (0, 0, UNTIL_S)]
        {
            let rules = Rules { claim_window_s, grace_s, ..Preset::Permissive.rules() };
            let mut lost = wallet(LOST, Grade::VirtualSe);
            assert!(!is_due(&lost, &rules, u32::MAX), "an open wallet is never due");
            assert!(close(&mut lost, 7));
            assert_eq!((due_s(&lost, &rules), is_due(&lost, &rules, due - 1)), (due, false));
            assert!(is_due(&lost, &rules, due));
            assert!(is_waiting(&lost, &rules, due - 1) && !is_waiting(&lost, &rules, due));
            let mut shop = wallet(LOST, Grade::Terminal);
            close(&mut shop, 7);
            assert!(is_due(&shop, &rules, 7));
            // One that was proven to cheat waits, and answers for its losses meanwhile.
            shop.liable = Some("alpha".to_owned());
            assert!(!is_due(&shop, &rules, due - 1) && !is_waiting(&shop, &rules, 7));
        }
    }

    #[test]
    fn a_closing_is_done_once() {
        let mut lost = wallet(LOST, Grade::VirtualSe);
        assert!(close(&mut lost, 0));
        assert_eq!(
            (lost.closed_at_s, lost.revoked, lost.is_good(), lost.pin_unblock),
            (1, true, false, false)
        );
        let before = lost.clone();
        assert!(!close(&mut lost, 99));
        assert_eq!(lost, before);
    }

    /// Rows as a store keeps them, and everything that was ever ordered.
    struct World {
        rules: Rules,
        now_s: u32,
        set: WorkingSet,
        books: Books,
        names: BTreeSet<(u8, Digest)>,
        moves: BTreeSet<String>,
        returned: i128,
    }

    impl World {
        fn new(liability: Liability) -> Self {
            let mut set = WorkingSet::default();
            set.wallets.insert(LOST, wallet(LOST, Grade::VirtualSe));
            set.wallets
                .insert(OTHER, Wallet { cert_until_s: 2 * UNTIL_S, ..wallet(OTHER, Grade::VirtualSe) });
            let rules = Rules { liability, claim_window_s: 500, grace_s: 300, ..Preset::Permissive.rules() };
            let (books, names, moves) = (Books::default(), BTreeSet::new(), BTreeSet::new());
            Self { rules, now_s: 1, set, books, names, moves, returned: 0 }
        }

        fn lost(&self) -> &Wallet {
            self.set.wallets.get(&LOST).unwrap()
        }

        fn at_desk(&mut self, run: impl FnOnce(&mut Desk<'_>)) {
            let anchors = anchors();
            let set = std::mem::take(&mut self.set);
            let (rules, policy) = (self.rules.clone(), Policy::default());
            let terms = Terms { anchors: &anchors, rules: &rules, policy: &policy, now_s: self.now_s };
            let mut desk = Desk::new(terms, set);
            run(&mut desk);
            desk.losses();
            self.commit(desk.out);
        }

        fn close_out(&mut self) {
            let set = std::mem::take(&mut self.set);
            let (anchors, policy) = (anchors(), Policy::default());
            let terms = Terms { anchors: &anchors, rules: &self.rules, policy: &policy, now_s: self.now_s };
            let out = close_out(terms, LOST, set);
            self.commit(out);
        }

        /// As a store does: what is appended must be new.
        fn commit(&mut self, out: Judgement) {
            for posting in &out.postings {
                assert!(
                    self.names.insert((posting.kind as u8, posting.reference)),
                    "posted twice: {posting:?}"
                );
                self.books.post(posting);
                if posting.kind == Kind::CloseOut {
                    self.returned += i128::from(posting.amount.minor());
                }
            }
            for Move { id, .. } in &out.moves {
                assert!(self.moves.insert(id.clone()), "moved twice: {id}");
            }
            self.set = out.set;
        }

        fn record(&mut self, number: u8, amount: u64, from: KeyId, to: KeyId) -> Digest {
            let id = Digest([number; 32]);
            let record = Record {
                id,
                payer: from,
                payer_seq: u32::from(number),
                payee: to,
                request_no: counterfoil_wire::message::STANDING_FIRST,
                amount: minor(amount),
                spent: minor(1_000_000),
                payer_until_s: UNTIL_S,
                bits: 0,
                first_seen_s: 0,
                payment: Vec::new(),
            };
            self.set.records.entry(id).or_insert(record);
            id
        }
    }

    /// A payment of the lost wallet, as the model has it.
    #[derive(Debug, Default, Clone, Copy)]
    struct Sent {
        amount: i128,
        told: bool,
        taken: bool,
        given_back: bool,
    }

    /// The world in a few numbers: what evidence says that the lost wallet has and had.
    #[derive(Debug, Default)]
    struct Model {
        funded: i128,
        sent: std::collections::BTreeMap<u8, Sent>,
        received: std::collections::BTreeMap<u8, i128>,
    }

    impl Model {
        fn evidence(&self) -> i128 {
            let sent = self.sent.values().filter(|sent| !sent.given_back);
            self.funded - sent.map(|sent| sent.amount).sum::<i128>() + self.received.values().sum::<i128>()
        }

        /// What both the payee and the lost wallet have, by the operator's patience: the scheme's loss.
        fn covered(&self) -> i128 {
            let both = self.sent.values().filter(|sent| sent.given_back && sent.taken);
            both.map(|sent| sent.amount).sum()
        }

        fn give_up(&mut self, now_s: u32) {
            // The payee's certificate ends later than the payer's.
            if now_s > 2 * UNTIL_S + 300 {
                self.sent.values_mut().for_each(|sent| sent.given_back |= sent.told && !sent.taken);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Fund(u64),
        /// The payee's half comes.
        Claim(u8),
        /// The lost wallet's own half comes.
        Tell(u8),
        /// A receipt of the lost wallet is shown.
        Receive(u8),
        Close,
        Wait(u32),
        CloseOut,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..5_000u64).prop_map(Step::Fund),
            (0..8u8).prop_map(Step::Claim),
            (0..8u8).prop_map(Step::Tell),
            (100..106u8).prop_map(Step::Receive),
            Just(Step::Close),
            (1..UNTIL_S).prop_map(Step::Wait),
            Just(Step::CloseOut),
            Just(Step::CloseOut),
        ]
    }

    fn amount_of(number: u8) -> u64 {
        u64::from(number % 50) * 137 + 90
    }

    fn take(world: &mut World, model: &mut Model, step: &Step, fund_no: &mut u8) {
        match *step {
            Step::Fund(amount) => {
                *fund_no += 1;
                let reference = Digest([*fund_no; 32]);
                model.funded += i128::from(amount);
                world.at_desk(|desk| {
                    let (debit, credit) = (Account::Float, Account::Offline(LOST));
                    let amount = minor(amount);
                    desk.post(Posting { wallet: LOST, kind: Kind::Fund, reference, debit, credit, amount });
                });
            }
            Step::Claim(number) | Step::Tell(number) => {
                let id = world.record(number, amount_of(number), LOST, OTHER);
                let sent = model.sent.entry(number).or_default();
                let claims = matches!(step, Step::Claim(_));
                sent.amount = i128::from(amount_of(number));
                sent.told |= !claims;
                sent.taken |= claims;
                let event = if claims { Event::Taken } else { Event::Sent };
                world.at_desk(|desk| drop(desk.happened(id, event)));
            }
            Step::Receive(number) => {
                let id = world.record(number, amount_of(number), OTHER, LOST);
                model.received.insert(number, i128::from(amount_of(number)));
                world.at_desk(|desk| drop(desk.happened(id, Event::ReceiptShown)));
            }
            Step::Close => drop(close(world.set.wallets.get_mut(&LOST).unwrap(), world.now_s)),
            Step::Wait(seconds) => world.now_s = world.now_s.saturating_add(seconds),
            Step::CloseOut => {
                let before = world.returned;
                if world.lost().is_closed() {
                    model.give_up(world.now_s);
                }
                world.close_out();
                let paid = world.returned - before;
                let due = is_due(world.lost(), &world.rules, world.now_s);
                assert!(paid == 0 || due, "returned before its time");
                // Never more than evidence says, after who bore a loss has it back.
                let left = model.evidence() - before;
                assert!(paid <= left.max(0), "returned {paid} of {left}");
                if due {
                    assert_eq!(world.lost().shadow, 0);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_closed_wallet_is_returned_what_evidence_says_and_nobody_else_loses(
            steps in proptest::collection::vec(step(), 1..60),
            liability in prop_oneof![
                Just(Liability::PayerPsp), Just(Liability::PayeePsp), Just(Liability::SchemeFund)
            ],
        ) {
            let (mut world, mut model, mut fund_no) = (World::new(liability), Model::default(), 150);
            for step in &steps {
                take(&mut world, &mut model, step, &mut fund_no);
                let books = &world.books;
                // Conservation, the rows against the ledger, and every payee has what it claimed.
                prop_assert_eq!(books.net_funded() + books.loss(), books.offline() + books.in_flight());
                for wallet in world.set.wallets.values() {
                    let ledger = books.balance(&Account::Offline(wallet.id));
                    prop_assert_eq!(ledger, i128::from(wallet.shadow));
                }
                for record in world.set.records.values().filter(|record| record.has(bit::PAYEE)) {
                    prop_assert!(record.is_taken());
                }
                prop_assert!(world.lost().is_closed() || world.returned == 0);
                prop_assert_eq!(world.returned, i128::from(world.lost().closed_out.minor()));
                // Before its window ends nothing of an honest wallet is a loss.
                let due = is_due(world.lost(), &world.rules, world.now_s);
                prop_assert!(due || books.loss() == 0 || model.covered() > 0);
            }
            // In the end all is due and everybody is given up.
            close(world.set.wallets.get_mut(&LOST).unwrap(), 1);
            world.now_s = u32::MAX;
            world.close_out();
            let before = world.returned;
            world.close_out();
            prop_assert_eq!(world.returned, before, "returned twice");
            model.give_up(world.now_s);
            prop_assert_eq!((world.lost().shadow, world.books.in_flight()), (0, 0));
            // What was returned is what evidence says, but for losses, each of which has its name.
            let made_good = world.books.loss() - model.covered();
            prop_assert_eq!(world.returned, model.evidence() + made_good);
            prop_assert!(made_good >= 0);
        }
    }

    #[test]
    fn a_defunding_that_was_given_back_is_still_in_the_balance_and_returned_with_it_once() {
        let mut world = World::new(Liability::PayerPsp);
        let (mut model, mut fund_no) = (Model::default(), 150);
        take(&mut world, &mut model, &Step::Fund(300), &mut fund_no);
        // More than the shadow: it is not paid out, and the wallet is told to take it back.
        world.at_desk(|desk| drop(desk.defund(&LOST, 4, minor(500))));
        assert_eq!((world.lost().returned.as_slice(), world.lost().shadow), (&[(4, minor(500))][..], 300));
        take(&mut world, &mut model, &Step::Close, &mut fund_no);
        world.now_s = UNTIL_S + 500;
        world.close_out();
        assert_eq!((world.returned, world.lost().shadow), (300, 0));
        // Told again by a wallet that turned up, it moves nothing.
        world.at_desk(|desk| drop(desk.defund(&LOST, 4, minor(300))));
        world.close_out();
        assert_eq!((world.returned, world.lost().shadow, world.books.loss()), (300, 0, 0));
    }
}
