//! The operator's operations: each takes what a caller sent, decides through [`domain`](crate::domain), and writes once.

mod attestation;
pub mod cases;
mod closing;
mod enrol;
mod fund;
mod images;
pub mod intake;
mod lists;
mod moves;
mod policy;
mod psp;
pub mod report;
mod settle;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use counterfoil_rail::SimulatedRail;
use counterfoil_trust::{Anchors, open, seal};
use counterfoil_wire::cert::{AuthorityCert, Role, RootCert, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::Settlement;
use counterfoil_wire::{Algorithm, Amount, Code, Digest, Wire};

use crate::challenge::Challenges;
use crate::domain::audit::{AuditReport, Entry, audit};
use crate::domain::reason::Reason;
use crate::domain::wallet::Wallet;
use crate::error::{OperatorError, Refusal, random};
use crate::factory;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::place::Place;
use crate::signatures::Seen;
use crate::store::{self, Batch, Issued, Kept, ListKind, Snapshot, Store, StoreError, Work};

pub use enrol::NewKey;
pub use fund::FundReply;
pub use images::ImageReport;
pub use intake::Intake;
pub use psp::Activation;

/// Held during an operation, and while the folder is made.
pub(crate) const LOCK_FILE: &str = "lock";

/// The setting that holds the secret under which challenges are given out, in hex.
pub(crate) const CHALLENGE_SECRET: &str = "challenge_secret";

/// Tells the time, seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u32 + Send + Sync>;

/// The clock of this machine.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.ok().and_then(|now| u32::try_from(now.as_secs()).ok()).unwrap_or(u32::MAX)
    })
}

/// What everybody may know of the scheme.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// Its name.
    pub name: String,
    /// Whether it is a sandbox.
    pub sandbox: bool,
    /// PSPs.
    pub psps: Vec<String>,
    /// Root, trust list and authorities.
    pub anchors: Anchors,
    /// The trust list, as published.
    pub trust: Vec<u8>,
    /// The rules.
    pub rules: Rules,
    /// The rules, as published.
    pub rules_bytes: Vec<u8>,
}

impl Scheme {
    /// The issuer of a PSP for keys of an algorithm.
    pub fn issuer(&self, psp: &str, algorithm: Algorithm) -> Option<&AuthorityCert> {
        self.anchors.authorities().find(|authority| {
            authority.role == Role::Issuer
                && authority.name.as_str() == psp
                && authority.key.algorithm() == algorithm
        })
    }
}

/// What only one operation at a time may touch.
pub(crate) struct Desk {
    pub(crate) store: Box<dyn Store>,
    pub(crate) rail: SimulatedRail,
    lock: File,
}

/// An operator at work on its folder. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct Service {
    scheme: Arc<Scheme>,
    keys: Arc<Keys>,
    challenges: Challenges,
    seen: Arc<Seen>,
    metrics: Arc<Metrics>,
    desk: Arc<Mutex<Desk>>,
    beside: Arc<Mutex<Box<dyn Store>>>,
    /// Held by the batch of statements whose signatures are checked.
    reading: Arc<Mutex<()>>,
    looks: Arc<Mutex<()>>,
    clock: Clock,
    dir: Arc<PathBuf>,
}

impl Service {
    /// Opens the operator at `place`. What a crash left undone is finished by [`Service::catch_up`].
    ///
    /// # Errors
    /// [`OperatorError::NotAnOperator`], [`OperatorError::Damaged`], and those of place, keys, store and rail.
    pub fn open(place: impl Into<Place>, clock: Clock) -> Result<Self, OperatorError> {
        let file = |path: PathBuf| move |source| OperatorError::File { path, source };
        let place = place.into();
        let store = open_store(&place)?;
        let dir = place.dir.as_path();
        let root_path = dir.join("operator-root.cbor");
        let root = std::fs::read(&root_path).map_err(file(root_path))?;
        let scheme = scheme(store.as_ref(), &root)?;
        let challenges = Challenges::new(&challenge_secret(store.as_ref())?);
        let rail = SimulatedRail::open(&dir.join("rail.db"))?;
        let desk = Desk { store, rail, lock: lock_file(dir)? };
        Ok(Self {
            keys: Arc::new(Keys::read(dir, &scheme.psps)?),
            scheme: Arc::new(scheme),
            challenges,
            seen: Arc::new(Seen::new()?),
            metrics: Arc::default(),
            desk: Arc::new(Mutex::new(desk)),
            beside: Arc::new(Mutex::new(open_store(&place)?)),
            reading: Arc::default(),
            looks: Arc::default(),
            clock,
            dir: Arc::new(dir.to_owned()),
        })
    }

