//! Exhaustive checking of the trusted application and of the operator's rules, as they are.
//!
//! The code that ships is driven through every order of events within bounds: see `spec/proof.md` for what is checked and
//! how far. A state of the world is a handful of numbers, each for a value that is kept once (a stored device, a book of
//! the operator, a message), and a step of a device or of the operator is carried out once for each state and message and
//! then remembered. So millions of orders cost some thousands of signatures, and none need be faked.
//!
//! | module | noun |
//! |---|---|
//! | [`scenario`] | who takes part, what they may want, what may go wrong |
//! | [`world`] | one state, and the steps between states |
//! | [`model`] | a scenario with its parties, and everything learnt while it is explored |
//! | `step`, `note` | what a step does; what an answer says has happened |
//! | [`check`], [`cheat`] | what must hold; what a dishonest host can reach |
//! | [`device`], [`book`], [`forger`] | the real application, the operator's real rules, an extracted key |
//! | [`scheme`], [`intern`] | fixed keys; values by number |
//! | [`report`] | running scenarios, and what is printed |
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
pub mod model;
mod note;
pub mod report;
pub mod scenario;
pub mod scheme;
mod step;
pub mod world;
