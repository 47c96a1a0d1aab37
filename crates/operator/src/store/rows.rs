//! How rows become values.

use counterfoil_wire::cert::Grade;
use counterfoil_wire::element::{CounterKind, Tamper};
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Amount, Digest, KeyId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, params};

use super::{StoreError, key_of};
use crate::domain::bucket;
use crate::domain::element::{Element, Evidence};
use crate::domain::record::Record;
use crate::domain::wallet::Wallet;

/// A wire value as SQLite keeps it: 32 bytes as a blob, an amount as an integer.
pub(super) struct Sql<T>(pub(super) T);

impl FromSql for Sql<KeyId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(|bytes| Self(KeyId(bytes)))
    }
}

impl FromSql for Sql<Digest> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(|bytes| Self(Digest(bytes)))
    }
}

impl FromSql for Sql<Amount> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let minor = value.as_i64()?;
        let amount = u64::try_from(minor).ok().and_then(Amount::new);
        amount.map(Self).ok_or(FromSqlError::OutOfRange(minor))
    }
}

impl ToSql for Sql<Amount> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // An amount is below 2^53.
        Ok(ToSqlOutput::from(i64::try_from(self.0.minor()).unwrap_or(i64::MAX)))
    }
}

pub(super) fn amount(row: &Row<'_>, column: &str) -> rusqlite::Result<Amount> {
    row.get::<_, Sql<Amount>>(column).map(|value| value.0)
}

pub(super) fn digest(row: &Row<'_>, column: &str) -> rusqlite::Result<Digest> {
    row.get::<_, Sql<Digest>>(column).map(|value| value.0)
}

pub(super) fn key_id(row: &Row<'_>, column: &str) -> rusqlite::Result<KeyId> {
    row.get::<_, Sql<KeyId>>(column).map(|value| value.0)
}

pub(super) const WALLET: &str = "select * from wallet where bucket = ?1 and id = ?2";

pub(super) const PUT_WALLET: &str = "insert into wallet values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
    ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29,
    ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40)
    on conflict (bucket, id) do update set spent = excluded.spent, acked_seq = excluded.acked_seq,
    acked = excluded.acked, claimed = excluded.claimed, funding_applied = excluded.funding_applied,
    funding_total = excluded.funding_total, order_no = excluded.order_no, shadow = excluded.shadow,
    loss = excluded.loss, loss_no = excluded.loss_no, liable = excluded.liable, suspended = excluded.suspended,
    revoked = excluded.revoked, pin_unblock = excluded.pin_unblock, cert_from_s = excluded.cert_from_s,
    cert_until_s = excluded.cert_until_s, synced_at_s = excluded.synced_at_s,
    closed_below = excluded.closed_below, closed_before_s = excluded.closed_before_s, returned = excluded.returned,
    paid_out = excluded.paid_out, closed_at_s = excluded.closed_at_s, closed_out = excluded.closed_out,
    closed_out_no = excluded.closed_out_no, tamper = excluded.tamper, tamper_at_s = excluded.tamper_at_s,
    lowered = excluded.lowered";

pub(super) fn put_wallet(statement: &mut rusqlite::Statement<'_>, wallet: &Wallet) -> Result<(), StoreError> {
    let returned: Vec<(u32, u64)> =
        wallet.returned.iter().map(|(seq, amount)| (*seq, amount.minor())).collect();
    let returned = serde_json::to_string(&returned).map_err(|_| StoreError::Damaged("wallet"))?;
    statement.execute(params![
        bucket(&wallet.id),
        wallet.id.0,
        wallet.key.as_bytes(),
        wallet.psp,
        wallet.account,
        wallet.name,
        wallet.grade.number(),
        wallet.status_index,
        Sql(wallet.spent),
        wallet.acked_seq,
        wallet.acked.0,
        Sql(wallet.claimed),
        Sql(wallet.funding_applied),
        Sql(wallet.funding_total),
        wallet.order_no,
        wallet.shadow,
        i64::try_from(wallet.loss).unwrap_or(i64::MAX),
        wallet.loss_no,
        wallet.liable,
        wallet.standing == Standing::Suspended,
        wallet.revoked,
        wallet.pin_unblock,
        wallet.cert_from_s,
        wallet.cert_until_s,
        wallet.synced_at_s,
        wallet.closed_below,
        wallet.closed_before_s,
        returned,
        Sql(wallet.paid_out),
        wallet.closed_at_s,
        Sql(wallet.closed_out),
        wallet.closed_out_no,
        wallet.element.image.0,
        wallet.element.image_version,
        wallet.element.application.0,
        wallet.element.counter.number(),
        wallet.element.evidence as u8,
        wallet.tamper.map(Tamper::number),
        wallet.tamper_at_s,
        wallet.lowered,
    ])?;
    Ok(())
}

