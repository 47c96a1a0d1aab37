//! A rail in one SQLite file.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;

use crate::{Account, AccountBalance, Rail, RailError, Transfer};

/// What a customer's account opens with in a sandbox: 1,000.00.
pub const SANDBOX_CUSTOMER_OPENING: u64 = 100_000;

/// What a loss fund opens with in a sandbox: 100,000.00.
pub const SANDBOX_LOSS_FUND_OPENING: u64 = 10_000_000;

const SCHEMA: &str = "
    create table if not exists account (
        psp text not null, account text not null, opened integer not null check (opened >= 0),
        balance integer not null check (balance >= 0), primary key (psp, account)
    ) without rowid;
    create table if not exists transfer (
        id text primary key, from_psp text not null, from_account text not null, to_psp text not null,
        to_account text not null, amount integer not null check (amount > 0)
    ) without rowid;
";

/// The simulated rail. One process writes; others may read a [`Snapshot`].
pub struct SimulatedRail {
    db: Connection,
}

/// The whole rail at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Every account, in order of its name.
    pub accounts: Vec<AccountBalance>,
    /// Minor units on all accounts.
    pub total: u64,
    /// Minor units that all accounts were opened with; equals `total`, since transfers create nothing.
    pub opened: u64,
    /// Number of transfers made.
    pub transfers: u64,
    /// What does not hold, in words. Empty when the rail's books are sound.
    pub broken: Vec<String>,
}

impl Snapshot {
    /// The balance of `account`, if it is open.
    pub fn balance(&self, account: &Account) -> Option<u64> {
        self.accounts.iter().find(|row| row.account == *account).map(|row| row.balance)
    }
}

impl SimulatedRail {
    /// Opens the rail in the file at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// [`RailError::Unavailable`].
    pub fn open(path: &Path) -> Result<Self, RailError> {
        let db = Connection::open(path)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "synchronous", "full")?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db })
    }

    /// Reads the rail in the file at `path` without changing it, also while another process writes.
    ///
    /// # Errors
    /// [`RailError::Unavailable`], also when there is no such file.
    pub fn snapshot(path: &Path) -> Result<Snapshot, RailError> {
        let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        db.pragma_update(None, "query_only", true)?;
        read(&db.transaction()?)
    }

    /// The whole rail as it is now, with its books checked.
    ///
    /// # Errors
    /// [`RailError::Unavailable`].
    pub fn audit(&mut self) -> Result<Snapshot, RailError> {
        read(&self.db.transaction()?)
    }
}

impl Rail for SimulatedRail {
    fn open_or_balance(&mut self, account: &Account, opening: u64) -> Result<u64, RailError> {
        let opening = to_sql(opening)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute(
            "insert into account (psp, account, opened, balance) values (?1, ?2, ?3, ?3) on conflict do nothing",
            params![account.psp, account.account, opening],
        )?;
        let now = balance(&tx, account)?.ok_or(RailError::UnknownAccount)?;
        tx.commit()?;
        Ok(now.unsigned_abs())
    }

    fn transfer(
        &mut self,
        id: &str,
        from: &Account,
        to: &Account,
        amount: u64,
    ) -> Result<Transfer, RailError> {
        if amount == 0 || from == to {
            return Err(RailError::NotATransfer);
        }
        let minor = to_sql(amount)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut done =
            Transfer { id: id.to_owned(), from: from.clone(), to: to.clone(), amount, again: true };
        if let Some(before) = made_before(&tx, id)? {
            return if before == done { Ok(before) } else { Err(RailError::IdReused) };
        }
        let has = balance(&tx, from)?.ok_or(RailError::UnknownAccount)?;
        let target = balance(&tx, to)?.ok_or(RailError::UnknownAccount)?;
        if has < minor {
            return Err(RailError::InsufficientFunds);
        }
        target.checked_add(minor).ok_or(RailError::NotATransfer)?;
        tx.execute(
            "insert into transfer (id, from_psp, from_account, to_psp, to_account, amount)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, from.psp, from.account, to.psp, to.account, minor],
        )?;
        for (account, change) in [(from, -minor), (to, minor)] {
            tx.execute(
                "update account set balance = balance + ?3 where psp = ?1 and account = ?2",
                params![account.psp, account.account, change],
            )?;
        }
        tx.commit()?;
        done.again = false;
        Ok(done)
    }

    fn accounts(&self) -> Result<Vec<AccountBalance>, RailError> {
        list(&self.db)
    }
}

fn to_sql(minor: u64) -> Result<i64, RailError> {
    i64::try_from(minor).map_err(|_| RailError::NotATransfer)
}

