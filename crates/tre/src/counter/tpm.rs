//! A non-volatile counter of a TPM 2.0 (TCG, *TPM 2.0 Library*, part 3, chapter 31).
//!
//! # What holds it
//! An NV index of type counter, which the TPM only ever adds one to. It is defined in the owner's range with an empty
//! authorization value: whoever may open the TPM may advance or remove it, which costs the wallet a fresh key, and nobody
//! may set it back. A TPM begins a new counter above the highest value that any of its counters ever had, so one that was
//! removed and defined again is never behind.
//!
//! Such a counter does not begin at zero, so the value that it had when it was made, its *base*, is kept in a file of the
//! device folder and subtracted. The base needs no protection: it goes into the counter's identity, so whoever changes
//! the file has another counter, and the wallet is stale.
//!
//! | found | then |
//! |---|---|
//! | base and index | the counter |
//! | base, no index (the TPM was cleared or replaced) | a new index, a new base: another counter |
//! | no base | the index is defined if it is not there, advanced, and its value is the new base: another counter |
//!
//! Each step can be cut off: until the base is written there is no counter, and the next opening makes one.
//!
//! # What it does not stop
//! Somebody who owns the TPM's state as well: an emulator's files, a virtual machine's snapshot. And commands to a discrete
//! TPM can be seen and changed on its bus.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

use sha2::{Digest, Sha256};
use tpm2_protocol::TpmWriter;
use tpm2_protocol::basic::{TpmHandle, TpmUint16};
use tpm2_protocol::data::{
    Tpm2bAuth, Tpm2bNvPublic, TpmAlgId, TpmRcBase, TpmRh, TpmSt, TpmaNv, TpmaSession, TpmsAuthCommand,
    TpmsNvPublic,
};
use tpm2_protocol::frame::{
    TpmFrame, TpmNvDefineSpaceCommand, TpmNvIncrementCommand, TpmNvReadCommand, TpmNvReadResponse,
    TpmResponse, tpm_marshal_command,
};

use super::{Counter, CounterError, CounterId, CounterKind, file_name};
use crate::durable;
use crate::vault::DeviceFolder;

/// Handles of NV indexes that belong to the owner (TCG, *Registry of Reserved TPM 2.0 Handles*).
const OWNER_FIRST: u32 = 0x0180_0000;
const OWNER_COUNT: u32 = 0x0040_0000;

/// A counter has eight bytes.
const VALUE_BYTES: u16 = 8;
/// Longest command or answer here, in bytes.
const FRAME_BYTES_MAX: usize = 512;

/// How long one answer may take: a TPM writes its non-volatile memory within a second.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a command is repeated that the TPM puts off, as it does where it must spare its memory.
const RETRIES_MAX: u32 = 25;
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Name and version of the base file's format: these 8 bytes, the index, the base (both big-endian), then the first 8 bytes
/// of SHA-256 of all that.
const BASE_MAGIC: [u8; 8] = *b"CFTPMB\0\x01";
const BASE_BYTES: usize = 28;

/// Reads and writes: a character device, or the socket of an emulator.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// What a TPM answered to a command.
enum Answered {
    Done(Vec<u8>),
    Refused(TpmRcBase),
}

/// The TPM behind a resource manager's device such as `/dev/tpmrm0`, or behind a Unix socket that carries plain commands, as
/// swtpm's does. Each command opens it anew, for an emulator serves one connection at a time.
struct Tpm {
    path: PathBuf,
}

impl Tpm {
    fn failed(&self, reason: impl fmt::Display) -> CounterError {
        CounterError::Tpm { path: self.path.clone(), reason: reason.to_string() }
    }

