#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! Conformance vectors: what any implementation of the protocol, in any language, must read, refuse, sign and answer.
//!
//! `vectors/` in the repository is made by [`make`] and checked by [`check`]; `vectors/README.md` says how to use it.
//!
//! | module | noun |
//! |---|---|
//! | [`mod@format`] | the files, as serde reads and writes them |
//! | [`json`] | wire values as JSON: plain names, integers, hexadecimal |
//! | [`fixed`] | a scheme, wallets and an operator with fixed keys, clock and randomness |
//! | [`make`] | writes the files, the same to the last bit each time |
//! | [`check`] | reads the files and nothing else, and compares |
//!
//! # Why the checker can find the generator wrong
//! The generator writes down what the specification expects: which error number, which proof. It does not ask the code
//! under test. The checker has no list of its own: it feeds what the files say to feed and compares with what the files
//! say must come out.

pub mod check;
pub mod fixed;
pub mod format;
pub mod json;
pub mod make;

use counterfoil_wire::Code;

/// Why vectors could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not of the format.
    #[error("{path}: {source}")]
    Format {
        /// Which.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// JSON that stands for no value of the wire.
    #[error("{0}")]
    Json(#[from] json::Mismatch),
    /// The code under test refused what the generator needs.
    #[error("{what}: error {}", code.number())]
    Refused {
        /// What was tried.
        what: String,
        /// The error.
        code: Code,
    },
    /// The code under test did something else than the generator expects.
    #[error("{0}")]
    Unexpected(String),
}

impl From<counterfoil_wire::Error> for VectorError {
    fn from(error: counterfoil_wire::Error) -> Self {
        Self::Refused { what: "a message".into(), code: error.code }
    }
}
