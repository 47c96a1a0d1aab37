//! News from device to device, with no operator anywhere: what one shop found out, the next one acts on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, Reply};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::{Algorithm, Bytes, Code, PublicKey};

use crate::support::{START_S, Wallet, World};

/// Room for a proof or two, as a QR code beside a message has.
const LITTLE: u32 = 1_000;

/// What `wallet` tells beside a message to somebody who holds lists of these numbers.
fn rider(wallet: &mut Wallet, room: u32, revocation_after: u32, trust_after: u32) -> (Bytes, Gossip) {
    let bytes = wallet.message(&Command::Rider { room, revocation_after, trust_after }).unwrap();
    assert!(bytes.0.len() <= room as usize, "{} bytes in {room}", bytes.0.len());
    let gossip = Gossip::from_message(&bytes.0).unwrap();
    (bytes, gossip)
}

fn hear(wallet: &mut Wallet, gossip: Bytes) -> Vec<PublicKey> {
    match wallet.run(&Command::GossipIn { gossip }).unwrap() {
        Reply::Learnt { cheats, .. } => cheats,
        other => panic!("{other:?}"),
    }
}

/// `a` pays `b`, is put back to where it was, and pays `c`. Both payments are taken: neither shop alone can know.
fn spend_twice(w: &mut World) -> PublicKey {
    let copy = w.a.snapshot();
    let (first, second) = (w.b.request(Some(5_000)), w.c.request(Some(5_000)));
    let payment = w.a.pay(&first, None, None).unwrap();
    w.b.accept(&payment).unwrap();
    w.a.restore(copy);
    let payment = w.a.pay(&second, None, None).unwrap();
    w.c.accept(&payment).unwrap();
    w.a.show().key
}

fn refuses(payee: &mut Wallet, cheat: &mut Wallet, code: Code) {
    let request = payee.request(Some(100));
    let payment = cheat.pay(&request, None, None).unwrap();
    let before = payee.balance();
    assert_eq!(payee.accept(&payment), Err(code));
    assert_eq!(payee.balance(), before);
}

#[test]
fn a_cheat_caught_at_one_shop_is_refused_at_the_next_that_was_never_online_in_between() {
    let mut w = World::new();
    // One shop is paid twice with the same money, and catches the cheat by itself.
    let copy = w.a.snapshot();
    let (first, second) = (w.b.request(Some(5_000)), w.b.request(Some(4_000)));
    let payment = w.a.pay(&first, None, None).unwrap();
    w.b.accept(&payment).unwrap();
    w.a.restore(copy);
    let payment = w.a.pay(&second, None, None).unwrap();
    assert_eq!(w.b.accept(&payment), Err(Code::ProvenCheat));
    let cheat = w.a.show().key;
    // An honest customer of that shop goes on to the next one.
    let (news, _) = rider(&mut w.b, LITTLE, u32::MAX, u32::MAX);
    assert_eq!(hear(&mut w.c, news), vec![cheat]);
    let (news, _) = rider(&mut w.c, LITTLE, u32::MAX, u32::MAX);
    assert_eq!(hear(&mut w.t, news), vec![cheat]);
    refuses(&mut w.t, &mut w.a, Code::ProvenCheat);
    // Nor is the cheat paid any more: its word for a receipt is worth nothing.
    let request = w.a.request(Some(1));
    assert_eq!(w.b.pay(&request, None, None), Err(Code::ProvenCheat));
    assert_eq!(w.t.show().synced_at_s, START_S, "since its enrolment the shop was never online");
}

