//! A statement read: its chain of headers rebuilt, every signature in it checked.
//!
//! Nothing here depends on what the operator knows, but for the list of authorities; so reading needs no store, and
//! statements can be read in parallel. An entry's header is not sent. For an entry with an artefact it is the
//! artefact's; for one without ([`Entry::Reclaim`], [`Entry::Settled`], [`Entry::Defund`]) its digest is the SHA-256 of
//! the encoded entry. Each header names the one before, and the statement's own header names the last: one signature
//! covers them all.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use counterfoil_trust::{Anchors, Opened, Verifier, header_id, key_id, open, sha256};
use counterfoil_wire::cert::{Grade, WalletCert};
use counterfoil_wire::header::{Extra, Header, Signer};
use counterfoil_wire::message::{Decline, Payment, Receipt};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::sync::{Entry, Statement};
use counterfoil_wire::{Amount, Code, Digest, Error, KeyId, PublicKey, Wire};

/// A payment that was checked: its certificate, its signature, its interval and its ceiling hold.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Identifier.
    pub id: Digest,
    /// Who paid.
    pub payer: KeyId,
    /// The payer's certificate.
    pub cert: WalletCert,
    /// Who alone may take it.
    pub payee: KeyId,
    /// What it says.
    pub body: Payment,
    /// Header and signature.
    pub signed: SignedHeader,
    /// The whole payment.
    pub bytes: Vec<u8>,
}

/// What one line of a journal says.
#[derive(Debug, Clone)]
pub enum Item {
    /// A payment sent.
    Sent(Evidence),
    /// A payment taken.
    Taken(Evidence),
    /// A payment that will never be taken.
    Declined(Evidence),
    /// A declined payment that came back. The decline's signature holds under the key given here, which must be the
    /// payee's.
    Reclaimed {
        /// The payment.
        payment: Digest,
        /// Who declined.
        by: KeyId,
        /// Header and signature of the decline.
        signed: SignedHeader,
    },
    /// Nothing that counts: an earlier statement, or the decline of a payment above its payer's ceiling, which an honest
    /// payee may be made to give and which can move no value.
    Void,
    /// A settlement that was applied.
    Settled {
        /// Which.
        settlement: Digest,
        /// Funding that it added.
        funded: Amount,
        /// Payments that it refunded.
        refunded: Vec<Digest>,
        /// Defundings that it returned.
        returned: Vec<u32>,
    },
    /// Value that leaves for the account behind the wallet.
    Defunded(Amount),
}

/// One line of a journal.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub seq: u32,
    /// Identifier of its header.
    pub id: Digest,
    /// What it says.
    pub item: Item,
}

/// A receipt that the payer shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The payment.
    pub payment: Digest,
    /// Who took it.
    pub by: KeyId,
    /// Header and signature of the receipt.
    pub signed: SignedHeader,
}

/// A statement that was read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The wallet's key.
    pub key: PublicKey,
    /// Its name.
    pub wallet: KeyId,
    /// Identifier of the statement: the wallet's new head.
    pub id: Digest,
    /// Header and signature of the statement.
    pub signed: SignedHeader,
    /// The certificate that it is signed with, where it holds: a bare key may sign a statement too.
    pub cert: Option<WalletCert>,
    /// Its entries.
    pub lines: Vec<Line>,
    /// Receipts shown for payments sent.
    pub receipts: Vec<Shown>,
    /// Proofs shown, not judged yet.
    pub proofs: Vec<Proof>,
    /// The statement itself, without entries, receipts and proofs.
    pub claims: Statement,
    /// The whole message.
    pub bytes: Arc<[u8]>,
}

/// What opens a statement: enough to look the wallet up.
pub type Sealed = Opened<Statement>;

impl Reading {
    /// A statement of which nothing but its signature holds: it can be answered, and that is all.
    pub fn without_entries(scheme: &KeyId, sealed: &Sealed, bytes: Arc<[u8]>) -> Self {
        let key = *sealed.envelope.signer.key();
        Self {
            key,
            wallet: key_id(&key),
            id: sealed.id(scheme),
            signed: sealed.signed_header(),
            cert: None,
            lines: Vec::new(),
            receipts: Vec::new(),
            proofs: Vec::new(),
            claims: sealed.body.clone(),
            bytes,
        }
    }
}

/// The certificate that a statement is signed with, if it may hold: a statement is good without it. Where `verifier` checks later, it
/// holds if every signature does that `verifier` was asked for here.
pub fn own_cert<V: Verifier>(anchors: &Anchors, verifier: &mut V, sealed: &Sealed) -> Option<WalletCert> {
    let Signer::Cert(cert) = &sealed.envelope.signer else { return None };
    anchors.check_wallet_by(verifier, cert, None, cert.not_before_s).ok()?;
    Some(cert.clone())
}

