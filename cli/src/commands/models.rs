//! `models`: fetches checkpoints and looks after those that were fetched, one file per command.

mod info;
mod list;
mod pull;
mod quantize;
mod rm;
mod verify;

use crate::args::ModelsCommand;
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::settings::Environment;

/// Runs a command of `models`.
pub(crate) fn run(
    command: &ModelsCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        ModelsCommand::Pull(args) => pull::run(args, printer, environment),
        ModelsCommand::List(args) => list::run(args, printer, environment),
        ModelsCommand::Info(args) => info::run(args, printer, environment),
        ModelsCommand::Quantize(args) => quantize::run(args, printer),
        ModelsCommand::Verify(args) => verify::run(args, printer, environment),
        ModelsCommand::Rm(args) => rm::run(args, printer, environment),
    }
}

/// Returns a number of bytes as people read it: `7.52 GB`, of 1000 bytes to the kB.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (mut value, mut unit) = (count as f64 / 1000.0, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (7_520_000_000, "7.52 GB"),
            (12_345_678, "12.3 MB"),
            (999_600, "1.00 MB"),
            (123_456, "123 kB"),
            (9_996, "10.0 kB"),
            (u64::MAX, "18447 PB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
