//! Reading the rows that statements need: each kind of row once, for all of them.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_trust::open;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::Settlement;
use counterfoil_wire::{Digest, KeyId, Wire};

use super::database::Database;
use super::value::{Fields, Row, Value};
use super::{StoreError, queries, rows};
use crate::domain::known::{Journal, Known, Needs, Place};
use crate::domain::record::bit;

pub(super) fn gather(db: &impl Database, needs: &[Needs]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let places: BTreeSet<Place> = needs.iter().flat_map(|needs| needs.neighbours.iter().copied()).collect();
    let numbered = places.iter().map(|place| (place.payer, place.seq)).collect();
    by_number(&mut known, db, &numbered)?;
    neighbours(&mut known, db, &places)?;
    // Payments that the wallets sent and do not know the end of.
    add(&mut known, db, queries::OPEN_RECORDS, needs.iter().map(|needs| of(&needs.own, [])))?;
    let named: BTreeSet<(KeyId, Digest)> =
        needs.iter().flat_map(|needs| needs.records.iter().copied()).collect();
    by_name(&mut known, db, &named)?;
    for (needs, journal) in needs.iter().zip(journals(db, needs)?) {
        known.add_journal(needs.own, journal);
    }
    let keys: BTreeSet<KeyId> = needs
        .iter()
        .flat_map(|needs| needs.wallets.iter().chain([&needs.own]).copied())
        .chain(known.parties())
        .collect();
    for (_, row) in db.select_each(queries::WALLET, &sets(keys.iter().map(|key| of(key, []))))? {
        known.add_wallet(rows::wallet(row)?);
    }
    let keys: Vec<KeyId> = needs
        .iter()
        .flat_map(|needs| needs.certs.iter().copied())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    for (at, row) in db.select_each(queries::CERTIFIED, &sets(keys.iter().map(|key| of(key, []))))? {
        if let (Some(key), Some(cert)) = (keys.get(at), settlement(row)?.cert) {
            known.add_cert(*key, cert);
        }
    }
    Ok(known)
}

/// The parameters of a query about a wallet: its bucket, its key, and `more`.
fn of<'a, const N: usize>(key: &'a KeyId, more: [Value<'a>; N]) -> Vec<Value<'a>> {
    [Value::bucket(key), key.into()].into_iter().chain(more).collect()
}

fn sets<'a>(sets: impl Iterator<Item = Vec<Value<'a>>>) -> Vec<Vec<Value<'a>>> {
    sets.collect()
}

fn add<'a>(
    known: &mut Known,
    db: &impl Database,
    query: &'static str,
    of: impl Iterator<Item = Vec<Value<'a>>>,
) -> Result<(), StoreError> {
    for (_, row) in db.select_each(query, &sets(of))? {
        known.add_record(rows::record(row)?);
    }
    Ok(())
}

/// Payments by their identifiers. Nearly all of them are open, and known by now; for the others the numbers of a wallet's whole
/// history are gone through, once.
fn by_name(
    known: &mut Known,
    db: &impl Database,
    named: &BTreeSet<(KeyId, Digest)>,
) -> Result<(), StoreError> {
    let missing: BTreeSet<&(KeyId, Digest)> = named.iter().filter(|(_, id)| !known.has_record(id)).collect();
    let payers: Vec<KeyId> =
        missing.iter().map(|(payer, _)| *payer).collect::<BTreeSet<_>>().into_iter().collect();
    let mut places = BTreeSet::new();
    for (at, row) in db.select_each(queries::NUMBERS, &sets(payers.iter().map(|payer| of(payer, []))))? {
        let mut row = Fields::new("record", row);
        let (seq, id) = (row.int::<u32>()?, row.digest()?);
        if let Some(payer) = payers.get(at).filter(|payer| missing.contains(&(**payer, id))) {
            places.insert((*payer, seq));
        }
    }
    by_number(known, db, &places)
}

/// Payments by payer and number.
fn by_number(
    known: &mut Known,
    db: &impl Database,
    numbers: &BTreeSet<(KeyId, u32)>,
) -> Result<(), StoreError> {
    add(known, db, queries::BY_SEQ, numbers.iter().map(|(payer, seq)| of(payer, [(*seq).into()])))
}

