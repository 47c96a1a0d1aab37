//! RFC 8949 section 4.2.1 on every type: whatever is not the one encoding of a value is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::header::{Envelope, Header, Purpose, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, SignedHeader};
use counterfoil_wire::rules::Preset;
use counterfoil_wire::sync::{Entry, FundOrder, Outcome, Resolution, Settlement, Standing, Statement};
use counterfoil_wire::{
    Amount, Bytes, Code, Currency, Digest, KeyId, Nonce, PublicKey, Reference, Signature, Wire,
};

fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

fn wallet_cert() -> WalletCert {
    WalletCert {
        issuer: KeyId([1; 32]),
        not_before_s: 1_800_000_000,
        lifetime_h: 720,
        status_index: 7,
        grade: Grade::VirtualSe,
        currency: Currency::EUR,
        ceiling: amount(70_000),
        key: PublicKey::Ed25519([2; 32]),
        name: Name::new("Café").unwrap(),
        signature: Signature([3; 64]),
    }
}

fn authority_cert() -> AuthorityCert {
    AuthorityCert {
        role: Role::Issuer,
        name: Name::new("alpha").unwrap(),
        not_before_s: 1_800_000_000,
        lifetime_d: 300,
        since: 1,
        grades: 15,
        index_first: 0,
        index_last: 999,
        key: PublicKey::Ed25519([4; 32]),
        signature: Signature([5; 64]),
    }
}

fn payment() -> Payment {
    Payment {
        request: Digest([6; 32]),
        request_no: 24,
        payee: PublicKey::Ed25519([7; 32]),
        amount: amount(500),
        spent: amount(123_456),
        seq: 256,
        prev: Digest([8; 32]),
    }
}

fn envelope() -> Envelope {
    Envelope {
        purpose: Purpose::Payment,
        signature: Signature([9; 64]),
        body: Bytes(payment().to_bytes()),
        signer: Signer::Cert(wallet_cert()),
        issuer: Some(authority_cert()),
    }
}

fn signed_header(seq: u32) -> SignedHeader {
    let parts = payment().header_parts();
    let (purpose, key) = (Purpose::Payment, PublicKey::Ed25519([2; 32]));
    let header = Header { purpose, key, seq, prev: parts.prev, digest: Digest([10; 32]), extra: parts.extra };
    SignedHeader { header, signature: Signature([11; 64]) }
}

fn statement() -> Statement {
    let payment = Bytes(envelope().to_bytes());
    Statement {
        seq: 8,
        prev: Digest([12; 32]),
        after_seq: 0,
        after_prev: Digest::NONE,
        entries: vec![
            Entry::Payment { payment: payment.clone() },
            Entry::Receipt { payment: payment.clone() },
            Entry::Decline { payment, reason: 319 },
            Entry::Reclaim { payment: Digest([13; 32]), decline: Bytes(vec![1; 30]) },
            Entry::Statement { digest: Digest([14; 32]) },
            Entry::Settled {
                settlement: Digest([15; 32]),
                funded: amount(9),
                refunded: vec![Digest([16; 32])],
                returned: vec![1, 300],
            },
            Entry::Defund { amount: amount(40), reference: Reference([17; 32]) },
        ],
        receipts: vec![Bytes(vec![2; 300])],
        proofs: vec![Bytes(vec![3; 20])],
        funded: amount(1),
        received: amount(2),
        spent: amount(3),
        funding_total: amount(4),
        closed_below: 5,
        closed_before_s: 6,
        rules_no: 7,
        trust_no: 8,
        revocation_no: 9,
        pin_blocked: false,
        tamper: None,
        nonce: Nonce([18; 16]),
    }
}

fn settlement() -> Settlement {
    Settlement {
        wallet: PublicKey::Ed25519([2; 32]),
        nonce: Nonce([18; 16]),
        acked_seq: 8,
        acked: Digest([19; 32]),
        time_s: 1_800_000_000,
        funding_total: amount(500),
        order_no: 1,
        spent_start: Some(amount(70_000)),
        resolutions: vec![Resolution { payment: Digest([20; 32]), outcome: Outcome::Refunded }],
        returned: vec![3],
        paid_out: amount(0),
        standing: Standing::Good,
        balance: None,
        pin_unblocked: true,
        cert: Some(wallet_cert()),
        root: None,
        trust: Some(Bytes(vec![4; 200])),
        rules: None,
        revocation: Some(Bytes(vec![5; 40])),
    }
}

