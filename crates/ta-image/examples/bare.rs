//! The signatures of the trusted application and nothing else, as an image: what a payment is measured against by
//! `counterfoil bench tap`.
#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
#[path = "../src/alone.rs"]
mod alone;
#[cfg(target_arch = "wasm32")]
#[path = "bare/machine.rs"]
mod machine;
