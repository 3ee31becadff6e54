//! `trace redecide`: what a model would do differently on the screens of a trace.

use handsight_actions::DeviceKind;
use handsight_agent::{
    Difference, ModelOptions, ModelPolicy, RedecideOptions, Redecision, read_trace, redecide,
};
use serde_json::json;

use crate::args::RedecideArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::{Printer, Style};
use crate::settings::Environment;

pub(super) fn run(
    args: &RedecideArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let trace = read_trace(&args.dir)?;
    let interrupt = Interrupt::listen(printer)?;
    let on_phone = trace.started.device.kind == DeviceKind::Android.to_string();
    let kind = if on_phone { DeviceKind::Android } else { DeviceKind::Desktop };
    let cancel = &interrupt.cancel;
    let (model, profile) = open::acting_model(&args.model, kind, printer, environment, cancel)?;
    profile.check_acts()?;
    let options = RedecideOptions {
        within: f64::from(args.within),
        images_in_history: profile.images_in_history(),
    };
    let mut policy = ModelPolicy::new(model, profile, ModelOptions::default());
    let name = handsight_agent::Policy::name(&policy);
    printer.note(&format!("then  {}\nnow   {name}", trace.started.policy));
    let show = |step: &Redecision| printer.note(&line(step, printer));
    let steps = redecide(&trace, &mut policy, &options, show, cancel)?;
    let count = |what| steps.iter().filter(|step| step.difference == what).count();
    let same = count(Difference::None);
    let shifts: Vec<f64> = steps.iter().filter_map(|step| step.distance).collect();
    let furthest = shifts.iter().copied().reduce(f64::max);
    let differences: serde_json::Map<_, _> =
        [Difference::Place, Difference::Arguments, Difference::Verb, Difference::NoAction]
            .map(|what| (what.as_str().to_owned(), count(what).into()))
            .into_iter()
            .collect();
    let value = json!({
        "then": trace.started.policy,
        "now": name,
        "within": args.within,
        "same": same,
        "differences": differences,
        "furthest": furthest,
        "steps": steps,
    });
    let furthest =
        furthest.map_or_else(String::new, |px| format!(", the furthest point {px:.0} px off"));
    let all = steps.len();
    printer.result(&value, &format!("{same} of {all} steps as they were{furthest}"))?;
    let differs = same < all && args.fail_on_difference;
    Ok(if differs { Exit::NotAchieved } else { Exit::Done })
}

/// Returns a step in a line: what was done, and what would be.
fn line(step: &Redecision, printer: &Printer) -> String {
    let distance = step.distance.map_or_else(String::new, |px| format!("  {px:.0} px"));
    let then = format!("step {}  {}", step.step, step.then);
    if step.difference == Difference::None {
        let mark = printer.paint(Style::Green, "=");
        return format!("{mark} {then}{}", printer.paint(Style::Dim, &distance));
    }
    let now = match (&step.now, &step.problem) {
        (Some(now), _) => now.to_string(),
        (None, problem) => format!("no action: {}", problem.as_deref().unwrap_or_default()),
    };
    let mark = printer.paint(Style::Red, "≠");
    format!("{mark} {then}  →  {now}{distance}")
}
