//! A phone on a USB cable, without any ADB server in between.
//!
//! The same messages as over TCP, but in transfers: the head of a message is one, its payload another. The
//! phone is one connection that only one program may have; what an earlier one left unread is thrown away.
//!
//! It follows AOSP's own client, and has not been tried on a phone.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::time::Duration;

use nusb::transfer::{Buffer, Bulk, In, Out, TransferError};
use nusb::{DeviceInfo, Endpoint, ErrorKind, MaybeFuture as _};

use super::error::AdbError;
use super::link::{NAP, Patience, ReadInTime};

/// What the interface of ADB calls itself: class, subclass and protocol.
const ADB: [u8; 3] = [0xff, 0x42, 1];
/// The length of a message's head.
const HEAD: usize = 24;
/// For how long nothing may come before all that was left unread counts as read, and how often it is read.
const QUIET: Duration = Duration::from_millis(30);
const MOST_LEFT: usize = 64;

/// The two pipes to a phone.
pub(crate) struct UsbLink {
    input: Endpoint<Bulk, In>,
    output: Endpoint<Bulk, Out>,
    /// What has arrived and was not read.
    arrived: VecDeque<u8>,
}

impl UsbLink {
    /// Takes the phone of a serial number, or the only one.
    pub(crate) fn open(serial: Option<&str>) -> Result<Self, AdbError> {
        let unusable = |error: nusb::Error| AdbError::NoUsb { source: error.into() };
        let devices = nusb::list_devices().wait().map_err(unusable)?;
        let phones: Vec<_> =
            devices.filter_map(|info| Some((interface_of(&info)?, info))).collect();
        let names: Vec<&str> = phones.iter().map(|(_, info)| name(info)).collect();
        let (interface, info) = &phones[choose(&names, serial)?];
        let serial = name(info);
        let failed = |error: nusb::Error| {
            let is_busy = error.kind() == ErrorKind::Busy;
            AdbError::UsbRefused { serial: serial.to_owned(), is_busy, source: error.into() }
        };
        let device = info.open().wait().map_err(failed)?;
        let interface = device.claim_interface(*interface).wait().map_err(failed)?;
        let descriptor = interface.descriptor();
        let address = |is_input: bool| {
            let endpoints = descriptor.as_ref()?.endpoints();
            let mut bulk = endpoints
                .filter(|end| end.transfer_type() == nusb::descriptors::TransferType::Bulk);
            bulk.find(|end| (end.address() & 0x80 != 0) == is_input).map(|end| end.address())
        };
        let (Some(input), Some(output)) = (address(true), address(false)) else {
            let problem = "its interface has no two bulk endpoints".to_owned();
            return Err(AdbError::Protocol { task: "connect".to_owned(), problem });
        };
        let input = interface.endpoint::<Bulk, In>(input).map_err(failed)?;
        let output = interface.endpoint::<Bulk, Out>(output).map_err(failed)?;
        let mut link = Self { input, output, arrived: VecDeque::new() };
        link.forget_what_was_left();
        Ok(link)
    }

    /// Reads what an earlier program did not.
    fn forget_what_was_left(&mut self) {
        for _ in 0..MOST_LEFT {
            self.ask_for(HEAD);
            if self.input.wait_next_complete(QUIET).is_none() {
                // It is asked for already what comes next.
                break;
            }
        }
    }

    /// Has the next transfer be read, if none is.
    fn ask_for(&mut self, length: usize) {
        if self.input.pending() == 0 {
            // The system takes whole packets only; a shorter one ends a transfer.
            let length = length.next_multiple_of(self.input.max_packet_size().max(1));
            self.input.submit(Buffer::new(length));
        }
    }

    /// Sends a message.
    pub(crate) fn write_message(
        &mut self,
        bytes: &[u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<(), AdbError> {
        let (head, payload) = bytes.split_at(HEAD.min(bytes.len()));
        self.write_transfer(head, patience, task)?;
        if payload.is_empty() {
            return Ok(());
        }
        self.write_transfer(payload, patience, task)?;
        // Its end would not be seen without an empty packet.
        if payload.len().is_multiple_of(self.output.max_packet_size().max(1)) {
            self.write_transfer(&[], patience, task)?;
        }
        Ok(())
    }

    fn write_transfer(
        &mut self,
        bytes: &[u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<(), AdbError> {
        self.output.submit(bytes.to_vec().into());
        loop {
            if let Some(done) = self.output.wait_next_complete(NAP) {
                return done.into_result().map(drop).map_err(|error| broken(task, error));
            }
            if let Err(error) = patience.left(task) {
                self.output.cancel_all();
                return Err(error);
            }
        }
    }
}

impl ReadInTime for UsbLink {
    fn read(
        &mut self,
        buffer: &mut [u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<usize, AdbError> {
        while self.arrived.is_empty() {
            patience.left(task)?;
            self.ask_for(buffer.len());
            // An empty packet may follow a transfer, and is no end.
            if let Some(done) = self.input.wait_next_complete(NAP) {
                let arrived = done.into_result().map_err(|error| broken(task, error))?;
                self.arrived = arrived.into_vec().into();
            }
        }
        let count = self.arrived.read(buffer);
        count.map_err(|source| AdbError::Broken { task: task.to_owned(), source })
    }
}

fn broken(task: &str, error: TransferError) -> AdbError {
    AdbError::Broken { task: task.to_owned(), source: io::Error::from(error) }
}

/// Returns the number of the interface that ADB is spoken on, if a device has one.
fn interface_of(info: &DeviceInfo) -> Option<u8> {
    let mut interfaces = info.interfaces();
    let adb = interfaces.find(|one| [one.class(), one.subclass(), one.protocol()] == ADB);
    adb.map(nusb::InterfaceInfo::interface_number)
}

fn name(info: &DeviceInfo) -> &str {
    info.serial_number().or(info.product_string()).unwrap_or("without a serial number")
}

/// Returns which of these phones is meant.
fn choose(names: &[&str], wanted: Option<&str>) -> Result<usize, AdbError> {
    let all = || names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    match (names, wanted) {
        (_, Some(wanted)) => names
            .iter()
            .position(|&name| name == wanted)
            .ok_or_else(|| AdbError::NoSuchPhone { serial: format!("usb:{wanted}"), known: all() }),
        ([], None) => Err(AdbError::NoUsbPhone),
        ([_], None) => Ok(0),
        (_, None) => Err(AdbError::SeveralPhones {
            serials: names.iter().map(|name| format!("usb:{name}")).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_phone_needs_no_name() {
        assert_eq!(choose(&["A1"], None).unwrap(), 0);
        assert_eq!(choose(&["A1", "B2"], Some("B2")).unwrap(), 1);
        assert!(matches!(choose(&[], None), Err(AdbError::NoUsbPhone)));
        let several = choose(&["A1", "B2"], None).unwrap_err().to_string();
        assert_eq!(several, "2 phones are connected: usb:A1, usb:B2");
        let other = choose(&["A1"], Some("C3")).unwrap_err().to_string();
        assert_eq!(other, "no phone `usb:C3` is connected; there is A1");
    }
}
