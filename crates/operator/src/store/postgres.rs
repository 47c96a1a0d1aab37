//! PostgreSQL: one connection for the operation that has its turn, and one statement for all rows of a kind.
//!
//! The store is called by threads that may block. What is asked of the server is waited for there, while a small runtime of
//! this module's own moves the bytes.

use std::sync::Arc;

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use futures_util::TryStreamExt as _;
use futures_util::future::{try_join, try_join_all};
use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, NoTls};

use super::StoreError;
use super::database::{Database, Moment, Write};
use super::migrations::{MIGRATIONS, Migration, missing};
use super::table::Table;
use super::value::{Kind, Row, Value};

/// Connections that are kept.
const POOL: usize = 4;

/// So many sets of parameters are worth a second process of the server.
const MANY: usize = 1_000;

/// How every connection is set up. What a commit wrote stays, whatever the server's default is; and rows are looked up by their
/// indexes, also while the server's statistics of a growing table are old.
const SETTINGS: &str = "-c synchronous_commit=on -c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off \
    -c jit=off -c client_min_messages=warning";

/// Names the lock of these tables: a server may have several operators, each in a schema of its own.
const LOCK: &str = "select pg_advisory_lock(hashtext('counterfoil ' || current_schema()))";
const UNLOCK: &str = "select pg_advisory_unlock(hashtext('counterfoil ' || current_schema()))";

/// A server's database.
pub(super) struct Postgres {
    pool: Pool,
    /// The connection of the operation that has its turn: it holds the lock.
    turn: Option<Object>,
    driver: Arc<Driver>,
}

/// Moves the bytes of all connections.
struct Driver {
    /// Absent while this is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Without waiting: this may be a thread that must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Driver {
    /// Waits here for what is asked of the server.
    fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        let _within = self.runtime.as_ref().map(Runtime::enter);
        // A thread that is polling a task has a budget, and when that is used up nothing is ever ready until it gives way, which a
        // thread that waits here does not.
        pollster::block_on(tokio::task::unconstrained(asked))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        // What the libraries say of it is in the causes.
        let mut words = Vec::new();
        let mut cause: Option<&dyn std::error::Error> = match &error {
            deadpool_postgres::PoolError::Backend(error) => Some(error),
            other => Some(other),
        };
        while let Some(error) = cause {
            words.push(error.to_string());
            cause = error.source();
        }
        Self::Unreachable(words.join(": "))
    }
}

impl Postgres {
    /// Connects to the database at `address` and migrates it as needed; `make`s the tables, or fails where there are none.
    pub(super) fn open(address: &str, make: bool) -> Result<Self, StoreError> {
        Self::with(address, make, MIGRATIONS)
    }

