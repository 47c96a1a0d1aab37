//! What can go wrong in the SDK: a numbered refusal, a broken carrier, an operator that cannot be reached.

use std::path::PathBuf;

use counterfoil_tre::{LockError, OpenError, StartError, StoreOpenError};
use counterfoil_wire::{Code, Error};

use crate::channel::ChannelError;
use crate::operation::Outcome;

/// Why an operation did not succeed. Unless a variant says otherwise the wallet's money is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The trusted application refused. The number says why, whose fault it is and what to do next.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The operator refused, or could not be asked. What was asked stays asked: the same operation goes on later.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A message could not be read, or it was known before anything happened that it could not be written.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The operation is done, and its message could not be written. The same order with any file to write to gives
    /// the message, and does nothing a second time.
    #[error("the operation is done, and its message could not be written: {source}")]
    NotWritten {
        /// What came of the operation.
        outcome: Box<Outcome>,
        /// Why there is no message.
        source: ChannelError,
    },
    /// The element could not be opened.
    #[error(transparent)]
    Element(#[from] OpenError),
    /// The image of the trusted application may not run, or no machine runs it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The device folder has no key, so it is not the one that seals this wallet. Only an enrolment makes one.
    #[error("there is no device key in {}, so no wallet was enrolled with this device folder", device.display())]
    NoDevice {
        /// The device folder.
        device: PathBuf,
    },
    /// The home's counter is the platform's, and no platform was given.
    #[error("the platform keeps this wallet's counter, and it cannot be reached from here")]
    NoPlatformCounter,
    /// The platform did not attest to the wallet's counter.
    #[error("the platform does not attest to the wallet's counter: {0}")]
    Attestation(String),
    /// The device's own lock did not approve, or gave no key. Nothing was paid.
    #[error(transparent)]
    Lock(LockError),
    /// A part of the home is missing, and the rest is of no use without it.
    #[error("{} is missing from this home, which once held an enrolled wallet", missing.display())]
    HomeIncomplete {
        /// The file that is missing.
        missing: PathBuf,
    },
    /// A file in the wallet's home could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Home {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file concerned.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file in the wallet's home does not hold what the SDK wrote there.
    #[error("{} is damaged: {reason}", path.display())]
    DamagedFile {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The home holds a terminal and a wallet was asked for, or the other way round.
    #[error("this home holds a {holds}, not a {wanted}; use `counterfoil {holds}`")]
    OtherKind {
        /// What it holds.
        holds: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// An enrolment that was begun in this home has not ended, and this one asks for something else.
    #[error(
        "an enrolment with another {differs} was begun in this home; repeat it as it was, or use another home"
    )]
    OtherEnrolment {
        /// What is different.
        differs: &'static str,
    },
    /// The operator's root is not the one that the holder trusts.
    #[error(
        "the operator's root is {found}, and the one to be trusted is {trusted}: this is another operator"
    )]
    OtherRoot {
        /// Fingerprint of the root that the operator names.
        found: String,
        /// Fingerprint of the root that was given.
        trusted: String,
    },
    /// The trusted application answered with something that the command does not lead to.
    #[error("the trusted application gave an answer that does not belong to the command")]
    UnexpectedReply,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no randomness: {0}")]
    Random(getrandom::Error),
}

