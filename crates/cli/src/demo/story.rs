//! The story, step by step. What each step promises is checked where it happens.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use counterfoil_operator::Reason;
use counterfoil_rail::SimulatedRail;
use counterfoil_wallet::amounts::{currency_code, format_amount};
use counterfoil_wallet::operation::Paid;
use counterfoil_wallet::{Counter, Freshness, Kind, PaymentState};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::header::Envelope;
use counterfoil_wire::lists::{RevocationList, TrustList, from_gaps};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Algorithm, Amount, Code, Currency, Wire};

use super::auditor::{Flows, audit};
use crate::scene::{Actor, OperatorProcess, Part, Taken, refusal};

use super::{Bytes, PaymentLine, Report, Teller, WalletLine};

/// How many steps are told.
pub const STEPS: usize = 15;

const CURRENCY: Currency = Currency::EUR;

fn eur(minor: u64) -> Amount {
    Amount::new(minor).unwrap_or(Amount::ZERO)
}

fn money(amount: Amount) -> String {
    format_amount(amount, CURRENCY)
}

/// Everybody and everything, while the story runs.
struct Play<'a> {
    teller: &'a mut Teller,
    operator: OperatorProcess,
    alice: Actor,
    bob: Actor,
    carol: Actor,
    cafe: Actor,
    payments: Vec<PaymentLine>,
    taken: Taken,
    flows: Flows,
    files: usize,
    issuer_bytes: usize,
    /// Bob's home, from before he paid Carol.
    bobs_copy: PathBuf,
}

/// Tells it all in the folder `dir`.
pub fn tell(dir: &Path, teller: &mut Teller) -> Result<Report> {
    let mut operator = OperatorProcess::init(dir, now_s())?;
    operator.start()?;
    teller.step("Three people and a café join");
    let join = |name, psp, kind, algorithm, counter| {
        Actor::enrol(dir, &operator, &Part { name, psp, kind, algorithm, counter })
    };
    let alice = join("Alice", "alpha", Kind::Wallet, Algorithm::EdDsa, Counter::None)?;
    let bob = join("Bob", "beta", Kind::Wallet, Algorithm::Es256, Counter::File)?;
    let carol = join("Carol", "beta", Kind::Wallet, Algorithm::EdDsa, Counter::None)?;
    let cafe = join("Café Blau", "alpha", Kind::Terminal, Algorithm::Es256, Counter::None)?;
    teller.say(
        "Wallets of Alice (alpha, EdDSA), Bob (beta, ES256) and Carol (beta, EdDSA), each in its own sealed",
    );
    teller.say("home; Café Blau (alpha, ES256) has a terminal, which can be paid and never pays.");
    let mut play = Play {
        teller,
        operator,
        alice,
        bob,
        carol,
        cafe,
        payments: Vec::new(),
        taken: Taken::new(),
        flows: Flows::default(),
        files: 0,
        issuer_bytes: 0,
        bobs_copy: PathBuf::new(),
    };
    play.fund()?;
    play.go_offline();
    play.alice_pays_bob()?;
    play.bob_pays_carol()?;
    play.carol_pays_the_cafe()?;
    play.torn_and_declined()?;
    play.torn_and_sent_again()?;
    play.a_limit_refuses()?;
    play.alice_spends_twice()?;
    play.a_counter_refuses_bob()?;
    play.payees_meet()?;
    play.news_rides_along()?;
    play.everybody_syncs()?;
    play.carol_defunds()?;
    play.close()
}

fn now_s() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

