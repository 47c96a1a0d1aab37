//! What a wallet and the operator say to each other: enrolment, fund orders, statements and settlements. Field order is
//! wire order.

use alloc::vec::Vec;

use crate::amount::Amount;
use crate::cert::{Grade, Name, RootCert, WalletCert};
use crate::codec::{Bytes, Dec, Enc, Wire};
use crate::element::{ElementStatement, Tamper};
use crate::error::{Code, Error};
use crate::header::Purpose;
use crate::ids::{Digest, Nonce, PublicKey, Reference};
use crate::message::{Body, HeaderParts};
use crate::{code_enum, record};

record! {
    /// A new key asks for its first certificate, for one account; the signature proves possession.
    pub struct Enrolment {
        /// Fresh; the settlement that answers names it.
        pub nonce: Nonce,
        /// The grade that the host attests.
        pub grade: Grade,
        /// Display name asked for; empty for a person.
        pub name: Name,
        /// What the key is enrolled for: SHA-256 of `[PSP, account, activation code or null]`. Under another PSP, account
        /// or code the enrolment is worth nothing.
        pub binding: Digest,
        /// What the key runs in.
        pub element: ElementStatement,
    }
}

impl Body for Enrolment {
    const PURPOSE: Purpose = Purpose::Enrolment;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts::outside(0)
    }
}

record! {
    /// A wallet orders value from the account behind it. The number makes it one operation however often it arrives.
    pub struct FundOrder {
        /// Number under the wallet's key, from 1.
        pub number: u32,
        /// How much.
        pub amount: Amount,
        /// The caller's reference.
        pub reference: Reference,
    }
}

impl Body for FundOrder {
    const PURPOSE: Purpose = Purpose::FundOrder;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts::outside(self.number)
    }
}

/// One journal entry as a statement carries it. Sequence number and `prev` follow from its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A payment sent: its envelope, encoded.
    Payment {
        /// The whole payment.
        payment: Bytes,
    },
    /// A payment taken.
    Receipt {
        /// The whole payment, as it was received.
        payment: Bytes,
    },
    /// A payment that will never be taken.
    Decline {
        /// The whole payment, as it was received.
        payment: Bytes,
        /// Why, as an error number.
        reason: u16,
    },
    /// A declined payment that came back.
    Reclaim {
        /// Identifier of the payment.
        payment: Digest,
        /// The whole decline.
        decline: Bytes,
    },
    /// An earlier statement that no settlement answered yet.
    Statement {
        /// The digest in its header.
        digest: Digest,
    },
    /// A settlement that was applied.
    Settled {
        /// Identifier of the settlement.
        settlement: Digest,
        /// Funding that it added.
        funded: Amount,
        /// Payments that it refunded.
        refunded: Vec<Digest>,
        /// Sequence numbers of defundings that it returned.
        returned: Vec<u32>,
    },
    /// Value that leaves for the account behind the wallet.
    Defund {
        /// How much.
        amount: Amount,
        /// The caller's reference.
        reference: Reference,
    },
}

impl Entry {
    /// The purpose of the entry's header.
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Payment { .. } => Purpose::Payment,
            Self::Receipt { .. } => Purpose::Receipt,
            Self::Decline { .. } => Purpose::Decline,
            Self::Reclaim { .. } => Purpose::Reclaim,
            Self::Statement { .. } => Purpose::Statement,
            Self::Settled { .. } => Purpose::Settled,
            Self::Defund { .. } => Purpose::Defund,
        }
    }
}

/// Entries of a journal between two settlements, and so in one statement. With the longest payment in each, and a receipt
/// for it, a statement of all of them is still an object of legal length.
pub const ENTRIES_MAX: u32 = 8192;

impl Wire for Entry {
    const COUNT_MAX: usize = ENTRIES_MAX as usize;

    fn encode(&self, e: &mut Enc) {
        let len = match self {
            Self::Payment { .. } | Self::Receipt { .. } | Self::Statement { .. } => 2,
            Self::Decline { .. } | Self::Reclaim { .. } | Self::Defund { .. } => 3,
            Self::Settled { .. } => 5,
        };
        e.array(len).put(&self.purpose());
        match self {
            Self::Payment { payment } | Self::Receipt { payment } => e.put(payment),
            Self::Decline { payment, reason } => e.put(payment).put(reason),
            Self::Reclaim { payment, decline } => e.put(payment).put(decline),
            Self::Statement { digest } => e.put(digest),
            Self::Settled { settlement, funded, refunded, returned } => {
                e.put(settlement).put(funded).put(refunded).put(returned)
            }
            Self::Defund { amount, reference } => e.put(amount).put(reference),
        };
    }

    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        let len = d.array_head()?;
        let entry = match (d.get::<Purpose>()?, len) {
            (Purpose::Payment, 2) => Self::Payment { payment: d.get()? },
            (Purpose::Receipt, 2) => Self::Receipt { payment: d.get()? },
            (Purpose::Decline, 3) => Self::Decline { payment: d.get()?, reason: d.get()? },
            (Purpose::Reclaim, 3) => Self::Reclaim { payment: d.get()?, decline: d.get()? },
            (Purpose::Statement, 2) => Self::Statement { digest: d.get()? },
            (Purpose::Settled, 5) => Self::Settled {
                settlement: d.get()?,
                funded: d.get()?,
                refunded: d.get()?,
                returned: d.get()?,
            },
            (Purpose::Defund, 3) => Self::Defund { amount: d.get()?, reference: d.get()? },
            _ => return Err(Code::NotAMessage.into()),
        };
        Ok(entry)
    }
}

