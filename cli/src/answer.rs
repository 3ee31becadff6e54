//! Has a model answer in its own words, and shows the answer as it comes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use handsight_agent::{AnswerError, PromptProfile, VisionModel};
use handsight_model::{
    CancelFlag, Completion, GenerateOptions, ModelError, Request, Sampling, StopReason, TokenInfo,
};

use crate::args::{GenerateArgs, ModelArgs};
use crate::failure::{Exit, Failure};
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

/// Opens the model that was named, if it can answer questions.
pub(crate) fn open_model(
    args: &ModelArgs,
    printer: &Printer,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<(Box<dyn VisionModel>, PromptProfile), Failure> {
    let (model, profile) = open::model(args, printer, environment, cancel)?;
    if cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    // A server may run the embedded checkpoint, too.
    let trained_on = model.card().prompt_profile.and_then(|name| PromptProfile::from_name(&name));
    if trained_on.is_some_and(|profile| profile.as_str() == PromptProfile::embedded().as_str()) {
        return Err(cannot("answer questions"));
    }
    Ok((model, profile))
}

/// Refuses the embedded checkpoint before anything is read for it.
pub(crate) fn refuse_embedded(args: &ModelArgs, task: &str) -> Result<(), Failure> {
    if args.model == "embedded" { Err(cannot(task)) } else { Ok(()) }
}

fn cannot(task: &str) -> Failure {
    let message = format!("the embedded model knows how to act on a screen, and cannot {task}");
    Failure::bad_input(message).with_hint(
        "`handsight models pull qwen2.5-vl-3b` fetches one that can; then add `--model \
         qwen2.5-vl-3b`",
    )
}

/// Returns how answers are generated, as it was typed. Without a seed every draw is another one.
pub(crate) fn options(args: &GenerateArgs) -> GenerateOptions {
    let sampling = if args.temperature > 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "half of a random number is random")]
        let random = || RandomState::new().hash_one(0) as u32;
        let seed = u64::from(args.seed.unwrap_or_else(random));
        Sampling::Random { temperature: args.temperature, top_p: None, top_k: None, seed }
    } else {
        Sampling::Greedy
    };
    GenerateOptions {
        max_new_tokens: args.max_tokens as usize,
        sampling,
        stop: args.stop.clone(),
        ..GenerateOptions::default()
    }
}

/// Has the model answer a request, and shows the answer.
pub(crate) fn stream(
    model: &dyn VisionModel,
    request: &Request,
    printer: &Printer,
    cancel: &CancelFlag,
) -> Result<Completion, Failure> {
    let is_held = request.constraint.is_some();
    show(printer, cancel, is_held, |tell| model.answer(request, tell, cancel))
}

/// Shows what `answer` tells. People see the answer as it comes; with `--json` nothing is printed.
/// `is_held` says whether it is held to a form of the user's.
pub(crate) fn show(
    printer: &Printer,
    cancel: &CancelFlag,
    is_held: bool,
    answer: impl FnOnce(&mut dyn FnMut(&TokenInfo)) -> Result<Completion, AnswerError>,
) -> Result<Completion, Failure> {
    let mut spinner = Some(printer.spinner("looking"));
    let (mut printed, mut ends_line) = (Ok(()), true);
    let answer = answer(&mut |token| {
        if printer.json() || token.text.is_empty() || printed.is_err() {
            return;
        }
        // The spinner must be gone before the answer begins on its line.
        spinner = None;
        ends_line = token.text.ends_with('\n');
        printed = printer.bytes(token.text.as_bytes());
    });
    drop(spinner);
    if !ends_line && printed.is_ok() {
        printed = printer.bytes(b"\n");
    }
    let answer = answer.map_err(|error| failed(error, is_held, cancel))?;
    printed?;
    if answer.stop == StopReason::Length {
        let count = answer.stats.completion_tokens;
        printer.note(&format!("cut off after {count} tokens; `--max-tokens` allows more"));
    }
    Ok(answer)
}

/// Explains why there is no answer.
fn failed(error: AnswerError, is_held: bool, cancel: &CancelFlag) -> Failure {
    if cancel.is_cancelled() {
        return Failure::interrupted();
    }
    let is_constraint = matches!(&error, AnswerError::Model(ModelError::Constraint { .. }));
    let failure = Failure::from(error);
    if is_constraint && is_held {
        let exit = Exit::BadInput;
        return Failure { exit, ..failure }
            .with_hint("check the schema or expression that the answer is to follow");
    }
    failure
}

/// Returns how likely the model found its answer: the product of its tokens' probabilities.
/// `None` if a server does not tell them.
pub(crate) fn probability(answer: &Completion) -> Option<f64> {
    let sum: f64 = answer.tokens.iter().map(|token| f64::from(token.logprob)).sum();
    (!answer.tokens.is_empty()).then(|| sum.exp())
}
