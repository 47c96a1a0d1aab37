//! Reading everything, for an audit.

use rusqlite::{Connection, Row, params};

use super::rows::{amount, digest, key_id, record, wallet};
use super::{OrderState, StoreError, read};
use crate::domain::audit::Scan;
use crate::domain::ledger::{Account, Kind, Posting};
use crate::domain::reason::Reason;

pub(super) fn scan(db: &mut Connection) -> Result<Scan, StoreError> {
    // One transaction, so that all tables are read as of one moment.
    let tx = db.transaction()?;
    let wallets =
        tx.prepare("select * from wallet")?.query_and_then([], wallet)?.collect::<Result<_, _>>()?;
    let records = tx
        .prepare(
            "select bucket, payer, payer_seq, id, payee, request_no, amount, spent, payer_until_s, bits,
             first_seen_s, x'' as payment from record",
        )?
        .query_and_then([], record)?
        .collect::<Result<_, _>>()?;
    let postings =
        tx.prepare("select * from ledger")?.query_and_then([], posting)?.collect::<Result<_, _>>()?;
    let pending_orders = tx
        .prepare("select amount from fund_order where state = ?1")?
        .query_map(params![OrderState::Pending as u8], |row| {
            amount(row, "amount").map(|amount| amount.minor())
        })?
        .collect::<Result<_, _>>()?;
    let undelivered: i64 =
        tx.query_row("select count(*) from outbox where done = 0", [], |row| row.get(0))?;
    let cases = tx
        .prepare("select distinct wallet, reason from misconduct order by opened_at_s")?
        .query_and_then([], |row| {
            let reason = Reason::from_number(row.get("reason")?).ok_or(StoreError::Damaged("misconduct"))?;
            Ok::<_, StoreError>((key_id(row, "wallet")?, reason))
        })?
        .collect::<Result<_, _>>()?;
    Ok(Scan {
        wallets,
        records,
        postings,
        pending_moves: read::pending_moves(&tx)?,
        pending_orders,
        undelivered: undelivered.unsigned_abs(),
        cases,
    })
}

pub(super) fn posting(row: &Row<'_>) -> Result<Posting, StoreError> {
    let damaged = || StoreError::Damaged("ledger");
    let account = |column| Account::parse(&row.get::<_, String>(column).ok()?);
    Ok(Posting {
        bucket: row.get("bucket")?,
        kind: Kind::from_number(row.get("kind")?).ok_or_else(damaged)?,
        reference: digest(row, "reference")?,
        debit: account("debit").ok_or_else(damaged)?,
        credit: account("credit").ok_or_else(damaged)?,
        amount: amount(row, "amount")?,
    })
}
