//! The tables: their columns in the order in which rows are written and read, their keys, and what becomes of a row whose
//! key is there. Columns are always named, so that a database may have more of them than this version knows.

use super::StoreError;
use super::value::Kind::{self, Bytes, Int, Text};

/// What becomes of a row whose key is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Again {
    /// The batch fails: it must be new.
    Fails,
    /// The row that is there stays.
    Stays,
    /// These columns change.
    Changes(&'static [&'static str]),
    /// These columns grow by what is written.
    Adds(&'static [&'static str]),
    /// This column becomes greater, or the batch fails.
    Rises(&'static str),
}

/// A table. Its key is the first columns, the bucket before all others.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    pub(super) key: usize,
    pub(super) again: Again,
}

impl Table {
    /// The names of all columns.
    pub(super) fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Whether all of `due` rows were changed: one that is silently skipped is money that vanishes.
    pub(super) fn all(&self, changed: usize, due: usize) -> Result<(), StoreError> {
        if changed == due { Ok(()) } else { Err(StoreError::Unexpected(self.name)) }
    }

    /// The same of rows that were given to be written, of which some may be there.
    pub(super) fn check(&self, written: usize, given: usize) -> Result<(), StoreError> {
        match self.again {
            Again::Stays if written < given => Ok(()),
            _ => self.all(written, given),
        }
    }

    /// The query for the row with a key.
    pub(super) fn by_key(&self) -> String {
        let columns = self.columns.iter().take(self.key).enumerate();
        let key: Vec<String> = columns.map(|(at, (name, _))| format!("{name} = ${}", at + 1)).collect();
        format!("select bucket from {} where {}", self.name, key.join(" and "))
    }

    /// The statement that writes rows: `values` is what comes after the columns' names.
    pub(super) fn insert(&self, values: &str) -> String {
        let (name, names) = (self.name, self.names());
        let key: Vec<&str> = self.columns.iter().take(self.key).map(|(name, _)| *name).collect();
        let key = key.join(", ");
        let again = match self.again {
            Again::Fails => String::new(),
            Again::Stays => format!(" on conflict ({key}) do nothing"),
            Again::Changes(changes) => {
                let set: Vec<String> =
                    changes.iter().map(|name| format!("{name} = excluded.{name}")).collect();
                format!(" on conflict ({key}) do update set {}", set.join(", "))
            }
            Again::Adds(sums) => {
                let add = |sum: &&str| format!("{sum} = {name}.{sum} + excluded.{sum}");
                let set: Vec<String> = sums.iter().map(add).collect();
                format!(" on conflict ({key}) do update set {}", set.join(", "))
            }
            Again::Rises(column) => format!(
                " on conflict ({key}) do update set {column} = excluded.{column} where {name}.{column} < excluded.{column}"
            ),
        };
        format!("insert into {name} ({names}) {values}{again}")
    }
}

pub(super) static SETTING: Table = Table {
    name: "setting",
    columns: &[("bucket", Int), ("name", Text), ("value", Text)],
    key: 2,
    again: Again::Changes(&["value"]),
};

pub(super) static PSP: Table = Table {
    name: "psp",
    columns: &[("bucket", Int), ("name", Text), ("token", Bytes)],
    key: 2,
    again: Again::Fails,
};

pub(super) static ISSUER: Table = Table {
    name: "issuer",
    columns: &[("bucket", Int), ("psp", Text), ("alg", Text), ("next_index", Int)],
    key: 3,
    again: Again::Fails,
};

