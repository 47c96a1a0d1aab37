#![no_std]
//! wire
