//! Messages: opened, judged, taken apart and put together again.

use counterfoil_trust::{Anchors, Opened, Revoked, SigningKey, header_of, open, open_message, to_be_signed};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Enrolment, FundOrder, Settlement, Statement};
use counterfoil_wire::{Algorithm, Bytes, Code, Error, PublicKey, Signature, Wire};

use super::{Findings, anchors};
use crate::VectorError;
use crate::format::{Context, Held, Message, Messages, Signed};
use crate::json::{Json, Mismatch, unhex};

/// Who may sign a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// A wallet, under its certificate.
    Cert,
    /// A wallet whose key the receiver knows.
    Key,
    /// The operator's online key, listed by the root.
    Signer,
    /// The root.
    Root,
}

/// What the receiver knows.
struct Receiver<'a> {
    anchors: &'a Anchors,
    context: &'a Context,
    clock_s: u32,
    held: Option<&'a Held>,
}

pub(super) fn check(file: &Messages, out: &mut Findings) -> Result<(), VectorError> {
    let anchors = anchors(&file.context)?;
    let receiver = |clock_s: Option<u32>, held| Receiver {
        anchors: &anchors,
        context: &file.context,
        clock_s: clock_s.unwrap_or(file.context.clock_s),
        held,
    };
    for vector in &file.valid {
        let receiver = receiver(None, vector.held.as_ref());
        match vector.kind.as_str() {
            "request" => hold::<Request>(vector, By::Cert, &receiver, out),
            "payment" => hold::<Payment>(vector, By::Cert, &receiver, out),
            "receipt" => hold::<Receipt>(vector, By::Key, &receiver, out),
            "decline" => hold::<Decline>(vector, By::Key, &receiver, out),
            "enrolment" => hold::<Enrolment>(vector, By::Key, &receiver, out),
            "fund-order" => hold::<FundOrder>(vector, By::Cert, &receiver, out),
            "statement" => hold::<Statement>(vector, By::Cert, &receiver, out),
            "settlement" => hold::<Settlement>(vector, By::Signer, &receiver, out),
            "rules" => hold::<Rules>(vector, By::Signer, &receiver, out),
            "trust-list" => hold::<TrustList>(vector, By::Root, &receiver, out),
            "revocation-list" => hold::<RevocationList>(vector, By::Signer, &receiver, out),
            "gossip" => hold_unsigned(vector, Gossip::from_message, Gossip::to_message, out),
            "bundle" => hold_unsigned(vector, Bundle::from_bytes, Bundle::to_bytes, out),
            other => out.differ(&vector.name, "kind", "a known kind", other),
        }
    }
    for vector in &file.invalid {
        let receiver = receiver(vector.clock_s, vector.held.as_ref());
        let Some(bytes) = out.read(&vector.name, "hex", unhex(&vector.hex)) else { continue };
        let judged = match vector.kind.as_str() {
            "request" => judge::<Request>(&bytes, By::Cert, &receiver),
            "payment" => judge::<Payment>(&bytes, By::Cert, &receiver),
            "receipt" => judge::<Receipt>(&bytes, By::Key, &receiver),
            "decline" => judge::<Decline>(&bytes, By::Key, &receiver),
            "enrolment" => judge::<Enrolment>(&bytes, By::Key, &receiver),
            "fund-order" => judge::<FundOrder>(&bytes, By::Cert, &receiver),
            "statement" => judge::<Statement>(&bytes, By::Cert, &receiver),
            "settlement" => judge_settlement(&bytes, &receiver),
            "rules" => judge::<Rules>(&bytes, By::Signer, &receiver),
            "trust-list" => judge_trust_list(&bytes, &receiver),
            "revocation-list" => judge_revocation_list(&bytes, &receiver).map(drop),
            "gossip" => Gossip::from_message(&bytes).map(drop),
            "bundle" => Bundle::from_bytes(&bytes).map(drop),
            other => {
                out.differ(&vector.name, "kind", "a known kind", other);
                continue;
            }
        };
        out.compare_error(&vector.name, vector.error, judged);
    }
    Ok(())
}

/// Encoding, kind, who signed, signature: in this order.
fn judge<B: Body>(bytes: &[u8], by: By, receiver: &Receiver<'_>) -> Result<(), Error> {
    let device_to_device = matches!(
        B::PURPOSE,
        counterfoil_wire::header::Purpose::Request
            | counterfoil_wire::header::Purpose::Payment
            | counterfoil_wire::header::Purpose::Receipt
            | counterfoil_wire::header::Purpose::Decline
    );
    let opened = if device_to_device { open_message::<B>(bytes)? } else { open::<B>(bytes)? };
    judge_signer(&opened, by, receiver.clock_s, receiver)?;
    opened.check_signature(&receiver.anchors.scheme)
}

fn judge_signer<B>(opened: &Opened<B>, by: By, at_s: u32, receiver: &Receiver<'_>) -> Result<(), Error> {
    match (by, &opened.envelope.signer) {
        (By::Cert, Signer::Cert(cert)) => {
            receiver.anchors.check_wallet(cert, opened.envelope.issuer.as_ref(), at_s).map(drop)
        }
        (By::Cert, Signer::Key(_)) => Err(Code::WrongRole.into()),
        (By::Signer, _) => receiver.anchors.check_signer(opened.envelope.signer.key(), at_s),
        (By::Key | By::Root, _) => Ok(()),
    }
}

