//! What the fuzz targets do: each is a function of bytes that panics where something does not hold.
//!
//! Worlds, wallets and schemes are those of the crates' own tests, and the operator's decisions are its module
//! `domain`, which is pure: so that a target builds without a database or a server.

pub mod certificate;
pub mod home;
#[cfg(feature = "picture")]
pub mod image;
pub mod input;
mod office;
pub mod seeds;
pub mod statement;
pub mod ta;
pub mod wire;

#[path = "../../crates/ta/tests/support/door.rs"]
mod door;
#[path = "../../crates/ta/tests/support/mod.rs"]
mod support;
use support as world;

#[path = "../../crates/trust/tests/common/mod.rs"]
mod scheme;

#[path = "../../crates/operator/src/domain/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the targets use a part of it")]
mod domain;
