//! The store on any database: which rows an operation writes and reads.

use std::collections::BTreeMap;

use counterfoil_wire::{Digest, KeyId};

use super::counted::Counted;
use super::database::{Database, Write};
use super::gather::gather;
use super::snapshot::{At, FEW};
use super::table::{self, Table};
use super::value::{Fields, Row, Value};
use super::{
    Asked, Batch, CaseCursor, CaseRow, Cursor, Issued, Kept, ListKind, ListedImage, Order, Psp, Published,
    Revocation, SCHEME, Snapshot, Store, StoreError, Transactions, Work, outbox, queries, rows,
};
use crate::domain::holding::{Rows, is_move_of};
use crate::domain::known::{Known, Needs};
use crate::domain::reason::Reason;
use crate::domain::reconcile::Move;
use crate::domain::record::{Changed, Record, bit};
use crate::domain::wallet::Wallet;
use crate::domain::{BUCKETS, bucket};

/// The store on the database `D`.
pub(super) struct SqlStore<D> {
    pub(super) db: Counted<D>,
    pub(super) transactions: Transactions,
}

impl<D: Database> SqlStore<D> {
    fn select(&self, query: &'static str, parameters: Vec<Value<'_>>) -> Result<Vec<Row>, StoreError> {
        Ok(self.db.select_each(query, &[parameters])?.into_iter().map(|(_, row)| row).collect())
    }

    fn all<T>(
        &self,
        query: &'static str,
        parameters: Vec<Value<'_>>,
        read: fn(Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.select(query, parameters)?.into_iter().map(read).collect()
    }

    fn first<T>(
        &self,
        query: &'static str,
        parameters: Vec<Value<'_>>,
        read: impl FnOnce(Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.select(query, parameters)?.into_iter().next().map(read).transpose()
    }
}

impl<D: Database> Store for SqlStore<D> {
    fn lock(&mut self) -> Result<(), StoreError> {
        self.db.lock()?;
        outbox::deliver(&mut self.db)
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        self.db.unlock()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        write_money(batch, &mut writes)?;
        write_answers(batch, &mut writes);
        write_lists(batch, &mut writes);
        write_scheme(batch, &mut writes);
        let empty = |write: &Write<'_>| write.parts().1.is_empty();
        writes.retain(|write| !empty(write));
        // In the order of their keys: neighbours are on one page, and two writers would not wait for each other in a circle.
        for write in &mut writes {
            if let Write::Rows(_, rows) = write {
                rows.sort_unstable();
            }
        }
        match self.transactions {
            Transactions::Together => self.db.write(&writes),
            Transactions::ByBucket => outbox::commit(&mut self.db, writes),
        }
    }

    fn wallet(&self, key: &KeyId) -> Result<Option<Wallet>, StoreError> {
        self.first(queries::WALLET, vec![Value::bucket(key), key.into()], rows::wallet)
    }

    fn wallets(&self, keys: &[KeyId]) -> Result<Vec<Wallet>, StoreError> {
        let asked: Vec<_> = keys.iter().map(|key| vec![Value::bucket(key), key.into()]).collect();
        self.db.select_each(queries::WALLET, &asked)?.into_iter().map(|(_, row)| rows::wallet(row)).collect()
    }

    fn open_payments(&self, after: Option<Cursor>, limit: usize) -> Result<Vec<Record>, StoreError> {
        let mut found: Vec<Record> = Vec::new();
        let begin = || (Vec::new(), -1, Vec::new());
        let first = |after: Cursor| (after.payer.0.to_vec(), i64::from(after.payer_seq), after.id.0.to_vec());
        let mut place = after.map_or_else(begin, first);
        for bucket in after.map_or(0, |after| bucket(&after.payer))..BUCKETS {
            let more = limit.saturating_sub(found.len());
            if more == 0 {
                break;
            }
            let (payer, seq, id) = std::mem::replace(&mut place, begin());
            let more = Value::count(u64::try_from(more).unwrap_or(u64::MAX));
            let page = vec![bucket.into(), payer.into(), seq.into(), id.into(), more];
            found.extend(self.all(queries::OPEN_PAYMENTS, page, rows::record)?);
        }
        Ok(found)
    }

    fn cases(&self, after: Option<CaseCursor>, limit: usize) -> Result<Vec<CaseRow>, StoreError> {
        let mut found: Vec<CaseRow> = Vec::new();
        let mut place = after.map_or((Vec::new(), 0), |after| (after.key.0.to_vec(), after.reason as u8));
        for bucket in after.map_or(0, |after| bucket(&after.key))..BUCKETS {
            let more = limit.saturating_sub(found.len());
            if more == 0 {
                break;
            }
            let (key, reason) = std::mem::take(&mut place);
            let more = Value::count(u64::try_from(more).unwrap_or(u64::MAX));
            let page = vec![bucket.into(), key.into(), reason.into(), more];
            found.extend(self.all(queries::CASE_LIST, page, |row| {
                let mut row = Fields::new("misconduct", row);
                Ok(CaseRow {
                    key: row.key_id()?,
                    reason: row.reason()?,
                    count: row.int()?,
                    opened_at_s: row.int()?,
                })
            })?);
        }
        Ok(found)
    }

    fn gather(&self, needs: &[Needs]) -> Result<Known, StoreError> {
        gather(&self.db, needs)
    }

    fn payments(&self, records: &[&Record]) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
        let places: Vec<_> = records.iter().map(|record| rows::place(record)).collect();
        let found = self.db.select_each(queries::PAYMENT, &places)?.into_iter();
        let read = |(_, row)| {
            let mut row = Fields::new("record", row);
            Ok((row.digest()?, row.bytes()?))
        };
        found.map(read).collect()
    }

    fn answered(&self, asked: &[(KeyId, Digest)]) -> Result<Vec<Asked>, StoreError> {
        let mut told: Vec<Asked> = asked.iter().map(|_| Asked::Stranger).collect();
        let wallets: Vec<_> = asked.iter().map(|(key, _)| vec![Value::bucket(key), key.into()]).collect();
        for (at, _) in self.db.select_each(queries::WALLET_IS_THERE, &wallets)? {
            if let Some(told) = told.get_mut(at) {
                *told = Asked::New;
            }
        }
        let message = |(key, message): &'_ (KeyId, Digest)| {
            vec![Value::bucket(key), key.0.to_vec().into(), message.0.to_vec().into()]
        };
        let messages: Vec<_> = asked.iter().map(message).collect();
        for (at, row) in self.db.select_each(queries::ANSWERED, &messages)? {
            if let Some(told) = told.get_mut(at) {
                *told = Asked::Answered(Fields::new("statement", row).bytes()?);
            }
        }
        Ok(told)
    }

