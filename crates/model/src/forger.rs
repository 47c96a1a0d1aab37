//! A wallet whose key has left its element: it signs what it likes, in the name of a genuine certificate.

use counterfoil_trust::{SigningKey, key_id, open, seal};
use counterfoil_wire::cert::{Grade, Name, WalletCert};
use counterfoil_wire::header::{Purpose, Signer};
use counterfoil_wire::message::{Decline, Payment, Receipt, Request, STANDING_FIRST};
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Digest, KeyId, Wire};

use crate::book::{Book, Operator};
use crate::world::Packet;

const HEDGE: [u8; 32] = [9; 32];

/// Places in its journal that a forger fills, each as often as it likes.
const SEQS: [u32; 2] = [1, 2];

/// An extracted key.
pub struct Forger {
    key: SigningKey,
    cert: WalletCert,
    /// Its gross total when it was certified.
    spent: Amount,
    request: Packet,
}

impl Forger {
    /// A key with a certificate, and nothing on it.
    pub fn enrol(operator: &Operator, book: &mut Book, seat: u8, grade: Grade) -> Self {
        let key = SigningKey::from_secret(Algorithm::EdDsa, &[0x40 + seat; 32]).expect("any 32 bytes");
        let account = format!("account-{seat}");
        let now_s = crate::scheme::START_S;
        let (cert, spent) = operator.admit(book, key.public(), grade, Name::default(), &account, now_s);
        let request = Request {
            number: STANDING_FIRST,
            nonce: None,
            amount: None,
            expiry_s: 0,
            revocation_no: 0,
            trust_no: 1,
        };
        let scheme = &operator.scheme.anchors.scheme;
        let (envelope, _) = seal(scheme, &key, &HEDGE, &request, Signer::Cert(cert.clone()), None);
        let bytes = Bytes(envelope.to_bytes());
        let request = Packet { to: seat, from: seat, purpose: Purpose::Request, bytes };
        Self { key, cert, spent, request }
    }

    /// Its key's name.
    pub fn id(&self) -> KeyId {
        key_id(&self.key.public())
    }

    /// Its standing request.
    pub fn request(&self) -> Packet {
        self.request.clone()
    }

    /// How far its certificate lets its gross total go.
    pub fn room(&self) -> u64 {
        self.cert.ceiling.minus_or_zero(self.spent).minor()
    }

    /// Payments for a request: in each place of the journal, with a gross total that it never was, the one that it should be, one payment further,
    /// at the ceiling, and above it.
    pub fn payments(&self, scheme: &KeyId, place: u8, request: &Packet) -> Vec<Packet> {
        let opened = open::<Request>(&request.bytes.0).expect("a request");
        let Signer::Cert(payee) = &opened.envelope.signer else { panic!("a request shows a certificate") };
        let amount = opened.body.amount.unwrap_or(Amount::new(100).expect("a small amount"));
        let more = |base: Amount| base.plus(amount).expect("small amounts");
        // The first is below where the key's gross total began.
        let totals =
            [amount, more(self.spent), more(more(self.spent)), self.cert.ceiling, more(self.cert.ceiling)];
        let mut packets = Vec::new();
        for seq in SEQS {
            for spent in totals {
                let body = Payment {
                    request: opened.id(scheme),
                    request_no: opened.body.number,
                    payee: payee.key,
                    amount,
                    spent,
                    seq,
                    prev: Digest::NONE,
                };
                let signer = Signer::Cert(self.cert.clone());
                let (envelope, _) = seal(scheme, &self.key, &HEDGE, &body, signer, None);
                packets.push(packet(request.to, place, Purpose::Payment, envelope.to_bytes()));
            }
        }
        packets
    }

    /// A receipt and a decline for one payment.
    pub fn answers(&self, scheme: &KeyId, place: u8, payer: u8, payment: Digest) -> Vec<Packet> {
        let signer = || Signer::Key(self.key.public());
        let receipt = Receipt { payment, seq: 1, prev: Digest::NONE };
        let reason = Code::HolderRefused.number();
        let decline = Decline { payment, reason, seq: 2, prev: Digest::NONE };
        let receipt = seal(scheme, &self.key, &HEDGE, &receipt, signer(), None).0.to_bytes();
        let decline = seal(scheme, &self.key, &HEDGE, &decline, signer(), None).0.to_bytes();
        vec![packet(payer, place, Purpose::Receipt, receipt), packet(payer, place, Purpose::Decline, decline)]
    }
}

fn packet(to: u8, from: u8, purpose: Purpose, bytes: Vec<u8>) -> Packet {
    Packet { to, from, purpose, bytes: Bytes(bytes) }
}
