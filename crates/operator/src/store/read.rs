//! Reading the rows that one statement needs.

use counterfoil_rail::Account;
use counterfoil_trust::open;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::Settlement;
use counterfoil_wire::{Digest, KeyId, Wire};
use rusqlite::{Connection, Row, params};

use super::rows::{Sql, amount, digest, key_id, record};
use super::sqlite::SqliteStore;
use super::{Needs, Order, OrderState, Revocation, Store, StoreError, scan};
use crate::domain::holding::{Rows, is_move_of};
use crate::domain::reconcile::{Move, WorkingSet};
use crate::domain::record::{Record, bit};
use crate::domain::{bucket, ledger};

pub(super) fn gather(store: &SqliteStore, needs: &Needs) -> Result<WorkingSet, StoreError> {
    let mut set = WorkingSet::default();
    let db = &store.db;
    let mut keep = |record: Record| {
        set.records.insert(record.id, record);
    };
    let mut by_id = db.prepare_cached("select * from record where bucket = ?1 and payer = ?2 and id = ?3")?;
    for (payer, id) in &needs.records {
        for found in by_id.query_and_then(params![bucket(payer), payer.0, id.0], record)? {
            keep(found?);
        }
    }
    // Intervals of an honest wallet are disjoint, so that the first that ends above `from` tells; of a cheat's, all
    // that end within reach are looked at.
    let mut by_seq =
        db.prepare_cached("select * from record where bucket = ?1 and payer = ?2 and payer_seq = ?3")?;
    let mut by_spent = db.prepare_cached(
        "select * from record where bucket = ?1 and payer = ?2 and spent > ?3 and spent - amount < ?4",
    )?;
    for (payer, seq, from, spent) in &needs.neighbours {
        for found in by_seq.query_and_then(params![bucket(payer), payer.0, seq], record)? {
            keep(found?);
        }
        for found in
            by_spent.query_and_then(params![bucket(payer), payer.0, Sql(*from), Sql(*spent)], record)?
        {
            keep(found?);
        }
    }
    // Payments that the wallet sent and does not know the end of.
    let mut open_ones =
        db.prepare_cached("select * from record where bucket = ?1 and payer = ?2 and bits & ?3 = 0")?;
    for found in open_ones.query_and_then(params![bucket(&needs.own), needs.own.0, bit::CLOSED], record)? {
        keep(found?);
    }
    let mut keys = needs.wallets.clone();
    keys.insert(needs.own);
    keys.extend(set.records.values().flat_map(|record| [record.payer, record.payee]));
    for key in keys {
        if let Some(wallet) = store.wallet(&key)? {
            set.wallets.insert(key, wallet);
        }
    }
    statements(db, needs, &mut set)?;
    certificates(db, needs, &mut set)?;
    Ok(set)
}

fn statements(db: &Connection, needs: &Needs, set: &mut WorkingSet) -> Result<(), StoreError> {
    let home = bucket(&needs.own);
    set.heads.insert((0, Digest::NONE));
    let mut heads = db.prepare_cached(
        "select seq, id, signed from statement where bucket = ?1 and wallet = ?2 and seq >= ?3",
    )?;
    let mut rows = heads.query(params![home, needs.own.0, needs.heads_from])?;
    while let Some(row) = rows.next()? {
        set.heads.insert((row.get(0)?, row.get::<_, Sql<Digest>>(1)?.0));
        if let Some(signed) = row.get::<_, Option<Vec<u8>>>(2)? {
            let signed = SignedHeader::from_bytes(&signed).map_err(|_| StoreError::Damaged("statement"))?;
            set.statements.push(signed);
        }
    }
    let mut by_id = db.prepare_cached(
        "select settlement from statement where bucket = ?1 and wallet = ?2 and settlement_id = ?3",
    )?;
    for id in &needs.settlements {
        let mut rows = by_id.query(params![home, needs.own.0, id.0])?;
        if let Some(row) = rows.next()? {
            let opened = open::<Settlement>(&row.get::<_, Vec<u8>>(0)?);
            set.settlements.insert(*id, opened.map_err(|_| StoreError::Damaged("statement"))?.body);
        }
    }
    Ok(())
}

/// The newest settlement of each wallet that has a certificate: every certificate was issued in one.
fn certificates(db: &Connection, needs: &Needs, set: &mut WorkingSet) -> Result<(), StoreError> {
    let mut newest = db.prepare_cached(
        "select settlement from statement where bucket = ?1 and wallet = ?2 order by seq desc",
    )?;
    for key in &needs.certs {
        let mut rows = newest.query(params![bucket(key), key.0])?;
        while let Some(row) = rows.next()? {
            let opened = open::<Settlement>(&row.get::<_, Vec<u8>>(0)?);
            if let Some(cert) = opened.map_err(|_| StoreError::Damaged("statement"))?.body.cert {
                set.certs.insert(*key, cert);
                break;
            }
        }
    }
    Ok(())
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
    // Written out, so that the index of payments in flight is used.
    let mut find = db.prepare_cached("select * from record where payee = ?1 and bits & 96 = 0")?;
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
    let mut find = db.prepare_cached("select * from rail_move where done = 0 order by bucket, id")?;
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