fn balance(db: &Connection, account: &Account) -> Result<Option<i64>, RailError> {
    let mut find = db.prepare_cached("select balance from account where psp = ?1 and account = ?2")?;
    Ok(find.query_row(params![account.psp, account.account], |row| row.get(0)).optional()?)
}

fn made_before(db: &Connection, id: &str) -> Result<Option<Transfer>, RailError> {
    let mut find = db.prepare_cached(
        "select from_psp, from_account, to_psp, to_account, amount from transfer where id = ?1",
    )?;
    let read = find.query_row(params![id], |row| {
        Ok(Transfer {
            id: id.to_owned(),
            from: Account { psp: row.get(0)?, account: row.get(1)? },
            to: Account { psp: row.get(2)?, account: row.get(3)? },
            amount: row.get::<_, i64>(4)?.unsigned_abs(),
            again: true,
        })
    });
    Ok(read.optional()?)
}

fn list(db: &Connection) -> Result<Vec<AccountBalance>, RailError> {
    let mut all =
        db.prepare_cached("select psp, account, opened, balance from account order by psp, account")?;
    let rows = all.query_map([], |row| {
        Ok(AccountBalance {
            account: Account { psp: row.get(0)?, account: row.get(1)? },
            opened: row.get::<_, i64>(2)?.unsigned_abs(),
            balance: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(tx: &Transaction<'_>) -> Result<Snapshot, RailError> {
    let accounts = list(tx)?;
    let transfers: i64 = tx.query_row("select count(*) from transfer", [], |row| row.get(0))?;
    let mut moved = tx.prepare(
        "select coalesce((select sum(amount) from transfer where to_psp = ?1 and to_account = ?2), 0)
              - coalesce((select sum(amount) from transfer where from_psp = ?1 and from_account = ?2), 0)",
    )?;
    let (mut total, mut opened, mut broken) = (0u64, 0u64, Vec::new());
    for row in &accounts {
        total = total.saturating_add(row.balance);
        opened = opened.saturating_add(row.opened);
        let change: i64 = moved.query_row(params![row.account.psp, row.account.account], |row| row.get(0))?;
        if row.opened.checked_add_signed(change) != Some(row.balance) {
            broken.push(format!(
                "account {} of {}: opened with {}, moved {change}, holds {}",
                row.account.account, row.account.psp, row.opened, row.balance
            ));
        }
    }
    if total != opened {
        broken.push(format!("all accounts hold {total}, but were opened with {opened}"));
    }
    Ok(Snapshot { accounts, total, opened, transfers: transfers.unsigned_abs(), broken })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rail() -> (tempfile::TempDir, SimulatedRail) {
        let dir = tempfile::tempdir().unwrap();
        let rail = SimulatedRail::open(&dir.path().join("rail.db")).unwrap();
        (dir, rail)
    }

    #[test]
    fn a_transfer_is_made_once_and_creates_nothing() {
        let (dir, mut rail) = rail();
        let (ann, float) = (Account::new("alpha", "ann"), Account::float());
        assert_eq!(rail.open_or_balance(&ann, 1000).unwrap(), 1000);
        assert_eq!(rail.open_or_balance(&float, 0).unwrap(), 0);
        assert!(!rail.transfer("t1", &ann, &float, 400).unwrap().again);
        assert!(rail.transfer("t1", &ann, &float, 400).unwrap().again);
        assert!(matches!(rail.transfer("t1", &ann, &float, 401), Err(RailError::IdReused)));
        assert!(matches!(rail.transfer("t2", &ann, &float, 601), Err(RailError::InsufficientFunds)));
        assert!(matches!(
            rail.transfer("t3", &ann, &Account::new("x", "y"), 1),
            Err(RailError::UnknownAccount)
        ));
        assert!(matches!(rail.transfer("t4", &ann, &ann, 1), Err(RailError::NotATransfer)));
        assert_eq!(rail.open_or_balance(&ann, 1000).unwrap(), 600);
        // The writer is still open: another process sees the same.
        let seen = SimulatedRail::snapshot(&dir.path().join("rail.db")).unwrap();
        assert_eq!((seen.total, seen.opened, seen.transfers), (1000, 1000, 1));
        assert_eq!(seen.balance(&float), Some(400));
        assert!(seen.broken.is_empty());
    }

    #[test]
    fn an_audit_finds_money_out_of_nothing() {
        let (_dir, mut rail) = rail();
        rail.open_or_balance(&Account::float(), 5).unwrap();
        rail.db.execute("update account set balance = 6", []).unwrap();
        assert_eq!(rail.audit().unwrap().broken.len(), 2);
    }
}