#[test]
fn who_meets_both_shops_carries_the_proof_on() {
    let mut w = World::new();
    let cheat = spend_twice(&mut w);
    // A third device, to which the cheat never paid.
    let mut third = Wallet::new(5);
    w.operator.enrol(&mut third, Algorithm::Es256, Grade::VirtualSe, None);
    assert_eq!(w.b.gossip_to(&mut w.c).unwrap(), vec![cheat], "the shops' headers contradict each other");
    assert_eq!(hear(&mut third, rider(&mut w.c, LITTLE, u32::MAX, u32::MAX).0), vec![cheat]);
    assert_eq!(hear(&mut w.t, rider(&mut third, LITTLE, u32::MAX, u32::MAX).0), vec![cheat]);
    for shop in [&mut third, &mut w.t] {
        refuses(shop, &mut w.a, Code::ProvenCheat);
    }
    // Told again it is nothing new, and what both took stays theirs.
    let news = rider(&mut w.t, LITTLE, u32::MAX, u32::MAX).0;
    assert_eq!(hear(&mut w.b, news.clone()), vec![cheat]);
    assert_eq!(hear(&mut w.b, news), vec![]);
    assert_eq!((w.b.balance(), w.c.balance()), (55_000, 5_000));
}

#[test]
fn a_revocation_list_learnt_from_a_peer_refuses_too() {
    let mut w = World::new();
    let key = w.a.show().key;
    w.operator.revoke(&key);
    w.operator.sync(&mut w.b);
    let (held, _) = (w.t.show().revocation_no, w.t.show().trust_no);
    // The payer's device knows from the request which list the shop holds.
    let (news, gossip) = rider(&mut w.b, LITTLE, held, u32::MAX);
    assert!(gossip.revocation.is_some() && gossip.proofs.is_empty() && gossip.trust.is_none());
    hear(&mut w.t, news);
    assert_eq!(w.t.show().revocation_no, held + 1);
    refuses(&mut w.t, &mut w.a, Code::CertificateRevoked);
    // And on, from one that has it from a peer alone.
    hear(&mut w.c, rider(&mut w.t, LITTLE, held, u32::MAX).0);
    refuses(&mut w.c, &mut w.a, Code::CertificateRevoked);
    // Who holds it is not told again.
    assert!(rider(&mut w.b, LITTLE, held + 1, u32::MAX).1.is_empty());
}

#[test]
fn nothing_rides_along_that_is_no_news() {
    let mut w = World::new();
    let (numbers, everything) = (w.b.show(), 60_000);
    assert!(rider(&mut w.b, everything, 0, u32::MAX).1.is_empty(), "a list that revokes nobody is no news");
    assert!(rider(&mut w.b, everything, 0, numbers.trust_no).1.is_empty());
    assert!(rider(&mut w.b, everything, 0, numbers.trust_no - 1).1.trust.is_some());
    let cheat = spend_twice(&mut w);
    let (_, gossip) = rider(&mut w.b, everything, 0, u32::MAX);
    assert!(gossip.is_empty(), "headers are for gossip that was asked for");
    w.b.gossip_to(&mut w.c).unwrap();
    assert_eq!(rider(&mut w.c, everything, 0, u32::MAX).1.proofs.len(), 1);
    // Without room it does not ride, and with too little neither does half of it.
    for room in [0, 24, 200, 400] {
        let message = Command::Rider { room, revocation_after: 0, trust_after: u32::MAX };
        assert!(Gossip::from_message(&w.c.message(&message).unwrap().0).unwrap().is_empty());
    }
    // Once the list says it, the list is what is told, and once the certificate has ended, nothing.
    let mut late = w.c.snapshot();
    w.operator.revoke(&cheat);
    w.operator.sync(&mut w.c);
    let (_, gossip) = rider(&mut w.c, everything, 0, u32::MAX);
    assert!(gossip.proofs.is_empty() && gossip.revocation.is_some());
    std::mem::swap(&mut late, &mut w.c.device.records.borrow_mut());
    w.c.reopen();
    w.c.device.now_s.set(START_S + 14 * 86_400 + 1);
    assert!(rider(&mut w.c, everything, 0, u32::MAX).1.is_empty());
    let gossip = w.c.message(&Command::GossipOut { room: everything }).unwrap();
    assert_eq!(Gossip::from_message(&gossip.0).unwrap().proofs.len(), 1, "asked for, it is still told");
}
