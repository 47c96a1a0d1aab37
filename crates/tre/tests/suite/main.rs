//! The store against a model, a power cut at every step, tampering, the counter, and real folders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod counter;
mod model;
mod native;
#[cfg(unix)]
mod ports;
mod power_cut;
mod tamper;
