//! The seed corpora, from the messages of real wallets. The same each time, as far as the sealed store allows.

use std::path::Path;

use counterfoil_ta::api::{Command, Response};
use counterfoil_trust::{enrolment_binding, open};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, Proof};
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Enrolment, FundOrder, Settlement, Statement};
use counterfoil_wire::{Algorithm, Amount, Bytes, PublicKey, Reference, Wire};

use crate::certificate::known;
use crate::world::{PIN, Wallet, World, amount, pin};

type Seeds = Vec<(String, Vec<u8>)>;

/// Writes the seeds of each target in place of those that are there.
///
/// # Errors
/// Those of the file system.
pub fn write(corpus: &Path) -> std::io::Result<()> {
    let (messages, objects) = from_wallets();
    let mut all = vec![
        ("messages", messages),
        ("objects", objects),
        ("certificate", certificates()),
        ("ta_process", ta_scripts()),
        ("statement", statement_scripts()),
        ("home", homes()),
    ];
    // The drawn pictures need the wallet's QR code, which is not always built.
    #[cfg(feature = "picture")]
    all.push(("image", pictures()));
    for (target, seeds) in &mut all {
        let dir = corpus.join(target);
        if dir.is_dir() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        for (name, bytes) in seeds.drain(..) {
            std::fs::write(dir.join(name), bytes)?;
        }
    }
    Ok(())
}

