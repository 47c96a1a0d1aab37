//! Messages of every kind, under keys of one algorithm.

use counterfoil_trust::x509::{issue_authority, issue_wallet};
use counterfoil_trust::{Revoked, SigningKey, enrolment_binding, key_id};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::cert::{AuthorityCert, Grade, Role, WalletCert};
use counterfoil_wire::element::{CounterKind, ElementStatement, Tamper};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Decline, Payment, Receipt, Request, STANDING_FIRST};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::rules::Preset;
use counterfoil_wire::sync::{
    Enrolment, Entry, FundOrder, Outcome, Resolution, Settlement, Standing, Statement,
};
use counterfoil_wire::{Algorithm, Amount, Bytes, Digest, Wire};

use super::samples::Sealed;
use super::{altered, context, hex_of, proofs, texts};
use crate::VectorError;
use crate::fixed::authority::{Keys, authority};
use crate::fixed::{HEDGE, START_S, Scheme, amount, digest, element, key, name, nonce, reference};
use crate::format::{Held, Message, Messages};
use crate::json::Json;

/// What the receiver's clock says.
pub(super) const CLOCK_S: u32 = START_S + 3600;

/// A scheme, and who speaks in it, all under one algorithm.
pub(super) struct Cast {
    pub scheme: Scheme,
    /// A scheme of other people.
    pub other: Scheme,
    pub algorithm: Algorithm,
    pub payer: SigningKey,
    pub payer_cert: WalletCert,
    pub payee: SigningKey,
    pub payee_cert: WalletCert,
    pub shop: SigningKey,
    pub shop_cert: WalletCert,
    /// An issuer that trust list 2 will name, and list 1 does not.
    pub newcomer: AuthorityCert,
    pub newcomer_key: SigningKey,
}

impl Cast {
    pub(super) fn new(algorithm: Algorithm) -> Result<Self, VectorError> {
        let keys = Keys { root: algorithm, signer: algorithm };
        let label = format!("vectors {}", algorithm.name());
        let scheme = Scheme::new(&label, keys)?;
        let other = Scheme::new(&format!("others {}", algorithm.name()), keys)?;
        let first: u32 = if algorithm == Algorithm::EdDsa { 0 } else { 1000 };
        let certified =
            |who: &str, index, grade, shown: &str| -> Result<(SigningKey, WalletCert), VectorError> {
                let key = key(algorithm, &format!("{label} {who}"))?;
                let unsigned = scheme.unsigned(key.public(), first + index, grade)?;
                Ok((key, scheme.certify(WalletCert { name: name(shown), ..unsigned })?))
            };
        let (payer, payer_cert) = certified("payer", 10, Grade::VirtualSe, "")?;
        let (payee, payee_cert) = certified("payee", 11, Grade::Hardware, "")?;
        let (shop, shop_cert) = certified("shop", 12, Grade::Terminal, "Caf\u{e9} Blau \u{20ac}")?;
        let newcomer_key = key(algorithm, &format!("{label} newcomer"))?;
        let unsigned =
            AuthorityCert { since: 2, ..authority(Role::Issuer, "gamma", &newcomer_key, [2000, 2999]) };
        let newcomer = issue_authority(unsigned, &scheme.root_key, &scheme.root, &HEDGE);
        Ok(Self {
            scheme,
            other,
            algorithm,
            payer,
            payer_cert,
            payee,
            payee_cert,
            shop,
            shop_cert,
            newcomer,
            newcomer_key,
        })
    }

    /// A certificate from the newcomer.
    pub(super) fn by_newcomer(&self, key: &SigningKey) -> WalletCert {
        let unsigned = WalletCert {
            issuer: key_id(&self.newcomer.key),
            status_index: 2001,
            key: key.public(),
            ..self.payer_cert.clone()
        };
        issue_wallet(unsigned, &self.newcomer_key, &self.newcomer, &HEDGE)
    }

