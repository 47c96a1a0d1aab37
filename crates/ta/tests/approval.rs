//! The phone's own lock in the place of the PIN: what an approval is good for, and what it is not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use counterfoil_ta::api::{Command, Reply};
use counterfoil_trust::{Approval, SigningKey, open};
use counterfoil_wire::message::{Payment, Request};
use counterfoil_wire::rules::{Limits, Preset};
use counterfoil_wire::{Algorithm, Bytes, Code, Digest, PublicKey, Reference, Signature};

use crate::support::{Cut, HEDGE, PIN, Wallet, World, amount, pin};

/// A phone whose lock guards a key.
fn phone(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_secret(algorithm, &[77; 32]).unwrap()
}

fn bind(wallet: &mut Wallet, key: Option<PublicKey>, digits: Option<&str>) -> Result<Reply, Code> {
    wallet.run(&Command::BindPlatform { key, pin: digits.map(pin) })
}

/// A world whose `a` has a key bound. Without PIN or approval go 20.00 each and 30.00 in all, with approval 200.00.
fn world(key: &SigningKey) -> World {
    let mut rules = Preset::Permissive.rules();
    rules.limits.iter_mut().for_each(|limits: &mut Limits| {
        (limits.no_pin_max, limits.no_pin_total_max) = (amount(2_000), amount(3_000));
        limits.platform_auth_max = amount(20_000);
    });
    let mut w = World::with_rules(rules);
    assert_eq!(
        bind(&mut w.a, Some(key.public()), Some(PIN)),
        Ok(Reply::PlatformBound { key: Some(key.public()) })
    );
    assert_eq!(w.a.show().platform, Some(key.public()));
    w
}

fn challenge(
    wallet: &mut Wallet,
    request: &Bytes,
    minor: Option<u64>,
    reference: Reference,
) -> Result<Digest, Code> {
    let (request, amount) = (request.clone(), minor.map(amount));
    match wallet.run(&Command::PlatformChallenge { request, amount, reference })? {
        Reply::Challenge { challenge } => Ok(challenge),
        other => panic!("{other:?}"),
    }
}

fn pay(
    wallet: &mut Wallet,
    request: &Bytes,
    minor: Option<u64>,
    reference: Reference,
    approval: Option<Signature>,
) -> Result<Bytes, Code> {
    let (request, amount) = (request.clone(), minor.map(amount));
    wallet.message(&Command::Pay { request, amount, pin: None, reference, approval })
}

/// Challenge, approval, payment.
fn approve_and_pay(
    wallet: &mut Wallet,
    key: &SigningKey,
    request: &Bytes,
    minor: Option<u64>,
) -> Result<Bytes, Code> {
    let reference = wallet.reference();
    let approval = key.sign(&challenge(wallet, request, minor, reference)?.0, &HEDGE);
    pay(wallet, request, minor, reference, Some(approval))
}

#[test]
fn an_approval_stands_for_the_pin_up_to_its_limit() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = phone(algorithm);
        let mut w = world(&key);
        let request = w.b.request(Some(20_000));
        assert_eq!(w.a.pay(&request, None, None), Err(Code::PinRequired));
        let payment = approve_and_pay(&mut w.a, &key, &request, None).unwrap();
        w.b.accept(&payment).unwrap();
        assert_eq!((w.a.balance(), w.b.balance()), (30_000, 70_000));

        let large = w.c.request(Some(20_001));
        let reference = w.a.reference();
        assert_eq!(challenge(&mut w.a, &large, None, reference), Err(Code::PinRequired));
        // Even what the key would have signed for it.
        let approval = approval_of(&mut w.a, &large, 20_001, reference);
        let signed = key.sign(&approval.challenge().0, &HEDGE);
        assert_eq!(pay(&mut w.a, &large, None, reference, Some(signed)), Err(Code::PinRequired));
        w.a.pay(&large, None, Some(PIN)).unwrap();
    }
}

/// The challenge as anybody computes it who knows the wallet's journal.
fn approval_of<'r>(
    wallet: &mut Wallet,
    request: &'r Bytes,
    minor: u64,
    reference: Reference,
) -> Approval<'r> {
    let shown = wallet.show();
    let last = shown.payments.iter().map(|row| (row.seq, row.id)).max().unwrap_or((0, Digest::NONE));
    Approval {
        wallet: shown.key,
        head_seq: last.0,
        head: last.1,
        request: &request.0,
        amount: amount(minor),
        reference,
    }
}

