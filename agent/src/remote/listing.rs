//! A server's list of models: asked for once, so that a wrong name is met with the right ones.

use handsight_model::CancelFlag;

use super::answer::said;
use super::error::RemoteError;
use super::http::{Client, Deadline, Exchange, Head, Next, Piece};
use super::server::ModelList;
use super::{MAX_SAID_CHARS, RemoteOptions, retry};
use crate::settle::pause;

/// Asks a server for its models; nothing if it has no list.
pub(super) fn list_models(
    client: &Client,
    options: &RemoteOptions,
    cancel: &CancelFlag,
) -> Result<Option<ModelList>, RemoteError> {
    let deadline = Deadline::new(options.timeout);
    let server = || client.address().server().to_owned();
    let quoted = |body: &[u8]| {
        let said: String = client.redact(&said(body)).chars().take(MAX_SAID_CHARS).collect();
        if said.is_empty() { said } else { format!(": {said}") }
    };
    let mut number = 1;
    loop {
        let (error, asked) = match read_list(&client.start("models", None, deadline), cancel) {
            Ok((Head { status: 200, .. }, body)) => {
                return ModelList::read(&body).map(Some).ok_or_else(|| RemoteError::Unreadable {
                    server: server(),
                    problem: "its list of models cannot be read".to_owned(),
                });
            }
            Ok((Head { status: 404 | 405 | 501, .. }, _)) => return Ok(None),
            Ok((Head { status: status @ (401 | 403), .. }, body)) => {
                let said = quoted(&body);
                return Err(RemoteError::Unauthorized { server: server(), status, said });
            }
            Ok((Head { status, retry_after }, body)) if status == 429 || status >= 500 => {
                let (server, said) = (server(), quoted(&body));
                (RemoteError::Failed { server, attempts: number, status, said }, retry_after)
            }
            Ok((Head { status, .. }, body)) => {
                let said = quoted(&body);
                return Err(RemoteError::Refused { server: server(), status, said });
            }
            Err(error) => (error, None),
        };
        let wait = retry::wait(number, asked);
        let may_repeat = error.is_passing() && number < options.max_attempts;
        if !may_repeat || wait >= deadline.left() || !pause(wait, cancel) {
            return Err(error);
        }
        number += 1;
    }
}

/// Reads an answer that is no stream.
fn read_list(exchange: &Exchange<'_>, cancel: &CancelFlag) -> Result<(Head, Vec<u8>), RemoteError> {
    let mut head = Head { status: 0, retry_after: None };
    loop {
        match exchange.next(cancel)? {
            Next::Piece(Piece::Head(new)) => head = new,
            Next::Piece(Piece::Body(body)) => return Ok((head, body)),
            Next::Piece(Piece::Event(_)) => {}
            Next::Over | Next::Cancelled => return Ok((head, Vec::new())),
        }
    }
}
