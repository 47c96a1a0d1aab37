//! The platform's own lock (fingerprint, face, code) as a port: it keeps a key for a wallet, and signs with that key once it
//! has authenticated whoever holds the device.
//!
//! What an approval is worth is what the platform is worth: the wallet checks one signature, and takes the platform's word that
//! a person stands behind it. `docs/ports/platform-auth.md` is the contract.

use std::fs;
use std::io;

use counterfoil_trust::SigningKey;
use counterfoil_wire::{Algorithm, Digest, PublicKey, Signature};
use zeroize::Zeroizing;

use crate::counter::file_name;
use crate::durable;
use crate::vault::DeviceFolder;

/// Why the lock gave no key, or did not approve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Whoever holds the device did not unlock it.
    #[error("the device was not unlocked")]
    NotUnlocked,
    /// The platform keeps no key for this wallet.
    #[error("the device's lock keeps no key for this wallet")]
    NoKey,
    /// The platform failed, as it says in words.
    #[error("the device's lock cannot be used: {0}")]
    Failed(String),
}

/// What an application's bindings give. Any thread may call, one call at a time.
pub trait PlatformLock: Send + Sync {
    /// Makes a key for the wallet called `label`, in the place of the one before. The platform must let it sign only after it
    /// has authenticated a person, each time anew, and never give it out.
    ///
    /// # Errors
    /// [`LockError`].
    fn make_key(&self, label: &str) -> Result<PublicKey, LockError>;

    /// Shows `purpose`, authenticates whoever holds the device, and signs the 32 bytes of `challenge` with the key.
    ///
    /// # Errors
    /// [`LockError`]; nothing is signed then.
    fn approve(&self, label: &str, challenge: &Digest, purpose: &str) -> Result<Signature, LockError>;

    /// Forgets the key. Nothing happens if there is none.
    ///
    /// # Errors
    /// [`LockError`].
    fn remove_key(&self, label: &str) -> Result<(), LockError>;
}

/// A stand-in where there is no such lock: a P-256 key in the device folder, and a question. It is as good as the
/// permissions of that folder, and whoever answers the question.
pub struct FolderLock<A> {
    folder: DeviceFolder,
    ask: A,
}

impl<A: Fn(&str) -> bool + Send + Sync> FolderLock<A> {
    /// A lock whose keys are in `folder`; `ask` shows a purpose to a person and says whether that person agrees.
    pub fn new(folder: DeviceFolder, ask: A) -> Self {
        Self { folder, ask }
    }

    fn failed(error: impl std::fmt::Display) -> LockError {
        LockError::Failed(error.to_string())
    }
}

impl<A: Fn(&str) -> bool + Send + Sync> PlatformLock for FolderLock<A> {
    fn make_key(&self, label: &str) -> Result<PublicKey, LockError> {
        let mut failure = None;
        let key = SigningKey::generate(Algorithm::Es256, &mut |bytes| failure = getrandom::fill(bytes).err());
        if let Some(failure) = failure {
            return Err(Self::failed(failure));
        }
        let key = key.map_err(Self::failed)?;
        durable::write_whole(self.folder.path(), &file_name("lock", label), &key.secret()[..])
            .map_err(Self::failed)?;
        Ok(key.public())
    }

    fn approve(&self, label: &str, challenge: &Digest, purpose: &str) -> Result<Signature, LockError> {
        let secret = match fs::read(self.folder.path().join(file_name("lock", label))) {
            Ok(secret) => Zeroizing::new(secret),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LockError::NoKey),
            Err(error) => return Err(Self::failed(error)),
        };
        let secret = secret.first_chunk().filter(|_| secret.len() == 32).ok_or(LockError::NoKey)?;
        let key = SigningKey::from_secret(Algorithm::Es256, secret).map_err(Self::failed)?;
        if !(self.ask)(purpose) {
            return Err(LockError::NotUnlocked);
        }
        let mut hedge = [0; 32];
        getrandom::fill(&mut hedge).map_err(Self::failed)?;
        Ok(key.sign(&challenge.0, &hedge))
    }

    fn remove_key(&self, label: &str) -> Result<(), LockError> {
        match fs::remove_file(self.folder.path().join(file_name("lock", label))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Self::failed(error)),
            _ => Ok(()),
        }
    }
}

impl<A> std::fmt::Debug for FolderLock<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FolderLock").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Checks a lock against its contract, for the label `label`, which has no key. Whoever is asked must agree.
///
/// # Errors
/// The clause that does not hold.
pub fn check_contract(label: &str, lock: &dyn PlatformLock) -> Result<(), &'static str> {
    let holds = |holds: bool, clause| if holds { Ok(()) } else { Err(clause) };
    let challenge = Digest([7; 32]);
    let approve = |challenge: &Digest| lock.approve(label, challenge, "a check of the lock");
    holds(approve(&challenge) == Err(LockError::NoKey), "without a key nothing is signed")?;
    let key = lock.make_key(label).map_err(|_| "a key can be made")?;
    let signature = approve(&challenge).map_err(|_| "the key signs once a person agreed")?;
    let verifies = |key, signature| counterfoil_trust::verify(key, &challenge.0, signature).is_ok();
    holds(verifies(&key, &signature), "it signs the 32 bytes, with the key that was named")?;
    let next = lock.make_key(label).map_err(|_| "a key can be made again")?;
    holds(next != key, "a key made again is another one")?;
    let signature = approve(&challenge).map_err(|_| "the new key signs")?;
    holds(
        verifies(&next, &signature) && !verifies(&key, &signature),
        "the new key took the old one's place",
    )?;
    let elsewhere = format!("{label}, another");
    let other = lock.approve(&elsewhere, &challenge, "a check of the lock");
    holds(other == Err(LockError::NoKey), "each label has a key of its own")?;
    lock.remove_key(label)
        .and_then(|()| lock.remove_key(label))
        .map_err(|_| "a key can be removed, and again")?;
    holds(approve(&challenge) == Err(LockError::NoKey), "a key that was removed signs nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_keeps_the_contract_and_asks_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let agrees = std::sync::atomic::AtomicBool::new(true);
        let asked = std::sync::Mutex::new(Vec::new());
        let folder = DeviceFolder::open(dir.path()).unwrap();
        let lock = FolderLock::new(folder, |purpose: &str| {
            asked.lock().unwrap().push(purpose.to_owned());
            agrees.load(std::sync::atomic::Ordering::SeqCst)
        });
        check_contract("w", &lock).unwrap();
        assert_eq!(*asked.lock().unwrap(), vec!["a check of the lock"; 2]);
        lock.make_key("w").unwrap();
        agrees.store(false, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(lock.approve("w", &Digest([1; 32]), "pay"), Err(LockError::NotUnlocked));
        fs::write(dir.path().join(file_name("lock", "w")), b"garbage").unwrap();
        assert_eq!(lock.approve("w", &Digest([1; 32]), "pay"), Err(LockError::NoKey));
    }
}
