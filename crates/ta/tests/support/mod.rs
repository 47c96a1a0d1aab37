//! A world for the trusted application's tests: wallets in memory, and an operator that is as simple as can be.
//!
//! Where the application runs is not decided here: a wallet is opened by `open_door` of the module `door` beside this one.
//! Whoever includes the tests elsewhere brings another `door`, and every test runs there.

#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses its part"
)]

mod device;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use counterfoil_ta::api::{Command, Overview, Pin, Reply, Response};
use counterfoil_trust::x509::{issue_authority, issue_root, issue_wallet};
use counterfoil_trust::{Anchors, SigningKey, enrolment_binding, key_id, open, seal};
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::element::{CounterKind, ElementStatement};
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList, to_gaps};
use counterfoil_wire::message::{Decline, Payment, STANDING_FIRST};
use counterfoil_wire::rules::{Preset, Rules};
use counterfoil_wire::sync::{
    Enrolment, Entry, FundOrder, Outcome, Resolution, Settlement, Standing, Statement,
};
use counterfoil_wire::{
    Algorithm, Amount, Bytes, Code, Currency, Digest, PublicKey, Reference, Signature, Wire,
};

use super::door::open_door;
pub use device::{Cut, Device, Door, Host};

pub const START_S: u32 = 1_800_000_000;
pub const HEDGE: [u8; 32] = [7; 32];

pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub struct Wallet {
    door: Door,
    pub device: Rc<Device>,
    references: u64,
}

impl Wallet {
    pub fn new(seed: u64) -> Self {
        let device = Rc::new(Device::default());
        device.random.set(seed << 32);
        device.now_s.set(START_S);
        Self { door: open_door(&device), device, references: seed << 32 }
    }

    /// As after a crash: everything in memory is gone.
    pub fn reopen(&mut self) {
        self.device.cut.set(None);
        self.door = open_door(&self.device);
    }

    /// A copy of everything that is stored, as a thief would take it.
    pub fn snapshot(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.device.records.borrow().clone()
    }

    pub fn restore(&mut self, records: BTreeMap<Vec<u8>, Vec<u8>>) {
        *self.device.records.borrow_mut() = records;
        self.reopen();
    }

    pub fn reference(&mut self) -> Reference {
        self.references += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.references.to_be_bytes());
        Reference(bytes)
    }

    /// Through the door: any bytes.
    pub fn process(&mut self, command: &[u8]) -> Vec<u8> {
        (self.door)(command)
    }

    pub fn run(&mut self, command: &Command) -> Result<Reply, Code> {
        Response::from_bytes(&self.process(&command.to_bytes())).unwrap().0.map_err(|e| e.code)
    }

    pub fn message(&mut self, command: &Command) -> Result<Bytes, Code> {
        match self.run(command)? {
            Reply::Message { message, .. } => Ok(message),
            other => panic!("no message but {other:?}"),
        }
    }

    pub fn show(&mut self) -> Overview {
        match self.run(&Command::Show {}).unwrap() {
            Reply::Overview { overview } => overview,
            other => panic!("no overview but {other:?}"),
        }
    }

    pub fn balance(&mut self) -> u64 {
        let overview = self.show();
        overview.funded.minor() + overview.received.minor()
    }

    pub fn request(&mut self, amount: Option<u64>) -> Bytes {
        let reference = self.reference();
        let amount = amount.map(self::amount);
        self.message(&Command::Request { amount, standing: false, reference }).unwrap()
    }

    pub fn standing_request(&mut self) -> Bytes {
        let reference = self.reference();
        self.message(&Command::Request { amount: None, standing: true, reference }).unwrap()
    }

    pub fn pay(&mut self, request: &Bytes, amount: Option<u64>, pin: Option<&str>) -> Result<Bytes, Code> {
        let reference = self.reference();
        let amount = amount.map(self::amount);
        self.message(&Command::Pay {
            request: request.clone(),
            amount,
            pin: pin.map(self::pin),
            reference,
            approval: None,
        })
    }

    pub fn accept(&mut self, payment: &Bytes) -> Result<Bytes, Code> {
        match self.run(&Command::Accept { payment: payment.clone() })? {
            Reply::Accepted { receipt, .. } => Ok(receipt),
            Reply::Declined { reason, .. } => Err(Code::from_number(reason).unwrap()),
            other => panic!("neither accepted nor declined but {other:?}"),
        }
    }

    pub fn decline(&mut self, payment: &Bytes) -> Result<Bytes, Code> {
        match self.run(&Command::Decline { payment: payment.clone() })? {
            Reply::Declined { decline, .. } => Ok(decline),
            other => panic!("not declined but {other:?}"),
        }
    }

    pub fn confirm(&mut self, receipt: &Bytes) -> Result<Reply, Code> {
        self.run(&Command::Confirm { receipt: receipt.clone() })
    }

    pub fn reclaim(&mut self, decline: &Bytes) -> Result<Reply, Code> {
        self.run(&Command::Reclaim { decline: decline.clone() })
    }

    /// Hands on what this wallet knows to `other`.
    pub fn gossip_to(&mut self, other: &mut Wallet) -> Result<Vec<PublicKey>, Code> {
        let gossip = self.message(&Command::GossipOut { room: 60_000 })?;
        match other.run(&Command::GossipIn { gossip })? {
            Reply::Learnt { cheats, .. } => Ok(cheats),
            other => panic!("nothing learnt but {other:?}"),
        }
    }
}

