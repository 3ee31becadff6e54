//! `cargo fuzz run getevent`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::getevent(bytes));
