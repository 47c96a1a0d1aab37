//! The door of the trusted application: commands in, responses out, both as canonical CBOR.
//!
//! A command is `[number, fields...]`; a response is `[0, reply]` or `[1, error number]`.

use alloc::string::String;
use alloc::vec::Vec;

use counterfoil_wire::cert::{Grade, Name, RootCert, WalletCert};
use counterfoil_wire::codec::{Dec, Enc};
use counterfoil_wire::element::{ElementStatement, Tamper};
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{
    Algorithm, Amount, Bytes, Code, Digest, Error, PublicKey, Reference, Signature, Wire, code_enum, record,
};

macro_rules! tagged {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$vmeta:meta])* $variant:ident = $num:literal { $($(#[$fmeta:meta])* $field:ident: $ty:ty,)* },)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant, reason = "one value a command, never kept")]
        pub enum $name { $($(#[$vmeta])* $variant { $($(#[$fmeta])* $field: $ty,)* },)+ }
        impl Wire for $name {
            fn encode(&self, e: &mut Enc) {
                match self {
                    $(Self::$variant { $($field,)* } => {
                        e.array(["", $(stringify!($field),)*].len() as u64).uint($num);
                        $(e.put($field);)*
                    })+
                }
            }
            fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
                let len = d.array_head()?;
                match d.uint()? {
                    $($num => {
                        if len != ["", $(stringify!($field),)*].len() as u64 {
                            return Err(Code::UnknownCommand.into());
                        }
                        Ok(Self::$variant { $($field: d.get()?,)* })
                    })+
                    _ => Err(Code::UnknownCommand.into()),
                }
            }
        }
    };
}

/// A PIN on its way into the application. Its digits are wiped when it is dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(pub zeroize::Zeroizing<String>);

impl core::fmt::Debug for Pin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pin(..)")
    }
}

impl Wire for Pin {
    fn encode(&self, e: &mut Enc) {
        e.text(&self.0);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Ok(Self(zeroize::Zeroizing::new(String::from(d.text()?))))
    }
}

tagged! {
    /// What the host may ask.
    pub enum Command {
        /// Makes a key and asks for its first certificate. Asked again before it is settled, gives the same bytes.
        Enrol = 1 {
            /// `true` for ES256, `false` for EdDSA.
            es256: bool,
            /// The grade that the host attests.
            grade: Grade,
            /// Display name; empty for a person.
            name: Name,
            /// The PIN, if one is wanted.
            pin: Option<Pin>,
            /// The scheme's root, from a path that the holder trusts.
            root: RootCert,
            /// What the key is enrolled for: [`counterfoil_trust::enrolment_binding`].
            binding: Digest,
            /// What the key runs in, as the host measured it.
            element: ElementStatement,
        },
        /// Asks to be paid.
        Request = 2 {
            /// The amount; absent where the payer names it.
            amount: Option<Amount>,
            /// Whether it may be paid any number of times.
            standing: bool,
            /// Names the operation: the same reference gives the same bytes.
            reference: Reference,
        },
        /// Pays a request.
        Pay = 3 {
            /// The request, as received.
            request: Bytes,
            /// The amount, where the request names none.
            amount: Option<Amount>,
            /// The PIN, where the rules ask for it.
            pin: Option<Pin>,
            /// Names the operation: the same reference gives the same bytes.
            reference: Reference,
            /// The bound key's signature over the challenge of this payment, in the place of the PIN.
            approval: Option<Signature>,
        },
        /// Takes a payment, or declines it where the rules refuse it.
        Accept = 4 {
            /// The payment, as received.
            payment: Bytes,
        },
        /// Declines a payment for good.
        Decline = 5 {
            /// The payment, as received.
            payment: Bytes,
        },
        /// Takes the receipt for a payment sent.
        Confirm = 6 {
            /// The receipt, as received.
            receipt: Bytes,
        },
        /// Takes a declined payment back.
        Reclaim = 7 {
            /// The decline, as received.
            decline: Bytes,
        },
        /// What this wallet can hand on to another device.
        GossipOut = 8 {
            /// How many bytes the channel has room for.
            room: u32,
        },
        /// What another device handed on.
        GossipIn = 9 {
            /// The gossip message, as received.
            gossip: Bytes,
        },
        /// Orders funding. Asked again before it is decided, gives the same bytes.
        FundOrder = 10 {
            /// How much.
            amount: Amount,
            /// Names the operation.
            reference: Reference,
        },
        /// Debits value that leaves for the account behind the wallet at the next sync.
        Defund = 11 {
            /// How much.
            amount: Amount,
            /// The PIN, where one is set.
            pin: Option<Pin>,
            /// Names the operation.
            reference: Reference,
        },
        /// Accounts for everything since the last settlement. Asked again before it is settled, gives the same bytes.
        Statement = 12 {},
        /// Applies a settlement. Applied before, changes nothing.
        Settle = 13 {
            /// The settlement, as received.
            settlement: Bytes,
        },
        /// What the holder may see.
        Show = 14 {},
        /// A payment sent and still in flight, once more: the same bytes.
        Resend = 15 {
            /// Identifier of the payment.
            payment: Digest,
        },
        /// What is worth telling beside another message, as gossip; it may be empty. No headers, which nobody should hand
        /// out unasked; of proofs those that say more than the revocation list held, about keys whose certificate in
        /// the proof has not ended.
        Rider = 16 {
            /// How many bytes the channel has left.
            room: u32,
            /// Only a revocation list with a higher number, that revokes somebody, is told.
            revocation_after: u32,
            /// Only a trust list with a higher number is told.
            trust_after: u32,
        },
        /// Tampering was found: the wallet deactivates itself until a settlement answers a statement that told it. The
        /// first reason is kept. The host's word.
        ReportTamper = 17 {
            /// What was found.
            tamper: Tamper,
        },
        /// Binds a key that the phone's own lock guards, in the place of the one bound before.
        BindPlatform = 18 {
            /// The key; none to bind none any more.
            key: Option<PublicKey>,
            /// The PIN: only who knows it says what stands for it.
            pin: Option<Pin>,
        },
        /// Asks what the bound key is to sign for a payment. Good for this payment only, and only until the journal moves.
        PlatformChallenge = 19 {
            /// The request, as received.
            request: Bytes,
            /// The amount, where the request names none.
            amount: Option<Amount>,
            /// Names the payment.
            reference: Reference,
        },
    }
}

tagged! {
    /// What the application answers.
    pub enum Reply {
        /// A message for the other side: enrolment, request, payment, fund order, statement or gossip.
        Message = 1 {
            /// The message.
            message: Bytes,
            /// Whether this answers an operation that was done before.
            again: bool,
        },
        /// The payment is taken and final.
        Accepted = 2 {
            /// The receipt.
            receipt: Bytes,
            /// What was credited.
            amount: Amount,
            /// Whether it was taken before.
            again: bool,
        },
        /// The payment is declined for good.
        Declined = 3 {
            /// The decline.
            decline: Bytes,
            /// What would have been credited.
            amount: Amount,
            /// Why, as an error number.
            reason: u16,
            /// Whether it was declined before.
            again: bool,
        },
        /// A payment sent has come to rest: confirmed or reclaimed.
        Resolved = 4 {
            /// The payment.
            payment: Digest,
            /// Its amount.
            amount: Amount,
            /// Whether it had come to rest before.
            again: bool,
        },
        /// What gossip brought.
        Learnt = 5 {
            /// Number of the revocation list now held.
            revocation_no: u32,
            /// Whether that list is new.
            revocation_new: bool,
            /// Keys newly proven to cheat, by proofs handed on or found among headers.
            cheats: Vec<PublicKey>,
        },
        /// The value is debited and leaves at the next sync.
        Defunding = 6 {
            /// Its place in the journal.
            seq: u32,
            /// How much.
            amount: Amount,
            /// Whether this answers an operation that was done before.
            again: bool,
        },
        /// A settlement is applied.
        Settled = 7 {
            /// Funding that it added.
            funded: Amount,
            /// Payments that came back, as decided by the operator.
            refunded: Vec<Digest>,
            /// Payments that it confirmed.
            confirmed: Vec<Digest>,
            /// Defundings that came back.
            returned: Amount,
            /// Value paid out to a terminal's account.
            paid_out: Amount,
            /// Whether the wallet may go on.
            standing: Standing,
            /// Whether it was applied before.
            again: bool,
        },
        /// What the holder may see.
        Overview = 8 {
            /// The overview.
            overview: Overview,
        },
        /// What the bound key is to sign.
        Challenge = 9 {
            /// [`counterfoil_trust::Approval::challenge`]: its 32 bytes are signed.
            challenge: Digest,
        },
        /// The wallet is deactivated.
        Deactivated = 10 {
            /// Why: the first reason reported.
            tamper: Tamper,
            /// Whether it had been before.
            again: bool,
        },
        /// A key of the phone's own lock is bound, or none any more.
        PlatformBound = 11 {
            /// The key.
            key: Option<PublicKey>,
        },
    }
}

code_enum! {
    /// Where a payment stands in this wallet.
    pub enum PaymentState {
        /// Sent: debited here, no word from the payee yet.
        Sent = 1,
        /// Sent, and a receipt or the operator says that the payee has it.
        Confirmed = 2,
        /// Sent, and only the operator can say what became of it. Never pay again for it without a decline.
        Unresolved = 3,
        /// Sent, declined, and taken back.
        Reclaimed = 4,
        /// Sent, and given back by the operator.
        Refunded = 5,
        /// Received and final.
        Accepted = 6,
        /// Received and declined for good.
        Declined = 7,
    }
}

impl PaymentState {
    /// The word for tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Unresolved => "unresolved",
            Self::Reclaimed => "reclaimed",
            Self::Refunded => "refunded",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
        }
    }

    /// Whether a payment sent is back with its payer, and can never be taken.
    pub const fn came_back(self) -> bool {
        matches!(self, Self::Reclaimed | Self::Refunded)
    }

    /// Whether value is on its way: debited at the payer, not yet known to rest anywhere.
    pub const fn in_flight(self) -> bool {
        matches!(self, Self::Sent | Self::Unresolved)
    }
}

