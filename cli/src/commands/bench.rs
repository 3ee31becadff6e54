//! `bench`: how fast a model is on this machine, as an agent uses it.

use std::time::{Duration, Instant};

use handsight_agent::Usage;
use handsight_model::memory::peak_memory;
use handsight_model::{Stats, Steps, TOGETHER, Workload, measure};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::models::bytes;
use crate::args::BenchArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    args: &BenchArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let image = match &args.image {
        Some(path) => open::picture(path)?.screenshot.image,
        None => drawn(args.size),
    };
    let interrupt = Interrupt::listen(printer)?;
    // System turns kept by earlier processes would make the cold step warm.
    let environment = Environment { cache: None, ..environment.clone() };
    let start = Instant::now();
    let engine = open::engine(&args.model, printer, &environment)?;
    let load = start.elapsed();
    let loaded = peak_memory();
    let workload = Workload {
        image,
        prompt_tokens: args.prompt_tokens as usize,
        new_tokens: args.new_tokens as usize,
    };
    let spinner = printer.spinner("measuring");
    let mut runs = Vec::new();
    for run in 1..=args.runs {
        spinner.message(format!("measuring {run}/{}", args.runs));
        runs.push(measure(&engine, &workload, &interrupt.cancel)?);
    }
    drop(spinner);

    let figures = figures(&runs);
    let first = &runs[0].cold;
    // What later runs leave behind for the next is not what a step needs.
    let peak = runs[0].cold_peak;
    let plan = engine.memory_plan();
    let tokens = first.prompt_tokens + first.completion_tokens;
    let request = plan.request_bytes(tokens, first.prompt_tokens, 4 * first.image_tokens);
    let announced = plan.weight_bytes() + request.max(plan.loading_bytes);
    let value = json!({
        "model": engine.info().name,
        "image": { "width": workload.image.width(), "height": workload.image.height() },
        "image_tokens": first.image_tokens,
        "prompt_tokens": first.prompt_tokens,
        "new_tokens": first.completion_tokens,
        "runs": runs.len(),
        "load_s": load.as_secs_f64(),
        "weight_bytes": engine.info().stored_bytes,
        "peak_bytes_loaded": loaded,
        "peak_bytes": peak,
        "announced_bytes": announced,
        "figures": figures.iter().map(Figure::value).collect::<serde_json::Map<_, _>>(),
        "steps": runs.iter().map(each).collect::<Vec<_>>(),
    });
    let mut lines = vec![format!(
        "{}: {} image tokens, {} prompt tokens in all, {} new tokens",
        engine.info().name,
        first.image_tokens,
        first.prompt_tokens,
        first.completion_tokens
    )];
    lines.push(format!("load                       {:>9.2} s", load.as_secs_f64()));
    lines.extend(figures.iter().map(Figure::line));
    if let Some(peak) = peak {
        lines.push(format!(
            "peak memory of a step      {:>12}  ({} were announced; the weights are {} stored)",
            bytes(peak),
            bytes(announced),
            bytes(engine.info().stored_bytes)
        ));
    }
    printer.result(&value, &lines.join("\n"))?;
    Ok(Exit::Done)
}

const DECODE_TOGETHER: &str = "decode, 4 at once";
const _: () = assert!(TOGETHER == 4, "the name says how many");

/// One figure over all runs.
struct Figure {
    name: &'static str,
    unit: &'static str,
    /// From the least to the most.
    values: Vec<f64>,
}

fn figures(runs: &[Steps]) -> Vec<Figure> {
    let over = |name, unit, of: &dyn Fn(&Steps) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        Figure { name, unit, values }
    };
    let seconds = |time: Duration| time.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
    let count = |n: usize| n as f64;
    let rate = |tokens: usize, time: Duration| count(tokens) / time.as_secs_f64().max(1e-9);
    vec![
        over("preprocess", "s", &|steps| seconds(steps.cold.preprocess)),
        over("image encode", "s", &|steps| seconds(steps.cold.vision)),
        over("prefill", "tok/s", &|steps| rate(steps.cold.prompt_tokens, steps.cold.prefill)),
        over("decode", "tok/s", &|steps| {
            // The first token comes with the prompt.
            rate(steps.cold.completion_tokens.saturating_sub(1), steps.cold.decode)
        }),
        over(DECODE_TOGETHER, "tok/s", &|steps| steps.together),
        over("cold step", "s", &|steps| seconds(whole(&steps.cold))),
        over("a quarter changed", "s", &|steps| seconds(whole(&steps.quarter_changed))),
        over("that with the same answer", "s", &|steps| {
            seconds(whole(&steps.quarter_changed_alike))
        }),
        over("same screen again", "s", &|steps| seconds(whole(&steps.unchanged))),
        over("decoder passes of that", "", &|steps| count(steps.unchanged.forward_passes)),
    ]
}

/// What each step of a run was made of.
fn each(steps: &Steps) -> Value {
    json!({
        "cold": Usage::from(&steps.cold),
        "quarter_changed": Usage::from(&steps.quarter_changed),
        "quarter_changed_alike": Usage::from(&steps.quarter_changed_alike),
        "unchanged": Usage::from(&steps.unchanged),
    })
}

fn whole(stats: &Stats) -> Duration {
    stats.preprocess + stats.vision + stats.prefill + stats.decode
}

impl Figure {
    fn middle(&self) -> f64 {
        self.values[self.values.len() / 2]
    }

    fn value(&self) -> (String, Value) {
        (self.name.to_owned(), json!({ "unit": self.unit, "values": self.values }))
    }

    fn line(&self) -> String {
        let middle = self.middle();
        let line = format!("{:<26} {middle:>9.2} {}", self.name, self.unit);
        match self.values.as_slice() {
            [first, .., last] => format!("{line}  [{first:.2}, {last:.2}]"),
            _ => line,
        }
    }
}

/// Draws something of this size that is nowhere flat.
fn drawn((width, height): (u32, u32)) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([x ^ y, x / 3 + y, 3 * x + y / 2].map(|level| level.to_le_bytes()[0]))
    })
}