    /// The payer's, an hour that ended when the clock began.
    pub(super) fn expired_cert(&self) -> Result<WalletCert, VectorError> {
        let cert = WalletCert { not_before_s: START_S - 3600, lifetime_h: 1, ..self.payer_cert.clone() };
        Ok(self.scheme.certify(cert)?)
    }

    pub(super) fn request(&self) -> Request {
        Request {
            number: 7,
            nonce: Some(nonce("request")),
            amount: Some(amount(1250)),
            expiry_s: CLOCK_S + 3600,
            revocation_no: 3,
            trust_no: 1,
        }
    }

    pub(super) fn seal_request(&self, request: Request) -> Sealed<Request> {
        let signer = Signer::Cert(self.payee_cert.clone());
        Sealed::new(&self.scheme.id(), &self.payee, request, signer, None)
    }

    pub(super) fn payment(&self) -> Payment {
        Payment {
            request: self.seal_request(self.request()).id,
            request_no: 7,
            payee: self.payee.public(),
            amount: amount(1250),
            spent: amount(124_706),
            seq: 5,
            prev: digest("entry 4 of the payer"),
        }
    }

    pub(super) fn seal_payment(&self, payment: Payment) -> Sealed<Payment> {
        let signer = Signer::Cert(self.payer_cert.clone());
        Sealed::new(&self.scheme.id(), &self.payer, payment, signer, None)
    }

    pub(super) fn receipt(&self) -> Receipt {
        Receipt {
            payment: self.seal_payment(self.payment()).id,
            seq: 9,
            prev: digest("entry 8 of the payee"),
        }
    }

    pub(super) fn decline(&self) -> Decline {
        Decline {
            payment: self.seal_payment(self.payment()).id,
            reason: 319,
            seq: 9,
            prev: digest("entry 8 of the payee"),
        }
    }

    pub(super) fn seal_by_payee<B: counterfoil_wire::message::Body + Json>(&self, body: B) -> Sealed<B> {
        Sealed::new(&self.scheme.id(), &self.payee, body, Signer::Key(self.payee.public()), None)
    }

    pub(super) fn seal_by_payer<B: counterfoil_wire::message::Body + Json>(&self, body: B) -> Sealed<B> {
        let signer = Signer::Cert(self.payer_cert.clone());
        Sealed::new(&self.scheme.id(), &self.payer, body, signer, None)
    }

    pub(super) fn seal_by_signer<B: counterfoil_wire::message::Body + Json>(&self, body: B) -> Sealed<B> {
        let key = &self.scheme.signer_key;
        Sealed::new(&self.scheme.id(), key, body, Signer::Key(key.public()), None)
    }

    pub(super) fn seal_by_root(&self, body: TrustList) -> Sealed<TrustList> {
        let key = &self.scheme.root_key;
        Sealed::new(&self.scheme.id(), key, body, Signer::Key(key.public()), None)
    }

    pub(super) fn enrolment(&self) -> Enrolment {
        Enrolment {
            nonce: nonce("enrolment"),
            grade: Grade::VirtualSe,
            name: name(""),
            binding: enrolment_binding("alpha", "account 1", Some("activation code")),
            element: element(None),
        }
    }

    pub(super) fn fund_order(&self) -> FundOrder {
        FundOrder { number: 2, amount: amount(50_000), reference: reference("order") }
    }

    /// One that says little, so that its alterations stay short.
    pub(super) fn statement(&self) -> Statement {
        Statement {
            seq: 7,
            prev: digest("entry 6 of the payer"),
            after_seq: 5,
            after_prev: digest("entry 5 of the payer"),
            entries: vec![Entry::Defund { amount: amount(500), reference: reference("defund") }],
            receipts: vec![Bytes(self.seal_by_payee(self.receipt()).bytes().0)],
            proofs: vec![Bytes(proofs::fork(self).to_bytes())],
            funded: amount(40_000),
            received: amount(750),
            spent: amount(124_706),
            funding_total: amount(50_000),
            closed_below: 3,
            closed_before_s: START_S,
            rules_no: 1,
            trust_no: 1,
            revocation_no: 3,
            pin_blocked: false,
            tamper: None,
            nonce: nonce("statement"),
        }
    }

