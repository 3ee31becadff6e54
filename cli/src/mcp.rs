//! A session as a server of the Model Context Protocol, on stdin and stdout or over HTTP.
//!
//! The protocol is that of the official SDK, `rmcp`; the tools are those of the registry. On stdout there
//! is nothing but the protocol.

mod tools;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any_service;
use rmcp::ServiceExt as _;
use rmcp::transport::io::stdio_pipes;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;

use self::tools::SessionTools;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::plugin_http;
use crate::print::Printer;
use crate::serve::{self, gate::Gate};
use crate::session_thread::SessionThread;

/// How long a client may say nothing before its session is forgotten; a goal may take that long.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// How clients reach the server.
pub(crate) enum Transport {
    /// On stdin and stdout; `by_hand` if a person started it on a terminal.
    Stdio { by_hand: bool },
    /// Over HTTP.
    Http { addr: SocketAddr, gate: Gate },
}

/// Serves until the client goes or the command is to end.
pub(crate) fn run(
    session: &SessionThread,
    transport: Transport,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    plugin_http::run(session, interrupt, async {
        match transport {
            Transport::Stdio { by_hand } => {
                if by_hand {
                    printer.note(
                        "speaking MCP on stdin and stdout, which is for a client that starts this \
                         by itself; `--addr 127.0.0.1:8765` serves over HTTP",
                    );
                }
                on_stdio(session, interrupt).await
            }
            Transport::Http { addr, gate } => {
                over_http(session, addr, gate, printer, interrupt).await
            }
        }
    })
}

async fn on_stdio(session: &SessionThread, interrupt: &Interrupt) -> Result<(), Failure> {
    let talk = async {
        // A client that goes before it has said anything is no failure.
        let Ok(service) = SessionTools::new(session).serve(stdio_pipes()).await else { return };
        let _ = service.waiting().await;
    };
    tokio::select! {
        () = talk => {}
        () = interrupt.stopped() => {}
    }
    Ok(())
}

async fn over_http(
    session: &SessionThread,
    addr: SocketAddr,
    gate: Gate,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let (listener, bound) = serve::bind(addr).await?;
    let tools = SessionTools::new(session);
    let mut clients = LocalSessionManager::default();
    clients.session_config.keep_alive = Some(IDLE);
    // The gate knows the names of this server; pages in browsers are no clients.
    let config =
        StreamableHttpServerConfig::default().disable_allowed_hosts().enforce_origin_validation();
    let ending = config.cancellation_token.clone();
    let service = StreamableHttpService::new(move || Ok(tools.clone()), Arc::new(clients), config);
    let router = Router::new().route("/mcp", any_service(service));
    let url = format!("http://{bound}/mcp");
    printer.result(&json!({ "url": url, "device": session.info().name }), &url)?;
    printer.note(&format!("serving MCP for {}; Ctrl-C stops", session.info().name));
    plugin_http::serve(&listener, router, gate, interrupt.stopped(), || ending.cancel()).await;
    Ok(())
}
