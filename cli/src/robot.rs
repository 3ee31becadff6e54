//! A session as a remote library of Robot Framework: `Library  Remote  http://127.0.0.1:8270`.
//!
//! # Source
//!
//! The remote library interface of Robot Framework's user guide: the methods below over XML-RPC, and
//! `run_keyword`'s dictionary of `status`, `output`, `return`, `error` and `traceback`.

mod keywords;
mod xml_rpc;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::post;
use handsight_agent::CancelFlag;
use handsight_scenarios::Tool;
use serde_json::{Map, Value, json};

use self::xml_rpc::{MethodCall, read_call, write_answer, write_fault};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::plugin_http;
use crate::print::Printer;
use crate::serve::{self, gate::Gate};
use crate::session_thread::SessionThread;

/// The most bytes of a call.
const MAX_BODY: usize = 4 << 20;

/// What calls share.
struct Library {
    session: SessionThread,
    /// Every tool: those that the device lacks are refused by the session, with the reason.
    tools: Vec<Tool>,
    /// Ends the server.
    ending: CancelFlag,
}

/// Serves until the command is to end, or a client asks for that.
pub(crate) fn run(
    session: &SessionThread,
    addr: SocketAddr,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let ending = CancelFlag::default();
    plugin_http::run(session, interrupt, serve(session, addr, printer, (interrupt, &ending)))
}

async fn serve(
    session: &SessionThread,
    addr: SocketAddr,
    printer: &Printer,
    (interrupt, ending): (&Interrupt, &CancelFlag),
) -> Result<(), Failure> {
    let (listener, bound) = serve::bind(addr).await?;
    let tools = Tool::all().collect();
    let library = Library { session: session.clone(), tools, ending: ending.clone() };
    let router = Router::new()
        .route("/", post(answer))
        .route("/RPC2", post(answer))
        .with_state(Arc::new(library));
    let url = format!("http://{bound}");
    printer.result(&json!({ "url": url, "device": session.info().name }), &url)?;
    printer.note(&format!("`Library  Remote  {url}` imports it; Ctrl-C stops"));
    let stop = async {
        tokio::select! {
            () = interrupt.stopped() => {}
            () = plugin_http::set(ending) => {}
        }
    };
    plugin_http::serve(&listener, router, Gate::new(None, &[]), stop, || {}).await;
    Ok(())
}

async fn answer(State(library): State<Arc<Library>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    // A page in a browser may send plain text anywhere without asking; XML it may not.
    if !is_xml(&head.headers) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "XML-RPC has the type text/xml");
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the call is larger than 4 MB");
    };
    let call = std::str::from_utf8(&body).map_err(|error| error.to_string()).and_then(read_call);
    let answer = match call {
        Ok(call) => library.call(call).await,
        Err(problem) => Err((-32_700, format!("the call cannot be read: {problem}"))),
    };
    let xml = match answer {
        Ok(value) => write_answer(&value),
        Err((code, problem)) => write_fault(code, &problem),
    };
    let mut response = Response::new(Body::from(xml));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn is_xml(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    ["text/xml", "application/xml"].iter().any(|xml| kind.eq_ignore_ascii_case(xml))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

impl Library {
    /// Does what a method does. The error is a code and what is wrong.
    async fn call(&self, MethodCall { name, params }: MethodCall) -> Result<Value, (i32, String)> {
        let about = |make: fn(Tool) -> Value, doc: bool| {
            let keyword = params.first().and_then(Value::as_str).unwrap_or_default();
            match (keyword, keywords::find(&self.tools, keyword)) {
                (_, Some(tool)) => Ok(make(tool)),
                ("__intro__", None) if doc => Ok(json!(keywords::INTRODUCTION)),
                ("__init__", None) if doc => Ok(json!(keywords::IMPORT)),
                _ => Err((-32_602, format!("there is no keyword {keyword:?}"))),
            }
        };
        match name.as_str() {
            "get_keyword_names" => Ok(self.tools.iter().map(|tool| tool.keyword()).collect()),
            "get_library_information" => Ok(self.information()),
            "get_keyword_arguments" => about(keywords::arguments, false),
            "get_keyword_types" => about(keywords::types, false),
            "get_keyword_tags" => about(keywords::tags, false),
            "get_keyword_documentation" => about(|tool| json!(keywords::documentation(tool)), true),
            "run_keyword" => Ok(self.run_keyword(params).await),
            "stop_remote_server" => {
                self.ending.cancel();
                Ok(json!(true))
            }
            _ => {
                let name: String = name.chars().take(100).collect();
                Err((-32_601, format!("there is no method `{name}`")))
            }
        }
    }

    fn information(&self) -> Value {
        let mut all = Map::new();
        all.insert("__intro__".to_owned(), json!({ "doc": keywords::INTRODUCTION }));
        all.insert("__init__".to_owned(), json!({ "doc": keywords::IMPORT }));
        for &tool in &self.tools {
            all.insert(tool.keyword().to_owned(), keywords::information(tool));
        }
        Value::Object(all)
    }

    /// Whatever goes wrong is a failure of the keyword.
    async fn run_keyword(&self, params: Vec<Value>) -> Value {
        let mut params = params.into_iter();
        let keyword = params.next().and_then(|name| name.as_str().map(str::to_owned));
        let keyword = keyword.unwrap_or_default();
        let Some(tool) = keywords::find(&self.tools, &keyword) else {
            return keywords::failed(&format!("there is no keyword {keyword:?}"), "");
        };
        let (positional, named) = match (params.next(), params.next()) {
            (None | Some(Value::Null), None) => (Vec::new(), Map::new()),
            (Some(Value::Array(positional)), None) => (positional, Map::new()),
            (Some(Value::Array(positional)), Some(Value::Object(named))) => (positional, named),
            _ => {
                let problem = "`run_keyword` takes a name, a list and a dictionary";
                return keywords::failed(problem, "");
            }
        };
        match keywords::put_together(tool, positional, named) {
            Ok(arguments) => keywords::run(&self.session, tool, arguments).await,
            Err(problem) => keywords::failed(&problem, ""),
        }
    }
}