impl WalletError {
    /// The error's number, where it has one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(error) => Some(error.code),
            Self::Start(error) => Some(error.code()),
            Self::Operator(OperatorError::Refused(problem)) => problem.code,
            Self::Channel(
                ChannelError::NotPng { .. } | ChannelError::NoCode | ChannelError::Unreadable { .. },
            ) => Some(Code::NotAMessage),
            Self::Channel(ChannelError::FileTooLarge { .. }) => Some(Code::TooLong),
            Self::Element(OpenError::Store(StoreOpenError::Tampered { .. }))
            | Self::HomeIncomplete { .. } => Some(Code::Damaged),
            Self::Element(OpenError::Store(StoreOpenError::Fault(_))) => Some(Code::StoreFailed),
            Self::Element(OpenError::Store(StoreOpenError::ImageOlder { .. })) => Some(Code::ImageOlder),
            Self::Element(OpenError::Store(StoreOpenError::ImageAltered { .. })) => Some(Code::ImageAltered),
            _ => None,
        }
    }

    /// A stable name for programs, which the error's number also has.
    pub fn name(&self) -> &'static str {
        if let Some(code) = self.code() {
            return code.name();
        }
        match self {
            Self::Refused(_) => "Refused",
            Self::Start(_) => "Start",
            Self::Operator(OperatorError::Refused(_)) => "OperatorRefused",
            Self::Operator(OperatorError::Unreachable { .. }) => "OperatorUnreachable",
            Self::Operator(OperatorError::NoTls { .. }) => "NoTls",
            Self::Operator(OperatorError::Malformed { .. }) => "NotAnOperator",
            Self::Channel(error) => match error {
                ChannelError::Io { action: "write", .. } => "CannotWrite",
                ChannelError::Io { .. } => "CannotRead",
                ChannelError::Occupied { .. } => "FileExists",
                ChannelError::UnknownExtension { .. } => "UnknownExtension",
                ChannelError::SeveralCodes { .. } => "SeveralCodes",
                ChannelError::TooLong { .. } | ChannelError::TooLongForQr { .. } => "TooLongForFile",
                ChannelError::NotDrawn { .. } => "CannotWrite",
                _ => "UnreadablePicture",
            },
            Self::NotWritten { .. } => "MessageNotWritten",
            Self::Element(OpenError::Store(StoreOpenError::OtherDevice)) | Self::NoDevice { .. } => {
                "OtherDevice"
            }
            Self::Element(OpenError::Counter(_)) | Self::NoPlatformCounter => "Counter",
            Self::Attestation(_) => "Attestation",
            Self::Lock(LockError::NotUnlocked) => "NotUnlocked",
            Self::Lock(_) => "Lock",
            Self::Element(OpenError::Vault(_)) => "DeviceKey",
            Self::Element(OpenError::Home(_)) => "HomeUnusable",
            Self::Element(_) => "Element",
            Self::Home { .. } => "HomeUnusable",
            Self::DamagedFile { .. } => "DamagedFile",
            Self::OtherKind { .. } => "OtherKind",
            Self::OtherEnrolment { .. } => "OtherEnrolment",
            Self::OtherRoot { .. } => "OtherRoot",
            Self::HomeIncomplete { .. } => "Damaged",
            Self::UnexpectedReply => "UnexpectedReply",
            Self::Random(_) => "NoRandomness",
        }
    }

    /// Whose fault it is, by the names that numbered errors use.
    pub fn fault(&self) -> &'static str {
        if let Some(code) = self.code() {
            return code.fault().name();
        }
        match self {
            Self::Operator(OperatorError::NoTls { .. })
            | Self::OtherKind { .. }
            | Self::OtherEnrolment { .. }
            | Self::NoDevice { .. } => "caller",
            Self::Lock(LockError::NotUnlocked) => "holder",
            Self::Operator(_) | Self::OtherRoot { .. } => "operator",
            Self::Channel(error) => match error {
                ChannelError::Io { action: "write", .. } | ChannelError::NotDrawn { .. } => "host",
                ChannelError::PictureTooLarge | ChannelError::PictureTooBusy => "sender",
                _ => "caller",
            },
            _ => "host",
        }
    }

    /// What to do next, where there is more to say than the error itself does.
    pub fn next(&self) -> Option<&str> {
        match self {
            Self::HomeIncomplete { missing } if missing.ends_with("wallet.json") => Some(
                "put wallet.json back if there is a copy: it never changes. Without it enrol in another home, and tell \
                 the PSP",
            ),
            Self::Refused(error) => Some(error.code.next()),
            Self::Start(error) => Some(error.code().next()),
            Self::Operator(OperatorError::Refused(problem)) => {
                problem.code.map(Code::next).or(problem.next.as_deref())
            }
            Self::Operator(OperatorError::Unreachable { .. }) => {
                Some("nothing is lost: run the same command again when the operator can be reached")
            }
            Self::Operator(OperatorError::Malformed { .. }) => {
                Some("check the operator's URL; nothing is lost, and the same command goes on later")
            }
            Self::Operator(OperatorError::NoTls { .. }) => {
                Some("give the http address of a TLS proxy on this computer")
            }
            Self::DamagedFile { path, .. } if path.ends_with("wallet.json") => Some(
                "put back a copy of wallet.json: it never changes. Without one enrol in another home, and tell the PSP",
            ),
            Self::DamagedFile { .. } => Some(
                "remove this file; what it stood for was done or was not: `counterfoil wallet show` tells which",
            ),
            Self::NotWritten { .. } => {
                Some("run the same command again, with any --out; nothing is done a second time")
            }
            Self::NoDevice { .. } | Self::Element(OpenError::Store(StoreOpenError::OtherDevice)) => {
                Some("give the device folder of the enrolment, with --device or COUNTERFOIL_DEVICE")
            }
            Self::Element(OpenError::Counter(_)) => Some(
                "see to the counter that the message names, with --tpm or COUNTERFOIL_TPM where that is a TPM; nothing has changed",
            ),
            Self::NoPlatformCounter => Some("use the application that enrolled the wallet"),
            Self::Attestation(_) => Some("try again; the enrolment goes on where it was"),
            Self::Lock(_) => Some("nothing was paid: try again, or give the PIN"),
            Self::Element(OpenError::Vault(_)) => {
                Some("put the device folder in order; the wallet is as it was")
            }
            Self::Element(OpenError::Home(_)) => {
                Some("wait for the other command, or check that the folder is yours; nothing has changed")
            }
            Self::Element(_) | Self::Home { .. } => {
                Some("check the folders that were given; nothing has changed")
            }
            Self::Channel(error) => Some(match error {
                ChannelError::Io { action: "write", .. } => "choose another --out; nothing is done twice",
                ChannelError::Io { .. } => "check the name of the file",
                ChannelError::Occupied { .. } => {
                    "choose another --out, or move the file away; nothing is done twice"
                }
                ChannelError::UnknownExtension { .. } => "end the name in .cbor or .png",
                ChannelError::SeveralCodes { .. }
                | ChannelError::PictureTooLarge
                | ChannelError::PictureTooBusy => "crop the picture to the one code",
                ChannelError::TooLong { .. }
                | ChannelError::TooLongForQr { .. }
                | ChannelError::NotDrawn { .. } => "choose a name that ends in .cbor",
                _ => return self.code().map(Code::next),
            }),
            Self::OtherKind { .. } => Some("use the command for what the home holds, or another home"),
            Self::OtherEnrolment { .. } => Some("repeat the enrolment as it was, or use another home"),
            Self::OtherRoot { .. } => {
                Some("check the operator's address and the root's file; nothing was done")
            }
            Self::UnexpectedReply => Some("run the same command again; nothing is done a second time"),
            Self::Random(_) => Some("nothing was done; try again"),
            Self::HomeIncomplete { .. } => self.code().map(Code::next),
        }
    }

    /// Whether the operation is decided: it did not happen and repeating it as it is cannot help. The other errors
    /// leave open whether it happened, so it stays pending.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused(error) => {
                !matches!(error.code, Code::StoreFailed | Code::StaleState | Code::Damaged)
            }
            // It is asked once the trusted application has said that it paid nothing.
            Self::Lock(_) => true,
            _ => false,
        }
    }
}

/// A problem document (RFC 9457) of the operator's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The error's number, if it is a known one.
    pub code: Option<Code>,
    /// What happened.
    pub title: String,
    /// What to do next, as the operator says it.
    pub next: Option<String>,
}

/// Why the operator gave no answer of use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// No connection, or it broke. Whether the operator saw the request is unknown, and does not matter.
    #[error("the operator at {url} cannot be reached ({reason})")]
    Unreachable {
        /// The operator's address.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// The operator said no.
    #[error("{}", refusal(.0))]
    Refused(Problem),
    /// The address asks for TLS, which this build does not speak.
    #[error("{url} asks for TLS, and this build speaks plain HTTP only")]
    NoTls {
        /// The operator's address.
        url: String,
    },
    /// What answered does not speak the operator's API.
    #[error("{url} answered, but not as an operator does ({reason})")]
    Malformed {
        /// The operator's address.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

fn refusal(problem: &Problem) -> String {
    match problem.code {
        Some(code) => format!("error {}: {}", code.number(), code.what()),
        None => format!("the operator refused (HTTP {}): {}", problem.status, problem.title),
    }
}
