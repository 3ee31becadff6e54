//! Android: the fake phone as Debian's `adb` sees it, and our device as it meets both.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop where the tests would")]

mod adbd;
mod command_line;
mod daemon;
mod device;
mod faults;
mod typing;
mod wireless;

use handsight_actions::{
    AndroidDevice, AndroidOptions, Device, DeviceError, FakeAndroid, FakeAndroidOptions, PixelPoint,
};
use handsight_tests::adb::AdbServer;

/// A fake phone behind a real ADB server.
struct Connected {
    phone: FakeAndroid,
    adb: AdbServer,
    serial: String,
}

impl Connected {
    fn new(options: &FakeAndroidOptions) -> Self {
        let (phone, adb) = (FakeAndroid::start(options).unwrap(), AdbServer::start().unwrap());
        let serial = adb.connect(phone.address()).unwrap();
        Self { phone, adb, serial }
    }

    fn plain() -> Self {
        Self::new(&FakeAndroidOptions::default())
    }

    fn options(&self) -> AndroidOptions {
        let serial = Some(self.serial.clone());
        AndroidOptions { server: server(&self.adb), serial, ..AndroidOptions::default() }
    }

    fn device(&self) -> AndroidDevice {
        AndroidDevice::open(&self.options()).unwrap()
    }

    fn shell(&self, command: &str) -> String {
        self.adb.run(&["-s", &self.serial, "shell", command]).unwrap()
    }

    /// Returns where a view is.
    fn find(&self, name: &str) -> PixelPoint {
        let found = self.phone.find(name);
        found.unwrap_or_else(|| panic!("no `{name}` among {:?}", self.phone.texts()))
    }
}

fn server(adb: &AdbServer) -> handsight_actions::AdbAddress {
    adb.port().to_string().parse().unwrap()
}

/// Performs an action in its JSON form.
fn act(device: &mut dyn Device, action: &serde_json::Value) -> Result<(), DeviceError> {
    device.perform(&serde_json::from_value(action.clone()).unwrap())
}

/// The message of an error, with its causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