type Decode = fn(&[u8]) -> Result<Vec<u8>, Code>;

/// A sample of each type, and how it is decoded.
fn samples() -> Vec<(&'static str, Vec<u8>, Decode)> {
    fn of<T: Wire>(bytes: &[u8]) -> Result<Vec<u8>, Code> {
        T::from_bytes(bytes).map(|value| value.to_bytes()).map_err(|error| error.code)
    }
    fn gossip(bytes: &[u8]) -> Result<Vec<u8>, Code> {
        Gossip::from_message(bytes).map(|gossip| gossip.to_message()).map_err(|error| error.code)
    }
    fn sample<T: Wire>(name: &'static str, value: &T) -> (&'static str, Vec<u8>, Decode) {
        (name, value.to_bytes(), of::<T>)
    }
    let request = Request {
        number: 24,
        nonce: Some(Nonce([21; 16])),
        amount: Some(amount(500)),
        expiry_s: 0,
        revocation_no: 1,
        trust_no: 2,
    };
    let decline = Decline { payment: Digest([22; 32]), reason: 319, seq: 5, prev: Digest([23; 32]) };
    let receipt = Receipt { payment: Digest([22; 32]), seq: 5, prev: Digest([23; 32]) };
    let order = FundOrder { number: 1, amount: amount(65_536), reference: Reference([24; 32]) };
    let root = RootCert {
        name: Name::new("scheme").unwrap(),
        not_before_s: 1,
        lifetime_d: 3650,
        key: PublicKey::P256([2; 33]),
        signature: Signature([25; 64]),
    };
    let list = TrustList { number: 1, issued_at_s: 2, authorities: vec![authority_cert()] };
    let revocation = RevocationList {
        number: 3,
        issued_at_s: 4,
        since: 0,
        added: vec![0, 23, 24, 70_000],
        removed: vec![],
    };
    let message = Gossip {
        revocation: Some(Bytes(vec![6; 40])),
        trust: None,
        proofs: vec![],
        headers: vec![signed_header(1), signed_header(2)],
    };
    let mut samples = vec![
        sample("request", &request),
        sample("payment", &payment()),
        sample("receipt", &receipt),
        sample("decline", &decline),
        sample("fund order", &order),
        sample("statement", &statement()),
        sample("settlement", &settlement()),
        sample("trust list", &list),
        sample("revocation list", &revocation),
        sample("rules", &Preset::Permissive.rules()),
        sample("signed header", &signed_header(7)),
        sample("wallet certificate", &wallet_cert()),
        sample("authority certificate", &authority_cert()),
        sample("root certificate", &root),
        sample("envelope", &envelope()),
        sample("signer", &Signer::Key(PublicKey::P256([3; 33]))),
    ];
    samples.push(("gossip", message.to_message(), gossip));
    samples.extend(statement().entries.iter().map(|entry| sample("entry", entry)));
    samples
}

/// One data item: where it starts, its major type, its argument, and where its head ends.
#[derive(Clone, Copy, Debug)]
struct Item {
    start: usize,
    major: u8,
    argument: u64,
    after: usize,
}

/// Every item of well-formed CBOR in order, those in arrays too; byte strings are leaves.
fn items(bytes: &[u8]) -> Vec<Item> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (major, low) = (bytes[at] >> 5, bytes[at] & 31);
        let width = if low < 24 { 0 } else { 1 << (low - 24) };
        let argument = match width {
            0 => u64::from(low),
            _ => bytes[at + 1..at + 1 + width].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let after = at + 1 + width;
        all.push(Item { start: at, major, argument, after });
        at = after + if matches!(major, 2 | 3) { argument as usize } else { 0 };
    }
    all
}

/// Replaces the head of an item.
fn with_head(bytes: &[u8], item: Item, head: &[u8]) -> Vec<u8> {
    [&bytes[..item.start], head, &bytes[item.after..]].concat()
}

/// A head of `width` argument bytes: 1, 2, 4 or 8.
fn wide(major: u8, argument: u64, width: usize) -> Vec<u8> {
    let low = 24 + width.trailing_zeros() as u8;
    [&[major << 5 | low], &argument.to_be_bytes()[8 - width..]].concat()
}

