//! `mcp`: a device and a model as tools of the Model Context Protocol.

use crate::args::McpArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::mcp::{self, Transport};
use crate::open;
use crate::print::Printer;
use crate::serve::gate::Gate;
use crate::settings::Environment;

pub(crate) fn run(
    args: &McpArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let transport = match args.addr {
        Some(addr) => {
            let token = open::gate::token(addr, &args.gate, environment)?;
            Transport::Http { addr, gate: Gate::new(token.as_deref(), &args.gate.allow_host) }
        }
        None => Transport::Stdio { by_hand: environment.interactive },
    };
    let interrupt = Interrupt::listen(printer)?;
    let session = open::shared_session(&args.session, printer, environment, &interrupt)?;
    mcp::run(&session, transport, printer, &interrupt)
}
