//! How long it takes to see a device and to act on it, beside the bare requests that do the same.
//!
//! `cargo bench --package handsight-actions`, which `make bench` does, too. Each measurement has a display
//! server, or a fake phone, of its own.

#[cfg(feature = "android")]
#[path = "desktop/android.rs"]
mod android;
#[cfg(all(feature = "wayland", target_os = "linux"))]
#[path = "desktop/wayland.rs"]
mod wayland;
#[cfg(all(feature = "x11", target_os = "linux"))]
#[path = "desktop/x11.rs"]
mod x11;

fn main() {
    divan::main();
}