pub(super) static WALLET: Table = Table {
    name: "wallet",
    columns: &[
        ("bucket", Int),
        ("id", Bytes),
        ("public_key", Bytes),
        ("psp", Text),
        ("account", Text),
        ("name", Text),
        ("grade", Int),
        ("status_index", Int),
        ("spent", Int),
        ("acked_seq", Int),
        ("acked", Bytes),
        ("claimed", Int),
        ("funding_applied", Int),
        ("funding_total", Int),
        ("order_no", Int),
        ("shadow", Int),
        ("loss", Int),
        ("loss_no", Int),
        ("liable", Text),
        ("suspended", Int),
        ("revoked", Int),
        ("pin_unblock", Int),
        ("cert_from_s", Int),
        ("cert_until_s", Int),
        ("synced_at_s", Int),
        ("closed_below", Int),
        ("closed_before_s", Int),
        ("returned", Text),
        ("paid_out", Int),
        ("closed_at_s", Int),
        ("closed_out", Int),
        ("closed_out_no", Int),
        ("image", Bytes),
        ("image_version", Int),
        ("application", Bytes),
        ("counter", Int),
        ("evidence", Int),
        ("tamper", Int),
        ("tamper_at_s", Int),
        ("lowered", Int),
    ],
    key: 2,
    again: Again::Changes(&[
        "spent",
        "acked_seq",
        "acked",
        "claimed",
        "funding_applied",
        "funding_total",
        "order_no",
        "shadow",
        "loss",
        "loss_no",
        "liable",
        "suspended",
        "revoked",
        "pin_unblock",
        "cert_from_s",
        "cert_until_s",
        "synced_at_s",
        "closed_below",
        "closed_before_s",
        "returned",
        "paid_out",
        "closed_at_s",
        "closed_out",
        "closed_out_no",
        "tamper",
        "tamper_at_s",
        "lowered",
    ]),
};

pub(super) static CERTIFICATE: Table = Table {
    name: "certificate",
    columns: &[("bucket", Int), ("wallet", Bytes), ("from_s", Int), ("until_s", Int), ("status_index", Int)],
    key: 3,
    again: Again::Fails,
};

pub(super) static RECORD: Table = Table {
    name: "record",
    columns: &[
        ("bucket", Int),
        ("payer", Bytes),
        ("payer_seq", Int),
        ("id", Bytes),
        ("payee", Bytes),
        ("request_no", Int),
        ("amount", Int),
        ("spent", Int),
        ("payer_until_s", Int),
        ("bits", Int),
        ("first_seen_s", Int),
        ("payment", Bytes),
    ],
    key: 4,
    again: Again::Fails,
};

/// Payments that somebody has yet to do something about: a table of its own, so that a payment's row is in no index of what
/// changes.
pub(super) static OPEN_PAYMENT: Table = Table {
    name: "open_payment",
    columns: &[
        ("bucket", Int),
        ("payer", Bytes),
        ("payer_seq", Int),
        ("id", Bytes),
        ("payee", Bytes),
        ("since_s", Int),
    ],
    key: 4,
    again: Again::Fails,
};

pub(super) static FORKED_PAYMENT: Table = Table {
    name: "forked_payment",
    columns: &[("bucket", Int), ("payer", Bytes), ("payer_seq", Int), ("id", Bytes)],
    key: 4,
    again: Again::Fails,
};

pub(super) static LEDGER: Table = Table {
    name: "ledger",
    columns: &[
        ("bucket", Int),
        ("wallet", Bytes),
        ("kind", Int),
        ("reference", Bytes),
        ("debit", Bytes),
        ("credit", Bytes),
        ("amount", Int),
    ],
    key: 4,
    again: Again::Fails,
};

pub(super) static STATEMENT: Table = Table {
    name: "statement",
    columns: &[
        ("bucket", Int),
        ("wallet", Bytes),
        ("message", Bytes),
        ("seq", Int),
        ("id", Bytes),
        ("certified", Int),
        ("settlement_id", Bytes),
        ("signed", Bytes),
        ("settlement", Bytes),
        ("statement", Bytes),
    ],
    key: 3,
    again: Again::Fails,
};

pub(super) static FUND_ORDER: Table = Table {
    name: "fund_order",
    columns: &[
        ("bucket", Int),
        ("wallet", Bytes),
        ("number", Int),
        ("digest", Bytes),
        ("amount", Int),
        ("state", Int),
    ],
    key: 3,
    again: Again::Changes(&["state"]),
};

