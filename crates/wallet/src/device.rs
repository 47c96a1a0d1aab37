//! What of the device a home hangs on: its key, its counter, and who the application is there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use counterfoil_tre::{APPLICATION, CounterChoice, KeyVault, PlatformCounting};
use counterfoil_wire::Digest;

use crate::error::WalletError;
use crate::home::Counter;

/// Where Linux gives commands to the TPM of a computer, one user beside another.
const TPM: &str = "/dev/tpmrm0";

/// A device, as the homes on it see it.
#[derive(Clone)]
pub struct Device {
    folder: PathBuf,
    tpm: PathBuf,
    application: Digest,
    platform: Option<Arc<dyn PlatformCounting>>,
    vault: Option<Arc<dyn KeyVault>>,
}

impl Device {
    /// A computer whose device folder is `folder`, for the application of the command line.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            tpm: TPM.into(),
            application: Digest(APPLICATION),
            platform: None,
            vault: None,
        }
    }

    /// The same, with another TPM: a device, or the socket of an emulator.
    #[must_use]
    pub fn with_tpm(self, tpm: impl Into<PathBuf>) -> Self {
        Self { tpm: tpm.into(), ..self }
    }

    /// The same, for an application that the platform knows by `application`, and with the counter that it keeps.
    #[must_use]
    pub fn with_platform(self, application: Digest, platform: Arc<dyn PlatformCounting>) -> Self {
        Self { application, platform: Some(platform), ..self }
    }

    /// The same, with the sealing keys of a key store of the platform's, in the place of the device folder's.
    #[must_use]
    pub fn with_vault(self, vault: Arc<dyn KeyVault>) -> Self {
        Self { vault: Some(vault), ..self }
    }

    /// The device folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who the application is.
    pub fn application(&self) -> Digest {
        self.application
    }

    pub(crate) fn has_key(&self) -> bool {
        counterfoil_tre::DeviceFolder::has_key(&self.folder)
    }

    /// What seals the homes here, where that is not the device folder.
    pub(crate) fn vault(&self) -> Option<&dyn KeyVault> {
        self.vault.as_deref()
    }

    /// What keeps a home's counter here.
    pub(crate) fn counter(&self, counter: Counter) -> Result<CounterChoice, WalletError> {
        Ok(match counter {
            Counter::None => CounterChoice::None,
            Counter::File => CounterChoice::File,
            Counter::Tpm => CounterChoice::Tpm(self.tpm.clone()),
            Counter::Platform => {
                CounterChoice::Platform(self.platform.clone().ok_or(WalletError::NoPlatformCounter)?)
            }
        })
    }

    /// What the platform attests of the counter of the wallet called `label`, if it keeps that.
    pub(crate) fn attest(
        &self,
        counter: Counter,
        label: &str,
        challenge: &Digest,
    ) -> Result<Option<Vec<Vec<u8>>>, WalletError> {
        match (&self.platform, counter) {
            (Some(platform), Counter::Platform) => {
                platform.attest(label, &challenge.0).map_err(WalletError::Attestation)
            }
            _ => Ok(None),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("folder", &self.folder).field("tpm", &self.tpm).finish_non_exhaustive()
    }
}
