//! The online payment rail, as the operator sees it: accounts at payment service providers, and transfers between them.
//!
//! The operator holds the scheme's *float* on the rail: what customers funded and have not taken out again. The rail
//! keeps its own books, so that an auditor can compare the two. [`SimulatedRail`] stands in for a real one; a connector
//! that speaks ISO 20022 is another [`Rail`].

mod simulated;

use serde::Serialize;

pub use simulated::{SANDBOX_CUSTOMER_OPENING, SANDBOX_LOSS_FUND_OPENING, SimulatedRail, Snapshot};

/// The provider under which the scheme's own accounts stand.
pub const SCHEME: &str = "scheme";

/// An account on the rail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Account {
    /// The payment service provider that keeps it.
    pub psp: String,
    /// Its name there.
    pub account: String,
}

impl Account {
    /// A customer's or merchant's account.
    pub fn new(psp: &str, account: &str) -> Self {
        Self { psp: psp.to_owned(), account: account.to_owned() }
    }

    /// The scheme's float: the online counterpart of everything that is offline.
    pub fn float() -> Self {
        Self::new(SCHEME, "float")
    }

    /// The account named `fund`, by the rules, from which `psp` (or [`SCHEME`]) bears losses.
    pub fn loss_fund(psp: &str, fund: &str) -> Self {
        Self::new(psp, fund)
    }
}

/// A transfer that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// The caller's name for it.
    pub id: String,
    /// Who paid.
    pub from: Account,
    /// Who was paid.
    pub to: Account,
    /// Minor units.
    pub amount: u64,
    /// Whether it had been made before under this id.
    pub again: bool,
}

/// An account and what is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountBalance {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// Minor units that it was opened with.
    pub opened: u64,
    /// Minor units on it now.
    pub balance: u64,
}

/// Why the rail did not do what it was asked. Nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum RailError {
    /// The payer's account does not cover the amount.
    #[error("the account does not cover the amount")]
    InsufficientFunds,
    /// The id names another transfer.
    #[error("this transfer id was used for another transfer")]
    IdReused,
    /// An account was never opened.
    #[error("no such account on the rail")]
    UnknownAccount,
    /// Nothing to move: the amount is zero or too large, or both accounts are one.
    #[error("a transfer moves an amount above zero between two accounts")]
    NotATransfer,
    /// The rail cannot be reached; asking again with the same id is safe.
    #[error("the rail is unavailable: {0}")]
    Unavailable(#[from] rusqlite::Error),
}

/// The online payment rail.
pub trait Rail: Send {
    /// Opens `account` with `opening` minor units if it is not open yet; its balance.
    ///
    /// # Errors
    /// [`RailError::NotATransfer`] for an opening balance out of range, [`RailError::Unavailable`].
    fn open_or_balance(&mut self, account: &Account, opening: u64) -> Result<u64, RailError>;

    /// Moves `amount` minor units, once for each `id`: asked again with the same content it answers what it answered,
    /// with other content it fails. A refusal is not remembered.
    ///
    /// # Errors
    /// Every [`RailError`].
    fn transfer(
        &mut self,
        id: &str,
        from: &Account,
        to: &Account,
        amount: u64,
    ) -> Result<Transfer, RailError>;

    /// Every account, in order of its name.
    ///
    /// # Errors
    /// [`RailError::Unavailable`].
    fn accounts(&self) -> Result<Vec<AccountBalance>, RailError>;
}
