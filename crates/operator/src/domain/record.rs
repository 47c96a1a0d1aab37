//! One payment as the operator knows it: which halves arrived and what each of them moves.
//!
//! ```text
//!   payer's half --+--> debited --- payee's half ---> credited          matched
//!   payee's half --+       |
//!                          +------- decline, reclaimed ---> returned    declined
//!                          +------- closure, refund booked -> returned  refunded
//! ```
//!
//! Both halves may come in either order and any number of times; each step is taken once. The payment itself, signed
//! by the payer, is proof enough: when the payee's half comes first, the payer is debited then, and its own half later
//! only sets its bit. Two paths go wrong and have a way out that keeps the books in balance:
//! - *returned, then taken* where the payee's key was given up for gone: the receipt wins, and the difference is covered
//!   as a loss;
//! - *returned, then taken* after the payee's own decline or closure: the payee is the cheat and gets nothing. Where it was taken
//!   first, it is taken from the payee again.

use counterfoil_wire::{Amount, Digest, KeyId};

use super::bucket;
use super::ledger::{Account, Kind, Posting};
use super::reason::Reason;

/// What is known of a payment, as bits.
pub mod bit {
    /// The payer journaled it.
    pub const PAYER: u16 = 1;
    /// The payee journaled a receipt.
    pub const PAYEE: u16 = 1 << 1;
    /// Somebody showed the payee's receipt.
    pub const RECEIPT: u16 = 1 << 2;
    /// The payee's decline was seen, or it took what it had stated never to take.
    pub const DECLINED: u16 = 1 << 3;
    /// Posted: payer to clearing.
    pub const DEBITED: u16 = 1 << 4;
    /// Posted: clearing to payee.
    pub const CREDITED: u16 = 1 << 5;
    /// Posted: clearing to payer.
    pub const RETURNED: u16 = 1 << 6;
    /// The operator decided to refund it.
    pub const REFUND_DECIDED: u16 = 1 << 7;
    /// The payer reclaimed it with the decline.
    pub const RECLAIMED: u16 = 1 << 8;
    /// The payer knows how it ended.
    pub const CLOSED: u16 = 1 << 9;
    /// Posted: loss to clearing.
    pub const COVERED: u16 = 1 << 10;
    /// Posted: payee to clearing.
    pub const REVERSED: u16 = 1 << 11;
    /// It conflicts with another payment of its payer.
    pub const FORKED: u16 = 1 << 12;
    /// Claimed after the window.
    pub const LATE: u16 = 1 << 13;
    /// Claimed when the payer's key was revoked.
    pub const REVOKED: u16 = 1 << 14;

    use super::Reason;

    /// Whether somebody has yet to do something about it: the payer does not know how it ended, or it came to rest nowhere.
    pub fn is_open(bits: u16) -> bool {
        bits & CLOSED == 0 || bits & (CREDITED | RETURNED) == 0
    }

    /// Whether the payee has it, for good.
    pub fn is_taken(bits: u16) -> bool {
        bits & CREDITED != 0 && bits & REVERSED == 0
    }

    /// Whether the payee's key both took and declined it.
    pub fn is_equivocated(bits: u16) -> bool {
        bits & DECLINED != 0 && bits & (PAYEE | RECEIPT) != 0
    }

    /// Why it stands where it stands.
    pub fn reason(bits: u16) -> Reason {
        let has = |any: u16| bits & any != 0;
        if is_equivocated(bits) {
            Reason::Equivocated
        } else if has(FORKED) {
            Reason::Forked
        } else if !is_taken(bits) && has(DECLINED) {
            // What nobody took concerns neither a window nor a revocation.
            Reason::Declined
        } else if !is_taken(bits) && has(RETURNED | REFUND_DECIDED) {
            Reason::Refunded
        } else if has(COVERED | LATE) {
            Reason::Late
        } else if has(REVOKED) {
            Reason::Revoked
        } else if is_taken(bits) {
            if has(PAYER) { Reason::Matched } else { Reason::PayeeOnly }
        } else {
            Reason::PayerOnly
        }
    }
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Identifier.
    pub id: Digest,
    /// Who paid.
    pub payer: KeyId,
    /// Its place in the payer's journal.
    pub payer_seq: u32,
    /// Who alone may take it.
    pub payee: KeyId,
    /// The request that it answers.
    pub request_no: u32,
    /// How much.
    pub amount: Amount,
    /// The payer's gross total, this payment included.
    pub spent: Amount,
    /// End of the validity of the payer's certificate in it, seconds since 1970.
    pub payer_until_s: u32,
    /// [`bit`]s.
    pub bits: u16,
    /// When the operator first saw it, seconds since 1970.
    pub first_seen_s: u32,
    /// The whole payment: evidence. Empty where it was not read.
    pub payment: Vec<u8>,
}