record! {
    /// A wallet accounts for itself. The signature is the journal's entry `seq`.
    pub struct Statement {
        /// Sequence number of the statement's own entry.
        pub seq: u32,
        /// SHA-256 of the header before it.
        pub prev: Digest,
        /// Last sequence number that a settlement acknowledged; the entries start after it.
        pub after_seq: u32,
        /// SHA-256 of the header with that number.
        pub after_prev: Digest,
        /// The journal from `after_seq + 1` to `seq - 1`.
        pub entries: Vec<Entry>,
        /// Receipts held for payments that are not settled yet, as encoded envelopes.
        pub receipts: Vec<Bytes>,
        /// Portable proofs held, encoded.
        pub proofs: Vec<Bytes>,
        /// Balance from funding and settled receipts.
        pub funded: Amount,
        /// Balance from receipts not settled yet.
        pub received: Amount,
        /// Gross total ever paid.
        pub spent: Amount,
        /// Cumulative funding applied.
        pub funding_total: Amount,
        /// No payment for a request with a lower number will be accepted any more, except standing requests.
        pub closed_below: u32,
        /// No payment whose payer's certificate ended before this time will ever be accepted or declined.
        pub closed_before_s: u32,
        /// Number of the rules held.
        pub rules_no: u32,
        /// Number of the trust list held.
        pub trust_no: u32,
        /// Number of the revocation list held.
        pub revocation_no: u32,
        /// Whether three wrong PINs have blocked the wallet.
        pub pin_blocked: bool,
        /// Why the wallet has deactivated itself, if it has. The settlement that answers makes it active again.
        pub tamper: Option<Tamper>,
        /// Fresh; the settlement that answers names it.
        pub nonce: Nonce,
    }
}

impl Body for Statement {
    const PURPOSE: Purpose = Purpose::Statement;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts { prev: self.prev, ..HeaderParts::outside(self.seq) }
    }
}

code_enum! {
    /// What the operator decided about a payment that the wallet sent.
    pub enum Outcome {
        /// The payee's half arrived: the payment is final.
        Confirmed = 1,
        /// The payee never took it and never will: it comes back.
        Refunded = 2,
    }
}

record! {
    /// The operator's word on one payment.
    pub struct Resolution {
        /// Identifier of the payment.
        pub payment: Digest,
        /// What became of it.
        pub outcome: Outcome,
    }
}

code_enum! {
    /// Whether a wallet may go on.
    pub enum Standing {
        /// It may.
        Good = 1,
        /// It misbehaved, or its owner closed it: it may only be defunded by the operator.
        Suspended = 2,
    }
}

record! {
    /// The operator answers an enrolment or a statement.
    pub struct Settlement {
        /// The wallet's key.
        pub wallet: PublicKey,
        /// The nonce that is answered.
        pub nonce: Nonce,
        /// The statement's sequence number; entries up to it are settled. 0 answers an enrolment.
        pub acked_seq: u32,
        /// SHA-256 of the statement's header; [`Digest::NONE`] for an enrolment.
        pub acked: Digest,
        /// The operator's time, seconds since 1970.
        pub time_s: u32,
        /// All funding ever granted to this key.
        pub funding_total: Amount,
        /// Highest number of a fund order that was decided, whether granted or refused.
        pub order_no: u32,
        /// Start of `spent`, in the settlement that answers an enrolment.
        pub spent_start: Option<Amount>,
        /// Decisions about payments sent.
        pub resolutions: Vec<Resolution>,
        /// Sequence numbers of defundings that could not be paid out.
        pub returned: Vec<u32>,
        /// Part of the received balance that was paid out to a terminal's account.
        pub paid_out: Amount,
        /// Whether the wallet may go on.
        pub standing: Standing,
        /// What a suspended wallet's balance truly is; the rest was never its own.
        pub balance: Option<Amount>,
        /// Whether the PSP unblocked the PIN after it authenticated the customer.
        pub pin_unblocked: bool,
        /// A renewed certificate.
        pub cert: Option<WalletCert>,
        /// The scheme's root, in the settlement that answers an enrolment.
        pub root: Option<RootCert>,
        /// Newest trust list, an encoded envelope.
        pub trust: Option<Bytes>,
        /// Newest rules, an encoded envelope.
        pub rules: Option<Bytes>,
        /// Newest revocation list or a delta to it, an encoded envelope.
        pub revocation: Option<Bytes>,
    }
}

impl Body for Settlement {
    const PURPOSE: Purpose = Purpose::Settlement;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts::outside(self.acked_seq)
    }
}