/// Payments that could conflict with one at one of `places`.
fn neighbours(known: &mut Known, db: &impl Database, places: &BTreeSet<Place>) -> Result<(), StoreError> {
    let places: Vec<&Place> = places.iter().collect();
    // What meets a payment that is known was found when the later of the two came: it is among those in conflict.
    let new: Vec<&Place> =
        places.iter().filter(|place| place.id.is_none_or(|id| !known.has_record(&id))).copied().collect();
    let asked = new.iter().map(|place| of(&place.payer, [place.from.into()]));
    let mut found: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    let mut near = BTreeSet::new();
    for (at, row) in db.select_each(queries::ENDING_AFTER, &sets(asked))? {
        let mut row = Fields::new("record", row);
        let (seq, amount, spent, bits) = (row.int::<u32>()?, row.amount()?, row.amount()?, row.int::<u16>()?);
        let Some(place) = new.get(at) else { continue };
        // Intervals of payments that are in no conflict are disjoint: the first that begins too late ends the search.
        let ends = bits & bit::FORKED == 0 && spent.minus_or_zero(amount) >= place.to;
        if !ends && seq != place.seq {
            near.insert((place.payer, seq));
        }
        found.entry(at).or_default().push(ends);
    }
    by_number(known, db, &near)?;
    let unended = found
        .iter()
        .filter(|(_, near)| near.len() >= queries::ENDING_AFTER_LIMIT && near.iter().all(|ends| !ends));
    let interval = |place: &&'_ Place| (place.payer, place.from, place.to);
    let unended: Vec<_> = unended.filter_map(|(at, _)| new.get(*at)).map(interval).collect();
    let reaching = unended.iter().map(|(payer, from, to)| of(payer, [(*from).into(), (*to).into()]));
    add(known, db, queries::REACHING_INTO, reaching)?;
    // Few payers are in any conflict: each is asked for once.
    let payers: Vec<KeyId> =
        places.iter().map(|place| place.payer).collect::<BTreeSet<_>>().into_iter().collect();
    let forked = db.select_each(queries::ANY_FORKED, &sets(payers.iter().map(|payer| of(payer, []))))?;
    let forked: BTreeSet<KeyId> = forked.iter().filter_map(|(at, _)| payers.get(*at).copied()).collect();
    let near = places.iter().filter(|place| forked.contains(&place.payer));
    let near: Vec<_> = near.map(interval).collect();
    add(
        known,
        db,
        queries::FORKED_NEAR,
        near.iter().map(|(payer, from, to)| of(payer, [(*from).into(), (*to).into()])),
    )
}

/// What the statements of each wallet refer to in its journal.
fn journals(db: &impl Database, needs: &[Needs]) -> Result<Vec<Journal>, StoreError> {
    let first = || Journal { heads: BTreeSet::from([(0, Digest::NONE)]), ..Journal::default() };
    let mut journals: Vec<Journal> = needs.iter().map(|_| first()).collect();
    let asked = needs.iter().map(|needs| of(&needs.own, [needs.heads_from.into()]));
    for (at, row) in db.select_each(queries::HEADS, &sets(asked))? {
        let Some(journal) = journals.get_mut(at) else { continue };
        let mut row = Fields::new("statement", row);
        journal.heads.insert((row.int()?, row.digest()?));
        if let Some(signed) = row.optional_bytes()? {
            journal.statements.push(SignedHeader::from_bytes(&signed).map_err(|_| row.damaged())?);
        }
    }
    let named: Vec<(usize, &KeyId, &Digest)> = needs
        .iter()
        .enumerate()
        .flat_map(|(at, needs)| needs.settlements.iter().map(move |id| (at, &needs.own, id)))
        .collect();
    let asked = named.iter().map(|(_, own, id)| of(own, [(*id).into()]));
    for (at, row) in db.select_each(queries::SETTLEMENT, &sets(asked))? {
        let Some((at, _, id)) = named.get(at) else { continue };
        if let Some(journal) = journals.get_mut(*at) {
            journal.settlements.insert(**id, settlement(row)?);
        }
    }
    Ok(journals)
}

fn settlement(row: Row) -> Result<Settlement, StoreError> {
    let mut row = Fields::new("statement", row);
    open::<Settlement>(&row.bytes()?).map(|opened| opened.body).map_err(|_| row.damaged())
}