#[test]
fn the_challenge_is_the_one_of_the_specification() {
    let key = phone(Algorithm::Es256);
    let mut w = world(&key);
    // The last entry of the journal is a payment, whose header anybody can name.
    let request = w.b.request(Some(700));
    let payment = w.a.pay(&request, None, None).unwrap();
    let opened = open::<Payment>(&payment.0).unwrap();
    let open_amount = w.b.request(None);
    let reference = w.a.reference();
    let approval = Approval {
        wallet: w.a.show().key,
        head_seq: opened.body.seq,
        head: opened.id(&w.operator.anchors.scheme),
        request: &open_amount.0,
        amount: amount(900),
        reference,
    };
    assert_eq!(challenge(&mut w.a, &open_amount, Some(900), reference), Ok(approval.challenge()));
}

#[test]
fn an_approval_is_good_for_nothing_else() {
    let key = phone(Algorithm::EdDsa);
    let mut w = world(&key);
    let (request, other) = (w.b.request(None), w.b.request(None));
    let [first, second] = [w.a.reference(), w.a.reference()];
    let approval = key.sign(&challenge(&mut w.a, &request, Some(5_000), first).unwrap().0, &HEDGE);
    let before = w.a.snapshot();
    let wrong = Err(Code::ApprovalWrong);
    assert_eq!(pay(&mut w.a, &request, Some(5_001), first, Some(approval)), wrong, "another amount");
    assert_eq!(pay(&mut w.a, &other, Some(5_000), first, Some(approval)), wrong, "another request");
    assert_eq!(pay(&mut w.a, &request, Some(5_000), second, Some(approval)), wrong, "another reference");
    let stranger = SigningKey::from_secret(Algorithm::EdDsa, &[78; 32]).unwrap();
    let forged = stranger.sign(&challenge(&mut w.a, &request, Some(5_000), first).unwrap().0, &HEDGE);
    assert_eq!(pay(&mut w.a, &request, Some(5_000), first, Some(forged)), wrong, "by another key");
    assert_eq!(pay(&mut w.a, &request, Some(1), first, Some(forged)), wrong, "also where none is needed");
    assert_eq!(w.a.snapshot(), before, "no try is used up, nothing is written");

    // The same wallet, a step further.
    let small = w.c.request(Some(1));
    w.a.pay(&small, None, None).unwrap();
    assert_eq!(pay(&mut w.a, &request, Some(5_000), first, Some(approval)), wrong, "after the head moved");
    let fresh = key.sign(&challenge(&mut w.a, &request, Some(5_000), first).unwrap().0, &HEDGE);
    let paid = pay(&mut w.a, &request, Some(5_000), first, Some(fresh)).unwrap();
    // Paid, and asked again with whatever: the same bytes, and never a second payment.
    for again in [Some(fresh), Some(approval), None] {
        assert_eq!(pay(&mut w.a, &request, Some(5_000), first, again).unwrap(), paid);
    }
    assert_eq!(w.a.balance(), 44_999);
    // A printed code can be paid many times: each payment takes an approval of its own.
    let printed = w.b.standing_request();
    let approval = key.sign(&challenge(&mut w.a, &printed, Some(4_000), second).unwrap().0, &HEDGE);
    pay(&mut w.a, &printed, Some(4_000), second, Some(approval)).unwrap();
    let third = w.a.reference();
    assert_eq!(pay(&mut w.a, &printed, Some(4_000), third, Some(approval)), wrong);
    // Nor is it good for another wallet that has bound the same key.
    bind(&mut w.b, Some(key.public()), Some(PIN)).unwrap();
    let to_c = w.c.request(Some(4_000));
    let theirs = key.sign(&challenge(&mut w.b, &to_c, None, third).unwrap().0, &HEDGE);
    assert_eq!(pay(&mut w.a, &to_c, None, third, Some(theirs)), wrong);
}

