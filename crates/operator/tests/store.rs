//! What every store promises: see `tests/support/database.rs` for which one this is run on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use counterfoil_operator::domain::audit::Entry as Row;
use counterfoil_operator::domain::bucket;
use counterfoil_operator::domain::element::{Element, Evidence};
use counterfoil_operator::domain::known::{Needs, Place};
use counterfoil_operator::domain::ledger::{Account, Kind, Posting};
use counterfoil_operator::domain::reason::Reason;
use counterfoil_operator::domain::reconcile::{Case, Move};
use counterfoil_operator::domain::record::{Changed, Record, bit};
use counterfoil_operator::domain::wallet::Wallet;
use counterfoil_operator::store::{
    Answer, Asked, Batch, Issued, Kept, ListKind, ListedImage, Location, NewActivation, Order, OrderState,
    Psp, Published, Revocation, Store, StoreError,
};
use counterfoil_rail::Account as RailAccount;
use counterfoil_trust::SigningKey;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::element::{CounterKind, Tamper};
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Algorithm, Amount, Digest, KeyId};
use proptest::prelude::*;
use support::amount;
use support::database::{Database, Schema, transactions};

/// An empty store, and where it is.
struct Fresh {
    store: Box<dyn Store>,
    location: Location,
    rows: Schema,
    _dir: tempfile::TempDir,
}

fn fresh() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(dir.path());
    let location = database.location().unwrap_or(Location::Sqlite(dir.path().join("operator.db")));
    let store = counterfoil_operator::store::create(&location, transactions()).unwrap();
    Fresh { store, location, rows: Schema(database), _dir: dir }
}

fn wallet(secret: u8) -> Wallet {
    let key = SigningKey::from_secret(Algorithm::EdDsa, &[secret; 32]).unwrap().public();
    Wallet::new(key, "alpha", "ann", Grade::VirtualSe, u32::from(secret))
}

fn record(payer: KeyId, payee: KeyId, seq: u32, minor: u64, spent: u64, id: u8) -> Record {
    Record {
        id: Digest([id; 32]),
        payer,
        payer_seq: seq,
        payee,
        request_no: 3,
        amount: amount(minor),
        spent: amount(spent),
        payer_until_s: 9,
        bits: bit::PAYER | bit::DEBITED,
        first_seen_s: 4,
        payment: vec![id; 40],
    }
}

fn posting(kind: Kind, reference: u8, minor: u64) -> Posting {
    Posting {
        wallet: KeyId([7; 32]),
        kind,
        reference: Digest([reference; 32]),
        debit: Account::Clearing(5),
        credit: Account::Offline(KeyId([7; 32])),
        amount: amount(minor),
    }
}

/// All rows that an audit sees.
fn rows(store: &dyn Store) -> Vec<Row> {
    let mut rows = Vec::new();
    store.snapshot().unwrap().visit(&mut |row| rows.push(row)).unwrap();
    rows.retain(|row| *row != Row::EndOfBucket);
    rows
}

