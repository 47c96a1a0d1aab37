//! What the application remembers. Each record is versioned CBOR under its own key, so that one payment writes the same
//! number of bytes however many came before it.
//!
//! | key | record |
//! |---|---|
//! | `=core` | [`Core`]: balances, counters, the journal's head, the key |
//! | `=cert`, `=rules`, `=trust`, `=revoked` | the newest of each, `rules` and `trust` as signed |
//! | `=revocation` | the newest whole revocation list as signed, to be handed on |
//! | `=order`, `=statement` | a fund order, a statement, not answered yet |
//! | `j` seq | journal entry since the last settlement |
//! | `o` seq | [`Outgoing`]: a payment sent |
//! | `y` id | its sequence number |
//! | `x` request id | [`PaidRequest`](crate::pay::PaidRequest): a one-time request that was paid |
//! | `i` id | [`Incoming`]: a payment accepted or declined (the replay memory) |
//! | `h` payer key id, seq, id | header of a payment shown here, for finding forks |
//! | `s` payer key id, end of interval | where that header is, for finding overlaps |
//! | `c` payer key id | newest certificate of a payer with such a header, for proving them |
//! | `q` number | [`OpenRequest`] |
//! | `p` key id | a proof that the key cheated, at most 64 |
//! | `r` reference | [`Done`]: what an operation gave |
//! | `n` number | the reference that was used at this count, for forgetting the oldest |
//! | `d` seq | a defunding not yet settled |

use alloc::vec::Vec;

use counterfoil_trust::{Anchors, Revoked, SigningKey};
use counterfoil_wire::cert::{Grade, Name, RootCert, WalletCert};
use counterfoil_wire::codec::{Dec, Enc};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::lists::{RevocationList, from_gaps};
use counterfoil_wire::rules::{Limits, Rules};
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{
    Amount, Bytes, Code, Digest, Error, KeyId, Nonce, PublicKey, Reference, Wire, record,
};
use zeroize::Zeroizing;

use crate::api::PaymentState;
use crate::env::{Batch, Env, Store, StoreError};

/// Version of the stored state.
pub const STATE_VERSION: u8 = 3;

/// Storage keys. A letter is given once and never used again.
pub mod keys {
    use alloc::vec::Vec;

    pub const CORE: &[u8] = b"=core";
    pub const CERT: &[u8] = b"=cert";
    pub const RULES: &[u8] = b"=rules";
    pub const TRUST: &[u8] = b"=trust";
    pub const REVOKED: &[u8] = b"=revoked";
    pub const ORDER: &[u8] = b"=order";
    pub const STATEMENT: &[u8] = b"=statement";
    pub const REVOCATION_ENVELOPE: &[u8] = b"=revocation";

    /// A key of one letter and what it is indexed by.
    pub fn of(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::from([letter]);
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    pub fn by_seq(letter: u8, seq: u32) -> Vec<u8> {
        of(letter, &[&seq.to_be_bytes()])
    }
}

/// Thirty-two secret bytes: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Zeroizing<[u8; 32]>);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Wire for Secret {
    fn encode(&self, e: &mut Enc) {
        e.bytes(&self.0[..]);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Ok(Self(Zeroizing::new(d.bytes_exact()?)))
    }
}

record! {
    /// A PIN as it is kept: salted and hashed, inside sealed state.
    pub struct PinRecord {
        pub salt: Nonce,
        pub hash: Digest,
        pub tries: u8,
    }
}

record! {
    /// What has happened since the last settlement, as the limits count it.
    pub struct Counters {
        pub total: Amount,
        pub count: u32,
        pub no_pin_total: Amount,
        /// Payments with the PIN: each set `no_pin_total` to nothing.
        pub with_pin: u32,
        pub receipts: u32,
        /// Gross value received.
        pub received: Amount,
        /// Received value spent again.
        pub respent: Amount,
    }
}

impl Counters {
    pub const ZERO: Self = Self {
        total: Amount::ZERO,
        count: 0,
        no_pin_total: Amount::ZERO,
        with_pin: 0,
        receipts: 0,
        received: Amount::ZERO,
        respent: Amount::ZERO,
    };

    /// What came after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            total: self.total.minus_or_zero(earlier.total),
            count: self.count.saturating_sub(earlier.count),
            // Where a PIN was given in between, all of it came after.
            no_pin_total: if self.with_pin == earlier.with_pin {
                self.no_pin_total.minus_or_zero(earlier.no_pin_total)
            } else {
                self.no_pin_total
            },
            with_pin: self.with_pin.wrapping_sub(earlier.with_pin),
            receipts: self.receipts.saturating_sub(earlier.receipts),
            received: self.received.minus_or_zero(earlier.received),
            respent: self.respent.minus_or_zero(earlier.respent),
        }
    }
}

record! {
    /// Payments in the current window of the operator's time.
    pub struct Window {
        pub index: u32,
        pub total: Amount,
        pub count: u32,
    }
}