#[test]
fn without_a_bound_key_there_is_no_approval() {
    let key = phone(Algorithm::Es256);
    let mut w = world(&key);
    let request = w.c.request(Some(5_000));
    let reference = w.b.reference();
    let signature = key.sign(b"anything", &HEDGE);
    assert_eq!(challenge(&mut w.b, &request, None, reference), Err(Code::NoPlatformKey));
    assert_eq!(pay(&mut w.b, &request, None, reference, Some(signature)), Err(Code::NoPlatformKey));

    let reference = w.a.reference();
    let approval = key.sign(&challenge(&mut w.a, &request, None, reference).unwrap().0, &HEDGE);
    // Replaced, the old key says nothing any more; removed, none does.
    let newer = SigningKey::from_secret(Algorithm::EdDsa, &[79; 32]).unwrap();
    bind(&mut w.a, Some(newer.public()), Some(PIN)).unwrap();
    assert_eq!(pay(&mut w.a, &request, None, reference, Some(approval)), Err(Code::ApprovalWrong));
    bind(&mut w.a, None, Some(PIN)).unwrap();
    assert_eq!(w.a.show().platform, None);
    assert_eq!(pay(&mut w.a, &request, None, reference, Some(approval)), Err(Code::NoPlatformKey));
    assert_eq!(w.a.balance(), 50_000);
}

#[test]
fn a_key_is_bound_with_the_pin_alone() {
    let key = phone(Algorithm::Es256);
    let mut w = world(&key);
    let other = Some(SigningKey::from_secret(Algorithm::EdDsa, &[80; 32]).unwrap().public());
    for bound in [other, None] {
        assert_eq!(bind(&mut w.a, bound, None), Err(Code::PinRequired));
        assert_eq!(bind(&mut w.a, bound, Some("12")), Err(Code::PinMalformed));
        assert_eq!(bind(&mut w.a, bound, Some("0000")), Err(Code::PinWrong));
    }
    assert_eq!((w.a.show().platform, w.a.show().pin_tries), (Some(key.public()), Some(1)));
    // No point of its curve: nothing could ever hold under it.
    let mut beyond_p = [0xff; 33];
    beyond_p[0] = 2;
    for nonsense in [PublicKey::P256(beyond_p), PublicKey::Ed25519([0; 32])] {
        assert_eq!(bind(&mut w.a, Some(nonsense), Some(PIN)), Err(Code::UnsupportedAlgorithm));
    }
    assert_eq!(bind(&mut w.t, other, Some(PIN)), Err(Code::TerminalCannotPay));
    let mut plain = Wallet::new(9);
    w.operator.enrol(&mut plain, Algorithm::EdDsa, counterfoil_wire::cert::Grade::VirtualSe, None);
    assert_eq!(bind(&mut plain, other, None), Err(Code::PinRequired));
    assert_eq!(bind(&mut plain, other, Some(PIN)), Err(Code::PinRequired));
}

#[test]
fn a_blocked_pin_blocks_approvals() {
    let key = phone(Algorithm::EdDsa);
    let mut w = world(&key);
    let request = w.b.request(Some(5_000));
    let reference = w.a.reference();
    let approval = key.sign(&challenge(&mut w.a, &request, None, reference).unwrap().0, &HEDGE);
    for _ in 0..3 {
        assert_eq!(w.a.pay(&request, None, Some("0000")), Err(Code::PinWrong));
    }
    assert_eq!(challenge(&mut w.a, &request, None, reference), Err(Code::PinBlocked));
    assert_eq!(pay(&mut w.a, &request, None, reference, Some(approval)), Err(Code::PinBlocked));
    assert_eq!(bind(&mut w.a, None, Some(PIN)), Err(Code::PinBlocked));
    w.operator.unblock.insert(w.a.show().key);
    w.operator.sync(&mut w.a);
    approve_and_pay(&mut w.a, &key, &request, None).unwrap();
}

#[test]
fn an_approval_vouches_for_its_payment_and_no_other() {
    let key = phone(Algorithm::EdDsa);
    let mut w = world(&key);
    let code = w.b.standing_request();
    w.a.pay(&code, Some(2_000), None).unwrap();
    // It adds nothing to the total without PIN ...
    for _ in 0..2 {
        approve_and_pay(&mut w.a, &key, &code, Some(1_500)).unwrap();
    }
    assert_eq!(w.a.pay(&code, Some(1_001), None), Err(Code::PinRequired));
    w.a.pay(&code, Some(1_000), None).unwrap();
    // ... and opens no small payments again: that takes the PIN.
    approve_and_pay(&mut w.a, &key, &code, Some(1_500)).unwrap();
    assert_eq!(w.a.pay(&code, Some(1), None), Err(Code::PinRequired));
    w.a.pay(&code, Some(1), Some(PIN)).unwrap();
    w.a.pay(&code, Some(1), None).unwrap();
    // The PIN goes before: what stands beside it is not looked at.
    let (request, reference) = (code.clone(), w.a.reference());
    let approval = Some(key.sign(b"anything", &HEDGE));
    let amount = Some(amount(3_000));
    w.a.message(&Command::Pay { request, amount, pin: Some(pin(PIN)), reference, approval }).unwrap();
}

