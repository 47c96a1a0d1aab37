//! The target `objects`: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| counterfoil_fuzz::wire::objects(data));