#[test]
fn a_wallet_is_read_as_it_was_written_whatever_is_in_it() {
    let Fresh { mut store, rows: _rows, _dir, .. } = fresh();
    let plain = wallet(1);
    let full = Wallet {
        name: "Shop \u{1f3ea} 'x'".to_owned(),
        account: "ann\"; drop table wallet".to_owned(),
        spent: Amount::MAX,
        acked_seq: u32::MAX,
        acked: Digest([0xff; 32]),
        claimed: amount(1),
        funding_applied: amount(2),
        funding_total: amount(3),
        order_no: 4,
        shadow: -5,
        loss: 6,
        loss_no: 7,
        liable: Some("scheme".to_owned()),
        standing: Standing::Suspended,
        revoked: true,
        pin_unblock: true,
        cert_from_s: 8,
        cert_until_s: u32::MAX,
        synced_at_s: 10,
        closed_below: 11,
        closed_before_s: 12,
        returned: vec![(1, amount(13)), (2, Amount::MAX)],
        paid_out: amount(14),
        closed_at_s: 15,
        closed_out: amount(16),
        closed_out_no: 17,
        element: Element {
            image: Digest([1; 32]),
            image_version: 18,
            application: Digest([2; 32]),
            counter: CounterKind::Platform,
            evidence: Evidence::AndroidKey,
        },
        tamper: Tamper::from_number(1),
        tamper_at_s: 19,
        lowered: true,
        ..wallet(2)
    };
    assert!(full.tamper.is_some());
    store.commit(&Batch { wallets: vec![plain.clone(), full.clone()], ..Batch::default() }).unwrap();
    for due in [&plain, &full] {
        assert_eq!(store.wallet(&due.id).unwrap().as_ref(), Some(due));
    }
    assert_eq!(store.wallet(&KeyId([9; 32])).unwrap(), None);
    // What may change changes, what may not stays.
    let changed =
        Wallet { shadow: 500, liable: None, tamper: None, name: "other".to_owned(), ..full.clone() };
    store.commit(&Batch { wallets: vec![changed.clone()], ..Batch::default() }).unwrap();
    assert_eq!(store.wallet(&full.id).unwrap(), Some(Wallet { name: full.name, ..changed }));
    assert_eq!(store.overdue(u32::MAX).unwrap(), []);
    assert_eq!(store.unlisted().unwrap().len(), 1);
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    let Fresh { mut store, rows: _rows, _dir, .. } = fresh();
    let (ann, ben) = (wallet(1), wallet(2));
    store.commit(&Batch { postings: vec![posting(Kind::Fund, 1, 5)], ..Batch::default() }).unwrap();
    let order = Order {
        wallet: ann.id,
        number: 1,
        digest: Digest([1; 32]),
        amount: amount(5),
        state: OrderState::Pending,
    };
    let sound = Batch {
        wallets: vec![ann.clone()],
        records: vec![Changed::new(record(ann.id, ben.id, 1, 5, 5, 1))],
        postings: vec![posting(Kind::Send, 1, 5)],
        order: Some(order),
        cases: vec![(Case { key: ann.id, reason: Reason::Gap, evidence: vec![1] }, 7)],
        ..Batch::default()
    };
    let unsound = [
        // A posting that is there, one after another that is not.
        Batch { postings: vec![posting(Kind::Send, 1, 5), posting(Kind::Fund, 1, 5)], ..sound.clone() },
        // An activation that nobody opened, an issuer that nobody has, a transfer that nobody ordered.
        Batch { activation: Some((Digest([1; 32]), "alpha".into(), "ann".into())), ..sound.clone() },
        Batch { next_index: Some(("alpha".into(), "EdDSA".into(), 5)), ..sound.clone() },
        Batch { moved: vec![(1, "none".into())], ..sound.clone() },
    ];
    for batch in unsound {
        assert!(matches!(store.commit(&batch), Err(StoreError::Database(_) | StoreError::Unexpected(_))));
        assert_eq!(store.wallet(&ann.id).unwrap(), None);
        assert!(store.pending_orders().unwrap().is_empty());
        assert_eq!(rows(store.as_ref()), [Row::Posting(posting(Kind::Fund, 1, 5))]);
    }
    store.commit(&sound).unwrap();
    let mut found = rows(store.as_ref());
    // Without the evidence, which an audit does not look at.
    let payment = Record { payment: vec![], ..sound.records[0].record.clone() };
    for due in [
        Row::Case(ann.id, Reason::Gap),
        Row::Open(ann.id, payment.id),
        Row::Tally(bucket(&ann.id), Reason::PayerOnly, 1, 5),
        Row::Payment(payment),
        Row::Wallet(Box::new(ann)),
        Row::Posting(posting(Kind::Fund, 1, 5)),
        Row::Posting(posting(Kind::Send, 1, 5)),
        Row::Order(amount(5)),
    ] {
        let at = found.iter().position(|row| *row == due);
        found.remove(at.unwrap_or_else(|| panic!("{due:?} is not among {found:?}")));
    }
    assert_eq!(found, []);
}

