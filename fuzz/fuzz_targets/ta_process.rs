//! The target `ta_process`: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| counterfoil_fuzz::ta::ta_process(data));
