//! Portable proofs, and pairs of headers that prove nothing.

use counterfoil_trust::Misbehaviour;
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::message::{Body, Decline, Payment};
use counterfoil_wire::proof::{Proof, SignedHeader};
use counterfoil_wire::{Algorithm, Amount, Code, Digest, Signature, Wire};

use super::messages::{CLOCK_S, Cast};
use super::samples::Sealed;
use super::{context, hex_of, texts};
use crate::VectorError;
use crate::fixed::{amount, digest};
use crate::format;
use crate::json::{Json, kebab};

/// Two payments under one journal number.
pub(super) fn fork(cast: &Cast) -> Proof {
    let other = Payment { payee: cast.shop.public(), ..cast.payment() };
    by_payer(cast, header(&cast.seal_payment(cast.payment())), header(&cast.seal_payment(other)))
}

/// Two payments, one after the other in the journal, that spend one unit twice.
fn overlap(cast: &Cast) -> Proof {
    let first = cast.payment();
    // (123456, 124706] and (124705, 125705]
    let second =
        Payment { seq: 6, amount: amount(1000), spent: amount(125_705), prev: digest("5"), ..first.clone() };
    by_payer(cast, header(&cast.seal_payment(first)), header(&cast.seal_payment(second)))
}

/// A receipt and a decline of one payment.
fn equivocation(cast: &Cast) -> Proof {
    let decline = Decline { seq: 10, ..cast.decline() };
    by_payee(cast, header(&cast.seal_by_payee(cast.receipt())), header(&cast.seal_by_payee(decline)))
}

/// One of each kind.
pub(super) fn each(cast: &Cast) -> Vec<Proof> {
    vec![fork(cast), overlap(cast), equivocation(cast)]
}

fn by_payer(cast: &Cast, first: SignedHeader, second: SignedHeader) -> Proof {
    Proof { cert: cast.payer_cert.clone(), first, second }
}

fn by_payee(cast: &Cast, first: SignedHeader, second: SignedHeader) -> Proof {
    Proof { cert: cast.payee_cert.clone(), first, second }
}

fn header<B: Body + Json>(sealed: &Sealed<B>) -> SignedHeader {
    sealed.signed_header()
}

pub(super) fn proofs() -> Result<format::Proofs, VectorError> {
    let casts = [Cast::new(Algorithm::EdDsa)?, Cast::new(Algorithm::Es256)?];
    let mut file = format::Proofs {
        about: "Two headers under one key. The valid ones show what `shows` says; the invalid ones prove nothing. \
                Proofs under ES256 are of another scheme; `context` is that of EdDSA, `context_es256` the other."
            .to_owned(),
        specification: texts(["spec/revocation.md, Proofs"]),
        context: context(&casts[0].scheme, CLOCK_S),
        context_es256: context(&casts[1].scheme, CLOCK_S),
        valid: Vec::new(),
        invalid: Vec::new(),
    };
    for cast in &casts {
        valid(cast, &mut file.valid)?;
        invalid(cast, &mut file.invalid);
    }
    Ok(file)
}

