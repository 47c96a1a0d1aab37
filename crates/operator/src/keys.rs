//! Private keys in files that only their owner may read: `DIR/keys/NAME.key`, one line `counterfoil-key 1 ALG HEX`.
//!
//! | name | key |
//! |---|---|
//! | `root` | the scheme's root; signs certificates of authorities and trust lists, and is not read by the service |
//! | `signer` | the operator's online key |
//! | `PSP-ALG` | a PSP's issuer for wallets with keys of that algorithm |

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use counterfoil_trust::SigningKey;
use counterfoil_wire::{Algorithm, KeyId};
use zeroize::Zeroizing;

use crate::error::OperatorError;

const HEAD: &str = "counterfoil-key 1";

/// Both algorithms: a PSP has an issuer for each.
pub const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Es256];

/// The file name of a PSP's issuer key.
pub fn issuer_name(psp: &str, algorithm: Algorithm) -> String {
    format!("{psp}-{}", algorithm.name())
}

fn path_of(dir: &Path, name: &str) -> PathBuf {
    dir.join("keys").join(format!("{name}.key"))
}

/// Writes `bytes` to a new file that only its owner may read, durably.
///
/// # Errors
/// [`OperatorError::File`], also when the file is there.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), OperatorError> {
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file: File = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| OperatorError::File { path: path.to_owned(), source })
}

/// Writes a new key file.
///
/// # Errors
/// [`OperatorError::File`].
pub fn write(dir: &Path, name: &str, key: &SigningKey) -> Result<(), OperatorError> {
    let secret = Zeroizing::new(hex::encode(key.secret().as_slice()));
    let line = Zeroizing::new(format!("{HEAD} {} {}\n", key.algorithm().name(), secret.as_str()));
    write_private(&path_of(dir, name), line.as_bytes())
}

/// Reads a key file.
///
/// # Errors
/// [`OperatorError::File`], [`OperatorError::DamagedKey`].
pub fn read(dir: &Path, name: &str) -> Result<SigningKey, OperatorError> {
    let path = path_of(dir, name);
    let text = std::fs::read_to_string(&path).map(Zeroizing::new);
    let text = text.map_err(|source| OperatorError::File { path: path.clone(), source })?;
    parse(&text).ok_or(OperatorError::DamagedKey(path))
}

fn parse(text: &str) -> Option<SigningKey> {
    let (algorithm, secret) = text.trim_end().strip_prefix(HEAD)?.trim_start().split_once(' ')?;
    let algorithm = ALGORITHMS.into_iter().find(|known| known.name() == algorithm)?;
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(secret, bytes.as_mut_slice()).ok()?;
    SigningKey::from_secret(algorithm, &bytes).ok()
}

/// The keys that the service works with: never the root.
pub struct Keys {
    /// The operator's online key.
    pub signer: SigningKey,
    /// Issuers by key id.
    issuers: BTreeMap<KeyId, SigningKey>,
}

impl Keys {
    /// Reads the signer's key and the issuers' of `psps`.
    ///
    /// # Errors
    /// Those of [`read`].
    pub fn read(dir: &Path, psps: &[String]) -> Result<Self, OperatorError> {
        let mut issuers = BTreeMap::new();
        for psp in psps {
            for algorithm in ALGORITHMS {
                let key = read(dir, &issuer_name(psp, algorithm))?;
                issuers.insert(counterfoil_trust::key_id(&key.public()), key);
            }
        }
        Ok(Self { signer: read(dir, "signer")?, issuers })
    }

    /// The private key of an issuer.
    pub fn issuer(&self, id: &KeyId) -> Option<&SigningKey> {
        self.issuers.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keys")).unwrap();
        for algorithm in ALGORITHMS {
            let key = SigningKey::from_secret(algorithm, &[7; 32]).unwrap();
            write(dir.path(), algorithm.name(), &key).unwrap();
            assert_eq!(read(dir.path(), algorithm.name()).unwrap().public(), key.public());
            assert!(matches!(write(dir.path(), algorithm.name(), &key), Err(OperatorError::File { .. })));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path_of(dir.path(), "es256")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(matches!(read(dir.path(), "none"), Err(OperatorError::File { .. })));
        std::fs::write(path_of(dir.path(), "bad"), "counterfoil-key 1 eddsa 00").unwrap();
        assert!(matches!(read(dir.path(), "bad"), Err(OperatorError::DamagedKey(_))));
    }
}
