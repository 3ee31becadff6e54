//! `cargo fuzz run grammar`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::grammar(bytes));
