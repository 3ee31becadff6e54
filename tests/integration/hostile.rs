//! What somebody could send to do harm, against the real binary and the real server: one clear error
//! and what to do about it, in little time and memory, and nobody else is disturbed.
//!
//! Each reader has tests of its own for what it refuses, and is fuzzed; here is what only the whole
//! can show. Clients that leave, and more of them than there are places, are in `serve/crowd.rs`.

mod files;
mod server;