pub(super) fn wallet(row: &Row<'_>) -> Result<Wallet, StoreError> {
    let damaged = || StoreError::Damaged("wallet");
    let returned: Vec<(u32, u64)> =
        serde_json::from_str(&row.get::<_, String>("returned")?).map_err(|_| damaged())?;
    let returned = returned.into_iter().map(|(seq, minor)| Some((seq, Amount::new(minor)?)));
    let suspended: bool = row.get("suspended")?;
    Ok(Wallet {
        id: key_id(row, "id")?,
        key: key_of(&row.get::<_, Vec<u8>>("key")?, "wallet")?,
        psp: row.get("psp")?,
        account: row.get("account")?,
        name: row.get("name")?,
        grade: Grade::from_number(u64::from(row.get::<_, u16>("grade")?)).ok_or_else(damaged)?,
        status_index: row.get("status_index")?,
        spent: amount(row, "spent")?,
        acked_seq: row.get("acked_seq")?,
        acked: digest(row, "acked")?,
        claimed: amount(row, "claimed")?,
        funding_applied: amount(row, "funding_applied")?,
        funding_total: amount(row, "funding_total")?,
        order_no: row.get("order_no")?,
        shadow: row.get("shadow")?,
        loss: u64::try_from(row.get::<_, i64>("loss")?).map_err(|_| damaged())?,
        loss_no: row.get("loss_no")?,
        liable: row.get("liable")?,
        standing: if suspended { Standing::Suspended } else { Standing::Good },
        revoked: row.get("revoked")?,
        pin_unblock: row.get("pin_unblock")?,
        cert_from_s: row.get("cert_from_s")?,
        cert_until_s: row.get("cert_until_s")?,
        synced_at_s: row.get("synced_at_s")?,
        closed_below: row.get("closed_below")?,
        closed_before_s: row.get("closed_before_s")?,
        returned: returned.collect::<Option<_>>().ok_or_else(damaged)?,
        paid_out: amount(row, "paid_out")?,
        closed_at_s: row.get("closed_at_s")?,
        closed_out: amount(row, "closed_out")?,
        closed_out_no: row.get("closed_out_no")?,
        element: element(row)?,
        tamper: match row.get::<_, Option<u32>>("tamper")? {
            Some(number) => Some(Tamper::from_number(number.into()).ok_or_else(damaged)?),
            None => None,
        },
        tamper_at_s: row.get("tamper_at_s")?,
        lowered: row.get("lowered")?,
    })
}

fn element(row: &Row<'_>) -> Result<Element, StoreError> {
    let damaged = || StoreError::Damaged("wallet");
    Ok(Element {
        image: digest(row, "image")?,
        image_version: row.get("image_version")?,
        application: digest(row, "application")?,
        counter: CounterKind::from_number(row.get::<_, u32>("counter")?.into()).ok_or_else(damaged)?,
        evidence: Evidence::from_number(row.get("evidence")?).ok_or_else(damaged)?,
    })
}

pub(super) const PUT_RECORD: &str =
    "insert into record values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    on conflict (bucket, payer, payer_seq, id) do update set bits = excluded.bits";

pub(super) fn put_record(statement: &mut rusqlite::Statement<'_>, record: &Record) -> Result<(), StoreError> {
    statement.execute(params![
        bucket(&record.payer),
        record.payer.0,
        record.payer_seq,
        record.id.0,
        record.payee.0,
        record.request_no,
        Sql(record.amount),
        Sql(record.spent),
        record.payer_until_s,
        record.bits,
        record.first_seen_s,
        record.payment,
    ])?;
    Ok(())
}

pub(super) fn record(row: &Row<'_>) -> Result<Record, StoreError> {
    Ok(Record {
        id: digest(row, "id")?,
        payer: key_id(row, "payer")?,
        payer_seq: row.get("payer_seq")?,
        payee: key_id(row, "payee")?,
        request_no: row.get("request_no")?,
        amount: amount(row, "amount")?,
        spent: amount(row, "spent")?,
        payer_until_s: row.get("payer_until_s")?,
        bits: row.get("bits")?,
        first_seen_s: row.get("first_seen_s")?,
        payment: row.get("payment")?,
    })
}
