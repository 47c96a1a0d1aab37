//! A key that misbehaved: listed, proven to anybody, revoked at once, and the value followed to where it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use counterfoil_operator::Reason;
use counterfoil_operator::service::cases::{AskingCases, CaseFile, CaseLine, EvidenceKind};
use counterfoil_trust::{Revoked, judge, open};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::lists::RevocationList;
use counterfoil_wire::proof::Proof;
use counterfoil_wire::{Code, KeyId, Wire};
use serde_json::{Value, json};
use support::{START_S, Wallet, World};

fn cases(world: &World) -> Vec<CaseLine> {
    world.service.cases(&AskingCases { limit: 1_000, ..AskingCases::default() }).unwrap().cases
}

fn case(world: &World, key: &KeyId, hops: u8) -> CaseFile {
    world.service.case(key, hops).unwrap()
}

/// Where counterfeit value is: account, held, on the way, paid out.
fn rests(case: &CaseFile) -> Vec<(String, u64, u64, u64)> {
    let account = |account: &Option<String>| account.clone().unwrap_or_default();
    let rests = case.trace.rests.iter();
    rests.map(|rest| (account(&rest.account), rest.held, rest.in_flight, rest.cashed_out)).collect()
}

/// Ann spends all she has twice, and both who took it have synced.
fn forked() -> (World, [Wallet; 4]) {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    let (mut dan, eve) = (world.wallet("beta", "dan", Grade::VirtualSe, false), world.person("eve"));
    world.fund(&mut ann, 4_000);
    world.fund(&mut bob, 4_000);
    let mut twin = ann.copy();
    ann.pay_to(&mut bob, 4_000, true);
    twin.pay_to(&mut dan, 4_000, true);
    world.sync(&mut bob).unwrap();
    world.wait(60);
    world.sync(&mut dan).unwrap();
    (world, [ann, bob, dan, eve])
}

#[test]
fn a_fork_is_a_case_with_a_proof_for_anybody_and_on_the_list_when_it_is_known() {
    let (world, [mut ann, mut bob, mut dan, _]) = forked();
    // In the same transaction as the payment that showed it: whoever asks next is told.
    let bytes = world.service.revocation_list().unwrap();
    let list = open::<RevocationList>(&bytes).unwrap().body;
    let mut revoked = Revoked::empty();
    revoked.adopt(&world.service.scheme().anchors, &bytes, START_S + 60).unwrap();
    let wallet = world.store().wallet(&ann.id()).unwrap().unwrap();
    assert!(revoked.contains(wallet.status_index));

    let listed = cases(&world);
    let line = &listed[0];
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (line.key_id.clone(), line.reason, line.opened_at_s),
        (ann.id().to_string(), Reason::Forked, START_S + 60)
    );
    assert!(line.revoked && line.suspended && line.evidence == 1);
    assert_eq!((line.loss, line.borne_by.as_deref()), (4_000, Some("alpha")));

    let case = case(&world, &ann.id(), 1);
    assert_eq!((case.listed_in, case.listed_at_s), (Some(list.number), Some(START_S + 60)));
    assert_eq!(case.evidence[0].kind, EvidenceKind::Proof);
    let proof = Proof::from_bytes(&hex::decode(&case.evidence[0].bytes).unwrap()).unwrap();
    assert!(judge(&world.service.scheme().anchors, &proof).is_ok());
    let mut payees: Vec<&str> = case.disputed.iter().map(|payment| payment.payee.as_str()).collect();
    payees.sort_unstable();
    let mut due = [bob.id().to_string(), dan.id().to_string()];
    due.sort();
    assert_eq!(payees, due);
    assert!(case.disputed.iter().all(|payment| payment.amount == 4_000 && payment.payer_seq == 3));
}

#[test]
fn value_is_followed_from_hand_to_hand_to_where_it_left() {
    let (world, [mut ann, mut bob, mut dan, mut eve]) = forked();
    let key = ann.id();
    let mut both = rests(&case(&world, &key, 3));
    both.sort();
    assert_eq!(both, [("bob".into(), 2_000, 0, 0), ("dan".into(), 2_000, 0, 0)]);
    // Bob's half is half his own money: so is what he pays on. Dan's is paid out but for what is on its way.
    bob.pay_to(&mut eve, 2_000, true);
    dan.defund(3_000).unwrap();
    dan.pay_to(&mut eve, 1_000, false);
    for who in [&mut bob, &mut dan] {
        world.sync(who).unwrap();
    }
    let found = case(&world, &key, 3);
    let mut all = rests(&found);
    all.sort();
    assert_eq!(all, [("bob".into(), 1_500, 0, 0), ("dan".into(), 0, 500, 1_500), ("eve".into(), 500, 0, 0)]);
    assert_eq!(
        found.trace.legs.iter().map(|leg| (leg.hop, leg.traced)).collect::<Vec<_>>(),
        [(1, 2_000), (1, 2_000), (2, 500)]
    );
    assert!(found.trace.whole);
    // Followed for one step alone.
    assert!(!case(&world, &key, 1).trace.whole);
    assert_eq!(rests(&case(&world, &key, 0)), [("ann".into(), 4_000, 0, 0)]);
    world.sound();
}

