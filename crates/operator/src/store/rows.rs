//! How the domain's values become rows, and rows become values: always all columns of a table, in its order.

use counterfoil_rail::Account as RailAccount;
use counterfoil_trust::sha256;
use counterfoil_wire::cert::Grade;
use counterfoil_wire::element::{CounterKind, Tamper};
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Amount, Digest, KeyId, PublicKey, Wire};

use super::value::{Fields, Row, Value};
use super::{
    Answer, Issued, Kept, ListedImage, Order, OrderState, Published, Revocation, SCHEME, StoreError,
};
use crate::domain::element::{Element, Evidence};
use crate::domain::ledger::{Account, Kind, Posting};
use crate::domain::reconcile::{Case, Move};
use crate::domain::record::Record;
use crate::domain::wallet::Wallet;

pub(super) fn put_wallet(wallet: &Wallet) -> Result<Vec<Value<'_>>, StoreError> {
    let returned: Vec<(u32, u64)> =
        wallet.returned.iter().map(|(seq, amount)| (*seq, amount.minor())).collect();
    let returned = serde_json::to_string(&returned).map_err(|_| StoreError::Damaged("wallet"))?;
    Ok(vec![
        Value::bucket(&wallet.id),
        (&wallet.id).into(),
        wallet.key.as_bytes().into(),
        (&wallet.psp).into(),
        (&wallet.account).into(),
        (&wallet.name).into(),
        wallet.grade.number().into(),
        wallet.status_index.into(),
        wallet.spent.into(),
        wallet.acked_seq.into(),
        (&wallet.acked).into(),
        wallet.claimed.into(),
        wallet.funding_applied.into(),
        wallet.funding_total.into(),
        wallet.order_no.into(),
        wallet.shadow.into(),
        Value::count(wallet.loss),
        wallet.loss_no.into(),
        Value::optional(wallet.liable.as_ref()),
        (wallet.standing == Standing::Suspended).into(),
        wallet.revoked.into(),
        wallet.pin_unblock.into(),
        wallet.cert_from_s.into(),
        wallet.cert_until_s.into(),
        wallet.synced_at_s.into(),
        wallet.closed_below.into(),
        wallet.closed_before_s.into(),
        returned.into(),
        wallet.paid_out.into(),
        wallet.closed_at_s.into(),
        wallet.closed_out.into(),
        wallet.closed_out_no.into(),
        (&wallet.element.image).into(),
        wallet.element.image_version.into(),
        (&wallet.element.application).into(),
        wallet.element.counter.number().into(),
        (wallet.element.evidence as u8).into(),
        Value::optional(wallet.tamper.map(Tamper::number)),
        wallet.tamper_at_s.into(),
        wallet.lowered.into(),
    ])
}

pub(super) fn wallet(row: Row) -> Result<Wallet, StoreError> {
    let mut row = Fields::new("wallet", row);
    row.skip()?;
    let id = row.key_id()?;
    let key = PublicKey::from_slice(&row.bytes()?).ok_or_else(|| row.damaged())?;
    let (psp, account, name) = (row.text()?, row.text()?, row.text()?);
    let grade = Grade::from_number(row.int()?).ok_or_else(|| row.damaged())?;
    // A literal's fields are evaluated as they are written: in the order of the columns.
    Ok(Wallet {
        id,
        key,
        psp,
        account,
        name,
        grade,
        status_index: row.int()?,
        spent: row.amount()?,
        acked_seq: row.int()?,
        acked: row.digest()?,
        claimed: row.amount()?,
        funding_applied: row.amount()?,
        funding_total: row.amount()?,
        order_no: row.int()?,
        shadow: row.int()?,
        loss: row.int()?,
        loss_no: row.int()?,
        liable: row.optional_text()?,
        standing: if row.flag()? { Standing::Suspended } else { Standing::Good },
        revoked: row.flag()?,
        pin_unblock: row.flag()?,
        cert_from_s: row.int()?,
        cert_until_s: row.int()?,
        synced_at_s: row.int()?,
        closed_below: row.int()?,
        closed_before_s: row.int()?,
        returned: returned(&row.text()?).ok_or_else(|| row.damaged())?,
        paid_out: row.amount()?,
        closed_at_s: row.int()?,
        closed_out: row.amount()?,
        closed_out_no: row.int()?,
        element: element(&mut row)?,
        tamper: match row.optional_int()? {
            Some(number) => Some(Tamper::from_number(number).ok_or_else(|| row.damaged())?),
            None => None,
        },
        tamper_at_s: row.int()?,
        lowered: row.flag()?,
    })
}

