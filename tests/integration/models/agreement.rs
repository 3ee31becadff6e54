//! What 8-bit arithmetic changes: the embedded checkpoint on windows and pages that no training saw, with
//! its weights in `Q8_0`, beside the same weights computed in f32. (Its rows are too short for the K
//! types, whose blocks are 256 wide.)

use std::path::Path;

use handsight_agent::prompt::PromptProfile;
use handsight_agent::{AgreementSummary, Reference, Screen};
use handsight_model::{CancelFlag, Engine, EngineOptions, Quantization};
use handsight_tests::embedded_eval::{Case, cases, fixtures};

/// The table of BENCHMARKS.md is what this prints. Every token here is the digits of a number, of which
/// the model often thinks two as likely; where they are apart the point is, by a few pixels as a rule.
#[test]
fn kernels_of_8_bits_answer_as_f32_does() {
    let screens = screens();
    assert!(screens.len() >= 20, "{}", screens.len());
    let quantized = Some(Quantization::Q8_0);
    let (as_stored, exact) = (engine(None, true), engine(quantized, true));
    let coarser = compare(&as_stored, &exact, &screens);
    let faster = compare(&exact, &engine(quantized, false), &screens);
    println!("{}", row("f32 weights → `Q8_0`, both in f32", &coarser));
    println!("{}", row("`Q8_0` in f32 → in 8 bits", &faster));
    assert!(faster.tokens >= 3 * screens.len(), "{faster:?}");
    assert!(coarser.same_top >= 0.95 && coarser.kl_mean <= 5e-4, "{coarser:?}");
    assert!(faster.same_top >= 0.9 && faster.kl_mean <= 5e-3, "{faster:?}");
    assert!(coarser.shift_median <= 1.0 && faster.shift_median <= 1.0, "{coarser:?} {faster:?}");
}

/// Some windows and pages, and a thing that is on each.
fn screens() -> Vec<Screen> {
    let named = cases().unwrap().into_iter().filter(|case| case.r#box.is_some());
    let screen = |case: Case| {
        let image = image::open(fixtures().join(&case.image)).unwrap().to_rgb8().into();
        let description = case.goal.split('"').nth(1)?.to_owned();
        Some(Screen { name: case.id, image, description })
    };
    named.step_by(20).filter_map(screen).collect()
}

fn engine(quantize: Option<Quantization>, exact: bool) -> Engine {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/embedded");
    Engine::load(&folder, &EngineOptions { quantize, exact, ..EngineOptions::default() }).unwrap()
}

fn compare(reference: &Engine, other: &Engine, screens: &[Screen]) -> AgreementSummary {
    let (profile, cancel) = (PromptProfile::embedded(), CancelFlag::default());
    let reference = Reference::of(reference, &profile, screens, || {}, &cancel).unwrap();
    AgreementSummary::of(&reference.compare(other, &profile, || {}, &cancel).unwrap())
}

fn row(what: &str, summary: &AgreementSummary) -> String {
    let AgreementSummary { tokens, same_top, kl_mean, kl_max, shift_median, shift_max } = summary;
    let top = 100.0 * same_top;
    format!(
        "| {what} | {top:.1} % of {tokens} | {kl_mean:.1e}, {kl_max:.1e} | {shift_median:.1}, \
         {shift_max:.1} px |"
    )
}
