#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
//! How evidence is judged: signatures, certificate chains, revocation, proofs of misbehaviour.
//!
//! `counterfoil-wire` says what bytes mean; this crate says whether they are to be believed. Payer, payee and operator
//! judge through the same functions, so that what one of them accepted another cannot find wanting. There is no clock,
//! no randomness and no storage in here: time and entropy are arguments, state is a value.
//!
//! | module | question |
//! |---|---|
//! | [`approval`] | did the phone's own lock say yes to this payment? |
//! | [`crypto`] | does this signature hold, and how is one made? |
//! | [`enrolment`] | what is a new key enrolled for? |
//! | [`envelope`] | what did this key say? |
//! | [`x509`] | which certificate does the compact form stand for, and who vouches for it? |
//! | [`chain`] | does the scheme's root stand behind this key, now? |
//! | [`revocation`] | has the operator withdrawn it? |
//! | [`verifier`] | is a signature checked now, or with others? |
//! | [`proofs`] | do these two headers show that a key cheated? |

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod approval;
pub mod chain;
pub mod crypto;
pub mod enrolment;
pub mod envelope;
pub mod image;
pub mod proofs;
pub mod revocation;
pub mod verifier;
pub mod x509;

pub use approval::Approval;
pub use chain::Anchors;
pub use crypto::{SigningKey, check_key, key_id, sha256, verify};
pub use enrolment::enrolment_binding;
pub use envelope::{Opened, check_header, header_id, header_of, open, open_message, seal, to_be_signed};
pub use proofs::{Misbehaviour, conflict, judge};
pub use revocation::Revoked;
pub use verifier::{AtOnce, Verifier};