    fn run<C: TpmFrame>(&self, command: &C) -> Result<Answered, CounterError> {
        // An empty password (part 1, 19.4).
        let password = TpmsAuthCommand {
            session_handle: TpmHandle::new(TpmRh::Pw as u32),
            session_attributes: TpmaSession::CONTINUE_SESSION,
            ..TpmsAuthCommand::default()
        };
        let mut buffer = [0; FRAME_BYTES_MAX];
        let mut writer = TpmWriter::new(&mut buffer);
        let made = tpm_marshal_command(command, TpmSt::Sessions, &[password], &mut writer);
        made.map_err(|error| self.failed(error))?;
        let command = writer.as_bytes().to_vec();
        for _ in 0..RETRIES_MAX {
            let answer = exchange(&self.path, &command).map_err(|error| self.failed(error))?;
            let response = TpmResponse::cast(&answer).map_err(|error| self.failed(error))?;
            match response.rc().map_err(|error| self.failed(error))?.base() {
                TpmRcBase::Success => return Ok(Answered::Done(answer)),
                TpmRcBase::Retry | TpmRcBase::NvRate | TpmRcBase::Testing | TpmRcBase::Yielded => {
                    std::thread::sleep(RETRY_AFTER);
                }
                other => return Ok(Answered::Refused(other)),
            }
        }
        Err(self.failed("it puts every command off"))
    }

    /// Defines a counter; nothing happens if one is there.
    fn define(&self, index: u32) -> Result<(), CounterError> {
        let public = TpmsNvPublic {
            nv_index: TpmHandle::new(index),
            name_alg: TpmAlgId::Sha256,
            attributes: TpmaNv::COUNTER | TpmaNv::AUTHWRITE | TpmaNv::AUTHREAD | TpmaNv::NO_DA,
            data_size: TpmUint16::new(VALUE_BYTES),
            ..TpmsNvPublic::default()
        };
        let command = TpmNvDefineSpaceCommand {
            handles: [TpmHandle::new(TpmRh::Owner as u32)],
            auth: Tpm2bAuth::default(),
            public_info: Tpm2bNvPublic::from(public),
        };
        match self.run(&command)? {
            Answered::Done(_) | Answered::Refused(TpmRcBase::NvDefined) => Ok(()),
            Answered::Refused(code) => Err(self.failed(format!("it defines no counter: {code}"))),
        }
    }

    fn increment(&self, index: u32) -> Result<(), CounterError> {
        let index = TpmHandle::new(index);
        match self.run(&TpmNvIncrementCommand { handles: [index, index] })? {
            Answered::Done(_) => Ok(()),
            Answered::Refused(code) => Err(self.failed(format!("it does not count: {code}"))),
        }
    }

    /// The index's value; `None` if it is not there, or was never advanced.
    fn value(&self, index: u32) -> Result<Option<u64>, CounterError> {
        let index = TpmHandle::new(index);
        let (size, offset) = (TpmUint16::new(VALUE_BYTES), TpmUint16::new(0));
        match self.run(&TpmNvReadCommand { handles: [index, index], size, offset })? {
            Answered::Done(answer) => {
                let response = TpmResponse::cast(&answer).map_err(|error| self.failed(error))?;
                let read: TpmNvReadResponse = response.unmarshal().map_err(|error| self.failed(error))?;
                let value = read.data.as_ref().try_into().map(u64::from_be_bytes);
                value.map(Some).map_err(|_| self.failed("a counter has eight bytes"))
            }
            Answered::Refused(TpmRcBase::Handle | TpmRcBase::NvUninitialized) => Ok(None),
            Answered::Refused(code) => Err(self.failed(format!("it does not tell the count: {code}"))),
        }
    }
}

/// One command and its answer. A resource manager gives an answer in one read; a socket may give it in parts.
fn exchange(path: &Path, command: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = stream(path)?;
    stream.write_all(command)?;
    let mut answer = Vec::new();
    loop {
        let mut part = [0; FRAME_BYTES_MAX];
        let read = stream.read(&mut part)?;
        answer.extend_from_slice(part.get(..read).unwrap_or_default());
        let size = answer.get(2..6).and_then(|size| size.first_chunk()).map(|size| u32::from_be_bytes(*size));
        match size.map(|size| usize::try_from(size).unwrap_or(usize::MAX)) {
            _ if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(size) if size > FRAME_BYTES_MAX || answer.len() > size => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Some(size) if answer.len() == size => return Ok(answer),
            _ => {}
        }
    }
}

#[cfg(unix)]
fn stream(path: &Path) -> io::Result<Box<dyn Stream>> {
    use std::os::unix::fs::FileTypeExt;
    if fs::metadata(path)?.file_type().is_socket() {
        let socket = std::os::unix::net::UnixStream::connect(path)?;
        socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        socket.set_write_timeout(Some(ANSWER_TIME_MAX))?;
        return Ok(Box::new(socket));
    }
    Ok(Box::new(fs::File::options().read(true).write(true).open(path)?))
}

