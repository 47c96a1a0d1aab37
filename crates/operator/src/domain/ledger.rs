//! The double-entry ledger.
//!
//! A posting names the account that is debited, the account that is credited and one amount, so that no posting can be
//! unbalanced. An account's balance is credits less debits. What the operator owes is therefore positive (a wallet's
//! *shadow*, value in flight), and what it has against that is negative (its float on the rail, losses that somebody
//! bore). The sum over all accounts is zero, which read by kind of account is
//!
//! `funded - defunded + loss = offline + in flight`.

use std::collections::BTreeMap;

use counterfoil_wire::{Amount, Digest, KeyId};

/// A ledger account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The scheme's money on the rail, as the operator accounts for it.
    Float,
    /// What fraud created and somebody paid for.
    Loss,
    /// Value on its way from the payers of one bucket.
    Clearing(u16),
    /// A wallet's shadow: what its balance is, as far as the operator has seen evidence.
    Offline(KeyId),
}

impl core::fmt::Display for Account {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Float => f.write_str("float"),
            Self::Loss => f.write_str("loss"),
            Self::Clearing(bucket) => write!(f, "clearing:{bucket}"),
            Self::Offline(key) => write!(f, "offline:{key}"),
        }
    }
}

impl Account {
    /// The account that [`Account`]'s `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "float" => Some(Self::Float),
            None if text == "loss" => Some(Self::Loss),
            Some(("clearing", bucket)) => Some(Self::Clearing(bucket.parse().ok()?)),
            Some(("offline", key)) => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(key, &mut bytes).ok()?;
                Some(Self::Offline(KeyId(bytes)))
            }
            _ => None,
        }
    }
}

/// What a posting is for. With wallet and reference it makes the primary key, so that nothing is posted twice. Numbers are
/// stored and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A fund order: float to wallet.
    Fund = 1,
    /// The payer's step of a payment: payer to clearing.
    Send = 2,
    /// The payee's step of a payment: clearing to payee.
    Receive = 3,
    /// A payment that came back: clearing to payer.
    Return = 4,
    /// A defunding: wallet to float.
    Defund = 5,
    /// A terminal's takings: terminal to float.
    PayOut = 6,
    /// A wallet's loss: somebody pays what it never had.
    Loss = 7,
    /// A loss made good by value that arrived later.
    Recovery = 8,
    /// A payment that was taken although its payee had declined it goes back: payee to clearing.
    Reverse = 9,
    /// A payment both refunded and taken: loss to clearing.
    Cover = 10,
    /// The unspent balance of a closed wallet: wallet to float.
    CloseOut = 11,
}

impl Kind {
    /// Every kind, in order of its number.
    pub const ALL: &'static [Kind] = &[
        Kind::Fund,
        Kind::Send,
        Kind::Receive,
        Kind::Return,
        Kind::Defund,
        Kind::PayOut,
        Kind::Loss,
        Kind::Recovery,
        Kind::Reverse,
        Kind::Cover,
        Kind::CloseOut,
    ];

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u8 == number)
    }
}

/// One row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    /// The wallet whose step it is; its bucket's writer makes it.
    pub wallet: KeyId,
    /// What for.
    pub kind: Kind,
    /// The payment, or the digest that names the order.
    pub reference: Digest,
    /// The account whose balance falls.
    pub debit: Account,
    /// The account whose balance rises.
    pub credit: Account,
    /// How much.
    pub amount: Amount,
}

/// Balances that postings add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// Credits less debits, by account.
    pub balances: BTreeMap<Account, i128>,
}

impl Books {
    /// Adds one posting.
    pub fn post(&mut self, posting: &Posting) {
        let amount = i128::from(posting.amount.minor());
        *self.balances.entry(posting.debit).or_default() -= amount;
        *self.balances.entry(posting.credit).or_default() += amount;
    }

    /// Adds one posting as far as it is about other accounts than wallets'.
    pub fn post_elsewhere(&mut self, posting: &Posting) {
        let amount = i128::from(posting.amount.minor());
        for (account, change) in [(posting.debit, -amount), (posting.credit, amount)] {
            if !matches!(account, Account::Offline(_)) {
                *self.balances.entry(account).or_default() += change;
            }
        }
    }

    /// The balance of one account.
    pub fn balance(&self, account: &Account) -> i128 {
        self.balances.get(account).copied().unwrap_or_default()
    }

    /// What wallets hold.
    pub fn offline(&self) -> i128 {
        self.sum(|account| matches!(account, Account::Offline(_)))
    }

    /// What is on its way between wallets.
    pub fn in_flight(&self) -> i128 {
        self.sum(|account| matches!(account, Account::Clearing(_)))
    }

    /// What somebody paid for fraud.
    pub fn loss(&self) -> i128 {
        -self.balance(&Account::Loss)
    }

    /// What was funded and not defunded.
    pub fn net_funded(&self) -> i128 {
        -self.balance(&Account::Float)
    }

    fn sum(&self, wanted: impl Fn(&Account) -> bool) -> i128 {
        self.balances.iter().filter(|(account, _)| wanted(account)).map(|(_, balance)| balance).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account() -> impl Strategy<Value = Account> {
        prop_oneof![
            Just(Account::Float),
            Just(Account::Loss),
            (0..64u16).prop_map(Account::Clearing),
            (0..4u8).prop_map(|n| Account::Offline(KeyId([n; 32]))),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_posted_the_books_balance(
            rows in proptest::collection::vec((account(), account(), 0..=Amount::MAX.minor()), 0..50)
        ) {
            let mut books = Books::default();
            for (debit, credit, minor) in rows {
                let amount = Amount::new(minor).unwrap();
                let reference = Digest::NONE;
                books.post(&Posting { wallet: KeyId([0; 32]), kind: Kind::Send, reference, debit, credit, amount });
            }
            prop_assert_eq!(books.balances.values().sum::<i128>(), 0);
            prop_assert_eq!(books.net_funded() + books.loss(), books.offline() + books.in_flight());
        }

        #[test]
        fn an_account_reads_back(account in account()) {
            prop_assert_eq!(Account::parse(&account.to_string()), Some(account));
        }
    }

    #[test]
    fn kinds_keep_their_numbers() {
        let numbers: Vec<u8> = Kind::ALL.iter().map(|kind| *kind as u8).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(Kind::from_number(3), Some(Kind::Receive));
        assert_eq!(Account::parse("offline:12"), None);
    }
}
