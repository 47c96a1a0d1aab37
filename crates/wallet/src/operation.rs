//! What a holder can ask of a wallet, how it is remembered while it is under way, and what comes of it.

use std::path::PathBuf;

use counterfoil_ta::api::Pin;
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::cert::Name;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Amount, Code, Digest, Error, PublicKey, Reference};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Problem, WalletError};
use crate::home::FORMAT;

/// One thing that a wallet is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// Ask to be paid.
    Request {
        /// The amount; absent where the payer names it.
        #[serde(with = "minor_units")]
        amount: Option<Amount>,
        /// Whether it may be paid any number of times.
        standing: bool,
    },
    /// Pay a request.
    Pay {
        /// The request, as received.
        #[serde(with = "hex::serde")]
        request: Vec<u8>,
        /// The amount, where the request names none.
        #[serde(with = "minor_units")]
        amount: Option<Amount>,
    },
    /// Take a payment, or decline it where the rules refuse it.
    Accept {
        /// The payment, as received.
        #[serde(with = "hex::serde")]
        payment: Vec<u8>,
    },
    /// Decline a payment for good.
    Decline {
        /// The payment, as received.
        #[serde(with = "hex::serde")]
        payment: Vec<u8>,
    },
    /// Take the receipt for a payment sent.
    Confirm {
        /// The receipt, as received.
        #[serde(with = "hex::serde")]
        receipt: Vec<u8>,
    },
    /// Take a declined payment back.
    Reclaim {
        /// The decline, as received.
        #[serde(with = "hex::serde")]
        decline: Vec<u8>,
    },
    /// Give what can be handed on to another device.
    GossipOut {
        /// How many bytes the channel has room for.
        room: u32,
    },
    /// Take what another device hands on.
    GossipIn {
        /// The gossip message, as received.
        #[serde(with = "hex::serde")]
        gossip: Vec<u8>,
    },
    /// Give a payment that was sent, and is still in flight, once more.
    Resend {
        /// Identifier of the payment.
        #[serde(with = "hex::serde")]
        payment: [u8; 32],
    },
    /// Move value from the account behind the wallet into it. Needs the operator.
    Fund {
        /// How much.
        #[serde(with = "minor_unit")]
        amount: Amount,
    },
    /// Move value from the wallet to the account behind it. Needs the operator.
    Defund {
        /// How much.
        #[serde(with = "minor_unit")]
        amount: Amount,
    },
    /// Join a scheme. Needs the operator.
    Enrol {},
}

impl Operation {
    /// The operation on the message alone, and the gossip that came along with it, if the message was a
    /// [`Bundle`].
    pub(crate) fn unbundled(mut self) -> (Self, Option<Vec<u8>>) {
        let message = match &mut self {
            Self::Pay { request: message, .. }
            | Self::Accept { payment: message }
            | Self::Decline { payment: message }
            | Self::Confirm { receipt: message }
            | Self::Reclaim { decline: message } => message,
            // Asked for by name, it is what the operation is about.
            Self::GossipIn { gossip } => {
                if let (_, Some(rider)) = Bundle::split(gossip.clone()) {
                    *gossip = rider;
                }
                return (self, None);
            }
            _ => return (self, None),
        };
        let (alone, rider) = Bundle::split(std::mem::take(message));
        *message = alone;
        (self, rider)
    }

    /// Whether the operator takes part.
    pub const fn is_online(&self) -> bool {
        matches!(self, Self::Fund { .. } | Self::Defund { .. } | Self::Enrol {})
    }

    /// Whether it is remembered until its result has been shown. Handing things on moves no money, and can be repeated.
    pub(crate) const fn is_remembered(&self) -> bool {
        !matches!(self, Self::GossipOut { .. } | Self::GossipIn { .. } | Self::Resend { .. })
    }
}

/// An operation as the caller orders it.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is to be done.
    pub operation: Operation,
    /// Names the operation: the same reference is the same operation, however often it is ordered. Without one a random
    /// reference is taken, and only an interrupted operation is recognised again.
    pub reference: Option<Reference>,
    /// Where the message that comes of it is written.
    pub out: Option<PathBuf>,
    /// The PIN, where it is needed. It is never stored.
    pub pin: Option<Pin>,
}

impl Order {
    /// An order without reference, file or PIN.
    pub fn new(operation: Operation) -> Self {
        Self { operation, reference: None, out: None, pin: None }
    }
}