    pub(super) fn with(address: &str, make: bool, migrations: &[Migration]) -> Result<Self, StoreError> {
        let mut config: Config = address.parse()?;
        let own = config.get_options().unwrap_or_default().to_owned();
        config.options(format!("{own} {SETTINGS}")).application_name("counterfoil");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(5));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Database(Box::new(error)))?;
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, NoTls, manager);
        let pool = Pool::builder(manager).max_size(POOL).build();
        let pool = pool.map_err(|error| StoreError::Database(Box::new(error)))?;
        let mut made = Self { pool, turn: None, driver: Arc::new(Driver { runtime: Some(runtime) }) };
        made.lock()?;
        let migrated = made.wait(async {
            let mut client = made.pool.get().await?;
            migrate(&mut client, make, migrations).await
        });
        made.unlock()?;
        migrated.map(|()| made)
    }

    fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.driver.wait(asked)
    }

    /// Asks something over a connection that may have been one to a server which was started anew since: then over another one.
    async fn first_asked<T>(
        &self,
        ask: impl AsyncFn(&Object) -> Result<T, StoreError>,
    ) -> Result<(Object, T), StoreError> {
        let mut tries = 0;
        loop {
            let client = self.pool.get().await?;
            match ask(&client).await {
                Ok(answer) => return Ok((client, answer)),
                Err(_) if client.is_closed() && tries < POOL => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

async fn migrate(client: &mut ClientWrapper, make: bool, migrations: &[Migration]) -> Result<(), StoreError> {
    let tx = client.transaction().await?;
    let table = "select table_name from information_schema.tables
        where table_schema = current_schema() and table_name = 'migration'";
    if tx.query_opt(table, &[]).await?.is_none() {
        if !make {
            return Err(StoreError::Empty);
        }
        tx.batch_execute("create table migration (number bigint primary key, known_by bigint not null)")
            .await?;
    }
    let done = tx.query_one("select count(*), coalesce(max(known_by), 0) from migration", &[]).await?;
    for (number, migration) in missing(migrations, (done.try_get(0)?, done.try_get(1)?))? {
        tx.batch_execute(migration.sql).await?;
        tx.batch_execute(migration.postgres).await?;
        let known_by = i64::try_from(migration.known_by).unwrap_or(i64::MAX);
        tx.execute("insert into migration values ($1, $2)", &[&number, &known_by]).await?;
    }
    Ok(tx.commit().await?)
}

/// The statement without what is meant for SQLite alone.
pub(super) fn plain(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let hint = |at: usize| words.get(at..at + 2) == Some(&["indexed", "by"]);
    let kept =
        (0..words.len()).filter(|at| !(hint(*at) || (*at > 0 && hint(at - 1)) || (*at > 1 && hint(at - 2))));
    kept.filter_map(|at| words.get(at).copied()).collect::<Vec<_>>().join(" ")
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
    }
}

/// `$1::bigint[], $2::bytea[]` and so on.
fn arrays(kinds: impl Iterator<Item = Kind>) -> String {
    let arrays = kinds.enumerate().map(|(at, kind)| format!("${}::{}[]", at + 1, name(kind)));
    arrays.collect::<Vec<_>>().join(", ")
}

/// One query for many sets of parameters: for each of them, in this order, the rows that `sql` has for it.
fn for_each(sql: &str, kinds: &[Kind]) -> String {
    let inner = inner(sql, kinds.len());
    let columns = (1..=kinds.len()).map(|at| format!("p{at}, ")).collect::<String>();
    let arrays = arrays(kinds.iter().copied());
    format!(
        "select k.n, r.* from unnest({arrays}) with ordinality as k({columns}n) cross join lateral ({inner}) r"
    )
}

/// One change for many sets of parameters.
fn change_each(sql: &str, kinds: &[Kind]) -> String {
    let inner = inner(sql, kinds.len());
    let (head, condition) = inner.split_once(" where ").unwrap_or((&inner, "true"));
    let from = if head.starts_with("delete") { "using" } else { "from" };
    let columns = (1..=kinds.len()).map(|at| format!("p{at}")).collect::<Vec<_>>().join(", ");
    let arrays = arrays(kinds.iter().copied());
    format!("{head} {from} unnest({arrays}) as k({columns}) where {condition}")
}

/// The statement with a column of `k` in the place of each parameter.
fn inner(sql: &str, parameters: usize) -> String {
    // From the last one, so that `$1` is not found in `$10`.
    (1..=parameters).rev().fold(plain(sql), |sql, at| sql.replace(&format!("${at}"), &format!("k.p{at}")))
}

/// The parameters of a statement for many sets, each a column of them; and the kinds of the columns.
fn columns<'a>(sets: &'a [Vec<Value<'a>>]) -> (Vec<Kind>, Parameters<'a>) {
    let kinds: Vec<Kind> = sets.first().into_iter().flatten().filter_map(Value::kind).collect();
    let of = |(at, kind): (usize, &Kind)| column(*kind, sets.iter().map(move |set| set.get(at)));
    let parameters = kinds.iter().enumerate().map(of).collect();
    (kinds, parameters)
}

/// The values of one column of many rows.
fn column<'a>(
    kind: Kind,
    rows: impl Iterator<Item = Option<&'a Value<'a>>>,
) -> Box<dyn ToSql + Sync + Send + 'a> {
    match kind {
        Kind::Int => Box::new(
            rows.map(|value| match value {
                Some(Value::Int(value)) => Some(*value),
                _ => None,
            })
            .collect::<Vec<_>>(),
        ),
        Kind::Text => Box::new(
            rows.map(|value| match value {
                Some(Value::Text(value)) => Some(value.as_ref()),
                _ => None,
            })
            .collect::<Vec<_>>(),
        ),
        Kind::Bytes => Box::new(
            rows.map(|value| match value {
                Some(Value::Bytes(value)) => Some(value.as_ref()),
                _ => None,
            })
            .collect::<Vec<_>>(),
        ),
    }
}

