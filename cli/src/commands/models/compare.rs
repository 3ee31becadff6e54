//! `models compare`: how far a model, quantised say, agrees with another on some screens.

use std::path::Path;

use handsight_agent::{Agreement, AgreementSummary, Reference, Screen};
use handsight_model::DeviceMap;
use serde_json::{Value, json};

use crate::args::{LoadArgs, ModelsCompareArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(super) fn run(
    args: &ModelsCompareArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let screens = screens(args)?;
    let interrupt = Interrupt::listen(printer)?;
    let open =
        |model, load| open::engine_and_profile(model, (load, &args.talk), printer, environment);
    // What is said of the weights is said of the second model only.
    let as_it_is = LoadArgs {
        compute: DeviceMap::default(),
        mmproj: None,
        dtype: None,
        quantize: None,
        exact: true,
        ..args.load.clone()
    };
    let (engine, profile) = open(&args.reference, &as_it_is)?;
    let reference_name = engine.info().name.clone();
    let show = |what: &'static str| {
        let spinner = printer.spinner(what);
        let (mut done, total) = (0, screens.len());
        move || {
            done += 1;
            spinner.message(format!("{what} {done}/{total}"));
        }
    };
    let cancel = &interrupt.cancel;
    let reference =
        Reference::of(&engine, &profile, &screens, show("asking the reference"), cancel)?;
    // Two models need not fit into memory at once.
    drop(engine);
    let (engine, profile) = open(&args.model, &args.load)?;
    let agreements = reference.compare(&engine, &profile, show("comparing"), cancel)?;

    let names = [reference_name, engine.info().name.clone()];
    let summary = AgreementSummary::of(&agreements);
    printer.result(&value(&summary, &names, &agreements), &text(&summary, &names, &agreements))?;
    Ok(Exit::Done)
}

/// Every description on every picture.
fn screens(args: &ModelsCompareArgs) -> Result<Vec<Screen>, Failure> {
    let mut screens = Vec::new();
    for path in &args.images {
        let image = open::picture(path)?.screenshot.image;
        for description in &args.find {
            screens.push(Screen {
                name: name(path),
                image: image.clone().into(),
                description: description.clone(),
            });
        }
    }
    if screens.len() > MAX_SCREENS {
        let message = format!(
            "{} pictures with {} things to find are {} questions, and at most {MAX_SCREENS} are \
             compared at once",
            args.images.len(),
            args.find.len(),
            screens.len()
        );
        return Err(Failure::bad_input(message).with_hint("compare fewer pictures at a time"));
    }
    Ok(screens)
}

/// The reference's logits of all of them are held in memory, 20 MB each.
const MAX_SCREENS: usize = 200;

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn value(
    summary: &AgreementSummary,
    [reference, other]: &[String; 2],
    agreements: &[Agreement],
) -> Value {
    json!({
        "reference": reference,
        "model": other,
        "screens": agreements.len(),
        "tokens": summary.tokens,
        "top1_agreement": summary.same_top,
        "kl_mean": summary.kl_mean,
        "kl_max": summary.kl_max,
        "shift_median_px": summary.shift_median,
        "shift_max_px": summary.shift_max,
        "each": agreements,
    })
}

fn text(
    summary: &AgreementSummary,
    [reference, other]: &[String; 2],
    agreements: &[Agreement],
) -> String {
    let mut lines: Vec<String> = agreements
        .iter()
        .map(|one| {
            format!(
                "{}  {:?}  {} → {}  {:.1} px",
                one.screen, one.description, one.reference_point, one.point, one.shift
            )
        })
        .collect();
    lines.push(format!("{other} against {reference}"));
    lines.push(format!(
        "same likeliest token  {:.1} % of {}",
        100.0 * summary.same_top,
        summary.tokens
    ));
    lines.push(format!(
        "KL divergence         {:.2e} nats a token, {:.2e} at most",
        summary.kl_mean, summary.kl_max
    ));
    lines.push(format!(
        "points apart          {:.1} px in the middle, {:.1} px at most",
        summary.shift_median, summary.shift_max
    ));
    lines.join("\n")
}
