//! `cargo fuzz run tfrecord`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handsight_fuzz::tfrecord(bytes));