/// A payment that is new or not as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it is.
    pub record: Record,
    /// As it was read; absent for a new one. Nothing but its bits changes.
    pub before: Option<u16>,
}

impl Changed {
    /// A payment that the operator did not know.
    pub fn new(record: Record) -> Self {
        Self { record, before: None }
    }
}

/// Something that happened to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The payer's journal has it.
    Sent,
    /// The payee's journal has it.
    Taken,
    /// The payee's receipt was shown.
    ReceiptShown,
    /// The payee's journal says never.
    Declined,
    /// The payer's journal took it back, with the payee's decline.
    Reclaimed,
    /// The payer's journal booked the operator's refund.
    RefundBooked,
}

/// Why an event cannot be: the journal that reports it lies, or reports it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impossible;

impl Record {
    /// Whether any of `bits` is set.
    pub fn has(&self, bits: u16) -> bool {
        self.bits & bits != 0
    }

    /// Whether somebody has yet to do something about it.
    pub fn is_open(&self) -> bool {
        bit::is_open(self.bits)
    }

    /// Whether the payee has it, for good.
    pub fn is_taken(&self) -> bool {
        bit::is_taken(self.bits)
    }

    /// Whether it left the payer and has come to rest nowhere.
    pub fn in_flight(&self) -> bool {
        self.has(bit::DEBITED) && !self.is_taken() && !self.has(bit::RETURNED)
    }

    /// Whether the payee's key both took and declined it.
    pub fn is_equivocated(&self) -> bool {
        bit::is_equivocated(self.bits)
    }

    /// Why it stands where it stands.
    pub fn reason(&self) -> Reason {
        bit::reason(self.bits)
    }

    /// Takes one step. What it moves is appended to `postings`.
    ///
    /// # Errors
    /// [`Impossible`] for a second report of what happens once, and for a return of what was returned or never sent;
    /// nothing is changed then.
    pub fn on(&mut self, event: Event, postings: &mut Vec<Posting>) -> Result<(), Impossible> {
        match event {
            Event::Sent => {
                self.first(bit::PAYER)?;
                self.debit(postings);
            }
            Event::Taken => {
                self.first(bit::PAYEE)?;
                self.debit(postings);
                self.credit(postings);
            }
            Event::ReceiptShown => {
                self.bits |= bit::RECEIPT;
                self.debit(postings);
                self.credit(postings);
            }
            Event::Declined => self.first(bit::DECLINED)?,
            Event::Reclaimed => {
                self.may_return()?;
                self.bits |= bit::DECLINED | bit::RECLAIMED | bit::CLOSED;
                if self.is_taken() {
                    let payee = Account::Offline(self.payee);
                    self.post(bit::REVERSED, Kind::Reverse, payee, self.clearing(), postings);
                }
                self.post(
                    bit::RETURNED,
                    Kind::Return,
                    self.clearing(),
                    Account::Offline(self.payer),
                    postings,
                );
            }
            Event::RefundBooked => {
                self.may_return()?;
                self.bits |= bit::REFUND_DECIDED | bit::CLOSED;
                if self.is_taken() && self.has(bit::DECLINED) {
                    let payee = Account::Offline(self.payee);
                    self.post(bit::REVERSED, Kind::Reverse, payee, self.clearing(), postings);
                } else if self.is_taken() {
                    self.post(bit::COVERED, Kind::Cover, Account::Loss, self.clearing(), postings);
                }
                self.post(
                    bit::RETURNED,
                    Kind::Return,
                    self.clearing(),
                    Account::Offline(self.payer),
                    postings,
                );
            }
        }
        Ok(())
    }

    fn first(&mut self, half: u16) -> Result<(), Impossible> {
        if self.has(half) {
            // A decline may be known from the payer's reclaim before the payee's journal brings it.
            return if half == bit::DECLINED { Ok(()) } else { Err(Impossible) };
        }
        self.bits |= half;
        Ok(())
    }

    fn may_return(&self) -> Result<(), Impossible> {
        if self.has(bit::PAYER) && !self.has(bit::RETURNED) { Ok(()) } else { Err(Impossible) }
    }

