//! What can go wrong in the SDK: a numbered refusal, a broken carrier, an operator that cannot be reached.

use std::path::PathBuf;

use counterfoil_tre::OpenError;
use counterfoil_wire::{Code, Error};

use crate::channel::ChannelError;

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
    /// A message could not be read or written. If it was being written, the operation itself is done, and the next
    /// command on this wallet writes it.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The element could not be opened.
    #[error(transparent)]
    Element(#[from] OpenError),
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
            Self::Operator(OperatorError::Refused(problem)) => problem.code,
            _ => None,
        }
    }

    /// What to do next, where there is more to say than the error itself does.
    pub fn next(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => Some(error.code.next()),
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
            Self::DamagedFile { .. } => {
                Some("put back nothing older; remove the file if it is a pending one")
            }
            _ => None,
        }
    }

    /// Whether the operation is decided: it did not happen and repeating it as it is cannot help. The other errors
    /// leave open whether it happened, so it stays pending.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused(error) => {
                !matches!(error.code, Code::StoreFailed | Code::StaleState | Code::Damaged)
            }
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
