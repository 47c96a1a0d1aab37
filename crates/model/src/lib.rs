//! Exhaustive checking of the trusted application and of the operator's rules, as they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a checker that finds itself in the wrong must stop"
)]

pub mod book;
pub mod cheat;
pub mod check;
pub mod device;
pub mod forger;
pub mod intern;
pub mod report;
pub mod scenario;
pub mod scheme;
pub mod world;