fn behind(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

/// Everything that two wallets and the operator say to each other in one life.
struct Said {
    messages: Vec<(u8, &'static str, Bytes)>,
    commands: Vec<(&'static str, Command)>,
    responses: Vec<(&'static str, Vec<u8>)>,
}

impl Said {
    fn run(&mut self, name: &'static str, wallet: &mut Wallet, command: Command) -> Vec<u8> {
        let response = wallet.process(&command.to_bytes());
        self.commands.push((name, command));
        self.responses.push((name, response.clone()));
        response
    }
}

fn life() -> Said {
    let mut said = Said { messages: Vec::new(), commands: Vec::new(), responses: Vec::new() };
    let mut w = World::new();
    w.operator.revoked.insert(900);
    let mut fresh = Wallet::new(9);
    let enrol = Command::Enrol {
        es256: false,
        grade: counterfoil_wire::cert::Grade::VirtualSe,
        name: Default::default(),
        pin: Some(pin(PIN)),
        root: w.operator.root.clone(),
        binding: enrolment_binding("alpha", "account 9", Some("code")),
        element: crate::world::element(),
    };
    let enrolment = fresh.message(&enrol).expect("an enrolment");
    said.messages.push((4, "enrolment", enrolment));
    said.commands.push(("enrol", enrol));
    let reference = |n: u8| Reference([n; 32]);
    for (suffix, payer_is_a) in [("eddsa", true), ("es256", false)] {
        let names = |n: usize| -> &'static str {
            [
                ["request-eddsa", "payment-eddsa", "receipt-eddsa", "decline-eddsa"],
                ["request-es256", "payment-es256", "receipt-es256", "decline-es256"],
            ][usize::from(suffix == "es256")][n]
        };
        let (payer, payee) = if payer_is_a { (&mut w.a, &mut w.c) } else { (&mut w.b, &mut w.t) };
        let request = payee.request(Some(500));
        let ask = Command::Pay {
            request: request.clone(),
            amount: None,
            pin: Some(pin(PIN)),
            reference: reference(1),
            approval: None,
        };
        said.run(names(1), payer, ask.clone());
        let payment = payer.message(&ask).expect("the same again");
        let receipt = payee.accept(&payment).expect("a receipt");
        said.run(names(2), payee, Command::Accept { payment: payment.clone() });
        said.run(names(2), payer, Command::Confirm { receipt: receipt.clone() });
        let standing = payee.standing_request();
        let other = payer.pay(&standing, Some(70), None).expect("a payment");
        let decline = payee.decline(&other).expect("a decline");
        said.run(names(3), payee, Command::Decline { payment: other });
        said.run(names(3), payer, Command::Reclaim { decline: decline.clone() });
        said.messages.push((0, names(0), request));
        said.messages.push((1, names(1), payment));
        said.messages.push((2, names(2), receipt));
        said.messages.push((3, names(3), decline));
    }
    said.messages.push((0, "request-standing", w.c.standing_request()));
    let order = w.a.message(&Command::FundOrder { amount: amount(900), reference: reference(3) });
    let order = order.expect("an order");
    w.operator.take_order(&order);
    said.messages.push((5, "fund-order", order));
    said.run(
        "defund",
        &mut w.a,
        Command::Defund { amount: amount(40), pin: Some(pin(PIN)), reference: reference(4) },
    );
    let statement = w.a.message(&Command::Statement {}).expect("a statement");
    let settlement = w.operator.settle(&statement);
    let body = open::<Settlement>(&settlement.0).expect("a settlement").body;
    said.messages.push((6, "statement", statement));
    said.messages.push((7, "settlement", settlement.clone()));
    said.messages.extend(body.trust.map(|list| (8, "trust-list", list)));
    said.messages.extend(body.revocation.map(|list| (9, "revocation-list", list)));
    said.messages.extend(body.rules.map(|rules| (10, "rules", rules)));
    said.run("settle", &mut w.a, Command::Settle { settlement });
    let gossip = w.a.message(&Command::GossipOut { room: 60_000 }).expect("gossip");
    said.messages.push((11, "gossip", gossip.clone()));
    let rider = Command::Rider { room: 2_000, revocation_after: 0, trust_after: 0 };
    let told = w.a.message(&rider).expect("a rider");
    said.run("rider", &mut w.a, rider);
    let payment = said.messages.iter().find(|(kind, ..)| *kind == 1).expect("a payment").2.clone();
    said.messages.push((12, "bundle", Bytes(Bundle { message: payment, gossip: told }.to_bytes())));
    said.run("gossip-in", &mut w.b, Command::GossipIn { gossip });
    said.run("show", &mut w.b, Command::Show {});
    said.run("request", &mut w.c, Command::Request { amount: None, standing: true, reference: reference(5) });
    said.run("damaged", &mut w.c, Command::Accept { payment: Bytes(vec![1, 2, 3]) });
    said
}

fn body<B: Body>(message: &Bytes) -> Vec<u8> {
    open::<B>(&message.0).expect("a real message").envelope.body.0
}

fn from_wallets() -> (Seeds, Seeds) {
    let said = life();
    let (mut messages, mut objects) = (Seeds::new(), Seeds::new());
    let (mut headers, mut proofs) = (Vec::new(), Vec::new());
    for (kind, name, message) in &said.messages {
        messages.push(((*name).to_owned(), behind(*kind, &message.0)));
        let (kind, bytes) = match kind {
            0 => (18, body::<Request>(message)),
            1 => (19, body::<Payment>(message)),
            2 => (20, body::<Receipt>(message)),
            3 => (21, body::<Decline>(message)),
            4 => (5, body::<Enrolment>(message)),
            5 => (6, body::<FundOrder>(message)),
            6 => (0, body::<Statement>(message)),
            7 => (1, body::<Settlement>(message)),
            8 => (2, body::<TrustList>(message)),
            9 => (3, body::<RevocationList>(message)),
            10 => (4, body::<Rules>(message)),
            _ => continue,
        };
        objects.push(((*name).to_owned(), behind(kind, &bytes)));
        if let Ok(payment) = open::<Payment>(&message.0) {
            if let Signer::Cert(cert) = &payment.envelope.signer {
                let (first, second) = (payment.signed_header(), payment.signed_header());
                let proof = Proof { cert: cert.clone(), first, second };
                objects.push((format!("proof-{name}"), behind(7, &proof.to_bytes())));
                proofs.push(proof);
            }
            headers.push(payment.signed_header());
            objects.push((format!("header-{name}"), behind(8, &payment.signed_header().to_bytes())));
            objects.push((format!("envelope-{name}"), behind(14, &message.0)));
        }
        if let Ok(Envelope { signer: signer @ Signer::Cert(cert), .. }) = &Envelope::from_bytes(&message.0) {
            objects.push((format!("cert-{name}"), behind(15, &cert.to_bytes())));
            objects.push((format!("signer-{name}"), behind(22, &signer.to_bytes())));
        }
        if let Ok(Statement { entries, receipts, .. }) = Statement::from_bytes(&bytes) {
            objects.push(("entries".to_owned(), behind(24, &entries.to_bytes())));
            objects.push(("receipts".to_owned(), behind(23, &receipts.to_bytes())));
            for entry in entries {
                objects.push((format!("entry-{:?}", entry.purpose()), behind(13, &entry.to_bytes())));
            }
        }
        if let Ok(TrustList { authorities, .. }) = TrustList::from_bytes(&bytes)
            && let Some(authority) = authorities.first()
        {
            objects.push(("authority".to_owned(), behind(16, &authority.to_bytes())));
        }
    }
    let gossip = Gossip { revocation: None, trust: None, proofs: Vec::new(), headers };
    messages.push(("gossip-headers".to_owned(), behind(11, &gossip.to_message())));
    let gossip = Gossip { revocation: None, trust: None, proofs, headers: Vec::new() };
    messages.push(("gossip-proofs".to_owned(), behind(11, &gossip.to_message())));
    let few = |name: &&str| !name.ends_with("es256");
    for (name, command) in said.commands.iter().filter(|(name, _)| few(name)) {
        objects.push((format!("command-{name}"), behind(9, &command.to_bytes())));
    }
    for (name, response) in said.responses.iter().filter(|(name, _)| few(name)) {
        if matches!(*name, "damaged" | "settle" | "show") {
            objects.push((format!("response-{name}"), behind(10, response)));
        }
        if let Ok(Response(Ok(reply))) = Response::from_bytes(response) {
            objects.push((format!("reply-{name}"), behind(11, &reply.to_bytes())));
            if let counterfoil_ta::api::Reply::Overview { overview } = reply {
                objects.push(("overview".to_owned(), behind(12, &overview.to_bytes())));
                objects.push(("root".to_owned(), behind(17, &overview.root.to_bytes())));
                objects.push(("payments".to_owned(), behind(26, &overview.payments.to_bytes())));
                objects.push(("requests".to_owned(), behind(27, &overview.requests.to_bytes())));
                let keys: Option<Vec<PublicKey>> = Some(vec![overview.key; 2]);
                objects.push(("keys".to_owned(), behind(28, &keys.to_bytes())));
            }
        }
    }
    objects.push(("numbers".to_owned(), behind(25, &vec![0u32, 23, 24, 255, 256, u32::MAX].to_bytes())));
    objects.push(("amount".to_owned(), behind(30, &Amount::MAX.to_bytes())));
    objects.push(("name".to_owned(), behind(29, &"Caf\u{e9} Blau".to_owned().to_bytes())));
    objects.push(("reference".to_owned(), behind(31, &Reference([7; 32]).to_bytes())));
    // One of each kind is enough of what would go over two pages.
    objects.retain(|(_, bytes)| bytes.len() <= 4096);
    messages.retain(|(_, bytes)| bytes.len() <= 4097);
    (messages, objects)
}

fn certificates() -> Seeds {
    let mut seeds = Seeds::new();
    for (algorithm, bit) in [(Algorithm::EdDsa, 0), (Algorithm::Es256, 1)] {
        let known = known(bit == 1);
        let mut seed = |name: &str, kind: u8, bytes: &[u8]| {
            seeds.push((format!("{name}-{}", algorithm.name()), behind(kind * 2 + bit, bytes)));
        };
        seed("wallet", 0, &known.wallet.to_bytes());
        seed("wallet-of-newcomer", 0, &known.newcomer.1.to_bytes());
        seed("issuer", 1, &known.scheme.issuer.to_bytes());
        seed("signer", 1, &known.scheme.signer.to_bytes());
        seed("newcomer", 1, &known.newcomer.0.to_bytes());
        seed("root", 2, &known.scheme.root.to_bytes());
        seed("trust-list", 3, &known.trust);
        seed("revocation-list", 4, &known.revocation);
        seed(
            "crl",
            5,
            &[0, 0, 0, 2, 0x69, 0x60, 0, 0, 0x69, 0x70, 0, 0, 0, 0, 4, 0xd2, 0x69, 0x60, 0, 0, 1, 1, 1, 1],
        );
        seed("crl-empty", 5, &[0, 0, 0, 3]);
        seed(
            "issued",
            6,
            &[0, 0x20, 0, 0, 2, 0xd0, 0, 100, 3, 0xd2, 0, 0, 0, 0, 0, 0, 9, 4, b'S', b'h', b'o', b'p', 1, 0],
        );
        seed("issued-at-the-edge", 6, &[3, 1, 0xff, 0xff, 0xff, 0xff, 3, 0xf1, 0, 1]);
    }
    for len in [0usize, 1, 47, 48, 49, 200] {
        seeds.push((format!("pem-{len}"), behind(14, &vec![0xa5; len])));
    }
    seeds
}

/// Steps of `ta_process`: a wallet (0 to 3) in the upper bits, what it does in the lower.
fn ta_scripts() -> Seeds {
    let step = |wallet: u8, what: u8, rest: &[u8]| [&[wallet << 6 | what], rest].concat();
    // Amount, fixed, one-time, reference.
    let request = |wallet: u8, n: u8| step(wallet, 0, &[n, 0, 0, n]);
    // The newest request, no amount, PIN, reference.
    let pay = |wallet: u8, n: u8| step(wallet, 5, &[0, 0, 0, 3, n]);
    let accept = |wallet: u8| step(wallet, 14, &[0]);
    let decline = |wallet: u8| step(wallet, 22, &[0]);
    let confirm = |wallet: u8| step(wallet, 25, &[0]);
    let reclaim = |wallet: u8| step(wallet, 29, &[0]);
    let gossip = |from: u8, to: u8| [step(from, 33, &[0]), step(to, 35, &[0])].concat();
    let rider = |from: u8, to: u8| [step(from, 34, &[0, 0, 0]), step(to, 35, &[0])].concat();
    let fund = |wallet: u8, n: u8| step(wallet, 37, &[n, n, 0]);
    let defund = |wallet: u8, n: u8| step(wallet, 39, &[n, 3, n]);
    let sync = |wallet: u8| step(wallet, 41, &[2]);
    let cut = |wallet: u8, after: u8, at: u8| step(wallet, 48, &[after, at]);
    let hours = |wallet: u8, n: u8| step(wallet, 50, &[n]);
    let forge = |spent: u8, seq: u8| step(0, 55, &[0, 1, 0, 1, spent, 0, seq, 0]);
    let raw = |wallet: u8, bytes: &[u8]| step(wallet, 61, &[&[bytes.len() as u8], bytes].concat());
    let mut seeds: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("paid", vec![request(2, 9), pay(0, 9), accept(2), confirm(0), sync(0), sync(2)]),
        ("paid-es256", vec![request(3, 9), pay(1, 9), accept(3), confirm(1), sync(3), sync(1)]),
        ("declined", vec![request(2, 9), pay(0, 9), decline(2), reclaim(0), sync(2), sync(0)]),
        ("declined-by-a-terminal", vec![request(3, 9), pay(0, 9), decline(3), reclaim(0), sync(3), sync(0)]),
        ("respent", vec![request(2, 9), pay(0, 9), accept(2), request(1, 4), pay(2, 4), accept(1), sync(1)]),
        (
            "torn",
            vec![request(2, 9), pay(0, 9), hours(2, 60), sync(2), sync(0), hours(0, 200), sync(2), sync(0)],
        ),
        ("again", vec![request(2, 9), pay(0, 9), pay(0, 9), accept(2), accept(2), confirm(0), confirm(0)]),
        ("funded", vec![fund(0, 20), sync(0), defund(0, 10), sync(0), sync(0)]),
        ("settled-late", vec![fund(0, 20), step(0, 41, &[0]), defund(0, 10), step(0, 46, &[0]), sync(0)]),
        ("tampered", vec![request(2, 9), pay(0, 9), step(2, 14, &[0xc0, 1, 0, 40, 7, 5]), accept(2)]),
        ("gossip", vec![request(2, 9), pay(0, 9), accept(2), gossip(2, 1), gossip(1, 0)]),
        (
            "forked",
            vec![
                request(2, 9),
                forge(90, 1),
                accept(2),
                request(1, 8),
                forge(90, 1),
                accept(1),
                gossip(1, 2),
                gossip(2, 0),
                sync(2),
                sync(1),
            ],
        ),
        (
            "rider",
            vec![
                request(2, 9),
                forge(90, 1),
                accept(2),
                request(2, 8),
                forge(90, 1),
                accept(2),
                step(0, 54, &[0]),
                sync(2),
                rider(2, 1),
                rider(1, 0),
            ],
        ),
        ("revoked", vec![step(0, 54, &[0]), sync(0), request(2, 9), pay(0, 9), sync(2), gossip(2, 1)]),
        ("stale", vec![step(0, 52, &[1]), request(2, 9), pay(0, 9), step(0, 52, &[0]), pay(0, 9)]),
        (
            "clock",
            vec![
                step(2, 51, &[0xff, 0xff, 0xff, 0xff]),
                request(2, 9),
                pay(0, 9),
                step(2, 51, &[0; 4]),
                accept(2),
            ],
        ),
        (
            "wrong-pin",
            vec![
                request(2, 9),
                step(0, 5, &[0, 0, 0, 1, 9]),
                step(0, 5, &[0, 0, 0, 1, 9]),
                step(0, 5, &[0, 0, 0, 1, 9]),
                pay(0, 9),
                step(0, 54, &[1]),
                sync(0),
                pay(0, 9),
            ],
        ),
        ("resent", vec![request(2, 9), pay(0, 9), step(0, 57, &[]), accept(2), step(0, 57, &[])]),
        (
            "confused",
            vec![
                request(2, 9),
                pay(0, 9),
                step(2, 58, &[0, 0, 0]),
                step(2, 58, &[1, 0, 2]),
                step(0, 58, &[1, 0, 5]),
            ],
        ),
        ("raw-show", vec![raw(0, &Command::Show {}.to_bytes()), raw(0, &Command::Statement {}.to_bytes())]),
        (
            "raw-short",
            vec![
                raw(0, &[]),
                raw(1, &[0x81]),
                raw(2, &[0x81, 0x18, 0x99]),
                raw(3, &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
            ],
        ),
        ("raw-gossip-out", vec![raw(0, &Command::GossipOut { room: u32::MAX }.to_bytes())]),
        ("command-tampered", vec![request(2, 9), step(0, 60, &[0, 9, 3, 9, 1, 0, 3, 9, 5])]),
    ];
    let cuts: [(&str, u8, u8); 4] =
        [("before-1", 0, 0), ("after-1", 1, 0), ("before-2", 0, 1), ("after-2", 1, 1)];
    let mut named: Seeds = seeds.drain(..).map(|(name, steps)| (name.to_owned(), steps.concat())).collect();
    for (name, after, at) in cuts {
        for (who, wallet) in [("payer", 0), ("payee", 2)] {
            let steps = [
                cut(wallet, after, at),
                request(2, 9),
                pay(0, 9),
                pay(0, 9),
                accept(2),
                accept(2),
                confirm(0),
                confirm(0),
                sync(wallet),
                sync(wallet),
            ];
            named.push((format!("cut-{who}-{name}"), steps.concat()));
        }
    }
    named
}

/// Steps of `statement`: which key in the upper bits, what it does in the lower; then whether it lies.
fn statement_scripts() -> Seeds {
    const HONEST: u8 = 0;
    const LIE: u8 = 0xff;
    let step = |actor: u8, what: u8, lies: u8, rest: &[u8]| [&[actor << 6 | what, lies], rest].concat();
    let fund = |actor: u8| step(actor, 0, HONEST, &[100]);
    // To whom, how much, request, request number, certificate.
    let pay = |actor: u8, to: u8, minor: u8| step(actor, 2, HONEST, &[to, minor, 0, 3, 1]);
    // What is changed, and to what; or, with a 4, not journaled.
    let forge = |actor: u8, to: u8, how: u8, n: u8| {
        let more: &[u8] = if how == 0 { &[n] } else { &[] };
        step(actor, 2, LIE, &[&[to, 20, 0, 3, 0, how], more].concat())
    };
    let take = |actor: u8| step(actor, 7, HONEST, &[0]);
    let take_again = |actor: u8| step(actor, 7, LIE, &[0]);
    let decline = |actor: u8| step(actor, 12, HONEST, &[0]);
    let decline_too = |actor: u8| step(actor, 12, LIE, &[0]);
    let reclaim = |actor: u8| step(actor, 14, HONEST, &[0]);
    let reclaim_too = |actor: u8| step(actor, 14, LIE, &[0]);
    let defund = |actor: u8, minor: u8| step(actor, 16, HONEST, &[minor]);
    let show = |actor: u8| step(actor, 17, HONEST, &[0]);
    let sync = |actor: u8| step(actor, 18, HONEST, &[1]);
    let lost = |actor: u8| step(actor, 18, HONEST, &[0]);
    let lie = |actor: u8, rest: &[u8]| step(actor, 18, LIE, &[&[1], rest].concat());
    let wait = |n: u8| step(0, 26, HONEST, &[n]);
    let close = |actor: u8| step(actor, 27, HONEST, &[7, 1]);
    let lost_for_good = |actor: u8| step(actor, 30, HONEST, &[1]);
    let due = || step(0, 30, HONEST, &[2]);
    let funded = |actor: u8| [fund(actor), sync(actor)].concat();
    let funded_little = |actor: u8| [step(actor, 0, HONEST, &[10]), sync(actor)].concat();
    let seeds: Vec<(&str, u8, Vec<Vec<u8>>)> = vec![
        ("paid", 0, vec![funded(0), pay(0, 1, 50), take(1), show(0), sync(0), sync(1), sync(0)]),
        ("payee-first", 1, vec![funded(0), pay(0, 1, 50), take(1), sync(1), sync(0), sync(1)]),
        ("terminal", 2, vec![funded(0), pay(0, 3, 50), take(3), sync(3), sync(3), sync(0)]),
        ("declined", 0, vec![funded(0), pay(0, 1, 50), decline(1), reclaim(0), sync(0), sync(1), sync(0)]),
        (
            "refunded",
            0,
            vec![funded(0), pay(0, 1, 50), sync(0), close(1), sync(1), wait(1), sync(0), sync(0)],
        ),
        ("defunded", 0, vec![funded(0), defund(0, 30), sync(0), sync(0)]),
        ("lost", 0, vec![fund(0), lost(0), pay(0, 1, 5), sync(0), defund(0, 30), lost(0), sync(0), sync(0)]),
        (
            "forked",
            0,
            vec![
                funded(0),
                forge(0, 1, 0, 3),
                take(1),
                forge(0, 2, 0, 3),
                take(2),
                sync(1),
                sync(2),
                sync(0),
            ],
        ),
        ("hidden", 0, vec![funded(0), forge(0, 1, 4, 0), take(1), sync(1), sync(0)]),
        ("unknown-payee", 0, vec![funded(0), forge(0, 1, 3, 0), sync(0)]),
        (
            "rolled-back",
            0,
            vec![
                funded(0),
                step(0, 28, HONEST, &[]),
                pay(0, 1, 50),
                take(1),
                sync(0),
                step(0, 29, HONEST, &[]),
                pay(0, 2, 50),
                take(2),
                sync(0),
                sync(1),
                sync(2),
            ],
        ),
        (
            "equivocated",
            0,
            vec![funded(0), pay(0, 1, 50), take(1), decline_too(1), reclaim(0), sync(0), sync(1), sync(0)],
        ),
        (
            "equivocated-late",
            0,
            vec![funded(0), pay(0, 1, 50), decline(1), reclaim(0), sync(0), take_again(1), sync(1)],
        ),
        (
            "reclaimed-twice",
            0,
            vec![funded(0), pay(0, 1, 50), decline(1), reclaim(0), reclaim_too(0), sync(0)],
        ),
        (
            "given-up",
            0,
            vec![
                funded(0),
                pay(0, 1, 50),
                sync(0),
                wait(255),
                wait(255),
                wait(255),
                sync(0),
                sync(0),
                take_again(1),
                sync(1),
                sync(0),
            ],
        ),
        (
            "never-back",
            0,
            vec![
                funded_little(0),
                forge(0, 1, 4, 0),
                take(1),
                sync(1),
                wait(255),
                wait(255),
                wait(255),
                step(0, 30, HONEST, &[0]),
            ],
        ),
        (
            "closed",
            0,
            vec![
                funded(0),
                pay(0, 1, 50),
                lost_for_good(0),
                take(1),
                sync(1),
                wait(255),
                wait(255),
                wait(255),
                due(),
            ],
        ),
        (
            "closed-with-a-refund",
            0,
            vec![
                funded(0),
                pay(0, 1, 50),
                sync(0),
                lost_for_good(0),
                wait(255),
                wait(255),
                wait(255),
                due(),
                sync(0),
                due(),
            ],
        ),
        (
            "closed-with-a-loss",
            0,
            vec![
                funded_little(0),
                lost_for_good(0),
                forge(0, 1, 4, 0),
                take(1),
                sync(1),
                due(),
                wait(255),
                wait(255),
                wait(255),
                due(),
                sync(0),
                due(),
            ],
        ),
        (
            "late",
            0,
            vec![
                funded(0),
                pay(0, 1, 50),
                take(1),
                pay(1, 2, 40),
                take(2),
                sync(2),
                wait(255),
                wait(255),
                wait(255),
                step(0, 30, HONEST, &[0]),
                sync(0),
                sync(1),
            ],
        ),
        (
            "closed-and-late",
            0,
            vec![
                funded(0),
                pay(0, 1, 50),
                take(1),
                pay(1, 2, 40),
                take(2),
                lost_for_good(1),
                sync(2),
                wait(255),
                wait(255),
                wait(255),
                due(),
                sync(0),
                due(),
                sync(1),
                due(),
            ],
        ),
        (
            "closed-terminal",
            2,
            vec![funded(0), pay(0, 3, 50), take(3), sync(3), lost_for_good(3), due(), sync(0)],
        ),
        ("claims", 0, vec![funded(0), lie(0, &[1, 0, 200, 9, 5])]),
        (
            "made-up",
            0,
            vec![step(0, 31, LIE, &[0, 1, 0, 9, 1]), sync(0), step(1, 31, LIE, &[5, 1, 0]), sync(1)],
        ),
        ("reordered", 0, vec![funded(0), pay(0, 1, 5), defund(0, 3), step(0, 31, LIE, &[2, 0]), sync(0)]),
        ("again", 0, vec![funded(0), defund(0, 3), step(0, 31, LIE, &[6]), sync(0), sync(0)]),
        ("nothing", 0, vec![step(0, 31, LIE, &[7]), sync(0), step(1, 31, LIE, &[3, 5]), sync(1)]),
    ];
    let named = seeds.into_iter();
    named.map(|(name, preset, steps)| (name.to_owned(), behind(preset, &steps.concat()))).collect()
}

fn homes() -> Seeds {
    let sealed = crate::home::sealed();
    let mut seeds = vec![
        ("slot-0".to_owned(), [&[5, 0], sealed.as_slice()].concat()),
        ("slot-0-cut".to_owned(), [&[5, 0], &sealed[..sealed.len() - 20]].concat()),
        ("slot-1".to_owned(), [&[5, 1], sealed.as_slice()].concat()),
        ("empty".to_owned(), vec![0, 0]),
    ];
    for (name, change) in [("flipped", 4), ("cut", 0), ("longer", 1), ("inserted", 3), ("removed", 2)] {
        for at in [0u8, 40, 100, 200] {
            seeds.push((format!("{name}-{at}"), vec![4, 2, 1, 0, at, 5, change]));
        }
    }
    seeds
}

#[cfg(feature = "picture")]
fn pictures() -> Seeds {
    use counterfoil_wallet::channel::qr::draw;
    let mut seeds = Seeds::new();
    for len in [1usize, 30, 110, 371] {
        let message: Vec<u8> = (0..len).map(|i| (i * i) as u8).collect();
        let png = draw(&message).and_then(|image| image.to_png()).expect("it fits");
        seeds.push((format!("drawn-{len}"), png));
        seeds.push((format!("bytes-{len}"), behind(0, &message)));
    }
    seeds
}
