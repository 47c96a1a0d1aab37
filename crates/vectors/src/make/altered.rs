//! Messages that must be refused: altered, cut, encoded otherwise, signed for something else or by somebody else.

use counterfoil_trust::{key_id, to_be_signed};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::cert::{AuthorityCert, WalletCert};
use counterfoil_wire::header::{Envelope, Purpose, Signer, protected};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Body, Payment};
use counterfoil_wire::rules::Preset;
use counterfoil_wire::sync::{Settlement, Statement};
use counterfoil_wire::{Algorithm, Bytes, Code, Signature, Wire};
use serde_json::Value;

use super::cbor;
use super::messages::Cast;
use super::samples::Sealed;
use super::{hex_of, strict, unexpected};
use crate::VectorError;
use crate::fixed::authority::AUTHORITIES_FROM_S;
use crate::fixed::{HEDGE, amount, name};
use crate::format::{Held, InvalidMessage};
use crate::json::{Json, kebab};

/// Collects what must be refused, each under the kind that is expected.
struct Refused(Vec<InvalidMessage>);

impl Refused {
    fn add(&mut self, purpose: Purpose, name: &str, code: Code, bytes: &[u8]) -> &mut InvalidMessage {
        let kind = kebab(&format!("{purpose:?}"));
        let at = self.0.len();
        self.0.push(InvalidMessage {
            name: format!("{kind}: {name}"),
            kind,
            hex: hex_of(bytes),
            error: code.number(),
            clock_s: None,
            held: None,
            strict: false,
        });
        &mut self.0[at]
    }

    fn envelope(&mut self, name: &str, code: Code, envelope: &Envelope) -> &mut InvalidMessage {
        self.add(envelope.purpose, name, code, &envelope.to_bytes())
    }
}

pub(super) fn invalid(cast: &Cast) -> Result<Vec<InvalidMessage>, VectorError> {
    let mut refused = Refused(Vec::new());
    let out = &mut refused;
    // What these carry is judged after they are: here it only makes them long.
    let short = Bytes(vec![1, 2, 3]);
    let some = Some(short.clone());
    let settlement =
        Settlement { trust: some.clone(), rules: some.clone(), revocation: some, ..cast.settlement() };
    let statement = Statement { receipts: vec![short.clone()], proofs: vec![short], ..cast.statement() };
    let request = cast.seal_request(cast.request());
    let payment = cast.seal_payment(cast.payment());
    let receipt = cast.seal_by_payee(cast.receipt());
    each_kind(cast, out, &request)?;
    each_kind(cast, out, &payment)?;
    each_kind(cast, out, &receipt)?;
    each_kind(cast, out, &cast.seal_by_payee(cast.decline()))?;
    each_kind(cast, out, &cast.seal_by_payee(cast.enrolment()))?;
    each_kind(cast, out, &cast.seal_by_payer(cast.fund_order()))?;
    each_kind(cast, out, &cast.seal_by_payer(statement))?;
    each_kind(cast, out, &cast.seal_by_signer(settlement))?;
    each_kind(cast, out, &cast.seal_by_root(cast.scheme.trust.clone()))?;
    each_kind(cast, out, &cast.seal_by_signer(Preset::DigitalEuro.rules()))?;
    let held = out.0.len();
    each_kind(cast, out, &cast.seal_by_signer(cast.delta()))?;
    out.0[held..].iter_mut().for_each(|message| message.held = Some(cast.held()));

    envelopes(cast, out, &payment);
    envelopes(cast, out, &receipt);
    values(out, &payment);
    certificates(cast, out, &payment)?;
    loose_signatures(cast, out, &receipt);
    authorities(cast, out);
    trust_lists(cast, out);
    revocation_lists(cast, out);
    gossip(cast, out);
    bundle(cast, out);
    Ok(refused.0)
}

