//! One moment of the store, read bucket by bucket.

use std::collections::BTreeMap;

use counterfoil_wire::KeyId;

use super::database::Moment;
use super::value::{Fields, Row, Value};
use super::{Alike, Snapshot, StoreError, queries, rows};
use crate::domain::BUCKETS;
use crate::domain::audit::{Entry, Rows};
use crate::domain::ledger::Kind;
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::trace::Flows;
use crate::domain::wallet::Wallet;

/// A moment of any database.
pub(super) struct At {
    pub(super) moment: Box<dyn Moment>,
    /// With so few wallets or fewer, all buckets are looked at as one: an audit keeps a few numbers of each wallet of a bucket, and
    /// asks for each bucket anew.
    pub(super) few: u16,
}

impl At {
    fn count(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<i64, StoreError> {
        let mut count = 0;
        self.moment.visit(sql, parameters, &mut |row| {
            count = Fields::new("wallet", row).int()?;
            Ok(())
        })?;
        Ok(count)
    }

    fn all<T>(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        read: impl Fn(Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.moment.visit(sql, parameters, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// What others have of a wallet, and nothing else.
    fn passed_on(&mut self, sql: &str, payer: &KeyId) -> Result<Flows, StoreError> {
        let mut passed_on = self.all(sql, &up_to(payer, PAYEES_MAX + 1), |row| {
            let mut row = Fields::new("record", row);
            Ok((row.key_id()?, row.int()?, row.int()?))
        })?;
        let whole = passed_on.len() <= PAYEES_MAX;
        passed_on.truncate(PAYEES_MAX);
        Ok(Flows { passed_on, whole, ..Flows::default() })
    }

    fn each(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        show: &mut dyn FnMut(Entry),
        read: impl Fn(Row) -> Result<Entry, StoreError>,
    ) -> Result<(), StoreError> {
        self.moment.visit(sql, parameters, &mut |row| {
            show(read(row)?);
            Ok(())
        })
    }
}

/// What [`At::few`] is.
pub(super) const FEW: u16 = 10_000;

impl Rows for At {
    type Error = StoreError;

    fn visit(&mut self, show: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        let few = self.count(queries::FEW_WALLETS, &[self.few.saturating_add(1).into()])? <= self.few.into();
        let step = if few { BUCKETS } else { 1 };
        for first in (0..BUCKETS).step_by(step.into()) {
            let buckets = [first.into(), first.saturating_add(step).into()];
            self.each(queries::CASES, &buckets, show, |row| {
                case(row).map(|(key, reason)| Entry::Case(key, reason))
            })?;
            self.each(queries::WALLETS, &buckets, show, |row| {
                rows::wallet(row).map(Box::new).map(Entry::Wallet)
            })?;
            self.each(queries::POSTINGS, &buckets, show, |row| rows::posting(row).map(Entry::Posting))?;
            self.each(queries::RECORDS, &buckets, show, |row| rows::record(row).map(Entry::Payment))?;
            self.each(queries::OPEN_IDS, &buckets, show, |row| {
                let mut row = Fields::new("open_payment", row);
                Ok(Entry::Open(row.key_id()?, row.digest()?))
            })?;
            self.each(queries::FORKED_IDS, &buckets, show, |row| {
                let mut row = Fields::new("forked_payment", row);
                Ok(Entry::InConflict(row.key_id()?, row.digest()?))
            })?;
            self.each(queries::TALLIES, &buckets, show, |row| {
                let (bucket, reason, payments, minor) = tally(row)?;
                Ok(Entry::Tally(bucket, reason, payments, minor))
            })?;
            show(Entry::EndOfBucket);
        }
        self.each(queries::PENDING_MOVES, &[], show, |row| rows::rail_move(row).map(Entry::Transfer))?;
        self.each(queries::PENDING_ORDERS, &[], show, |row| Ok(Entry::Order(rows::order(row)?.amount)))
    }
}

impl Snapshot for At {
    fn open_by_bits(&mut self) -> Result<Vec<Alike>, StoreError> {
        self.all(queries::OPEN_BY_BITS, &[], |row| {
            let mut row = Fields::new("open_payment", row);
            Ok(Alike { bits: row.int()?, count: row.int()?, minor: row.int()?, oldest_s: row.int()? })
        })
    }

    fn tallies(&mut self) -> Result<BTreeMap<Reason, (u64, i128)>, StoreError> {
        let mut sums: BTreeMap<Reason, (u64, i128)> = BTreeMap::new();
        self.moment.visit(queries::TALLIES, &[0u16.into(), BUCKETS.into()], &mut |row| {
            let (_, reason, payments, minor) = tally(row)?;
            let sum = sums.entry(reason).or_default();
            *sum = (sum.0.saturating_add(payments), sum.1 + minor);
            Ok(())
        })?;
        Ok(sums)
    }

    fn accused(&mut self) -> Result<BTreeMap<Reason, u64>, StoreError> {
        let mut keys: BTreeMap<Reason, u64> = BTreeMap::new();
        self.moment.visit(queries::CASES, &[0u16.into(), BUCKETS.into()], &mut |row| {
            *keys.entry(case(row)?.1).or_default() += 1;
            Ok(())
        })?;
        Ok(keys)
    }

    fn wallet(&mut self, key: &KeyId) -> Result<Option<Wallet>, StoreError> {
        Ok(self.all(queries::WALLET, &own(key), rows::wallet)?.pop())
    }

    fn evidence(
        &mut self,
        key: &KeyId,
        pieces_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Reason, u32, Vec<u8>)>, StoreError> {
        let (mut found, mut bytes) = (Vec::new(), 0usize);
        self.moment.visit(queries::EVIDENCE, &up_to(key, pieces_max), &mut |row| {
            let mut row = Fields::new("misconduct", row);
            let piece = (row.reason()?, row.int()?, row.bytes()?);
            bytes = bytes.saturating_add(piece.2.len());
            if found.is_empty() || bytes <= bytes_max {
                found.push(piece);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn disputed(&mut self, payer: &KeyId, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.all(queries::DISPUTED, &up_to(payer, limit), rows::record)
    }

    fn disputed_flows(&mut self, payer: &KeyId) -> Result<Flows, StoreError> {
        self.passed_on(queries::DISPUTED_PASSED_ON, payer)
    }

    fn flows(&mut self, key: &KeyId) -> Result<Flows, StoreError> {
        let moved = self.all(queries::MOVED_BY_KIND, &own(key), |row| {
            let mut row = Fields::new("ledger", row);
            let kind = Kind::from_number(row.int()?).ok_or_else(|| row.damaged())?;
            Ok((kind, row.int::<u64>()?))
        })?;
        let of = |wanted: &[Kind]| -> u64 {
            moved.iter().filter(|(kind, _)| wanted.contains(kind)).map(|(_, minor)| *minor).sum()
        };
        let passed_on = self.passed_on(queries::PASSED_ON, key)?;
        let taken: u64 = passed_on.passed_on.iter().map(|(_, minor, _)| *minor).sum();
        let sent = of(&[Kind::Send]).saturating_sub(of(&[Kind::Return]));
        // Of what was sent to payees that are not named here, nobody knows whether it arrived.
        let in_flight = if passed_on.whole { sent.saturating_sub(taken) } else { 0 };
        Ok(Flows {
            received: of(&[Kind::Fund, Kind::Receive]).saturating_sub(of(&[Kind::Reverse])),
            in_flight,
            cashed_out: of(&[Kind::Defund, Kind::PayOut, Kind::CloseOut]),
            ..passed_on
        })
    }

    fn listed(&mut self, key: &KeyId) -> Result<Option<(u32, u32)>, StoreError> {
        let found = self.all(queries::LISTED, &own(key), |row| {
            let mut row = Fields::new("revocation", row);
            Ok((row.int()?, row.int()?))
        });
        Ok(found?.pop())
    }
}

/// Payees of one wallet that a trace follows.
const PAYEES_MAX: usize = 1_000;

fn own(key: &KeyId) -> [Value<'_>; 2] {
    [Value::bucket(key), key.into()]
}

fn up_to(key: &KeyId, limit: usize) -> [Value<'_>; 3] {
    [Value::bucket(key), key.into(), Value::count(u64::try_from(limit).unwrap_or(u64::MAX))]
}

fn case(row: Row) -> Result<(KeyId, Reason), StoreError> {
    let mut row = Fields::new("misconduct", row);
    Ok((row.key_id()?, row.reason()?))
}

fn tally(row: Row) -> Result<(u16, Reason, u64, i128), StoreError> {
    let mut row = Fields::new("tally", row);
    Ok((row.int()?, row.reason()?, row.int()?, i128::from(row.int::<i64>()?)))
}
