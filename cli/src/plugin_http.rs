//! What the servers of plugins share: the gate before every request, bounds on connections, and an end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use handsight_agent::CancelFlag;
use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::serve::gate::Gate;
use crate::serve::{listen, threads};
use crate::session_thread::SessionThread;

/// How long answers under way may take to reach their clients when the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often it is looked whether a flag is set.
const BEAT: Duration = Duration::from_millis(20);

/// Runs a server on threads of its own until it ends, and then the session that it served.
pub(crate) fn run(
    session: &SessionThread,
    interrupt: &Interrupt,
    server: impl Future<Output = Result<(), Failure>>,
) -> Result<Exit, Failure> {
    let runtime = threads()?;
    let served = runtime.block_on(async {
        let served = server.await;
        session.end().await;
        served
    });
    // What still waits, such as a read of stdin, cannot be given up.
    runtime.shutdown_background();
    served?;
    Ok(if interrupt.cancel.is_cancelled() { Exit::Interrupted } else { Exit::Done })
}

/// Serves until `stop`; `ending` is called then.
pub(crate) async fn serve(
    listener: &TcpListener,
    router: Router,
    gate: Gate,
    stop: impl Future<Output = ()>,
    ending: impl FnOnce(),
) {
    let router = router.layer(from_fn_with_state(Arc::new(gate), admit));
    let open = listen::serve(listener, router, stop).await;
    ending();
    let _ = tokio::time::timeout(FAREWELL, open.shutdown()).await;
}

/// Waits until a flag is set.
pub(crate) async fn set(flag: &CancelFlag) {
    while !flag.is_cancelled() {
        tokio::time::sleep(BEAT).await;
    }
}

async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response<Body> {
    match gate.admit(request.headers(), false) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
