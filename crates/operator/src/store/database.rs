//! What the store asks of a database. Every statement is one text for all of them, with `$1`, `$2`, … for its parameters,
//! which first appear in this order.

use super::StoreError;
use super::queries::Change;
use super::table::Table;
use super::value::{Row, Value};

/// One write of a batch.
pub(super) enum Write<'a> {
    /// Rows of a table; what becomes of those whose key is there, the table says.
    Rows(&'static Table, Vec<Vec<Value<'a>>>),
    /// A change, once for each set of parameters: each must find its row, since one that is silently skipped is money that
    /// vanishes.
    Change(&'static Change, Vec<Vec<Value<'a>>>),
}

impl<'a> Write<'a> {
    /// Name, rows or sets of parameters, and where the key begins in each of them.
    pub(super) fn parts(&self) -> (&'static str, &[Vec<Value<'a>>], usize) {
        match self {
            Self::Rows(table, rows) => (table.name, rows, 0),
            Self::Change(change, sets) => (change.name, sets, change.key_at),
        }
    }
}

/// A database with the tables of `migrations`.
pub(super) trait Database: Send {
    /// Waits until nobody else writes, and keeps others from it until [`Database::unlock`] or the end of the process.
    fn lock(&mut self) -> Result<(), StoreError>;

    fn unlock(&mut self) -> Result<(), StoreError>;

    /// Rows of a query, once for each set of parameters: with the place of the set, ascending by it.
    fn select_each(&self, sql: &str, sets: &[Vec<Value<'_>>]) -> Result<Vec<(usize, Row)>, StoreError>;

    /// Does all of `writes`, durably, or nothing.
    fn write(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError>;

    /// Does each of `parts` as [`Database::write`] does, in any order.
    fn write_apart(&mut self, parts: &[Vec<Write<'_>>]) -> Result<(), StoreError> {
        parts.iter().try_for_each(|writes| self.write(writes))
    }

    /// This moment, to be read while others write.
    fn snapshot(&self) -> Result<Box<dyn Moment>, StoreError>;
}

/// A moment of a database.
pub(super) trait Moment: Send {
    /// Shows the rows of a query one after the other.
    fn visit(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        show: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}