pub fn pin(digits: &str) -> Pin {
    Pin(digits.to_string().into())
}

/// What a wallet of these tests runs in.
pub fn element() -> ElementStatement {
    ElementStatement::native(CounterKind::Simulated, counterfoil_wire::Nonce([6; 16]))
}

/// What the operator knows of one payment.
#[derive(Clone)]
struct Half {
    payer: PublicKey,
    payee: PublicKey,
    request_no: u32,
    not_after_s: u32,
    taken: bool,
    declined: bool,
}

#[derive(Clone)]
struct Account {
    index: u32,
    granted: u64,
    order_no: u32,
    spent: u64,
    cert: WalletCert,
    settled: BTreeMap<u32, Vec<u8>>,
    closed_below: u32,
    closed_before_s: u32,
}

/// An operator without a ledger: it answers statements by the rules of the specification and keeps totals.
pub struct Operator {
    pub root: RootCert,
    root_key: SigningKey,
    signer: SigningKey,
    issuers: BTreeMap<Algorithm, (SigningKey, AuthorityCert)>,
    pub anchors: Anchors,
    trust: Bytes,
    pub rules: Rules,
    pub now_s: u32,
    accounts: BTreeMap<PublicKey, Account>,
    payments: BTreeMap<Digest, Half>,
    pub revoked: BTreeSet<u32>,
    revocation_no: u32,
    pub funded: u64,
    pub defunded: u64,
    pub suspended: BTreeSet<PublicKey>,
    pub unblock: BTreeSet<PublicKey>,
    /// How far above `spent` the next certificates' ceilings are, where not as far as the rules allow.
    pub ceiling_margin: Option<u64>,
}

/// What an operator has learnt since it was made, to go back to.
#[derive(Clone)]
pub struct Memory {
    accounts: BTreeMap<PublicKey, Account>,
    payments: BTreeMap<Digest, Half>,
    revoked: BTreeSet<u32>,
    revocation_no: u32,
    funded: u64,
    defunded: u64,
    suspended: BTreeSet<PublicKey>,
    unblock: BTreeSet<PublicKey>,
    now_s: u32,
}

impl Operator {
    pub fn memory(&self) -> Memory {
        Memory {
            accounts: self.accounts.clone(),
            payments: self.payments.clone(),
            revoked: self.revoked.clone(),
            revocation_no: self.revocation_no,
            funded: self.funded,
            defunded: self.defunded,
            suspended: self.suspended.clone(),
            unblock: self.unblock.clone(),
            now_s: self.now_s,
        }
    }

    pub fn restore(&mut self, memory: Memory) {
        let Memory { accounts, payments, revoked, revocation_no, .. } = memory;
        (self.accounts, self.payments) = (accounts, payments);
        (self.revoked, self.revocation_no) = (revoked, revocation_no);
        (self.funded, self.defunded, self.now_s) = (memory.funded, memory.defunded, memory.now_s);
        (self.suspended, self.unblock) = (memory.suspended, memory.unblock);
    }