#[test]
fn rows_of_the_scheme_are_read_as_they_were_written() {
    let Fresh { mut store, rows: _rows, _dir, .. } = fresh();
    let psp = Psp { name: "alpha".to_owned(), token: Digest([1; 32]) };
    let list = |number, bytes: &[u8]| Published {
        kind: ListKind::Revocation,
        number,
        issued_at_s: number * 10,
        bytes: bytes.to_vec(),
    };
    let image = |hash: u8, at| ListedImage {
        hash: Digest([hash; 32]),
        version: 1,
        listed_at_s: at,
        withdrawn_at_s: 0,
    };
    let key = Digest([8; 32]);
    let kept = Kept { request: Digest([9; 32]), status: 200, body: "{\"a\":1}".to_owned() };
    store
        .commit(&Batch {
            psps: vec![(psp, vec![("EdDSA".to_owned(), 5), ("ES256".to_owned(), 9)])],
            published: vec![list(1, b"one"), list(2, b"two")],
            images: vec![image(2, 20), image(1, 10)],
            settings: vec![("name".to_owned(), "old".to_owned())],
            kept: vec![(key, kept.clone(), 1)],
            new_activation: Some(NewActivation {
                code: Digest([3; 32]),
                psp: "alpha".to_owned(),
                account: "ann".to_owned(),
                until_s: 50,
            }),
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(store.psps().unwrap().iter().map(|psp| psp.name.as_str()).collect::<Vec<_>>(), ["alpha"]);
    assert_eq!(store.next_index("alpha", "ES256").unwrap(), Some(9));
    assert_eq!(store.next_index("beta", "ES256").unwrap(), None);
    let newest = store.newest(ListKind::Revocation).unwrap().unwrap();
    assert_eq!((newest.number, newest.bytes), (2, b"two".to_vec()));
    assert_eq!(store.issued_at(ListKind::Revocation, 1).unwrap(), Some(10));
    assert_eq!(store.images().unwrap(), [image(1, 10), image(2, 20)]);
    assert_eq!(store.kept(&[Digest([1; 32]), key]).unwrap(), [None, Some(kept.clone())]);
    let code = Digest([3; 32]);
    assert!(store.activation_open(&code, "alpha", "ann", 50).unwrap());
    assert!(!store.activation_open(&code, "alpha", "ann", 51).unwrap());
    assert!(!store.activation_open(&code, "alpha", "ben", 50).unwrap());
    let used = Batch { activation: Some((code, "alpha".into(), "ann".into())), ..Batch::default() };
    store.commit(&used).unwrap();
    assert!(!store.activation_open(&code, "alpha", "ann", 50).unwrap());
    assert!(matches!(store.commit(&used), Err(StoreError::Unexpected("activation"))));
    // The second answer for a key is not kept, a setting and an image change, an index goes up alone.
    let other = Kept { status: 500, ..kept.clone() };
    let withdrawn = ListedImage { withdrawn_at_s: 30, ..image(1, 10) };
    let next = |index| Some(("alpha".to_owned(), "ES256".to_owned(), index));
    store
        .commit(&Batch {
            kept: vec![(key, other, 2)],
            settings: vec![("name".to_owned(), "new".to_owned())],
            images: vec![withdrawn.clone()],
            next_index: next(10),
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(store.kept(&[key]).unwrap(), [Some(kept)]);
    assert_eq!(store.settings().unwrap().into_iter().collect::<Vec<_>>(), [("name".into(), "new".into())]);
    assert_eq!(store.images().unwrap(), [withdrawn, image(2, 20)]);
    assert!(store.commit(&Batch { next_index: next(10), ..Batch::default() }).is_err());
}

#[test]
fn certificates_and_transfers_are_found_while_they_matter() {
    let Fresh { mut store, rows: _rows, _dir, .. } = fresh();
    let ann = wallet(1);
    let issued = |from_s, until_s| Issued { wallet: ann.id, status_index: 1, from_s, until_s };
    let row = |until_no| Revocation { status_index: 1, wallet: ann.id, since_no: 2, until_no, at_s: 40 };
    let order = Move {
        bucket: 5,
        id: "defund:1".to_owned(),
        from: RailAccount::float(),
        to: RailAccount::new("alpha", "ann"),
        amount: amount(5),
    };
    store
        .commit(&Batch {
            issued: vec![issued(10, 20), issued(15, 30)],
            revocations: vec![row(0)],
            moves: vec![order.clone()],
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(store.revoked_certificates(20).unwrap(), [(issued(10, 20), 40), (issued(15, 30), 40)]);
    assert_eq!(store.revoked_certificates(21).unwrap(), [(issued(15, 30), 40)]);
    assert_eq!(store.pending_moves().unwrap(), [order]);
    let moved = vec![(5, "defund:1".to_owned())];
    store.commit(&Batch { revocations: vec![row(3)], moved, ..Batch::default() }).unwrap();
    assert_eq!(store.revocations().unwrap(), [row(3)]);
    assert_eq!(store.revoked_certificates(20).unwrap(), []);
    assert_eq!(store.pending_moves().unwrap(), []);
}

#[test]
fn what_was_answered_is_told_for_each_that_is_asked_about() {
    let Fresh { mut store, rows: _rows, _dir, .. } = fresh();
    let answer = |key: KeyId, message: u8| Answer {
        wallet: key,
        seq: 1,
        id: Digest([message; 32]),
        message: Digest([message; 32]),
        signed: None,
        statement: vec![1].into(),
        settlement_id: Digest([message; 32]),
        settlement: vec![message; 3],
        certified: false,
    };
    let (ann, ben) = (wallet(1), wallet(2));
    let answers = vec![answer(ann.id, 1), answer(ann.id, 2)];
    store.commit(&Batch { wallets: vec![ann.clone(), ben.clone()], answers, ..Batch::default() }).unwrap();
    let of = |key, message| (key, Digest([message; 32]));
    let asked = [of(ben.id, 1), of(ann.id, 2), of(KeyId([9; 32]), 1), of(ann.id, 1), of(ann.id, 3)];
    let answered = |message: u8| Asked::Answered(vec![message; 3]);
    assert_eq!(
        store.answered(&asked).unwrap(),
        [Asked::New, answered(2), Asked::Stranger, answered(1), Asked::New]
    );
    assert_eq!(store.answered(&asked[..1]).unwrap(), [Asked::New]);
    assert_eq!(store.answered(&[]).unwrap(), []);
}

/// A payment of payer 0 or 1: its number, and its interval `(spent - amount, spent]`.
#[derive(Debug, Clone)]
struct Sent {
    payer: usize,
    seq: u32,
    begin: u64,
    length: u64,
    forked: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    (0usize..2, 0u32..12, 0u64..40, 1u64..6, any::<bool>())
        .prop_map(|(payer, seq, begin, length, forked)| Sent { payer, seq, begin, length, forked })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is kept, a statement is shown every payment that it names, that its wallet does not know the end of, that
    /// has a number of one of its payments, or whose interval meets one of theirs.
    #[test]
    fn what_could_conflict_is_gathered(
        kept in prop::collection::vec(sent(), 0..14),
        looked_for in prop::collection::vec(sent(), 0..4),
        known_ones in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let Fresh { mut store, rows: _rows, _dir, .. } = fresh();
        let wallets = [wallet(1), wallet(2), wallet(3)];
        // Intervals that meet are forks, as the operator would have marked them.
        let meets = |a: &Sent, b: &Sent| {
            a.payer == b.payer
                && (a.seq == b.seq || (a.begin < b.begin + b.length && b.begin < a.begin + a.length))
        };
        let records: Vec<Record> = kept
            .iter()
            .enumerate()
            .map(|(at, payment)| {
                let id = u8::try_from(at + 1).unwrap();
                let (payer, spent) = (wallets[payment.payer].id, payment.begin + payment.length);
                let conflict = kept.iter().enumerate().any(|(other, with)| other != at && meets(payment, with));
                let mut record = record(payer, wallets[2].id, payment.seq, payment.length, spent, id);
                if conflict {
                    record.bits |= bit::FORKED;
                }
                if payment.forked {
                    record.bits |= bit::CLOSED;
                }
                record
            })
            .collect();
        store
            .commit(&Batch { wallets: wallets.to_vec(), records: records.iter().cloned().map(Changed::new).collect(), ..Batch::default() })
            .unwrap();
        let needs = |own: &Wallet, looked_for: &[Sent]| Needs {
            neighbours: looked_for
                .iter()
                .map(|place| {
                    let from = amount(place.begin);
                    let payer = wallets[place.payer].id;
                    Place { payer, seq: place.seq, from, to: amount(place.begin + place.length), id: None }
                })
                // And the places of payments that are shown again.
                .chain(known_ones.iter().filter(|_| !records.is_empty()).map(|at| {
                    let Record { id, payer, payer_seq, spent, amount, .. } = &records[at.index(records.len())];
                    let from = spent.minus_or_zero(*amount);
                    Place { payer: *payer, seq: *payer_seq, from, to: *spent, id: Some(*id) }
                }))
                .collect(),
            ..Needs::of_wallet(own.id)
        };
        let all = [needs(&wallets[0], &looked_for), needs(&wallets[2], &looked_for[..looked_for.len() / 2])];
        let known = store.gather(&all).unwrap();
        let found = store.payments(&records.iter().collect::<Vec<_>>()).unwrap();
        let due: Vec<_> = records.iter().map(|record| (record.id, record.payment.clone())).collect();
        prop_assert_eq!(found, due);
        for needs in &all {
            let set = known.working_set(needs);
            for (record, payment) in records.iter().zip(&kept) {
                let of_payer = |place: &&Place| place.payer == record.payer;
                let near = needs.neighbours.iter().filter(of_payer).any(|Place { seq, from, to, .. }| {
                    *seq == payment.seq
                        || (from.minor() < payment.begin + payment.length && payment.begin < to.minor())
                });
                let open = record.payer == needs.own && !record.has(bit::CLOSED);
                let bare = Record { payment: Vec::new(), ..record.clone() };
                prop_assert_eq!(set.records.get(&record.id), (near || open).then_some(&bare));
            }
            prop_assert!(set.wallets.contains_key(&needs.own));
        }
    }
}

#[test]
fn operations_take_turns() {
    let Fresh { mut store, location, rows, .. } = fresh();
    if !matches!(location, Location::Postgres(_)) {
        // A file's turns are those of the folder's lock, which a service takes.
        return;
    }
    let ended = Arc::new(AtomicBool::new(false));
    store.lock().unwrap();
    let other = std::thread::spawn({
        let (location, ended) = (location.clone(), ended.clone());
        move || {
            let mut store = counterfoil_operator::store::open(&location, transactions()).unwrap();
            store.lock().unwrap();
            assert!(ended.load(Ordering::SeqCst), "two have their turn at once");
            store.unlock().unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(100));
    ended.store(true, Ordering::SeqCst);
    store.unlock().unwrap();
    other.join().unwrap();
    drop(rows);
}

#[test]
fn a_connection_that_breaks_ends_one_operation_and_writes_nothing_of_it() {
    let Fresh { mut store, location, rows, .. } = fresh();
    if !matches!(location, Location::Postgres(_)) {
        return;
    }
    let cut = || {
        let others = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
            and objid = (hashtext('counterfoil ' || current_schema())::bigint & 4294967295)::oid";
        assert!(rows.0.execute(others) > 0);
    };
    let ann = wallet(1);
    let batch = Batch { wallets: vec![ann.clone()], ..Batch::default() };
    store.lock().unwrap();
    cut();
    assert!(matches!(store.commit(&batch), Err(StoreError::Database(_))));
    store.unlock().unwrap();
    store.lock().unwrap();
    assert_eq!(store.wallet(&ann.id).unwrap(), None);
    store.commit(&batch).unwrap();
    store.unlock().unwrap();
}

/// A task may be polled for so long and then must give way: who waits for the store within one does not.
#[tokio::test]
async fn a_store_that_is_called_within_a_task_is_waited_for_however_much_is_asked() {
    let Fresh { mut store, rows: _rows, _dir, .. } = fresh();
    for _ in 0..300 {
        store.lock().unwrap();
        assert_eq!(store.wallet(&KeyId([9; 32])).unwrap(), None);
        store.unlock().unwrap();
    }
}