fn valid(cast: &Cast, file: &mut Vec<format::Proof>) -> Result<(), VectorError> {
    let word = cast.algorithm.name();
    let mut add = |name: &str, shows: Misbehaviour, proof: &Proof| {
        let id = &cast.scheme.id();
        file.push(format::Proof {
            name: format!("{word}: {name}"),
            algorithm: word.to_owned(),
            shows: kebab(&format!("{shows:?}")),
            fields: proof.to_json(),
            hex: hex_of(proof.to_bytes()),
            headers: [&proof.first, &proof.second].map(|half| hex_of(half.header.to_bytes(id))),
        });
    };
    let payment = |seq, spent, paid| {
        let payment = Payment { seq, spent: amount(spent), amount: amount(paid), ..cast.payment() };
        header(&cast.seal_payment(payment))
    };
    let proof = |first, second| by_payer(cast, first, second);
    let receipt = header(&cast.seal_by_payee(cast.receipt()));
    let swapped = |proof: Proof| Proof { first: proof.second.clone(), second: proof.first.clone(), ..proof };
    add("two payments with one number", Misbehaviour::Fork, &fork(cast));
    add("two payments with one number, in the other order", Misbehaviour::Fork, &swapped(fork(cast)));
    let elsewhere = Payment { prev: digest("another entry 4"), ..cast.payment() };
    let elsewhere = header(&cast.seal_payment(elsewhere));
    add(
        "one payment after two different entries",
        Misbehaviour::Fork,
        &proof(header(&cast.seal_payment(cast.payment())), elsewhere),
    );
    let statement = counterfoil_wire::sync::Statement { seq: 5, ..cast.statement() };
    let statement = header(&cast.seal_by_payer(statement));
    add(
        "a payment and a statement with one number",
        Misbehaviour::Fork,
        &proof(payment(5, 124_706, 1250), statement),
    );
    let decline = header(&cast.seal_by_payee(cast.decline()));
    add(
        "a receipt and a decline with one number",
        Misbehaviour::Fork,
        &by_payee(cast, receipt.clone(), decline),
    );
    let mut expired = fork(cast);
    expired.cert = cast.expired_cert()?;
    add("under an expired certificate of the key", Misbehaviour::Fork, &expired);
    add("intervals that share one unit", Misbehaviour::Overlap, &overlap(cast));
    add("intervals that share one unit, in the other order", Misbehaviour::Overlap, &swapped(overlap(cast)));
    add(
        "an interval within another",
        Misbehaviour::Overlap,
        &proof(payment(5, 2000, 2000), payment(9, 1500, 1)),
    );
    add("one interval twice", Misbehaviour::Overlap, &proof(payment(5, 2000, 500), payment(6, 2000, 500)));
    let max = Amount::MAX.minor();
    add("at the largest total", Misbehaviour::Overlap, &proof(payment(5, max, 1), payment(6, max, max)));
    add("a receipt and a decline of one payment", Misbehaviour::Equivocation, &equivocation(cast));
    add("a decline and a receipt of one payment", Misbehaviour::Equivocation, &swapped(equivocation(cast)));
    Ok(())
}