    /// What everybody may know of the scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// What is counted while it runs.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// How much was asked of the store.
    pub fn work(&self) -> Work {
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner).work();
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).store.work().plus(beside)
    }

    /// The time, seconds since 1970.
    pub fn now_s(&self) -> u32 {
        (self.clock)()
    }

    /// Runs one operation alone: no other thread, no other process on this folder or this database, is in one. An operation that
    /// panicked wrote all or nothing, so that the next one may go on.
    pub(crate) fn exclusively<T>(
        &self,
        run: impl FnOnce(&mut Desk) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.lock.lock()?;
        let done = desk.store.lock().map_err(Refusal::from).and_then(|()| run(&mut desk));
        desk.store.unlock()?;
        desk.lock.unlock()?;
        done
    }

    /// Looks something up while others write, on a connection of its own: what an operation wrote, it wrote whole in each bucket, and
    /// nothing that is looked up here is of two.
    fn beside<T>(&self, look: impl FnOnce(&dyn Store) -> Result<T, StoreError>) -> Result<T, Refusal> {
        let store = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(look(store.as_ref())?)
    }

    /// Finishes what was ordered and not done: fund orders, rail transfers, revocations. Does what has fallen due:
    /// writes losses off and returns what closed wallets had not spent.
    ///
    /// # Errors
    /// [`Refusal::Store`], [`Refusal::System`], [`Refusal::Random`]. A rail that does not answer is asked again later.
    pub fn catch_up(&self) -> Result<(), Refusal> {
        self.exclusively(|desk| {
            for order in desk.store.pending_orders()? {
                match self.finish_order(desk, order) {
                    Err(Refusal::Rail(error)) => tracing::warn!(%error, "a fund order waits for the rail"),
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
            }
            self.write_off(desk)?;
            self.close_out_all(desk)?;
            moves::move_money(desk)?;
            self.publish_revocations(desk)
        })
    }

    /// Checks every invariant.
    ///
    /// # Errors
    /// [`Refusal::Store`], [`Refusal::Rail`], [`Refusal::System`].
    pub fn audit(&self) -> Result<AuditReport, Refusal> {
        let rail = self.dir.join("rail.db");
        self.at_this_moment(|| Ok(SimulatedRail::snapshot(&rail)?), |rows, rail| Ok(audit(rows, rail)?))
    }

    /// Looks at this moment of the store and at what `also` gives then, while other operations go on. One look at a time.
    fn at_this_moment<A, T>(
        &self,
        also: impl FnOnce() -> Result<A, Refusal>,
        look: impl FnOnce(&mut dyn Snapshot, &A) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let _turn = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rows, also) = self.exclusively(|desk| Ok((desk.store.snapshot()?, also()?)))?;
        look(rows.as_mut(), &also)
    }

    /// The answer kept for an idempotency key, if the request is the same.
    ///
    /// # Errors
    /// [`Code::IdempotencyReused`] for another request.
    pub fn kept(&self, key: &Digest, request: &Digest) -> Result<Option<Kept>, Refusal> {
        let kept = self.beside(|store| Ok(store.kept(&[*key])?.pop().flatten()))?;
        match kept {
            Some(kept) if kept.request != *request => Err(Code::IdempotencyReused.into()),
            kept => Ok(kept),
        }
    }

    /// Keeps an answer for an idempotency key.
    ///
    /// # Errors
    /// [`Refusal::Store`], [`Refusal::System`].
    pub fn keep(&self, key: &Digest, kept: &Kept) -> Result<(), Refusal> {
        let kept = vec![(*key, kept.clone(), self.now_s())];
        self.exclusively(|desk| Ok(desk.store.commit(&Batch { kept, ..Batch::default() })?))
    }

    /// Issues the next certificate of a wallet and notes it in its row.
    fn certify(&self, wallet: &mut Wallet, balance: Amount) -> Result<(WalletCert, Issued), Refusal> {
        let limits = self.scheme.rules.limits(wallet.grade).ok_or(Code::GradeRefused)?;
        let issuer = self.scheme.issuer(&wallet.psp, wallet.algorithm()).ok_or(Code::UnknownPsp)?;
        let key = self.keys.issuer(&counterfoil_trust::key_id(&issuer.key)).ok_or(Code::Internal)?;
        let percent = if wallet.lowered { self.scheme.rules.lowered_percent } else { 100 };
        let ceiling = crate::domain::settle::ceiling(limits, percent, wallet.spent, balance);
        let name = counterfoil_wire::cert::Name::new(&wallet.name).ok_or(Code::Internal)?;
        let currency = self.scheme.rules.currency;
        let cert = factory::wallet(wallet, name, currency, limits, ceiling, (issuer, key), self.now_s())?;
        (wallet.cert_from_s, wallet.cert_until_s) = (cert.not_before_s, cert.not_after_s());
        let issued = Issued {
            wallet: wallet.id,
            status_index: wallet.status_index,
            from_s: cert.not_before_s,
            until_s: cert.not_after_s(),
        };
        Ok((cert, issued))
    }

    /// Signs a settlement; its bytes and identifier.
    fn sign_settlement(&self, settlement: &Settlement) -> Result<(Vec<u8>, Digest), Refusal> {
        let signer = Signer::Key(self.keys.signer.public());
        let scheme = &self.scheme.anchors.scheme;
        let (envelope, id) = seal(scheme, &self.keys.signer, &random()?, settlement, signer, None);
        Ok((envelope.to_bytes(), id))
    }
}