fn returned(text: &str) -> Option<Vec<(u32, Amount)>> {
    let returned: Vec<(u32, u64)> = serde_json::from_str(text).ok()?;
    returned.into_iter().map(|(seq, minor)| Some((seq, Amount::new(minor)?))).collect()
}

fn element(row: &mut Fields) -> Result<Element, StoreError> {
    Ok(Element {
        image: row.digest()?,
        image_version: row.int()?,
        application: row.digest()?,
        counter: CounterKind::from_number(row.int()?).ok_or_else(|| row.damaged())?,
        evidence: Evidence::from_number(row.int()?).ok_or_else(|| row.damaged())?,
    })
}

pub(super) fn put_record(record: &Record) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&record.payer),
        (&record.payer).into(),
        record.payer_seq.into(),
        (&record.id).into(),
        (&record.payee).into(),
        record.request_no.into(),
        record.amount.into(),
        record.spent.into(),
        record.payer_until_s.into(),
        record.bits.into(),
        record.first_seen_s.into(),
        (&record.payment).into(),
    ]
}

/// What names a payment in the tables that list some.
pub(super) fn place(record: &Record) -> Vec<Value<'_>> {
    vec![Value::bucket(&record.payer), (&record.payer).into(), record.payer_seq.into(), (&record.id).into()]
}

pub(super) fn put_open(record: &Record) -> Vec<Value<'_>> {
    [place(record), vec![(&record.payee).into(), record.first_seen_s.into()]].concat()
}

/// A payment without its evidence.
pub(super) fn record(row: Row) -> Result<Record, StoreError> {
    let mut row = Fields::new("record", row);
    row.skip()?;
    let (payer, payer_seq, id, payee) = (row.key_id()?, row.int()?, row.digest()?, row.key_id()?);
    Ok(Record {
        id,
        payer,
        payer_seq,
        payee,
        request_no: row.int()?,
        amount: row.amount()?,
        spent: row.amount()?,
        payer_until_s: row.int()?,
        bits: row.int()?,
        first_seen_s: row.int()?,
        payment: Vec::new(),
    })
}

/// An account in a ledger row: a byte for its kind, and what tells it from others of its kind. The account of the wallet whose
/// step it is has a byte of its own.
fn account_bytes(account: &Account, own: &KeyId) -> Vec<u8> {
    match account {
        Account::Float => vec![1],
        Account::Loss => vec![2],
        Account::Clearing(bucket) => [&[3], &bucket.to_be_bytes()[..]].concat(),
        Account::Offline(key) if key == own => vec![5],
        Account::Offline(key) => [&[4], &key.0[..]].concat(),
    }
}

fn account(bytes: &[u8], own: &KeyId) -> Option<Account> {
    match bytes.split_first()? {
        (1, []) => Some(Account::Float),
        (2, []) => Some(Account::Loss),
        (3, bucket) => Some(Account::Clearing(u16::from_be_bytes(bucket.try_into().ok()?))),
        (4, key) => Some(Account::Offline(KeyId(key.try_into().ok()?))),
        (5, []) => Some(Account::Offline(*own)),
        _ => None,
    }
}

pub(super) fn put_posting(posting: &Posting) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&posting.wallet),
        (&posting.wallet).into(),
        (posting.kind as u8).into(),
        (&posting.reference).into(),
        account_bytes(&posting.debit, &posting.wallet).into(),
        account_bytes(&posting.credit, &posting.wallet).into(),
        posting.amount.into(),
    ]
}

pub(super) fn posting(row: Row) -> Result<Posting, StoreError> {
    let mut row = Fields::new("ledger", row);
    row.skip()?;
    let wallet = row.key_id()?;
    Ok(Posting {
        wallet,
        kind: Kind::from_number(row.int()?).ok_or_else(|| row.damaged())?,
        reference: row.digest()?,
        debit: account(&row.bytes()?, &wallet).ok_or_else(|| row.damaged())?,
        credit: account(&row.bytes()?, &wallet).ok_or_else(|| row.damaged())?,
        amount: row.amount()?,
    })
}