fn invalid(cast: &Cast, file: &mut Vec<format::InvalidProof>) {
    let word = cast.algorithm.name();
    let mut add_bytes = |name: &str, code: Code, bytes: Vec<u8>| {
        file.push(format::InvalidProof {
            name: format!("{word}: {name}"),
            algorithm: word.to_owned(),
            hex: hex_of(bytes),
            error: code.number(),
        });
    };
    let payment = |seq, spent, paid| {
        let payment = Payment { seq, spent: amount(spent), amount: amount(paid), ..cast.payment() };
        header(&cast.seal_payment(payment))
    };
    let plain = payment(5, 124_706, 1250);
    let proof = |first, second| by_payer(cast, first, second);
    let receipt = header(&cast.seal_by_payee(cast.receipt()));
    let decline_of = |payment: Digest| {
        let decline = Decline { payment, seq: 10, ..cast.decline() };
        header(&cast.seal_by_payee(decline))
    };
    let own_request = Sealed::new(
        &cast.scheme.id(),
        &cast.payer,
        counterfoil_wire::message::Request { number: 5, ..cast.request() },
        counterfoil_wire::header::Signer::Cert(cast.payer_cert.clone()),
        None,
    );
    let order =
        header(&cast.seal_by_payer(counterfoil_wire::sync::FundOrder { number: 5, ..cast.fund_order() }));
    let mut signed_twice = plain.clone();
    signed_twice.signature =
        cast.payer.sign(&counterfoil_trust::to_be_signed(&cast.scheme.id(), &plain.header), &[9; 32]);
    let below = payment(6, 500, 1250);
    let mut add = |name: &str, code: Code, proof: &Proof| add_bytes(name, code, proof.to_bytes());
    add("one header twice", Code::NotAProof, &proof(plain.clone(), plain.clone()));
    add("one header, signed twice", Code::NotAProof, &proof(plain.clone(), signed_twice));
    add("two payments in a row", Code::NotAProof, &proof(payment(5, 2000, 500), payment(6, 2500, 500)));
    add("intervals that touch", Code::NotAProof, &proof(payment(5, 2000, 500), payment(6, 2001, 1)));
    add(
        "intervals that touch, in the other order",
        Code::NotAProof,
        &proof(payment(6, 2001, 1), payment(5, 2000, 500)),
    );
    add(
        "an empty interval within another",
        Code::NotAProof,
        &proof(payment(5, 2000, 2000), payment(6, 1000, 0)),
    );
    add("a payment above its own total", Code::NotAProof, &proof(payment(5, 124_706, 1250), below));
    add(
        "a receipt and a decline of two payments",
        Code::NotAProof,
        &by_payee(cast, receipt.clone(), decline_of(digest("other"))),
    );
    add(
        "a payment and a request with one number",
        Code::NotAProof,
        &proof(plain.clone(), header(&own_request)),
    );
    add("a payment and a fund order with one number", Code::NotAProof, &proof(plain.clone(), order));
    let under = |cert: WalletCert| Proof { cert, ..fork(cast) };
    let honest = cast.payee_cert.clone();
    add("a fork held against another wallet", Code::BadSignature, &under(honest));
    let mut forged = cast.payer_cert.clone();
    forged.signature = Signature([0; 64]);
    add("a certificate that nobody signed", Code::BadCertificate, &under(forged));
    let renumbered = WalletCert { status_index: cast.payee_cert.status_index, ..cast.payer_cert.clone() };
    add("a certificate with another wallet's status index", Code::BadCertificate, &under(renumbered));
    add("an issuer that the list does not name", Code::UnknownIssuer, &under(cast.by_newcomer(&cast.payer)));
    let mut unsigned = fork(cast);
    unsigned.second.signature = Signature([0; 64]);
    add("a fork whose second signature does not hold", Code::BadSignature, &unsigned);
    let mut unsigned = fork(cast);
    unsigned.first.signature = unsigned.second.signature;
    add("a fork whose first signature is the second's", Code::BadSignature, &unsigned);
    let mut altered = overlap(cast);
    if let counterfoil_wire::header::Extra::Spending { amount, .. } = &mut altered.second.header.extra {
        *amount = crate::fixed::amount(1001);
    }
    add("an overlap with an altered amount", Code::BadSignature, &altered);
    // One payment reads (1000, 2000] and the other is made to overlap it by altering its total.
    let mut made_up = proof(payment(5, 2000, 1000), payment(6, 3000, 1000));
    if let counterfoil_wire::header::Extra::Spending { spent, .. } = &mut made_up.second.header.extra {
        *spent = amount(2999);
    }
    add("touching intervals made to overlap", Code::BadSignature, &made_up);
    let mut other_key = fork(cast);
    other_key.second = {
        let payment = Payment { payee: cast.shop.public(), ..cast.payment() };
        header(&Sealed::new(
            &cast.scheme.id(),
            &cast.payee,
            payment,
            counterfoil_wire::header::Signer::Key(cast.payee.public()),
            None,
        ))
    };
    add("one number under two keys", Code::BadSignature, &other_key);
    let strangers = Sealed::new(
        &cast.other.id(),
        &cast.payer,
        Payment { payee: cast.shop.public(), ..cast.payment() },
        counterfoil_wire::header::Signer::Cert(cast.payer_cert.clone()),
        None,
    );
    add("two headers of two schemes", Code::BadSignature, &proof(plain, header(&strangers)));
    let bytes = fork(cast).to_bytes();
    add_bytes("cut short", Code::Truncated, bytes[..bytes.len() - 1].to_vec());
    add_bytes("a byte follows", Code::TrailingBytes, [&bytes[..], &[0]].concat());
    add_bytes("one half", Code::NotAMessage, super::cbor::array(&super::cbor::items(&bytes)[..2]));
    let mut items = super::cbor::items(&bytes);
    items.push(items[2].clone());
    add_bytes("three halves", Code::NotAMessage, super::cbor::array(&items));
}