fn lock_file(dir: &Path) -> Result<File, OperatorError> {
    let path = dir.join(LOCK_FILE);
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    lock.map_err(|source| OperatorError::File { path, source })
}

fn open_store(place: &Place) -> Result<Box<dyn Store>, OperatorError> {
    let (location, transactions) = place.store()?;
    match store::open(&location, transactions) {
        Err(StoreError::Empty) => Err(OperatorError::NotAnOperator(place.dir.clone())),
        opened => Ok(opened?),
    }
}

/// Audits the operator at `place` without its keys, also while it serves. Nothing is changed.
///
/// # Errors
/// [`OperatorError::NotAnOperator`], [`OperatorError::File`], [`OperatorError::Store`], [`OperatorError::Rail`].
pub fn audit_place(place: impl Into<Place>) -> Result<AuditReport, OperatorError> {
    let place = place.into();
    let rail = place.dir.join("rail.db");
    let (mut rows, rail) = moment(&place, || Ok(SimulatedRail::snapshot(&rail)?))?;
    Ok(audit(rows.as_mut(), &rail)?)
}

/// What became of every payment that the operator at `place` knows, by identifier. Changes nothing.
///
/// # Errors
/// As [`audit_place`].
pub fn reasons_at(place: impl Into<Place>) -> Result<BTreeMap<Digest, Reason>, OperatorError> {
    let (mut rows, ()) = moment(&place.into(), || Ok(()))?;
    let mut reasons = BTreeMap::new();
    rows.visit(&mut |entry| {
        if let Entry::Payment(record) = entry {
            reasons.insert(record.id, record.reason());
        }
    })?;
    Ok(reasons)
}

/// A moment between two operations, of the store and of what `also` gives.
fn moment<A>(
    place: &Place,
    also: impl FnOnce() -> Result<A, OperatorError>,
) -> Result<(Box<dyn Snapshot>, A), OperatorError> {
    let mut store = open_store(place)?;
    let lock = lock_file(&place.dir)?;
    let locked = lock.lock();
    locked.map_err(|source| OperatorError::File { path: place.dir.join(LOCK_FILE), source })?;
    store.lock()?;
    let moment = store.snapshot().map_err(OperatorError::from).and_then(|rows| Ok((rows, also()?)));
    store.unlock()?;
    moment
}

fn challenge_secret(store: &dyn Store) -> Result<[u8; 32], OperatorError> {
    let missing = OperatorError::Store(StoreError::Damaged("setting"));
    let mut secret = [0; 32];
    match store.settings()?.get(CHALLENGE_SECRET).map(|text| hex::decode_to_slice(text, &mut secret)) {
        Some(Ok(())) => Ok(secret),
        _ => Err(missing),
    }
}

fn scheme(store: &dyn Store, root: &[u8]) -> Result<Scheme, OperatorError> {
    let root = RootCert::from_bytes(root).map_err(OperatorError::Damaged)?;
    let mut anchors = Anchors::new(root).map_err(OperatorError::Damaged)?;
    let missing = OperatorError::Store(StoreError::Damaged("published"));
    let (Some(trust), Some(rules)) = (store.newest(ListKind::Trust)?, store.newest(ListKind::Rules)?) else {
        return Err(missing);
    };
    anchors.adopt(&trust.bytes).map_err(OperatorError::Damaged)?;
    let settings = store.settings()?;
    Ok(Scheme {
        name: settings.get("name").cloned().unwrap_or_default(),
        // Without a word of it, an operator is not a sandbox: the careful reading of a damaged setting.
        sandbox: settings.get("sandbox").is_some_and(|value| value == "true"),
        psps: store.psps()?.into_iter().map(|psp| psp.name).collect(),
        anchors,
        trust: trust.bytes,
        rules: open::<Rules>(&rules.bytes).map_err(OperatorError::Damaged)?.body,
        rules_bytes: rules.bytes,
    })
}
