//! `cargo fuzz run listing`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::listing(bytes));
