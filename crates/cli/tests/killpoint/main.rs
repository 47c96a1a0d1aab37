//! Every durable write, rename, send and sync of wallet and operator is numbered; the real binary is killed at each
//! number and run again; money is neither lost nor made.
//!
//! | module | noun |
//! |---|---|
//! | `tracer.c` | the program that stops another one at its numbered calls, and kills it at one |
//! | [`tracer`] | the same, from here: points, calls, reports |
//! | [`stage`] | a folder with operator and homes, put back before each kill, and what must hold after it |
//! | [`scenario`] | one story: told once to count, and once for each kill |
//! | [`commands`], [`operators`] | the stories |
//! | [`durability`] | what a kill cannot show |
//!
//! # What is numbered
//! System calls, where the kernel sees them: `rustix`, which renames `pending.json`, goes past the C library, and a
//! library that is loaded before it (`LD_PRELOAD`) would never have seen that rename. A write is numbered if it goes to
//! a file or a socket; standard output, pipes and the wake-ups between threads last no longer than the process. A way to
//! make something durable that the tracer cannot cut (`msync`, `io_uring`, `copy_file_range`, a file mapped to be
//! written) fails the test as soon as a command uses it. There is one exception: SQLite maps the index of its
//! write-ahead log (`-shm`), and the first process to open a database makes that anew.
//!
//! # What is checked
//! Killed before a call, in the middle of one or after it, the same command is run again (with its `--ref`, where it
//! takes one, as README.md says), the story is told to its end, and everybody syncs. Then the operator's audit, the
//! rail and each wallet must agree with figures that stand in the scenario: balances, funded, defunded, number of
//! payments, nothing in flight, nobody accused. A message that was on the disk when the kill came is the same
//! afterwards, since somebody may have taken it. No draft and no pending operation is left.
//!
//! # Two forms
//! The short form, which the tests run, kills at each call once, before it or in the middle of it by turns; of `operator
//! init` at each fifth call. `cargo xtask kill --long` kills at each call in each mode, and kills what recovers as well.
//! Each scenario prints a line: N, at how many of the N it was killed, and whether all were recovered from.
//!
//! # What this cannot show
//! A process that is killed leaves its finished writes to the system: this is about crashes of programs, not of
//! machines. [`durability`] checks the order of syncs in each whole run, and `counterfoil-tre`'s `power_cut` tests what
//! the sealed store makes of every state that a power cut may leave. SQLite's own promise (`synchronous = full`) is
//! trusted. A kill comes at a call, not between two instructions: between two calls nothing changes that lasts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]
#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, unused_imports, reason = "the stories are told on Linux alone")
)]

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod durability;
mod operators;
mod scenario;
mod stage;
mod tracer;