    /// An entry of every kind.
    fn entries(&self) -> Vec<Entry> {
        let payment = self.seal_payment(self.payment()).bytes();
        let decline = self.seal_by_payee(self.decline());
        vec![
            Entry::Payment { payment: payment.clone() },
            Entry::Receipt { payment: payment.clone() },
            Entry::Decline { payment, reason: 402 },
            Entry::Reclaim { payment: decline.body.payment, decline: decline.bytes() },
            Entry::Statement { digest: digest("an earlier statement") },
            Entry::Settled {
                settlement: digest("a settlement"),
                funded: amount(50_000),
                refunded: vec![digest("a payment")],
                returned: vec![3],
            },
            Entry::Defund { amount: amount(500), reference: reference("defund") },
        ]
    }

    /// One in which every field is there.
    pub(super) fn settlement(&self) -> Settlement {
        Settlement {
            wallet: self.payer.public(),
            nonce: nonce("statement"),
            acked_seq: 7,
            acked: self.seal_by_payer(self.statement()).id,
            time_s: CLOCK_S,
            funding_total: amount(50_000),
            order_no: 2,
            spent_start: Some(amount(123_456)),
            resolutions: vec![
                Resolution { payment: digest("one payment"), outcome: Outcome::Confirmed },
                Resolution { payment: digest("another payment"), outcome: Outcome::Refunded },
            ],
            returned: vec![6],
            paid_out: amount(0),
            standing: Standing::Good,
            balance: Some(amount(40_750)),
            pin_unblocked: true,
            cert: Some(self.payer_cert.clone()),
            root: Some(self.scheme.root.clone()),
            trust: Some(self.scheme.trust_message.clone()),
            rules: Some(self.seal_by_signer(Preset::DigitalEuro.rules()).bytes()),
            revocation: Some(self.seal_by_signer(self.revocation()).bytes()),
        }
    }

    /// A whole list.
    pub(super) fn revocation(&self) -> RevocationList {
        Revoked::build_full(3, START_S, &[13, 14, 1000, 70_000, u32::MAX])
    }

    /// The change from the list that [`Cast::held`] holds.
    pub(super) fn delta(&self) -> RevocationList {
        RevocationList { number: 4, issued_at_s: START_S, since: 3, added: vec![15], removed: vec![13, 987] }
    }

    pub(super) fn held(&self) -> Held {
        Held { number: 3, indexes: vec![13, 14, 1000, 70_000, u32::MAX] }
    }
}

pub(super) fn messages(algorithm: Algorithm) -> Result<Messages, VectorError> {
    let cast = Cast::new(algorithm)?;
    Ok(Messages {
        about: format!(
            "Every message under {} keys. A receiver that knows `context` and expects `kind` takes the valid ones and \
             refuses the invalid ones with the error's number.",
            algorithm.name()
        ),
        specification: texts([
            "spec/messages.md",
            "spec/signing.md",
            "spec/certificates.md",
            "spec/revocation.md",
        ]),
        context: context(&cast.scheme, CLOCK_S),
        valid: valid(&cast),
        invalid: altered::invalid(&cast)?,
    })
}

