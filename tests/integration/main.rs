//! The one integration binary: everything that crosses a crate or compares with committed data.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod android;
mod ask;
mod bad_input;
mod chat;
mod cli;
mod clipboard;
mod desktop;
mod embedded;
mod engine;
mod episode;
mod eval;
mod examples;
mod fuzz;
mod grounding;
mod hostile;
mod media;
mod models;
mod parity;
mod plugins;
mod processors;
mod remote;
mod scenario;
mod serve;
mod tidy;
mod trace;
mod trust;

use std::path::{Path, PathBuf};

/// The folder of the tests.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that `make deps` sets up beside what cargo builds.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("python/bin/python");
    assert!(
        python.exists(),
        "`{}` is missing: `make deps` sets it up with what the tests drive",
        python.display()
    );
    python
}
