//! `cargo fuzz run gguf`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::gguf(bytes));