/// The reference that a caller's own text stands for.
pub fn reference_of(text: &str) -> Reference {
    Reference(counterfoil_trust::sha256(text.as_bytes()).0)
}

/// An operation under way, as it stands in the home. It holds no PIN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) format: u32,
    pub(crate) operation: Operation,
    #[serde(with = "hex::serde")]
    pub(crate) reference: [u8; 32],
    pub(crate) reference_given: bool,
    pub(crate) out: Option<PathBuf>,
}

impl Pending {
    pub(crate) fn of(order: &Order) -> Result<Self, WalletError> {
        let reference = match order.reference {
            Some(reference) => reference.0,
            None => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(WalletError::Random)?;
                random
            }
        };
        // Another command may start in another folder.
        let out = match &order.out {
            Some(out) => Some(std::path::absolute(out).map_err(|source| WalletError::Home {
                action: "find",
                path: out.clone(),
                source,
            })?),
            None => None,
        };
        let operation = order.operation.clone();
        Ok(Self { format: FORMAT, operation, reference, reference_given: order.reference.is_some(), out })
    }

    pub(crate) const fn reference(&self) -> Reference {
        Reference(self.reference)
    }

    /// Whether `ordered` is this very operation, asked for again after an interruption. Where its message goes does not
    /// count: whoever could not write it to one place tries another, and must not pay for that.
    pub(crate) fn is_asked_again_by(&self, ordered: &Self) -> bool {
        let same_name = match (self.reference_given, ordered.reference_given) {
            (true, true) => self.reference == ordered.reference,
            (false, false) => true,
            _ => false,
        };
        same_name && self.operation == ordered.operation
    }
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The request is made.
    Requested(Requested),
    /// The payment is debited and on its way.
    Paid(Paid),
    /// The payment is taken and final.
    Accepted(Accepted),
    /// The payment is declined for good.
    Declined(Declined),
    /// A payment sent has arrived.
    Confirmed(Resolved),
    /// A payment sent came back.
    Reclaimed(Resolved),
    /// What can be handed on.
    Gossip(Vec<u8>),
    /// What was handed on.
    Learnt(Learnt),
    /// The fund order is decided.
    Funded(Funded),
    /// The value has left for the account.
    Defunded(Defunded),
    /// The wallet is enrolled.
    Enrolled(Enrolled),
}

impl Outcome {
    /// The message for the other side, where there is one.
    pub fn message(&self) -> Option<&[u8]> {
        match self {
            Self::Requested(requested) => Some(&requested.request),
            Self::Paid(paid) => Some(&paid.payment),
            Self::Accepted(accepted) => Some(&accepted.receipt),
            Self::Declined(declined) => Some(&declined.decline),
            Self::Gossip(gossip) => Some(gossip),
            _ => None,
        }
    }
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// The amount asked for.
    pub amount: Option<Amount>,
    /// Whether it may be paid any number of times.
    pub standing: bool,
    /// Number of the request.
    pub number: u32,
    /// Seconds since 1970 after which it is no longer expected to be paid; 0 is never.
    pub expiry_s: u32,
    /// The request, for the payer.
    pub request: Vec<u8>,
    /// Whether it was made before.
    pub again: bool,
}

/// A payment that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// What was paid.
    pub amount: Amount,
    /// Identifier of the payment.
    pub id: Digest,
    /// The payee's key.
    pub payee: PublicKey,
    /// The payee's certified display name; empty for a person.
    pub payee_name: Name,
    /// The payment, for the payee.
    pub payment: Vec<u8>,
    /// Whether it was sent before; nothing is debited twice.
    pub again: bool,
}

/// A payment that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What was credited.
    pub amount: Amount,
    /// The receipt, for the payer.
    pub receipt: Vec<u8>,
    /// Whether it was taken before; nothing is credited twice.
    pub again: bool,
}

/// A payment that was declined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// What would have been credited.
    pub amount: Amount,
    /// Why.
    pub reason: Code,
    /// The decline, for the payer.
    pub decline: Vec<u8>,
    /// Whether it was declined before.
    pub again: bool,
}

/// A payment sent that has come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Identifier of the payment.
    pub payment: Digest,
    /// Its amount.
    pub amount: Amount,
    /// Whether it had come to rest before.
    pub again: bool,
}

/// What gossip brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learnt {
    /// Number of the revocation list now held.
    pub revocation_no: u32,
    /// Whether that list is new.
    pub revocation_new: bool,
    /// Keys newly proven to cheat.
    pub cheats: Vec<PublicKey>,
}

