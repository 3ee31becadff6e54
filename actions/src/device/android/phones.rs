//! The phones an ADB server knows, and what each is.

use std::thread;
use std::time::Duration;

use super::adb::client::Client;
use super::adb::error::{AdbError, advice};
use super::adb::host::{AdbAddress, Server};
use super::screen::Screen;
use crate::geometry::Size;

/// How long a phone may take to say what it is.
const SAYING: Duration = Duration::from_secs(8);

/// What a phone says of itself, beside its screen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Facts {
    pub(crate) model: String,
    /// The version of Android as people call it.
    pub(crate) release: String,
    /// The version of Android by its API level.
    pub(crate) sdk: u32,
    /// The charge of its battery, in percent.
    pub(crate) battery: Option<u8>,
}

impl Facts {
    pub(crate) fn ask(client: &Client) -> Result<Self, AdbError> {
        const COMMAND: &str = "getprop ro.product.model; getprop ro.build.version.release; \
                               getprop ro.build.version.sdk; dumpsys battery | grep -F level:";
        Ok(Self::read(&client.look(COMMAND)?))
    }

    fn read(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim);
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (model, release, sdk) = (next(), next(), next());
        let battery = text.lines().find_map(|line| line.trim().strip_prefix("level:"));
        Self {
            model,
            release,
            // A version that is not told is taken for an old one, which can do less.
            sdk: sdk.parse().unwrap_or(21),
            battery: battery.and_then(|level| level.trim().parse().ok()),
        }
    }
}

/// A phone as a list shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AndroidPhone {
    /// Its serial number, or the address it was reached at.
    pub serial: String,
    /// `device` for one that can be used, else the reason in ADB's words.
    pub state: String,
    /// What to do about that state, if anything.
    pub advice: Option<&'static str>,
    /// What it is called.
    pub model: Option<String>,
    /// What only a phone that can be used tells.
    pub details: Option<PhoneDetails>,
}

/// What a phone that can be used tells of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PhoneDetails {
    /// The version of Android as people call it.
    pub release: String,
    /// The version of Android by its API level.
    pub sdk: u32,
    /// The size of its screen as it is turned, in pixels.
    pub size: Size,
    /// Pixels to an inch.
    pub density: u32,
    /// By how many degrees the screen is turned.
    pub degrees: u32,
    /// The charge of its battery, in percent.
    pub battery: Option<u8>,
    /// The package of the app in front.
    pub foreground: Option<String>,
}

impl PhoneDetails {
    /// Whether the screen is wider than high.
    pub fn is_landscape(&self) -> bool {
        self.size.width > self.size.height
    }
}

/// Lists the phones of a running ADB server; none is started.
///
/// # Errors
/// [`AdbError::NoServer`] where there is none.
pub fn android_phones(address: &AdbAddress) -> Result<Vec<AndroidPhone>, AdbError> {
    let server = Server::new(address.clone());
    let listed = server.list()?;
    let asked = thread::scope(|scope| {
        let asked: Vec<_> = listed
            .iter()
            .map(|phone| {
                let (server, serial) = (server.clone(), phone.serial.clone());
                let is_ready = phone.state == "device";
                scope.spawn(move || is_ready.then(|| details(server, serial)))
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().ok().flatten()).collect::<Vec<_>>()
    });
    let phones = listed.into_iter().zip(asked).map(|(phone, asked)| {
        let mut shown = AndroidPhone {
            advice: advice(&phone.state),
            serial: phone.serial,
            state: phone.state,
            model: phone.model,
            details: None,
        };
        match asked {
            Some(Ok((model, details))) => {
                shown.model = Some(model).filter(|model| !model.is_empty()).or(shown.model);
                shown.details = Some(details);
            }
            Some(Err(error)) => shown.state = format!("device, but {error}"),
            None => {}
        }
        shown
    });
    Ok(phones.collect())
}

fn details(server: Server, serial: String) -> Result<(String, PhoneDetails), AdbError> {
    let client = Client::of(server, serial, SAYING)?;
    let facts = Facts::ask(&client)?;
    let screen = Screen::ask(&client)?;
    let details = PhoneDetails {
        release: facts.release,
        sdk: facts.sdk,
        size: screen.size,
        density: screen.density,
        degrees: screen.degrees,
        battery: facts.battery,
        foreground: screen.focus.map(|focus| focus.package),
    };
    Ok((facts.model, details))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_in_order_and_may_be_missing() {
        let facts = Facts::read("Pixel 6\n14\n34\n  level: 87\n");
        assert_eq!((facts.model.as_str(), facts.release.as_str()), ("Pixel 6", "14"));
        assert_eq!((facts.sdk, facts.battery), (34, Some(87)));
        assert_eq!(Facts::read("").sdk, 21);
        assert_eq!(Facts::read("x\n\n\n").battery, None);
    }
}
