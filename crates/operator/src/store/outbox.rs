//! A batch of several buckets without a transaction of several buckets, which a distributed database would have to agree on among
//! its machines.
//!
//! ```text
//!   checked -> (home: its own rows, and for each other bucket what is to be written there) -> written for certain
//!           -> (bucket: its rows, and that they are there) each -> (home: forgotten)
//! ```
//!
//! The first transaction, in the home of whoever writes, decides. What it left undone is done before anybody reads again, and once:
//! every bucket knows up to which number what this home had for it was written. What could stand in the way in another bucket is
//! looked for before, since later it would be too late.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::database::{Database, Write};
use super::queries::{self, CHANGES};
use super::table::{self, Again, TABLES};
use super::value::{Fields, Kind, Value};
use super::{SCHEME, StoreError};

/// Where what is to be written in other buckets waits: the bucket of the scheme's own rows, which nearly every batch of one writer
/// touches anyway.
const HOME: u16 = SCHEME;

/// Writes by the bucket that they are in.
type ByBucket<'a> = BTreeMap<u16, Vec<Write<'a>>>;

/// Writes a batch, in one transaction for each bucket. Fails with nothing written, or, where the database breaks off in the middle, with
/// all of it written once [`deliver`] was called.
pub(super) fn commit(db: &mut impl Database, writes: Vec<Write<'_>>) -> Result<(), StoreError> {
    // A batch before it that broke off: what was read since is not as it will be, and a later mark would hide what still waits.
    if !db.select_each(queries::WAITING, &[vec![HOME.into()]])?.is_empty() {
        return Err(StoreError::Unexpected("outbox"));
    }
    let mut buckets = by_bucket(writes)?;
    if buckets.len() < 2 {
        return db.write(&buckets.into_values().next().unwrap_or_default());
    }
    let mut home = buckets.remove(&HOME).unwrap_or_default();
    check(db, &buckets)?;
    let number = done_up_to(db, HOME)?.checked_add(1).ok_or(StoreError::Unexpected("delivery"))?;
    let waiting = |(place, writes): (&u16, &Vec<Write<'_>>)| {
        vec![HOME.into(), number.into(), (*place).into(), encode(writes).into()]
    };
    home.push(Write::Rows(&table::OUTBOX, buckets.iter().map(waiting).collect()));
    home.push(delivered(HOME, number));
    db.write(&home)?;
    let places = buckets.keys().map(|place| waiting_at(*place, number)).collect();
    let with_mark = |(place, mut writes): (u16, Vec<_>)| {
        writes.push(delivered(place, number));
        writes
    };
    let buckets: Vec<Vec<Write<'_>>> = buckets.into_iter().map(with_mark).collect();
    db.write_apart(&buckets)?;
    db.write(&[Write::Change(&queries::FORGET, places)])
}

/// Writes what was decided and not written yet.
pub(super) fn deliver(db: &mut impl Database) -> Result<(), StoreError> {
    for (_, row) in db.select_each(queries::WAITING, &[vec![HOME.into()]])? {
        let mut row = Fields::new("outbox", row);
        let (number, place, writes) = (row.int::<i64>()?, row.int::<u16>()?, row.bytes()?);
        if done_up_to(db, place)? < number {
            let mut writes = decode(&writes).ok_or_else(|| row.damaged())?;
            writes.push(delivered(place, number));
            db.write(&writes)?;
        }
        db.write(&[Write::Change(&queries::FORGET, vec![waiting_at(place, number)])])?;
    }
    Ok(())
}

fn done_up_to(db: &impl Database, place: u16) -> Result<i64, StoreError> {
    let found = db.select_each(queries::DONE_UP_TO, &[vec![place.into(), HOME.into()]])?;
    found.into_iter().next().map_or(Ok(0), |(_, row)| Fields::new("delivery", row).int())
}

fn delivered(place: u16, number: i64) -> Write<'static> {
    Write::Rows(&table::DELIVERY, vec![vec![place.into(), HOME.into(), number.into()]])
}

fn waiting_at(place: u16, number: i64) -> Vec<Value<'static>> {
    vec![HOME.into(), number.into(), place.into()]
}