/// A fund order that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Funded {
    /// What was ordered.
    pub amount: Amount,
    /// Why it was refused; `None` if it was granted.
    pub refusal: Option<Problem>,
    /// Whether the order was made before.
    pub again: bool,
    /// The sync that followed.
    pub sync: SyncReport,
}

/// A defunding that was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defunded {
    /// What left the wallet.
    pub amount: Amount,
    /// Whether it had left before.
    pub again: bool,
    /// The sync that followed.
    pub sync: SyncReport,
}

/// A wallet that joined a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Name of the scheme.
    pub scheme: Name,
    /// Fingerprint of its root.
    pub root_fingerprint: String,
    /// Whether the root was taken from the operator itself, on first use, for lack of one that the holder gave.
    pub root_on_first_use: bool,
    /// Whether the wallet has a PIN.
    pub has_pin: bool,
    /// The wallet whose stale copy this one took the place of, if it did.
    pub replaced: Option<Replaced>,
}

/// A wallet whose stale copy was replaced. What it had not spent is what the operator says; its PSP closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its key, in hex: what the PSP is told.
    pub key: String,
}

/// What one sync, of one round or more, brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// Exchanges with the operator.
    pub rounds: u8,
    /// Funding that arrived.
    pub funded: Amount,
    /// Payments that came back.
    pub refunded: Vec<Digest>,
    /// Payments that turned out to have arrived.
    pub confirmed: Vec<Digest>,
    /// Defundings that could not be paid out and came back.
    pub returned: Amount,
    /// Value paid out to a terminal's account.
    pub paid_out: Amount,
    /// Whether the wallet may go on.
    pub standing: Standing,
}

/// What came of an order, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What was ordered.
    pub operation: Operation,
    /// What came of it.
    pub outcome: Outcome,
    /// Where the message was written.
    pub out: Option<PathBuf>,
    /// Whether this finished the same operation, which had been interrupted. No second one was begun.
    pub resumed: bool,
}

/// An interrupted operation that was brought to its end before another one began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// What had been asked for.
    pub operation: Operation,
    /// Where its message was written: where it was asked to be, or in the home if that could no longer be.
    pub out: Option<PathBuf>,
    /// What came of it; an error if it had not happened, and could not.
    pub result: Result<Outcome, Error>,
}

mod minor_unit {
    use super::*;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
        amount.minor().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        Amount::new(u64::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("amount out of bounds"))
    }
}

mod minor_units {
    use super::*;

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        amount: &Option<Amount>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        amount.map(Amount::minor).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Amount>, D::Error> {
        let bounded =
            |minor| Amount::new(minor).ok_or_else(|| serde::de::Error::custom("amount out of bounds"));
        Option::<u64>::deserialize(deserializer)?.map(bounded).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pay(amount: u64) -> Order {
        Order {
            out: Some("p.png".into()),
            pin: Some(Pin(zeroize::Zeroizing::new("7391".to_owned()))),
            ..Order::new(Operation::Pay { request: vec![1, 2], amount: Amount::new(amount) })
        }
    }

    #[test]
    fn a_pending_operation_survives_its_file_and_holds_no_pin() {
        let pending = Pending::of(&pay(1230)).unwrap();
        let text = serde_json::to_string(&pending).unwrap();
        assert!(!text.contains("7391") && text.contains("1230"));
        assert_eq!(serde_json::from_str::<Pending>(&text).unwrap(), pending);
        assert!(pending.out.as_ref().unwrap().is_absolute());
    }

    #[test]
    fn only_the_same_order_is_the_same_operation() {
        let first = Pending::of(&pay(5)).unwrap();
        assert!(first.is_asked_again_by(&Pending::of(&pay(5)).unwrap()));
        assert!(!first.is_asked_again_by(&Pending::of(&pay(6)).unwrap()));
        let named = |text| Pending::of(&Order { reference: Some(reference_of(text)), ..pay(5) }).unwrap();
        assert!(!first.is_asked_again_by(&named("a")) && !named("a").is_asked_again_by(&first));
        assert!(named("a").is_asked_again_by(&named("a")) && !named("a").is_asked_again_by(&named("b")));
        let elsewhere = Order { out: Some("q.png".into()), ..pay(5) };
        assert!(
            first.is_asked_again_by(&Pending::of(&elsewhere).unwrap()),
            "a retry with another file pays once"
        );
    }
}
