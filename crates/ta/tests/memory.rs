//! What one command makes the trusted application allocate at most: [`FACTOR`] times the command's length, and
//! [`SLACK`] bytes, beside what the wallet holds already. Legal or hostile makes no difference.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/door.rs"]
mod door;
mod support;

use allocation_counter::measure;
use counterfoil_ta::api::{Command, Response};
use counterfoil_trust::{SigningKey, open, seal};
use counterfoil_wire::codec::OBJECT_MAX;
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::RevocationList;
use counterfoil_wire::message::{Body, Payment};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::sync::{Entry, Settlement};
use counterfoil_wire::{Algorithm, Bytes, Code, Wire};
use support::{HEDGE, Wallet, World};

/// Bytes at the peak a byte of the command. A revocation list takes the most: an index of one byte is four in memory,
/// and the list is held as received, as indexes, and as what is stored.
const FACTOR: usize = 16;

/// What signing, certificates and small records take whatever the command's length, in bytes.
const SLACK: usize = 64 * 1024;

/// Length of the long lists here. The rest of [`OBJECT_MAX`] would show the same, later.
const LIST: usize = OBJECT_MAX / 16;

/// Runs a command within the bound; its peak, and the error if there is one.
fn run(wallet: &mut Wallet, command: &Command) -> (usize, Option<Code>) {
    let bytes = command.to_bytes();
    let mut answer = Vec::new();
    let peak = measure(|| answer = wallet.process(&bytes)).bytes_max as usize;
    assert!(peak <= FACTOR * bytes.len() + SLACK, "{} bytes took {peak}", bytes.len());
    (peak, Response::from_bytes(&answer).unwrap().0.err().map(|error| error.code))
}

/// A list that takes a byte an index and, signed, about [`LIST`] bytes.
fn long_list(number: u32) -> RevocationList {
    RevocationList { number, issued_at_s: support::START_S, since: 0, added: vec![23; LIST], removed: vec![] }
}

fn gossip(revocation: Vec<u8>) -> Command {
    let gossip = Gossip { revocation: Some(Bytes(revocation)), trust: None, proofs: vec![], headers: vec![] };
    Command::GossipIn { gossip: Bytes(gossip.to_message()) }
}

#[test]
fn a_payment_takes_a_few_pages() {
    let mut w = World::new();
    let request = w.c.request(Some(500));
    let (first, code) = run(
        &mut w.a,
        &Command::Pay {
            request: request.clone(),
            amount: None,
            pin: None,
            reference: counterfoil_wire::Reference([1; 32]),
            approval: None,
        },
    );
    assert_eq!(code, None);
    let payment = w.a.pay(&request, None, None).unwrap();
    // The largest that travels carries the issuer's certificate.
    let mut largest = open::<Payment>(&payment.0).unwrap().envelope;
    largest.issuer = Some(w.operator.issuer(Algorithm::EdDsa).clone());
    let payment = Bytes(largest.to_bytes());
    let (second, code) = run(&mut w.c, &Command::Accept { payment: payment.clone() });
    assert_eq!(code, None);
    let (third, code) = run(&mut w.c, &Command::Accept { payment });
    assert_eq!(code, None);
    assert!(first.max(second).max(third) <= 16 * 1024, "{first} {second} {third}");
}

#[test]
fn a_long_revocation_list_is_held_a_few_times() {
    let mut w = World::new();
    let list = w.operator.sign(&long_list(9)).to_bytes();
    let (taken, code) = run(&mut w.a, &gossip(list.clone()));
    assert_eq!((code, w.a.show().revocation_no), (None, 9));
    // Again: it is judged and let go.
    let (again, code) = run(&mut w.a, &gossip(list));
    assert_eq!(code, None);
    assert!(again < taken, "{again} {taken}");
}

#[test]
fn a_settlement_with_a_long_list_is_held_a_few_times() {
    let mut w = World::new();
    let statement = w.a.message(&Command::Statement {}).unwrap();
    let settlement = w.operator.settle(&statement);
    let mut body = open::<Settlement>(&settlement.0).unwrap().body;
    body.revocation = Some(Bytes(w.operator.sign(&long_list(9)).to_bytes()));
    let settlement = Bytes(w.operator.sign(&body).to_bytes());
    let (_, code) = run(&mut w.a, &Command::Settle { settlement });
    assert_eq!((code, w.a.show().revocation_no), (None, 9));
}

#[test]
fn what_a_stranger_signed_takes_no_more() {
    let mut w = World::new();
    let key = SigningKey::from_secret(Algorithm::EdDsa, &[66; 32]).unwrap();
    let scheme = w.operator.anchors.scheme;
    let sealed = |body: &RevocationList| {
        seal(&scheme, &key, &HEDGE, body, Signer::Key(key.public()), None).0.to_bytes()
    };
    let (_, code) = run(&mut w.a, &gossip(sealed(&long_list(9))));
    assert_eq!(code, Some(Code::WrongRole));
    // A signature that does not hold.
    let mut forged = w.operator.sign(&long_list(9));
    forged.signature.0[7] ^= 1;
    let (_, code) = run(&mut w.a, &gossip(forged.to_bytes()));
    assert_eq!(code, Some(Code::BadSignature));
}

#[test]
fn hostile_commands_take_no_more() {
    let mut w = World::new();
    let filled = |filler: u8| vec![filler; LIST];
    for filler in [0x00, 0x17, 0x40, 0x60, 0x80, 0x81, 0xf6, 0xff] {
        for command in [
            Command::Accept { payment: Bytes(filled(filler)) },
            Command::Confirm { receipt: Bytes(filled(filler)) },
            Command::GossipIn { gossip: Bytes(filled(filler)) },
            Command::Settle { settlement: Bytes(filled(filler)) },
            Command::Pay {
                request: Bytes(filled(filler)),
                amount: None,
                pin: Some(support::pin(&"0".repeat(LIST))),
                reference: counterfoil_wire::Reference([filler; 32]),
                approval: None,
            },
        ] {
            let (_, code) = run(&mut w.a, &command);
            assert!(code.is_some());
        }
    }
    // A command that says it is longer than it is.
    let lie = [&[0x82, 0x04, 0x5b, 0x7f], &[0xff; 7][..]].concat();
    let peak = measure(|| drop(w.a.process(&lie))).bytes_max;
    assert!(peak <= 512, "{peak}");
    // Longer than any object.
    let long = vec![0x82; OBJECT_MAX + 1];
    let peak = measure(|| drop(w.a.process(&long))).bytes_max;
    assert!(peak <= 512, "{peak}");
    // A decline that is one envelope in another.
    let entry = Entry::Payment { payment: Bytes(filled(0)) };
    let (_, code) = run(&mut w.a, &Command::Reclaim { decline: Bytes(entry.to_bytes()) });
    assert!(code.is_some());
    assert_eq!(RevocationList::PURPOSE.number(), 14);
}

#[test]
fn headers_and_proofs_of_one_session_take_a_few_times_their_length() {
    let mut w = World::new();
    let request = w.c.standing_request();
    let mut headers = Vec::new();
    for _ in 0..4 {
        let payment = w.a.pay(&request, Some(10), None).unwrap();
        headers.push(open::<Payment>(&payment.0).unwrap().signed_header());
        w.c.accept(&payment).unwrap();
    }
    let headers = headers.iter().cycle().take(2_000).cloned().collect();
    let gossip = Gossip { revocation: None, trust: None, proofs: vec![], headers };
    let (_, code) = run(&mut w.c, &Command::GossipIn { gossip: Bytes(gossip.to_message()) });
    assert_eq!(code, None);
}