fn refused(name: &str, decode: Decode, bytes: &[u8], what: &str) -> Code {
    match decode(bytes) {
        Err(code) => code,
        Ok(_) => panic!("{name} is taken with {what}: {bytes:02x?}"),
    }
}

#[test]
fn samples_are_what_they_should_be() {
    for (name, bytes, decode) in samples() {
        assert_eq!(decode(&bytes), Ok(bytes.clone()), "{name}");
    }
}

#[test]
fn an_integer_or_a_length_has_one_form() {
    for (name, bytes, decode) in samples() {
        for item in items(&bytes).into_iter().filter(|item| item.major < 6) {
            for width in [1, 2, 4, 8] {
                let shorter = item.after - item.start - 1;
                if width > shorter {
                    let longer = with_head(&bytes, item, &wide(item.major, item.argument, width));
                    refused(name, decode, &longer, "a longer form");
                }
            }
        }
    }
}

#[test]
fn a_length_is_definite() {
    for (name, bytes, decode) in samples() {
        for item in items(&bytes).into_iter().filter(|item| matches!(item.major, 2..=5)) {
            let mut open = with_head(&bytes, item, &[item.major << 5 | 31]);
            refused(name, decode, &open, "an indefinite length");
            open.push(0xff);
            refused(name, decode, &open, "an indefinite length and a break");
            if matches!(item.major, 2 | 3) {
                let (head, text) = (&bytes[item.start..item.after], item.after + item.argument as usize);
                let chunk = [&bytes[item.after..text], &[0xff]].concat();
                let chunked =
                    [&bytes[..item.start], &[item.major << 5 | 31], head, &chunk, &bytes[text..]].concat();
                refused(name, decode, &chunked, "a string in chunks");
            }
        }
    }
}

#[test]
fn nothing_follows_and_nothing_lacks() {
    for (name, bytes, decode) in samples() {
        for byte in [0x00, 0xf6, 0xff, 0x80] {
            let longer = [&bytes[..], &[byte]].concat();
            assert_eq!(refused(name, decode, &longer, "a trailing byte"), Code::TrailingBytes, "{name}");
        }
        for len in 0..bytes.len() {
            refused(name, decode, &bytes[..len], "its end cut off");
        }
    }
}

#[test]
fn a_record_has_its_fields_and_no_more() {
    for (name, bytes, decode) in samples() {
        for item in items(&bytes).into_iter().filter(|item| item.major == 4) {
            let more = with_head(&bytes, item, &[0x80 | (item.argument as u8 + 1)]);
            refused(name, decode, &more, "an item too few");
            if item.argument > 0 {
                let fewer = with_head(&bytes, item, &[0x80 | (item.argument as u8 - 1)]);
                refused(name, decode, &fewer, "an item too many");
            }
        }
    }
}

