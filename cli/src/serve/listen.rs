//! Connections: how many, how slow, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use super::linger::Lingering;
use super::places::{Places, Seat, Watched};

/// The most connections at once.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send its headers, and to send the next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of headers.
const MAX_HEADERS: usize = 64 << 10;

/// How long to wait when the system has no connection left to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `stop`, and returns what waits for those that are open then.
pub(crate) async fn serve(
    listener: &TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let places = Places::new(MAX_CONNECTIONS);
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            // No file descriptor is free, or the client is gone already: neither is for ever.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let place = tokio::select! {
            place = places.take() => place,
            () = &mut stop => break,
        };
        let client = Client { peer, router: router.clone(), seat: place.seat() };
        let connection = open.watch(connection(stream, client));
        tokio::spawn(async move {
            tokio::select! {
                // A connection that breaks is the client's affair.
                _ = connection => {}
                () = place.dismissed() => {}
            }
        });
    }
    open
}

fn connection(stream: TcpStream, client: Client) -> http1::Connection<TokioIo<TcpStream>, Client> {
    // Tokens are small, and each is to arrive when it is there.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), client)
}

/// Answers one client: the routes, which are told who asks.
struct Client {
    peer: SocketAddr,
    router: Router,
    seat: Arc<Seat>,
}

impl Service<Request<Incoming>> for Client {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let seat = Arc::clone(&self.seat);
        // Who asks first whether to send the body sends none after a refusal.
        let asks = request.headers().contains_key(header::EXPECT);
        let request = request.map(|body| {
            if asks {
                Body::new(Watched::request(body, Arc::clone(&seat)))
            } else {
                Body::new(Watched::request(Lingering::new(body), Arc::clone(&seat)))
            }
        });
        // Routes are always ready.
        let answer = tower_service::Service::call(&mut self.router.clone(), request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| Body::new(Watched::answer(body, seat))))
        })
    }
}