record! {
    /// A statement that waits for its settlement.
    pub struct PendingStatement {
        pub seq: u32,
        pub id: Digest,
        pub nonce: Nonce,
        /// Counters when it was made; a settlement forgives up to here.
        pub counters: Counters,
        /// Received value when it was made: what a settlement makes as good as funded.
        pub received: Amount,
        /// The whole balance when it was made.
        pub balance: Amount,
        /// Lower bound of time when it was made.
        pub time_bound_s: u32,
        /// The tampering that it tells: what its settlement clears.
        pub tamper: Option<Tamper>,
        /// The whole statement, to be sent again.
        pub message: Bytes,
    }
}

record! {
    /// A fund order that is not decided yet.
    pub struct PendingOrder {
        pub number: u32,
        pub amount: Amount,
        pub message: Bytes,
    }
}

record! {
    /// Balances, counters and the head of the journal: what nearly every operation changes.
    pub struct Core {
        pub version: u8,
        pub es256: bool,
        pub secret: Secret,
        pub grade: Grade,
        pub name: Name,
        pub root: RootCert,
        /// Nonce of the enrolment, and its message, until it is settled.
        pub enrolment: Option<PendingEnrolment>,
        pub pin: Option<PinRecord>,
        /// The key of the phone's own lock that may approve payments.
        pub platform: Option<PublicKey>,
        pub funded: Amount,
        pub received: Amount,
        pub spent: Amount,
        pub head_seq: u32,
        pub head: Digest,
        pub acked_seq: u32,
        pub acked: Digest,
        pub counters: Counters,
        pub window: Window,
        pub next_request: u32,
        pub next_standing: u32,
        pub closed_below: u32,
        pub time_bound_s: u32,
        /// Payments whose payer's certificate ended before this are refused for good. Unlike the bound of time it is
        /// never lowered: the replay memory is pruned by it, and the operator refunds by it.
        pub closed_before_s: u32,
        pub synced_at_s: u32,
        pub funding_total: Amount,
        pub order_no: u32,
        pub defunding: Amount,
        pub standing: Standing,
        pub last_settlement: Digest,
        pub rules_no: u32,
        pub references: u32,
        /// Why this wallet is deactivated, until a settlement answers a statement that told it.
        pub tamper: Option<Tamper>,
        /// Another reason, reported after a statement told that one: the settlement of that statement leaves it.
        pub tamper_since: Option<Tamper>,
    }
}

record! {
    /// An enrolment that waits for its settlement.
    pub struct PendingEnrolment {
        pub nonce: Nonce,
        pub message: Bytes,
    }
}

record! {
    /// A payment sent.
    pub struct Outgoing {
        pub id: Digest,
        pub request: Digest,
        /// The certificate that asked: with it the payee's answers are judged, and prove if they contradict each other.
        pub payee: WalletCert,
        pub amount: Amount,
        /// The part that came out of the received balance.
        pub from_received: Amount,
        pub state: PaymentState,
        pub message: Bytes,
        pub receipt: Option<Bytes>,
        pub decline: Option<Bytes>,
    }
}

record! {
    /// A payment that was decided here: the replay memory.
    pub struct Incoming {
        pub accepted: bool,
        /// Why it was declined, as an error number; 0 where it was accepted.
        pub reason: u16,
        pub amount: Amount,
        pub payer: PublicKey,
        pub payer_seq: u32,
        /// End of the payer's certificate: after it the payment is refused anyway.
        pub not_after_s: u32,
        /// Place in this journal.
        pub seq: u32,
        /// The receipt or the decline.
        pub answer: Bytes,
    }
}

record! {
    /// A request that may still be paid.
    pub struct OpenRequest {
        pub id: Digest,
        pub amount: Option<Amount>,
        pub expiry_s: u32,
    }
}

record! {
    /// What an operation gave, for the same reference again.
    pub struct Done {
        /// SHA-256 of the operation's arguments: another operation under the reference is an error.
        pub arguments: Digest,
        pub reply: Bytes,
    }
}

/// Everything in memory that nearly every operation reads.
pub struct State {
    pub core: Core,
    pub key: SigningKey,
    pub public: PublicKey,
    pub cert: Option<WalletCert>,
    pub rules: Option<Rules>,
    pub anchors: Anchors,
    pub revoked: Revoked,
    pub trust_envelope: Option<Bytes>,
    pub order: Option<PendingOrder>,
    pub statement: Option<PendingStatement>,
}

impl State {
    /// The scheme: the digest of the root key.
    pub fn scheme(&self) -> &KeyId {
        &self.anchors.scheme
    }

    /// The certificate of an enrolled wallet.
    pub fn cert(&self) -> Result<&WalletCert, Error> {
        self.cert.as_ref().ok_or(Code::NotEnrolled.into())
    }

