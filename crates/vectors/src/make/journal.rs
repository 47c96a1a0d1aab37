//! Journals of wallets at work: each entry's header, and the chain that they make.

use counterfoil_ta::api::Command;
use counterfoil_trust::{header_id, open, sha256};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::header::{Extra, Header, Signer};
use counterfoil_wire::message::Payment;
use counterfoil_wire::sync::{Entry, Statement};
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, KeyId, PublicKey, Wire};

use super::samples::Sealed;
use super::scene::{Scene, pin};
use super::{context, hex_of, texts};
use crate::VectorError;
use crate::fixed::{PIN, amount, digest, key};
use crate::format::{Chain, ChainEntry, InvalidMessage, Journal};
use crate::json::Json;

pub(super) fn journal() -> Result<Journal, VectorError> {
    let mut scene = Scene::new("journal")?;
    scene.enrol("a", Algorithm::EdDsa, Grade::VirtualSe, Some(PIN))?;
    scene.enrol("b", Algorithm::Es256, Grade::VirtualSe, Some(PIN))?;
    let mut valid = Vec::new();
    let mut chain = |scene: &mut Scene, who: &str, name: &str| -> Result<(), VectorError> {
        let statement = scene.message(who, "accounts for itself", Command::Statement {})?;
        valid.push(of_statement(&scene.operator.scheme.id(), name, &statement)?);
        let settlement = scene.operator.settle(&statement)?;
        scene.run(who, "applies the settlement", Command::Settle { settlement })?;
        Ok(())
    };
    chain(&mut scene, "a", "nothing yet")?;
    for (who, other) in [("a", "b"), ("b", "a")] {
        scene.fund(who, 50_000)?;
        scene.whole_payment(who, other, 1250)?;
        let request = scene.request(other, None, true)?;
        let payment = scene.pay(who, &request, Some(500))?;
        let decline = scene.decline(other, &payment)?;
        scene.run(who, "takes it back", Command::Reclaim { decline })?;
        let reference = scene.reference();
        let defund = Command::Defund { amount: amount(100), pin: Some(pin(PIN)), reference };
        scene.run(who, "sends value to its account", defund)?;
    }
    chain(&mut scene, "a", "EdDSA: settlement, payment, reclaim, defunding, receipt, decline")?;
    chain(&mut scene, "b", "ES256: receipt, decline, settlement, payment, reclaim, defunding")?;
    chain(&mut scene, "a", "EdDSA: settlement alone")?;
    let context = context(&scene.operator.scheme, scene.clock_s);
    Ok(Journal {
        about: "What a statement says of a journal. An entry's header is not sent: it follows from the entry, its number \
                and the entry before. `id` is the header's SHA-256 and the next one's `prev`; the statement's own `prev` \
                is the last of them. The invalid ones make no chain, or hold an entry that does not hold."
            .to_owned(),
        specification: texts(["spec/states.md, The journal", "spec/reconciliation.md, Intake of a statement"]),
        context,
        valid,
        invalid: invalid()?,
    })
}

/// Each entry's header, from the specification.
fn of_statement(scheme: &KeyId, name: &str, statement: &Bytes) -> Result<Chain, VectorError> {
    let opened = open::<Statement>(&statement.0)?;
    let (body, key) = (&opened.body, opened.header.key);
    let (mut seq, mut prev) = (body.after_seq, body.after_prev);
    let mut entries = Vec::new();
    for entry in &body.entries {
        seq += 1;
        let header = header_of_entry(scheme, key, seq, prev, entry)?;
        prev = header_id(scheme, &header);
        entries.push(ChainEntry {
            seq,
            fields: entry.to_json(),
            hex: hex_of(entry.to_bytes()),
            header: hex_of(header.to_bytes(scheme)),
            id: hex_of(prev),
        });
    }
    Ok(Chain {
        name: name.to_owned(),
        key: hex_of(key.as_bytes()),
        statement: hex_of(&statement.0),
        after_seq: body.after_seq,
        after_prev: hex_of(body.after_prev),
        entries,
        head: hex_of(opened.id(scheme)),
    })
}

fn header_of_entry(
    scheme: &KeyId,
    key: PublicKey,
    seq: u32,
    prev: counterfoil_wire::Digest,
    entry: &Entry,
) -> Result<Header, VectorError> {
    let payment_id = |payment: &Bytes| open::<Payment>(&payment.0).map(|opened| opened.id(scheme));
    let (digest, extra) = match entry {
        Entry::Payment { payment } => {
            let header = open::<Payment>(&payment.0)?.header;
            (header.digest, header.extra)
        }
        Entry::Receipt { payment } => (payment_id(payment)?, Extra::None),
        Entry::Decline { payment, reason } => (payment_id(payment)?, Extra::Reason(*reason)),
        Entry::Statement { digest } => (*digest, Extra::None),
        Entry::Reclaim { .. } | Entry::Settled { .. } | Entry::Defund { .. } => {
            (sha256(&entry.to_bytes()), Extra::None)
        }
    };
    Ok(Header { purpose: entry.purpose(), key, seq, prev, digest, extra })
}