fn one<'a>(value: &'a Value<'a>) -> Box<dyn ToSql + Sync + Send + 'a> {
    match value {
        Value::Null => Box::new(None::<i64>),
        Value::Int(value) => Box::new(*value),
        Value::Text(value) => Box::new(value.as_ref()),
        Value::Bytes(value) => Box::new(value.as_ref()),
    }
}

type Parameters<'a> = Vec<Box<dyn ToSql + Sync + Send + 'a>>;

fn borrowed<'a>(parameters: &'a Parameters<'_>) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter.as_ref() as &(dyn ToSql + Sync)).collect()
}

fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let value = |(at, column): (usize, &tokio_postgres::Column)| {
        Ok(match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map_or(Value::Null, Value::Int),
            Type::TEXT => Value::optional(row.try_get::<_, Option<String>>(at)?),
            // Another kind is in no table: what reads it says that the row is damaged.
            _ => Value::optional(row.try_get::<_, Option<Vec<u8>>>(at)?),
        })
    };
    row.columns().iter().enumerate().map(value).collect()
}

async fn select_each(
    client: &ClientWrapper,
    sql: &str,
    sets: &[Vec<Value<'_>>],
) -> Result<Vec<(usize, Row)>, StoreError> {
    match sets {
        [] => return Ok(Vec::new()),
        [set] => {
            let statement = client.prepare_cached(&plain(sql)).await?;
            let parameters: Parameters<'_> = set.iter().map(one).collect();
            let rows = client.query(&statement, &borrowed(&parameters)).await?;
            return rows.iter().map(|found| Ok((0, row(found)?))).collect();
        }
        _ => {}
    }
    let (kinds, parameters) = columns(sets);
    let statement = client.prepare_cached(&for_each(sql, &kinds)).await?;
    let mut found = Vec::new();
    for read in client.query(&statement, &borrowed(&parameters)).await? {
        let mut values = row(&read)?;
        let Some(Value::Int(place)) = values.first().cloned() else { continue };
        values.remove(0);
        found.push((usize::try_from(place - 1).unwrap_or(usize::MAX), values));
    }
    found.sort_by_key(|(place, _)| *place);
    Ok(found)
}

async fn write(client: &mut ClientWrapper, writes: &[Write<'_>]) -> Result<(), StoreError> {
    let tx = client.transaction().await?;
    let all = writes.iter().map(async |write| match write {
        Write::Rows(table, rows) => {
            let statement = tx.prepare_cached(&insert(table)).await?;
            let kinds = table.columns.iter().map(|(_, kind)| *kind).enumerate();
            let parameters: Parameters<'_> =
                kinds.map(|(at, kind)| column(kind, rows.iter().map(move |row| row.get(at)))).collect();
            let changed = tx.execute(&statement, &borrowed(&parameters)).await?;
            table.check(count(changed), rows.len())
        }
        Write::Change(change, sets) => {
            let (kinds, parameters) = columns(sets);
            let statement = tx.prepare_cached(&change_each(change.sql, &kinds)).await?;
            let changed = tx.execute(&statement, &borrowed(&parameters)).await?;
            change.table.all(count(changed), sets.len())
        }
    });
    // Sent one after the other without waiting for answers in between; the server takes them in this order.
    try_join_all(all).await?;
    Ok(tx.commit().await?)
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

pub(super) fn insert(table: &Table) -> String {
    table.insert(&format!("select * from unnest({})", arrays(table.columns.iter().map(|(_, kind)| *kind))))
}

impl Database for Postgres {
    fn lock(&mut self) -> Result<(), StoreError> {
        // One that an operation which broke off left: closed, it holds no lock.
        if let Some(left) = self.turn.take() {
            drop(Object::take(left));
        }
        let turn =
            self.wait(self.first_asked(async |client: &Object| Ok(client.batch_execute(LOCK).await?)))?.0;
        self.turn = Some(turn);
        Ok(())
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        if self.wait(turn.batch_execute(UNLOCK)).is_err() {
            // What the operation wrote is written. The lock goes with the connection.
            drop(Object::take(turn));
        }
        Ok(())
    }

    fn select_each(&self, sql: &str, sets: &[Vec<Value<'_>>]) -> Result<Vec<(usize, Row)>, StoreError> {
        self.wait(async {
            let another = async |sets: &[Vec<Value<'_>>]| {
                let asked = self.first_asked(async |client: &Object| select_each(client, sql, sets).await);
                asked.await.map(|(_, found)| found)
            };
            let Some(turn) = &self.turn else { return another(sets).await };
            if sets.len() < MANY {
                return select_each(turn, sql, sets).await;
            }
            // Nobody writes meanwhile, so that another connection sees the same.
            let (first, second) = sets.split_at(sets.len() / 2);
            let (mut found, more) = try_join(select_each(turn, sql, first), another(second)).await?;
            found.extend(more.into_iter().map(|(at, row)| (first.len() + at, row)));
            Ok(found)
        })
    }

    fn write(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError> {
        let mut turn = self.turn.take();
        let done = self.wait(async {
            match &mut turn {
                Some(turn) => write(turn, writes).await,
                None => write(&mut *self.pool.get().await?, writes).await,
            }
        });
        self.turn = turn;
        done
    }

    fn write_apart(&mut self, parts: &[Vec<Write<'_>>]) -> Result<(), StoreError> {
        let all = parts.iter().map(async |writes| write(&mut *self.pool.get().await?, writes).await);
        self.wait(try_join_all(all)).map(drop)
    }

    fn snapshot(&self) -> Result<Box<dyn Moment>, StoreError> {
        let client = self.wait(async {
            let client = self.pool.get().await?;
            // Of whole tables the index would be a detour. A transaction begins to see when it first reads.
            client
                .batch_execute(
                    "begin isolation level repeatable read read only;
                     set local enable_seqscan = on; set local enable_hashjoin = on;
                     select count(*) from migration",
                )
                .await?;
            Ok::<_, StoreError>(client)
        })?;
        Ok(Box::new(Snapshot { client: Some(client), driver: self.driver.clone() }))
    }
}

/// A transaction that only reads, on a connection of its own, which is closed with it.
struct Snapshot {
    client: Option<Object>,
    driver: Arc<Driver>,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

impl Moment for Snapshot {
    fn visit(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        show: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(client) = &self.client else { return Ok(()) };
        self.driver.wait(async {
            let statement = client.prepare_cached(&plain(sql)).await?;
            let parameters: Parameters<'_> = parameters.iter().map(one).collect();
            let mut rows = std::pin::pin!(client.query_raw(&statement, borrowed(&parameters)).await?);
            while let Some(found) = rows.try_next().await? {
                show(row(&found)?)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_for_one_becomes_a_query_for_many() {
        let sql = "select id from record indexed by record_open\n where bucket = $1 and payer = $2";
        assert_eq!(plain(sql), "select id from record where bucket = $1 and payer = $2");
        assert_eq!(
            for_each(sql, &[Kind::Int, Kind::Bytes]),
            "select k.n, r.* from unnest($1::bigint[], $2::bytea[]) with ordinality as k(p1, p2, n) \
             cross join lateral (select id from record where bucket = k.p1 and payer = k.p2) r"
        );
        assert_eq!(
            change_each(
                "update record set bits = $1 where bucket = $2\n and id = $3",
                &[Kind::Int, Kind::Int, Kind::Bytes]
            ),
            "update record set bits = k.p1 from unnest($1::bigint[], $2::bigint[], $3::bytea[]) as k(p1, p2, p3) \
             where bucket = k.p2 and id = k.p3"
        );
        assert_eq!(
            change_each("delete from record where id = $1", &[Kind::Bytes]),
            "delete from record using unnest($1::bytea[]) as k(p1) where id = k.p1"
        );
    }
}
