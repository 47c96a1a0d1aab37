#![deny(clippy::indexing_slicing)]
//! The operator: root of trust, certificate factory, ledger and reconciliation of an offline payment scheme, as a
//! service over HTTP.
//!
//! | module | noun |
//! |---|---|
//! | [`domain`] | what is decided, without I/O and without a clock |
//! | [`store`] | where rows are kept |
//! | [`service`] | the operations |
//! | [`api`] | the operations over HTTP |
//! | [`jobs`] | what happens without a request |
//! | [`challenge`], [`attestation`] | what an enrolment must show of the element |
//! | [`factory`], [`keys`] | certificates and private keys |
//! | [`mod@init`], [`mod@serve`] | a new operator, and its process |
//!
//! # An operator's folder
//!
//! | file | what |
//! |---|---|
//! | `operator.db` | the operator's rows |
//! | `rail.db` | the simulated rail, whose books are its own |
//! | `operator-root.cbor` | the root's certificate, for wallets |
//! | `keys/*.key`, `keys/psp-*.token` | private keys and PSP tokens, readable by their owner alone |
//! | `certs/*.{pem,der}` | certificates of root and issuers |
//! | `lock` | held during an operation, so that the command line may work beside the service |
//!
//! # What is not here
//! Evidence is judged by `counterfoil-trust`, never by the trusted application's own code. The folder holds no name of
//! a customer: a PSP's name for an account is all that the operator has. One process-wide lock makes operations take
//! turns, on rows that are already cut into buckets with one writer each; statements' signatures are checked outside it,
//! and what comes of many statements is written at once.

pub mod api;
pub mod attestation;
pub mod challenge;
pub mod domain;
pub mod error;
pub mod factory;
pub mod init;
pub mod jobs;
pub mod keys;
pub mod serve;
pub mod service;
pub mod signatures;
pub mod store;

use std::path::Path;

pub use domain::audit::AuditReport;
pub use domain::holding::{Awaited, Holding};
pub use domain::reason::Reason;
pub use error::{OperatorError, Refusal};
pub use init::{InitOptions, InitReport, init};
pub use serve::serve;
pub use service::{
    Activation, Clock, ImageReport, NewKey, Service, audit_folder as audit, reasons_in_folder as reasons,
    system_clock,
};

use counterfoil_wire::KeyId;

/// Makes an activation code for an account of a PSP, also while the operator serves.
///
/// # Errors
/// Those of [`Service::open`] and [`Service::create_activation`].
pub fn create_activation(
    dir: &Path,
    psp: &str,
    account: &str,
    name: &str,
) -> Result<Activation, OperatorError> {
    Ok(Service::open(dir, system_clock())?.create_activation(psp, account, name)?)
}

/// Has the next settlement of the wallet with this key unblock its PIN, also while the operator serves.
///
/// # Errors
/// Those of [`Service::open`] and [`Service::unblock`].
pub fn unblock(dir: &Path, key: &KeyId) -> Result<(), OperatorError> {
    Ok(Service::open(dir, system_clock())?.unblock(None, key)?)
}

/// Gives the wallet with this key its whole limits again from its next settlement on, also while the operator serves.
///
/// # Errors
/// Those of [`Service::open`] and [`Service::lift`].
pub fn lift(dir: &Path, key: &KeyId) -> Result<(), OperatorError> {
    Ok(Service::open(dir, system_clock())?.lift(None, key)?)
}

/// Closes the wallet with this key for good, also while the operator serves.
///
/// # Errors
/// Those of [`Service::open`] and [`Service::close_wallet`].
pub fn close_wallet(dir: &Path, key: &KeyId) -> Result<Holding, OperatorError> {
    Ok(Service::open(dir, system_clock())?.close_wallet(None, key)?)
}

/// Adds up what the wallet with this key holds, also while the operator serves.
///
/// # Errors
/// Those of [`Service::open`] and [`Service::holding`].
pub fn holding(dir: &Path, key: &KeyId) -> Result<Holding, OperatorError> {
    Ok(Service::open(dir, system_clock())?.holding(None, key)?)
}
