//! Android: the fake phone as Debian's `adb` sees it, and our device as it meets both.

mod daemon;
