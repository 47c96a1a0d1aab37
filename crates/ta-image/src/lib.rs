//! The trusted application as an image: `counterfoil-ta` behind the exports that `counterfoil_ta::abi` describes, over a
//! world that is made of its imports.
//!
//! There is nothing of the protocol here. On any other target than wasm32 this crate is empty.
#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
mod alone;
#[cfg(target_arch = "wasm32")]
mod machine;
