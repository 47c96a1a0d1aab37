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
//! | [`metrics`] | what is counted meanwhile |
//! | [`jobs`] | what happens without a request |
//! | [`challenge`], [`attestation`] | what an enrolment must show of the element |
//! | [`factory`], [`keys`] | certificates and private keys |
//! | [`place`] | where an operator is: its folder, its configuration, its database |
//! | [`mod@init`], [`mod@serve`] | a new operator, and its process |
//!
//! # An operator's folder
//!
//! | file | what |
//! |---|---|
//! | `operator.toml` | the configuration: which database, where to listen |
//! | `operator.db` | the operator's rows, unless they are in PostgreSQL |
//! | `rail.db` | the simulated rail, whose books are its own |
//! | `operator-root.cbor` | the root's certificate, for wallets |
//! | `keys/*.key`, `keys/psp-*.token`, `keys/operator.token` | private keys and bearer tokens, readable by their owner alone |
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
pub mod metrics;
pub mod place;
pub mod serve;
pub mod service;
pub mod signatures;
pub mod store;

pub use domain::audit::AuditReport;
pub use domain::holding::{Awaited, Holding};
pub use domain::reason::Reason;
pub use error::{OperatorError, Refusal};
pub use init::{InitOptions, InitReport, init};
pub use place::Place;
pub use serve::serve;
pub use service::{
    Activation, Clock, ImageReport, NewKey, Service, audit_place as audit, reasons_at as reasons,
    system_clock,
};
