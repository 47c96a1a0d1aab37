//! The embedded database: one SQLite file, one writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement, TransactionBehavior, params, params_from_iter};

use super::StoreError;
use super::database::{Database, Moment, Write};
use super::migrations::{MIGRATIONS, Migration, missing};
use super::value::{Row, Value};

/// Pages of the database that are kept in memory, KiB.
const CACHE_KIB: i64 = 64 << 10;
/// The write-ahead log goes into the database when it has this many pages of 4 KiB: few batches have so many.
const CHECKPOINT_PAGES: i64 = 16_384;
/// How long another connection that is at work is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// Statements that stay prepared: more than there are.
const PREPARED: usize = 128;

/// A file.
pub(super) struct Sqlite {
    pub(super) db: Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file at `path` and migrates it as needed; `make`s it, with its tables, or fails where there are none.
    pub(super) fn open(path: &Path, make: bool) -> Result<Self, StoreError> {
        Self::with(path, make, MIGRATIONS)
    }

    pub(super) fn with(path: &Path, make: bool, migrations: &[Migration]) -> Result<Self, StoreError> {
        let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE;
        let flags = if make { OpenFlags::default() } else { flags };
        if !make && !path.is_file() {
            return Err(StoreError::Empty);
        }
        let mut db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "synchronous", "full")?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        db.set_prepared_statement_cache_capacity(PREPARED);
        migrate(&mut db, make, migrations)?;
        Ok(Self { db, path: path.to_owned() })
    }
}

fn migrate(db: &mut Connection, make: bool, migrations: &[Migration]) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let table = "select name from sqlite_master where type = 'table' and name = 'migration'";
    if !tx.prepare(table)?.exists([])? {
        if !make {
            return Err(StoreError::Empty);
        }
        tx.execute_batch("create table migration (number integer primary key, known_by integer not null)")?;
    }
    let done = tx.query_row("select count(*), coalesce(max(known_by), 0) from migration", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    for (number, migration) in missing(migrations, done)? {
        // A table of SQLite's own row ids would keep every key twice.
        tx.execute_batch(&migration.sql.replace("\n);", "\n) without rowid;"))?;
        let known_by = i64::try_from(migration.known_by).unwrap_or(i64::MAX);
        tx.execute("insert into migration values (?1, ?2)", params![number, known_by])?;
    }
    Ok(tx.commit()?)
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn value(value: ValueRef<'_>) -> rusqlite::Result<Value<'static>> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => value.into(),
        ValueRef::Text(_) => value.as_str()?.to_owned().into(),
        ValueRef::Blob(value) => value.to_vec().into(),
        // No column is of this kind: what reads it says that the row is damaged.
        ValueRef::Real(_) => Value::Null,
    })
}

/// Shows every row of a query.
fn rows(
    statement: &mut Statement<'_>,
    parameters: &[Value<'_>],
    show: &mut dyn FnMut(Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(parameters))?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|at| value(row.get_ref(at)?));
        show(values.collect::<Result<_, _>>()?)?;
    }
    Ok(())
}

impl Database for Sqlite {
    /// The lock of the operator's folder keeps others away, and no file is on two machines.
    fn lock(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn select_each(&self, sql: &str, sets: &[Vec<Value<'_>>]) -> Result<Vec<(usize, Row)>, StoreError> {
        // One transaction for all: locks are taken and given back once.
        let _once = if sets.len() > 1 { Some(self.db.unchecked_transaction()?) } else { None };
        let mut statement = self.db.prepare_cached(sql)?;
        let mut found = Vec::new();
        for (at, set) in sets.iter().enumerate() {
            rows(&mut statement, set, &mut |row| {
                found.push((at, row));
                Ok(())
            })?;
        }
        Ok(found)
    }

    fn write(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in writes {
            match write {
                Write::Rows(table, rows) => {
                    let places: Vec<String> = (1..=table.columns.len()).map(|at| format!("${at}")).collect();
                    let sql = table.insert(&format!("values ({})", places.join(", ")));
                    let mut put = tx.prepare_cached(&sql)?;
                    for row in rows {
                        let changed = put.execute(params_from_iter(row))?;
                        table.check(changed, 1)?;
                    }
                }
                Write::Change(change, sets) => {
                    let mut statement = tx.prepare_cached(change.sql)?;
                    for set in sets {
                        change.table.all(statement.execute(params_from_iter(set))?, 1)?;
                    }
                }
            }
        }
        Ok(tx.commit()?)
    }

    fn snapshot(&self) -> Result<Box<dyn Moment>, StoreError> {
        let db = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.busy_timeout(BUSY)?;
        // A transaction begins to see when it first reads.
        db.execute_batch("begin")?;
        db.query_row("select count(*) from migration", [], |_| Ok(()))?;
        Ok(Box::new(Snapshot { db }))
    }
}

/// A transaction that only reads, on a connection of its own.
struct Snapshot {
    db: Connection,
}

impl Moment for Snapshot {
    fn visit(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        show: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        rows(&mut *self.db.prepare_cached(sql)?, parameters, show)
    }
}