    pub fn new() -> Self {
        let root_key = SigningKey::from_secret(Algorithm::EdDsa, &[1; 32]).unwrap();
        let name = |text| Name::new(text).unwrap();
        let root = issue_root(name("test scheme"), START_S - 10, 3650, &root_key, &HEDGE);
        let signer = SigningKey::from_secret(Algorithm::EdDsa, &[2; 32]).unwrap();
        let certify = |role, text, key: &SigningKey, grades, first, last| {
            let cert = AuthorityCert {
                role,
                name: name(text),
                not_before_s: START_S - 10,
                lifetime_d: 3000,
                since: 1,
                grades,
                index_first: first,
                index_last: last,
                key: key.public(),
                signature: Signature([0; 64]),
            };
            issue_authority(cert, &root_key, &root, &HEDGE)
        };
        let mut authorities = vec![certify(Role::Signer, "service", &signer, 0, 0, 0)];
        let mut issuers = BTreeMap::new();
        for (number, algorithm) in [(0, Algorithm::EdDsa), (1, Algorithm::Es256)] {
            let key = SigningKey::from_secret(algorithm, &[3 + number as u8; 32]).unwrap();
            let cert = certify(Role::Issuer, "alpha", &key, 15, number * 1000, number * 1000 + 999);
            authorities.push(cert.clone());
            issuers.insert(algorithm, (key, cert));
        }
        let mut anchors = Anchors::new(root.clone()).unwrap();
        let list = TrustList { number: 1, issued_at_s: START_S, authorities };
        let signed = Signer::Key(root_key.public());
        let (trust, _) = seal(&anchors.scheme, &root_key, &HEDGE, &list, signed, None);
        let trust = Bytes(trust.to_bytes());
        anchors.adopt(&trust.0).unwrap();
        Self {
            root,
            root_key,
            signer,
            issuers,
            anchors,
            trust,
            rules: Preset::Permissive.rules(),
            now_s: START_S,
            accounts: BTreeMap::new(),
            payments: BTreeMap::new(),
            revoked: BTreeSet::new(),
            revocation_no: 1,
            funded: 0,
            defunded: 0,
            suspended: BTreeSet::new(),
            unblock: BTreeSet::new(),
            ceiling_margin: None,
        }
    }

    pub fn sign<B: counterfoil_wire::message::Body>(&self, body: &B) -> Envelope {
        seal(&self.anchors.scheme, &self.signer, &HEDGE, body, Signer::Key(self.signer.public()), None).0
    }

    /// As [`Operator::sign`], by the root.
    pub fn sign_by_root<B: counterfoil_wire::message::Body>(&self, body: &B) -> Envelope {
        let signed = Signer::Key(self.root_key.public());
        seal(&self.anchors.scheme, &self.root_key, &HEDGE, body, signed, None).0
    }

    pub fn issue(&self, index: u32, grade: Grade, key: PublicKey, ceiling: u64, name: Name) -> WalletCert {
        let (issuer_key, issuer) = &self.issuers[&key.algorithm()];
        let limits = self.rules.limits(grade).unwrap();
        let cert = WalletCert {
            issuer: key_id(&issuer.key),
            not_before_s: self.now_s,
            lifetime_h: limits.cert_lifetime_h,
            status_index: index,
            grade,
            currency: Currency::EUR,
            ceiling: amount(ceiling),
            key,
            name,
            signature: Signature([0; 64]),
        };
        issue_wallet(cert, issuer_key, issuer, &HEDGE)
    }

    pub fn issuer(&self, algorithm: Algorithm) -> &AuthorityCert {
        &self.issuers[&algorithm].1
    }

    pub fn revoke(&mut self, key: &PublicKey) {
        self.revoked.insert(self.accounts[key].index);
        self.revocation_no += 1;
        self.suspended.insert(*key);
    }

    pub fn revocation_list(&self) -> Bytes {
        let indexes: Vec<u32> = self.revoked.iter().copied().collect();
        let list = RevocationList {
            number: self.revocation_no,
            issued_at_s: self.now_s,
            since: 0,
            added: to_gaps(&indexes),
            removed: vec![],
        };
        Bytes(self.sign(&list).to_bytes())
    }

