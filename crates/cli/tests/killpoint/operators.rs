//! The operator's own commands, killed at each of their calls; and the operator as a service, killed at each of its own
//! while it serves.

use crate::scenario::{Again, Scenario, Victim};

const INIT: &str = "operator init --dir op";
const ENROL: &str = "wallet --home anna enrol --operator OPERATOR --psp alpha --account anna --pin-file pin";
const BEN: &str = "wallet --home ben enrol --operator OPERATOR --psp beta --account ben --pin-file pin";
const FUND: &str = "wallet --home anna fund 100";
const SYNC: &str = "wallet --home anna sync";
const BEN_SYNCS: &str = "wallet --home ben sync";
const REQUEST: &str = "wallet --home ben request 5 --out r.cbor";
const PAY: &str = "wallet --home anna pay r.cbor --out p.cbor";
const ACCEPT: &str = "wallet --home ben accept p.cbor --out c.cbor";
const DECLINE: &str = "wallet --home ben decline p.cbor --out d.cbor";
const PRODUCTION: &str = "operator init --dir op --production";
const ACTIVATE: &str = "operator activate --dir op --psp alpha --account anna";
const ENROL_WITH_CODE: &str = "wallet --home anna enrol --operator OPERATOR --psp alpha --account anna \
                               --pin-file pin --activation-code CODE";
/// A wallet that three wrong PINs have blocked.
const BLOCKED: [&str; 6] = [
    "wallet --home ben request --standing --out s.cbor",
    "1|wallet --home anna pay s.cbor --amount 5 --pin-file wrong --out p.cbor",
    "1|wallet --home anna pay s.cbor --amount 5 --pin-file wrong --out p.cbor",
    "1|wallet --home anna pay s.cbor --amount 5 --pin-file wrong --out p.cbor",
    "1|wallet --home anna pay s.cbor --amount 60 --pin-file pin --out p.cbor",
    SYNC,
];
const UNBLOCKED: [&str; 5] =
    [SYNC, "wallet --home anna pay s.cbor --amount 60 --pin-file pin --out p.cbor", ACCEPT, BEN_SYNCS, SYNC];

fn scenario(name: &'static str, victim: Victim, before: &[&str], line: &str, after: &[&str]) -> Scenario {
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    Scenario {
        name,
        before: lines(before),
        line: line.to_owned(),
        code: 0,
        victim,
        again: Again::Same,
        stride: 1,
        after: lines(after),
        homes: vec![("anna", 10_000)],
        funded: 10_000,
        defunded: 0,
        payments: 0,
    }
}

fn unblocked(name: &'static str, victim: Victim, line: &str) -> Scenario {
    let before = [&[INIT, ENROL, BEN, FUND][..], &BLOCKED].concat();
    let unblock = scenario(name, victim, &before, line, &UNBLOCKED);
    Scenario { homes: vec![("anna", 4_000), ("ben", 6_000)], payments: 1, ..unblock }
}

#[test]
fn init() {
    let init = scenario("operator init", Victim::Offline, &[], INIT, &[ENROL, FUND]);
    // Most of its calls are SQLite's, and nobody has any money yet.
    Scenario { stride: 5, ..init }.run();
}

#[test]
fn activate() {
    let activate = scenario("operator activate", Victim::Online, &[PRODUCTION], ACTIVATE, &[ENROL_WITH_CODE]);
    Scenario { homes: vec![("anna", 0)], funded: 0, ..activate }.run();
}

#[test]
fn unblock() {
    unblocked("operator unblock", Victim::Online, "operator unblock --dir op KEY(anna)").run();
}

#[test]
fn serving_an_enrolment() {
    scenario("serve: enrolment", Victim::Operator, &[INIT], ENROL, &[FUND]).run();
}

#[test]
fn serving_an_enrolment_by_code() {
    let before = [PRODUCTION, ACTIVATE];
    let enrol = scenario("serve: enrolment by code", Victim::Operator, &before, ENROL_WITH_CODE, &[SYNC]);
    Scenario { homes: vec![("anna", 0)], funded: 0, ..enrol }.run();
}

#[test]
fn serving_a_funding() {
    let line = "wallet --home anna fund 100 --ref march";
    scenario("serve: funding", Victim::Operator, &[INIT, ENROL], line, &[SYNC]).run();
}

#[test]
fn serving_a_defunding() {
    let line = "wallet --home anna defund 30 --ref rent --pin-file pin";
    let defund = scenario("serve: defunding", Victim::Operator, &[INIT, ENROL, FUND], line, &[SYNC]);
    Scenario { homes: vec![("anna", 7_000)], defunded: 3_000, ..defund }.run();
}

#[test]
fn serving_statements_of_a_payment() {
    let before = [INIT, ENROL, BEN, FUND, REQUEST, PAY, ACCEPT];
    let paid = |name, line, after: &[&str], before: &[&str]| {
        let paid = scenario(name, Victim::Operator, before, line, after);
        Scenario { homes: vec![("anna", 9_500), ("ben", 500)], payments: 1, ..paid }.run();
    };
    paid("serve: statement of the payee first", BEN_SYNCS, &[SYNC], &before);
    paid("serve: statement of the payer second", SYNC, &[], &[&before[..], &[BEN_SYNCS]].concat());
}

#[test]
fn serving_a_statement_with_a_decline() {
    let before = [INIT, ENROL, BEN, FUND, REQUEST, PAY, DECLINE, SYNC];
    let line = "wallet --home anna reclaim d.cbor";
    let declined =
        scenario("serve: statement of a decline", Victim::Operator, &before, BEN_SYNCS, &[line, SYNC]);
    Scenario { homes: vec![("anna", 10_000), ("ben", 0)], payments: 1, ..declined }.run();
}

#[test]
fn serving_a_claim() {
    let before = [
        INIT,
        ENROL,
        FUND,
        "terminal --home cafe enrol --operator OPERATOR --psp alpha --account cafe --name Café",
        "terminal --home cafe request 5 --out r.cbor",
        PAY,
        "terminal --home cafe accept p.cbor --out c.cbor",
    ];
    let claim = scenario("serve: claim", Victim::Operator, &before, "terminal --home cafe claim", &[SYNC]);
    let homes = vec![("anna", 9_500), ("cafe", 0)];
    Scenario { homes, defunded: 500, payments: 1, ..claim }.run();
}

#[test]
fn serving_an_activation() {
    let line = "POST /v1/psp/alpha/activations {\"account\":\"anna\"}";
    let after = [ACTIVATE, ENROL_WITH_CODE];
    let activate = scenario("serve: activation", Victim::Operator, &[PRODUCTION], line, &after);
    Scenario { homes: vec![("anna", 0)], funded: 0, ..activate }.run();
}

#[test]
fn serving_an_unblocking() {
    let line = "POST /v1/psp/alpha/wallets/KEYID(anna)/unblock";
    unblocked("serve: unblocking", Victim::Operator, line).run();
}