record! {
    /// One payment as this wallet knows it. Settled and resolved ones leave the wallet at a sync.
    pub struct PaymentRow {
        /// Identifier of the payment.
        pub id: Digest,
        /// What was paid.
        pub amount: Amount,
        /// Where it stands.
        pub state: PaymentState,
        /// The other side's key.
        pub peer: PublicKey,
        /// The other side's display name.
        pub peer_name: Name,
        /// Sequence number in the payer's journal.
        pub seq: u32,
    }
}

record! {
    /// A request that may still be paid.
    pub struct RequestRow {
        /// Number of the request.
        pub number: u32,
        /// The amount asked for.
        pub amount: Option<Amount>,
        /// Seconds since 1970 after which it is closed; 0 is never.
        pub expiry_s: u32,
    }
}

record! {
    /// What the holder may see of a wallet.
    pub struct Overview {
        /// The wallet's key.
        pub key: PublicKey,
        /// The scheme's root.
        pub root: RootCert,
        /// The certificate; absent until the enrolment is settled.
        pub cert: Option<WalletCert>,
        /// Grade that the host attests.
        pub grade: Grade,
        /// Balance from funding and settled receipts.
        pub funded: Amount,
        /// Balance from receipts not settled yet.
        pub received: Amount,
        /// What could be paid now, as far as the respending share allows.
        pub spendable: Amount,
        /// Gross total ever paid, from its random start.
        pub spent: Amount,
        /// Cumulative funding applied.
        pub funding_total: Amount,
        /// Fund order that is still open.
        pub order: Option<Amount>,
        /// Defundings not yet settled.
        pub defunding: Amount,
        /// Lower bound of time, seconds since 1970.
        pub time_bound_s: u32,
        /// The operator's time at the last settlement.
        pub synced_at_s: u32,
        /// Total of payments since the last sync.
        pub sync_total: Amount,
        /// Count of payments since the last sync.
        pub sync_count: u32,
        /// Count of receipts since the last sync.
        pub receipts_count: u32,
        /// PIN tries left; absent where no PIN is set.
        pub pin_tries: Option<u8>,
        /// Number of the rules held.
        pub rules_no: u32,
        /// Number of the trust list held.
        pub trust_no: u32,
        /// Number of the revocation list held.
        pub revocation_no: u32,
        /// Whether the wallet may go on.
        pub standing: Standing,
        /// Why the wallet has deactivated itself, if it has.
        pub tamper: Option<Tamper>,
        /// The key of the phone's own lock that is bound, if one is.
        pub platform: Option<PublicKey>,
        /// Whether a statement waits for its settlement.
        pub statement_pending: bool,
        /// Journal entries since the last settlement.
        pub journal_len: u32,
        /// Payments that the wallet holds.
        pub payments: Vec<PaymentRow>,
        /// Requests that may still be paid.
        pub requests: Vec<RequestRow>,
        /// Keys proven to cheat.
        pub cheats: Vec<PublicKey>,
    }
}

/// A response: a reply, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response(pub Result<Reply, Error>);

impl Wire for Response {
    fn encode(&self, e: &mut Enc) {
        e.array(2);
        match &self.0 {
            Ok(reply) => e.uint(0).put(reply),
            Err(error) => e.uint(1).put(&error.code.number()),
        };
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        d.array(2)?;
        match d.uint()? {
            0 => Ok(Self(Ok(d.get()?))),
            1 => {
                Code::from_number(d.get()?).map(|code| Self(Err(code.into()))).ok_or(Code::NotAMessage.into())
            }
            _ => Err(Code::NotAMessage.into()),
        }
    }
}

/// The algorithm that `es256` stands for.
pub const fn algorithm(es256: bool) -> Algorithm {
    if es256 { Algorithm::Es256 } else { Algorithm::EdDsa }
}