#[test]
fn a_rolled_back_wallet_is_a_case_by_its_statement_and_by_proof() {
    let world = World::new();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    world.fund(&mut ann, 4_000);
    let mut old = ann.copy();
    ann.pay_to(&mut bob, 1_000, true);
    world.sync(&mut ann).unwrap();
    let _ = world.sync(&mut old);
    let reasons: Vec<Reason> = cases(&world).iter().map(|case| case.reason).collect();
    assert_eq!(reasons, [Reason::Forked, Reason::RolledBack]);
    let case = case(&world, &ann.id(), 3);
    assert!(case.suspended && case.revoked);
    let kinds: Vec<_> = case.evidence.iter().map(|piece| (piece.reason, piece.kind)).collect();
    assert_eq!(kinds, [(Reason::Forked, EvidenceKind::Proof), (Reason::RolledBack, EvidenceKind::Statement)]);
    assert_eq!(case.trace.counterfeit, 0, "nobody lost anything");
    // Whom nobody accuses.
    let code = |key: KeyId| world.service.case(&key, 3).map_err(|refusal| refusal.code()).err();
    assert_eq!(code(bob.id()), Some(Code::CaseUnknown));
    assert_eq!(code(KeyId([9; 32])), Some(Code::UnknownWallet));
}

#[tokio::test]
async fn over_http_the_operator_sees_all_and_a_psp_its_own_customers() {
    let (world, [mut ann, mut bob, mut dan, mut eve]) = forked();
    // Another one, of the other PSP.
    let mut twin = dan.copy();
    dan.pay_to(&mut bob, 4_000, true);
    twin.pay_to(&mut eve, 4_000, true);
    world.sync(&mut bob).unwrap();
    world.sync(&mut eve).unwrap();
    let token = |name: &str| std::fs::read_to_string(world.path.join("keys").join(name)).unwrap();
    let (operator, alpha, beta) =
        (token("operator.token"), token("psp-alpha.token"), token("psp-beta.token"));
    let (status, all) = world.get("/v1/cases", &operator).await;
    let mut keys: Vec<&str> =
        all["cases"].as_array().unwrap().iter().map(|case| case["key_id"].as_str().unwrap()).collect();
    keys.sort_unstable();
    let mut due = [ann.id().to_string(), dan.id().to_string()];
    due.sort();
    assert_eq!(
        (status, keys.as_slice(), &all["next"]),
        (200, due.each_ref().map(String::as_str).as_slice(), &Value::Null)
    );
    // Page by page.
    let (mut after, mut seen) = (String::new(), 0);
    loop {
        let (_, page) = world.get(&format!("/v1/cases?limit=1{after}"), &operator).await;
        seen += page["cases"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, 2);
    let (_, own) = world.get("/v1/psp/beta/cases?psp=alpha", &beta).await;
    assert_eq!(own["cases"].as_array().unwrap().len(), 1);
    assert_eq!(own["cases"][0]["key_id"], json!(dan.id().to_string()));
    let (status, file) = world.get(&format!("/v1/cases/{}?hops=2", ann.id()), &operator).await;
    assert_eq!(
        (status, &file["trace"]["counterfeit"], &file["evidence"][0]["kind"]),
        (200, &json!(4_000), &json!("proof"))
    );
    let of = |key: String| format!("/v1/cases/{key}");
    for (path, token, code) in [
        ("/v1/cases".to_owned(), alpha.as_str(), Code::OperatorUnauthorised),
        (of(ann.id().to_string()), &alpha, Code::OperatorUnauthorised),
        ("/v1/psp/alpha/cases".to_owned(), &beta, Code::PspUnauthorised),
        (of(bob.id().to_string()), &operator, Code::CaseUnknown),
        (of("x".to_owned()), &operator, Code::CaseUnknown),
        (format!("{}?hops=9", of(ann.id().to_string())), &operator, Code::ValueOutOfRange),
        ("/v1/cases?after=x".to_owned(), &operator, Code::ValueOutOfRange),
        ("/v1/cases?reason=none".to_owned(), &operator, Code::ValueOutOfRange),
    ] {
        let (_, problem) = world.get(&path, token).await;
        assert_eq!(problem["code"], json!(code.number()), "{path}");
    }
}