    fn order(&self, key: &KeyId, number: u32) -> Result<Option<Order>, StoreError> {
        self.first(queries::ORDER, vec![Value::bucket(key), key.into(), number.into()], rows::order)
    }

    fn pending_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.all(queries::PENDING_ORDERS, vec![], rows::order)
    }

    fn pending_moves(&self) -> Result<Vec<Move>, StoreError> {
        self.all(queries::PENDING_MOVES, vec![], rows::rail_move)
    }

    fn newest(&self, kind: ListKind) -> Result<Option<Published>, StoreError> {
        self.first(queries::NEWEST, vec![SCHEME.into(), (kind as u8).into()], |row| {
            let mut row = Fields::new("published", row);
            Ok(Published { kind, number: row.int()?, issued_at_s: row.int()?, bytes: row.bytes()? })
        })
    }

    fn issued_at(&self, kind: ListKind, number: u32) -> Result<Option<u32>, StoreError> {
        let list = vec![SCHEME.into(), (kind as u8).into(), number.into()];
        self.first(queries::ISSUED_AT, list, |row| Fields::new("published", row).int())
    }

    fn revocations(&self) -> Result<Vec<Revocation>, StoreError> {
        self.all(queries::REVOCATIONS, vec![], rows::revocation)
    }

    fn unlisted(&self) -> Result<Vec<Wallet>, StoreError> {
        self.all(queries::UNLISTED, vec![], rows::wallet)
    }

    fn overdue(&self, ended_before_s: u32) -> Result<Vec<Wallet>, StoreError> {
        self.all(queries::OVERDUE, vec![ended_before_s.into()], rows::wallet)
    }

    fn closed_with_rest(&self) -> Result<Vec<KeyId>, StoreError> {
        self.all(queries::CLOSED_WITH_REST, vec![], |row| Fields::new("wallet", row).key_id())
    }

    fn holding_rows(&self, key: &KeyId) -> Result<Option<Rows>, StoreError> {
        let Some(wallet) = self.wallet(key)? else { return Ok(None) };
        let own = || vec![Value::bucket(key), key.into()];
        // Whatever touches a wallet's account is a step of that wallet.
        let postings = self.all(queries::POSTINGS_OF, own(), rows::posting)?;
        let mut outgoing = Vec::new();
        for sent in self.all(queries::SENT_IN_FLIGHT, own(), rows::record)? {
            let until_s = self.wallet(&sent.payee)?.map_or(0, |payee| payee.cert_until_s);
            outgoing.push((sent, until_s));
        }
        let incoming = self.all(queries::IN_FLIGHT, vec![key.into()], rows::record)?;
        let orders = self.pending_orders()?.into_iter().filter(|order| order.wallet == *key);
        let orders = orders.map(|order| (order.number, order.amount)).collect();
        let moves = self.pending_moves()?.into_iter().filter(|order| is_move_of(order, key)).collect();
        Ok(Some(Rows { wallet, postings, outgoing, incoming, orders, moves }))
    }

    fn revoked_certificates(&self, now_s: u32) -> Result<Vec<(Issued, u32)>, StoreError> {
        self.all(queries::REVOKED_CERTIFICATES, vec![now_s.into()], |row| {
            let mut row = Fields::new("certificate", row);
            let issued = Issued {
                wallet: row.key_id()?,
                status_index: row.int()?,
                from_s: row.int()?,
                until_s: row.int()?,
            };
            Ok((issued, row.int()?))
        })
    }

    fn psps(&self) -> Result<Vec<Psp>, StoreError> {
        self.all(queries::PSPS, vec![SCHEME.into()], |row| {
            let mut row = Fields::new("psp", row);
            Ok(Psp { name: row.text()?, token: row.digest()? })
        })
    }

    fn next_index(&self, psp: &str, algorithm: &str) -> Result<Option<u32>, StoreError> {
        let issuer = vec![SCHEME.into(), psp.into(), algorithm.into()];
        self.first(queries::NEXT_INDEX, issuer, |row| Fields::new("issuer", row).int())
    }

    fn activation_open(
        &self,
        code: &Digest,
        psp: &str,
        account: &str,
        now_s: u32,
    ) -> Result<bool, StoreError> {
        let activation = vec![SCHEME.into(), code.into(), psp.into(), account.into(), now_s.into()];
        Ok(!self.select(queries::ACTIVATION_OPEN, activation)?.is_empty())
    }

    fn images(&self) -> Result<Vec<ListedImage>, StoreError> {
        self.all(queries::IMAGES, vec![SCHEME.into()], rows::image)
    }

    fn kept(&self, keys: &[Digest]) -> Result<Vec<Option<Kept>>, StoreError> {
        let mut found: Vec<Option<Kept>> = keys.iter().map(|_| None).collect();
        let asked: Vec<_> = keys.iter().map(|key| vec![Value::bucket(&KeyId(key.0)), key.into()]).collect();
        for (at, row) in self.db.select_each(queries::KEPT, &asked)? {
            let mut row = Fields::new("idempotency", row);
            let kept = Kept { request: row.digest()?, status: row.int()?, body: row.text()? };
            if let Some(place) = found.get_mut(at) {
                *place = Some(kept);
            }
        }
        Ok(found)
    }

    fn settings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let pair = |row| {
            let mut row = Fields::new("setting", row);
            Ok((row.text()?, row.text()?))
        };
        Ok(self.all(queries::SETTINGS, vec![SCHEME.into()], pair)?.into_iter().collect())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(At { moment: self.db.snapshot()?, few: FEW }))
    }

    fn work(&self) -> Work {
        self.db.work()
    }
}

