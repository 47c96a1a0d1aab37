//! The device's key, and the sealing keys derived from it.
//!
//! A wallet's state is sealed under a key that is never kept beside it, so a copied wallet is useless without the
//! device. On a phone the vault is the platform's key store; [`DeviceFolder`] stands in for it where there is none,
//! and is exactly as good as the file permissions of its folder.

use crate::durable;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};
use zeroize::Zeroizing;

/// Why a vault gave no key.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The folder or the key file cannot be read or written.
    #[error(
        "the device folder {path} cannot be used: {source}. Check that it exists and is yours, then try again"
    )]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The key file is not one. Wallets sealed by this device cannot be opened without the right one.
    #[error(
        "the device key {path} is damaged. Put back a good copy; without it no wallet of this device opens"
    )]
    Damaged {
        /// The key file.
        path: PathBuf,
    },
    /// The key file can be read by other users of this computer.
    #[error(
        "the device key {path} can be read by other users. If nobody has used that, run: chmod 600 {path}"
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
    },
    /// The platform's key store failed, as it says in words.
    #[error("the device's key store gives no key: {0}. Nothing has changed; try again")]
    Platform(String),
    /// The operating system gave no random bytes for a new key.
    #[error("the operating system gave no randomness for a new device key: {0}")]
    Random(getrandom::Error),
}

/// Gives each wallet of a device the key that seals it. `docs/ports/key-vault.md` is the contract for whoever brings one.
pub trait KeyVault: Send + Sync {
    /// The sealing key of the wallet called `label`: always the same one for one device and label, and unrelated keys
    /// for any two labels.
    ///
    /// # Errors
    /// [`VaultError`] if the device's key cannot be had.
    fn sealing_key(&self, label: &str) -> Result<SealingKey, VaultError>;
}

/// The key under which one wallet's state is sealed. Zeroed when dropped.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Wraps 32 uniformly random (or derived) bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A key for one `purpose`, by HKDF-SHA256 (RFC 5869) with `salt`. Purposes must differ in their first bytes.
    pub(crate) fn derive(&self, salt: &[u8], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        derive(&self.0[..], salt, purpose)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

fn derive(key: &[u8], salt: &[u8], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    if Hkdf::<Sha256>::new(Some(salt), key).expand(purpose, &mut out[..]).is_err() {
        unreachable!("RFC 5869 allows 8160 bytes and 32 are asked for");
    }
    out
}

/// Checks a vault against its contract. `open` opens it anew, as after a restart of the device; `label` names no wallet.
///
/// # Errors
/// The clause that does not hold.
pub fn check_contract<V: KeyVault>(
    label: &str,
    mut open: impl FnMut() -> Result<V, VaultError>,
) -> Result<(), &'static str> {
    let key = |vault: &V, label: &str| {
        let key = vault.sealing_key(label).map_err(|_| "a key is given for every label")?;
        Ok::<_, &'static str>(key.derive(&[], b"contract"))
    };
    let vault = open().map_err(|_| "it opens")?;
    let first = key(&vault, label)?;
    let holds = |holds: bool, clause| if holds { Ok(()) } else { Err(clause) };
    holds(key(&vault, label)? == first, "a label's key is the same each time")?;
    for other in [format!("{label} "), label.to_uppercase() + "x", String::new()] {
        holds(key(&vault, &other)? != first, "another label's key is another one")?;
    }
    drop(vault);
    let again = open().map_err(|_| "it opens again")?;
    holds(key(&again, label)? == first, "a label's key outlives a restart")
}

const KEY_FILE: &str = "device-key";
/// Name and version of the key file's format: these 8 bytes, the key, then the first 8 bytes of SHA-256 of both.
const KEY_MAGIC: [u8; 8] = *b"CFDKEY\0\x01";
const KEY_FILE_BYTES: usize = 48;

/// A folder that stands in for a phone's key store: one random key file, made on first use, readable by its owner only.
///
/// It must not lie inside a wallet's home, or whoever copies the home has the key too ([`crate::open_native`] refuses).
pub struct DeviceFolder {
    dir: PathBuf,
    key: SealingKey,
}