impl Play<'_> {
    fn file(&mut self, what: &str) -> String {
        self.files += 1;
        format!("{:02}-{what}.png", self.files)
    }

    fn fund(&mut self) -> Result<()> {
        self.teller.step("Alice and Bob fund their wallets over the rail");
        for (actor, minor) in [(&self.alice, 6_000), (&self.bob, 4_000)] {
            actor.fund(eur(minor), &self.operator)?;
            self.flows.funded += minor;
            let balance = actor.overview()?.funded;
            self.teller.promise(balance == eur(minor), "what was funded is in the wallet");
            self.teller.say(format!("{} now holds {} offline.", actor.name, money(balance)));
        }
        Ok(())
    }

    fn go_offline(&mut self) {
        self.operator.kill();
        self.teller.online = false;
        self.teller.step("The network is gone");
        let refused = self.alice.sync(&self.operator).is_err();
        self.teller.promise(refused, "the operator is really gone");
        self.teller
            .say("The operator's process is killed. From here on there are only the devices, and QR codes.");
    }

    /// One payment from request to confirmation, every message as an image.
    fn whole_payment(&mut self, payer: char, payee: char, minor: u64) -> Result<()> {
        let names = ["request", "payment", "receipt"].map(|what| self.file(what));
        let (from, to) = (self.actor(payer), self.actor(payee));
        let request = to.request(Some(eur(minor)), &names[0])?;
        let (paid, payment) = from.pay(&request, None, &names[1])?;
        let (accepted, receipt) = to.accept(&payment, &names[2])?;
        from.confirm(&receipt)?;
        let state = from.overview()?.payments.into_iter().find(|row| row.id == paid.id).map(|row| row.state);
        let bytes = sizes(&request, &paid, accepted.receipt.len())?;
        self.taken.insert(paid.id);
        self.teller.promise(state == Some(PaymentState::Confirmed), "the payer knows that it is final");
        self.note(payer, payee, &paid, bytes)
    }

    fn actor(&self, letter: char) -> &Actor {
        match letter {
            'A' => &self.alice,
            'B' => &self.bob,
            'C' => &self.carol,
            _ => &self.cafe,
        }
    }

    /// A row of the table, with what either wallet says of the payment at this moment.
    fn note(&mut self, payer: char, payee: char, paid: &Paid, bytes: Bytes) -> Result<()> {
        let half = |actor: &Actor| -> Result<String> {
            let row = actor.overview()?.payments.into_iter().find(|row| row.id == paid.id);
            Ok(row.map_or("not in its journal", |row| row.state.name()).to_owned())
        };
        let (payer_half, payee_half) = (half(self.actor(payer))?, half(self.actor(payee))?);
        let line = PaymentLine {
            from: self.actor(payer).name.to_owned(),
            to: self.actor(payee).name.to_owned(),
            amount: paid.amount.minor(),
            currency: currency_code(CURRENCY).to_owned(),
            alg: self.actor(payer).algorithm.name(),
            state: String::new(),
            bytes,
            id: paid.id,
            payer_half,
            payee_half,
        };
        self.payments.push(line);
        Ok(())
    }

    fn balance(&self, letter: char) -> Result<Amount> {
        let overview = self.actor(letter).overview()?;
        overview.funded.plus(overview.received).context("a balance")
    }

    fn alice_pays_bob(&mut self) -> Result<()> {
        self.teller.step("Alice pays Bob");
        self.whole_payment('A', 'B', 1_250)?;
        let balance = self.balance('B')?;
        self.teller.promise(balance == eur(5_250), "Bob has it at once");
        self.teller.say(format!(
            "{}: request, payment, receipt, three images. Bob checked it alone;",
            money(eur(1_250))
        ));
        self.teller.say(format!("it is his for good, and he holds {}.", money(balance)));
        Ok(())
    }

    fn bob_pays_carol(&mut self) -> Result<()> {
        self.teller.step("Bob pays Carol out of what he received");
        self.bobs_copy = self.bob.copy_home("copy")?;
        self.whole_payment('B', 'C', 4_500)?;
        let left = self.bob.overview()?;
        self.teller
            .promise(left.funded.is_zero() && left.received == eur(750), "received value was spent again");
        let text = "all that he had funded and 5.00 of what Alice gave him, still offline.";
        self.teller.say(format!("{}: {text}", money(eur(4_500))));
        Ok(())
    }

    fn carol_pays_the_cafe(&mut self) -> Result<()> {
        self.teller.step("Carol pays Café Blau from the code printed on the counter");
        let names = ["standing-request", "payment", "receipt"].map(|what| self.file(what));
        let request = self.cafe.request(None, &names[0])?;
        let (paid, payment) = self.carol.pay(&request, Some(eur(420)), &names[1])?;
        let shown = paid.payee_name.as_str() == self.cafe.name;
        self.teller.promise(shown, "the payer sees the certified name");
        let (accepted, receipt) = self.cafe.accept(&payment, &names[2])?;
        self.carol.confirm(&receipt)?;
        self.taken.insert(paid.id);
        let bytes = sizes(&request, &paid, accepted.receipt.len())?;
        self.note('C', 'T', &paid, bytes)?;
        self.teller.say(format!(
            "{} to \"{}\": the name is in its certificate.",
            money(eur(420)),
            self.cafe.name
        ));
        Ok(())
    }

    fn torn_and_declined(&mut self) -> Result<()> {
        self.teller.step("A payment tears: Carol does not take it, and Alice has it back");
        let before = self.balance('A')?;
        let names = ["request", "payment", "decline"].map(|what| self.file(what));
        let request = self.carol.request(Some(eur(1_000)), &names[0])?;
        let (paid, payment) = self.alice.pay(&request, None, &names[1])?;
        let decline = self.carol.decline(&payment, &names[2])?;
        self.alice.reclaim(&decline)?;
        let never = self.carol.accept(&payment, &names[2]).is_err();
        self.teller.promise(never, "what was declined is never accepted");
        self.teller.promise(self.balance('A')? == before, "the payer has it back");
        let bytes = sizes(&request, &paid, 0)?;
        self.note('A', 'C', &paid, bytes)?;
        self.teller.say(format!(
            "{}: Carol signs a decline and can never accept it again; with it Alice",
            money(eur(1_000))
        ));
        self.teller.say("credits herself, offline.");
        Ok(())
    }

    fn torn_and_sent_again(&mut self) -> Result<()> {
        self.teller.step("Another tears: Bob's answer is lost, so the same bytes go again");
        let before = self.balance('B')?;
        let names =
            ["request", "payment", "payment-again", "receipt-lost", "receipt"].map(|what| self.file(what));
        let request = self.bob.request(Some(eur(300)), &names[0])?;
        let (paid, payment) = self.alice.pay(&request, None, &names[1])?;
        let _lost = self.bob.accept(&payment, &names[3])?;
        let (same, payment) = self.alice.pay(&request, None, &names[2])?;
        let (accepted, receipt) = self.bob.accept(&payment, &names[4])?;
        self.alice.confirm(&receipt)?;
        self.taken.insert(paid.id);
        self.teller.promise(same.payment == paid.payment && same.again, "asking again gives the same bytes");
        let credited = self.balance('B')?.minus(before);
        self.teller.promise(accepted.again && credited == Some(eur(300)), "it is credited once");
        let bytes = sizes(&request, &paid, accepted.receipt.len())?;
        self.note('A', 'B', &paid, bytes)?;
        self.teller.say(format!("{}: sent twice, debited once, credited once.", money(eur(300))));
        Ok(())
    }

    fn a_limit_refuses(&mut self) -> Result<()> {
        self.teller.step("A limit refuses");
        let names = ["request", "payment"].map(|what| self.file(what));
        let request = self.cafe.request(Some(eur(30_000)), &names[0])?;
        let before = self.carol.overview()?;
        let code = refusal(self.carol.pay(&request, None, &names[1]))?;
        self.teller.promise(code == Some(Code::PaymentTooLarge), "the limit refuses");
        self.teller.promise(self.carol.overview()? == before, "a refusal changes nothing");
        if let Some(code) = code {
            let text =
                format!("{} to the café: error {}, {}.", money(eur(30_000)), code.number(), code.what());
            self.teller.say(text);
            self.teller.say(format!("What clears it: {}.", code.next()));
        }
        Ok(())
    }

    fn alice_spends_twice(&mut self) -> Result<()> {
        self.teller.step("Alice turns thief: she copies her phone, and spends the same money twice");
        let copy = self.alice.copy_home("copy")?;
        for letter in ['B', 'C'] {
            let names = ["request", "payment", "receipt"].map(|what| self.file(what));
            let payee = self.actor(letter);
            let request = payee.request(Some(eur(4_000)), &names[0])?;
            let (paid, payment) = self.alice.pay(&request, None, &names[1])?;
            let (accepted, _) = payee.accept(&payment, &names[2])?;
            let bytes = sizes(&request, &paid, accepted.receipt.len())?;
            self.taken.insert(paid.id);
            if letter == 'B' {
                self.alice.roll_back(&copy)?;
            }
            self.note('A', letter, &paid, bytes)?;
        }
        self.teller.say(format!(
            "{} to Bob; then the copy of her home is put back, and {} to Carol.",
            money(eur(4_000)),
            money(eur(4_000))
        ));
        self.teller
            .say("Her element has no counter (its certificate says so), so each payee alone cannot know.");
        Ok(())
    }

    fn a_counter_refuses_bob(&mut self) -> Result<()> {
        self.teller.step("Bob tries the same, and his own phone refuses: it has a counter");
        let names = ["request", "payment"].map(|what| self.file(what));
        let (before, newest) = (self.bob.overview()?, self.bob.copy_home("newest")?);
        let request = self.carol.request(Some(eur(4_500)), &names[0])?;
        self.bob.roll_back(&self.bobs_copy)?;
        let code = refusal(self.bob.pay(&request, None, &names[1]))?;
        self.teller.promise(code == Some(Code::StaleState), "the older copy is refused on the device");
        self.teller.promise(self.bob.freshness()? == Freshness::Stale, "the device knows that it is older");
        self.bob.roll_back(&newest)?;
        let untouched = self.bob.overview()? == before && self.bob.freshness()? == Freshness::Proven;
        self.teller.promise(untouched, "the newest state goes on");
        if let Some(code) = code {
            self.teller.say(format!(
                "The {} that he paid to Carol are in the copy, and cannot be paid again: error {}.",
                money(eur(4_500)),
                code.number()
            ));
        }
        self.teller.say(
            "His counter is a file beside the device's key, so it stops who copies the home alone; a counter",
        );
        self.teller.say("in a TPM or of the phone's keystore stops who copies everything.");
        Ok(())
    }

    fn payees_meet(&mut self) -> Result<()> {
        self.teller.step("Bob and Carol meet, still offline, and compare what they know");
        let names = ["gossip", "gossip", "request", "payment", "decline"].map(|what| self.file(what));
        let thief = self.alice.overview()?.key;
        let carol = self.bob.gossip_to(&self.carol, &names[0])?;
        let bob = self.carol.gossip_to(&self.bob, &names[1])?;
        let proven = carol.cheats == [thief] && bob.cheats == [thief];
        self.teller.promise(proven, "both hold the proof");
        let request = self.carol.request(Some(eur(100)), &names[2])?;
        let (paid, payment) = self.alice.pay(&request, None, &names[3])?;
        let code = refusal(self.carol.accept(&payment, &names[4]))?;
        self.teller.promise(code == Some(Code::ProvenCheat), "the thief is refused");
        let decline = self.carol.decline(&payment, &names[4])?;
        self.alice.reclaim(&decline)?;
        let bytes = sizes(&request, &paid, 0)?;
        self.note('A', 'C', &paid, bytes)?;
        self.issuer_bytes = issuer_bytes(&self.bob.message(&names[1])?)?;
        self.teller.say(
            "Two headers under one key with one number: a proof that anybody can check. When Alice tries",
        );
        self.teller.say(format!("Carol again, she is refused: error {}.", Code::ProvenCheat.number()));
        Ok(())
    }

    fn news_rides_along(&mut self) -> Result<()> {
        self.teller.step("The news rides along: Bob buys a coffee, and the café refuses Alice");
        let names = ["request", "payment", "receipt"].map(|what| self.file(what));
        let unaware = self.cafe.overview()?;
        let request = self.cafe.request(Some(eur(280)), &names[0])?;
        let (paid, payment) = self.bob.pay(&request, None, &names[1])?;
        let (accepted, receipt) = self.cafe.accept(&payment, &names[2])?;
        self.bob.confirm(&receipt)?;
        self.taken.insert(paid.id);
        let bytes = sizes(&request, &paid, accepted.receipt.len())?;
        self.note('B', 'T', &paid, bytes)?;
        let thief = self.alice.overview()?.key;
        let told = self.cafe.overview()?;
        let learnt = unaware.cheats.is_empty() && told.cheats == [thief];
        self.teller.promise(learnt, "the proof came along with a payment");
        self.teller.promise(
            told.synced_at_s == unaware.synced_at_s && told.revocation_no == unaware.revocation_no,
            "the café was not online in between",
        );
        let carried = self.cafe.message(&names[1])?.len();
        let names = ["request", "payment", "receipt", "decline"].map(|what| self.file(what));
        let request = self.cafe.request(Some(eur(150)), &names[0])?;
        let (paid, payment) = self.alice.pay(&request, None, &names[1])?;
        let code = refusal(self.cafe.accept(&payment, &names[2]))?;
        self.teller.promise(code == Some(Code::ProvenCheat), "the next shop refuses the thief");
        self.cafe.decline(&payment, &names[3])?;
        let bytes = sizes(&request, &paid, 0)?;
        self.note('A', 'T', &paid, bytes)?;
        self.teller.say(format!(
            "{} from Bob, and beside his payment the image ({carried} bytes) had room for the proof.",
            money(eur(280))
        ));
        if let Some(code) = code {
            let text = format!("error {}, {}.", code.number(), code.what());
            self.teller.say(format!("The café, not online in between, refuses Alice: {text}"));
        }
        Ok(())
    }

    fn everybody_syncs(&mut self) -> Result<()> {
        self.operator.start()?;
        self.teller.online = true;
        self.teller.step("The operator comes back, and everybody syncs");
        // Twice round, so that the payers hear what the payees brought.
        for round in 0..2 {
            for letter in ['B', 'C', 'T', 'A'] {
                let report = self.actor(letter).sync(&self.operator)?;
                self.flows.defunded += report.paid_out.minor();
                if letter == 'T' && round == 0 {
                    self.teller.promise(report.paid_out == eur(700), "the café is paid on its account");
                }
            }
        }
        let suspended = self.alice.overview()?.standing == Standing::Suspended;
        self.teller.promise(suspended, "the thief is revoked");
        let audit = counterfoil_operator::audit(self.operator.dir())?;
        let case = audit.cases.iter().find(|case| case.loss > 0);
        let borne = case.is_some_and(|case| case.revoked && case.borne_by.as_deref() == Some("alpha"));
        self.teller.promise(borne, "the loss is named, and borne by the cheat's PSP");
        let thief = self.alice.overview()?;
        let listed = thief.cert.map(|cert| cert.status_index);
        let revoked = self.revoked()?;
        self.teller
            .promise(listed.is_some_and(|index| revoked.contains(&index)), "the revocation list names her");
        self.teller.say(format!(
            "The café's {} is on its account. Both halves of every payment met.",
            money(eur(700))
        ));
        if let Some(case) = case {
            let by = case.borne_by.as_deref().unwrap_or("nobody");
            let loss = money(eur(case.loss));
            self.teller.say(format!(
                "Alice is revoked and her wallet suspended. Bob and Carol keep what they took; the {loss}"
            ));
            self.teller.say(format!("that fraud created is a loss, borne by {by}, as the rules say."));
        }
        Ok(())
    }

    /// Whom the revocation list names, as Bob's wallet now hands it on.
    fn revoked(&mut self) -> Result<Vec<u32>> {
        let name = self.file("gossip");
        let gossip = Gossip::from_message(&self.bob.gossip(&name)?)?;
        let list = gossip.revocation.context("gossip holds the revocation list")?;
        let list = counterfoil_trust::open::<RevocationList>(&list.0)?.body;
        from_gaps(&list.added).context("a revocation list")
    }

    fn carol_defunds(&mut self) -> Result<()> {
        self.teller.step("Carol takes money back to her account");
        self.carol.defund(eur(5_000), &self.operator)?;
        self.flows.defunded += 5_000;
        let left = self.balance('C')?;
        self.teller.say(format!("{} defunded; {} stay in the wallet.", money(eur(5_000)), money(left)));
        Ok(())
    }

    fn close(mut self) -> Result<Report> {
        let listed = self.revoked()?;
        let audited = counterfoil_operator::audit(self.operator.dir())?;
        let rail = SimulatedRail::snapshot(&self.operator.dir().join("rail.db"))?;
        let actors = [&self.alice, &self.bob, &self.carol, &self.cafe];
        let (supply, conserved) = audit(&actors, &self.taken, &rail, self.flows)?;
        let mut wallets = Vec::new();
        let mut revoked = Vec::new();
        let mut cheats = std::collections::BTreeSet::new();
        for actor in actors {
            let overview = actor.overview()?;
            cheats.extend(overview.cheats.iter().copied());
            if overview.cert.as_ref().is_some_and(|cert| listed.contains(&cert.status_index)) {
                revoked.push(actor.name.to_owned());
            }
            wallets.push(WalletLine {
                name: actor.name.to_owned(),
                grade: overview.grade.name(),
                alg: actor.algorithm.name(),
                balance: overview.funded.plus(overview.received).context("a balance")?.minor(),
            });
        }
        let reasons = counterfoil_operator::reasons(self.operator.dir())?;
        for line in &mut self.payments {
            let state = reasons.get(&line.id).map_or("unknown to the operator", |reason| word(*reason));
            line.state = state.to_owned();
        }
        let expected = [
            "matched",
            "matched",
            "matched",
            "reclaimed",
            "matched",
            "forked",
            "forked",
            "reclaimed",
            "matched",
            "reclaimed",
        ];
        let states: Vec<&str> = self.payments.iter().map(|line| line.state.as_str()).collect();
        self.teller.promise(states == expected, "every payment came to rest where it should");
        for what in &audited.broken {
            self.teller.promise(false, &format!("the operator's books: {what}"));
        }
        self.teller.promise(conserved, "the books balance");
        self.teller.promise(supply.in_flight == 0, "every payment came to rest");
        Ok(Report {
            payments: std::mem::take(&mut self.payments),
            wallets,
            supply,
            forks: cheats.len(),
            revoked,
            conserved,
            seconds: 0.0,
            currency: CURRENCY,
            issuer_bytes: self.issuer_bytes,
        })
    }
}

