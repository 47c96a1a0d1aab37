//! The whole tour, as a person would take it: every command, with the network cut wherever the manual says that none is
//! needed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use common::{PIN, World};

#[test]
fn from_enrolment_to_a_sound_audit() {
    let world = World::new();
    let url = &world.url;
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "--alg es256 --counter file", "0");
    world
        .online(&format!(
            "terminal --home shop enrol --operator {url} --psp beta --account shop --name Café_Blau"
        ))
        .ok()
        .says("first use");
    assert_eq!(world.show("anna")["grade"], "virtual-se");
    assert_eq!(world.show("ben")["grade"], "virtual-se");

    // A payment to a terminal, by QR code.
    world.offline("terminal --home shop request 12.30 --out r.png").ok().says("12.30 EUR");
    world.offline("wallet --home anna pay r.png --out p.png").ok().says("sent 12.30 EUR to Café Blau");
    assert_eq!(world.balance("anna"), 8770);
    world.offline("terminal --home shop accept p.png --out c.png").ok().says("received 12.30 EUR");
    assert_eq!(world.show("anna")["states"]["sent"]["count"], 1);
    world.offline("wallet --home anna confirm c.png").ok().says("confirmed");
    assert_eq!(world.show("anna")["states"]["confirmed"]["count"], 1);

    // Between two wallets, above what goes without a PIN: none, a wrong one, the right one.
    world.offline("wallet --home ben request 60 --out r.cbor --ref invoice-1").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").exits(1).says("error 403");
    world
        .piped("wallet --home anna pay r.cbor --out !p.cbor", "0000\n")
        .exits(1)
        .says("error 404")
        .says("fault: holder");
    world.piped("wallet --home anna pay r.cbor --out !p.cbor", &format!("{PIN}\n")).ok();
    world.offline("wallet --home ben accept p.cbor --out c.cbor").ok();
    world.offline("wallet --home ben accept p.cbor --out c2.cbor").ok().says("nothing was credited twice");
    assert_eq!(std::fs::read(world.path("c.cbor")).unwrap(), std::fs::read(world.path("c2.cbor")).unwrap());
    // The same request pays once, whoever asks.
    world.offline("wallet --home anna pay r.cbor --out p2.cbor").ok().says("nothing was debited twice");
    assert_eq!(std::fs::read(world.path("p.cbor")).unwrap(), std::fs::read(world.path("p2.cbor")).unwrap());
    // Received value goes on, offline: transitivity.
    world.offline("wallet --home anna request 5 --out !r.cbor").ok();
    world.offline("wallet --home ben pay r.cbor --out !p.cbor").ok();
    world.offline("wallet --home anna accept p.cbor --out !c.cbor").ok();
    world.offline("wallet --home ben confirm c.cbor").ok();
    assert_eq!((world.balance("anna"), world.balance("ben")), (3270, 5500));

    // A printed code, paid twice, and once more under the same reference.
    world.offline("terminal --home shop request --standing --out s.png").ok();
    world.offline("wallet --home anna pay s.png --amount 1.50 --out s1.cbor --ref coffee-1").ok();
    world.offline("wallet --home anna pay s.png --amount 1.50 --out s2.cbor --ref coffee-2").ok();
    world
        .offline("wallet --home anna pay s.png --amount 1.50 --out s3.cbor --ref coffee-1")
        .ok()
        .says("nothing was debited twice");
    assert_eq!(std::fs::read(world.path("s1.cbor")).unwrap(), std::fs::read(world.path("s3.cbor")).unwrap());
    assert_eq!(world.balance("anna"), 2970);
    for (payment, receipt) in [("s1.cbor", "t1.cbor"), ("s2.cbor", "t2.cbor"), ("s3.cbor", "t3.cbor")] {
        world.offline(&format!("terminal --home shop accept {payment} --out {receipt}")).ok();
    }
    let shop = world.offline("terminal --home shop show --json").ok().json();
    assert_eq!(shop["balance"]["minor"], 1530);

    world.online("terminal --home shop claim").ok().says("15.30 EUR was paid out");
    world.online("wallet --home anna sync").ok();
    world.online("wallet --home ben sync").ok();
    world.online("wallet --home ben defund 20.00 --pin-file pin --ref d1").ok().says("defunded 20.00 EUR");
    world.online("wallet --home ben defund 20.00 --ref d1").ok().says("nothing was debited twice");
    assert_eq!(world.balance("ben"), 3500);
    world.online("wallet --home anna sync").ok();
    let audit = world.audit();
    let of = |name: &str| audit[name].as_i64().unwrap();
    assert_eq!((of("funded"), of("defunded"), of("loss"), of("in_flight")), (10_000, 3_530, 0, 0));
    assert_eq!(of("offline"), 2970 + 3500);
}

