//! Everything another program has in a selection, in all its forms.

use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::time::Instant;

use rustix::event::PollFlags;

use super::super::session::{Session, wait_for_file};
use super::offers::Selection;
use crate::clipboard::{Clipping, Form};
use crate::device::desktop::Failure;
use crate::device::desktop::lend::{ANSWERING, FETCHING, MOST_OF_A_FORM, is_worth_fetching};

/// How many bytes are read at once, which is what a pipe holds.
const PIECE: usize = 1 << 16;

/// Returns the content of a selection, empty if there is none; `None` if its program does not answer in
/// time, or has more than can be kept.
pub(super) fn fetch(
    session: &mut Session<()>,
    selection: Selection,
) -> Result<Option<Clipping>, Failure> {
    let refused = |error: io::Error| Failure::Refused(error.into());
    let mut content = Clipping::default();
    let Some(offer) = session.state().offers.current(selection) else { return Ok(Some(content)) };
    let (offer, kinds) = (offer.proxy.clone(), offer.kinds.clone());
    let deadline = Instant::now() + FETCHING;
    let worth = kinds.iter().filter(|kind| is_worth_fetching(kind, &kinds));
    for kind in worth {
        let (reader, writer) = io::pipe().map_err(refused)?;
        offer.receive(kind.clone(), writer.as_fd());
        session.sync()?;
        // The end of what the other program writes is to be the end of the pipe.
        drop(writer);
        let end = deadline.min(Instant::now() + ANSWERING);
        let Some(bytes) = read_to_end(reader, end).map_err(refused)? else { return Ok(None) };
        if !content.add(Form { target: kind.clone(), kind: kind.clone(), bytes }) {
            return Ok(None);
        }
    }
    Ok(Some(content))
}

/// Reads a pipe to its end; `None` if that does not come in time, or not before there is too much.
fn read_to_end(mut pipe: PipeReader, end: Instant) -> io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    while wait_for_file(&pipe, PollFlags::IN, end)? {
        match pipe.read(&mut piece)? {
            0 => return Ok(Some(bytes)),
            length => bytes.extend(&piece[..length]),
        }
        if bytes.len() > MOST_OF_A_FORM {
            break;
        }
    }
    Ok(None)
}
