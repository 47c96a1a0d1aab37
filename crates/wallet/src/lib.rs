//! wallet

pub mod channel;
