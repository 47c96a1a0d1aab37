//! The operator.
pub mod domain;
pub mod store;
