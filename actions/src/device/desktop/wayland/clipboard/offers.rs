//! What the compositor tells of what was copied, and of who asks for what we have.

use std::os::fd::OwnedFd;

use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop, event_created_child};
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_device_v1::{
    self, ZwlrDataControlDeviceV1,
};
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_manager_v1::ZwlrDataControlManagerV1;
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_offer_v1::{
    self, ZwlrDataControlOfferV1,
};
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_source_v1::{
    self, ZwlrDataControlSourceV1,
};

use crate::device::desktop::wayland::session::State;

/// How many kinds of a content are kept in mind.
const MOST_KINDS: usize = 256;

/// Which of the two: that of Ctrl+C, or the last selection, which terminals paste.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Selection {
    Clipboard,
    Primary,
}

/// A content of another program, or of ours.
pub(super) struct Offer {
    pub(super) proxy: ZwlrDataControlOfferV1,
    /// The names it can be asked for by.
    pub(super) kinds: Vec<String>,
}

/// Somebody asks for what we have.
pub(super) struct Asked {
    pub(super) source: ZwlrDataControlSourceV1,
    pub(super) kind: String,
    pub(super) pipe: OwnedFd,
}

/// All that was told.
#[derive(Default)]
pub(in crate::device::desktop::wayland) struct Offers {
    /// The contents of both, and those that nothing is known of yet.
    known: Vec<Offer>,
    current: [Option<ZwlrDataControlOfferV1>; 2],
    pub(super) asked: Vec<Asked>,
    /// What we had, and others have replaced.
    pub(super) replaced: Vec<ZwlrDataControlSourceV1>,
}

impl Offers {
    /// Returns what is there now.
    pub(super) fn current(&self, selection: Selection) -> Option<&Offer> {
        let current = self.current[selection as usize].as_ref()?;
        self.known.iter().find(|offer| offer.proxy == *current)
    }

    fn set(&mut self, selection: Selection, now: Option<ZwlrDataControlOfferV1>) {
        let before = std::mem::replace(&mut self.current[selection as usize], now);
        if let Some(before) = before {
            self.known.retain(|offer| offer.proxy != before);
            before.destroy();
        }
    }
}

impl Dispatch<ZwlrDataControlDeviceV1, ()> for State {
    fn event(
        state: &mut Self,
        _: &ZwlrDataControlDeviceV1,
        event: zwlr_data_control_device_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwlr_data_control_device_v1::Event;
        match event {
            Event::DataOffer { id: proxy } => {
                state.offers.known.push(Offer { proxy, kinds: Vec::new() });
            }
            Event::Selection { id } => state.offers.set(Selection::Clipboard, id),
            Event::PrimarySelection { id } => state.offers.set(Selection::Primary, id),
            _ => {}
        }
    }

    event_created_child!(State, ZwlrDataControlDeviceV1, [
        zwlr_data_control_device_v1::EVT_DATA_OFFER_OPCODE => (ZwlrDataControlOfferV1, ()),
    ]);
}

impl Dispatch<ZwlrDataControlOfferV1, ()> for State {
    fn event(
        state: &mut Self,
        proxy: &ZwlrDataControlOfferV1,
        event: zwlr_data_control_offer_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let known = state.offers.known.iter_mut().find(|offer| offer.proxy == *proxy);
        if let (Some(offer), zwlr_data_control_offer_v1::Event::Offer { mime_type }) =
            (known, event)
            && offer.kinds.len() < MOST_KINDS
        {
            offer.kinds.push(mime_type);
        }
    }
}

impl Dispatch<ZwlrDataControlSourceV1, ()> for State {
    fn event(
        state: &mut Self,
        source: &ZwlrDataControlSourceV1,
        event: zwlr_data_control_source_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwlr_data_control_source_v1::Event;
        let source = source.clone();
        match event {
            Event::Send { mime_type: kind, fd: pipe } => {
                state.offers.asked.push(Asked { source, kind, pipe });
            }
            Event::Cancelled => state.offers.replaced.push(source),
            _ => {}
        }
    }
}

delegate_noop!(State: ZwlrDataControlManagerV1);