fn by_bucket(writes: Vec<Write<'_>>) -> Result<ByBucket<'_>, StoreError> {
    let mut buckets = ByBucket::new();
    for write in writes {
        let (name, key_at) = (write.parts().0, write.parts().2);
        let (Write::Rows(_, sets) | Write::Change(_, sets)) = &write;
        let mut of: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (at, set) in sets.iter().enumerate() {
            let bucket = match set.get(key_at) {
                Some(Value::Int(bucket)) => u16::try_from(*bucket).ok(),
                _ => None,
            };
            of.entry(bucket.ok_or(StoreError::Damaged(name))?).or_default().push(at);
        }
        let same = |sets| match &write {
            Write::Rows(table, _) => Write::Rows(table, sets),
            Write::Change(change, _) => Write::Change(change, sets),
        };
        for (bucket, places) in of {
            let sets = places.into_iter().filter_map(|at| sets.get(at).cloned()).collect();
            buckets.entry(bucket).or_default().push(same(sets));
        }
    }
    Ok(buckets)
}

/// Whether each write can be done: rows that must be new are, and those that are to change are there.
fn check(db: &impl Database, buckets: &ByBucket<'_>) -> Result<(), StoreError> {
    // What a batch makes and changes at once is none of this.
    let mut keys: BTreeMap<(&'static str, bool), Vec<Vec<Value<'_>>>> = BTreeMap::new();
    for write in buckets.values().flatten() {
        let (table, due) = match write {
            Write::Rows(table, _) if matches!(table.again, Again::Fails) => (*table, false),
            Write::Rows(..) => continue,
            Write::Change(change, _) => (change.table, true),
        };
        let (_, sets, key_at) = write.parts();
        let key = |set: &Vec<_>| set.iter().skip(key_at).take(table.key).cloned().collect();
        keys.entry((table.name, due)).or_default().extend(sets.iter().map(key));
    }
    for ((name, due), keys) in keys {
        let unexpected = || StoreError::Unexpected(name);
        let table = TABLES.iter().find(|table| table.name == name).ok_or_else(unexpected)?;
        let distinct: BTreeSet<&Vec<Value<'_>>> = keys.iter().collect();
        let found = db.select_each(&table.by_key(), &keys)?.len();
        if distinct.len() < keys.len() || found != if due { keys.len() } else { 0 } {
            return Err(unexpected());
        }
    }
    Ok(())
}

/// Writes as they wait: an array of `[name, [[value, …], …]]`.
pub(super) fn encode(writes: &[Write<'_>]) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    // Nothing fails that is written into memory.
    let mut all = || -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        out.array(count(writes.len()))?;
        for write in writes {
            let (name, sets, _) = write.parts();
            out.array(2)?.str(name)?.array(count(sets.len()))?;
            for set in sets {
                out.array(count(set.len()))?;
                for value in set {
                    match value {
                        Value::Null => out.null()?,
                        Value::Int(value) => out.i64(*value)?,
                        Value::Text(value) => out.str(value)?,
                        Value::Bytes(value) => out.bytes(value)?,
                    };
                }
            }
        }
        Ok(())
    };
    let _ = all();
    out.into_writer()
}

/// The writes again; none where they are damaged, or of tables that have other columns by now.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Write<'static>>> {
    let mut from = Decoder::new(bytes);
    let mut writes = Vec::new();
    for _ in 0..from.array().ok()?? {
        (from.array().ok()?? == 2).then_some(())?;
        let name = from.str().ok()?;
        let table = TABLES.iter().find(|table| table.name == name);
        let change = CHANGES.iter().find(|change| change.name == name);
        let mut sets = Vec::new();
        for _ in 0..from.array().ok()?? {
            let columns = from.array().ok()??;
            let set: Vec<Value<'static>> = (0..columns).map(|_| value(&mut from)).collect::<Option<_>>()?;
            let fits = |kinds: Vec<Kind>| {
                let mut both = set.iter().zip(&kinds);
                set.len() == kinds.len()
                    && both.all(|(value, kind)| value.kind().is_none_or(|is| is == *kind))
            };
            let of_table =
                |table: &&&table::Table| fits(table.columns.iter().map(|(_, kind)| *kind).collect());
            (change.is_some() || table.as_ref().is_some_and(of_table)).then_some(())?;
            sets.push(set);
        }
        writes.push(match (table, change) {
            (Some(table), _) => Write::Rows(table, sets),
            (None, Some(change)) => Write::Change(change, sets),
            (None, None) => return None,
        });
    }
    (from.position() == bytes.len()).then_some(writes)
}

fn value(from: &mut Decoder<'_>) -> Option<Value<'static>> {
    match from.datatype().ok()? {
        Type::Null => from.null().ok().map(|()| Value::Null),
        Type::String => from.str().ok().map(|text| text.to_owned().into()),
        Type::Bytes => from.bytes().ok().map(|bytes| bytes.to_vec().into()),
        _ => from.i64().ok().map(Value::Int),
    }
}