    /// This wallet's limits.
    pub fn limits(&self) -> Result<&Limits, Error> {
        let rules = self.rules.as_ref().ok_or(Code::NotEnrolled)?;
        rules.limits(self.core.grade).ok_or(Code::NotEnrolled.into())
    }

    /// Judged time: the later of the operator's bound and the host's clock.
    pub fn now_s(&self, host_s: u32) -> u32 {
        self.core.time_bound_s.max(host_s)
    }

    /// Whether a proof or a list speaks against a key.
    pub fn check_not_revoked(&self, status_index: u32) -> Result<(), Error> {
        if self.revoked.contains(status_index) { Err(Code::CertificateRevoked.into()) } else { Ok(()) }
    }

    /// The whole balance.
    pub fn balance(&self) -> Result<Amount, Error> {
        self.core.funded.plus(self.core.received).ok_or(Code::Damaged.into())
    }
}

/// A change in the making: a copy of the core and a batch. Nothing is changed until it is committed.
pub struct Change {
    pub core: Core,
    pub batch: Batch,
}

impl Change {
    pub fn put<T: Wire>(&mut self, key: Vec<u8>, value: &T) {
        self.batch.put(key, value.to_bytes());
    }
}

/// The record under `key`.
pub fn read<T: Wire, S: Store>(store: &S, key: &[u8]) -> Result<Option<T>, Error> {
    match store.get(key).map_err(store_error)? {
        Some(bytes) => {
            let bytes = Zeroizing::new(bytes);
            Ok(Some(T::from_bytes(&bytes).map_err(|_| Code::Damaged)?))
        }
        None => Ok(None),
    }
}

/// Every record whose key starts with `prefix`, with its key, in order of keys.
pub fn read_all<T: Wire, S: Store>(store: &S, prefix: &[u8]) -> Result<Vec<(Vec<u8>, T)>, Error> {
    let mut rows = Vec::new();
    let mut damaged = false;
    let mut visit = |key: &[u8], value: &[u8]| match T::from_bytes(value) {
        Ok(record) => rows.push((key.to_vec(), record)),
        Err(_) => damaged = true,
    };
    store.scan(prefix, &mut visit).map_err(store_error)?;
    if damaged { Err(Code::Damaged.into()) } else { Ok(rows) }
}

/// How many records there are under `prefix`.
pub fn count<S: Store>(store: &S, prefix: &[u8]) -> Result<usize, Error> {
    let mut rows: usize = 0;
    store.scan(prefix, &mut |_, _| rows = rows.saturating_add(1)).map_err(store_error)?;
    Ok(rows)
}

pub fn store_error(error: StoreError) -> Error {
    match error {
        StoreError::Tampered => Code::Damaged.into(),
        StoreError::Io | StoreError::Full => Code::StoreFailed.into(),
    }
}

/// Reads the state of a wallet; `None` where there is none yet.
pub fn load<E: Env>(env: &E) -> Result<Option<State>, Error> {
    let store = env.store();
    let Some(core) = read::<Core, _>(store, keys::CORE)? else { return Ok(None) };
    if core.version != STATE_VERSION {
        return Err(Code::Damaged.into());
    }
    let key = SigningKey::from_secret(crate::api::algorithm(core.es256), &core.secret.0)?;
    let public = key.public();
    let mut anchors = Anchors::new(core.root.clone())?;
    let trust_envelope = read::<Bytes, _>(store, keys::TRUST)?;
    if let Some(envelope) = &trust_envelope {
        anchors.adopt(&envelope.0)?;
    }
    let revoked = match read::<RevocationList, _>(store, keys::REVOKED)? {
        Some(list) => from_gaps(&list.added)
            .and_then(|indexes| Revoked::restore(list.number, list.issued_at_s, indexes))
            .ok_or(Code::Damaged)?,
        None => Revoked::empty(),
    };
    let rules = match read::<Bytes, _>(store, keys::RULES)? {
        Some(envelope) => Some(counterfoil_trust::open::<Rules>(&envelope.0)?.body),
        None => None,
    };
    let order = read(store, keys::ORDER)?;
    let statement = read(store, keys::STATEMENT)?;
    Ok(Some(State {
        cert: read(store, keys::CERT)?,
        core,
        key,
        public,
        rules,
        anchors,
        revoked,
        trust_envelope,
        order,
        statement,
    }))
}

/// The storage key of the newest certificate of a payer whose headers are held.
pub fn payer_cert_key(payer: &KeyId) -> Vec<u8> {
    keys::of(b'c', &[&payer.0])
}

/// The storage key of a proof against a key.
pub fn proof_key(cheat: &KeyId) -> Vec<u8> {
    keys::of(b'p', &[&cheat.0])
}

/// The storage key of an operation's result.
pub fn reference_key(reference: &Reference) -> Vec<u8> {
    keys::of(b'r', &[&reference.0])
}
