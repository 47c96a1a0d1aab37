//! The target `certificate`: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| counterfoil_fuzz::certificate::certificate(data));
