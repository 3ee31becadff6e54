//! The `handsight` binary: parse, run, exit.
//!
//! Data goes to stdout; progress, messages and errors go to stderr. Exit codes:
//!
//! | code | meaning |
//! |------|---------|
//! | 0    | done |
//! | 1    | the goal was not achieved, or a check failed |
//! | 2    | the arguments or an input file cannot be used |
//! | 3    | the device or the model is not available |
//! | 4    | the model asks for help, and nobody is there |
//! | 130  | interrupted |

use std::process::ExitCode;

fn main() -> ExitCode {
    handsight::run(std::env::args_os())
}