fn valid(cast: &Cast) -> Vec<Message> {
    let id = &cast.scheme.id();
    let mut messages = Vec::new();
    requests(cast, &mut messages);
    let standing = Request { number: STANDING_FIRST, nonce: None, ..cast.request() };
    let to_standing = Payment {
        request: cast.seal_request(standing.clone()).id,
        request_no: standing.number,
        ..cast.payment()
    };
    messages.push(cast.seal_payment(cast.payment()).message(id, "payment"));
    messages.push(cast.seal_payment(to_standing).message(id, "payment of a standing request"));
    let largest = Payment {
        request_no: u32::MAX,
        amount: Amount::MAX,
        spent: Amount::MAX,
        seq: u32::MAX,
        ..cast.payment()
    };
    messages.push(cast.seal_payment(largest).message(id, "payment, largest numbers"));
    let to_shop = Payment { payee: cast.shop.public(), ..cast.payment() };
    messages.push(cast.seal_payment(to_shop).message(id, "payment to a terminal"));
    let signer = Signer::Cert(cast.by_newcomer(&cast.payer));
    let carried = Sealed::new(id, &cast.payer, cast.payment(), signer, Some(&cast.newcomer));
    messages.push(carried.message(id, "payment with an issuer that the list does not name yet"));
    messages.push(cast.seal_by_payee(cast.receipt()).message(id, "receipt"));
    messages.push(cast.seal_by_payee(cast.decline()).message(id, "decline by the holder"));
    let refused = Decline { reason: 402, ..cast.decline() };
    messages.push(cast.seal_by_payee(refused).message(id, "decline by the rules"));
    messages.push(cast.seal_by_payee(cast.enrolment()).message(id, "enrolment"));
    let shop = Enrolment { grade: Grade::Terminal, name: cast.shop_cert.name.clone(), ..cast.enrolment() };
    messages.push(cast.seal_by_payee(shop).message(id, "enrolment of a terminal"));
    let measured = ElementStatement {
        image: digest("image"),
        image_version: 7,
        application: digest("application"),
        counter: CounterKind::Tpm,
        ..element(Some(Tamper::Image))
    };
    let bound = Enrolment { grade: Grade::VirtualSeBound, element: measured, ..cast.enrolment() };
    messages.push(
        cast.seal_by_payee(bound).message(id, "enrolment of a measured element, in the place of another"),
    );
    messages.push(cast.seal_by_payer(cast.fund_order()).message(id, "fund order"));
    messages.push(cast.seal_by_payer(cast.statement()).message(id, "statement"));
    let first = Statement {
        seq: 1,
        prev: Digest::NONE,
        after_seq: 0,
        after_prev: Digest::NONE,
        entries: vec![],
        receipts: vec![],
        proofs: vec![],
        ..cast.statement()
    };
    messages.push(cast.seal_by_payer(first).message(id, "statement, the first entry"));
    let every = Statement { entries: cast.entries(), pin_blocked: true, ..cast.statement() };
    messages.push(cast.seal_by_payer(every).message(id, "statement with an entry of every kind"));
    let tampered = Statement { tamper: Some(Tamper::Seal), ..cast.statement() };
    messages.push(cast.seal_by_payer(tampered).message(id, "statement of a deactivated wallet"));
    messages.push(cast.seal_by_signer(cast.settlement()).message(id, "settlement, every field"));
    let least = Settlement {
        spent_start: None,
        resolutions: vec![],
        returned: vec![],
        balance: None,
        pin_unblocked: false,
        cert: None,
        root: None,
        trust: None,
        rules: None,
        revocation: None,
        ..cast.settlement()
    };
    messages.push(cast.seal_by_signer(least.clone()).message(id, "settlement, fewest fields"));
    let suspended = Settlement { standing: Standing::Suspended, balance: Some(amount(0)), ..least };
    messages.push(cast.seal_by_signer(suspended).message(id, "settlement that suspends"));
    for preset in Preset::ALL {
        let rules = cast.seal_by_signer(preset.rules());
        messages.push(rules.message(id, &format!("rules, {}", preset.name())));
    }
    lists(cast, &mut messages);
    gossip(cast, &mut messages);
    messages
}

