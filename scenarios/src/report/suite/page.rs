//! The report of a suite as one HTML page, which needs nothing else: failures first, each step with
//! what was on the screen and where it acted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err as fs;

use super::{Tally, changes};
use crate::report::html::step::{label, screen};
use crate::report::html::text::escape;
use crate::report::html::{STYLE, head};
use crate::report::pictures::Picture;
use crate::result::{FoundBy, ScenarioResult, Status, StepResult};

/// What the page of a suite has beside that of an episode.
const MORE_STYLE: &str = include_str!("page.css");

/// The pictures of a page, by their files: data URIs.
type Pictures = BTreeMap<String, String>;

/// Returns the page; `pictures` is the folder of the pictures.
pub(super) fn render(results: &[ScenarioResult], pictures: &Path) -> std::io::Result<String> {
    let tally = Tally::of(results);
    let pictures = read(results, pictures)?;
    let tone = tone(tally.status());
    let mut page = head(&tally.to_string(), &format!("{STYLE}{MORE_STYLE}"));
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
         <p class=\"verdict {tone}\"><strong>{tally}</strong></p>\n</header>\n",
        heading(results),
    );
    let mut order: Vec<&ScenarioResult> = results.iter().collect();
    order.sort_by_key(|result| match result.status {
        Status::Failed | Status::Stopped => 0,
        Status::Healed => 1,
        Status::Passed => 2,
    });
    for result in order {
        page += &scenario(result, &pictures);
    }
    page += "</main>\n</body>\n</html>\n";
    Ok(page)
}

fn heading(results: &[ScenarioResult]) -> String {
    match results {
        [one] => escape(&one.scenario),
        several => format!("{} scenarios", several.len()),
    }
}

/// Reads the pictures that steps name; one that is gone is left out.
fn read(results: &[ScenarioResult], folder: &Path) -> std::io::Result<Pictures> {
    let mut pictures = Pictures::new();
    for picture in all(results) {
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

fn all(results: &[ScenarioResult]) -> impl Iterator<Item = &Picture> {
    results.iter().flat_map(|result| &result.steps).flat_map(|step| &step.pictures)
}

fn size(results: &[ScenarioResult], file: &str) -> (u32, u32) {
    let found = all(results).find(|picture| picture.file == file);
    found.map_or((0, 0), |picture| (picture.width, picture.height))
}

fn scenario(result: &ScenarioResult, pictures: &Pictures) -> String {
    // What failed or has changed is what people came for.
    let open = if result.status == Status::Passed { "" } else { " open" };
    let status = result.status;
    let calls = match result.model_calls {
        0 => "no model call".to_owned(),
        1 => "1 model call".to_owned(),
        calls => format!("{calls} model calls"),
    };
    let mut text = format!(
        "<details class=\"card\"{open}>\n<summary><span class=\"badge {}\">{}</span> {} \
         <small>{} · {:.1} s · {calls}</small></summary>\n",
        tone(status),
        status.as_str(),
        escape(&result.scenario),
        escape(&result.file.display().to_string()),
        result.seconds,
    );
    for change in changes(result) {
        let _ = writeln!(text, "<p class=\"change\">{}</p>", escape(change));
    }
    text += "<ol class=\"steps\">\n";
    for step in &result.steps {
        text += &step_item(step, pictures);
    }
    text + "</ol>\n</details>\n"
}

fn step_item(step: &StepResult, pictures: &Pictures) -> String {
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
        "<li style=\"margin-left:{depth}rem\"><p><span class=\"badge {}\">{}</span> {} \
         <small>{} {:.2} s · line {}</small></p>\n",
        tone(step.status),
        step.status.as_str(),
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
    for picture in &step.pictures {
        text += &figure(picture, pictures, step.status != Status::Passed);
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

fn tone(status: Status) -> &'static str {
    match status {
        Status::Passed => "good",
        Status::Healed => "claimed",
        Status::Failed | Status::Stopped => "bad",
    }
}
