//! Reading the rows that statements need.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_rail::Account;
use counterfoil_trust::open;
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::Settlement;
use counterfoil_wire::{Amount, Digest, KeyId, Wire};
use rusqlite::{Connection, Row, params};

use super::rows::{Sql, amount, digest, key_id, record};
use super::sqlite::SqliteStore;
use super::{Order, OrderState, Revocation, Store, StoreError, scan};
use crate::domain::holding::{Rows, is_move_of};
use crate::domain::known::{Journal, Known, Needs};
use crate::domain::reconcile::Move;
use crate::domain::record::bit;
use crate::domain::{bucket, ledger};

/// The numbers in these are `bit`s, written out so that the index of just these rows is used.
pub(super) const OPEN_RECORDS: &str =
    "select * from record indexed by record_open where bucket = ?1 and payer = ?2 and bits & 512 = 0";
pub(super) const ANY_FORKED: &str =
    "select 1 from record indexed by record_forked where bucket = ?1 and payer = ?2 and bits & 4096 <> 0";
pub(super) const FORKED_NEAR: &str = "select * from record where bucket = ?1 and payer = ?2 and spent > ?3
    and spent - amount < ?4 and bits & 4096 <> 0";
pub(super) const IN_FLIGHT: &str = "select * from record where payee = ?1 and bits & 96 = 0";
pub(super) const ENDING_AFTER: &str =
    "select * from record where bucket = ?1 and payer = ?2 and spent > ?3 order by spent";
pub(super) const PENDING_MOVES: &str = "select * from rail_move where done = 0 order by bucket, id";

pub(super) fn gather(store: &SqliteStore, needs: &[Needs]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let mut near = Near::default();
    for needs in needs {
        near.find(&store.db, &needs.neighbours, &mut known)?;
        records(&store.db, needs, &mut known)?;
        known.add_journal(needs.own, journal(&store.db, needs)?);
    }
    let named = needs.iter().flat_map(|needs| needs.wallets.iter().chain([&needs.own]).copied());
    let keys: BTreeSet<KeyId> = named.chain(known.parties()).collect();
    for key in keys {
        if let Some(wallet) = store.wallet(&key)? {
            known.add_wallet(wallet);
        }
    }
    let certified: BTreeSet<KeyId> = needs.iter().flat_map(|needs| needs.certs.iter().copied()).collect();
    for key in certified {
        if let Some(cert) = certificate(&store.db, &key)? {
            known.add_cert(key, cert);
        }
    }
    Ok(known)
}

/// Payments that could conflict with others. Payer and payee show the same payment, and few payers are in any conflict: each is
/// asked for once in a batch.
#[derive(Default)]
struct Near {
    found: BTreeSet<(KeyId, u32, Amount, Amount)>,
    in_conflict: BTreeMap<KeyId, bool>,
}

impl Near {
    fn find(
        &mut self,
        db: &Connection,
        neighbours: &[(KeyId, u32, Amount, Amount)],
        known: &mut Known,
    ) -> Result<(), StoreError> {
        let mut by_seq =
            db.prepare_cached("select * from record where bucket = ?1 and payer = ?2 and payer_seq = ?3")?;
        let mut after = db.prepare_cached(ENDING_AFTER)?;
        let (mut any_forked, mut forked) = (db.prepare_cached(ANY_FORKED)?, db.prepare_cached(FORKED_NEAR)?);
        for place in neighbours.iter().filter(|place| self.found.insert(**place)) {
            let (payer, seq, from, spent) = place;
            for found in by_seq.query_and_then(params![bucket(payer), payer.0, seq], record)? {
                known.add_record(found?);
            }
            // Intervals of payments that are in no conflict are disjoint: the first that begins too late ends the search.
            for found in after.query_and_then(params![bucket(payer), payer.0, Sql(*from)], record)? {
                let found = found?;
                if !found.has(bit::FORKED) && found.spent.minus_or_zero(found.amount) >= *spent {
                    break;
                }
                known.add_record(found);
            }
            let in_conflict = match self.in_conflict.get(payer) {
                Some(in_conflict) => *in_conflict,
                None => {
                    let in_conflict = any_forked.exists(params![bucket(payer), payer.0])?;
                    self.in_conflict.insert(*payer, in_conflict);
                    in_conflict
                }
            };
            if in_conflict {
                let near = params![bucket(payer), payer.0, Sql(*from), Sql(*spent)];
                for found in forked.query_and_then(near, record)? {
                    known.add_record(found?);
                }
            }
        }
        Ok(())
    }
}

fn records(db: &Connection, needs: &Needs, known: &mut Known) -> Result<(), StoreError> {
    let mut by_id = db.prepare_cached("select * from record where bucket = ?1 and payer = ?2 and id = ?3")?;
    for (payer, id) in &needs.records {
        for found in by_id.query_and_then(params![bucket(payer), payer.0, id.0], record)? {
            known.add_record(found?);
        }
    }
    // Payments that the wallet sent and does not know the end of.
    let mut open_ones = db.prepare_cached(OPEN_RECORDS)?;
    for found in open_ones.query_and_then(params![bucket(&needs.own), needs.own.0], record)? {
        known.add_record(found?);
    }
    Ok(())
}

