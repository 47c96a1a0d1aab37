//! A new operator: keys, root, authorities, lists, database, rail.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use counterfoil_rail::{Account, Rail, SANDBOX_LOSS_FUND_OPENING, SCHEME, SimulatedRail};
use counterfoil_trust::{Revoked, SigningKey, key_id, seal, sha256, x509};
use counterfoil_wire::cert::{AuthorityCert, Name, Role, RootCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::TrustList;
use counterfoil_wire::message::Body;
use counterfoil_wire::rules::{Preset, Rules};
use counterfoil_wire::{Algorithm, Currency, Digest, Wire};
use serde::Serialize;

use crate::error::{OperatorError, random};
use crate::factory;
use crate::keys::{self, ALGORITHMS, issuer_name, write_private};
use crate::place::{CONFIG_FILE, Place, config_text};
use crate::service::report::{OPERATOR_TOKEN, token_hash};
use crate::service::{CHALLENGE_SECRET, LOCK_FILE};
use crate::store::{self, Batch, ListKind, ListedImage, Location, Psp, Published, Transactions};

/// Most PSPs that a new operator can have: each takes two of the 64 ranges of status indexes.
const PSPS_MAX: usize = 32;

/// What a new operator is to be.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Play money, accounts that open full, enrolment without activation codes.
    pub sandbox: bool,
    /// Rules number 1.
    pub rules: Rules,
    /// The currency; it replaces the one in the rules.
    pub currency: Currency,
    /// Name of the scheme, at most 24 bytes.
    pub name: String,
    /// PSPs.
    pub psps: Vec<String>,
    /// Images of the trusted application that wallets may enrol in: SHA-256 and version.
    pub images: Vec<(Digest, u32)>,
    /// The time, seconds since 1970.
    pub now_s: u32,
}

impl InitOptions {
    /// A sandbox in euro with permissive rules and the PSPs `alpha` and `beta`.
    pub fn sandbox(now_s: u32) -> Self {
        Self {
            sandbox: true,
            rules: Preset::Permissive.rules(),
            currency: Currency::EUR,
            name: "Counterfoil sandbox".to_owned(),
            psps: vec!["alpha".to_owned(), "beta".to_owned()],
            images: Vec::new(),
            now_s,
        }
    }
}

/// A PSP of a new operator.
#[derive(Debug, Clone, Serialize)]
pub struct PspReport {
    /// Its name.
    pub name: String,
    /// Its bearer token for the PSP API; shown once, kept in `token_file`.
    pub token: String,
    /// The file that holds the token, readable by its owner alone.
    pub token_file: PathBuf,
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub struct InitReport {
    /// The operator's folder.
    pub dir: PathBuf,
    /// Name of the scheme.
    pub name: String,
    /// Whether it is a sandbox.
    pub sandbox: bool,
    /// What whoever runs it must know, in plain words.
    pub notice: String,
    /// Currency, ISO 4217.
    pub currency: String,
    /// Name of the rules.
    pub rules: String,
    /// SHA-256 of the root key, in hex: what wallets compare.
    pub root_fingerprint: String,
    /// The root's certificate, for wallets.
    pub root_file: PathBuf,
    /// PSPs.
    pub psps: Vec<PspReport>,
}

/// The ISO 4217 letters of a currency.
pub fn currency_letters(currency: Currency) -> String {
    let known = iso_currency::Currency::from_numeric(currency.number());
    known.map_or_else(|| currency.number().to_string(), |known| known.code().to_owned())
}

/// Makes an operator in a folder that must not exist, and in a database that has none: all of it or nothing. Killed between the
/// two, it leaves a database whose keys are gone; that one must be emptied by hand.
///
/// # Errors
/// [`OperatorError::Exists`], [`OperatorError::Occupied`], [`OperatorError::Options`], [`OperatorError::File`], and those of keys,
/// store and rail.
pub fn init(place: impl Into<Place>, options: InitOptions) -> Result<InitReport, OperatorError> {
    let place = place.into();
    let dir = place.dir.as_path();
    let database = place.database.clone().unwrap_or_else(Location::embedded);
    let transactions = place.transactions.unwrap_or_default();
    if dir.exists() {
        return Err(OperatorError::Exists(dir.to_owned()));
    }
    // Made beside its place and moved there when it is whole, so that a crash leaves no half operator.
    remove_halves(dir);
    let half = beside(dir, &format!("{HALF}{}", std::process::id()));
    let made = begin(&half).and_then(|_lock| {
        let report = make(&half, dir, (&database, transactions), &options)?;
        for folder in ["keys", "certs", ""] {
            sync_folder(&half.join(folder))?;
        }
        std::fs::rename(&half, dir).map_err(|source| OperatorError::File { path: dir.to_owned(), source })?;
        sync_folder(parent(dir))?;
        Ok(report)
    });
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&half);
    }
    made
}

/// What follows an operator's name while it is made, and the number of the process that makes it.
const HALF: &str = ".new-";

fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut path = dir.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn parent(dir: &Path) -> &Path {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the folder, and takes the lock that says that its maker lives.
fn begin(half: &Path) -> Result<File, OperatorError> {
    folder(half)?;
    let path = half.join(LOCK_FILE);
    let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| OperatorError::File { path, source })
}

/// Removes half operators, private keys and all, whose making was killed. One that is being made holds its lock.
fn remove_halves(dir: &Path) {
    let begin = beside(dir, HALF);
    let (Some(begin), Ok(entries)) = (begin.file_name(), std::fs::read_dir(parent(dir))) else { return };
    let begin = begin.to_string_lossy();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_string_lossy().strip_prefix(&*begin).map(str::to_owned);
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            continue;
        }
        let lock = File::options().write(true).open(entry.path().join(LOCK_FILE));
        // One that stays does no harm. One without a lock goes if nothing is in it.
        let _ = match lock.map(|lock| lock.try_lock().is_ok()) {
            Ok(true) => std::fs::remove_dir_all(entry.path()),
            Ok(false) => Ok(()),
            Err(_) => std::fs::remove_dir(entry.path()),
        };
    }
}

/// Makes names durable. Elsewhere than on Unix a folder cannot be opened as a file.
fn sync_folder(path: &Path) -> Result<(), OperatorError> {
    let sync = || if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) };
    sync().map_err(|source| OperatorError::File { path: path.to_owned(), source })
}

fn folder(path: &Path) -> Result<(), OperatorError> {
    let file = |source| OperatorError::File { path: path.to_owned(), source };
    std::fs::create_dir_all(path).map_err(file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(file)?;
    }
    Ok(())
}

fn new_key(dir: &Path, name: &str, algorithm: Algorithm) -> Result<SigningKey, OperatorError> {
    let key = SigningKey::from_secret(algorithm, &random()?);
    let key = key.map_err(OperatorError::Damaged)?;
    keys::write(dir, name, &key)?;
    Ok(key)
}

fn name(text: &str) -> Result<Name, OperatorError> {
    let name = Name::new(text).filter(|name| !name.as_str().is_empty());
    name.ok_or(OperatorError::Options("a name has 1 to 24 bytes, all of them printable"))
}

/// A PSP's name is part of file names and addresses.
fn check_psps(psps: &[String]) -> Result<(), OperatorError> {
    let plain = |psp: &String| {
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=16).contains(&psp.len()) && psp.chars().all(ok) && psp != SCHEME && psp != "root"
    };
    let distinct: std::collections::BTreeSet<&String> = psps.iter().collect();
    if psps.is_empty() || psps.len() > PSPS_MAX || distinct.len() != psps.len() || !psps.iter().all(plain) {
        return Err(OperatorError::Options(
            "name 1 to 32 different PSPs in 1 to 16 lower-case letters, digits and hyphens, not `scheme` or `root`",
        ));
    }
    Ok(())
}

fn make(
    half: &Path,
    dir: &Path,
    (database, transactions): (&Location, Transactions),
    options: &InitOptions,
) -> Result<InitReport, OperatorError> {
    check_psps(&options.psps)?;
    folder(&half.join("keys"))?;
    folder(&half.join("certs"))?;
    let now_s = options.now_s;
    let root_key = new_key(half, "root", Algorithm::EdDsa)?;
    let root = factory::root(name(&options.name)?, &root_key, now_s)?;
    let signer = new_key(half, "signer", Algorithm::EdDsa)?;
    let pair = (&root, &root_key);
    let mut authorities =
        vec![factory::authority(Role::Signer, name("online signer")?, &signer, 0, pair, now_s)?];
    let mut batch = Batch::default();
    let mut psps = Vec::new();
    for psp in &options.psps {
        let mut ranges = Vec::new();
        for algorithm in ALGORITHMS {
            let key = new_key(half, &issuer_name(psp, algorithm), algorithm)?;
            let place = u32::try_from(authorities.len()).unwrap_or(u32::MAX).saturating_sub(1);
            let issuer = factory::authority(Role::Issuer, name(psp)?, &key, place, pair, now_s)?;
            ranges.push((algorithm.name().to_owned(), issuer.index_first));
            export(half, &issuer_name(psp, algorithm), &x509::authority_der(&issuer, &root))?;
            authorities.push(issuer);
        }
        let token = hex::encode(random::<32>()?);
        let file = format!("psp-{psp}.token");
        write_private(&half.join("keys").join(&file), token.as_bytes())?;
        batch.psps.push((Psp { name: psp.clone(), token: sha256(token.as_bytes()) }, ranges));
        psps.push(PspReport { name: psp.clone(), token, token_file: dir.join("keys").join(file) });
    }
    export(half, "root", &x509::root_der(&root))?;
    write_private(&half.join("operator-root.cbor"), &root.to_bytes())?;
    let mut rules = options.rules.clone();
    (rules.number, rules.currency) = (1, options.currency);
    batch.published = publish(&root, &root_key, &signer, authorities, &rules, now_s)?;
    let token = hex::encode(random::<32>()?);
    write_private(&half.join("keys/operator.token"), token.as_bytes())?;
    let settings = [
        (OPERATOR_TOKEN, token_hash(&token).to_string()),
        ("name", options.name.clone()),
        ("sandbox", options.sandbox.to_string()),
        (CHALLENGE_SECRET, hex::encode(random::<32>()?)),
    ];
    batch.settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let listed = |(hash, version): &(Digest, u32)| ListedImage {
        hash: *hash,
        version: *version,
        listed_at_s: now_s,
        withdrawn_at_s: 0,
    };
    batch.images = options.images.iter().map(listed).collect();
    open_rail(half, options)?;
    write_private(&half.join(CONFIG_FILE), config_text(database, transactions).as_bytes())?;
    fill(&database.clone().within(half), &batch)?;
    Ok(InitReport {
        dir: dir.to_owned(),
        name: options.name.clone(),
        sandbox: options.sandbox,
        notice: notice(options.sandbox).to_owned(),
        currency: currency_letters(options.currency),
        rules: rules.name.as_str().to_owned(),
        root_fingerprint: key_id(&root.key).to_string(),
        root_file: dir.join("operator-root.cbor"),
        psps,
    })
}