/// Statements of a wallet that the generator plays itself.
fn invalid() -> Result<Vec<InvalidMessage>, VectorError> {
    let scene = Scene::new("journal")?;
    let scheme = &scene.operator.scheme;
    let id = scheme.id();
    let own = key(Algorithm::EdDsa, "journal cheat")?;
    let cert = scheme.certify(scheme.unsigned(own.public(), 700, Grade::VirtualSe)?)?;
    let other = key(Algorithm::Es256, "journal other")?;
    let other_cert = scheme.certify(scheme.unsigned(other.public(), 1700, Grade::VirtualSe)?)?;
    let pay = |key, cert: &counterfoil_wire::cert::WalletCert, payment: Payment| {
        Sealed::new(&id, key, payment, Signer::Cert(cert.clone()), None).bytes()
    };
    let before = digest("entry 4");
    let payment = Payment {
        request: digest("request"),
        request_no: 1,
        payee: other.public(),
        amount: amount(100),
        spent: amount(1100),
        seq: 5,
        prev: before,
    };
    let plain = Statement {
        seq: 6,
        prev: before,
        after_seq: 4,
        after_prev: before,
        entries: vec![Entry::Payment { payment: pay(&own, &cert, payment.clone()) }],
        receipts: vec![],
        proofs: vec![],
        funded: amount(900),
        received: Amount::ZERO,
        spent: amount(1100),
        funding_total: amount(2000),
        closed_below: 1,
        closed_before_s: 0,
        rules_no: 1,
        trust_no: 1,
        revocation_no: 1,
        pin_blocked: false,
        tamper: None,
        nonce: crate::fixed::nonce("journal"),
    };
    let mut refused = Vec::new();
    let mut add =
        |name: &str, code: Code, mut statement: Statement, chained: bool| -> Result<(), VectorError> {
            if chained {
                let (mut seq, mut prev) = (statement.after_seq, statement.after_prev);
                for entry in &statement.entries {
                    seq += 1;
                    prev = header_id(&id, &header_of_entry(&id, own.public(), seq, prev, entry)?);
                }
                statement.prev = prev;
            }
            let sealed = Sealed::new(&id, &own, statement, Signer::Cert(cert.clone()), None);
            refused.push(InvalidMessage {
                name: name.to_owned(),
                kind: "statement".to_owned(),
                hex: hex_of(sealed.bytes().0),
                error: code.number(),
                clock_s: None,
                held: None,
                strict: false,
            });
            Ok(())
        };
    let bad = Code::StatementInvalid;
    let with = |entry: Entry| Statement { entries: vec![entry], ..plain.clone() };
    add("prev is not the last entry", bad, plain.clone(), false)?;
    add("an entry left out at the end", bad, Statement { seq: 7, ..plain.clone() }, true)?;
    add("an entry too many", bad, Statement { seq: 5, ..plain.clone() }, true)?;
    let moved = Payment { seq: 6, ..payment.clone() };
    add("payment of another number", bad, with(Entry::Payment { payment: pay(&own, &cert, moved) }), true)?;
    let moved = Payment { prev: digest("elsewhere"), ..payment.clone() };
    add("payment after another entry", bad, with(Entry::Payment { payment: pay(&own, &cert, moved) }), true)?;
    let theirs = pay(&other, &other_cert, payment.clone());
    add("payment of another wallet", bad, with(Entry::Payment { payment: theirs.clone() }), true)?;
    add("receipt for a payment to somebody else", bad, with(Entry::Receipt { payment: theirs }), true)?;
    let to_own = Payment { payee: own.public(), ..payment.clone() };
    let above = Payment { spent: amount(1_000_001), ..to_own };
    let above = pay(&other, &other_cert, above);
    add(
        "receipt for a payment above its payer's ceiling",
        bad,
        with(Entry::Receipt { payment: above }),
        true,
    )?;
    let decline = counterfoil_wire::message::Decline {
        payment: digest("another payment"),
        reason: 319,
        seq: 3,
        prev: digest("entry 2"),
    };
    let decline = Sealed::new(&id, &other, decline, Signer::Key(other.public()), None).bytes();
    let reclaim = Entry::Reclaim { payment: digest("a payment"), decline };
    add("reclaim with the decline of another payment", bad, with(reclaim), true)?;
    Ok(refused)
}