#[cfg(not(unix))]
fn stream(_path: &Path) -> io::Result<Box<dyn Stream>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A wallet's counter in a TPM.
pub struct TpmCounter {
    tpm: Tpm,
    device: PathBuf,
    index: u32,
    base: u64,
}

impl TpmCounter {
    /// The counter of the wallet called `label` in the TPM at `path`, made if there is none.
    ///
    /// # Errors
    /// [`CounterError::Tpm`]; [`CounterError::Io`] and [`CounterError::Damaged`] for the base's file.
    pub fn open(path: &Path, device: &DeviceFolder, label: &str) -> Result<Self, CounterError> {
        let name = file_name("tpm", label);
        let dir = device.path().to_path_buf();
        let file = dir.join(&name);
        let io = |source| CounterError::Io { path: file.clone(), source };
        let tpm = Tpm { path: path.into() };
        let _lock = durable::lock_folder(&dir).map_err(io)?;
        let kept = match fs::read(&file) {
            Ok(bytes) => Some(decode(&bytes).ok_or(CounterError::Damaged { path: file.clone() })?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(io(e)),
        };
        let (index, base) = match kept {
            Some((index, base)) if tpm.value(index)?.is_some_and(|value| value >= base) => (index, base),
            _ => {
                let index = index_of(label);
                tpm.define(index)?;
                tpm.increment(index)?;
                let base = tpm.value(index)?.ok_or_else(|| tpm.failed("it forgot what it counted"))?;
                durable::write_whole(&dir, &name, &encode(index, base)).map_err(io)?;
                (index, base)
            }
        };
        Ok(Self { tpm, device: dir, index, base })
    }

    fn value(&self) -> Result<u64, CounterError> {
        let value = self.tpm.value(self.index)?.ok_or_else(|| self.tpm.failed("the counter is gone"))?;
        value.checked_sub(self.base).ok_or_else(|| self.tpm.failed("the counter went back"))
    }
}

impl Counter for TpmCounter {
    fn kind(&self) -> CounterKind {
        CounterKind::Tpm
    }

    fn id(&self) -> CounterId {
        let mut hash = Sha256::new();
        hash.update(b"counterfoil tpm counter v1\0");
        hash.update(self.index.to_be_bytes());
        hash.update(self.base.to_be_bytes());
        hash.finalize().first_chunk().copied().unwrap_or_default()
    }

    fn read(&self) -> Result<u64, CounterError> {
        self.value()
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        // Nobody who shares the device folder advances between the two commands. Who does not is told a value that is not
        // the next one, as the other is, and neither state goes on.
        let lock = durable::lock_folder(&self.device);
        let _lock = lock.map_err(|source| CounterError::Io { path: self.device.clone(), source })?;
        self.tpm.increment(self.index)?;
        self.value()
    }
}

impl fmt::Debug for TpmCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TpmCounter")
            .field("index", &format_args!("{:#010x}", self.index))
            .finish_non_exhaustive()
    }
}

/// Where the counter of a wallet is. Two labels may meet in one place; each then has its own base, and each payment of one
/// makes the other stale, which with a handful of wallets to a device happens once in a million devices.
fn index_of(label: &str) -> u32 {
    let digest = Sha256::digest([b"counterfoil tpm index v1\0", label.as_bytes()].concat());
    let number = digest.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    OWNER_FIRST | (number % OWNER_COUNT)
}

fn encode(index: u32, base: u64) -> [u8; BASE_BYTES] {
    let mut file = [0; BASE_BYTES];
    file[..8].copy_from_slice(&BASE_MAGIC);
    file[8..12].copy_from_slice(&index.to_be_bytes());
    file[12..20].copy_from_slice(&base.to_be_bytes());
    let check = Sha256::digest(&file[..20]);
    file[20..].copy_from_slice(&check[..8]);
    file
}

fn decode(file: &[u8]) -> Option<(u32, u64)> {
    let index = u32::from_be_bytes(file.get(8..12)?.try_into().ok()?);
    let base = u64::from_be_bytes(file.get(12..20)?.try_into().ok()?);
    (file == encode(index, base)).then_some((index, base))
}