/// What must be refused whatever the kind.
fn each_kind<B: Body + Json>(cast: &Cast, out: &mut Refused, base: &Sealed<B>) -> Result<(), VectorError> {
    let scheme = cast.scheme.id();
    let envelope = &base.envelope;
    let key = [&cast.payer, &cast.payee, &cast.scheme.signer_key, &cast.scheme.root_key]
        .into_iter()
        .find(|key| key.public() == *envelope.signer.key());
    let Some(key) = key else { return unexpected("a message of somebody unknown") };

    for (field, body) in altered_fields(&base.body) {
        let body = Bytes(body);
        out.envelope(&format!("{field} altered"), Code::BadSignature, &Envelope { body, ..envelope.clone() });
    }
    let signed = |signature: Signature| Envelope { signature, ..envelope.clone() };
    let mut flipped = envelope.signature;
    flipped.0[0] ^= 1;
    out.envelope("signature altered", Code::BadSignature, &signed(flipped));
    out.envelope("signature of zeros", Code::BadSignature, &signed(Signature([0; 64])));
    let mut header = base.header;
    header.seq ^= 1;
    let of_another = key.sign(&to_be_signed(&scheme, &header), &HEDGE);
    out.envelope("signature of another message", Code::BadSignature, &signed(of_another));
    let mut header = base.header;
    header.purpose = if B::PURPOSE == Purpose::Receipt { Purpose::Statement } else { Purpose::Receipt };
    let of_another = key.sign(&to_be_signed(&scheme, &header), &HEDGE);
    out.envelope("signed for another purpose", Code::BadSignature, &signed(of_another));
    let elsewhere = key.sign(&to_be_signed(&cast.other.id(), &base.header), &HEDGE);
    out.envelope("signed for another scheme", Code::BadSignature, &signed(elsewhere));
    let by_another = cast.shop.sign(&to_be_signed(&scheme, &base.header), &HEDGE);
    out.envelope("signed by another key", Code::BadSignature, &signed(by_another));

    let other = if B::PURPOSE == Purpose::Receipt { Purpose::Payment } else { Purpose::Receipt };
    let renamed = Envelope { purpose: other, ..envelope.clone() };
    out.add(B::PURPOSE, "labelled as another kind", Code::WrongKind, &renamed.to_bytes());
    let bytes = envelope.to_bytes();
    out.add(B::PURPOSE, "last byte missing", Code::Truncated, &bytes[..bytes.len() - 1]);
    out.add(B::PURPOSE, "a byte follows", Code::TrailingBytes, &[&bytes[..], &[0]].concat());

    let items = cbor::items(&envelope.body.0);
    let last = items.len().saturating_sub(1);
    let more = [&items[..], &[vec![0xf6]]].concat();
    for (name, code, body) in [
        ("body without its last field", Code::NotAMessage, cbor::array(&items[..last])),
        ("body with a field more", Code::NotAMessage, cbor::array(&more)),
        ("body of indefinite length", Code::NonCanonical, cbor::indefinite(&items)),
        ("body with its length in two bytes", Code::NonCanonical, two_byte_head(&items)),
        ("body with a byte after it", Code::TrailingBytes, [&envelope.body.0[..], &[0]].concat()),
        ("body cut short", Code::Truncated, envelope.body.0[..envelope.body.0.len() - 1].to_vec()),
    ] {
        out.envelope(name, code, &Envelope { body: Bytes(body), ..envelope.clone() });
    }
    Ok(())
}

fn two_byte_head(items: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x98, items.len() as u8], items.concat()].concat()
}

/// The body with one field altered, for each field that holds something.
fn altered_fields<B: Body + Json>(body: &B) -> Vec<(String, Vec<u8>)> {
    let json = body.to_json();
    let Some(fields) = json.as_object() else { return Vec::new() };
    let mut altered = Vec::new();
    for (field, value) in fields {
        let bodies = others(value).into_iter().filter_map(|other| {
            let mut json = json.clone();
            json[field] = other;
            let body = B::from_json(&json).ok()?.to_bytes();
            // A value that this field cannot have is encoded otherwise, or not at all.
            B::from_bytes(&body).is_ok().then_some(body)
        });
        if let Some(body) = bodies.into_iter().next() {
            altered.push((field.clone(), body));
        }
    }
    altered
}

