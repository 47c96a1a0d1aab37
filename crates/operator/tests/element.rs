//! What an enrolment must show of the element, and what a report of tampering costs.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

use counterfoil_operator::NewKey;
use counterfoil_operator::attestation::{AndroidApplication, AndroidPolicy};
use counterfoil_ta::api::Command;
use counterfoil_trust::{SigningKey, enrolment_binding, key_id, open, seal};
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::element::{CounterKind, ElementStatement, Tamper};
use counterfoil_wire::header::Signer;
use counterfoil_wire::rules::TamperAnswer;
use counterfoil_wire::sync::{Enrolment, Settlement};
use counterfoil_wire::{Algorithm, Amount, Code, Digest, Nonce, Wire};
use support::{IMAGE, World};

/// The enrolment of a fresh key of this grade in an element that its host describes so.
fn enrolment(world: &World, grade: Grade, element: ElementStatement, code: Option<&str>) -> Vec<u8> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    let key = SigningKey::from_secret(Algorithm::EdDsa, &secret).unwrap();
    let binding = enrolment_binding("alpha", "ann", code);
    let body = Enrolment { nonce: Nonce([9; 16]), grade, name: Name::default(), binding, element };
    let scheme = &world.service.scheme().anchors.scheme;
    seal(scheme, &key, &[1; 32], &body, Signer::Key(key.public()), None).0.to_bytes()
}

fn enrol(
    world: &World,
    grade: Grade,
    element: ElementStatement,
    activation: Option<&str>,
    attestation: Option<&[Vec<u8>]>,
) -> Result<Settlement, Code> {
    let enrolment = enrolment(world, grade, element, activation);
    let asked = NewKey { psp: "alpha", account: "ann", activation, enrolment: &enrolment, attestation };
    let settled = world.service.enrol(&asked).map_err(|refusal| refusal.code())?;
    Ok(open::<Settlement>(&settled).unwrap().body)
}

fn native(world: &World) -> ElementStatement {
    ElementStatement::native(CounterKind::None, world.challenge())
}

#[test]
fn an_enrolment_answers_a_challenge_that_is_open_at_this_operator() {
    let (mut world, other) = (World::new(), World::new());
    let with = |world: &World, challenge| {
        let element = ElementStatement::native(CounterKind::None, challenge);
        enrol(world, Grade::VirtualSe, element, None, None).map(drop)
    };
    assert_eq!(with(&world, Nonce([0; 16])), Err(Code::ChallengeStale));
    assert_eq!(with(&world, other.challenge()), Err(Code::ChallengeStale));
    let challenge = world.challenge();
    // Another process of the operator knows it too.
    world.restart();
    assert_eq!(with(&world, challenge), Ok(()));
    world.wait(600);
    assert_eq!(with(&world, challenge), Ok(()));
    world.wait(1);
    assert_eq!(with(&world, challenge), Err(Code::ChallengeStale));
}

#[test]
fn an_answer_stays_when_the_challenge_has_ended() {
    let world = World::new();
    let enrolment = enrolment(&world, Grade::VirtualSe, native(&world), None);
    let before = world.enrol("alpha", "ann", None, &enrolment).unwrap();
    world.wait(10_000);
    assert_eq!(world.enrol("alpha", "ann", None, &enrolment).unwrap(), before);
}

