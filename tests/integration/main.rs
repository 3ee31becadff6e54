//! The one integration binary: everything that crosses a crate or compares with committed data.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod android;
mod ask;
mod bad_input;
mod chat;
mod cli;
mod desktop;
mod embedded;
mod engine;
mod episode;
mod fuzz;
mod grounding;
mod hostile;
mod media;
mod models;
mod parity;
mod remote;
mod serve;
mod tidy;
mod trust;
