//! `chat`: a conversation about pictures and videos.
//!
//! On a terminal lines are edited, faults are told and the conversation goes on. From a pipe every line
//! is a question, and the first fault ends it, since nobody is there to mend it.

mod line;
mod lines;
mod media;
mod save;

use std::path::PathBuf;
use std::time::Instant;

use handsight_agent::{CancelFlag, Conversation, PixelBudget, Said, Usage, VisionModel};
use handsight_model::{Completion, StopReason};
use serde_json::{Value, json};

use self::line::{Command, HELP, Line, Piece};
use self::lines::{Lines, Next};
use self::media::Media;
use crate::answer;
use crate::args::ChatArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::AnswerInterrupt;
use crate::live::millis;
use crate::print::{Printer, Style};
use crate::settings::Environment;

pub(crate) fn run(
    args: &ChatArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    answer::refuse_embedded(&args.model, "answer questions")?;
    let mut lines = Lines::open(environment.interactive && !printer.json())?;
    let interrupt = AnswerInterrupt::listen(lines::restorer())?;
    let cancel = interrupt.begin();
    let (model, profile) = answer::open_model(&args.model, printer, environment, &cancel)?;
    let media = Media {
        limits: profile.limits(),
        max_pixels: args.model.talk.pixels.and_then(PixelBudget::most),
    };
    let mut chat = Chat {
        args,
        printer,
        model: &*model,
        talk: Conversation::new(args.system.as_deref()),
        media,
        waiting: Vec::new(),
        saved: None,
        interrupt,
    };
    for path in &args.images {
        chat.show(&Piece::Image(path.clone()), &cancel)?;
    }
    for path in &args.video {
        chat.show(&Piece::Video(path.clone()), &cancel)?;
    }
    chat.interrupt.end();
    if lines.is_terminal() {
        let name = model.card().name;
        printer.note(&format!("{name}: `/help` tells what can be typed, Ctrl-D leaves"));
    }
    chat.run(&mut lines)
}

/// A conversation under way.
struct Chat<'a> {
    args: &'a ChatArgs,
    printer: &'a Printer,
    model: &'a dyn VisionModel,
    talk: Conversation,
    media: Media,
    /// What will be shown with the next question.
    waiting: Vec<Said>,
    /// The file that `/save` wrote, which it may write again.
    saved: Option<PathBuf>,
    interrupt: AnswerInterrupt,
}

