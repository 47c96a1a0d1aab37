//! A database that counts what it is asked, so that a benchmark can tell whether a payment costs more as the ledger grows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::database::{Database, Moment, Write};
use super::value::{Row, Value};
use super::{StoreError, Work};

/// The database `D`, counted. Snapshots are not.
pub(super) struct Counted<D> {
    pub(super) db: D,
    statements: AtomicU64,
    rows_read: AtomicU64,
    rows_written: AtomicU64,
}

impl<D> Counted<D> {
    pub(super) fn new(db: D) -> Self {
        let [statements, rows_read, rows_written] = Default::default();
        Self { db, statements, rows_read, rows_written }
    }

    pub(super) fn work(&self) -> Work {
        Work {
            statements: self.statements.load(Relaxed),
            rows_read: self.rows_read.load(Relaxed),
            rows_written: self.rows_written.load(Relaxed),
        }
    }

    fn writing(&self, writes: &[Write<'_>]) {
        let rows: usize = writes.iter().map(|write| write.parts().1.len()).sum();
        self.statements.fetch_add(count(writes.len()), Relaxed);
        self.rows_written.fetch_add(count(rows), Relaxed);
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl<D: Database> Database for Counted<D> {
    fn lock(&mut self) -> Result<(), StoreError> {
        self.db.lock()
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        self.db.unlock()
    }

    fn select_each(&self, sql: &str, sets: &[Vec<Value<'_>>]) -> Result<Vec<(usize, Row)>, StoreError> {
        let found = self.db.select_each(sql, sets)?;
        self.statements.fetch_add(count(sets.len()), Relaxed);
        self.rows_read.fetch_add(count(found.len()), Relaxed);
        Ok(found)
    }

    fn write(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError> {
        self.writing(writes);
        self.db.write(writes)
    }

    fn write_apart(&mut self, parts: &[Vec<Write<'_>>]) -> Result<(), StoreError> {
        parts.iter().for_each(|writes| self.writing(writes));
        self.db.write_apart(parts)
    }

    fn snapshot(&self) -> Result<Box<dyn Moment>, StoreError> {
        self.db.snapshot()
    }
}