fn each<'a, T>(
    table: &'static Table,
    values: impl IntoIterator<Item = &'a T>,
    put: fn(&'a T) -> Vec<Value<'a>>,
) -> Write<'a> {
    Write::Rows(table, values.into_iter().map(put).collect())
}

fn write_money<'a>(batch: &'a Batch, writes: &mut Vec<Write<'a>>) -> Result<(), StoreError> {
    let wallets = batch.wallets.iter().map(rows::put_wallet).collect::<Result<_, _>>()?;
    writes.push(Write::Rows(&table::WALLET, wallets));
    let new =
        || batch.records.iter().filter(|changed| changed.before.is_none()).map(|changed| &changed.record);
    writes.push(each(&table::RECORD, new(), rows::put_record));
    writes.push(each(&table::OPEN_PAYMENT, new().filter(|record| record.is_open()), rows::put_open));
    let (mut bits, mut at_rest, mut forked) = (Vec::new(), Vec::new(), Vec::new());
    let mut tallies: BTreeMap<(u16, Reason), (i64, i64)> = BTreeMap::new();
    for Changed { record, before } in &batch.records {
        let minor = i64::try_from(record.amount.minor()).unwrap_or(i64::MAX);
        let mut count = |bits: u16, sign: i64| {
            let sum = tallies.entry((bucket(&record.payer), bit::reason(bits))).or_default();
            *sum = (sum.0 + sign, sum.1.saturating_add(sign * minor));
        };
        count(record.bits, 1);
        if let Some(before) = before {
            count(*before, -1);
        }
        if let Some(before) = before {
            bits.push([vec![record.bits.into()], rows::place(record)].concat());
            if bit::is_open(*before) && !record.is_open() {
                at_rest.push(rows::place(record));
            }
        }
        if record.has(bit::FORKED) && before.is_none_or(|before| before & bit::FORKED == 0) {
            forked.push(rows::place(record));
        }
    }
    writes.push(Write::Change(&queries::SET_BITS, bits));
    writes.push(Write::Change(&queries::COME_TO_REST, at_rest));
    writes.push(Write::Rows(&table::FORKED_PAYMENT, forked));
    let tallies = tallies.into_iter().filter(|(_, sum)| *sum != (0, 0));
    let tally = |((bucket, reason), (payments, minor)): ((u16, Reason), (i64, i64))| {
        vec![bucket.into(), (reason as u8).into(), payments.into(), minor.into()]
    };
    writes.push(Write::Rows(&table::TALLY, tallies.map(tally).collect()));
    writes.push(each(&table::LEDGER, &batch.postings, rows::put_posting));
    writes.push(each(&table::RAIL_MOVE, &batch.moves, rows::put_move));
    writes.push(each(&table::FUND_ORDER, &batch.order, rows::put_order));
    for (bucket, id) in &batch.moved {
        writes.push(Write::Change(&queries::MOVED, vec![vec![(*bucket).into(), id.into()]]));
    }
    Ok(())
}

