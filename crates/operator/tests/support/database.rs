//! The operator's rows, read and tampered with behind its back, in whichever database they are.
//!
//! With `COUNTERFOIL_TEST_STORE=postgres` every operator of a test has a schema of its own on a throw-away server; else its
//! rows are in SQLite. So every test is one of both stores.

use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use counterfoil_operator::store::{Location, Transactions};
use counterfoil_scratch_postgres::{Durability, Server};
use postgres::{Client, NoTls};

/// The server of this process, stopped with it.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(Durability::Volatile).unwrap());

static SCHEMAS: AtomicU32 = AtomicU32::new(0);

/// A database for one operator.
#[derive(Clone)]
pub enum Database {
    Sqlite(std::path::PathBuf),
    Postgres { schema: String },
}

impl Database {
    /// A new one for the operator in `dir`.
    pub fn new(dir: &Path) -> Self {
        match std::env::var("COUNTERFOIL_TEST_STORE").as_deref() {
            Err(_) | Ok("sqlite") => return Self::Sqlite(dir.join("operator.db")),
            Ok("postgres") => {}
            Ok(other) => panic!("no store is called {other}"),
        }
        let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
        let schema = format!("test_{}_{number}", std::process::id());
        let made = Self::Postgres { schema: schema.clone() };
        made.with(|client| client.batch_execute(&format!("create schema {schema}")).unwrap());
        made
    }

    /// What an operator is told; nothing where the rows are in its folder anyway.
    pub fn location(&self) -> Option<Location> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { .. } => Some(Location::Postgres(self.address())),
        }
    }

    fn address(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres { schema } => {
                format!("{}&options=-csearch_path%3D{schema}", SERVER.address())
            }
        }
    }

    /// On a thread of its own: a test's own thread may be one of a runtime, on which nobody may wait.
    fn with<T: Send>(&self, run: impl FnOnce(&mut Client) -> T + Send) -> T {
        let address = self.address();
        let connected = || run(&mut Client::connect(&address, NoTls).unwrap());
        std::thread::scope(|scope| scope.spawn(connected).join().unwrap())
    }

    /// Runs a statement in SQLite's words; how many rows it changed.
    pub fn execute(&self, sql: &str) -> u64 {
        match self {
            Self::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap() as u64,
            Self::Postgres { .. } => {
                let mut words = sql.replace("randomblob(32)", "sha256(random()::text::bytea)");
                while let Some(at) = words.find(" x'") {
                    let end = at + 3 + words[at + 3..].find('\'').unwrap();
                    let literal = format!(" '\\x{}'::bytea", &words[at + 3..end]);
                    words.replace_range(at..=end, &literal);
                }
                self.with(|client| client.execute(words.as_str(), &[]).unwrap())
            }
        }
    }

    /// The first column of a query's rows.
    pub fn bytes(&self, sql: &str) -> Vec<Vec<u8>> {
        match self {
            Self::Sqlite(path) => {
                let db = rusqlite::Connection::open(path).unwrap();
                let mut rows = db.prepare(sql).unwrap();
                rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
            }
            Self::Postgres { .. } => {
                self.with(|client| client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect())
            }
        }
    }

    /// The same rows in another database, for the operator in `dir`, whose folder is copied already.
    pub fn copy(&self, dir: &Path) -> Self {
        let other = match self {
            Self::Sqlite(_) => return Self::Sqlite(dir.join("operator.db")),
            Self::Postgres { .. } => Self::new(dir),
        };
        if let (Self::Postgres { schema: from }, Self::Postgres { schema: to }) = (self, &other) {
            self.with(|client| {
                let tables = "select tablename::text from pg_tables where schemaname = current_schema()";
                for row in client.query(tables, &[]).unwrap() {
                    let table: String = row.get(0);
                    let copy = format!(
                        "create table {to}.{table} (like {from}.{table} including all);
                         insert into {to}.{table} select * from {from}.{table}"
                    );
                    client.batch_execute(&copy).unwrap();
                }
            });
        }
        other
    }
}

/// How the operator writes: `COUNTERFOIL_TEST_TRANSACTIONS` names another way than the usual one.
pub fn transactions() -> Transactions {
    let named = std::env::var("COUNTERFOIL_TEST_TRANSACTIONS");
    named.map_or(Transactions::default(), |name| name.parse().unwrap())
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Database::Postgres { schema } = &self.0 {
            let drop = format!("drop schema {schema} cascade");
            self.0.with(|client| client.batch_execute(&drop).unwrap());
        }
    }
}

/// Removes a database's rows when the test has ended.
pub struct Schema(pub Database);
