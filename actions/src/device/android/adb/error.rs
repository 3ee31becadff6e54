//! What can go wrong between this process and a phone, below any action.

use std::io;
use std::time::Duration;

/// Why a phone could not be spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdbError {
    /// Nobody answers where the ADB server should be.
    #[error("no ADB server answers on `{address}`")]
    NoServer {
        /// Where it was looked for.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// There is no server, and no program to start one with.
    #[error("no ADB server answers on `{address}`, and there is no program `adb` to start it with")]
    NoProgram {
        /// Where it was looked for.
        address: String,
    },

    /// The program was there and the server did not come up.
    #[error("`adb start-server` brought up no ADB server on `{address}`: {said}")]
    NotStarted {
        /// Where it was looked for.
        address: String,
        /// What the program said.
        said: String,
    },

    /// No phone is connected at all.
    #[error("no phone is connected to the ADB server on `{address}`")]
    NoPhone {
        /// The server.
        address: String,
    },

    /// Several phones are connected, and none was chosen.
    #[error("{} phones are connected: {}", .serials.len(), .serials.join(", "))]
    SeveralPhones {
        /// Their serial numbers.
        serials: Vec<String>,
    },

    /// The phone that was named is not connected.
    #[error("no phone `{serial}` is connected{}", among(.known))]
    NoSuchPhone {
        /// The serial number that was asked for.
        serial: String,
        /// Those that are connected.
        known: Vec<String>,
    },

    /// The phone is connected and cannot be used.
    #[error("phone `{serial}` is {state}")]
    NotReady {
        /// Its serial number.
        serial: String,
        /// What `adb devices` calls its state.
        state: String,
    },

    /// The phone was to be on a USB cable, and none is.
    #[error("no phone with USB debugging is on a USB cable")]
    NoUsbPhone,

    /// This system does not say what is on its USB cables.
    #[error("the USB devices of this machine cannot be listed")]
    NoUsb {
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// The phone is on a USB cable, and this program may not have it.
    #[error("phone `usb:{serial}` cannot be opened")]
    UsbRefused {
        /// Its serial number.
        serial: String,
        /// Whether another program has it.
        is_busy: bool,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// The phone could not be reached at its address.
    #[error("no phone answers on `{place}`")]
    Unreachable {
        /// The address.
        place: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// The phone wants to know who is there, and there is no key to say it with.
    #[error("phone `{place}` asks for a key, and there is none to use: {problem}")]
    NoKey {
        /// The phone's address.
        place: String,
        /// What is wrong with the key.
        problem: String,
    },

    /// The server or the phone said no; nothing was done.
    #[error("the ADB server refused `{service}`: {said}")]
    Refused {
        /// What was asked for.
        service: String,
        /// The answer.
        said: String,
    },

    /// There was no answer in time.
    #[error("there was no end to `{task}` within {} s", .after.as_secs_f64())]
    Timeout {
        /// What was asked for.
        task: String,
        /// How long it was given.
        after: Duration,
    },

    /// The connection broke.
    #[error("the connection broke during `{task}`")]
    Broken {
        /// What was asked for.
        task: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// What came is not what the protocol says.
    #[error("the answer to `{task}` is not ADB's: {problem}")]
    Protocol {
        /// What was asked for.
        task: String,
        /// What is wrong with it.
        problem: String,
    },

    /// More came than can be meant.
    #[error("`{task}` answered with more than {limit} bytes")]
    TooLong {
        /// What was asked for.
        task: String,
        /// How many bytes were read.
        limit: usize,
    },

    /// Input was halted while it was waited for.
    #[error("`{task}` was given up because input was halted")]
    Halted {
        /// What was asked for.
        task: String,
    },
}

fn among(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there is {}", known.join(", ")) }
}

impl AdbError {
    /// What a person can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoServer { .. } | Self::NotStarted { .. } => {
                "`adb start-server` starts it; ADB_SERVER_SOCKET or ANDROID_ADB_SERVER_PORT name \
                 another"
            }
            Self::NoProgram { .. } => {
                "install adb (Debian's package `adb`, or Android's platform tools)"
            }
            Self::NoPhone { .. } => {
                "connect a phone with USB debugging switched on, or `adb connect HOST:PORT`; \
                 `handsight devices fake-android` is one to try things out on"
            }
            Self::SeveralPhones { .. } => "choose one with `--device android:SERIAL`",
            Self::NoSuchPhone { .. } => "`handsight devices` lists the phones",
            Self::NotReady { state, .. } => return advice(state).map(str::to_owned),
            Self::NoUsbPhone => {
                "connect one with USB debugging switched on; `--device android` goes through an ADB \
                 server, also to phones on the network"
            }
            Self::NoUsb { .. } => "`--device android` goes through an ADB server instead",
            Self::UsbRefused { is_busy: true, .. } => {
                "an ADB server has it, most likely: `adb kill-server`, or go through it with `--device \
                 android`"
            }
            Self::UsbRefused { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "this user may not use the USB device: install Android's udev rules"
            }
            Self::UsbRefused { .. } => "unplug the phone and plug it in again",
            Self::Unreachable { .. } => "check the address, and that the phone listens there",
            Self::NoKey { .. } => "`adb start-server` makes a key in `~/.android`",
            Self::Timeout { .. } => "look at the phone; if it hangs, connect it anew",
            Self::Broken { .. } => "connect the phone again, then run again",
            Self::Refused { service, said } => return wireless_advice(service, said),
            Self::Protocol { .. } | Self::TooLong { .. } | Self::Halted { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl AdbError {
    /// Whether the way to the phone is broken, and not the phone or what was asked of it.
    pub(crate) fn is_of_connection(&self) -> bool {
        match self {
            Self::NoServer { .. }
            | Self::NoSuchPhone { .. }
            | Self::NoUsbPhone
            | Self::Unreachable { .. }
            | Self::Broken { .. } => true,
            Self::NotReady { state, .. } => ["offline", "connecting"].contains(&state.as_str()),
            // The server's word for a stream that broke before it was open.
            Self::Refused { said, .. } => said == "closed",
            _ => false,
        }
    }
}

/// Says what to do when a phone on the network did not let somebody in.
fn wireless_advice(service: &str, said: &str) -> Option<String> {
    let hint = match service.split(' ').next()? {
        _ if said.contains("unknown host service") => {
            "this ADB server is too old for it: install platform tools of version 30 or newer"
        }
        "connect" if said.contains("authenticate") => {
            "accept this computer's key in the dialog on the phone, or pair first: `handsight \
             devices pair HOST:PORT CODE`"
        }
        "connect" => {
            "switch wireless debugging on in the developer options; the port is the one shown there"
        }
        "pair" => {
            "`Pair device with pairing code` on the phone shows the address and the six digits"
        }
        "disconnect" => "`handsight devices` lists the phones",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Says what to do about the state of a phone that cannot be used.
pub(crate) fn advice(state: &str) -> Option<&'static str> {
    Some(match state {
        "device" => return None,
        "unauthorized" | "authorizing" => {
            "unlock the phone and accept this computer's key in the dialog; if there is none, \
             switch USB debugging off and on again"
        }
        "offline" | "connecting" => {
            "the phone does not answer: unplug it and plug it in again, or `adb reconnect offline`"
        }
        "only reachable with TLS" => {
            "an ADB server speaks it: `handsight devices connect HOST:PORT`, then `--device \
             android:HOST:PORT`"
        }
        "recovery" | "sideload" | "rescue" | "bootloader" => "start Android on the phone",
        _ if state.starts_with("no permissions") => {
            "this user may not use the USB device: install Android's udev rules"
        }
        _ => "see what `adb devices -l` says of it",
    })
}