#[test]
fn a_payment_that_is_not_taken_comes_back() {
    let world = World::new();
    world.wallet("anna", "", "200.00");
    world.wallet("ben", "", "950.00");

    // The rules refuse it: the payee's balance would pass its limit. Exit 3, and a decline.
    world.offline("wallet --home ben request 60 --out r.png").ok();
    world.offline("wallet --home anna pay r.png --pin-file pin --out p.png").ok();
    let refused = world.offline("wallet --home ben accept p.png --out d.png").exits(3);
    refused
        .says("error 402: the balance would pass the holding limit")
        .says("next: defund or spend first")
        .says("the limit is 1000.00 EUR")
        .says("next: give d.png to the payer, who reclaims the money with it");
    assert_eq!(world.balance("ben"), 95_000);
    let again = world.offline("wallet --home ben accept p.png --out d.png --json").exits(3).json();
    assert_eq!((&again["result"], &again["reason"]["code"]), (&"declined".into(), &402.into()));
    assert_eq!(world.balance("anna"), 14_000);
    world.offline("wallet --home anna reclaim d.png").ok().says("took 60.00 EUR back");
    world.offline("wallet --home anna reclaim d.png").ok().says("nothing was credited twice");
    assert_eq!(world.balance("anna"), 20_000);

    // A person says no.
    world.offline("wallet --home ben request 3 --out r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
    world.offline("wallet --home ben decline p.cbor --out d.cbor").ok().says("declined 3.00 EUR");
    world.offline("wallet --home ben accept p.cbor --out d2.cbor").exits(3).says("had been declined before");
    world.offline("wallet --home ben decline p.png --out d3.cbor").ok().says("error 402");
    assert_eq!(world.balance("ben"), 95_000, "what was declined can never be taken");
    world.offline("wallet --home anna reclaim d.cbor").ok();
    world.offline("wallet --home anna confirm d.cbor").exits(1).says("error 105");

    // Lists and proofs go from hand to hand.
    world.offline("wallet --home anna gossip --out g.cbor").ok();
    world.offline("wallet --home ben gossip g.cbor").ok().says("revocation list");
    for home in ["anna", "ben", "anna"] {
        world.online(&format!("wallet --home {home} sync")).ok();
    }
    let audit = world.audit();
    assert_eq!(audit["in_flight"], 0);
    assert_eq!(audit["offline"], 115_000);
}

#[test]
fn one_reference_is_one_operation() {
    let world = World::new();
    world.wallet("anna", "", "0");
    world.online("wallet --home anna fund 10.00 --ref salary").ok();
    world.online("wallet --home anna fund 10.00 --ref salary").ok().says("nothing was funded twice");
    world.online("wallet --home anna fund 11.00 --ref salary").exits(1).says("error 505");
    assert_eq!(world.balance("anna"), 1000);
    for out in ["r1.cbor", "r2.cbor"] {
        world.offline(&format!("wallet --home anna request 4.00 --ref invoice --out {out}")).ok();
    }
    let requests = ["r1.cbor", "r2.cbor"].map(|name| std::fs::read(world.path(name)).unwrap());
    assert_eq!(requests[0], requests[1]);
    assert_eq!(world.show("anna")["requests"].as_array().unwrap().len(), 1);
    // More than the account holds: refused by the rail, told by number, and the order is closed.
    world.online("wallet --home anna fund 990.00").ok();
    world.online("wallet --home anna fund 1.00").exits(1).says("error 402");
    world.online("wallet --home anna defund 900.00 --pin-file pin").ok();
    world.audit();
}

#[test]
fn an_account_that_does_not_cover_the_order_is_told_by_number() {
    let world = World::new();
    // Two wallets on one account of 1,000.00.
    let url = &world.url;
    for home in ["one", "two"] {
        world
            .online(&format!(
                "wallet --home {home} enrol --operator {url} --psp alpha --account shared --counter file --no-pin"
            ))
            .ok();
    }
    world.online("wallet --home one fund 700.00").ok();
    world.online("wallet --home two fund 700.00").exits(1).says("error 603").says("nothing was funded");
    assert_eq!(world.show("two")["fund_order"], serde_json::Value::Null);
    world.online("wallet --home two fund 300.00").ok();
    world.audit();
}

#[test]
fn an_operator_that_is_away_costs_nothing() {
    let world = World::new();
    world.wallet("anna", "", "50.00");
    world.stop_operator();
    world.online("wallet --home anna sync").exits(1).says("cannot be reached").says("nothing is lost");
    world.online("wallet --home anna fund 20.00").exits(1).says("cannot be reached");
    world.online("wallet --home anna defund 5.00 --pin-file pin").exits(1).says("cannot be reached");
    // Offline life goes on.
    world.offline("wallet --home anna request 1.00 --out r.cbor").ok();
    world.offline("wallet --home anna show").ok().says("fund order of 20.00 EUR");
    world.start_operator();
    world.online("wallet --home anna fund 20.00").ok().says("finishes the interrupted funding");
    assert_eq!(world.balance("anna"), 7000);
    world.online("wallet --home anna defund 5.00 --pin-file pin").ok();
    world.online("wallet --home anna sync").ok();
    assert_eq!(world.balance("anna"), 6500);
    assert_eq!(world.audit()["funded"], 7000);
}

#[test]
fn enrolment_is_held_to_the_root_and_to_its_first_choice() {
    let world = World::new();
    let url = &world.url;
    let enrol = format!("--operator {url} --psp alpha --account a");
    let unlocked = format!("{enrol} --no-pin");
    world.online(&format!("wallet --home w enrol {enrol} --psp2 x")).exits(2);
    world
        .online(&format!("wallet --home w enrol --operator {url} --psp nobody --account a --no-pin"))
        .exits(1)
        .says("error 600");
    assert!(!world.path("w/wallet.json").exists(), "a refused enrolment leaves an empty home");
    world.online("operator init --dir other").ok();
    world
        .online(&format!("wallet --home w enrol {unlocked} --operator-root other/operator-root.cbor"))
        .exits(1)
        .says("another operator");
    world.piped(&format!("wallet --home w enrol {enrol}"), "12\n").exits(1).says("error 417");
    world.piped(&format!("wallet --home w enrol {enrol}"), "1234\n").ok();
    assert_eq!(world.show("w")["pin_tries"], 3);
    // A wallet without a PIN is one for ever, so nobody gets it by leaving something out.
    world.online(&format!("wallet --home p enrol {enrol}")).exits(2).says("--no-pin");
    world.online(&format!("wallet --home p enrol --operator {url} --psp alpha --account= --no-pin")).exits(2);
    assert!(!world.path("p").exists());
    world.online(&format!("wallet --home p enrol {unlocked}")).ok().says("this wallet has no PIN");
    world.online("wallet --home p fund 5.00").ok();
    let told = world.online("wallet --home p defund 1.00 --pin-file pin");
    told.says("was enrolled without a PIN");
    // Only an enrolment makes a device's key.
    world
        .online("wallet --device typo --home w show")
        .exits(1)
        .says("no device key in typo")
        .says("--device");
    assert!(!world.path("typo").exists());
    world.online(&format!("wallet --home w enrol {unlocked}")).exits(1).says("error 501");
    world.online("wallet --home nothing show").exits(1).says("error 500");
    world.online("terminal --home w show").exits(1).says("use `counterfoil wallet`");
    let inside = world.online(&format!("wallet --home v --device v/device enrol {unlocked}")).exits(1);
    inside.says("inside the wallet's home");
    world.online("operator init --dir op").exits(1).says("never overwritten");
    world.online("operator activate --dir op --psp nobody --account a").exits(1).says("error 600");
    world.online("operator activate --dir op --psp alpha --account a").ok();
}

#[test]
fn a_production_operator_wants_activation_codes() {
    let world = World::new();
    world.online("operator init --dir strict --production --json").ok();
    let psps = world.online("operator activate --dir strict --psp alpha --account a --json").ok().json();
    let code = psps["activation_code"].as_str().filter(|code| code.len() >= 8).unwrap().to_owned();
    // The command enrols with it, once.
    let (mut serving, url) = common::serve(world.dir.path(), "strict", "127.0.0.1:0");
    let enrol = |home: &str, code: &str| {
        let code = if code.is_empty() { String::new() } else { format!("--activation-code {code}") };
        world.online(&format!(
            "wallet --home {home} enrol --operator {url} --psp alpha --account a --pin-file pin {code}"
        ))
    };
    enrol("none", "").exits(1).says("error 601");
    enrol("wrong", "00000000").exits(1).says("error 601");
    enrol("anna", &code).ok().says("enrolled");
    enrol("again", &code).exits(1).says("error 601").says("ask the PSP for a new one");
    world.offline("wallet --home anna show").ok();
    assert!(!world.path("again/wallet.json").exists());
    serving.kill().unwrap();
    serving.wait().unwrap();
}

#[test]
fn three_wrong_pins_block_until_the_psp_says_otherwise() {
    let world = World::new();
    world.wallet("anna", "", "100.00");
    for left in [2, 1, 0_usize] {
        let told = ["the PIN is now blocked", "1 try is left", "2 tries are left"][left];
        world.piped("wallet --home anna defund 1.00", "9999\n").exits(1).says("error 404").says(told);
        assert_eq!(world.show("anna")["pin_tries"], left);
    }
    world.piped("wallet --home anna defund 1.00", &format!("{PIN}\n")).exits(1).says("error 405");
    world.online("wallet --home anna sync").ok();
    assert_eq!(world.show("anna")["pin_tries"], 0, "a sync alone does not unblock");
    let key = world.show("anna")["key"].as_str().unwrap().to_owned();
    world.online(&format!("operator unblock --dir op {key}")).ok();
    world.online(&format!("operator unblock --dir op {}", "00".repeat(32))).exits(1).says("error 602");
    world.online("wallet --home anna sync").ok().says("the PIN is unblocked");
    world.online("wallet --home anna defund 1.00 --pin-file pin").ok();
    assert_eq!(world.balance("anna"), 9900);
}

#[test]
fn rules_are_explained_and_messages_are_read() {
    let world = World::new();
    world.wallet("anna", "", "10.00");
    for preset in ["permissive", "upi-lite-x", "digital-euro"] {
        world
            .offline(&format!("rules explain --preset {preset}"))
            .ok()
            .says("The most that a thief can take");
        let json = world.offline(&format!("rules explain --preset {preset} --json")).ok().json();
        assert!(json["limits"][0]["theft"]["with_pin"]["minor"].as_u64().unwrap() > 0);
    }
    world.offline("rules explain --preset none").exits(2).says("digital-euro");
    let held = std::fs::read_dir(world.path("anna")).unwrap().flatten().map(|entry| entry.path());
    let held = held.into_iter().find(|path| path.to_string_lossy().contains("rules-")).unwrap();
    std::fs::copy(held, world.path("rules.cbor")).unwrap();
    world.offline("rules explain rules.cbor").ok().says("permissive test rules");

    world.offline("wallet --home anna request 2.50 --out r.png").ok();
    world.offline("inspect r.png").ok().says("2.50 EUR").says("not checked");
    let read = world.offline("inspect r.png --operator-root op/operator-root.cbor --json").ok().json();
    assert_eq!(read["kind"], "request");
    assert_eq!(read["verifies"]["signature"], "ok");
    for file in ["op/operator-root.cbor", "rules.cbor", "op/certs/root.pem", "op/certs/root.der"] {
        world.offline(&format!("inspect {file} --operator-root op/operator-root.cbor")).ok();
    }
    world.offline("wallet --home anna gossip --out g.cbor").ok();
    world.offline("inspect g.cbor --operator-root op/operator-root.cbor").ok().says("trust list");
    world.online("operator init --dir other").ok();
    let foreign =
        world.offline("inspect r.png --operator-root other/operator-root.cbor --json").exits(1).json();
    assert!(foreign["verifies"]["signature"].as_str().unwrap().starts_with("BAD"), "{foreign:#}");
}

#[test]
fn a_copied_wallet_is_caught_by_the_second_payee_and_the_books_name_the_loss() {
    let world = World::new();
    world.wallet("eve", "", "40.00");
    world.wallet("ben", "", "0");
    world.wallet("carl", "", "0");
    std::fs::create_dir(world.path("copy")).unwrap();
    for entry in std::fs::read_dir(world.path("eve")).unwrap().flatten() {
        std::fs::copy(entry.path(), world.path("copy").join(entry.file_name())).unwrap();
    }
    for (payer, payee) in [("eve", "ben"), ("copy", "carl")] {
        world.offline(&format!("wallet --home {payee} request 30 --out !r.cbor")).ok();
        world.offline(&format!("wallet --home {payer} pay r.cbor --out p-{payee}.cbor")).ok();
        world.offline(&format!("wallet --home {payee} accept p-{payee}.cbor --out !c.cbor")).ok();
    }
    // Both are final. What one of them hands on is proof to the other, with no network.
    world.offline("wallet --home ben gossip --out g.cbor").ok();
    world.offline("wallet --home carl gossip g.cbor").ok().says("cheated");
    assert_eq!(world.show("carl")["cheats"].as_array().unwrap().len(), 1);
    world.offline("wallet --home carl gossip --out proof.cbor").ok();
    let read = world.offline("inspect proof.cbor --operator-root op/operator-root.cbor --json").ok().json();
    assert_eq!(read["proofs"][0]["verifies"], "proven: fork");
    world.offline("wallet --home carl request 1 --out !r.cbor").ok();
    world.offline("wallet --home eve pay r.cbor --out p.cbor").ok();
    world.offline("wallet --home carl accept p.cbor --out !c.cbor").exits(1).says("error 208");
    for home in ["carl", "ben"] {
        world.online(&format!("wallet --home {home} sync")).ok();
    }
    assert_eq!((world.balance("ben"), world.balance("carl")), (3000, 3000));
    let audit = world.audit();
    assert!(!audit["cases"].as_array().unwrap().is_empty(), "{audit:#}");
    world.online("operator audit --dir op").ok().says("case:").says("bears the loss of").says("who acts");
}

#[test]
fn an_older_copy_is_shown_as_one() {
    let world = World::new();
    world.wallet("ben", "", "0");
    world.wallet("anna", "--counter file", "100.00");
    let slots = ["slot-0", "slot-1"].map(|slot| world.path("anna").join(slot));
    let older = slots.clone().map(|slot| std::fs::read(slot).ok());
    world.offline("wallet --home ben request 5 --out r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
    for (slot, bytes) in slots.iter().zip(older) {
        match bytes {
            Some(bytes) => std::fs::write(slot, bytes).unwrap(),
            None => std::fs::remove_file(slot).unwrap_or_default(),
        }
    }
    world.offline("wallet --home anna show").ok().says("can pay now  0.00 EUR: this is an older copy (503)");
    assert_eq!(world.show("anna")["can_pay_now"]["limit"], 503);
}
