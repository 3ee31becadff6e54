//! `cargo fuzz run annotation`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::annotation(bytes));
