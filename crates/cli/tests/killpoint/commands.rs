//! Each command that writes or sends, killed at each of its calls.

use crate::scenario::{Again, Scenario, Victim};
use crate::stage::Stage;

/// Anna with 100.00 and no counter, Ben with 20.00 and one.
const TWO_WALLETS: [&str; 5] = [
    "operator init --dir op",
    "wallet --home anna enrol --operator OPERATOR --psp alpha --account anna --pin-file pin",
    "wallet --home ben enrol --operator OPERATOR --psp beta --account ben --pin-file pin --counter file",
    "wallet --home anna fund 100",
    "wallet --home ben fund 20",
];
const CAFE: &str = "terminal --home cafe enrol --operator OPERATOR --psp alpha --account cafe --name Café";

/// The request that Anna pays, and her payment.
const REQUEST: &str = "wallet --home ben request 5 --out r.cbor";
const PAY: &str = "wallet --home anna pay r.cbor --out p.cbor";
const ACCEPT: &str = "wallet --home ben accept p.cbor --out c.cbor";
const CONFIRM: &str = "wallet --home anna confirm c.cbor";
const DECLINE: &str = "wallet --home ben decline p.cbor --out d.cbor";
const RECLAIM: &str = "wallet --home anna reclaim d.cbor";
const BEN_SYNCS: &str = "wallet --home ben sync";
const ANNA_SYNCS: &str = "wallet --home anna sync";

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// `line` between two wallets, after which they hold what they held before.
fn scenario(name: &'static str, before: &[&str], line: &str, after: &[&str]) -> Scenario {
    Scenario {
        name,
        before: lines(&[&TWO_WALLETS, before].concat()),
        line: line.to_owned(),
        code: 0,
        victim: Victim::Offline,
        again: Again::Same,
        stride: 1,
        after: lines(&[after, &[BEN_SYNCS, ANNA_SYNCS]].concat()),
        homes: vec![("anna", 10_000), ("ben", 2_000)],
        funded: 12_000,
        defunded: 0,
        payments: 0,
    }
}

/// The same, and one payment of 5.00 has gone from Anna to Ben.
fn paid(name: &'static str, before: &[&str], line: &str, after: &[&str]) -> Scenario {
    Scenario {
        homes: vec![("anna", 9_500), ("ben", 2_500)],
        payments: 1,
        ..scenario(name, before, line, after)
    }
}

/// The same, with a café that was paid 5.00 by Anna and has claimed it.
fn paid_to_cafe(name: &'static str, before: &[&str], line: &str, after: &[&str]) -> Scenario {
    Scenario {
        homes: vec![("anna", 9_500), ("ben", 2_000), ("cafe", 0)],
        defunded: 500,
        ..paid(name, &[&[CAFE], before].concat(), line, after)
    }
}

fn online(scenario: Scenario) -> Scenario {
    Scenario { victim: Victim::Online, ..scenario }
}

#[test]
fn enrol() {
    let line = "wallet --home carl enrol --operator OPERATOR --psp alpha --account carl --pin-file pin \
                --counter file --alg es256";
    let carl = scenario("wallet enrol", &[], line, &["wallet --home carl fund 7"]);
    let homes = vec![("anna", 10_000), ("ben", 2_000), ("carl", 700)];
    online(Scenario { homes, funded: 12_700, ..carl }).run();
}

#[test]
fn fund() {
    let fund = scenario("wallet fund --ref", &[], "wallet --home ben fund 30 --ref march", &[]);
    online(Scenario { homes: vec![("anna", 10_000), ("ben", 5_000)], funded: 15_000, ..fund }).run();
}

#[test]
fn fund_refused() {
    let refused =
        scenario("wallet fund, refused by the rail", &[], "wallet --home ben fund 990 --ref all", &[]);
    online(Scenario { code: 1, ..refused }).run();
}

#[test]
fn defund() {
    let line = "wallet --home ben defund 5 --pin-file pin --ref rent";
    let defund = scenario("wallet defund --ref", &[], line, &[]);
    online(Scenario { homes: vec![("anna", 10_000), ("ben", 1_500)], defunded: 500, ..defund }).run();
}

#[test]
fn sync_of_the_payee() {
    online(paid("wallet sync, the payee's", &[REQUEST, PAY, ACCEPT], BEN_SYNCS, &[CONFIRM])).run();
}

#[test]
fn sync_of_the_payer() {
    online(paid("wallet sync, the payer's", &[REQUEST, PAY, ACCEPT, BEN_SYNCS], ANNA_SYNCS, &[])).run();
}

#[test]
fn request() {
    let line = "wallet --home ben request 5 --ref tea --out r.png";
    let after = ["wallet --home anna pay r.png --out p.cbor", ACCEPT, CONFIRM];
    paid("wallet request --ref", &[], line, &after).run();
}

#[test]
fn request_standing() {
    let line = "wallet --home anna request --standing --ref counter --out s.cbor";
    let after = [
        "wallet --home ben pay s.cbor --amount 5 --out q.cbor",
        "wallet --home anna accept q.cbor --out e.cbor",
        "wallet --home ben confirm e.cbor",
    ];
    let standing = paid("wallet request --standing --ref", &[], line, &after);
    Scenario { homes: vec![("anna", 10_500), ("ben", 1_500)], ..standing }.run();
}

#[test]
fn pay() {
    let before = ["wallet --home ben request --standing --out s.cbor"];
    let line = "wallet --home anna pay s.cbor --amount 5 --ref tea --out p.cbor";
    paid("wallet pay --ref", &before, line, &[ACCEPT, CONFIRM]).run();
}

