//! What decoding allocates is bounded by what is decoded: the figures of `codec`, for legal and for hostile inputs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use allocation_counter::measure;
use counterfoil_wire::cert::{AuthorityCert, Name, Role};
use counterfoil_wire::codec::{ENCODED_MAX, Enc, MEMORY_FACTOR, MEMORY_SLACK, MESSAGE_MAX, OBJECT_MAX};
use counterfoil_wire::header::{Extra, Header, Purpose};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::proof::{Gossip, SignedHeader};
use counterfoil_wire::sync::{ENTRIES_MAX, Entry, Resolution, Settlement, Statement};
use counterfoil_wire::{Amount, Bytes, Code, Digest, Nonce, PublicKey, Signature, Wire};

/// The peak of what `decode` holds, in bytes, and its result's error.
fn peak<T>(
    bytes: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, counterfoil_wire::Error>,
) -> (usize, Option<Code>) {
    let mut code = None;
    let peak = measure(|| code = decode(bytes).err().map(|error| error.code)).bytes_max;
    (peak as usize, code)
}

/// Decodes what must be taken, within the bound and within `factor` times its length.
fn legal<T: Wire>(value: &T, factor: usize) {
    let bytes = value.to_bytes();
    assert!(bytes.len() <= OBJECT_MAX, "{}", bytes.len());
    let (peak, code) = peak(&bytes, T::from_bytes);
    assert_eq!(code, None);
    assert!(peak <= factor * bytes.len() + 512, "{} bytes took {peak}", bytes.len());
    assert!(factor <= MEMORY_FACTOR);
}

fn hostile<T: Wire>(bytes: &[u8], expected: Code) -> usize {
    let (peak, code) = peak(bytes, T::from_bytes);
    assert_eq!(code, Some(expected));
    assert!(peak <= MEMORY_FACTOR * bytes.len() + MEMORY_SLACK, "{} bytes took {peak}", bytes.len());
    peak
}

/// A list of `len` times `item`.
fn list(len: usize, item: &[u8]) -> Vec<u8> {
    let mut e = Enc::new();
    e.array(len as u64);
    let mut bytes = e.finish();
    bytes.extend(item.repeat(len));
    bytes
}

fn statement(entries: Vec<Entry>, receipts: Vec<Bytes>, proofs: Vec<Bytes>) -> Statement {
    let zero = Amount::ZERO;
    Statement {
        seq: u32::MAX,
        prev: Digest::NONE,
        after_seq: 0,
        after_prev: Digest::NONE,
        entries,
        receipts,
        proofs,
        funded: zero,
        received: zero,
        spent: zero,
        funding_total: zero,
        closed_below: 0,
        closed_before_s: 0,
        rules_no: 0,
        trust_no: 0,
        revocation_no: 0,
        pin_blocked: false,
        tamper: None,
        nonce: Nonce([0; 16]),
    }
}

fn revocation_list(len: usize) -> RevocationList {
    RevocationList { number: 1, issued_at_s: 2, since: 0, added: vec![1; len], removed: vec![] }
}

fn signed_header() -> SignedHeader {
    let header = Header {
        purpose: Purpose::Receipt,
        key: PublicKey::Ed25519([1; 32]),
        seq: 1,
        prev: Digest::NONE,
        digest: Digest::NONE,
        extra: Extra::None,
    };
    SignedHeader { header, signature: Signature([2; 64]) }
}

#[test]
fn the_largest_objects_take_a_few_times_their_length() {
    // Five times the largest payment that travels is more than any journal holds.
    let (payment, receipt) = (Bytes(vec![1; 525]), Bytes(vec![2; 186]));
    let entries = vec![Entry::Payment { payment }; ENTRIES_MAX as usize];
    legal(&statement(entries, vec![receipt; ENTRIES_MAX as usize], vec![]), 2);
    legal(&revocation_list(OBJECT_MAX - 100), 5);
    let authority = AuthorityCert {
        role: Role::Issuer,
        name: Name::new("a").unwrap(),
        not_before_s: 0,
        lifetime_d: 0,
        since: 0,
        grades: 0,
        index_first: 0,
        index_last: 0,
        key: PublicKey::Ed25519([3; 32]),
        signature: Signature([4; 64]),
    };
    legal(&TrustList { number: 1, issued_at_s: 2, authorities: vec![authority; 60_000] }, 3);
    let gossip =
        Gossip { revocation: None, trust: None, proofs: vec![], headers: vec![signed_header(); 40_000] };
    let bytes = gossip.to_message();
    let (peak, code) = peak(&bytes, Gossip::from_message);
    assert_eq!(code, None);
    assert!(peak <= 3 * bytes.len(), "{} bytes took {peak}", bytes.len());
}

