//! The trusted application's own suite, and the specification's vectors, in the virtual secure element: the files of
//! `crates/ta/tests`, word for word, behind another door.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod door;

#[path = "../../../ta/tests/support/mod.rs"]
mod support;

#[path = "../../../ta/tests/approval.rs"]
mod approval;
#[path = "../../../ta/tests/attacks.rs"]
mod attacks;
#[path = "../../../ta/tests/bad_input.rs"]
mod bad_input;
#[path = "../../../ta/tests/cert_swap.rs"]
mod cert_swap;
#[path = "../../../ta/tests/conservation.rs"]
mod conservation;
#[path = "../../../ta/tests/gossip.rs"]
mod gossip;
#[path = "../../../ta/tests/payments.rs"]
mod payments;
#[path = "../../../ta/tests/sizes.rs"]
mod sizes;
#[path = "../../../ta/tests/stale.rs"]
mod stale;
#[path = "../../../ta/tests/tamper.rs"]
mod tamper;
#[path = "../../../ta/tests/threats.rs"]
mod threats;

mod vectors;
