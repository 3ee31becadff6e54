//! `cargo fuzz run gif`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::gif(bytes));
