//! `eval import`: a dataset of published annotations.

use handsight_scenarios::benchmark::import::check::Check;
use handsight_scenarios::benchmark::import::{ImportOptions, import};

use crate::args::EvalImportArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::print::Printer;

/// As many findings as are shown one by one.
const MAX_SHOWN: usize = 20;

pub(super) fn run(args: &EvalImportArgs, printer: &Printer) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let options = ImportOptions {
        schema: args.schema,
        name: args.name.clone(),
        images: args.images.clone(),
        drop_broken: args.drop_broken,
        only: args.only.clone(),
    };
    let spinner = printer.spinner("reading annotations");
    let mut on_item = |count: usize| {
        if count.is_multiple_of(25) {
            spinner.message(format!("{count} items"));
        }
    };
    let out = args.output.as_deref();
    let imported = import(&args.sources, out, &options, &interrupt.cancel, &mut on_item);
    drop(spinner);
    if interrupt.cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let check = match imported {
        Ok(check) => check,
        Err(error) => {
            for line in error.details() {
                printer.note(&line);
            }
            return Err(error.into());
        }
    };
    printer.result(&check, &text(&check, args))?;
    let is_clean = check.broken.is_empty() && check.odd.is_empty() && check.is_as_published();
    Ok(if args.check && !is_clean { Exit::NotAchieved } else { Exit::Done })
}

fn text(check: &Check, args: &EvalImportArgs) -> String {
    let mut lines = Vec::new();
    for count in &check.counts {
        let published = match count.published {
            Some(known) if known == count.found => "  as published".to_owned(),
            Some(known) => format!("  NOT as published: {known}"),
            None => String::new(),
        };
        lines.push(format!("{:>6}  {}{published}", count.found, count.what));
    }
    lines.push(format!("{:>6}  pictures", check.pictures));
    for (name, findings) in [("broken", &check.broken), ("odd", &check.odd)] {
        if !findings.is_empty() {
            lines.push(format!("{:>6}  {name}", findings.len()));
        }
        lines.extend(findings.iter().take(MAX_SHOWN).map(|finding| format!("        {finding}")));
        if findings.len() > MAX_SHOWN {
            lines.push(format!("        and {} more; --json has all", findings.len() - MAX_SHOWN));
        }
    }
    if let Some(out) = &args.output {
        lines.push(format!("dataset in {}", out.display()));
    }
    lines.join("\n")
}