/// Values of the same shape as `value`, the likeliest first.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![],
        Value::Bool(value) => vec![Value::from(!value)],
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            number.checked_add(2).into_iter().chain(number.checked_sub(1)).map(Value::from).collect()
        }
        Value::String(text) => {
            let mut others: Vec<Value> = ["terminal", "suspended", "payer-psp", "payee-psp"]
                .into_iter()
                .filter(|word| {
                    text.contains('-')
                        || ["hardware", "virtual-se", "good"].contains(&text.as_str()) && word != text
                })
                .map(Value::from)
                .collect();
            let mut last = text.clone();
            let hexadecimal = !text.is_empty() && text.len() % 2 == 0 && hex::decode(text).is_ok();
            if let (true, Some(digit)) = (hexadecimal, last.pop()) {
                last.push(if digit == '0' { '1' } else { '0' });
                others.push(Value::from(last));
            } else {
                others.push(Value::from("altered"));
            }
            others
        }
        Value::Array(items) => {
            items.split_last().map(|(_, rest)| Value::from(rest.to_vec())).into_iter().collect()
        }
        Value::Object(members) => {
            let mut found = Vec::new();
            for (member, inner) in members {
                for other in others(inner) {
                    let mut members = members.clone();
                    members.insert(member.clone(), other);
                    found.push(Value::Object(members));
                }
            }
            found
        }
    }
}

/// Envelopes that are put together otherwise.
fn envelopes<B: Body + Json>(cast: &Cast, out: &mut Refused, base: &Sealed<B>) {
    let bytes = base.envelope.to_bytes();
    let items = cbor::items(&bytes);
    let cose = cbor::items(&items[1]);
    let mut add = |name: &str, code: Code, bytes: &[u8]| {
        out.add(B::PURPOSE, name, code, bytes);
    };
    let with = |at: usize, item: Vec<u8>| {
        let mut items = items.clone();
        items[at] = item;
        cbor::array(&items)
    };
    let with_cose = |at: usize, item: Vec<u8>| {
        let mut cose = cose.clone();
        cose[at] = item;
        with(1, cbor::array(&cose))
    };
    add("nothing", Code::Truncated, &[]);
    add("an empty array", Code::NotAMessage, &[0x80]);
    add("200 arrays deep", Code::NotAMessage, &[0x81; 200]);
    add("a map", Code::NotAMessage, &[0xa0]);
    add("4097 bytes", Code::TooLong, &[0; 4097]);
    add("envelope without its signer", Code::NotAMessage, &cbor::array(&items[..3]));
    add(
        "envelope with null for the issuer",
        Code::NotAMessage,
        &cbor::array(&[&items[..], &[vec![0xf6]]].concat()),
    );
    add(
        "envelope with an item too many",
        Code::NotAMessage,
        &cbor::array(&[&items[..], &[vec![0xf6], vec![0xf6]]].concat()),
    );
    add("envelope of indefinite length", Code::NonCanonical, &cbor::indefinite(&items));
    add("envelope with its length in two bytes", Code::NonCanonical, &two_byte_head(&items));
    add("envelope with a tag in front", Code::NotAMessage, &[&[0xd2], &bytes[..]].concat());
    add("purpose 0", Code::ValueOutOfRange, &with(0, vec![0]));
    add("purpose 99", Code::ValueOutOfRange, &with(0, vec![0x18, 99]));
    add("purpose in two bytes", Code::NonCanonical, &with(0, vec![0x18, B::PURPOSE as u8]));
    add("purpose as text", Code::NotAMessage, &with(0, vec![0x61, 0x31]));
    add("body as an array", Code::NotAMessage, &with(2, base.envelope.body.0.clone()));
    add("body empty", Code::Truncated, &with(2, vec![0x40]));
    add("signer null", Code::NotAMessage, &with(3, vec![0xf6]));
    add("signer's key of 31 bytes", Code::UnsupportedAlgorithm, &with(3, cbor::bytes(&[7; 31])));
    add("COSE_Sign1 with its tag", Code::NotAMessage, &with(1, [&[0xd2], &items[1][..]].concat()));
    add("COSE_Sign1 without signature", Code::NotAMessage, &with(1, cbor::array(&cose[..3])));
    add("COSE_Sign1 of indefinite length", Code::NonCanonical, &with(1, cbor::indefinite(&cose)));
    add(
        "header sent as the payload",
        Code::NotAMessage,
        &with_cose(2, cbor::bytes(&base.header.to_bytes(&cast.scheme.id()))),
    );
    add("payload empty", Code::NotAMessage, &with_cose(2, vec![0x40]));
    add(
        "unprotected header with a key identifier",
        Code::NotAMessage,
        &with_cose(1, vec![0xa1, 0x04, 0x41, 0x01]),
    );
    add(
        "signature of 63 bytes",
        Code::ValueOutOfRange,
        &with_cose(3, cbor::bytes(&base.envelope.signature.0[..63])),
    );
    let longer = [&base.envelope.signature.0[..], &[0]].concat();
    add("signature of 65 bytes", Code::ValueOutOfRange, &with_cose(3, cbor::bytes(&longer)));
    let own = cast.algorithm;
    let other = if own == Algorithm::EdDsa { Algorithm::Es256 } else { Algorithm::EdDsa };
    let alg = (!own.cose()) as u8 | 0x20;
    for (name, code, protected) in [
        ("protected header with the other algorithm", Code::UnsupportedAlgorithm, protected(other)),
        ("protected header with ES384", Code::UnsupportedAlgorithm, vec![0xa1, 0x01, 0x38, 0x22]),
        ("protected header with algorithm 0", Code::UnsupportedAlgorithm, vec![0xa1, 0x01, 0x00]),
        (
            "protected header with the algorithm's name",
            Code::NotAMessage,
            vec![0xa1, 0x01, 0x65, 0x45, 0x64, 0x44, 0x53, 0x41],
        ),
        ("protected header without algorithm", Code::NotAMessage, vec![0xa0]),
        (
            "protected header with a key identifier",
            Code::NotAMessage,
            vec![0xa2, 0x01, alg, 0x04, 0x41, 0x01],
        ),
        ("protected header with unsorted keys", Code::NotAMessage, vec![0xa2, 0x04, 0x41, 0x01, 0x01, alg]),
        ("protected header with a key twice", Code::NotAMessage, vec![0xa2, 0x01, alg, 0x01, alg]),
        (
            "protected header with the algorithm in two bytes",
            Code::NonCanonical,
            vec![0xa1, 0x01, 0x38, alg & 0x1f],
        ),
        ("protected header with a byte after it", Code::NonCanonical, vec![0xa1, 0x01, alg, 0x00]),
        ("protected header of indefinite length", Code::NonCanonical, vec![0xbf, 0x01, alg, 0xff]),
    ] {
        add(name, code, &with_cose(0, cbor::bytes(&protected)));
    }
}

