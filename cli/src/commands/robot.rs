//! `robot`: a device and a model as keywords of Robot Framework.

use crate::args::RobotArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::robot;
use crate::session_thread::SessionThread;
use crate::settings::Environment;

pub(crate) fn run(
    args: &RobotArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let model = open::model_when_needed(&args.session.model, printer, environment, &interrupt);
    let parts = (&args.session.target, &args.session.may);
    let session = open::session(parts, model, printer, environment, &interrupt)?;
    let session = SessionThread::start(session, interrupt.halt.clone());
    robot::run(&session, args.addr, printer, &interrupt)
}
