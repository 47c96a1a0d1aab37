//! No file, however broken, changes a wallet: each command that takes one answers with exit 1 and a reason, and the
//! wallet shows what it showed before.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use common::World;

const TAKES_FILES: [&str; 10] = [
    "wallet --home anna pay {} --out out.cbor --pin-file pin",
    "wallet --home anna accept {} --out out.cbor",
    "wallet --home anna decline {} --out out.cbor",
    "wallet --home anna confirm {}",
    "wallet --home anna reclaim {}",
    "wallet --home anna gossip {}",
    "terminal --home shop accept {} --out out.cbor",
    "terminal --home shop decline {} --out out.cbor",
    "terminal --home shop gossip {}",
    "inspect {}",
];

#[test]
fn garbage_changes_nothing() {
    let world = World::new();
    let url = &world.url;
    world.wallet("anna", "", "100.00");
    world.wallet("ben", "", "100.00");
    world
        .online(&format!("terminal --home shop enrol --operator {url} --psp beta --account shop --name Shop"))
        .ok();
    // A payment to anna, and what becomes of it when one bit or the end is lost.
    world.offline("wallet --home anna request 2 --out request.cbor").ok();
    world.offline("wallet --home ben pay request.cbor --out good.cbor").ok();
    let good = std::fs::read(world.path("good.cbor")).unwrap();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("text", b"pay me".to_vec()),
        ("zeros", vec![0; 5000]),
        ("noise", (0..700_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
        ("indefinite", vec![0x9f, 0xff]),
        ("huge-length", vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("deep", vec![0x81; 100_000]),
        ("cut", good[..good.len() - 1].to_vec()),
        ("longer", [&good[..], &[0]].concat()),
        ("not-a-picture", b"\x89PNG\r\n\x1a\nno picture".to_vec()),
        ("pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
    ];
    let shown = |world: &World| {
        let shop = world.offline("terminal --home shop show --json").ok().out;
        (world.offline("wallet --home anna show --json").ok().out, shop)
    };
    let before = shown(&world);
    for (name, bytes) in &files {
        std::fs::write(world.path(name), bytes).unwrap();
        for command in TAKES_FILES {
            let gave = world.offline(&command.replace("{}", name));
            assert_eq!(gave.code, 1, "{command} {name}: {}{}", gave.out, gave.err);
            assert!(gave.err.contains("error"), "{command} {name}: {}", gave.err);
            assert!(!world.path("out.cbor").exists(), "{command} {name}");
        }
    }
    for command in TAKES_FILES {
        for name in ["missing", "op"] {
            world.offline(&command.replace("{}", name)).exits(1);
        }
    }
    // Genuine messages with one bit turned. Some positions are checked by signatures, some by the encoding.
    for at in (0..good.len()).step_by(good.len() / 24) {
        let mut bad = good.clone();
        bad[at] ^= 0x04;
        std::fs::write(world.path("bad.cbor"), bad).unwrap();
        world.offline("wallet --home anna accept bad.cbor --out out.cbor").exits(1);
        assert!(!world.path("out.cbor").exists());
    }
    // Genuine messages in the wrong place.
    world.offline("wallet --home anna accept request.cbor --out out.cbor").exits(1).says("error 105");
    world.offline("wallet --home anna confirm good.cbor").exits(1).says("error 105");
    world.offline("wallet --home anna pay request.cbor --out out.cbor").exits(1).says("error 312");
    world.offline("terminal --home shop accept good.cbor --out out.cbor").exits(1).says("error 300");
    assert_eq!(shown(&world), before);
    world.offline("wallet --home anna accept good.cbor --out receipt.cbor").ok();
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_happens() {
    let world = World::new();
    world.wallet("anna", "", "10.00");
    let before = world.show("anna");
    for amount in ["1.005", "1,5", "abc", "1e2", "+1", "0x1", "99999999999999999999"] {
        world.online(&format!("wallet --home anna fund {amount}")).exits(2);
        world.offline(&format!("wallet --home anna request {amount} --out r.cbor")).exits(2);
    }
    world.online("wallet --home anna fund -1").exits(2);
    world.online("wallet --home anna fund 0").exits(1).says("error 316");
    world.offline("wallet --home anna request 1 --out r.txt").exits(1).says(".cbor");
    world.offline("wallet --home anna request 1 --out nowhere/r.cbor").exits(1);
    world.offline("wallet --home anna gossip").exits(2);
    world.offline("wallet --home anna").exits(2);
    let told = world.offline("wallet --home anna accept missing --out o.cbor --json").exits(1).json();
    assert!(told["error"]["what"].as_str().unwrap().contains("missing"));
    let told =
        world.offline("wallet --home anna pay r.cbor --amount 1.005 --out o.cbor --json").exits(2).json();
    assert!(told["error"]["what"].as_str().unwrap().contains("decimals"));
    assert_eq!(world.show("anna"), before);
}

#[test]
fn every_failure_has_a_name_a_fault_and_a_next_step() {
    let world = World::new();
    world.wallet("anna", "", "10.00");
    world.wallet("ben", "", "0");
    world.offline("wallet --home ben request 2 --out r.cbor").ok();
    world.offline("wallet --home anna pay r.cbor --out p.cbor").ok();
    std::fs::write(world.path("text"), "pay me").unwrap();
    std::fs::write(world.path("broken.png"), b"\x89PNG\r\n\x1a\nno picture").unwrap();
    for (line, exit, code, name) in [
        ("wallet --home anna pay missing --out o.cbor", 1, None, "CannotRead"),
        ("wallet --home anna pay op --out o.cbor", 1, None, "CannotRead"),
        ("wallet --home anna pay broken.png --out o.cbor", 1, Some(100), "NotAMessage"),
        ("wallet --home anna gossip p.cbor", 1, Some(105), "WrongKind"),
        ("wallet --home anna request 1 --out nowhere/o.cbor", 1, None, "CannotWrite"),
        ("wallet --home anna request 1 --out o.txt", 1, None, "UnknownExtension"),
        ("wallet --home anna request 1 --out p.cbor", 1, None, "FileExists"),
        ("wallet --home anna --device nowhere show", 1, None, "OtherDevice"),
        ("wallet --home nowhere show", 1, Some(500), "NotEnrolled"),
        ("wallet --home anna defund 1 --pin-file missing", 1, None, "PinFile"),
        ("wallet --home anna fund 1 --ref=", 2, None, "Usage"),
        ("wallet --home anna pay", 2, None, "Usage"),
        ("nonsense", 2, None, "Usage"),
        ("inspect p.cbor --operator-root text", 1, None, "NotARoot"),
        ("operator audit --dir nowhere", 1, None, "NoOperator"),
    ] {
        let told = world.online(&format!("{line} --json")).exits(exit).json();
        let error = &told["error"];
        assert_eq!(error["name"], name, "{line}: {told:#}");
        assert_eq!(error["code"].as_u64(), code, "{line}: {told:#}");
        assert!(error["fault"].is_string() && error["next"].is_string(), "{line}: {told:#}");
    }
    assert!(!world.path("nowhere").exists());
    let taken = world.url.trim_start_matches("http://");
    world.online("operator init --dir second").ok();
    let told = world.online(&format!("operator serve --dir second --listen {taken}")).exits(1);
    told.says(&format!("cannot listen on {taken}")).says("fault: caller");
    world.online("wallet --help").ok().says("resend");
}

#[test]
fn a_damaged_home_is_told_plainly() {
    let world = World::new();
    let enrol = |home: &str| {
        world.online(&format!(
            "wallet --home {home} enrol --operator {} --psp alpha --account {home} --no-pin",
            world.url
        ))
    };
    for home in ["a", "b", "c"] {
        enrol(home).ok();
    }
    for slot in ["slot-0", "slot-1"] {
        let _ = std::fs::remove_file(world.path("a").join(slot));
    }
    std::fs::remove_file(world.path("b/wallet.json")).unwrap();
    std::fs::write(world.path("c/wallet.json"), "{}").unwrap();
    for (home, words) in [
        ("a", "error 511: a record of the wallet's own is damaged"),
        ("b", "wallet.json is missing"),
        ("c", "put back a copy of wallet.json"),
    ] {
        for gave in [world.offline(&format!("wallet --home {home} show")), enrol(home)] {
            gave.exits(1).says(words).says("another home");
        }
    }
}
