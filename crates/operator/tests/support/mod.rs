//! An operator in a temporary folder, and wallets with the real trusted application in memory.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic, reason = "each test uses its part")]

pub mod database;
pub mod thief;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use counterfoil_operator::api::router;
use counterfoil_operator::store;
use counterfoil_operator::{AuditReport, InitOptions, NewKey, Place, Refusal, Service, init};
use counterfoil_rail::{Account, SimulatedRail};
use counterfoil_ta::TrustedApp;
use counterfoil_ta::api::{Command, Overview, Reply, Response};
use counterfoil_ta::env::{Batch, Env, Freshness, Store, StoreError};
use counterfoil_trust::key_id;
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::element::{CounterKind, ElementStatement};
use counterfoil_wire::sync::Standing;
use counterfoil_wire::{Amount, Bytes, Code, Digest, KeyId, Nonce, Reference, Wire};
use tower::ServiceExt as _;

use database::{Database, Schema, transactions};

pub const START_S: u32 = 1_800_000_000;

/// The image on the list of a production operator, and its version.
pub const IMAGE: (Digest, u32) = (Digest([7; 32]), 1);

pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub struct World {
    pub service: Service,
    pub clock: Arc<AtomicU32>,
    pub path: PathBuf,
    pub database: Database,
    // After the service, whose rows they hold.
    _rows: Schema,
    _dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut InitOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator");
        let mut options = InitOptions::sandbox(START_S);
        change(&mut options);
        let database = Database::new(&path);
        let place =
            Place { database: database.location(), transactions: Some(transactions()), ..Place::from(&path) };
        init(place, options).unwrap();
        let clock = Arc::new(AtomicU32::new(START_S));
        let service = open(&path, &clock);
        Self { service, clock, path, _rows: Schema(database.clone()), database, _dir: dir }
    }

    /// No sandbox, with one image on its list.
    pub fn production() -> Self {
        Self::with(|options| {
            options.sandbox = false;
            options.images = vec![IMAGE];
        })
    }

    /// The operator's rows, for whoever writes them without the operator.
    pub fn store(&self) -> Box<dyn store::Store> {
        let file = store::Location::Sqlite(self.path.join("operator.db"));
        store::open(&self.database.location().unwrap_or(file), transactions()).unwrap()
    }

    /// What the API answers to somebody with this bearer token: status and body.
    pub async fn get(&self, path: &str, token: &str) -> (u16, serde_json::Value) {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        let response = router(self.service.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// As after kill -9: everything in memory is gone.
    pub fn restart(&mut self) {
        self.service = open(&self.path, &self.clock);
    }

    pub fn wait(&self, seconds: u32) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn audit(&self) -> AuditReport {
        let report = self.service.audit().unwrap();
        let outside = counterfoil_operator::audit(&self.path).unwrap();
        assert_eq!(outside.broken, report.broken);
        report
    }

    /// The audit, which must find nothing.
    pub fn sound(&self) -> AuditReport {
        let report = self.audit();
        assert_eq!(report.broken, Vec::<String>::new());
        report
    }

    pub fn wallet(&self, psp: &str, account: &str, grade: Grade, es256: bool) -> Wallet {
        self.wallet_with_clock(psp, account, grade, es256, self.clock.clone())
    }

    /// A wallet whose device has a clock of its own.
    pub fn wallet_with_clock(
        &self,
        psp: &str,
        account: &str,
        grade: Grade,
        es256: bool,
        clock: Arc<AtomicU32>,
    ) -> Wallet {
        let mut wallet = Wallet::new(clock);
        let name = if grade == Grade::Terminal { "Shop" } else { "" };
        let root = self.service.scheme().anchors.root.clone();
        let name = Name::new(name).unwrap();
        let binding = counterfoil_trust::enrolment_binding(psp, account, None);
        let element = self.element(grade);
        let enrol = Command::Enrol { es256, grade, name, pin: None, root, binding, element };
        let enrolment = wallet.message(&enrol).unwrap();
        let settlement = self.enrol(psp, account, None, &enrolment.0).unwrap();
        wallet.run(&Command::Settle { settlement: Bytes(settlement) }).unwrap();
        wallet
    }

    /// What a host may say of an element that is to have this grade here.
    pub fn element(&self, grade: Grade) -> ElementStatement {
        let bound = matches!(grade, Grade::Hardware | Grade::VirtualSeBound);
        let counter = if bound { CounterKind::Simulated } else { CounterKind::None };
        let native = ElementStatement::native(counter, self.challenge());
        let (image, image_version) = if self.service.scheme().sandbox { (Digest::NONE, 0) } else { IMAGE };
        ElementStatement { image, image_version, ..native }
    }

    pub fn challenge(&self) -> Nonce {
        self.service.challenge().unwrap().0
    }

    pub fn enrol(
        &self,
        psp: &str,
        account: &str,
        activation: Option<&str>,
        enrolment: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        self.service.enrol(&NewKey { psp, account, activation, enrolment, attestation: None })
    }

    /// Lets the operator's jobs run, and audits.
    pub fn jobs(&self) -> AuditReport {
        self.service.catch_up().unwrap();
        self.sound()
    }

    /// What an account has on the rail.
    pub fn on_rail(&self, psp: &str, account: &str) -> u64 {
        let rail = SimulatedRail::snapshot(&self.path.join("rail.db")).unwrap();
        rail.balance(&Account::new(psp, account)).unwrap()
    }

    pub fn person(&self, account: &str) -> Wallet {
        self.wallet("alpha", account, Grade::VirtualSe, false)
    }

    pub fn fund(&self, wallet: &mut Wallet, minor: u64) {
        let order = wallet.fund_order(minor).unwrap();
        self.service.fund(&order.0).unwrap();
        self.sync(wallet).unwrap();
    }

    pub fn sync(&self, wallet: &mut Wallet) -> Result<Reply, Refusal> {
        let statement = wallet.message(&Command::Statement {}).unwrap();
        let settlement = self.service.settle(&statement.0)?;
        Ok(wallet.run(&Command::Settle { settlement: Bytes(settlement) }).unwrap())
    }
}

fn open(path: &std::path::Path, clock: &Arc<AtomicU32>) -> Service {
    let clock = clock.clone();
    let service = Service::open(path, Arc::new(move || clock.load(Ordering::Relaxed))).unwrap();
    service.catch_up().unwrap();
    service
}

pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

pub struct MemoryStore(Rc<RefCell<Records>>);

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.borrow().get(key).cloned())
    }
    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for (key, value) in self.0.borrow().iter().filter(|(key, _)| key.starts_with(prefix)) {
            visit(key, value);
        }
        Ok(())
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut records = self.0.borrow_mut();
        for (key, value) in batch.ops() {
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        Ok(())
    }
}