/// Reads a statement that is signed with `cert`, or with a bare key, and checks everything in it that does not depend on what came
/// before. Entries, receipts and proofs are taken out of `sealed`. Where `verifier` checks later, nothing of it holds before every
/// signature does.
///
/// # Errors
/// [`Code::BadSignature`] and those of [`open`] for the statement as a whole; [`Code::StatementInvalid`] for anything
/// within it that does not hold: the wallet signed it, so the wallet answers for it.
pub fn read<V: Verifier>(
    anchors: &Anchors,
    verifier: &mut V,
    sealed: &mut Sealed,
    cert: Option<WalletCert>,
    bytes: Arc<[u8]>,
) -> Result<Reading, Error> {
    let (entries, shown, proofs) =
        (take(&mut sealed.body.entries), take(&mut sealed.body.receipts), take(&mut sealed.body.proofs));
    let scheme = &anchors.scheme;
    let key = *sealed.envelope.signer.key();
    let wallet = key_id(&key);
    let claims = &sealed.body;
    let (mut seq, mut prev) = (claims.after_seq, claims.after_prev);
    let mut lines = Vec::with_capacity(entries.len());
    for entry in entries {
        seq = seq.checked_add(1).ok_or(Code::StatementInvalid)?;
        let (header, item) =
            line(anchors, verifier, key, wallet, seq, prev, entry).map_err(|_| Code::StatementInvalid)?;
        prev = header_id(scheme, &header);
        lines.push(Line { seq, id: prev, item });
    }
    if seq.checked_add(1) != Some(claims.seq) || prev != claims.prev {
        return Err(Code::StatementInvalid.into());
    }
    let mut receipts = Vec::new();
    for receipt in &shown {
        let receipt = open::<Receipt>(&receipt.0).map_err(|_| Code::StatementInvalid)?;
        receipt.check_signature_by(verifier, scheme).map_err(|_| Code::StatementInvalid)?;
        receipts.push(Shown {
            payment: receipt.body.payment,
            by: key_id(receipt.envelope.signer.key()),
            signed: receipt.signed_header(),
        });
    }
    // A proof that cannot be read or shows nothing is worth nothing; it may have come by gossip, and the wallet that
    // hands it on did no wrong.
    let proofs = proofs.iter().filter_map(|proof| Proof::from_bytes(&proof.0).ok()).collect();
    Ok(Reading {
        key,
        wallet,
        id: sealed.id(scheme),
        signed: sealed.signed_header(),
        cert,
        lines,
        receipts,
        proofs,
        claims: claims.clone(),
        bytes,
    })
}

/// The header of one entry and what the entry says.
fn line<V: Verifier>(
    anchors: &Anchors,
    verifier: &mut V,
    key: PublicKey,
    wallet: KeyId,
    seq: u32,
    prev: Digest,
    entry: Entry,
) -> Result<(Header, Item), Error> {
    let purpose = entry.purpose();
    let header = |digest, extra| Header { purpose, key, seq, prev, digest, extra };
    let unsigned = |entry: &Entry| header(sha256(&entry.to_bytes()), Extra::None);
    Ok(match entry {
        Entry::Payment { payment } => {
            let evidence = within(evidence(anchors, verifier, payment.0)?)?;
            let own = evidence.signed.header;
            if own.key != key || own.seq != seq || own.prev != prev {
                return Err(Code::StatementInvalid.into());
            }
            (own, Item::Sent(evidence))
        }
        Entry::Receipt { payment } => {
            let evidence = addressed(within(evidence(anchors, verifier, payment.0)?)?, wallet)?;
            (header(evidence.id, Extra::None), Item::Taken(evidence))
        }
        Entry::Decline { payment, reason } => {
            let evidence = addressed(evidence(anchors, verifier, payment.0)?, wallet)?;
            let header = header(evidence.id, Extra::Reason(reason));
            (header, within(evidence).map_or(Item::Void, Item::Declined))
        }
        Entry::Reclaim { payment, ref decline } => {
            let decline = open::<Decline>(&decline.0)?;
            decline.check_signature_by(verifier, &anchors.scheme)?;
            if decline.body.payment != payment {
                return Err(Code::StatementInvalid.into());
            }
            let (by, signed) = (key_id(decline.envelope.signer.key()), decline.signed_header());
            (unsigned(&entry), Item::Reclaimed { payment, by, signed })
        }
        Entry::Statement { digest } => (header(digest, Extra::None), Item::Void),
        Entry::Settled { settlement, funded, ref refunded, ref returned } => {
            let (refunded, returned) = (refunded.clone(), returned.clone());
            (unsigned(&entry), Item::Settled { settlement, funded, refunded, returned })
        }
        Entry::Defund { amount, .. } => (unsigned(&entry), Item::Defunded(amount)),
    })
}

