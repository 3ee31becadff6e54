//! Android phones and emulators, over ADB.

mod adb;
pub mod fake;
mod keycode;

pub use fake::{AndroidFault, FakeAndroid, FakeAndroidOptions, FakeDoor, FakeLock, FakePixels};