/// The operator's time is what it says itself: a fresh nonce vouches for it.
fn judge_settlement(bytes: &[u8], receiver: &Receiver<'_>) -> Result<(), Error> {
    let opened = open::<Settlement>(bytes)?;
    judge_signer(&opened, By::Signer, opened.body.time_s, receiver)?;
    opened.check_signature(&receiver.anchors.scheme)
}

/// A device that knows the root alone.
fn judge_trust_list(bytes: &[u8], receiver: &Receiver<'_>) -> Result<(), Error> {
    let mut fresh = Anchors::new(receiver.anchors.root.clone())?;
    fresh.adopt(bytes).map(drop)
}

/// A device that holds `held`, or nothing.
fn judge_revocation_list(bytes: &[u8], receiver: &Receiver<'_>) -> Result<Revoked, Error> {
    let mut revoked = match receiver.held {
        Some(held) => Revoked::restore(held.number, 0, held.indexes.clone()).ok_or(Code::ListInvalid)?,
        None => Revoked::empty(),
    };
    revoked.adopt(receiver.anchors, bytes, receiver.clock_s)?;
    Ok(revoked)
}

fn hold<B: Body + Json>(vector: &Message, by: By, receiver: &Receiver<'_>, out: &mut Findings) {
    let name = &vector.name;
    let Some(signed) = &vector.signed else { return out.differ(name, "signed", "present", "absent") };
    let Some(bytes) = out.read(name, "hex", unhex(&vector.hex)) else { return };
    let judged = match by {
        By::Root => judge_trust_list(&bytes, receiver),
        By::Signer if vector.kind == "settlement" => judge_settlement(&bytes, receiver),
        By::Signer if vector.kind == "revocation-list" => {
            judge_revocation_list(&bytes, receiver).map(|revoked| {
                let after = vector.revoked_after.clone().unwrap_or_default();
                out.compare(
                    name,
                    "revoked_after",
                    &format!("{after:?}"),
                    &format!("{:?}", revoked.indexes()),
                );
            })
        }
        _ => judge::<B>(&bytes, by, receiver),
    };
    out.hold(name, "hex", judged);
    let Some(opened) = out.hold(name, "hex", open::<B>(&bytes)) else { return };
    let scheme = &receiver.anchors.scheme;
    out.compare_json(name, "fields", &vector.fields, &opened.body.to_json());
    out.compare_json(name, "signed.signer", &signed.signer, &opened.envelope.signer.to_json());
    out.compare_json(name, "signed.issuer", &signed.issuer, &opened.envelope.issuer.to_json());
    out.compare_hex(name, "signed.header", &signed.header, &opened.header.to_bytes(scheme));
    out.compare_hex(
        name,
        "signed.sig_structure",
        &signed.sig_structure,
        &to_be_signed(scheme, &opened.header),
    );
    out.compare_hex(name, "signed.id", &signed.id, &opened.id(scheme).0);
    out.compare_hex(name, "signed.key", &signed.key, opened.envelope.signer.key().as_bytes());
    out.compare_hex(name, "signed.signature", &signed.signature, &opened.envelope.signature.0);
    match build::<B>(vector, signed, receiver) {
        Ok((again, signature)) => {
            out.compare_hex(name, "hex, built from fields", &vector.hex, &again);
            out.compare_hex(name, "signed.signature, made again", &signed.signature, &signature.0);
        }
        Err(error) => out.differ(name, "fields", "a message", error),
    }
}

/// The message from its fields alone, and its signature made again.
fn build<B: Body + Json>(
    vector: &Message,
    signed: &Signed,
    receiver: &Receiver<'_>,
) -> Result<(Vec<u8>, Signature), VectorError> {
    let body = B::from_json(&vector.fields)?;
    let signer = Signer::from_json(&signed.signer)?;
    let issuer = Option::from_json(&signed.issuer)?;
    let body_bytes = body.to_bytes();
    let header = header_of(&body, &body_bytes, &signer);
    let algorithm = match signer.key() {
        PublicKey::Ed25519(_) => Algorithm::EdDsa,
        PublicKey::P256(_) => Algorithm::Es256,
    };
    let wrong = |what: &str| Mismatch { at: what.to_owned(), what: "is not 32 bytes".to_owned() };
    let secret = unhex(&signed.secret)?.try_into().map_err(|_| wrong("secret"))?;
    let hedge = unhex(&signed.hedge)?.try_into().map_err(|_| wrong("hedge"))?;
    let key = SigningKey::from_secret(algorithm, &secret)?;
    let scheme = counterfoil_wire::KeyId::from_json(&receiver.context.scheme.as_str().into())?;
    let made = key.sign(&to_be_signed(&scheme, &header), &hedge);
    let signature = Signature::from_json(&signed.signature.as_str().into())?;
    let envelope = Envelope { purpose: B::PURPOSE, signature, body: Bytes(body_bytes), signer, issuer };
    Ok((envelope.to_bytes(), made))
}

/// What nobody signs as a whole.
fn hold_unsigned<T: Json>(
    vector: &Message,
    decode: fn(&[u8]) -> Result<T, Error>,
    encode: fn(&T) -> Vec<u8>,
    out: &mut Findings,
) {
    let name = &vector.name;
    let Some(bytes) = out.read(name, "hex", unhex(&vector.hex)) else { return };
    if let Some(message) = out.hold(name, "hex", decode(&bytes)) {
        out.compare_json(name, "fields", &vector.fields, &message.to_json());
    }
    if let Some(message) = out.read(name, "fields", T::from_json(&vector.fields)) {
        out.compare_hex(name, "hex, built from fields", &vector.hex, &encode(&message));
    }
}
