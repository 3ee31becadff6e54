//! The report as one HTML page.
//!
//! Every picture is in the page once, as an SVG symbol, however often it is shown: whole with the
//! action drawn on it, and close up around the point.

pub(super) mod step;
pub(super) mod text;

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use handsight_agent::trace::event::{EpisodeStopped, ImageRef};
use handsight_agent::{StopReason, Trace, TraceError};

use self::text::{count, escape, milliseconds};
use crate::check::CheckResult;

pub(super) const STYLE: &str = include_str!("html/style.css");

/// Returns the page.
pub(super) fn render(trace: &Trace, checks: Option<&[CheckResult]>) -> Result<String, TraceError> {
    let pictures = Pictures::of(trace)?;
    let goal = escape(&trace.started.goal);
    let mut page = head(&goal, STYLE, "");
    page.push_str(&pictures.symbols());
    page.push_str("<main>\n");
    page.push_str(&header(trace, checks, &goal));
    if let Some(checks) = checks {
        page.push_str(&check_list(checks));
    }
    for step in &trace.steps {
        page.push_str(&step::card(step, &pictures));
    }
    page.push_str(&ending(trace, &pictures));
    let _ = write!(
        page,
        "<footer>Handsight {} · trace version {} · {}</footer>\n</main>\n</body>\n</html>\n",
        escape(&trace.started.handsight),
        trace.started.version,
        trace.started.time.strftime("%Y-%m-%d %H:%M:%S UTC"),
    );
    Ok(page)
}

/// Returns the beginning of a page, up to its body. Neither the title nor the style is escaped.
///
/// Nothing on the page can load or run anything but the script of this hash, whatever a screen or a model
/// has written on it.
pub(super) fn head(title: &str, style: &str, script_hash: &str) -> String {
    let scripts = match script_hash {
        "" => String::new(),
        hash => format!("; script-src 'sha256-{hash}'"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'{scripts}\">\n\
         <title>{title} · Handsight</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
    )
}

/// The pictures of a trace that are still there.
struct Pictures {
    /// Data URIs with sizes, by hash.
    found: BTreeMap<String, (ImageRef, String)>,
}

impl Pictures {
    fn of(trace: &Trace) -> Result<Self, TraceError> {
        let last = trace.stopped.as_ref().and_then(|stopped| stopped.screenshot.as_ref());
        let steps = trace.steps.iter().map(|step| &step.started.screenshot);
        let mut found = BTreeMap::new();
        for image in steps.chain(last) {
            if found.contains_key(&image.sha256) {
                continue;
            }
            if let Some(png) = trace.png(image)? {
                let uri = format!("data:image/png;base64,{}", STANDARD.encode(png));
                found.insert(image.sha256.clone(), (image.clone(), uri));
            }
        }
        Ok(Self { found })
    }

    /// Returns the id of a picture in the page.
    fn id(&self, image: &ImageRef) -> Option<String> {
        self.found.contains_key(&image.sha256).then(|| format!("p-{}", escape(&image.sha256)))
    }

    /// Returns the element that holds all pictures and shows none.
    fn symbols(&self) -> String {
        let mut symbols = String::from("<svg class=\"pictures\" aria-hidden=\"true\"><defs>\n");
        for (image, uri) in self.found.values() {
            let (width, height) = (image.width, image.height);
            let id = escape(&image.sha256);
            let _ = writeln!(
                symbols,
                "<image id=\"p-{id}\" width=\"{width}\" height=\"{height}\" href=\"{uri}\"/>"
            );
        }
        symbols.push_str("</defs></svg>\n");
        symbols
    }
}

/// Returns the head of the page: the verdict, the goal, and what it took.
fn header(trace: &Trace, checks: Option<&[CheckResult]>, goal: &str) -> String {
    let started = &trace.started;
    let (tone, verdict, note) = verdict(trace.stopped.as_ref(), checks);
    let mut header = format!(
        "<header>\n<p class=\"brand\">Handsight · episode report</p>\n<h1>{goal}</h1>\n\
         <p class=\"verdict {tone}\"><strong>{}</strong><span>{}</span></p>\n<dl class=\"facts\">\n",
        escape(&verdict),
        escape(&note),
    );
    let device = &started.device;
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(header, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    };
    fact("Device", format!("{} · {} px", device.name, device.size));
    fact("Policy", started.policy.clone());
    let taken = trace.steps.len();
    let dry = if started.dry_run { " · dry run, nothing was performed" } else { "" };
    fact("Steps", format!("{taken} of at most {}{dry}", started.max_steps));
    if let Some(stopped) = &trace.stopped {
        fact("Time", milliseconds(stopped.elapsed_ms));
        let usage = &stopped.usage;
        if usage.prompt_tokens > 0 {
            fact(
                "Tokens read",
                format!("{} · {} of images", count(usage.prompt_tokens), count(usage.image_tokens)),
            );
            fact(
                "Tokens written",
                format!(
                    "{} · {} of them forced by the grammar",
                    count(usage.completion_tokens),
                    count(usage.forced_tokens),
                ),
            );
        }
    }
    header.push_str("</dl>\n</header>\n");
    header
}

/// Returns the tone, the verdict and a note to it.
///
/// The model's claim alone is never shown as success.
fn verdict(
    stopped: Option<&EpisodeStopped>,
    checks: Option<&[CheckResult]>,
) -> (&'static str, String, String) {
    let ended = match stopped {
        Some(stopped) => {
            let mut ended = capitalised(stopped.stop_reason.describe());
            if let Some(error) = &stopped.error {
                let _ = write!(ended, ": {error}");
            }
            ended
        }
        None => "The recording ends in the middle: the process was killed".to_owned(),
    };
    match checks {
        Some(checks) if !checks.is_empty() => {
            let passed = checks.iter().filter(|check| check.passed()).count();
            let tone = if passed == checks.len() { "good" } else { "bad" };
            (tone, format!("{passed} of {} checks passed", checks.len()), ended)
        }
        _ => {
            let tone = match stopped.map(|stopped| stopped.stop_reason) {
                Some(StopReason::ClaimedSuccess) => "claimed",
                _ => "bad",
            };
            (tone, ended, "The device was not checked".to_owned())
        }
    }
}

fn capitalised(sentence: &str) -> String {
    let mut characters = sentence.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

/// Returns the list of checks.
fn check_list(checks: &[CheckResult]) -> String {
    let mut list = String::from("<ul class=\"checks\">\n");
    for check in checks {
        let (tone, mark) = if check.passed() { ("good", "✓") } else { ("bad", "✗") };
        let name = escape(&check.name);
        let _ = write!(list, "<li class=\"{tone}\"><b>{mark}</b><span>{name}");
        if let Some(found) = &check.found {
            let _ = write!(list, "<small>{}</small>", escape(found));
        }
        list.push_str("</span></li>\n");
    }
    list.push_str("</ul>\n");
    list
}

/// Returns what came after the last step: the answer and the last look at the screen.
fn ending(trace: &Trace, pictures: &Pictures) -> String {
    let Some(stopped) = &trace.stopped else {
        return String::new();
    };
    let mut ending = String::new();
    if let Some(answer) = &stopped.answer {
        let answer = escape(answer);
        let _ = write!(
            ending,
            "<section class=\"card\"><h2>The answer</h2>\n<p class=\"thought\">{answer}</p></section>\n"
        );
    }
    if let Some(image) = &stopped.screenshot {
        let _ = write!(
            ending,
            "<section class=\"card\"><h2>The screen at the end</h2>\n{}</section>\n",
            step::figure(image, &[], pictures),
        );
    }
    ending
}
