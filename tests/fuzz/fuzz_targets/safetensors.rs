//! `cargo fuzz run safetensors`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::safetensors(bytes));