    pub fn enrol(&mut self, wallet: &mut Wallet, algorithm: Algorithm, grade: Grade, pin: Option<&str>) {
        let name = Name::new(if grade == Grade::Terminal { "Café Blau" } else { "" }).unwrap();
        let enrol = Command::Enrol {
            es256: algorithm == Algorithm::Es256,
            grade,
            name: name.clone(),
            pin: pin.map(self::pin),
            root: self.root.clone(),
            binding: enrolment_binding("alpha", "account", None),
            element: element(),
        };
        let enrolment = wallet.message(&enrol).unwrap();
        let opened = open::<Enrolment>(&enrolment.0).unwrap();
        opened.check_signature(&self.anchors.scheme).unwrap();
        let key = opened.header.key;
        let base = if algorithm == Algorithm::EdDsa { 0 } else { 1000 };
        let index = base + self.accounts.len() as u32;
        let spent = 123_456 + 1000 * u64::from(index);
        let ceiling = spent + self.rules.limits(grade).unwrap().sync_total_max.minor();
        let cert = self.issue(index, grade, key, ceiling, name);
        let settlement = Settlement {
            spent_start: Some(amount(spent)),
            cert: Some(cert.clone()),
            root: Some(self.root.clone()),
            ..self.settlement(key, opened.body.nonce)
        };
        let settlement = Bytes(self.sign(&settlement).to_bytes());
        let account = Account {
            index,
            granted: 0,
            order_no: 0,
            spent,
            cert,
            settled: BTreeMap::new(),
            closed_below: 0,
            closed_before_s: 0,
        };
        self.accounts.insert(key, account);
        wallet.run(&Command::Settle { settlement }).unwrap();
    }

    fn settlement(&self, wallet: PublicKey, nonce: counterfoil_wire::Nonce) -> Settlement {
        Settlement {
            wallet,
            nonce,
            acked_seq: 0,
            acked: Digest::NONE,
            time_s: self.now_s,
            funding_total: Amount::ZERO,
            order_no: 0,
            spent_start: None,
            resolutions: vec![],
            returned: vec![],
            paid_out: Amount::ZERO,
            standing: Standing::Good,
            balance: None,
            pin_unblocked: false,
            cert: None,
            root: None,
            trust: Some(self.trust.clone()),
            rules: Some(Bytes(self.sign(&self.rules).to_bytes())),
            revocation: Some(self.revocation_list()),
        }
    }

    pub fn fund(&mut self, wallet: &mut Wallet, minor: u64) -> Result<(), Code> {
        let reference = wallet.reference();
        let order = wallet.message(&Command::FundOrder { amount: amount(minor), reference })?;
        self.take_order(&order);
        self.sync(wallet);
        Ok(())
    }

    pub fn take_order(&mut self, order: &Bytes) {
        let opened = open::<FundOrder>(&order.0).unwrap();
        opened.check_signature(&self.anchors.scheme).unwrap();
        let account = self.accounts.get_mut(&opened.header.key).unwrap();
        if opened.body.number > account.order_no {
            account.order_no = opened.body.number;
            account.granted += opened.body.amount.minor();
            self.funded += opened.body.amount.minor();
        }
    }

    pub fn granted(&self, key: &PublicKey) -> u64 {
        self.accounts[key].granted
    }

    pub fn sync(&mut self, wallet: &mut Wallet) {
        let statement = wallet.message(&Command::Statement {}).unwrap();
        let settlement = self.settle(&statement);
        wallet.run(&Command::Settle { settlement }).unwrap();
    }

