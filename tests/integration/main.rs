//! The one integration binary: everything that crosses a crate or compares with committed data.

mod cli;
mod desktop;
mod parity;
mod tidy;