fn requests(cast: &Cast, messages: &mut Vec<Message>) {
    let id = &cast.scheme.id();
    let fixed = cast.request();
    for (word, request) in [
        ("one-time", fixed.clone()),
        ("standing", Request { number: STANDING_FIRST + 2, nonce: None, expiry_s: 0, ..fixed }),
    ] {
        for (form, amount) in [("fixed", request.amount), ("open", None)] {
            let request = Request { amount, ..request.clone() };
            let plain = cast.seal_request(request.clone());
            messages.push(plain.message(id, &format!("request, {word}, {form}")));
            let signer = Signer::Cert(cast.shop_cert.clone());
            let named = Sealed::new(id, &cast.shop, request.clone(), signer, None);
            messages.push(named.message(id, &format!("request, {word}, {form}, with a name")));
            let signer = Signer::Cert(cast.by_newcomer(&cast.payee));
            let carried = Sealed::new(id, &cast.payee, request, signer, Some(&cast.newcomer));
            messages.push(carried.message(id, &format!("request, {word}, {form}, with its issuer")));
        }
    }
}

fn lists(cast: &Cast, messages: &mut Vec<Message>) {
    let id = &cast.scheme.id();
    messages.push(cast.seal_by_root(cast.scheme.trust.clone()).message(id, "trust list"));
    let mut authorities = cast.scheme.trust.authorities.clone();
    authorities.push(cast.newcomer.clone());
    let second = TrustList { number: 2, issued_at_s: CLOCK_S, authorities };
    messages.push(cast.seal_by_root(second).message(id, "trust list 2, with a newcomer"));
    let empty = TrustList { number: 3, issued_at_s: CLOCK_S, authorities: vec![] };
    messages.push(cast.seal_by_root(empty).message(id, "trust list 3, nobody"));
    let mut list = |name: &str, list: RevocationList, held: Option<Held>, after: &[u32]| {
        let message = cast.seal_by_signer(list).message(id, name);
        messages.push(Message { held, revoked_after: Some(after.to_vec()), ..message });
    };
    list("revocation list, whole", cast.revocation(), None, &cast.held().indexes);
    list("revocation list, nobody", Revoked::build_full(1, START_S, &[]), None, &[]);
    list("revocation list, index 0", Revoked::build_full(1, START_S, &[0, 1]), None, &[0, 1]);
    let after = [14, 15, 70_000, u32::MAX];
    list("revocation list, change", cast.delta(), Some(cast.held()), &after);
    let whole = Revoked::build_full(4, START_S, &[15]);
    list("revocation list, whole over another", whole, Some(cast.held()), &[15]);
    let older = Revoked::build_full(3, START_S, &[15]);
    list("revocation list, not newer: ignored", older, Some(cast.held()), &cast.held().indexes);
}

fn gossip(cast: &Cast, messages: &mut Vec<Message>) {
    let full = Gossip {
        revocation: Some(cast.seal_by_signer(cast.revocation()).bytes()),
        trust: Some(cast.scheme.trust_message.clone()),
        proofs: proofs::each(cast),
        headers: vec![cast.seal_payment(cast.payment()).signed_header()],
    };
    let empty = Gossip { revocation: None, trust: None, proofs: vec![], headers: vec![] };
    let mut unsigned = |name: &str, kind: &str, fields: serde_json::Value, bytes: Vec<u8>| {
        messages.push(Message {
            name: name.to_owned(),
            kind: kind.to_owned(),
            fields,
            hex: hex_of(bytes),
            signed: None,
            held: None,
            revoked_after: None,
        });
    };
    for (name, gossip) in [("gossip", &full), ("gossip, nothing", &empty)] {
        unsigned(name, "gossip", gossip.to_json(), gossip.to_message());
    }
    let rider = Gossip { proofs: vec![proofs::fork(cast)], ..empty };
    for (name, message) in [
        ("bundle of a request", cast.seal_request(cast.request()).bytes()),
        ("bundle of a payment", cast.seal_payment(cast.payment()).bytes()),
        ("bundle of a receipt", cast.seal_by_payee(cast.receipt()).bytes()),
        ("bundle of a decline", cast.seal_by_payee(cast.decline()).bytes()),
    ] {
        let bundle = Bundle { message, gossip: Bytes(rider.to_message()) };
        unsigned(name, "bundle", bundle.to_json(), bundle.to_bytes());
    }
}