pub(super) fn put_move(order: &Move) -> Vec<Value<'_>> {
    let (from, to) = (&order.from, &order.to);
    vec![
        order.bucket.into(),
        (&order.id).into(),
        (&from.psp).into(),
        (&from.account).into(),
        (&to.psp).into(),
        (&to.account).into(),
        order.amount.into(),
        false.into(),
    ]
}

pub(super) fn rail_move(row: Row) -> Result<Move, StoreError> {
    let mut row = Fields::new("rail_move", row);
    Ok(Move {
        bucket: row.int()?,
        id: row.text()?,
        from: RailAccount { psp: row.text()?, account: row.text()? },
        to: RailAccount { psp: row.text()?, account: row.text()? },
        amount: row.amount()?,
    })
}

pub(super) fn put_case((case, opened_at_s): &(Case, u32)) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&case.key),
        (&case.key).into(),
        (case.reason as u8).into(),
        sha256(&case.evidence).0.to_vec().into(),
        (&case.evidence).into(),
        (*opened_at_s).into(),
    ]
}

pub(super) fn put_answer(answer: &Answer) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&answer.wallet),
        (&answer.wallet).into(),
        (&answer.message).into(),
        answer.seq.into(),
        (&answer.id).into(),
        answer.certified.into(),
        (&answer.settlement_id).into(),
        Value::optional(answer.signed.as_ref().map(Wire::to_bytes)),
        (&answer.settlement).into(),
        (&*answer.statement).into(),
    ]
}

pub(super) fn put_kept((key, kept, kept_at_s): &(Digest, Kept, u32)) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&KeyId(key.0)),
        key.into(),
        (&kept.request).into(),
        kept.status.into(),
        (&kept.body).into(),
        (*kept_at_s).into(),
    ]
}

pub(super) fn put_order(order: &Order) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&order.wallet),
        (&order.wallet).into(),
        order.number.into(),
        (&order.digest).into(),
        order.amount.into(),
        (order.state as u8).into(),
    ]
}

pub(super) fn order(row: Row) -> Result<Order, StoreError> {
    let mut row = Fields::new("fund_order", row);
    row.skip()?;
    Ok(Order {
        wallet: row.key_id()?,
        number: row.int()?,
        digest: row.digest()?,
        amount: row.amount()?,
        state: match row.int()? {
            1 => OrderState::Pending,
            2 => OrderState::Granted,
            3 => OrderState::Refused,
            _ => return Err(row.damaged()),
        },
    })
}

pub(super) fn put_issued(cert: &Issued) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&cert.wallet),
        (&cert.wallet).into(),
        cert.from_s.into(),
        cert.until_s.into(),
        cert.status_index.into(),
    ]
}

pub(super) fn put_published(object: &Published) -> Vec<Value<'_>> {
    vec![
        SCHEME.into(),
        (object.kind as u8).into(),
        object.number.into(),
        object.issued_at_s.into(),
        (&object.bytes).into(),
    ]
}

pub(super) fn put_revocation(row: &Revocation) -> Vec<Value<'_>> {
    vec![
        Value::bucket(&row.wallet),
        (&row.wallet).into(),
        row.status_index.into(),
        row.since_no.into(),
        row.until_no.into(),
        row.at_s.into(),
    ]
}

pub(super) fn revocation(row: Row) -> Result<Revocation, StoreError> {
    let mut row = Fields::new("revocation", row);
    row.skip()?;
    Ok(Revocation {
        wallet: row.key_id()?,
        status_index: row.int()?,
        since_no: row.int()?,
        until_no: row.int()?,
        at_s: row.int()?,
    })
}

pub(super) fn put_image(image: &ListedImage) -> Vec<Value<'_>> {
    vec![
        SCHEME.into(),
        (&image.hash).into(),
        image.version.into(),
        image.listed_at_s.into(),
        image.withdrawn_at_s.into(),
    ]
}

pub(super) fn image(row: Row) -> Result<ListedImage, StoreError> {
    let mut row = Fields::new("image", row);
    row.skip()?;
    Ok(ListedImage {
        hash: row.digest()?,
        version: row.int()?,
        listed_at_s: row.int()?,
        withdrawn_at_s: row.int()?,
    })
}