#[test]
fn other_kinds_of_items_are_refused_in_every_place() {
    let foreign: [(&str, &[u8]); 13] = [
        ("a half float", &[0xf9, 0x3c, 0x00]),
        ("a float", &[0xfa, 0x3f, 0x80, 0, 0]),
        ("a double", &[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("not a number", &[0xf9, 0x7e, 0x00]),
        ("a tag", &[0xc1, 0x01]),
        ("a bignum", &[0xc2, 0x41, 0x01]),
        ("a negative bignum", &[0xc3, 0x41, 0x01]),
        ("undefined", &[0xf7]),
        ("a simple value", &[0xf0]),
        ("a simple value in two bytes", &[0xf8, 0x20]),
        ("a negative number", &[0x20]),
        ("a map", &[0xa1, 0x01, 0x01]),
        ("a break", &[0xff]),
    ];
    for (name, bytes, decode) in samples() {
        for item in items(&bytes) {
            // In place of a scalar; and ahead of anything, which leaves the old item over.
            for (what, other) in foreign {
                if matches!(item.major, 0 | 1 | 7) {
                    refused(name, decode, &with_head(&bytes, item, other), what);
                }
                let ahead = [&bytes[..item.start], other, &bytes[item.start..]].concat();
                refused(name, decode, &ahead, what);
            }
            // Tagged.
            for tag in [&[0xc0][..], &[0xd8, 0x18], &[0xd9, 0xd9, 0xf7]] {
                let tagged = [&bytes[..item.start], tag, &bytes[item.start..]].concat();
                refused(name, decode, &tagged, "a tag");
            }
        }
    }
}

/// The only maps are the COSE headers of an envelope: `{1: alg}` in the protected one, none in the other.
#[test]
fn maps_hold_what_they_must_once() {
    let bytes = envelope().to_bytes();
    let decode: Decode =
        |bytes| Envelope::from_bytes(bytes).map(|value| value.to_bytes()).map_err(|error| error.code);
    let protected = [0x43, 0xa1, 0x01, 0x27];
    let at = bytes.windows(4).position(|window| window == protected).unwrap();
    assert_eq!(bytes[at + 4], 0xa0);
    let with = |from: usize, len: usize, other: &[u8]| [&bytes[..from], other, &bytes[from + len..]].concat();
    for (what, other) in [
        ("no map", &[0x40][..]),
        ("an empty map", &[0x41, 0xa0]),
        ("a key twice", &[0x45, 0xa2, 0x01, 0x27, 0x01, 0x27]),
        ("keys out of order", &[0x45, 0xa2, 0x04, 0x00, 0x01, 0x27]),
        ("another key", &[0x45, 0xa2, 0x01, 0x27, 0x04, 0x00]),
        ("a longer key", &[0x44, 0xa1, 0x18, 0x01, 0x27]),
        ("a longer value", &[0x44, 0xa1, 0x01, 0x38, 0x07]),
        ("a map without end", &[0x44, 0xbf, 0x01, 0x27, 0xff]),
        ("a trailing byte", &[0x44, 0xa1, 0x01, 0x27, 0x00]),
        ("an unknown algorithm", &[0x43, 0xa1, 0x01, 0x25]),
        ("another key's algorithm", &[0x43, 0xa1, 0x01, 0x26]),
    ] {
        refused("envelope", decode, &with(at, 4, other), what);
    }
    for (what, other) in [
        ("an unprotected header", &[0xa1, 0x01, 0x27][..]),
        ("a map without end", &[0xbf, 0xff]),
        ("none", &[0xf6]),
    ] {
        refused("envelope", decode, &with(at + 4, 1, other), what);
    }
}

#[test]
fn text_is_utf8() {
    for (name, bytes, decode) in samples() {
        for item in items(&bytes).into_iter().filter(|item| item.major == 3 && item.argument > 1) {
            for broken in [&[0xff][..], &[0xc0, 0x80], &[0xed, 0xa0], &[0x80], &[0xc3, 0x28]] {
                let mut spoilt = bytes.clone();
                spoilt[item.after..item.after + broken.len()].copy_from_slice(broken);
                refused(name, decode, &spoilt, "text that is not UTF-8");
            }
        }
    }
}

#[test]
fn depth_is_the_types_and_not_the_inputs() {
    for (name, bytes, decode) in samples() {
        for nest in [&[0x81][..], &[0x82], &[0x9f], &[0xa1], &[0xbf], &[0xc1], &[0x5f]] {
            let deep = nest.repeat(10_000);
            refused(name, decode, &deep, "nothing but nesting");
            for item in items(&bytes) {
                let deep = [&bytes[..item.start], &deep, &bytes[item.start..]].concat();
                refused(name, decode, &deep, "10,000 levels");
            }
        }
    }
}

#[test]
fn a_length_that_lies_is_refused() {
    for (name, bytes, decode) in samples() {
        for item in items(&bytes).into_iter().filter(|item| matches!(item.major, 2..=5)) {
            for (argument, width) in
                [(1 << 16, 4), (1 << 32, 8), (1 << 63, 8), (u64::MAX, 8), (u32::MAX.into(), 4)]
            {
                let lie = with_head(&bytes, item, &wide(item.major, argument, width));
                refused(name, decode, &lie, "a length that lies");
                refused(name, decode, &lie[..item.start + 1 + width], "a length and nothing more");
            }
        }
    }
}

#[test]
fn numbers_and_lengths_beyond_their_type_are_refused() {
    for (name, bytes, decode) in samples() {
        for item in items(&bytes).into_iter().filter(|item| item.major == 0) {
            // No field takes 64 bits: amounts take 53, all others at most 32.
            let large = with_head(&bytes, item, &wide(0, 1 << 53, 8));
            refused(name, decode, &large, "a number of 54 bits");
        }
    }
    let long = vec![0; counterfoil_wire::codec::OBJECT_MAX + 1];
    assert_eq!(Statement::from_bytes(&long).unwrap_err().code, Code::TooLong);
}