    fn debit(&mut self, postings: &mut Vec<Posting>) {
        self.post(bit::DEBITED, Kind::Send, Account::Offline(self.payer), self.clearing(), postings);
    }

    fn credit(&mut self, postings: &mut Vec<Posting>) {
        let given_up = self.has(bit::DECLINED) && self.has(bit::RETURNED);
        if self.has(bit::CREDITED | bit::RECLAIMED) || given_up {
            return;
        }
        if self.has(bit::RETURNED) {
            self.post(bit::COVERED, Kind::Cover, Account::Loss, self.clearing(), postings);
        }
        self.post(bit::CREDITED, Kind::Receive, self.clearing(), Account::Offline(self.payee), postings);
    }

    fn clearing(&self) -> Account {
        Account::Clearing(bucket(&self.payer))
    }

    fn post(&mut self, done: u16, kind: Kind, debit: Account, credit: Account, postings: &mut Vec<Posting>) {
        if self.has(done) {
            return;
        }
        self.bits |= done;
        let of = if matches!(kind, Kind::Receive | Kind::Reverse) { &self.payee } else { &self.payer };
        postings.push(Posting { wallet: *of, kind, reference: self.id, debit, credit, amount: self.amount });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::Books;
    use proptest::prelude::*;

    fn record() -> Record {
        Record {
            id: Digest([7; 32]),
            payer: KeyId([1; 32]),
            payer_seq: 3,
            payee: KeyId([2; 32]),
            request_no: 1,
            amount: Amount::new(250).unwrap(),
            spent: Amount::new(1000).unwrap(),
            payer_until_s: 0,
            bits: 0,
            first_seen_s: 0,
            payment: Vec::new(),
        }
    }

    fn after(events: &[Event]) -> (Record, Books) {
        let (mut record, mut books, mut postings) = (record(), Books::default(), Vec::new());
        for event in events {
            let _ = record.on(*event, &mut postings);
        }
        postings.iter().for_each(|posting| books.post(posting));
        (record, books)
    }

    fn shadows(books: &Books) -> (i128, i128) {
        let of = |n| books.balance(&Account::Offline(KeyId([n; 32])));
        (of(1), of(2))
    }

    #[test]
    fn halves_match_in_either_order() {
        for events in [[Event::Sent, Event::Taken], [Event::Taken, Event::Sent]] {
            let (record, books) = after(&events);
            assert_eq!((record.reason(), shadows(&books)), (Reason::Matched, (-250, 250)));
            assert_eq!(books.in_flight(), 0);
        }
    }

    #[test]
    fn what_was_declined_comes_back_and_equivocation_pays_the_payer() {
        let (record, books) = after(&[Event::Sent, Event::Declined, Event::Reclaimed]);
        assert_eq!((record.reason(), shadows(&books), books.loss()), (Reason::Declined, (0, 0), 0));
        for events in
            [[Event::Sent, Event::Taken, Event::Reclaimed], [Event::Sent, Event::Reclaimed, Event::Taken]]
        {
            let (record, books) = after(&events);
            assert_eq!((record.reason(), shadows(&books), books.loss()), (Reason::Equivocated, (0, 0), 0));
        }
    }

    #[test]
    fn a_receipt_after_a_refund_wins_and_is_a_loss() {
        for events in [
            [Event::Sent, Event::RefundBooked, Event::Taken],
            [Event::Sent, Event::Taken, Event::RefundBooked],
        ] {
            let (record, books) = after(&events);
            assert_eq!((record.reason(), shadows(&books), books.loss()), (Reason::Late, (0, 250), 250));
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Sent),
            Just(Event::Taken),
            Just(Event::ReceiptShown),
            Just(Event::Declined),
            Just(Event::Reclaimed),
            Just(Event::RefundBooked),
        ]
    }

    proptest! {
        #[test]
        fn in_any_order_value_is_in_one_place(events in proptest::collection::vec(event(), 0..12)) {
            let (record, books) = after(&events);
            let amount = i128::from(record.amount.minor());
            prop_assert_eq!(books.in_flight(), if record.in_flight() { amount } else { 0 });
            prop_assert_eq!(books.loss(), books.offline() + books.in_flight());
            prop_assert!(books.loss() == 0 || record.has(bit::COVERED));
            let (payer, payee) = shadows(&books);
            prop_assert!((-amount..=0).contains(&payer) && (0..=amount).contains(&payee));
        }
    }
}
