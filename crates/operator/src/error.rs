//! Two audiences, two errors: [`OperatorError`] tells whoever runs the operator what went wrong, [`Refusal`] becomes a
//! problem document with a numbered code and nothing personal in it.

use std::path::PathBuf;

use counterfoil_rail::RailError;
use counterfoil_wire::{Code, Error};

use crate::store::{Location, StoreError};

/// What can go wrong for whoever runs the operator.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The folder for a new operator exists.
    #[error("{0} exists already; an operator is never overwritten, choose another folder")]
    Exists(PathBuf),
    /// The folder holds no operator.
    #[error("{0} holds no operator; make one with `counterfoil operator init`")]
    NotAnOperator(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration cannot be read.
    #[error("{path} is not a configuration: {why}")]
    Config {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The database for a new operator has one.
    #[error("there is an operator in {0} already; name an empty database")]
    Occupied(Location),
    /// A key file is not one.
    #[error("{0} is not a key file; put the right one back")]
    DamagedKey(PathBuf),
    /// The options contradict each other or the profile.
    #[error("{0}")]
    Options(&'static str),
    /// The database failed.
    #[error("the operator's database: {0}")]
    Store(#[from] StoreError),
    /// The rail failed.
    #[error("the rail: {0}")]
    Rail(#[from] RailError),
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
    /// The address is not this machine's own.
    #[error("{0} is not a loopback address; put a reverse proxy with TLS in front of the operator")]
    NotLoopback(std::net::SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// The process cannot go on serving.
    #[error("cannot serve: {0}")]
    Serving(std::io::Error),
    /// Another process serves this operator.
    #[error("another process serves the operator in {}", .0.display())]
    AlreadyServed(PathBuf),
    /// A signed object of the operator's own does not hold.
    #[error("what the operator keeps does not hold: {0}")]
    Damaged(Error),
    /// The request was refused.
    #[error("{0}")]
    Refused(Refusal),
}

/// Why a request was not done. Nothing was changed unless the code says so.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A rule says no.
    #[error("{}", .0.what())]
    Rule(Code),
    /// The store failed.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// The rail failed.
    #[error("the rail: {0}")]
    Rail(#[from] RailError),
    /// A file or the system failed.
    #[error("the system: {0}")]
    System(#[from] std::io::Error),
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
}

impl Refusal {
    /// The numbered code.
    pub fn code(&self) -> Code {
        match self {
            Self::Rule(code) => *code,
            Self::Rail(RailError::InsufficientFunds) => Code::RailRefused,
            Self::Rail(_) => Code::RailUnavailable,
            Self::Store(_) | Self::System(_) | Self::Random => Code::Internal,
        }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::Rule(code)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Rule(error.code)
    }
}

impl From<Refusal> for OperatorError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Store(error) => Self::Store(error),
            Refusal::Rail(error) => Self::Rail(error),
            Refusal::Random => Self::Random,
            other => Self::Refused(other),
        }
    }
}

/// Fills an array with random bytes.
///
/// # Errors
/// [`Refusal::Random`].
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Random)?;
    Ok(bytes)
}