fn write_answers<'a>(batch: &'a Batch, writes: &mut Vec<Write<'a>>) {
    writes.push(each(&table::MISCONDUCT, &batch.cases, rows::put_case));
    writes.push(each(&table::STATEMENT, &batch.answers, rows::put_answer));
    writes.push(each(&table::IDEMPOTENCY, &batch.kept, rows::put_kept));
}

fn write_lists<'a>(batch: &'a Batch, writes: &mut Vec<Write<'a>>) {
    writes.push(each(&table::CERTIFICATE, &batch.issued, rows::put_issued));
    writes.push(each(&table::PUBLISHED, &batch.published, rows::put_published));
    writes.push(each(&table::REVOCATION, &batch.revocations, rows::put_revocation));
    if let Some((code, psp, account)) = &batch.activation {
        let activation = vec![SCHEME.into(), code.into(), psp.into(), account.into()];
        writes.push(Write::Change(&queries::USE_ACTIVATION, vec![activation]));
    }
    if let Some((psp, algorithm, next)) = &batch.next_index {
        let index = vec![(*next).into(), SCHEME.into(), psp.into(), algorithm.into()];
        writes.push(Write::Change(&queries::USE_INDEX, vec![index]));
    }
}

fn write_scheme<'a>(batch: &'a Batch, writes: &mut Vec<Write<'a>>) {
    let pair = |(name, value): &'a (String, String)| vec![SCHEME.into(), name.into(), value.into()];
    writes.push(Write::Rows(&table::SETTING, batch.settings.iter().map(pair).collect()));
    writes.push(each(&table::IMAGE, &batch.images, rows::put_image));
    for (psp, issuers) in &batch.psps {
        let row = vec![SCHEME.into(), (&psp.name).into(), (&psp.token).into()];
        writes.push(Write::Rows(&table::PSP, vec![row]));
        let issuer = |(algorithm, first): &'a (String, u32)| {
            vec![SCHEME.into(), (&psp.name).into(), algorithm.into(), (*first).into()]
        };
        writes.push(Write::Rows(&table::ISSUER, issuers.iter().map(issuer).collect()));
    }
    if let Some(new) = &batch.new_activation {
        let row = vec![
            SCHEME.into(),
            (&new.code).into(),
            (&new.psp).into(),
            (&new.account).into(),
            new.until_s.into(),
            false.into(),
        ];
        writes.push(Write::Rows(&table::ACTIVATION, vec![row]));
    }
}