/// Fields that hold what they cannot.
fn values(out: &mut Refused, base: &Sealed<Payment>) {
    let items = cbor::items(&base.envelope.body.0);
    let with = |at: usize, item: &[u8]| {
        let mut items = items.clone();
        items[at] = item.to_vec();
        Envelope { body: Bytes(cbor::array(&items)), ..base.envelope.clone() }
    };
    let (beyond, nan) = ([0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0], [0xf9, 0x7e, 0]);
    for (name, code, envelope) in [
        ("amount is NaN", Code::NotAMessage, with(3, &nan)),
        ("amount is a float", Code::NotAMessage, with(3, &[0xf9, 0x3c, 0])),
        ("amount is 2^53", Code::ValueOutOfRange, with(3, &beyond)),
        ("amount is negative", Code::NotAMessage, with(3, &[0x20])),
        ("amount is null", Code::NotAMessage, with(3, &[0xf6])),
        ("amount is text", Code::NotAMessage, with(3, &[0x61, 0x31])),
        ("amount in nine bytes", Code::NonCanonical, with(3, &[0x1b, 0, 0, 0, 0, 0, 0, 4, 0xe2])),
        ("spent is 2^53", Code::ValueOutOfRange, with(4, &beyond)),
        ("seq is 2^32", Code::ValueOutOfRange, with(5, &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0])),
        ("prev of 31 bytes", Code::ValueOutOfRange, with(6, &cbor::bytes(&[0; 31]))),
        ("request as text", Code::NotAMessage, with(0, &[&[0x78, 0x20], &[0x61; 32][..]].concat())),
        ("payee of 65 bytes", Code::UnsupportedAlgorithm, with(2, &cbor::bytes(&[4; 65]))),
    ] {
        out.envelope(name, code, &envelope);
    }
}

