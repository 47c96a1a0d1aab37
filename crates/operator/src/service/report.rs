//! What is open, with whom, since when: the reconciliation's report.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_trust::sha256;
use counterfoil_wire::{Code, Digest, KeyId};
use serde::Serialize;

use super::Service;
use crate::domain::audit::ReasonCount;
use crate::domain::item::{Item, item};
use crate::domain::reason::{Owner, Reason};
use crate::domain::record::bit;
use crate::domain::wallet::Wallet;
use crate::error::Refusal;
use crate::store::Cursor;

/// The setting that holds the SHA-256 of the operator's own bearer token, in hex.
pub(crate) const OPERATOR_TOKEN: &str = "operator_token";

/// Items on a page at most.
pub const PAGE_MAX: usize = 1_000;
/// Payments that are read in one turn.
const CHUNK: usize = 1_000;
/// Turns for a page: what is filtered out costs too.
const CHUNKS_MAX: usize = 10;

/// Open payments of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OpenOf {
    /// Why they are open.
    pub reason: Reason,
    /// Who has to act first.
    pub owner: Owner,
    /// How many.
    pub count: u64,
    /// Their sum, minor units.
    pub amount: u64,
    /// When the operator first heard of the oldest, seconds since 1970.
    pub oldest_s: u32,
}

/// Cases of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CasesOf {
    /// What the keys did, or seem to have done.
    pub reason: Reason,
    /// How many keys.
    pub keys: u64,
}

/// All of it in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Summary {
    /// The operator's time, seconds since 1970.
    pub as_of_s: u32,
    /// Open payments, by reason.
    pub open: Vec<OpenOf>,
    /// All payments, open or at rest, by each reason that there is.
    pub payments: Vec<ReasonCount>,
    /// Cases, by reason.
    pub cases: Vec<CasesOf>,
}

/// Which items are asked for.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// Those of payments in which this PSP has the payer or the payee.
    pub psp: Option<String>,
    /// Those that are open for this reason.
    pub reason: Option<Reason>,
    /// Those that the operator has known for so long, seconds.
    pub older_than_s: u32,
    /// Those after the place that the page before named.
    pub after: Option<Cursor>,
    /// At most so many, up to [`PAGE_MAX`].
    pub limit: usize,
}

/// Some items, and where the rest begins.
#[derive(Debug, Clone)]
pub struct Page {
    /// Ascending by bucket and payer.
    pub items: Vec<Item>,
    /// Where to go on; none at the end. A page may be short, or empty, and not the last.
    pub next: Option<Cursor>,
}

impl Service {
    /// Whether `token` is the operator's own.
    ///
    /// # Errors
    /// [`Code::OperatorUnauthorised`], also where the operator has none.
    pub fn check_operator_token(&self, token: &str) -> Result<(), Refusal> {
        let settings = self.exclusively(|desk| Ok(desk.store.settings()?))?;
        // The hashes are compared, so that timing tells nothing about the token.
        let known = settings.get(OPERATOR_TOKEN).is_some_and(|hash| *hash == token_hash(token).to_string());
        if known { Ok(()) } else { Err(Code::OperatorUnauthorised.into()) }
    }

    /// What is open, by reason.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub fn summary(&self) -> Result<Summary, Refusal> {
        let (open, payments, cases) = self.at_this_moment(
            || Ok(()),
            |rows, ()| Ok((rows.open_by_bits()?, rows.tallies()?, rows.accused()?)),
        )?;
        let mut by_reason: BTreeMap<Reason, OpenOf> = BTreeMap::new();
        for alike in open {
            let reason = bit::reason(alike.bits);
            if reason.owner() == Owner::Nobody {
                continue;
            }
            let sum = by_reason.entry(reason).or_insert(OpenOf {
                reason,
                owner: reason.owner(),
                count: 0,
                amount: 0,
                oldest_s: u32::MAX,
            });
            sum.count = sum.count.saturating_add(alike.count);
            sum.amount = sum.amount.saturating_add(alike.minor);
            sum.oldest_s = sum.oldest_s.min(alike.oldest_s);
        }
        let payments = Reason::ALL.iter().map(|reason| {
            let (count, minor) = payments.get(reason).copied().unwrap_or_default();
            let amount = u64::try_from(minor).unwrap_or(u64::MAX);
            ReasonCount { reason: *reason, owner: reason.owner(), count, amount }
        });
        let cases = cases.into_iter().map(|(reason, keys)| CasesOf { reason, keys }).collect();
        Ok(Summary {
            as_of_s: self.now_s(),
            open: by_reason.into_values().collect(),
            payments: payments.collect(),
            cases,
        })
    }

    /// A page of open items.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub fn items(&self, asking: &Asking) -> Result<Page, Refusal> {
        let now_s = self.now_s();
        let limit = asking.limit.clamp(1, PAGE_MAX);
        let mut page = Page { items: Vec::new(), next: asking.after };
        for _ in 0..CHUNKS_MAX {
            let (records, wallets) = self.exclusively(|desk| {
                let records = desk.store.open_payments(page.next, CHUNK)?;
                let parties = records.iter().flat_map(|record| [record.payer, record.payee]);
                let parties: Vec<KeyId> = parties.collect::<BTreeSet<_>>().into_iter().collect();
                Ok((records, desk.store.wallets(&parties)?))
            })?;
            let wallets: BTreeMap<KeyId, Wallet> =
                wallets.into_iter().map(|wallet| (wallet.id, wallet)).collect();
            for (at, record) in records.iter().enumerate() {
                let (payer, payee) = (wallets.get(&record.payer), wallets.get(&record.payee));
                let found = item(record, payer, payee, &self.scheme.rules, now_s);
                page.items.extend(found.filter(|item| asking.wants(item, now_s)));
                page.next = Some(Cursor::of(record));
                if page.items.len() == limit && (at + 1 < records.len() || records.len() == CHUNK) {
                    return Ok(page);
                }
            }
            if records.len() < CHUNK {
                page.next = None;
                break;
            }
        }
        Ok(page)
    }
}

impl Asking {
    fn wants(&self, item: &Item, now_s: u32) -> bool {
        let of_psp = |psp: &String| [&item.payer_psp, &item.payee_psp].contains(&&Some(psp.clone()));
        self.psp.as_ref().is_none_or(of_psp)
            && self.reason.is_none_or(|reason| reason == item.reason)
            && now_s.saturating_sub(item.since_s) >= self.older_than_s
    }
}

/// The hash of a token as it is kept.
pub(crate) fn token_hash(token: &str) -> Digest {
    sha256(token.as_bytes())
}
