//! What the store asks of a database. Every statement is one text for all of them, with `$1`, `$2`, … for its parameters,
//! which first appear in this order.

use super::StoreError;
use super::table::Table;
use super::value::{Row, Value};

/// One write of a batch.
pub(super) enum Write<'a> {
    /// Rows of a table; what becomes of those whose key is there, the table says.
    Rows(&'static Table, Vec<Vec<Value<'a>>>),
    /// A statement that must change exactly one row of this table: a row that is silently skipped is money that vanishes.
    One(&'static Table, &'static str, Vec<Value<'a>>),
    /// The same for each set of parameters.
    Each(&'static Table, &'static str, Vec<Vec<Value<'a>>>),
}

/// A database with the tables of `migrations`.
pub(super) trait Database: Send {
    /// Waits until nobody else writes, and keeps others from it until [`Database::unlock`] or the end of the process.
    fn lock(&mut self) -> Result<(), StoreError>;

    fn unlock(&mut self) -> Result<(), StoreError>;

    /// Rows of a query, once for each set of parameters: with the place of the set, ascending by it.
    fn select_each(
        &self,
        sql: &'static str,
        sets: &[Vec<Value<'_>>],
    ) -> Result<Vec<(usize, Row)>, StoreError>;

    /// Rows of queries without parameters, as of one moment, shown one after the other with the place of their query.
    fn visit(
        &mut self,
        queries: &[&'static str],
        visit: &mut dyn FnMut(usize, Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Does all of `writes`, durably, or nothing.
    fn write(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError>;
}