/// The certificate under which a message travels.
fn certificates(cast: &Cast, out: &mut Refused, base: &Sealed<Payment>) -> Result<(), VectorError> {
    let scheme = &cast.scheme.id();
    let cert = &cast.payer_cert;
    let shown = |cert: WalletCert| Envelope { signer: Signer::Cert(cert), ..base.envelope.clone() };
    // Signed anew, so that nothing but the certificate is wrong.
    let signed = |cert: WalletCert, issuer: Option<&AuthorityCert>| {
        Sealed::new(scheme, &cast.payer, cast.payment(), Signer::Cert(cert), issuer).envelope
    };
    let mut later = cert.clone();
    later.not_before_s = later.not_before_s.saturating_add(60);
    let renewed = cast.scheme.certify(later)?;
    out.envelope("shown under a renewed certificate", Code::BadSignature, &shown(renewed));
    let by_other_issuer = cast
        .other
        .certify(WalletCert { issuer: key_id(&cast.other.issuer(cast.algorithm)?.0.key), ..cert.clone() })?;
    out.envelope("issuer of another scheme", Code::UnknownIssuer, &signed(by_other_issuer.clone(), None));
    let (foreign, _) = cast.other.issuer(cast.algorithm)?;
    out.envelope(
        "issuer of another scheme, attached",
        Code::UnknownIssuer,
        &signed(by_other_issuer, Some(foreign)),
    );
    let newer = AuthorityCert { since: 2, ..foreign.clone() };
    let by_newer = WalletCert { issuer: key_id(&newer.key), ..cert.clone() };
    out.envelope(
        "issuer attached that the root did not certify",
        Code::BadCertificate,
        &signed(by_newer, Some(&newer)),
    );
    let by_newcomer = cast.by_newcomer(&cast.payer);
    out.envelope(
        "issuer not listed and not attached",
        Code::UnknownIssuer,
        &signed(by_newcomer.clone(), None),
    );
    let withdrawn = cast.scheme.certify_authority(AuthorityCert { since: 1, ..cast.newcomer.clone() });
    out.envelope(
        "issuer attached that the list could name and does not",
        Code::UnknownIssuer,
        &signed(by_newcomer, Some(&withdrawn)),
    );
    let outside = cast.scheme.certify(WalletCert { status_index: 5000, ..cert.clone() })?;
    out.envelope(
        "status index that the issuer was not given",
        Code::IssuerNotPermitted,
        &signed(outside, None),
    );
    let raised = WalletCert { ceiling: amount(2_000_000), ..cert.clone() };
    out.envelope("ceiling raised by the payer", Code::BadCertificate, &signed(raised, None));
    let named = WalletCert { name: name("Bank"), ..cert.clone() };
    out.envelope("name added by the payer", Code::BadCertificate, &signed(named, None));
    let good = base.envelope.to_bytes();
    let (start_s, end_s) = (cert.not_before_s, cert.not_after_s());
    out.add(Purpose::Payment, "certificate not yet valid", Code::CertificateNotYetValid, &good).clock_s =
        Some(start_s - 1);
    out.add(Purpose::Payment, "certificate expired", Code::CertificateExpired, &good).clock_s =
        Some(end_s + 1);
    let bare = Signer::Key(cast.payer.public());
    let bare = Sealed::new(scheme, &cast.payer, cast.payment(), bare, None).envelope;
    out.envelope("signed under a bare key", Code::WrongRole, &bare);
    let bare =
        Sealed::new(scheme, &cast.payee, cast.request(), Signer::Key(cast.payee.public()), None).envelope;
    out.envelope("signed under a bare key", Code::WrongRole, &bare);
    Ok(())
}

fn loose_signatures(cast: &Cast, out: &mut Refused, base: &Sealed<counterfoil_wire::message::Receipt>) {
    for strict::Loose { name, signer, signature, strict } in strict::signatures(cast, base) {
        let envelope = Envelope { signature, signer, ..base.envelope.clone() };
        out.envelope(name, Code::BadSignature, &envelope).strict = strict;
    }
}