fn addressed(evidence: Evidence, wallet: KeyId) -> Result<Evidence, Error> {
    if evidence.payee == wallet { Ok(evidence) } else { Err(Code::NotAddressedHere.into()) }
}

/// Refuses what is above the payer's ceiling: nobody may send or take it.
fn within(evidence: Evidence) -> Result<Evidence, Error> {
    if evidence.body.spent > evidence.cert.ceiling { Err(Code::CeilingExceeded.into()) } else { Ok(evidence) }
}

/// Checks a payment as a payee does, but for the time: the payer's certificate was valid at some moment, and whether
/// it was when the payment was taken is known to the payee's trusted application alone. The
/// ceiling is [`within`]'s.
///
/// # Errors
/// Those of [`open`] and [`Anchors::check_wallet`]; [`Code::PayerCannotPay`], [`Code::BadInterval`],
/// [`Code::BadSignature`].
fn evidence<V: Verifier>(anchors: &Anchors, verifier: &mut V, bytes: Vec<u8>) -> Result<Evidence, Error> {
    let payment = open::<Payment>(&bytes)?;
    let Signer::Cert(cert) = &payment.envelope.signer else { return Err(Code::BadCertificate.into()) };
    anchors.check_wallet_by(verifier, cert, payment.envelope.issuer.as_ref(), cert.not_before_s)?;
    if cert.grade == Grade::Terminal {
        return Err(Code::PayerCannotPay.into());
    }
    let body = &payment.body;
    if body.amount.is_zero() || body.amount > body.spent {
        return Err(Code::BadInterval.into());
    }
    payment.check_signature_by(verifier, &anchors.scheme)?;
    Ok(Evidence {
        id: payment.id(&anchors.scheme),
        payer: key_id(&cert.key),
        cert: cert.clone(),
        payee: key_id(&body.payee),
        signed: payment.signed_header(),
        bytes,
        body: payment.body,
    })
}

/// Where a statement joins what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    /// It continues the head: lines from this index on are new.
    Continues(usize),
    /// It starts at a head that the operator knows and leads past, or around, the newest one.
    RolledBack,
    /// It starts at a head that the operator never saw.
    Gap,
}

impl Reading {
    /// Where the statement joins a wallet whose newest acknowledged head is `seq`, `head`. `known` says whether the
    /// operator ever acknowledged a head.
    pub fn joint(&self, seq: u32, head: Digest, known: impl Fn(u32, Digest) -> bool) -> Joint {
        let (after_seq, after) = (self.claims.after_seq, self.claims.after_prev);
        if (after_seq, after) == (seq, head) {
            return Joint::Continues(0);
        }
        if !known(after_seq, after) {
            return Joint::Gap;
        }
        // A settlement that was lost: the wallet went on and repeats what the operator has, statement included.
        let again = self.lines.iter().position(|line| (line.seq, line.id) == (seq, head));
        again.map_or(Joint::RolledBack, |at| Joint::Continues(at.saturating_add(1)))
    }

    /// Receipts shown for payments that the statement reclaims too, each with the decline.
    pub fn answered_twice(&self) -> Vec<(&Shown, &SignedHeader)> {
        let reclaimed: BTreeMap<Digest, &SignedHeader> = self
            .lines
            .iter()
            .filter_map(|line| match &line.item {
                Item::Reclaimed { payment, signed, .. } => Some((*payment, signed)),
                _ => None,
            })
            .collect();
        let both = |shown| -> Option<(&Shown, &SignedHeader)> {
            let shown: &Shown = shown;
            Some((shown, reclaimed.get(&shown.payment)?))
        };
        self.receipts.iter().filter_map(both).collect()
    }

    /// Every payment that the statement speaks of, by evidence.
    pub fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.lines.iter().filter_map(|line| match &line.item {
            Item::Sent(evidence) | Item::Taken(evidence) | Item::Declined(evidence) => Some(evidence),
            _ => None,
        })
    }
}

/// The signed header of a stored payment and the certificate in it, to make a proof of them.
pub fn signed_header(payment: &[u8]) -> Option<(SignedHeader, WalletCert)> {
    let payment = open::<Payment>(payment).ok()?;
    match &payment.envelope.signer {
        Signer::Cert(cert) => Some((payment.signed_header(), cert.clone())),
        Signer::Key(_) => None,
    }
}