    /// Answers a statement; the same statement gets the same answer.
    pub fn settle(&mut self, statement: &Bytes) -> Bytes {
        let opened = open::<Statement>(&statement.0).unwrap();
        opened.check_signature(&self.anchors.scheme).unwrap();
        let key = opened.header.key;
        let body = &opened.body;
        if let Some(before) = self.accounts[&key].settled.get(&body.seq) {
            return Bytes(before.clone());
        }
        let terminal = self.accounts[&key].cert.grade == Grade::Terminal;
        let mut paid_out = 0;
        for entry in &body.entries {
            match entry {
                Entry::Payment { payment } => {
                    let half = self.half(payment);
                    assert_eq!(half.payer, key);
                    let spent = open::<Payment>(&payment.0).unwrap().body.spent.minor();
                    self.accounts.get_mut(&key).unwrap().spent = spent;
                }
                Entry::Receipt { payment } => {
                    let half = self.half(payment);
                    assert!(!half.taken && half.payee == key, "taken twice or by another");
                    half.taken = true;
                    if terminal {
                        paid_out += open::<Payment>(&payment.0).unwrap().body.amount.minor();
                    }
                }
                Entry::Decline { payment, .. } => {
                    let half = self.half(payment);
                    assert!(!half.taken);
                    half.declined = true;
                }
                Entry::Reclaim { decline, .. } => {
                    let decline = open::<Decline>(&decline.0).unwrap();
                    decline.check_signature(&self.anchors.scheme).unwrap();
                }
                Entry::Defund { amount, .. } => self.defunded += amount.minor(),
                Entry::Statement { .. } | Entry::Settled { .. } => {}
            }
        }
        self.defunded += paid_out;
        let account = self.accounts.get_mut(&key).unwrap();
        account.closed_below = body.closed_below;
        account.closed_before_s = body.closed_before_s;
        let (granted, order_no) = (account.granted, account.order_no);
        let by_rules = self.rules.limits(account.cert.grade).unwrap().sync_total_max.minor();
        let ceiling = account.spent.max(body.spent.minor()) + self.ceiling_margin.unwrap_or(by_rules);
        let (index, grade, name) = (account.index, account.cert.grade, account.cert.name.clone());
        let cert = self.issue(index, grade, key, ceiling, name);
        let mut resolutions = vec![];
        for (id, half) in &self.payments {
            let payee = &self.accounts[&half.payee];
            let closed = half.declined
                || (half.request_no < STANDING_FIRST && half.request_no < payee.closed_below)
                || half.not_after_s < payee.closed_before_s;
            if half.payer == key && half.taken {
                resolutions.push(Resolution { payment: *id, outcome: Outcome::Confirmed });
            } else if half.payer == key && closed {
                resolutions.push(Resolution { payment: *id, outcome: Outcome::Refunded });
            }
        }
        let suspended = self.suspended.contains(&key);
        let settlement = Settlement {
            acked_seq: body.seq,
            acked: opened.id(&self.anchors.scheme),
            funding_total: amount(granted),
            order_no,
            resolutions,
            paid_out: amount(paid_out),
            standing: if suspended { Standing::Suspended } else { Standing::Good },
            pin_unblocked: self.unblock.remove(&key),
            cert: Some(cert),
            ..self.settlement(key, body.nonce)
        };
        let bytes = self.sign(&settlement).to_bytes();
        self.accounts.get_mut(&key).unwrap().settled.insert(body.seq, bytes.clone());
        Bytes(bytes)
    }

    fn half(&mut self, payment: &Bytes) -> &mut Half {
        let opened = open::<Payment>(&payment.0).unwrap();
        opened.check_signature(&self.anchors.scheme).unwrap();
        let Signer::Cert(cert) = &opened.envelope.signer else { panic!("no certificate") };
        let half = Half {
            payer: opened.header.key,
            payee: opened.body.payee,
            request_no: opened.body.request_no,
            not_after_s: cert.not_after_s(),
            taken: false,
            declined: false,
        };
        self.payments.entry(opened.id(&self.anchors.scheme)).or_insert(half)
    }
}

/// An operator, wallets `a` (EdDSA), `b` (ES256), `c` (EdDSA) and a terminal `t`; `a` and `b` hold 500.00 each.
pub struct World {
    pub operator: Operator,
    pub a: Wallet,
    pub b: Wallet,
    pub c: Wallet,
    pub t: Wallet,
}

pub const PIN: &str = "4711";

impl World {
    pub fn new() -> Self {
        Self::with_rules(Preset::Permissive.rules())
    }

    pub fn with_rules(rules: Rules) -> Self {
        let mut operator = Operator::new();
        operator.rules = rules;
        let [mut a, mut b, mut c, mut t] = [1, 2, 3, 4].map(Wallet::new);
        operator.enrol(&mut a, Algorithm::EdDsa, Grade::VirtualSe, Some(PIN));
        operator.enrol(&mut b, Algorithm::Es256, Grade::VirtualSe, Some(PIN));
        operator.enrol(&mut c, Algorithm::EdDsa, Grade::VirtualSe, Some(PIN));
        operator.enrol(&mut t, Algorithm::Es256, Grade::Terminal, None);
        operator.fund(&mut a, 50_000).unwrap();
        operator.fund(&mut b, 50_000).unwrap();
        Self { operator, a, b, c, t }
    }

    /// Sets every clock.
    pub fn set_time(&mut self, now_s: u32) {
        self.operator.now_s = now_s;
        for wallet in [&self.a, &self.b, &self.c, &self.t] {
            wallet.device.now_s.set(now_s);
        }
    }
}
