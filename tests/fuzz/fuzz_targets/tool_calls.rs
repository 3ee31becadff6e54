//! `cargo fuzz run tool_calls`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::tool_calls(bytes));
