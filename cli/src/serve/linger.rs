//! Reading on when a request was refused before all of it was there.
//!
//! A connection that is closed while its client still sends is reset, and most clients then report a
//! broken pipe and never read the answer that says what was wrong. So what nobody wants is read and
//! thrown away for a while.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;

/// For how long. Longer would let a client that is never done hold its connection.
const LINGER: Duration = Duration::from_secs(10);

/// A body whose rest is read when it is dropped.
#[derive(Debug)]
pub(super) struct Lingering<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// None when it was dropped.
    body: Option<B>,
}

impl<B> Lingering<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    pub(super) fn new(body: B) -> Self {
        Self { body: Some(body) }
    }
}

impl<B> Body for Lingering<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<B> Drop for Lingering<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // When the server ends there is nobody left to read on.
        let Ok(handle) = Handle::try_current() else { return };
        let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
        handle.spawn(tokio::time::timeout(LINGER, rest));
    }
}