/// Where the operator says that a payment came to rest.
fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Matched => "matched",
        Reason::Declined => "reclaimed",
        Reason::Refunded => "refunded",
        Reason::Forked => "forked",
        Reason::Equivocated => "equivocated",
        Reason::Late => "late",
        Reason::Revoked => "revoked",
        Reason::PayerOnly | Reason::PayeeOnly | Reason::RolledBack | Reason::Gap | Reason::Overspent => {
            "open"
        }
    }
}

/// The longest issuer's certificate, which travels only to a payee that lacks it, as gossip hands it on.
fn issuer_bytes(gossip: &[u8]) -> Result<usize> {
    let trust = Gossip::from_message(gossip)?.trust.context("gossip holds the trust list")?;
    let list = counterfoil_trust::open::<TrustList>(&trust.0)?.body;
    Ok(list.authorities.iter().map(|authority| authority.to_bytes().len()).max().unwrap_or(0))
}

/// Sizes as they travelled, less the issuer's certificate where the payee lacked it and the news that rode along; 0 for a
/// receipt never given.
fn sizes(request: &Path, paid: &Paid, receipt: usize) -> Result<Bytes> {
    let (request, _) = Bundle::split(counterfoil_wallet::channel::file::read_message(request)?);
    let mut payment = Envelope::from_bytes(&paid.payment)?;
    payment.issuer = None;
    Ok(Bytes { request: request.len(), payment: payment.to_bytes().len(), receipt })
}
