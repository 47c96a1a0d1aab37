#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]
//! What travels and what is kept: messages, their canonical encoding, amounts, identifiers, scheme rules and numbered
//! error codes. No cryptography lives here: this crate says what bytes mean, `counterfoil-trust` says whether they are
//! to be believed.
//!
//! Encoding is deterministic CBOR (RFC 8949 section 4.2.1). [`codec::Wire::from_bytes`] accepts a byte string only if
//! it is exactly what [`codec::Wire::to_bytes`] would have written, so one value has one encoding.

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod amount;
pub mod bundle;
pub mod cert;
pub mod codec;
pub mod element;
pub mod error;
pub mod header;
pub mod ids;
pub mod lists;
pub mod message;
pub mod proof;
pub mod rules;
pub mod sync;

pub use amount::{Amount, Currency};
pub use codec::{Bytes, Wire};
pub use error::{Code, Error, Fault};
pub use ids::{Algorithm, Digest, KeyId, Nonce, PublicKey, Reference, Signature};