pub(super) static RAIL_MOVE: Table = Table {
    name: "rail_move",
    columns: &[
        ("bucket", Int),
        ("id", Text),
        ("from_psp", Text),
        ("from_account", Text),
        ("to_psp", Text),
        ("to_account", Text),
        ("amount", Int),
        ("done", Int),
    ],
    key: 2,
    again: Again::Fails,
};

pub(super) static MISCONDUCT: Table = Table {
    name: "misconduct",
    columns: &[
        ("bucket", Int),
        ("wallet", Bytes),
        ("reason", Int),
        ("digest", Bytes),
        ("evidence", Bytes),
        ("opened_at_s", Int),
    ],
    key: 4,
    again: Again::Stays,
};

pub(super) static REVOCATION: Table = Table {
    name: "revocation",
    columns: &[
        ("bucket", Int),
        ("wallet", Bytes),
        ("status_index", Int),
        ("since_no", Int),
        ("until_no", Int),
        ("at_s", Int),
    ],
    key: 2,
    again: Again::Changes(&["until_no"]),
};

pub(super) static PUBLISHED: Table = Table {
    name: "published",
    columns: &[("bucket", Int), ("kind", Int), ("number", Int), ("issued_at_s", Int), ("bytes", Bytes)],
    key: 3,
    again: Again::Fails,
};

pub(super) static IDEMPOTENCY: Table = Table {
    name: "idempotency",
    columns: &[
        ("bucket", Int),
        ("key", Bytes),
        ("request", Bytes),
        ("status", Int),
        ("body", Text),
        ("kept_at_s", Int),
    ],
    key: 2,
    again: Again::Stays,
};

pub(super) static ACTIVATION: Table = Table {
    name: "activation",
    columns: &[
        ("bucket", Int),
        ("code", Bytes),
        ("psp", Text),
        ("account", Text),
        ("until_s", Int),
        ("used", Int),
    ],
    key: 2,
    again: Again::Fails,
};

pub(super) static IMAGE: Table = Table {
    name: "image",
    columns: &[
        ("bucket", Int),
        ("hash", Bytes),
        ("version", Int),
        ("listed_at_s", Int),
        ("withdrawn_at_s", Int),
    ],
    key: 2,
    again: Again::Changes(&["version", "withdrawn_at_s"]),
};

/// How many payments there are of each reason, in the bucket of their payers.
pub(super) static TALLY: Table = Table {
    name: "tally",
    columns: &[("bucket", Int), ("reason", Int), ("payments", Int), ("amount", Int)],
    key: 2,
    again: Again::Adds(&["payments", "amount"]),
};

/// What is to be written in other buckets, in the bucket of whoever ordered it.
pub(super) static OUTBOX: Table = Table {
    name: "outbox",
    columns: &[("bucket", Int), ("number", Int), ("place", Int), ("writes", Bytes)],
    key: 3,
    again: Again::Fails,
};

/// Up to which number what an outbox (`home`) had for a bucket was written there.
pub(super) static DELIVERY: Table = Table {
    name: "delivery",
    columns: &[("bucket", Int), ("home", Int), ("number", Int)],
    key: 2,
    again: Again::Rises("number"),
};

/// All of them.
pub(super) static TABLES: [&Table; 21] = [
    &SETTING,
    &PSP,
    &ISSUER,
    &WALLET,
    &CERTIFICATE,
    &RECORD,
    &OPEN_PAYMENT,
    &FORKED_PAYMENT,
    &LEDGER,
    &STATEMENT,
    &FUND_ORDER,
    &RAIL_MOVE,
    &MISCONDUCT,
    &REVOCATION,
    &PUBLISHED,
    &IDEMPOTENCY,
    &ACTIVATION,
    &IMAGE,
    &TALLY,
    &OUTBOX,
    &DELIVERY,
];
