//! The report of a suite as one HTML page, which needs nothing else: failures first, each step with
//! what was on the screen and where it acted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err as fs;
use sha2::{Digest as _, Sha256};

use super::share;
use crate::report::html::step::{label, screen};
use crate::report::html::text::escape;
use crate::report::html::{STYLE, head};
use crate::report::pictures::Picture;
use crate::result::{FoundBy, ScenarioResult, Status, StepResult};
use crate::suite::{DeviceResult, Runs, SuiteResult, by_scenario};

/// What the page of a suite has beside that of an episode.
const MORE_STYLE: &str = include_str!("page.css");

/// What makes sliders of pictures before and after, and listens to keys.
const SCRIPT: &str = include_str!("page.js");

/// What the keys do, where there are keys.
const KEYS: &str = "<p class=\"keys\"><kbd>j</kbd> <kbd>k</kbd> next and previous · <kbd>n</kbd> \
                    <kbd>p</kbd> what did not pass · <kbd>o</kbd> open or close · <kbd>←</kbd> \
                    <kbd>→</kbd> before and after</p>\n";

/// The pictures of a page, by their files: data URIs.
type Pictures = BTreeMap<String, String>;

/// Returns the page; `pictures` is the folder of the pictures.
pub(super) fn render(suite: &SuiteResult, pictures: &Path) -> std::io::Result<String> {
    let (tally, results) = (suite.tally, &*suite.scenarios);
    let pictures = read(results, pictures)?;
    let tone = tone(tally.status());
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    let mut page = head(&tally.to_string(), &format!("{STYLE}{MORE_STYLE}"), &hash);
    page += "<svg class=\"pictures\" aria-hidden=\"true\"><defs>\n";
    for (file, uri) in &pictures {
        let (width, height) = size(results, file);
        let id = escape(file);
        let _ = writeln!(
            page,
            "<image id=\"{id}\" width=\"{width}\" height=\"{height}\" href=\"{uri}\"/>"
        );
    }
    page += "</defs></svg>\n";
    let _ = write!(
        page,
        "<main>\n<header>\n<p class=\"brand\">Handsight · scenarios</p>\n<h1>{}</h1>\n\
         <p class=\"verdict {tone}\"><strong>{tally}</strong></p>\n{}</header>\n",
        heading(&by_scenario(results)),
        devices(&suite.devices),
    );
    let mut order = by_scenario(results);
    order.sort_by_key(|runs| match runs.status() {
        Status::Failed | Status::Stopped => 0,
        Status::Flaky => 1,
        Status::Healed => 2,
        Status::Passed | Status::Skipped => 3,
    });
    for (index, runs) in order.iter().enumerate() {
        page += &scenario(runs, &pictures, &format!("s{}", index + 1));
    }
    let _ = write!(page, "{KEYS}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    Ok(page)
}

fn heading(all: &[Runs<'_>]) -> String {
    match all {
        [one] => escape(&one.first().scenario),
        several => format!("{} scenarios", several.len()),
    }
}

/// Returns what the devices did, if there were several or one has failed.
fn devices(devices: &[DeviceResult]) -> String {
    if devices.len() < 2 && devices.iter().all(|device| device.problem.is_none()) {
        return String::new();
    }
    let mut list = String::from("<dl class=\"facts\">\n");
    for device in devices {
        let runs = if device.runs == 1 { "run" } else { "runs" };
        let _ = writeln!(
            list,
            "<div><dt>{}</dt><dd>{} {runs}, {:.1} s{}</dd></div>",
            escape(&device.name),
            device.runs,
            device.seconds,
            device.problem.as_ref().map_or_else(String::new, |problem| {
                format!("<br><span class=\"problem\">{}</span>", escape(problem))
            }),
        );
    }
    list + "</dl>\n"
}

/// Reads the pictures that steps name; one that is gone is left out.
fn read(results: &[ScenarioResult], folder: &Path) -> std::io::Result<Pictures> {
    let mut pictures = Pictures::new();
    for picture in pictures_of(results) {
        if pictures.contains_key(&picture.file) {
            continue;
        }
        match fs::read(folder.join(&picture.file)) {
            Ok(bytes) => {
                let uri = format!("data:image/webp;base64,{}", STANDARD.encode(bytes));
                pictures.insert(picture.file.clone(), uri);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(pictures)
}

/// Returns the pictures that steps name.
pub(super) fn pictures_of(results: &[ScenarioResult]) -> impl Iterator<Item = &Picture> {
    let steps = results.iter().flat_map(|result| &result.steps);
    steps.flat_map(|step| step.pictures.iter().chain(&step.after))
}

fn size(results: &[ScenarioResult], file: &str) -> (u32, u32) {
    let found = pictures_of(results).find(|picture| picture.file == file);
    found.map_or((0, 0), |picture| (picture.width, picture.height))
}

/// Returns a scenario, and each of its runs within it if there are several.
fn scenario(runs: &Runs<'_>, pictures: &Pictures, id: &str) -> String {
    let (first, status) = (runs.first(), runs.status());
    let about = match runs.all() {
        [one] => figures(one),
        _ => share(runs),
    };
    let mut text = format!(
        "<details class=\"card\" data-status=\"{}\"{}>\n<summary id=\"{id}\">{} {} <small>{} · {about}</small></summary>\n",
        status.as_str(),
        open(status),
        badge(status),
        escape(&first.scenario),
        escape(&first.file.display().to_string()),
    );
    match runs.all() {
        [one] => text += &steps(one, pictures, id),
        several => {
            for run in several {
                let _ = write!(
                    text,
                    "<details class=\"run\"{}>\n<summary>{} run {} <small>{}</small></summary>\n{}\
                     </details>\n",
                    open(run.status),
                    badge(run.status),
                    run.run,
                    figures(run),
                    steps(run, pictures, &format!("{id}-{}", run.run)),
                );
            }
        }
    }
    text + "</details>\n"
}

/// What failed or has changed is what people came for.
fn open(status: Status) -> &'static str {
    if status == Status::Passed { "" } else { " open" }
}

fn badge(status: Status) -> String {
    format!("<span class=\"badge {}\">{}</span>", tone(status), status.as_str())
}

/// Returns where a run was, how long it took and how often it asked.
fn figures(run: &ScenarioResult) -> String {
    format!("{} · {:.1} s · {}", escape(&run.devices_line()), run.seconds, run.calls_line())
}

fn steps(run: &ScenarioResult, pictures: &Pictures, id: &str) -> String {
    let mut text = String::new();
    if let Some(drawn) = run.drawn_line() {
        let _ = writeln!(text, "<p class=\"hint\">{}</p>", escape(&drawn));
    }
    for change in run.changes() {
        let _ = writeln!(text, "<p class=\"change\">{}</p>", escape(change));
    }
    text += "<ol class=\"steps\">\n";
    for (index, step) in run.steps.iter().enumerate() {
        text += &step_item(step, pictures, &format!("{id}-{}", index + 1));
    }
    text + "</ol>\n"
}

fn step_item(step: &StepResult, pictures: &Pictures, id: &str) -> String {
    let found: Vec<&str> = step
        .found_by
        .iter()
        .map(|found| match found {
            FoundBy::Anchor => "by its anchor",
            FoundBy::Model => "by the model",
            FoundBy::Point => "by its point",
        })
        .collect();
    let depth = step.id.matches('.').count();
    let mut text = format!(
        "<li id=\"{id}\" data-status=\"{}\" tabindex=\"-1\" style=\"margin-left:{depth}rem\"><p>{} {} <small>{} {:.2} s · line {}</small></p>\n",
        step.status.as_str(),
        badge(step.status),
        escape(&step.title),
        found.join(", "),
        step.seconds,
        step.line,
    );
    if let Some(problem) = &step.problem {
        let _ = writeln!(text, "<p class=\"problem\">{}</p>", escape(problem));
    }
    if let Some(hint) = &step.hint {
        let _ = writeln!(text, "<p class=\"hint\">{}</p>", escape(hint));
    }
    let open = !matches!(step.status, Status::Passed | Status::Skipped);
    match (&step.pictures[..], &step.after) {
        ([before], Some(after)) => text += &compared(before, after, pictures, open),
        (several, after) => {
            for picture in several.iter().chain(after) {
                text += &figure(picture, pictures, open);
            }
        }
    }
    text + "</li>\n"
}

fn figure(picture: &Picture, pictures: &Pictures, open: bool) -> String {
    if !pictures.contains_key(&picture.file) {
        return "<p class=\"problem\">The picture is not there any more.</p>\n".to_owned();
    }
    let points: Vec<_> = picture.point.into_iter().collect();
    format!(
        "<details{}><summary>{}</summary>{}</details>\n",
        if open { " open" } else { "" },
        label(&points),
        screen(&escape(&picture.file), (picture.width, picture.height), &points),
    )
}

/// Returns the screen before and after a step: side by side, and where scripts run under a slider.
fn compared(before: &Picture, after: &Picture, pictures: &Pictures, open: bool) -> String {
    let both = [before, after].map(|picture| pictures.contains_key(&picture.file));
    if both != [true, true] {
        return figure(before, pictures, open) + &figure(after, pictures, open);
    }
    let points: Vec<_> = before.point.into_iter().collect();
    let shown = |picture: &Picture, points: &[_]| {
        screen(&escape(&picture.file), (picture.width, picture.height), points)
    };
    format!(
        "<details{}><summary>{}, before and after</summary><div class=\"compare\">\
         <div class=\"before\">{}</div><div class=\"after\">{}</div></div></details>\n",
        if open { " open" } else { "" },
        label(&points),
        shown(before, &points),
        shown(after, &[]),
    )
}

fn tone(status: Status) -> &'static str {
    match status {
        Status::Passed => "good",
        Status::Skipped => "plain",
        Status::Healed | Status::Flaky => "claimed",
        Status::Failed | Status::Stopped => "bad",
    }
}
