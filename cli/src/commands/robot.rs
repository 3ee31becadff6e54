//! `robot`: a device and a model as keywords of Robot Framework.

use crate::args::RobotArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::robot;
use crate::settings::Environment;

pub(crate) fn run(
    args: &RobotArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let session = open::shared_session(&args.session, printer, environment, &interrupt)?;
    robot::run(&session, args.addr, printer, &interrupt)
}