#[test]
fn pay_with_counter_and_pin() {
    let before = ["wallet --home ben fund 80", "wallet --home anna request --standing --out s.cbor"];
    let line = "wallet --home ben pay s.cbor --amount 60 --ref rent --pin-file pin --out q.cbor";
    let after = ["wallet --home anna accept q.cbor --out e.cbor", "wallet --home ben confirm e.cbor"];
    let pay = paid("wallet pay --ref --pin-file, counter", &before, line, &after);
    Scenario { homes: vec![("anna", 16_000), ("ben", 4_000)], funded: 20_000, ..pay }.run();
}

/// Whoever gives no reference looks first, and pays again only if nobody has said that the payment was made.
#[test]
fn pay_without_reference() {
    let before = ["wallet --home ben request --standing --out s.cbor"];
    let line = "wallet --home anna pay s.cbor --amount 5 --out p.cbor";
    let pay = paid("wallet pay, then show", &before, line, &[ACCEPT, CONFIRM]);
    Scenario { again: Again::UnlessTold { look: "wallet --home anna show --json", word: "sent " }, ..pay }
        .run();
}

/// Another command comes first: it finishes the payment of a request that can be paid but once.
#[test]
fn pay_then_another_command() {
    let next = "wallet --home anna request 3 --out x.cbor";
    let pay = paid("wallet pay, then another command", &[REQUEST], PAY, &[PAY, ACCEPT, CONFIRM]);
    Scenario { again: Again::Other(next), ..pay }.run();
}

#[test]
fn accept() {
    paid("wallet accept", &[REQUEST, PAY], ACCEPT, &[CONFIRM]).run();
}

#[test]
fn accept_against_the_rules() {
    let before = [
        "wallet --home anna fund 850",
        "wallet --home ben fund 80",
        "wallet --home anna request 60 --out r.cbor",
        "wallet --home ben pay r.cbor --pin-file pin --out p.cbor",
    ];
    let line = "wallet --home anna accept p.cbor --out d.cbor";
    let refused =
        paid("wallet accept, against the rules", &before, line, &["wallet --home ben reclaim d.cbor"]);
    Scenario { code: 3, homes: vec![("anna", 95_000), ("ben", 10_000)], funded: 105_000, ..refused }.run();
}

#[test]
fn decline() {
    Scenario { payments: 1, ..scenario("wallet decline", &[REQUEST, PAY], DECLINE, &[RECLAIM]) }.run();
}

#[test]
fn confirm() {
    paid("wallet confirm", &[REQUEST, PAY, ACCEPT], CONFIRM, &[]).run();
}

#[test]
fn reclaim() {
    let reclaim = scenario("wallet reclaim", &[REQUEST, PAY, DECLINE], RECLAIM, &[]);
    Scenario { payments: 1, ..reclaim }.run();
}

#[test]
fn resend() {
    let line = "wallet --home anna resend SENT(anna) --out again.cbor";
    let after = ["wallet --home ben accept again.cbor --out c.cbor", CONFIRM];
    paid("wallet resend", &[REQUEST, PAY], line, &after).run();
}

#[test]
fn gossip() {
    let out = "wallet --home anna gossip --out news.cbor";
    let take = "wallet --home ben gossip news.cbor";
    paid("wallet gossip --out", &[REQUEST, PAY, ACCEPT, CONFIRM], out, &[take]).run();
    paid("wallet gossip, taken", &[REQUEST, PAY, ACCEPT, CONFIRM, out], take, &[]).run();
}

#[test]
fn what_only_looks() {
    paid("wallet show", &[REQUEST, PAY], "wallet --home anna show", &[ACCEPT, CONFIRM]).run();
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let mut stage = Stage::new();
    stage.run("operator init --dir op").ok();
    let (gave, report) = stage.run_traced(None, "inspect op/operator-root.cbor");
    gave.ok();
    assert!(report.calls.is_empty(), "inspect changes nothing: {:?}", report.calls);
}

#[test]
fn terminal_enrol() {
    let enrol = scenario("terminal enrol", &[], CAFE, &[]);
    online(Scenario { homes: vec![("anna", 10_000), ("ben", 2_000), ("cafe", 0)], ..enrol }).run();
}

const COUNTER: &str = "terminal --home cafe request --standing --ref counter --out s.png";
const COFFEE: &str = "wallet --home anna pay s.png --amount 5 --out coffee.cbor";
const SERVED: &str = "terminal --home cafe accept coffee.cbor --out bill.cbor";
const BILL: &str = "wallet --home anna confirm bill.cbor";
const CLAIM: &str = "terminal --home cafe claim";

#[test]
fn terminal_request() {
    paid_to_cafe("terminal request --standing --ref", &[], COUNTER, &[COFFEE, SERVED, BILL, CLAIM]).run();
}

#[test]
fn terminal_accept() {
    paid_to_cafe("terminal accept", &[COUNTER, COFFEE], SERVED, &[BILL, CLAIM]).run();
}

#[test]
fn terminal_claim() {
    online(paid_to_cafe("terminal claim", &[COUNTER, COFFEE, SERVED], CLAIM, &[BILL])).run();
}

/// A terminal's decline lets nobody reclaim: the operator decides.
#[test]
fn terminal_decline() {
    let line = "terminal --home cafe decline coffee.cbor --out d.cbor";
    let declined = scenario("terminal decline", &[CAFE, COUNTER, COFFEE], line, &[CLAIM, ANNA_SYNCS]);
    let homes = vec![("anna", 10_000), ("ben", 2_000), ("cafe", 0)];
    Scenario { homes, payments: 1, ..declined }.run();
}
