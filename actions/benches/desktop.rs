//! How long it takes to see a desktop and to act on it, beside the bare requests to its server.
//!
//! `cargo bench --package handsight-actions`, which `make bench` does, too. Each measurement has an Xvfb
//! of its own.

#[cfg(all(feature = "x11", target_os = "linux"))]
#[path = "desktop/x11.rs"]
mod x11;

fn main() {
    divan::main();
}
