//! Journals: each entry's header made from the entry, its number and the one before.

use counterfoil_trust::{Anchors, header_id, open, sha256};
use counterfoil_wire::header::{Extra, Header, Signer};
use counterfoil_wire::message::{Decline, Payment};
use counterfoil_wire::sync::{Entry, Statement};
use counterfoil_wire::{Bytes, Code, Digest, Error, PublicKey, Wire};

use super::{Findings, anchors};
use crate::VectorError;
use crate::format::{Chain, Journal};
use crate::json::{Json, unhex};

/// A line of a chain, made from its entry.
struct Line {
    seq: u32,
    header: Vec<u8>,
    id: Digest,
    entry: Entry,
}

pub(super) fn check(file: &Journal, out: &mut Findings) -> Result<(), VectorError> {
    let anchors = anchors(&file.context)?;
    for vector in &file.valid {
        let Some(bytes) = out.read(&vector.name, "statement", unhex(&vector.statement)) else { continue };
        if let Some((statement, lines)) = out.hold(&vector.name, "statement", read(&anchors, &bytes)) {
            compare(vector, &statement, &lines, &anchors, out);
        }
    }
    for vector in &file.invalid {
        if let Some(bytes) = out.read(&vector.name, "hex", unhex(&vector.hex)) {
            out.compare_error(&vector.name, vector.error, read(&anchors, &bytes));
        }
    }
    Ok(())
}

fn compare(
    vector: &Chain,
    statement: &counterfoil_trust::Opened<Statement>,
    lines: &[Line],
    anchors: &Anchors,
    out: &mut Findings,
) {
    let name = &vector.name;
    out.compare_hex(name, "key", &vector.key, statement.header.key.as_bytes());
    out.compare(name, "after_seq", &vector.after_seq, &statement.body.after_seq);
    out.compare_hex(name, "after_prev", &vector.after_prev, &statement.body.after_prev.0);
    out.compare_hex(name, "head", &vector.head, &statement.id(&anchors.scheme).0);
    out.compare(name, "entries", &vector.entries.len(), &lines.len());
    for (expected, line) in vector.entries.iter().zip(lines) {
        let at = |field: &str| format!("entry {}, {field}", expected.seq);
        out.compare(name, &at("seq"), &expected.seq, &line.seq);
        out.compare_json(name, &at("fields"), &expected.fields, &line.entry.to_json());
        out.compare_hex(name, &at("hex"), &expected.hex, &line.entry.to_bytes());
        out.compare_hex(name, &at("header"), &expected.header, &line.header);
        out.compare_hex(name, &at("id"), &expected.id, &line.id.0);
        if let Some(entry) = out.read(name, &at("fields"), Entry::from_json(&expected.fields)) {
            out.compare_hex(name, &at("hex, built from fields"), &expected.hex, &entry.to_bytes());
        }
    }
}

type Read = (counterfoil_trust::Opened<Statement>, Vec<Line>);

/// Rebuilds the chain and checks what each entry shows.
fn read(anchors: &Anchors, bytes: &[u8]) -> Result<Read, Error> {
    let statement = open::<Statement>(bytes)?;
    let Signer::Cert(cert) = &statement.envelope.signer else { return Err(Code::WrongRole.into()) };
    anchors.check_wallet(cert, statement.envelope.issuer.as_ref(), cert.not_before_s)?;
    statement.check_signature(&anchors.scheme)?;
    let key = statement.header.key;
    let (mut seq, mut prev) = (statement.body.after_seq, statement.body.after_prev);
    let mut lines = Vec::new();
    for entry in &statement.body.entries {
        seq = seq.checked_add(1).ok_or(Code::StatementInvalid)?;
        let (digest, extra) = shown(anchors, key, (seq, prev), entry).map_err(|_| Code::StatementInvalid)?;
        let header = Header { purpose: entry.purpose(), key, seq, prev, digest, extra };
        prev = header_id(&anchors.scheme, &header);
        lines.push(Line { seq, header: header.to_bytes(&anchors.scheme), id: prev, entry: entry.clone() });
    }
    if seq.checked_add(1) != Some(statement.body.seq) || prev != statement.body.prev {
        return Err(Code::StatementInvalid.into());
    }
    Ok((statement, lines))
}

/// Digest and extra of an entry's header.
fn shown(
    anchors: &Anchors,
    key: PublicKey,
    place: (u32, Digest),
    entry: &Entry,
) -> Result<(Digest, Extra), Error> {
    let bad = || Error::from(Code::StatementInvalid);
    let taken = |payment: &Bytes, must_hold: bool| -> Result<Digest, Error> {
        let payment = evidence(anchors, payment, must_hold)?;
        if payment.body.payee == key { Ok(payment.id(&anchors.scheme)) } else { Err(bad()) }
    };
    Ok(match entry {
        Entry::Payment { payment } => {
            let payment = evidence(anchors, payment, true)?;
            if payment.header.key != key || (payment.header.seq, payment.header.prev) != place {
                return Err(bad());
            }
            (payment.header.digest, payment.header.extra)
        }
        Entry::Receipt { payment } => (taken(payment, true)?, Extra::None),
        Entry::Decline { payment, reason } => (taken(payment, false)?, Extra::Reason(*reason)),
        Entry::Reclaim { payment, decline } => {
            let decline = open::<Decline>(&decline.0)?;
            decline.check_signature(&anchors.scheme)?;
            if decline.body.payment != *payment {
                return Err(bad());
            }
            (sha256(&entry.to_bytes()), Extra::None)
        }
        Entry::Statement { digest } => (*digest, Extra::None),
        Entry::Settled { .. } | Entry::Defund { .. } => (sha256(&entry.to_bytes()), Extra::None),
    })
}

/// A payment whose certificate and signature hold, and its ceiling where it must.
fn evidence(
    anchors: &Anchors,
    bytes: &Bytes,
    within: bool,
) -> Result<counterfoil_trust::Opened<Payment>, Error> {
    let payment = open::<Payment>(&bytes.0)?;
    let Signer::Cert(cert) = &payment.envelope.signer else { return Err(Code::BadCertificate.into()) };
    anchors.check_wallet(cert, payment.envelope.issuer.as_ref(), cert.not_before_s)?;
    payment.check_signature(&anchors.scheme)?;
    if within && payment.body.spent > cert.ceiling {
        return Err(Code::CeilingExceeded.into());
    }
    Ok(payment)
}