fn journal(db: &Connection, needs: &Needs) -> Result<Journal, StoreError> {
    let home = bucket(&needs.own);
    let mut journal = Journal::default();
    journal.heads.insert((0, Digest::NONE));
    let mut heads = db.prepare_cached(
        "select seq, id, signed from statement where bucket = ?1 and wallet = ?2 and seq >= ?3",
    )?;
    let mut rows = heads.query(params![home, needs.own.0, needs.heads_from])?;
    while let Some(row) = rows.next()? {
        journal.heads.insert((row.get(0)?, row.get::<_, Sql<Digest>>(1)?.0));
        if let Some(signed) = row.get::<_, Option<Vec<u8>>>(2)? {
            let signed = SignedHeader::from_bytes(&signed).map_err(|_| StoreError::Damaged("statement"))?;
            journal.statements.push(signed);
        }
    }
    let mut by_id = db.prepare_cached(
        "select settlement from statement where bucket = ?1 and wallet = ?2 and settlement_id = ?3",
    )?;
    for id in &needs.settlements {
        let mut rows = by_id.query(params![home, needs.own.0, id.0])?;
        if let Some(row) = rows.next()? {
            let opened = open::<Settlement>(&row.get::<_, Vec<u8>>(0)?);
            journal.settlements.insert(*id, opened.map_err(|_| StoreError::Damaged("statement"))?.body);
        }
    }
    Ok(journal)
}

/// The newest certificate of a wallet: every certificate was issued in a settlement.
fn certificate(db: &Connection, key: &KeyId) -> Result<Option<WalletCert>, StoreError> {
    let mut newest = db.prepare_cached(
        "select settlement from statement where bucket = ?1 and wallet = ?2 order by seq desc",
    )?;
    let mut rows = newest.query(params![bucket(key), key.0])?;
    while let Some(row) = rows.next()? {
        let opened = open::<Settlement>(&row.get::<_, Vec<u8>>(0)?);
        let cert = opened.map_err(|_| StoreError::Damaged("statement"))?.body.cert;
        if cert.is_some() {
            return Ok(cert);
        }
    }
    Ok(None)
}

/// Everything that adding one wallet up looks at.
pub(super) fn holding_rows(store: &SqliteStore, key: &KeyId) -> Result<Option<Rows>, StoreError> {
    let Some(wallet) = store.wallet(key)? else { return Ok(None) };
    let db = &store.db;
    let home = bucket(key);
    let account = ledger::Account::Offline(*key).to_string();
    // Whatever touches a wallet's account is posted in its own bucket.
    let mut find =
        db.prepare_cached("select * from ledger where bucket = ?1 and (debit = ?2 or credit = ?2)")?;
    let postings = find.query_and_then(params![home, account], scan::posting)?.collect::<Result<_, _>>()?;
    let mut find =
        db.prepare_cached("select * from record where bucket = ?1 and payer = ?2 and bits & ?3 = 0")?;
    let mut outgoing = Vec::new();
    for found in find.query_and_then(params![home, key.0, bit::CREDITED | bit::RETURNED], record)? {
        let found = found?;
        let until_s = store.wallet(&found.payee)?.map_or(0, |payee| payee.cert_until_s);
        outgoing.push((found, until_s));
    }
    let mut find = db.prepare_cached(IN_FLIGHT)?;
    let incoming = find.query_and_then(params![key.0], record)?.collect::<Result<_, _>>()?;
    let orders = store.pending_orders()?.into_iter().filter(|order| order.wallet == *key);
    let orders = orders.map(|order| (order.number, order.amount)).collect();
    let moves = pending_moves(db)?.into_iter().filter(|order| is_move_of(order, key)).collect();
    Ok(Some(Rows { wallet, postings, outgoing, incoming, orders, moves }))
}

pub(super) fn order(row: &Row<'_>) -> Result<Order, StoreError> {
    let state = match row.get::<_, u8>("state")? {
        1 => OrderState::Pending,
        2 => OrderState::Granted,
        3 => OrderState::Refused,
        _ => return Err(StoreError::Damaged("fund_order")),
    };
    Ok(Order {
        wallet: key_id(row, "wallet")?,
        number: row.get("number")?,
        digest: digest(row, "digest")?,
        amount: amount(row, "amount")?,
        state,
    })
}

pub(super) fn revocation(row: &Row<'_>) -> Result<Revocation, StoreError> {
    Ok(Revocation {
        status_index: row.get("status_index")?,
        wallet: row.get::<_, Sql<KeyId>>("wallet")?.0,
        since_no: row.get("since_no")?,
        until_no: row.get("until_no")?,
        at_s: row.get("at_s")?,
    })
}

pub(super) fn pending_moves(db: &Connection) -> Result<Vec<Move>, StoreError> {
    let mut find = db.prepare_cached(PENDING_MOVES)?;
    let rows = find.query_map([], |row| {
        Ok(Move {
            bucket: row.get("bucket")?,
            id: row.get("id")?,
            from: Account { psp: row.get("from_psp")?, account: row.get("from_account")? },
            to: Account { psp: row.get("to_psp")?, account: row.get("to_account")? },
            amount: amount(row, "amount")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