impl DeviceFolder {
    /// Opens the folder `dir`, creating it and its key if there is none yet.
    ///
    /// # Errors
    /// [`VaultError`]: the folder or key cannot be read or made, is damaged, or is open to other users.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        let io_at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| VaultError::Io { path, source }
        };
        durable::create_private_dir(dir).map_err(io_at(dir))?;
        // Two first commands at once must agree on one key.
        let _lock = durable::lock_folder(dir).map_err(io_at(dir))?;
        let path = dir.join(KEY_FILE);
        let key = match fs::File::open(&path) {
            Ok(file) => read_key(file, &path)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut key = Zeroizing::new([0; 32]);
                getrandom::fill(&mut key[..]).map_err(VaultError::Random)?;
                let file = encode_key(&key);
                durable::write_whole(dir, KEY_FILE, &file[..]).map_err(io_at(&path))?;
                SealingKey(key)
            }
            Err(e) => return Err(io_at(&path)(e)),
        };
        Ok(Self { dir: dir.to_path_buf(), key })
    }

    /// Whether a key was made in the folder `dir`. Changes nothing, unlike [`DeviceFolder::open`].
    pub fn has_key(dir: &Path) -> bool {
        dir.join(KEY_FILE).exists()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

impl KeyVault for DeviceFolder {
    fn sealing_key(&self, label: &str) -> Result<SealingKey, VaultError> {
        let purpose = [b"counterfoil wallet sealing key v1\0", label.as_bytes()].concat();
        Ok(SealingKey(self.key.derive(&[], &purpose)))
    }
}

impl fmt::Debug for DeviceFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFolder").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn encode_key(key: &[u8; 32]) -> Zeroizing<[u8; KEY_FILE_BYTES]> {
    let mut file = Zeroizing::new([0; KEY_FILE_BYTES]);
    file[..8].copy_from_slice(&KEY_MAGIC);
    file[8..40].copy_from_slice(key);
    let check = Sha256::digest(&file[..40]);
    file[40..].copy_from_slice(&check[..8]);
    file
}

fn read_key(mut file: fs::File, path: &Path) -> Result<SealingKey, VaultError> {
    let io = |source| VaultError::Io { path: path.to_path_buf(), source };
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&file.metadata().map_err(io)?) & 0o077 != 0 {
        return Err(VaultError::Exposed { path: path.to_path_buf() });
    }
    // One byte more than the format has: a longer file is not ours either.
    let mut bytes = Zeroizing::new([0; KEY_FILE_BYTES + 1]);
    let mut len = 0;
    while len < bytes.len() {
        match file.read(&mut bytes[len..]).map_err(io)? {
            0 => break,
            n => len += n,
        }
    }
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&bytes[8..40]);
    if len != KEY_FILE_BYTES || bytes[..len] != encode_key(&key)[..] {
        return Err(VaultError::Damaged { path: path.to_path_buf() });
    }
    Ok(SealingKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(key: &SealingKey) -> [u8; 32] {
        *key.derive(&[], b"test")
    }

    #[test]
    fn one_device_and_label_give_one_key() {
        let dir = tempfile::tempdir().unwrap();
        check_contract("w", || DeviceFolder::open(&dir.path().join("a"))).unwrap();
        let a = DeviceFolder::open(&dir.path().join("a")).unwrap();
        let again = DeviceFolder::open(&dir.path().join("a")).unwrap();
        let b = DeviceFolder::open(&dir.path().join("b")).unwrap();
        let key = bytes(&a.sealing_key("w").unwrap());
        assert_eq!(key, bytes(&again.sealing_key("w").unwrap()));
        assert_ne!(key, bytes(&a.sealing_key("v").unwrap()));
        assert_ne!(key, bytes(&b.sealing_key("w").unwrap()));
    }

    #[test]
    fn a_damaged_key_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        DeviceFolder::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        let good = fs::read(&path).unwrap();
        let mut bads: Vec<Vec<u8>> = vec![good[..47].to_vec(), [&good[..], &[0]].concat(), Vec::new()];
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            bads.push(bad);
        }
        for bad in bads {
            fs::write(&path, bad).unwrap();
            assert!(matches!(DeviceFolder::open(dir.path()), Err(VaultError::Damaged { .. })));
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_private_and_must_stay_so() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        DeviceFolder::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(DeviceFolder::open(dir.path()), Err(VaultError::Exposed { .. })));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = SealingKey::new([0xab; 32]);
        assert_eq!(format!("{key:?}"), "SealingKey(..)");
        let dir = tempfile::tempdir().unwrap();
        assert!(!format!("{:?}", DeviceFolder::open(dir.path()).unwrap()).contains("SealingKey(\""));
    }
}
