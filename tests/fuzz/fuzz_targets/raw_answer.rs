//! `cargo fuzz run raw_answer`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::raw_answer(bytes));
