//! Keys that misbehaved, or seem to have: what is known of each, what proves it, and where the value went.

use counterfoil_trust::open;
use counterfoil_wire::message::Payment;
use counterfoil_wire::proof::Proof;
use counterfoil_wire::sync::Statement;
use counterfoil_wire::{Code, KeyId, Wire};
use serde::Serialize;

use super::Service;
use crate::domain::reason::{Owner, Reason};
use crate::domain::record::Record;
use crate::domain::trace::{Trace, trace};
use crate::domain::wallet::Wallet;
use crate::error::Refusal;
use crate::store::{CaseCursor, CaseRow};

/// Cases on a page at most.
pub const PAGE_MAX: usize = 1_000;
/// Pieces of evidence and disputed payments that a case shows.
pub const SHOWN_MAX: usize = 100;

/// Bytes of evidence that a case shows, but for one piece that is larger.
const EVIDENCE_BYTES_MAX: usize = 8 << 20;

/// A key and what it is accused of.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CaseLine {
    /// SHA-256 of the key, in hex.
    pub key_id: String,
    /// The PSP behind it.
    pub psp: String,
    /// What it did, or seems to have done.
    pub reason: Reason,
    /// Who has to act.
    pub owner: Owner,
    /// When the case was opened, seconds since 1970.
    pub opened_at_s: u32,
    /// Pieces of evidence for this reason.
    pub evidence: u64,
    /// Whether the key may be used no more until its PSP has looked at it.
    pub suspended: bool,
    /// Whether the key is revoked.
    pub revoked: bool,
    /// What somebody paid for it, minor units.
    pub loss: u64,
    /// Who paid.
    pub borne_by: Option<String>,
}

/// What a piece of evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// Two signed headers that contradict each other, and the key's certificate: anybody can judge it.
    Proof,
    /// The wallet's statement.
    Statement,
    /// The payment that its journal does not have, or that it took and declined.
    Payment,
    /// Nothing but the books.
    Books,
}

/// A piece of evidence.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Evidence {
    /// What for.
    pub reason: Reason,
    /// When it came, seconds since 1970.
    pub opened_at_s: u32,
    /// What it is.
    pub kind: EvidenceKind,
    /// The message or proof, in hex.
    pub bytes: String,
}

/// A payment that is in conflict with another one of its payer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Disputed {
    /// The payment, in hex.
    pub payment: String,
    /// Its place in the payer's journal.
    pub payer_seq: u32,
    /// Key of the payee, in hex.
    pub payee: String,
    /// Minor units.
    pub amount: u64,
    /// Why it stands where it stands.
    pub reason: Reason,
}

/// Everything about one accused key.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CaseFile {
    /// SHA-256 of the key, in hex.
    pub key_id: String,
    /// The PSP behind it.
    pub psp: String,
    /// The account behind it.
    pub account: String,
    /// Whether the key may be used no more until its PSP has looked at it.
    pub suspended: bool,
    /// Whether the key is revoked.
    pub revoked: bool,
    /// Number of the first revocation list that has it; none while it is on none.
    pub listed_in: Option<u32>,
    /// When that list was signed, seconds since 1970.
    pub listed_at_s: Option<u32>,
    /// What somebody paid for it, minor units.
    pub loss: u64,
    /// What it owes besides that nobody has paid yet.
    pub owed: u64,
    /// Who bears it.
    pub borne_by: Option<String>,
    /// What it is accused of, and by what. 100 pieces and 8 MiB at most, or one piece; the list of cases counts all.
    pub evidence: Vec<Evidence>,
    /// Its payments that are in conflict with each other. 100 at most.
    pub disputed: Vec<Disputed>,
    /// Where the value went that it did not have.
    pub trace: Trace,
}

/// Some cases, and where the rest begins.
#[derive(Debug, Clone)]
pub struct CasePage {
    /// Ascending by bucket and key.
    pub cases: Vec<CaseLine>,
    /// Where to go on; none at the end. A page may be short, or empty, and not the last.
    pub next: Option<CaseCursor>,
}

/// Which cases are asked for.
#[derive(Debug, Clone, Default)]
pub struct AskingCases {
    /// Those of keys of this PSP.
    pub psp: Option<String>,
    /// Those of this reason.
    pub reason: Option<Reason>,
    /// Those after the place that the page before named.
    pub after: Option<CaseCursor>,
    /// At most so many, up to [`PAGE_MAX`].
    pub limit: usize,
}