pub struct Host {
    store: MemoryStore,
    clock: Arc<AtomicU32>,
}

impl Env for Host {
    type Store = MemoryStore;
    fn store(&self) -> &MemoryStore {
        &self.store
    }
    fn store_mut(&mut self) -> &mut MemoryStore {
        &mut self.store
    }
    fn fill_random(&mut self, buf: &mut [u8]) {
        getrandom::fill(buf).unwrap();
    }
    fn now_s(&self) -> u32 {
        self.clock.load(Ordering::Relaxed)
    }
    fn freshness(&self) -> Freshness {
        Freshness::Unprovable
    }
}

pub struct Wallet {
    app: TrustedApp<Host>,
    records: Rc<RefCell<Records>>,
    clock: Arc<AtomicU32>,
}

static REFERENCES: AtomicU64 = AtomicU64::new(0);

fn reference() -> Reference {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&REFERENCES.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Reference(bytes)
}

impl Wallet {
    fn new(clock: Arc<AtomicU32>) -> Self {
        let records = Rc::new(RefCell::new(Records::new()));
        let host = Host { store: MemoryStore(records.clone()), clock: clock.clone() };
        Self { app: TrustedApp::open(host), records, clock }
    }

    /// The same wallet twice: what a thief with a copy of the store would have.
    pub fn copy(&self) -> Self {
        let records = Rc::new(RefCell::new(self.records.borrow().clone()));
        let host = Host { store: MemoryStore(records.clone()), clock: self.clock.clone() };
        Self { app: TrustedApp::open(host), records, clock: self.clock.clone() }
    }

    /// What is in the store, for whoever broke the seal. The application reads it anew in a [`copy`](Self::copy).
    pub fn records(&self) -> std::cell::RefMut<'_, Records> {
        self.records.borrow_mut()
    }

    pub fn run(&mut self, command: &Command) -> Result<Reply, Code> {
        Response::from_bytes(&self.app.process(&command.to_bytes())).unwrap().0.map_err(|e| e.code)
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

    pub fn id(&mut self) -> KeyId {
        key_id(&self.show().key)
    }

    pub fn is_suspended(&mut self) -> bool {
        self.show().standing == Standing::Suspended
    }

    pub fn fund_order(&mut self, minor: u64) -> Result<Bytes, Code> {
        self.message(&Command::FundOrder { amount: amount(minor), reference: reference() })
    }

    pub fn defund(&mut self, minor: u64) -> Result<Reply, Code> {
        self.run(&Command::Defund { amount: amount(minor), pin: None, reference: reference() })
    }

    pub fn request(&mut self, minor: u64) -> Bytes {
        self.try_request(minor).unwrap()
    }

    pub fn try_request(&mut self, minor: u64) -> Result<Bytes, Code> {
        let amount = Some(amount(minor));
        self.message(&Command::Request { amount, standing: false, reference: reference() })
    }

    pub fn pay(&mut self, request: &Bytes) -> Result<Bytes, Code> {
        let command = Command::Pay {
            request: request.clone(),
            amount: None,
            pin: None,
            reference: reference(),
            approval: None,
        };
        self.message(&command)
    }

    pub fn accept(&mut self, payment: &Bytes) -> Result<Bytes, Code> {
        match self.run(&Command::Accept { payment: payment.clone() })? {
            Reply::Accepted { receipt, .. } => Ok(receipt),
            Reply::Declined { reason, .. } => Err(Code::from_number(reason).unwrap()),
            other => panic!("neither accepted nor declined but {other:?}"),
        }
    }

    pub fn decline(&mut self, payment: &Bytes) -> Bytes {
        match self.run(&Command::Decline { payment: payment.clone() }).unwrap() {
            Reply::Declined { decline, .. } => decline,
            other => panic!("not declined but {other:?}"),
        }
    }

    pub fn confirm(&mut self, receipt: &Bytes) {
        self.run(&Command::Confirm { receipt: receipt.clone() }).unwrap();
    }

    pub fn reclaim(&mut self, decline: &Bytes) -> Result<Reply, Code> {
        self.run(&Command::Reclaim { decline: decline.clone() })
    }

    /// Pays `payee` in person; the receipt is lost where `confirmed` is false.
    pub fn pay_to(&mut self, payee: &mut Wallet, minor: u64, confirmed: bool) {
        let request = payee.request(minor);
        let payment = self.pay(&request).unwrap();
        let receipt = payee.accept(&payment).unwrap();
        if confirmed {
            self.confirm(&receipt);
        }
    }
}
