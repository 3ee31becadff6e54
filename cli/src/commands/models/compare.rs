//! `models compare`: how far a model, quantised say, agrees with another on some screens.

use std::path::Path;

use handsight_agent::{Agreement, Reference, Screen};
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
    let summary = Summary::of(&agreements);
    printer.result(&summary.value(&names, &agreements), &summary.text(&names, &agreements))?;
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

/// What all screens say together.
struct Summary {
    tokens: usize,
    /// The share of tokens before which both models find the same one likeliest.
    same_top: f64,
    kl_mean: f64,
    kl_max: f64,
    shift_median: f64,
    shift_max: f64,
}

impl Summary {
    fn of(agreements: &[Agreement]) -> Self {
        let tokens = agreements.iter().map(|one| one.tokens).sum::<usize>();
        let same_top: usize = agreements.iter().map(|one| one.same_top).sum();
        let kl_sum: f64 = agreements.iter().map(|one| one.kl_sum).sum();
        let mut shifts: Vec<f64> = agreements.iter().map(|one| one.shift).collect();
        shifts.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
        let per_token = |sum: f64| sum / tokens.max(1) as f64;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
        let same_top = per_token(same_top as f64);
        Self {
            tokens,
            same_top,
            kl_mean: per_token(kl_sum),
            kl_max: agreements.iter().map(|one| one.kl_max).fold(0.0, f64::max),
            shift_median: shifts.get(shifts.len() / 2).copied().unwrap_or_default(),
            shift_max: shifts.last().copied().unwrap_or_default(),
        }
    }

    fn value(&self, [reference, other]: &[String; 2], agreements: &[Agreement]) -> Value {
        json!({
            "reference": reference,
            "model": other,
            "screens": agreements.len(),
            "tokens": self.tokens,
            "top1_agreement": self.same_top,
            "kl_mean": self.kl_mean,
            "kl_max": self.kl_max,
            "shift_median_px": self.shift_median,
            "shift_max_px": self.shift_max,
            "each": agreements,
        })
    }

    fn text(&self, [reference, other]: &[String; 2], agreements: &[Agreement]) -> String {
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
            100.0 * self.same_top,
            self.tokens
        ));
        lines.push(format!(
            "KL divergence         {:.2e} nats a token, {:.2e} at most",
            self.kl_mean, self.kl_max
        ));
        lines.push(format!(
            "points apart          {:.1} px in the middle, {:.1} px at most",
            self.shift_median, self.shift_max
        ));
        lines.join("\n")
    }
}
