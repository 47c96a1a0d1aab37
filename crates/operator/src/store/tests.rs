#![allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
//! What no test of the store's own interface sees: statements, tables, migrations.

use counterfoil_scratch_postgres::{Durability, Server};
use counterfoil_trust::SigningKey;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::{Algorithm, Amount, Digest};

use super::counted::Counted;
use super::database::{Database, Moment, Write};
use super::migrations::{MIGRATIONS, Migration};
use super::postgres::Postgres;
use super::snapshot::At;
use super::sqlite::Sqlite;
use super::table::{Again, TABLES};
use super::value::{Kind as ColumnKind, Row, Value};
use super::{Batch, ListKind, Store, StoreError, Transactions, outbox, queries, sql::SqlStore};
use crate::domain::audit::{Entry, Rows as _};
use crate::domain::bucket;
use crate::domain::ledger::{Account, Kind, Posting};
use crate::domain::record::{Changed, Record, bit};
use crate::domain::wallet::Wallet;

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("operator.db");
    (dir, path)
}

#[test]
fn numbers_in_queries_and_indexes_are_those_of_the_bits() {
    assert_eq!(bit::CREDITED | bit::RETURNED, 96);
    assert_eq!(bit::PAYER | bit::CREDITED | bit::RETURNED, 97);
    assert_eq!((bit::CREDITED, bit::CREDITED | bit::REVERSED), (32, 2080));
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
    for change in queries::CHANGES {
        assert!(change.sql.contains(&format!("bucket = ${}", change.key_at + 1)), "{}", change.name);
        assert!(TABLES.iter().all(|table| table.name != change.name), "{}", change.name);
    }
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
                ColumnKind::Int => "bigint",
                ColumnKind::Text => "text",
                ColumnKind::Bytes => "bytea",
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
    let db = Counted::new(open(false, MIGRATIONS).unwrap());
    let mut older = SqlStore { db, transactions: Transactions::Together };
    let wallet = wallet(7);
    older.commit(&Batch { wallets: vec![wallet.clone()], ..Default::default() }).unwrap();
    assert_eq!(older.wallet(&wallet.id).unwrap(), Some(wallet));
    assert_eq!(older.issued_at(ListKind::Rules, 1).unwrap(), None);
    drop(older);
    known.push(Migration { sql: "drop table activation", postgres: "", known_by: known.len() });
    drop(open(false, &known).unwrap());
    assert!(matches!(open(false, MIGRATIONS).err(), Some(StoreError::TooNew)));
    // Migrations run once.
    open(false, &known).unwrap();
}

/// A database that breaks off at some write, before or after it is done.
struct Broken {
    db: Sqlite,
    /// Writes until then; none for a database that does not break.
    left: Option<(u32, bool)>,
}

impl Database for Broken {
    fn lock(&mut self) -> Result<(), StoreError> {
        self.db.lock()
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        self.db.unlock()
    }