fn notice(sandbox: bool) -> &'static str {
    if sandbox {
        "SANDBOX: play money. Every account opens with 1,000.00, anybody may enrol a wallet of any grade without \
         an activation code, and every private key, the root's included, lies in this folder. Never use it for value."
    } else {
        "NOT A SANDBOX: wallets enrol with activation codes. The rail is simulated and its accounts open empty. Move \
         keys/root.key to a machine without network: the service does not need it."
    }
}

fn export(dir: &Path, name: &str, der: &[u8]) -> Result<(), OperatorError> {
    let certs = dir.join("certs");
    for (file, bytes) in [
        (format!("{name}.der"), der.to_vec()),
        (format!("{name}.pem"), x509::pem("CERTIFICATE", der).into_bytes()),
    ] {
        let path = certs.join(file);
        let write = |mut file: File| file.write_all(&bytes).and_then(|()| file.sync_all());
        File::create(&path).and_then(write).map_err(|source| OperatorError::File { path, source })?;
    }
    Ok(())
}

/// Writes all rows of the new operator at once, into a database that has none of another.
fn fill(database: &Location, batch: &Batch) -> Result<(), OperatorError> {
    let mut store = store::create(database, Transactions::Together)?;
    store.lock()?;
    if store.settings()?.is_empty() {
        Ok(store.commit(batch)?)
    } else {
        Err(OperatorError::Occupied(database.clone()))
    }
}

fn publish(
    root: &RootCert,
    root_key: &SigningKey,
    signer: &SigningKey,
    authorities: Vec<AuthorityCert>,
    rules: &Rules,
    now_s: u32,
) -> Result<Vec<Published>, OperatorError> {
    let trust = TrustList { number: 1, issued_at_s: now_s, authorities };
    let revocation = Revoked::build_full(1, now_s, &[]);
    Ok(vec![
        sign(ListKind::Trust, root, root_key, &trust, now_s)?,
        sign(ListKind::Rules, root, signer, rules, now_s)?,
        sign(ListKind::Revocation, root, signer, &revocation, now_s)?,
    ])
}

fn sign<B: Body>(
    kind: ListKind,
    root: &RootCert,
    key: &SigningKey,
    body: &B,
    now_s: u32,
) -> Result<Published, OperatorError> {
    let (envelope, _) = seal(&key_id(&root.key), key, &random()?, body, Signer::Key(key.public()), None);
    Ok(Published { kind, number: 1, issued_at_s: now_s, bytes: envelope.to_bytes() })
}

fn open_rail(dir: &Path, options: &InitOptions) -> Result<(), OperatorError> {
    let mut rail = SimulatedRail::open(&dir.join("rail.db"))?;
    rail.open_or_balance(&Account::float(), 0)?;
    let opening = if options.sandbox { SANDBOX_LOSS_FUND_OPENING } else { 0 };
    for psp in options.psps.iter().map(String::as_str).chain([SCHEME]) {
        rail.open_or_balance(&Account::loss_fund(psp, options.rules.loss_fund.as_str()), opening)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_init_left_goes_and_what_a_live_one_makes_stays() {
        let world = tempfile::tempdir().unwrap();
        let dir = world.path().join("op");
        let half = |number: &str| {
            let half = beside(&dir, &format!("{HALF}{number}"));
            std::fs::create_dir_all(half.join("keys")).unwrap();
            half
        };
        let (dead, live, named) = (half("1"), half("2"), half("backup"));
        drop(begin(&dead).unwrap());
        let _lock = begin(&live).unwrap();
        drop(begin(&named).unwrap());
        let bare = beside(&dir, &format!("{HALF}3"));
        std::fs::create_dir(&bare).unwrap();
        init(&dir, InitOptions::sandbox(1_800_000_000)).unwrap();
        assert!(!dead.exists() && !bare.exists());
        assert!(live.exists() && named.exists());
        assert!(matches!(init(&dir, InitOptions::sandbox(1_800_000_000)), Err(OperatorError::Exists(_))));
    }
}
