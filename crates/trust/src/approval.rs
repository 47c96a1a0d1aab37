//! Approvals: a key that the phone's own lock guards says yes to one payment.
//!
//! The key is not this protocol's: a phone keeps it, and releases it after it has authenticated whoever holds the phone by
//! fingerprint, face or code. It signs the 32 bytes of a *challenge*, the digest of everything that makes a payment this one
//! and no other: wallet, place in the journal, request, amount and reference. The journal moves with every payment, so a
//! challenge that was paid for is never computed again, and an approval is good once.
//!
//! The digest begins with a tag of its own, so it cannot stand for anything else that the key might ever be asked to sign,
//! nor anything else for it.

use counterfoil_wire::codec::Enc;
use counterfoil_wire::{Amount, Code, Digest, Error, PublicKey, Reference, Signature};

use crate::crypto::{sha256, verify};

/// Keeps the challenge apart from every other digest.
const TAG: &str = "counterfoil/1 approval";

/// What an approval signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval<'a> {
    /// Key of the wallet that pays.
    pub wallet: PublicKey,
    /// Sequence number of the last entry of its journal.
    pub head_seq: u32,
    /// Identifier of that entry's header.
    pub head: Digest,
    /// The request, as received.
    pub request: &'a [u8],
    /// What is paid: the request's amount, or where it names none, the payer's.
    pub amount: Amount,
    /// The payer's reference.
    pub reference: Reference,
}

impl Approval<'_> {
    /// The challenge: SHA-256 of the deterministic CBOR array of the tag, the wallet's key, number and identifier of the
    /// journal's head, SHA-256 of the request, amount in minor units, and reference.
    pub fn challenge(&self) -> Digest {
        let mut e = Enc::new();
        e.array(7).text(TAG).put(&self.wallet).put(&self.head_seq).put(&self.head);
        e.put(&sha256(self.request)).put(&self.amount).put(&self.reference);
        sha256(&e.finish())
    }

    /// Whether `key` approved this, strictly as [`verify`] reads a signature, over the challenge's 32 bytes.
    ///
    /// # Errors
    /// [`Code::ApprovalWrong`].
    pub fn check(&self, key: &PublicKey, signature: &Signature) -> Result<(), Error> {
        verify(key, &self.challenge().0, signature).map_err(|_| Code::ApprovalWrong.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::SigningKey;
    use counterfoil_wire::Algorithm;
    use std::vec::Vec;

    #[test]
    fn the_challenge_is_of_these_bytes() {
        let approval = Approval {
            wallet: PublicKey::Ed25519([1; 32]),
            head_seq: 24,
            head: Digest([2; 32]),
            request: b"request",
            amount: Amount::new(1000).unwrap(),
            reference: Reference([3; 32]),
        };
        let mut bytes = Vec::from([0x87, 0x76]);
        bytes.extend_from_slice(b"counterfoil/1 approval");
        bytes.extend_from_slice(&[&[0x58, 0x20][..], &[1; 32], &[0x18, 24, 0x58, 0x20], &[2; 32]].concat());
        bytes.extend_from_slice(&[&[0x58, 0x20][..], &sha256(b"request").0, &[0x19, 0x03, 0xe8]].concat());
        bytes.extend_from_slice(&[&[0x58, 0x20][..], &[3; 32]].concat());
        assert_eq!(approval.challenge(), sha256(&bytes));
    }

    #[test]
    fn an_approval_is_for_one_payment_by_one_key() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            let key = SigningKey::from_secret(algorithm, &[9; 32]).unwrap();
            let approval = Approval {
                wallet: PublicKey::Ed25519([1; 32]),
                head_seq: 7,
                head: Digest([2; 32]),
                request: b"request",
                amount: Amount::new(1000).unwrap(),
                reference: Reference([3; 32]),
            };
            let signature = key.sign(&approval.challenge().0, &[0; 32]);
            approval.check(&key.public(), &signature).unwrap();
            let others = [
                Approval { wallet: PublicKey::Ed25519([4; 32]), ..approval.clone() },
                Approval { head_seq: 8, ..approval.clone() },
                Approval { head: Digest([5; 32]), ..approval.clone() },
                Approval { request: b"Request", ..approval.clone() },
                Approval { amount: Amount::new(1001).unwrap(), ..approval.clone() },
                Approval { reference: Reference([6; 32]), ..approval.clone() },
            ];
            for other in others {
                assert_eq!(other.check(&key.public(), &signature).unwrap_err().code, Code::ApprovalWrong);
            }
            let stranger = SigningKey::from_secret(algorithm, &[8; 32]).unwrap().public();
            assert_eq!(approval.check(&stranger, &signature).unwrap_err().code, Code::ApprovalWrong);
            // Not over the challenge but over its digest once more, as a platform that hashes twice would.
            let twice = key.sign(&sha256(&approval.challenge().0).0, &[0; 32]);
            assert!(approval.check(&key.public(), &twice).is_err());
        }
    }
}
