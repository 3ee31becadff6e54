//! `cargo fuzz run reply`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::reply(bytes));