#[test]
fn an_approval_passes_no_other_limit() {
    let key = phone(Algorithm::EdDsa);
    let mut w = world(&key);
    w.operator.rules.number += 1;
    w.operator.rules.limits.iter_mut().for_each(|l| l.sync_count_max = 1);
    w.operator.sync(&mut w.a);
    let code = w.b.standing_request();
    approve_and_pay(&mut w.a, &key, &code, Some(2_500)).unwrap();
    assert_eq!(approve_and_pay(&mut w.a, &key, &code, Some(2_500)), Err(Code::CountSinceSync));
    // Rules that set the limit to nothing know no approvals.
    w.operator.rules.number += 1;
    w.operator.rules.limits.iter_mut().for_each(|l| l.platform_auth_max = amount(0));
    w.operator.sync(&mut w.a);
    assert_eq!(approve_and_pay(&mut w.a, &key, &code, Some(2_500)), Err(Code::PinRequired));
}

#[test]
fn a_challenge_writes_nothing_and_refuses_what_would_be_refused() {
    let key = phone(Algorithm::EdDsa);
    let mut w = world(&key);
    let request = w.b.request(Some(60_000));
    let before = (w.a.snapshot(), w.a.device.commits.get());
    let reference = w.a.reference();
    assert_eq!(challenge(&mut w.a, &request, None, reference), Err(Code::PaymentTooLarge));
    assert_eq!(challenge(&mut w.a, &request, Some(5), reference), Err(Code::AmountFixed));
    let open_amount = w.b.request(None);
    assert_eq!(challenge(&mut w.a, &open_amount, None, reference), Err(Code::AmountMissing));
    let good = challenge(&mut w.a, &open_amount, Some(5), reference).unwrap();
    assert_eq!(
        challenge(&mut w.a, &open_amount, Some(5), reference),
        Ok(good),
        "the same until the journal moves"
    );
    assert_eq!((w.a.snapshot(), w.a.device.commits.get()), before);
    assert!(open::<Request>(&open_amount.0).is_ok());
    w.a.pay(&open_amount, Some(5), None).unwrap();
    let used = Reference([8; 32]);
    w.a.run(&Command::Request { amount: None, standing: true, reference: used }).unwrap();
    let more = w.b.request(Some(5));
    assert_eq!(challenge(&mut w.a, &more, None, used), Err(Code::ReferenceReused));
    w.a.device.stale.set(true);
    assert_eq!(challenge(&mut w.a, &more, None, reference), Err(Code::StaleState));
}

/// Each commit of binding and of an approved payment is cut, and whatever failed is done again.
#[test]
fn a_power_cut_loses_neither_key_nor_money() {
    let key = phone(Algorithm::Es256);
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::After] {
        for at in 1.. {
            let mut w = World::new();
            let request = w.b.request(Some(6_000));
            let device = w.a.device.clone();
            device.cut.set(Some((device.commits.get() + at, cut)));
            while let Err(code) = bind(&mut w.a, Some(key.public()), Some(PIN)) {
                assert_eq!(code, Code::StoreFailed);
                w.a.reopen();
            }
            assert_eq!(w.a.show().pin_tries, Some(3));
            let reference = w.a.reference();
            let approval = key.sign(&challenge(&mut w.a, &request, None, reference).unwrap().0, &HEDGE);
            let payment = loop {
                // The same approval: where the payment was made, it is told again; where not, the journal has not moved.
                match pay(&mut w.a, &request, None, reference, Some(approval)) {
                    Err(Code::StoreFailed) => w.a.reopen(),
                    other => break other.unwrap(),
                }
            };
            w.b.accept(&payment).unwrap();
            assert_eq!((w.a.balance(), w.b.balance()), (44_000, 56_000));
            if device.cut.get().is_some() {
                break;
            }
            cuts += 1;
        }
    }
    assert_eq!(cuts, 8);
}