/// Who may say what the operator says.
fn authorities(cast: &Cast, out: &mut Refused) {
    let scheme = &cast.scheme.id();
    let rules = Preset::DigitalEuro.rules();
    let outsider = &cast.other.signer_key;
    let by_outsider = Signer::Key(outsider.public());
    let settlement = Settlement { trust: None, rules: None, revocation: None, ..cast.settlement() };
    if let Ok((_, issuer)) = cast.scheme.issuer(cast.algorithm) {
        let by_issuer = Signer::Key(issuer.public());
        let envelope = Sealed::new(scheme, issuer, rules.clone(), by_issuer.clone(), None).envelope;
        out.envelope("signed by an issuer", Code::WrongRole, &envelope);
        let envelope = Sealed::new(scheme, issuer, settlement.clone(), by_issuer.clone(), None).envelope;
        out.envelope("signed by an issuer", Code::WrongRole, &envelope);
        let envelope = Sealed::new(scheme, issuer, cast.revocation(), by_issuer, None).envelope;
        out.envelope("signed by an issuer", Code::WrongRole, &envelope);
    }
    let envelope = Sealed::new(scheme, outsider, rules.clone(), by_outsider.clone(), None).envelope;
    out.envelope("signed by a key that the trust list does not name", Code::WrongRole, &envelope);
    let envelope = Sealed::new(scheme, outsider, settlement.clone(), by_outsider.clone(), None).envelope;
    out.envelope("signed by a key that the trust list does not name", Code::WrongRole, &envelope);
    let envelope = Sealed::new(scheme, outsider, cast.revocation(), by_outsider, None).envelope;
    out.envelope("signed by a key that the trust list does not name", Code::WrongRole, &envelope);
    let end_s = cast.scheme.signer.not_after_s();
    let rules = cast.seal_by_signer(rules).envelope;
    out.envelope("signer's certificate expired", Code::AuthorityExpired, &rules).clock_s = Some(end_s + 1);
    out.envelope("signer's certificate not yet valid", Code::CertificateNotYetValid, &rules).clock_s =
        Some(AUTHORITIES_FROM_S - 1);
    let list = cast.seal_by_signer(cast.revocation()).envelope;
    out.envelope("signer's certificate expired", Code::AuthorityExpired, &list).clock_s = Some(end_s + 1);
    let late = Settlement { time_s: end_s + 1, ..settlement };
    let late = cast.seal_by_signer(late).envelope;
    out.envelope("signer's certificate expired at the settlement's own time", Code::AuthorityExpired, &late);
}

fn trust_lists(cast: &Cast, out: &mut Refused) {
    let list = &cast.scheme.trust;
    let scheme = &cast.scheme.id();
    for (name, key) in
        [("signed by a signer", &cast.scheme.signer_key), ("signed by another root", &cast.other.root_key)]
    {
        let envelope = Sealed::new(scheme, key, list.clone(), Signer::Key(key.public()), None).envelope;
        out.envelope(name, Code::WrongScheme, &envelope);
    }
    let with = |authority: AuthorityCert| {
        let authorities = [&list.authorities[..], &[authority]].concat();
        cast.seal_by_root(TrustList { authorities, ..list.clone() }).envelope
    };
    out.envelope("names an authority twice", Code::ListInvalid, &with(list.authorities[0].clone()));
    out.envelope("names an authority of a later list", Code::ListInvalid, &with(cast.newcomer.clone()));
    let foreign = &cast.other.signer;
    out.envelope("names an authority of another root", Code::BadCertificate, &with(foreign.clone()));
    let certify = |authority| cast.scheme.certify_authority(authority);
    let newcomer = AuthorityCert { since: 1, ..cast.newcomer.clone() };
    let mut altered = certify(newcomer.clone());
    altered.index_last = altered.index_last.saturating_add(1);
    out.envelope(
        "names an authority with a wider range than certified",
        Code::BadCertificate,
        &with(altered),
    );
    let outlives = certify(AuthorityCert { lifetime_d: 3651, ..newcomer.clone() });
    out.envelope("names an authority that outlives the root", Code::BadCertificate, &with(outlives));
    let early = certify(AuthorityCert { not_before_s: AUTHORITIES_FROM_S - 1, ..newcomer.clone() });
    out.envelope("names an authority that is older than the root", Code::BadCertificate, &with(early));
    let nameless = certify(AuthorityCert { name: name(""), ..newcomer.clone() });
    out.envelope("names an authority without a name", Code::BadCertificate, &with(nameless));
    let graded = certify(AuthorityCert { grades: 16, ..newcomer.clone() });
    out.envelope("names an authority with a grade that does not exist", Code::BadCertificate, &with(graded));
    let backwards = certify(AuthorityCert { index_first: 2999, index_last: 2000, ..newcomer });
    out.envelope("names an issuer whose range ends before it begins", Code::BadCertificate, &with(backwards));
}