impl Chat<'_> {
    fn run(&mut self, lines: &mut Lines) -> Result<Exit, Failure> {
        // Whether Ctrl-C was the last that happened.
        let mut is_leaving = false;
        loop {
            let line = match lines.next()? {
                Next::End => return Ok(Exit::Done),
                Next::Interrupted if is_leaving => return Ok(Exit::Interrupted),
                Next::Interrupted => {
                    is_leaving = true;
                    self.printer.note("Ctrl-C once more, or Ctrl-D, leaves");
                    continue;
                }
                Next::Line(line) => line,
            };
            is_leaving = false;
            let outcome = match line::read(&line) {
                Ok(Line::Empty) => continue,
                Ok(Line::Command(Command::Quit)) => return Ok(Exit::Done),
                Ok(Line::Command(command)) => self.obey(command),
                Ok(Line::Say(pieces)) => self.say(pieces).map(|stop| {
                    is_leaving = stop == Some(StopReason::Cancelled);
                }),
                Err(failure) => Err(failure),
            };
            match outcome {
                Err(failure) if lines.is_terminal() => self.printer.failure(&failure),
                Err(failure) => return Err(failure),
                // Nobody is there to ask something else.
                Ok(()) if is_leaving && !lines.is_terminal() => return Ok(Exit::Interrupted),
                Ok(()) => {}
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Show(piece) => {
                let cancel = self.interrupt.begin();
                let shown = self.show(&piece, &cancel);
                self.interrupt.end();
                shown
            }
            Command::Reset => {
                self.talk.reset();
                self.waiting.clear();
                self.printer.note("forgotten: the next question is the first");
                Ok(())
            }
            Command::Help => {
                self.printer.note(HELP);
                Ok(())
            }
            Command::Save(path) => {
                let may_replace = self.saved.as_deref() == Some(path.as_path());
                save::write(&self.talk, &self.model.card().name, &path, may_replace)?;
                self.printer.note(&format!("saved in {}", path.display()));
                self.saved = Some(path);
                Ok(())
            }
            Command::Quit => unreachable!("it ends the loop"),
        }
    }

    /// Keeps a picture or video for the next question.
    fn show(&mut self, piece: &Piece, cancel: &CancelFlag) -> Result<(), Failure> {
        let said = self.media.open(piece, cancel)?;
        if let Some(said) = said {
            self.printer.note(&media::told(&said, self.model)?);
            self.waiting.push(said);
        }
        Ok(())
    }

    /// Asks, and shows the answer; returns why that ended. A line that is nothing but pictures waits for
    /// the question about them.
    fn say(&mut self, pieces: Vec<Piece>) -> Result<Option<StopReason>, Failure> {
        let cancel = self.interrupt.begin();
        let is_asked = pieces.iter().any(|piece| matches!(piece, Piece::Text(_)));
        let outcome = if is_asked {
            self.ask(pieces, &cancel).map(|answer| Some(answer.stop))
        } else {
            pieces.iter().try_for_each(|piece| self.show(piece, &cancel)).map(|()| None)
        };
        self.interrupt.end();
        outcome
    }

    fn ask(&mut self, pieces: Vec<Piece>, cancel: &CancelFlag) -> Result<Completion, Failure> {
        let mut said = std::mem::take(&mut self.waiting);
        let n_waiting = said.len();
        for piece in pieces {
            let shown = match piece {
                Piece::Text(text) => Ok(Some(Said::Text(text))),
                piece => self.media.open(&piece, cancel),
            };
            match shown {
                Ok(shown) => said.extend(shown),
                Err(failure) => {
                    said.truncate(n_waiting);
                    self.waiting = said;
                    return Err(failure);
                }
            }
        }
        let start = Instant::now();
        let options = answer::options(&self.args.generate);
        let (talk, model) = (&mut self.talk, self.model);
        let shown: Vec<Said> = said[..n_waiting].to_vec();
        let answer = answer::show(self.printer, cancel, false, |tell| {
            talk.say(model, said, &options, tell, cancel)
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                // What was to be shown is still wanted when the question is asked in another way.
                self.waiting = shown;
                let is_long = failure.exit == Exit::BadInput && failure.hint.is_none();
                let hint = "`/reset` starts anew, with room for the question";
                return Err(if is_long { failure.with_hint(hint) } else { failure });
            }
        };
        if answer.stop == StopReason::Cancelled {
            self.printer.note("stopped");
        }
        if self.args.stats {
            self.printer.note(&self.printer.paint(Style::Dim, &stats(&answer)));
        }
        self.printer.result(&value(&answer, millis(start.elapsed())), "")?;
        Ok(answer)
    }
}

fn value(answer: &Completion, ms: u64) -> Value {
    json!({
        "text": answer.text,
        "stop": answer.stop,
        "probability": answer::probability(answer),
        "usage": Usage::from(&answer.stats),
        "ms": ms,
    })
}

/// Says what an answer cost.
fn stats(answer: &Completion) -> String {
    let stats = &answer.stats;
    let first = (stats.preprocess + stats.vision + stats.prefill).as_secs_f64();
    let decode = stats.decode.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens is small")]
    let rate = if decode > 0.0 { stats.completion_tokens as f64 / decode } else { 0.0 };
    format!(
        "prompt {} tokens, {} of them remembered; first word after {first:.2} s; {} tokens, {rate:.1} \
         a second",
        stats.prompt_tokens, stats.cached_tokens, stats.completion_tokens,
    )
}