impl Service {
    /// A page of cases.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub fn cases(&self, asking: &AskingCases) -> Result<CasePage, Refusal> {
        let limit = asking.limit.clamp(1, PAGE_MAX);
        let (rows, wallets) = self.exclusively(|desk| {
            let rows = desk.store.cases(asking.after, limit)?;
            let keys: Vec<KeyId> = rows.iter().map(|row| row.key).collect();
            Ok((rows, desk.store.wallets(&keys)?))
        })?;
        let next = rows.get(limit - 1).map(|row| CaseCursor { key: row.key, reason: row.reason });
        let line = |row: &CaseRow| {
            let wallet = wallets.iter().find(|wallet| wallet.id == row.key)?;
            let wanted = asking.reason.is_none_or(|reason| reason == row.reason)
                && asking.psp.as_ref().is_none_or(|psp| *psp == wallet.psp);
            wanted.then(|| CaseLine {
                key_id: row.key.to_string(),
                psp: wallet.psp.clone(),
                reason: row.reason,
                owner: row.reason.owner(),
                opened_at_s: row.opened_at_s,
                evidence: row.count,
                suspended: !wallet.is_good(),
                revoked: wallet.revoked,
                loss: wallet.loss,
                borne_by: bearer(wallet),
            })
        };
        Ok(CasePage { cases: rows.iter().filter_map(line).collect(), next })
    }

    /// Everything about one accused key, with the value followed for `hops` steps.
    ///
    /// # Errors
    /// [`Code::UnknownWallet`] for a key that nobody has, [`Code::CaseUnknown`] for one that is not accused.
    pub fn case(&self, key: &KeyId, hops: u8) -> Result<CaseFile, Refusal> {
        self.at_this_moment(
            || Ok(()),
            |rows, ()| {
                let wallet = rows.wallet(key)?.ok_or(Code::UnknownWallet)?;
                let evidence = rows.evidence(key, SHOWN_MAX, EVIDENCE_BYTES_MAX)?;
                if evidence.is_empty() {
                    return Err(Code::CaseUnknown.into());
                }
                let owed = u64::try_from(wallet.shadow.saturating_neg()).unwrap_or(0);
                let disputed = rows.disputed(key, SHOWN_MAX)?;
                let taken = disputed.iter().any(Record::is_taken);
                let first = if taken { rows.disputed_flows(key)? } else { rows.flows(key)? };
                let counterfeit = wallet.loss.saturating_add(owed);
                let mut trace = trace((*key, first), counterfeit, hops, |key| rows.flows(key))?;
                for rest in &mut trace.rests {
                    let mut id = [0; 32];
                    let known = hex::decode_to_slice(&rest.key_id, &mut id).is_ok();
                    if let Some(wallet) = if known { rows.wallet(&KeyId(id))? } else { None } {
                        (rest.psp, rest.account) = (Some(wallet.psp), Some(wallet.account));
                    }
                }
                let listed = rows.listed(key)?;
                Ok(CaseFile {
                    key_id: key.to_string(),
                    suspended: !wallet.is_good(),
                    revoked: wallet.revoked,
                    listed_in: listed.map(|(number, _)| number),
                    listed_at_s: listed.map(|(_, at_s)| at_s),
                    loss: wallet.loss,
                    owed,
                    borne_by: bearer(&wallet),
                    psp: wallet.psp,
                    account: wallet.account,
                    evidence: evidence.into_iter().map(piece).collect(),
                    disputed: disputed.iter().map(in_dispute).collect(),
                    trace,
                })
            },
        )
    }
}

fn bearer(wallet: &Wallet) -> Option<String> {
    (wallet.loss > 0).then(|| wallet.liable.clone()).flatten()
}

fn piece((reason, opened_at_s, bytes): (Reason, u32, Vec<u8>)) -> Evidence {
    let kind = if Proof::from_bytes(&bytes).is_ok() {
        EvidenceKind::Proof
    } else if open::<Statement>(&bytes).is_ok() {
        EvidenceKind::Statement
    } else if open::<Payment>(&bytes).is_ok() {
        EvidenceKind::Payment
    } else {
        EvidenceKind::Books
    };
    Evidence { reason, opened_at_s, kind, bytes: hex::encode(bytes) }
}

fn in_dispute(record: &Record) -> Disputed {
    Disputed {
        payment: record.id.to_string(),
        payer_seq: record.payer_seq,
        payee: record.payee.to_string(),
        amount: record.amount.minor(),
        reason: record.reason(),
    }
}