#[test]
fn a_settlement_is_held_once() {
    let settlement = Settlement {
        wallet: PublicKey::Ed25519([1; 32]),
        nonce: Nonce([2; 16]),
        acked_seq: 1,
        acked: Digest::NONE,
        time_s: 1,
        funding_total: Amount::ZERO,
        order_no: 0,
        spent_start: None,
        resolutions: Vec::<Resolution>::new(),
        returned: vec![],
        paid_out: Amount::ZERO,
        standing: counterfoil_wire::sync::Standing::Good,
        balance: None,
        pin_unblocked: false,
        cert: None,
        root: None,
        trust: None,
        rules: None,
        revocation: Some(Bytes(vec![7; OBJECT_MAX - 1_000])),
    };
    legal(&settlement, 1);
}

#[test]
fn a_length_that_lies_allocates_next_to_nothing() {
    for len in [1u64 << 16, 1 << 32, 1 << 63, u64::MAX] {
        let mut e = Enc::new();
        e.array(len);
        let mut bytes = e.finish();
        bytes.extend([0x40; 64]);
        assert!(hostile::<Vec<Bytes>>(&bytes, Code::Truncated) <= 512);
        assert!(hostile::<Vec<Entry>>(&bytes, Code::Truncated) <= 512);
        assert!(hostile::<Vec<u32>>(&bytes, Code::Truncated) <= 512);
        assert!(hostile::<Vec<SignedHeader>>(&bytes, Code::Truncated) <= 512);
        let mut revocations = vec![0x85, 1, 2, 0];
        revocations.extend(&bytes);
        assert!(hostile::<RevocationList>(&revocations, Code::Truncated) <= 512);
        let string = [&[0x5b], &len.to_be_bytes()[..], &[0; 64]].concat();
        assert!(hostile::<Bytes>(&string, Code::Truncated) <= 512);
        let text = [&[0x7b], &len.to_be_bytes()[..], &[0; 64]].concat();
        assert!(hostile::<String>(&text, Code::Truncated) <= 512);
    }
    // As long as it says, and nothing in it is what it should be: what was reserved is all.
    let zeros = list(OBJECT_MAX - 10, &[0]);
    assert!(hostile::<Vec<SignedHeader>>(&zeros, Code::NotAMessage) <= 4 * zeros.len());
    assert!(hostile::<Vec<AuthorityCert>>(&zeros, Code::NotAMessage) <= 4 * zeros.len());
    assert!(hostile::<Vec<Resolution>>(&zeros, Code::NotAMessage) <= 4 * zeros.len());
}

#[test]
fn many_small_items_take_no_more_than_is_stated() {
    let empty: &[u8] = &[0x40];
    let (entry, entries) = (Entry::Payment { payment: Bytes::default() }, ENTRIES_MAX as usize);
    // The worst statement: as many empty entries, receipts and proofs as there may be.
    let worst = statement(
        vec![entry.clone(); entries],
        vec![Bytes::default(); ENCODED_MAX],
        vec![Bytes::default(); ENCODED_MAX],
    );
    let bytes = worst.to_bytes();
    let (peak, code) = peak(&bytes, Statement::from_bytes);
    assert_eq!(code, None);
    assert!(peak <= MEMORY_SLACK && bytes.len() < 200_000, "{} bytes took {peak}", bytes.len());
    // One more of each is refused before anything is allocated for it.
    assert!(hostile::<Vec<Bytes>>(&list(ENCODED_MAX + 1, empty), Code::TooLong) <= 512);
    assert!(hostile::<Vec<Entry>>(&list(entries + 1, &entry.to_bytes()), Code::TooLong) <= 512);
    assert!(hostile::<Vec<Bytes>>(&list(OBJECT_MAX - 5, empty), Code::TooLong) <= 512);
    // Longer than any object: not looked at.
    assert!(hostile::<Vec<u32>>(&vec![0; OBJECT_MAX + 1], Code::TooLong) <= 512);
    // Integers are the densest of the others.
    let numbers = list(OBJECT_MAX - 5, &[0x17]);
    let (peak, code) = peak_of_numbers(&numbers);
    assert!(code.is_none() && peak <= 4 * numbers.len() + 64, "{peak}");
}

fn peak_of_numbers(bytes: &[u8]) -> (usize, Option<Code>) {
    peak(bytes, Vec::<u32>::from_bytes)
}

#[test]
fn a_message_between_devices_takes_little_whatever_is_in_it() {
    for filler in [0x00, 0x17, 0x40, 0x60, 0x80, 0xf6] {
        let bytes = list(MESSAGE_MAX - 3, &[filler]);
        for peak in [
            peak(&bytes, Gossip::from_message).0,
            peak(&bytes, counterfoil_wire::header::Envelope::from_bytes).0,
            peak(&bytes, Statement::from_bytes).0,
            peak(&bytes, Vec::<Bytes>::from_bytes).0,
        ] {
            assert!(peak <= 24 * MESSAGE_MAX, "{peak}");
        }
    }
}

#[test]
fn comparing_with_the_input_allocates_nothing() {
    let bytes = Bytes(vec![1; 4_000]).to_bytes();
    assert_eq!(peak(&bytes, Bytes::from_bytes), (4_000, None));
}
