//! Every test of the trusted application but the measured ones, against the application as `support/door.rs` opens it.
//!
//! Another host runs the same tests: it includes `support/mod.rs` and the files below by their paths, and brings its own
//! module `door` with `open_door`. All of them stand at the root of that test, under these names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/door.rs"]
mod door;
mod support;

mod approval;
mod attacks;
mod bad_input;
mod cert_swap;
mod conservation;
mod gossip;
mod payments;
mod sizes;
mod stale;
mod tamper;
mod threats;
