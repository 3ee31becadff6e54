//! What several integration tests need: the binary, goldens and fixtures, real applications.

pub mod adb;
pub mod anchor_eval;
pub mod apps;
pub mod binary;
pub mod embedded_eval;
pub mod event_window;
pub mod fake_server;
#[path = "../fuzz/targets.rs"]
pub mod fuzz;
pub mod gnome;
pub mod golden;
pub mod http;
pub mod hub_server;
pub mod kde;
pub mod page;
pub mod portal;
mod portal_session;
pub mod program;
pub mod random_checkpoint;
pub mod suite;
pub mod terminal;
pub mod wait;
pub mod wayland;
pub mod xserver;