#[test]
fn images_are_those_on_the_list() {
    let world = World::with(|options| options.images = vec![IMAGE]);
    let within = |image, image_version| {
        let element = ElementStatement { image, image_version, ..native(&world) };
        enrol(&world, Grade::VirtualSe, element, None, None).map(drop)
    };
    assert_eq!(within(IMAGE.0, IMAGE.1), Ok(()));
    assert_eq!(within(IMAGE.0, 2), Err(Code::ImageRefused));
    assert_eq!(within(Digest([8; 32]), 1), Err(Code::ImageRefused));
    // Natively only in a sandbox, and only as what it is.
    assert_eq!(within(Digest::NONE, 0), Ok(()));
    assert_eq!(within(Digest::NONE, 1), Err(Code::ImageRefused));
    assert!(world.service.withdraw_image(IMAGE.0).unwrap());
    assert!(!world.service.withdraw_image(Digest([9; 32])).unwrap());
    assert_eq!(within(IMAGE.0, IMAGE.1), Err(Code::ImageRefused));
    world.wait(5);
    let withdrawn = world.service.images().unwrap();
    assert!(world.service.withdraw_image(IMAGE.0).unwrap());
    assert_eq!(world.service.images().unwrap(), withdrawn);
    world.service.allow_image(IMAGE.0, IMAGE.1).unwrap();
    world.service.allow_image(Digest([8; 32]), 3).unwrap();
    assert_eq!(within(IMAGE.0, IMAGE.1), Ok(()));
    assert_eq!(within(Digest([8; 32]), 3), Ok(()));
    let listed = world.service.images().unwrap();
    assert_eq!(listed.iter().map(|image| image.version).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(listed[0].withdrawn_at_s, None);
}

#[test]
fn a_grade_follows_what_the_enrolment_attests() {
    let world = World::new();
    let within = |grade, counter| {
        let element = ElementStatement { counter, ..native(&world) };
        enrol(&world, grade, element, None, None).map(|settled| settled.cert.unwrap().grade)
    };
    for counter in [CounterKind::None, CounterKind::File] {
        assert_eq!(within(Grade::VirtualSeBound, counter), Err(Code::GradeRefused));
        assert_eq!(within(Grade::VirtualSe, counter), Ok(Grade::VirtualSe));
    }
    assert_eq!(within(Grade::VirtualSeBound, CounterKind::Tpm), Ok(Grade::VirtualSeBound));
    let production = World::production();
    let code = production.service.create_activation("alpha", "ann", "").unwrap().activation_code;
    let within = |grade, counter, image: Digest| {
        let image_version = u32::from(image != Digest::NONE);
        let element = ElementStatement { image, image_version, counter, ..native(&production) };
        enrol(&production, grade, element, Some(&code), None).map(drop)
    };
    assert_eq!(within(Grade::VirtualSe, CounterKind::None, Digest::NONE), Err(Code::ImageRefused));
    for counter in [CounterKind::Tpm, CounterKind::Platform, CounterKind::Chip, CounterKind::Simulated] {
        assert_eq!(within(Grade::VirtualSeBound, counter, IMAGE.0), Err(Code::GradeRefused));
        assert_eq!(within(Grade::Hardware, counter, IMAGE.0), Err(Code::GradeRefused));
    }
    assert_eq!(within(Grade::VirtualSe, CounterKind::Tpm, IMAGE.0), Ok(()));
}

#[test]
fn an_attestation_that_does_not_hold_is_refused_and_kept_out() {
    let world = World::new();
    let roots = include_bytes!("attestation/pixel-2026.pem");
    let application = AndroidApplication { package: "a.b".to_owned(), signer: "07".repeat(32) };
    let policy = AndroidPolicy::read(roots, b"", vec![application]).unwrap();
    let within = |counter, chain: &[Vec<u8>]| {
        let element = ElementStatement { counter, ..native(&world) };
        enrol(&world, Grade::VirtualSeBound, element, None, Some(chain)).map(drop)
    };
    let garbage = [vec![0x30, 0], vec![]];
    for _ in 0..2 {
        assert_eq!(within(CounterKind::Platform, &garbage), Err(Code::EvidenceInvalid));
        assert_eq!(within(CounterKind::Platform, &[]), Err(Code::EvidenceInvalid));
        assert_eq!(within(CounterKind::Tpm, &garbage), Err(Code::EvidenceInvalid));
        world.service.trust_android(&policy).unwrap();
    }
    assert_eq!(world.service.android().unwrap(), policy);
}

/// How much the newest certificate lets a wallet spend.
fn room(wallet: &mut support::Wallet) -> Amount {
    let overview = wallet.show();
    overview.cert.unwrap().ceiling.minus_or_zero(overview.spent)
}

#[test]
fn reports_are_answered_by_the_rules_and_cost_no_value() {
    let world = World::new();
    let rules = world.service.scheme().rules.clone();
    let whole = rules.limits(Grade::VirtualSe).unwrap().sync_total_max;
    let mut shop = world.person("shop");
    for tamper in [Tamper::Seal, Tamper::Runtime, Tamper::Debugger, Tamper::Rooted, Tamper::Hooked] {
        let mut ann = world.person(tamper.name());
        world.fund(&mut ann, 700);
        ann.run(&Command::ReportTamper { tamper }).unwrap();
        let request = shop.request(100);
        assert_eq!(ann.pay(&request), Err(Code::Deactivated));
        world.sync(&mut ann).unwrap();
        let id = ann.id();
        let held = world.service.holding(None, &id).unwrap();
        let answer = rules.tamper_answer(tamper);
        assert_eq!(held.tamper, Some(tamper.name()));
        assert_eq!(
            (held.lowered, held.revoked, held.suspended),
            match answer {
                TamperAnswer::Clear => (false, false, false),
                TamperAnswer::Lower => (true, false, false),
                TamperAnswer::Revoke => (false, true, true),
            }
        );
        assert_eq!(held.unspent, 700);
        world.sound();
        match answer {
            TamperAnswer::Clear => assert_eq!(room(&mut ann), whole),
            TamperAnswer::Lower => {
                assert_eq!(room(&mut ann), whole.share(rules.lowered_percent));
                world.sync(&mut ann).unwrap();
                assert_eq!(room(&mut ann), whole.share(rules.lowered_percent));
                world.service.lift(None, &id).unwrap();
                world.sync(&mut ann).unwrap();
                assert_eq!(room(&mut ann), whole);
                assert_eq!(
                    world.service.lift(Some("beta"), &id).map_err(|r| r.code()),
                    Err(Code::UnknownWallet)
                );
            }
            TamperAnswer::Revoke => {
                assert!(ann.is_suspended());
                world.service.lift(None, &id).unwrap();
                assert!(world.service.holding(None, &id).unwrap().revoked);
                // Its PSP closes it, and the value goes home.
                let closed = world.service.close_wallet(None, &id).unwrap();
                world.wait(closed.due_s.unwrap() - world.service.now_s());
                world.jobs();
                assert_eq!(world.on_rail("alpha", tamper.name()), 100_000);
                assert_eq!(world.service.lift(None, &id).map_err(|r| r.code()), Err(Code::WalletClosed));
                continue;
            }
        }
        let payment = ann.pay(&request).unwrap();
        shop.accept(&payment).unwrap();
    }
    world.sound();
}

#[test]
fn a_wallet_in_the_place_of_one_that_was_tampered_with_begins_where_that_one_would_have_been() {
    let world = World::new();
    let rules = &world.service.scheme().rules;
    let after = |tamper| {
        let element = ElementStatement { tamper: Some(tamper), ..native(&world) };
        enrol(&world, Grade::VirtualSe, element, None, None)
    };
    let room =
        |settled: Settlement| settled.cert.unwrap().ceiling.minus_or_zero(settled.spent_start.unwrap());
    let whole = rules.limits(Grade::VirtualSe).unwrap().sync_total_max;
    assert_eq!(room(after(Tamper::Runtime).unwrap()), whole);
    let lowered = after(Tamper::Seal).unwrap();
    let id = key_id(&lowered.wallet);
    assert_eq!(room(lowered), whole.share(rules.lowered_percent));
    let held = world.service.holding(None, &id).unwrap();
    assert_eq!((held.tamper, held.lowered), (Some("seal"), true));
    assert_eq!(after(Tamper::Hooked).map(drop), Err(Code::GradeRefused));
}
