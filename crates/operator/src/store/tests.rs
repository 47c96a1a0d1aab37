#![allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
//! What no test of the store's own interface sees: statements, tables, migrations.

use counterfoil_scratch_postgres::{Durability, Server};

use super::database::Database;
use super::migrations::{MIGRATIONS, Migration};
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::table::{Again, TABLES};
use super::value::Kind;
use super::{ListKind, Store, StoreError, queries, sql::SqlStore};
use crate::domain::record::bit;

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("operator.db");
    (dir, path)
}

#[test]
fn numbers_in_queries_and_indexes_are_those_of_the_bits() {
    assert_eq!(bit::CREDITED | bit::RETURNED, 96);
    assert_eq!(bit::PAYER | bit::CREDITED | bit::RETURNED, 97);
    assert_eq!(super::OrderState::Pending as u8, 1);
}

#[test]
fn parameters_appear_in_their_order_and_what_is_looked_for_again_and_again_has_its_index() {
    let (_dir, path) = file();
    let store = Sqlite::open(&path, true).unwrap();
    for (query, index) in queries::ALL {
        let statement = store.db.prepare(query).unwrap();
        for at in 1..=statement.parameter_count() {
            assert_eq!(statement.parameter_name(at), Some(format!("${at}").as_str()), "{query}");
        }
        let Some(index) = index else { continue };
        let mut plan = store.db.prepare(&format!("explain query plan {query}")).unwrap();
        let none = rusqlite::params_from_iter((0..plan.parameter_count()).map(|_| 0));
        let steps = plan.query_map(none, |row| row.get("detail")).unwrap();
        let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
        assert!(steps.iter().any(|step| step.contains(index)), "{query}: {steps:?}");
        assert!(steps.iter().all(|step| !step.contains("TEMP B-TREE")), "{query}: {steps:?}");
    }
}

#[test]
fn tables_have_the_columns_and_keys_that_rows_are_written_with() {
    let (_dir, path) = file();
    let store = Sqlite::open(&path, true).unwrap();
    let made: i64 = store
        .db
        .query_row(
            "select count(*) from sqlite_master where type = 'table' and name <> 'migration'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(usize::try_from(made).unwrap(), TABLES.len());
    for table in TABLES {
        let mut columns = store.db.prepare(&format!("pragma table_info({})", table.name)).unwrap();
        let rows = columns.query_map([], |row| {
            Ok((
                row.get::<_, String>("name")?,
                row.get::<_, String>("type")?.to_lowercase(),
                row.get::<_, u16>("pk")?,
            ))
        });
        let found: Vec<_> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        let due = table.columns.iter().enumerate().map(|(at, (name, kind))| {
            let kind = match kind {
                Kind::Int => "bigint",
                Kind::Text => "text",
                Kind::Bytes => "bytea",
            };
            (
                (*name).to_owned(),
                kind.to_owned(),
                u16::try_from(if at < table.key { at + 1 } else { 0 }).unwrap(),
            )
        });
        assert_eq!(found, due.collect::<Vec<_>>(), "{}", table.name);
        assert_eq!(table.columns[0].0, "bucket", "{}: every key leads with the bucket", table.name);
        if let Again::Changes(changes) = table.again {
            let rest: Vec<&str> = table.columns[table.key..].iter().map(|(name, _)| *name).collect();
            assert!(changes.iter().all(|name| rest.contains(name)), "{}", table.name);
        }
    }
}

/// Opens the same database again and again, each time as a program that knows these migrations.
fn upgrades<D: Database>(open: impl Fn(bool, &[Migration]) -> Result<D, StoreError>) {
    assert!(matches!(open(false, MIGRATIONS).err(), Some(StoreError::Empty)));
    let mut known = MIGRATIONS.to_vec();
    drop(open(true, &known).unwrap());
    known.push(Migration {
        postgres: "",
        sql: "alter table wallet add column mood bigint not null default 7",
        known_by: MIGRATIONS.len(),
    });
    drop(open(false, &known).unwrap());
    // A program of the version before goes on beside it, and writes rows of the table that has more columns now.
    let mut older = SqlStore(open(false, MIGRATIONS).unwrap());
    let key =
        counterfoil_trust::SigningKey::from_secret(counterfoil_wire::Algorithm::EdDsa, &[7; 32]).unwrap();
    let grade = counterfoil_wire::cert::Grade::VirtualSe;
    let wallet = crate::domain::wallet::Wallet::new(key.public(), "alpha", "ann", grade, 5);
    older.commit(&super::Batch { wallets: vec![wallet.clone()], ..Default::default() }).unwrap();
    assert_eq!(older.wallet(&wallet.id).unwrap(), Some(wallet));
    assert_eq!(older.issued_at(ListKind::Rules, 1).unwrap(), None);
    drop(older);
    known.push(Migration { sql: "drop table activation", postgres: "", known_by: known.len() });
    drop(open(false, &known).unwrap());
    assert!(matches!(open(false, MIGRATIONS).err(), Some(StoreError::TooNew)));
    // Migrations run once.
    open(false, &known).unwrap();
}

#[test]
fn an_expansion_leaves_older_programs_at_work_and_a_contraction_does_not() {
    let (_dir, path) = file();
    upgrades(|make, known| Sqlite::with(&path, make, known));
    let server = Server::start(Durability::Volatile).unwrap();
    upgrades(|make, known| Postgres::with(&server.address(), make, known));
}
