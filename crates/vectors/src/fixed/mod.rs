//! A world in which nothing is left to chance: keys, clock and randomness are fixed, so that every byte is the same each
//! time. The generator uses it; so may whoever needs well-formed messages, certificates or wallets to begin with.
//!
//! | module | noun |
//! |---|---|
//! | [`authority`] | a scheme: root, signer and issuers, with lists and certificates to issue |
//! | [`device`] | a host in memory, whose randomness is drawn from a seed or played back |
//! | [`wallet`] | a trusted application behind named commands |
//! | [`operator`] | an operator without a ledger, who answers enrolments, orders and statements |

pub mod authority;
pub mod device;
pub mod operator;
pub mod wallet;

pub use authority::Scheme;
pub use device::{Device, Host};
pub use operator::Operator;
pub use wallet::{Door, Opener, Wallet};

use counterfoil_trust::{SigningKey, sha256};
use counterfoil_wire::cert::Name;
use counterfoil_wire::element::{CounterKind, ElementStatement, Tamper};
use counterfoil_wire::{Algorithm, Amount, Digest, Error, Nonce, Reference};

/// When the world begins: 2027-01-15 08:00:00 UTC.
pub const START_S: u32 = 1_800_000_000;

/// The randomness of every signature that the generator itself makes.
pub const HEDGE: [u8; 32] = [7; 32];

/// The PIN of every wallet that has one.
pub const PIN: &str = "4711";

/// An amount, cut at the largest one.
pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap_or(Amount::MAX)
}

/// A name; empty if `text` is none.
pub fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}

/// 32 bytes that are the same each time and different for each label.
pub fn digest(label: &str) -> Digest {
    sha256(label.as_bytes())
}

/// A nonce for a label.
pub fn nonce(label: &str) -> Nonce {
    let mut nonce = [0; 16];
    nonce.iter_mut().zip(digest(label).0).for_each(|(to, from)| *to = from);
    Nonce(nonce)
}

/// A reference for a label.
pub fn reference(label: &str) -> Reference {
    Reference(digest(label).0)
}

/// What a wallet runs in: natively, with a counter that a test moves, in the place of one given up for `tamper`, if for any.
pub fn element(tamper: Option<Tamper>) -> ElementStatement {
    ElementStatement { tamper, ..ElementStatement::native(CounterKind::Simulated, nonce("challenge")) }
}

/// A key for a label, the same each time.
///
/// # Errors
/// For about one label in 2^32 with ES256: its digest is no scalar.
pub fn key(algorithm: Algorithm, label: &str) -> Result<SigningKey, Error> {
    SigningKey::from_secret(algorithm, &digest(label).0)
}
