//! `cargo fuzz run tokenizer`
#![no_main]

libfuzzer_sys::fuzz_target!(
    // The reader catches the panics of the library it uses, so they are no faults.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| handsight_fuzz::tokenizer(bytes)
);