    fn select_each(&self, sql: &str, sets: &[Vec<Value<'_>>]) -> Result<Vec<(usize, Row)>, StoreError> {
        self.db.select_each(sql, sets)
    }

    fn write(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError> {
        let cut = || StoreError::Unreachable("cut off".to_owned());
        match &mut self.left {
            Some((0, false)) => return Err(cut()),
            Some((0, true)) => {
                self.left = Some((0, false));
                self.db.write(writes)?;
                return Err(cut());
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        self.db.write(writes)
    }

    fn snapshot(&self) -> Result<Box<dyn Moment>, StoreError> {
        self.db.snapshot()
    }
}

fn wallet(secret: u8) -> Wallet {
    let key = SigningKey::from_secret(Algorithm::EdDsa, &[secret; 32]).unwrap();
    Wallet::new(key.public(), "alpha", "ann \u{1f3ea}", Grade::VirtualSe, u32::from(secret))
}

/// Two batches of wallets in several buckets: the second changes what the first one made.
fn batches() -> [Batch; 2] {
    let people: Vec<Wallet> = (1..12).map(wallet).collect();
    let buckets: std::collections::BTreeSet<u16> = people.iter().map(|wallet| bucket(&wallet.id)).collect();
    assert!(buckets.len() > 5);
    let pairs = || people.iter().zip(people.iter().skip(1)).zip(1..);
    let record = |((payer, payee), seq): ((&Wallet, &Wallet), u8), bits| Record {
        id: Digest([seq; 32]),
        payer: payer.id,
        payer_seq: seq.into(),
        payee: payee.id,
        request_no: 1,
        amount: Amount::new(250).unwrap(),
        spent: Amount::new(250).unwrap(),
        payer_until_s: 9,
        bits,
        first_seen_s: 4,
        payment: vec![seq; 300],
    };
    let sent = bit::PAYER | bit::DEBITED;
    let made = pairs().map(|pair| Changed::new(record(pair, sent)));
    let ended = pairs().map(|pair| Changed {
        record: record(pair, sent | bit::PAYEE | bit::CREDITED | bit::CLOSED),
        before: Some(sent),
    });
    let posting = |((payer, payee), seq): ((&Wallet, &Wallet), u8), kind| {
        let own = if kind == Kind::Send { payer.id } else { payee.id };
        let (clearing, wallet) = (Account::Clearing(bucket(&payer.id)), Account::Offline(own));
        let (debit, credit) = if kind == Kind::Send { (wallet, clearing) } else { (clearing, wallet) };
        Posting {
            wallet: own,
            kind,
            reference: Digest([seq; 32]),
            debit,
            credit,
            amount: Amount::new(250).unwrap(),
        }
    };
    let spent = |wallet: &Wallet| Wallet { shadow: 5, liable: Some("beta".to_owned()), ..wallet.clone() };
    [
        Batch {
            wallets: people.clone(),
            records: made.collect(),
            postings: pairs().map(|pair| posting(pair, Kind::Send)).collect(),
            ..Batch::default()
        },
        Batch {
            wallets: people.iter().map(spent).collect(),
            records: ended.collect(),
            postings: pairs().map(|pair| posting(pair, Kind::Receive)).collect(),
            settings: vec![("mood".to_owned(), "good".to_owned())],
            ..Batch::default()
        },
    ]
}

/// Every row of every table but those of the outbox.
fn dump(db: &impl Database) -> Vec<(&'static str, Row)> {
    let mut rows = Vec::new();
    for table in TABLES.iter().filter(|table| !["outbox", "delivery"].contains(&table.name)) {
        let sql = format!("select {} from {} order by 1, 2, 3", table.names(), table.name);
        let found = db.select_each(&sql, &[vec![]]).unwrap();
        rows.extend(found.into_iter().map(|(_, row)| (table.name, row)));
    }
    rows
}

#[test]
fn a_batch_of_several_buckets_is_written_whole_and_once_wherever_it_breaks_off() {
    let [first, second] = batches();
    let transactions = Transactions::Together;
    let (_dir, path) = file();
    let mut whole = SqlStore { db: Counted::new(Sqlite::open(&path, true).unwrap()), transactions };
    whole.commit(&first).unwrap();
    let before = dump(&whole.db);
    whole.commit(&second).unwrap();
    let after = dump(&whole.db);
    assert!(before.len() > 30 && after.len() > before.len());

    let transactions = Transactions::ByBucket;
    let (mut untouched, mut finished) = (0, 0);
    for (cut, done) in (0..).flat_map(|cut| [(cut, false), (cut, true)]) {
        let (_dir, path) = file();
        let open = |left| Counted::new(Broken { db: Sqlite::open(&path, true).unwrap(), left });
        let mut store = SqlStore { db: open(None), transactions };
        store.commit(&first).unwrap();
        assert_eq!(dump(&store.db), before);
        store.db.db.left = Some((cut, done));
        let written = store.commit(&second);
        let unbroken = written.is_ok();
        // Whoever goes on in the same turn, as if nothing had happened, is not let: a later mark would hide what waits.
        store.db.db.left = None;
        let waits = !store.db.select_each(queries::WAITING, &[vec![0u16.into()]]).unwrap().is_empty();
        let other = Batch { wallets: vec![wallet(1)], ..Batch::default() };
        if waits {
            assert!(matches!(store.commit(&other), Err(StoreError::Unexpected("outbox"))));
        }
        // Another process, which may break off as well while it finishes.
        for at in 0..20 {
            store = SqlStore { db: open(Some((at, at % 2 == 1))), transactions: Transactions::Together };
            if store.lock().is_ok() {
                break;
            }
        }
        let found = dump(&store.db);
        if found == before {
            assert!(!unbroken);
            untouched += 1;
            SqlStore { db: open(None), transactions }.commit(&second).unwrap();
            assert_eq!(dump(&store.db), after);
        } else {
            assert_eq!(found, after, "cut at {cut}, {done}");
            finished += 1;
        }
        assert!(store.db.select_each(queries::WAITING, &[vec![0u16.into()]]).unwrap().is_empty());
        if unbroken {
            break;
        }
    }
    // Before the transaction that decides there is one cut, and after it one for each bucket and one more, each before and after.
    assert_eq!(untouched, 1);
    assert!(finished > 12, "{finished}");
}

#[test]
fn what_could_not_be_written_in_another_bucket_is_refused_before_anything_is() {
    let [first, second] = batches();
    let transactions = Transactions::ByBucket;
    let (_dir, path) = file();
    let mut store = SqlStore { db: Counted::new(Sqlite::open(&path, true).unwrap()), transactions };
    // What is to change is not there; what must be new is; one row twice.
    let twice =
        Batch { postings: [first.postings.clone(), first.postings.clone()].concat(), ..first.clone() };
    for (batch, is_first) in
        [(&second, true), (&twice, true), (&first, false), (&second, false), (&second, true)]
    {
        let before = dump(&store.db);
        let fits = !is_first;
        assert_eq!(store.commit(batch).is_ok(), fits);
        assert!(fits || dump(&store.db) == before);
    }
}

#[test]
fn what_waits_is_read_as_it_was_written_and_damage_is_seen() {
    let set = vec![Value::Int(-1), "a \u{1f3ea}".into(), Value::from(vec![0u8, 255])];
    let row = vec![Value::Int(5), Value::from(vec![1u8; 32]), Value::Int(3)];
    let writes = [
        Write::Change(&queries::SET_BITS, vec![set.clone(), vec![Value::Null]]),
        Write::Rows(&super::table::DELIVERY, vec![vec![1u16.into(), 2u16.into(), i64::MAX.into()]]),
    ];
    let bytes = outbox::encode(&writes);
    let read = outbox::decode(&bytes).unwrap();
    let parts = |writes: &[Write<'_>]| {
        format!(
            "{:?}",
            writes.iter().map(|write| (write.parts().0, write.parts().1.to_vec())).collect::<Vec<_>>()
        )
    };
    assert_eq!(parts(&read), parts(&writes));
    for cut in 0..bytes.len() {
        assert!(outbox::decode(&bytes[..cut]).is_none());
    }
    assert!(outbox::decode(&[bytes.clone(), vec![0]].concat()).is_none());
    // A row of a table with other columns.
    assert!(outbox::decode(&outbox::encode(&[Write::Rows(&super::table::DELIVERY, vec![row])])).is_none());
}

#[test]
fn an_audit_sees_the_same_bucket_by_bucket_as_all_at_once() {
    let (_dir, path) = file();
    let mut store = SqlStore {
        db: Counted::new(Sqlite::open(&path, true).unwrap()),
        transactions: Transactions::Together,
    };
    for batch in batches() {
        store.commit(&batch).unwrap();
    }
    let mut seen = Vec::new();
    for few in [0, 10, 11, 12] {
        let (mut rows, mut ends) = (Vec::new(), 0);
        let mut show = |entry| match entry {
            Entry::EndOfBucket => ends += 1,
            other => rows.push(format!("{other:?}")),
        };
        At { moment: store.db.snapshot().unwrap(), few }.visit(&mut show).unwrap();
        rows.sort();
        seen.push((ends, rows));
    }
    assert_eq!(seen.iter().map(|(ends, _)| *ends).collect::<Vec<_>>(), [64, 64, 1, 1]);
    assert!(seen.iter().all(|(_, rows)| *rows == seen[0].1 && rows.len() > 40));
}

#[test]
fn an_expansion_leaves_older_programs_at_work_and_a_contraction_does_not() {
    let (_dir, path) = file();
    upgrades(|make, known| Sqlite::with(&path, make, known));
    let server = Server::start(Durability::Volatile).unwrap();
    upgrades(|make, known| Postgres::with(&server.address(), make, known));
}
