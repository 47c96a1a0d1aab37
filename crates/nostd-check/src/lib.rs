//! Proof that `wire`, `trust` and `ta` need neither `std` nor an operating system.
//!
//! A crate marked `no_std` may still pull in `std` through a dependency, and on a host target the compiler says
//! nothing. Here it must: this library brings its own panic handler, so that a `std` anywhere below it is a duplicate
//! lang item. The `nostd` step of `cargo xtask test` then links it with no system library at all, so that a clock, a
//! file or a random source taken behind the traits' back is an undefined symbol.
//!
//! Nothing here ever runs.
#![cfg_attr(nostd_link, no_std)]

#[cfg(nostd_link)]
mod link;