fn revocation_lists(cast: &Cast, out: &mut Refused) {
    let whole = cast.revocation();
    let mut add = |name: &str, list: RevocationList, held: Option<Held>| {
        let list = cast.seal_by_signer(list).envelope;
        out.envelope(name, Code::ListInvalid, &list).held = held;
    };
    add("an index twice", RevocationList { added: vec![13, 0], ..whole.clone() }, None);
    add("an index beyond 32 bits", RevocationList { added: vec![u32::MAX, 1], ..whole.clone() }, None);
    add("whole, with removals", RevocationList { removed: vec![1], ..whole }, None);
    let delta = cast.delta();
    let held = cast.held();
    add("change, and nothing is held", delta.clone(), None);
    add("change to another list", delta.clone(), Some(Held { number: 2, ..held.clone() }));
    add(
        "change that adds what is there",
        RevocationList { added: vec![14], ..delta.clone() },
        Some(held.clone()),
    );
    add(
        "change that removes what is not there",
        RevocationList { removed: vec![16], ..delta.clone() },
        Some(held.clone()),
    );
    add("change that removes an index twice", RevocationList { removed: vec![13, 0], ..delta }, Some(held));
}

fn gossip(cast: &Cast, out: &mut Refused) {
    let gossip = counterfoil_wire::proof::Gossip {
        revocation: None,
        trust: None,
        proofs: vec![],
        headers: vec![cast.seal_payment(cast.payment()).signed_header()],
    };
    let bytes = gossip.to_message();
    let items = cbor::items(&bytes);
    let parts = cbor::items(&items[1]);
    let mut add = |name: &str, code: Code, bytes: &[u8]| {
        out.add(Purpose::Gossip, name, code, bytes);
    };
    add("last byte missing", Code::Truncated, &bytes[..bytes.len() - 1]);
    add("a byte follows", Code::TrailingBytes, &[&bytes[..], &[0]].concat());
    add("labelled as another kind", Code::WrongKind, &cbor::array(&[vec![1], items[1].clone()]));
    add("without its label", Code::NotAMessage, &items[1]);
    add("without headers", Code::NotAMessage, &cbor::array(&[vec![15], cbor::array(&parts[..3])]));
    let header = cbor::items(&cbor::items(&parts[3])[0]);
    let half = cbor::items(&header[1]);
    let with_half = |at: usize, item: Vec<u8>| {
        let mut half = half.clone();
        half[at] = item;
        let header = cbor::array(&[header[0].clone(), cbor::array(&half)]);
        let parts = [&parts[..3], &[cbor::array(&[header])]].concat();
        cbor::array(&[vec![15], cbor::array(&parts)])
    };
    add("a payment's header without its interval", Code::NotAMessage, &with_half(4, vec![0xf6]));
    add("a payment's header with a reason", Code::NotAMessage, &with_half(4, vec![1]));
    add("a receipt's header with an interval", Code::NotAMessage, &with_half(0, vec![2]));
    add("a header of a purpose that does not exist", Code::ValueOutOfRange, &with_half(0, vec![0x18, 99]));
    add("a header with a short signature", Code::ValueOutOfRange, &with_half(5, cbor::bytes(&[0; 63])));
}

/// What is no bundle. Its two parts are judged by themselves.
fn bundle(cast: &Cast, out: &mut Refused) {
    let message = cast.seal_by_payee(cast.receipt()).bytes();
    let bytes = Bundle { message, gossip: Bytes(vec![0x82, 15, 0x84, 0xf6, 0xf6, 0x80, 0x80]) }.to_bytes();
    let items = cbor::items(&bytes);
    let mut add = |name: &str, code: Code, bytes: &[u8]| {
        out.add(Purpose::Bundle, name, code, bytes);
    };
    add("last byte missing", Code::Truncated, &bytes[..bytes.len() - 1]);
    add("a byte follows", Code::TrailingBytes, &[&bytes[..], &[0]].concat());
    add("without gossip", Code::NotAMessage, &cbor::array(&items[..2]));
    add("with gossip twice", Code::NotAMessage, &cbor::array(&[&items[..], &items[2..]].concat()));
    add("of indefinite length", Code::NonCanonical, &cbor::indefinite(&items));
    add("with its length in two bytes", Code::NonCanonical, &two_byte_head(&items));
    let labelled = [&[vec![15]], &items[1..]].concat();
    add("labelled as another kind", Code::WrongKind, &cbor::array(&labelled));
    let bare = [items[0].clone(), items[1].clone(), vec![0x82, 15, 0x84, 0xf6, 0xf6, 0x80, 0x80]];
    add("with gossip that is no byte string", Code::NotAMessage, &cbor::array(&bare));
    let null = [items[0].clone(), items[1].clone(), vec![0xf6]];
    add("with null for gossip", Code::NotAMessage, &cbor::array(&null));
}
