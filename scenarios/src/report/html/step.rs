//! One step of the episode, as a card of the page.

use std::fmt::Write;

use handsight_actions::PixelPoint;
use handsight_agent::Outcome;
use handsight_agent::trace::TracedStep;
use handsight_agent::trace::event::{Decided, ImageRef};

use super::Pictures;
use super::text::{escape, milliseconds, percent};

/// How much of the screen the close-up shows, in pixels.
const CLOSE_UP: (u32, u32) = (240, 150);

/// Returns the card of a step.
pub(super) fn card(step: &TracedStep, pictures: &Pictures) -> String {
    let number = step.started.step;
    let screenshot = &step.started.screenshot;
    let points: Vec<PixelPoint> = match &step.decided {
        Some(decided) => decided.action.points().into_iter().flatten().collect(),
        None => Vec::new(),
    };
    let mut card = format!("<section class=\"card\" id=\"step-{number}\">\n");
    let title = match &step.decided {
        Some(decided) => escape(&decided.action.to_string()),
        None => "no action".to_owned(),
    };
    let _ = writeln!(
        card,
        "<h2><span class=\"number\">{number}</span><code>{title}</code>{}</h2>",
        outcome(step)
    );
    card.push_str("<div class=\"columns\">\n");
    card.push_str(&figure(screenshot, &points, pictures));
    card.push_str("<div class=\"aside\">\n");
    if let Some(decided) = &step.decided
        && !decided.thought.is_empty()
    {
        let _ = writeln!(card, "<p class=\"thought\">{}</p>", escape(&decided.thought));
    }
    if let Some(said) = &step.started.said {
        let _ = writeln!(card, "<p class=\"thought\">The user said: {}</p>", escape(said));
    }
    if let Some(&point) = points.first() {
        card.push_str(&close_up(screenshot, point, pictures));
    }
    card.push_str(&facts(step));
    card.push_str("</div>\n</div>\n");
    card.push_str(&problems(step));
    card.push_str("</section>\n");
    card
}

/// Returns the badge that says what became of the action.
fn outcome(step: &TracedStep) -> String {
    let (tone, word) = match step.acted.as_ref().map(|acted| &acted.outcome) {
        Some(Outcome::Performed) => ("good", "performed"),
        Some(Outcome::DryRun) => ("plain", "dry run"),
        Some(Outcome::Declined) => ("bad", "declined"),
        Some(Outcome::Answered(_)) => ("good", "answered"),
        Some(Outcome::TakenOver) => ("good", "done by the user"),
        Some(Outcome::Unanswered) => ("bad", "nobody was there"),
        Some(Outcome::Refused(_)) => ("bad", "refused"),
        Some(Outcome::Failed(_)) => ("bad", "failed"),
        None => return String::new(),
    };
    format!("<span class=\"badge {tone}\">{word}</span>")
}

/// Returns what is wrong in the step, and the reply word for word.
fn problems(step: &TracedStep) -> String {
    let mut text = String::new();
    if let Some(Outcome::Failed(error) | Outcome::Refused(error)) =
        step.acted.as_ref().map(|acted| &acted.outcome)
    {
        let _ = writeln!(text, "<p class=\"problem\">{}</p>", escape(error));
    }
    for refused in &step.refused {
        let _ = writeln!(
            text,
            "<details class=\"problem\"><summary>A reply was refused: {}</summary>\
             <pre>{}</pre></details>",
            escape(&refused.problem),
            escape(&refused.reply),
        );
    }
    if let Some(decided) = &step.decided {
        for repair in &decided.repairs {
            let _ = writeln!(text, "<p class=\"problem\">Mended: {}</p>", escape(repair));
        }
        let _ = writeln!(
            text,
            "<details><summary>The reply, word for word</summary><pre>{}</pre></details>",
            escape(&decided.reply),
        );
    }
    text
}

/// Returns the numbers of a step.
fn facts(step: &TracedStep) -> String {
    let mut list = String::from("<dl class=\"facts\">\n");
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(list, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
    };
    if let Some(decided) = &step.decided {
        if let (Some(model_point), Some(pixel)) = (decided.model_point, decided.action.point()) {
            fact("Model said", &format!("{model_point} of {}", decided.frame.model));
            if let Some(part) = decided.looked_at {
                let corner = format!("({}, {})", part.x, part.y);
                let size = decided.frame.screenshot;
                fact("Looked closer", &format!("{size} from {corner}"));
            }
            fact("On screen", &pixel.to_string());
        }
        if let Some(probability) = decided.probability {
            fact("Probability", &percent(probability));
        }
        fact("Decided in", &decision_time(decided));
        if let Some(usage) = &decided.usage {
            let tokens = format!(
                "{} · {} forced · {} runs of the model",
                usage.completion_tokens, usage.forced_tokens, usage.forward_passes
            );
            fact("Tokens written", &tokens);
        }
    }
    if let Some(acted) = &step.acted {
        fact("Performed in", &milliseconds(acted.act_ms));
    }
    let still = if step.started.still { "" } else { " · never still" };
    fact("Watched for", &format!("{}{still}", milliseconds(step.started.settle_ms)));
    if let Some(app) = &step.started.foreground_app {
        fact("In front", app);
    }
    list.push_str("</dl>\n");
    list
}

/// Returns how long the decision took, and where the time went.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times in ms")]
fn decision_time(decided: &Decided) -> String {
    let mut time = milliseconds(decided.decide_ms);
    if let Some(usage) = &decided.usage {
        let parts = [
            ("image", usage.preprocess_ms + usage.vision_ms),
            ("prompt", usage.prefill_ms),
            ("reply", usage.decode_ms),
        ];
        let parts = parts.map(|(name, ms)| format!("{name} {}", milliseconds(ms.round() as u64)));
        let _ = write!(time, " ({})", parts.join(", "));
    }
    time
}

/// Returns a screenshot with the action drawn on it, or a note that it is gone.
pub(super) fn figure(image: &ImageRef, points: &[PixelPoint], pictures: &Pictures) -> String {
    let Some(id) = pictures.id(image) else {
        return "<p class=\"problem\">The picture is not in the trace any more.</p>\n".to_owned();
    };
    screen(&id, (image.width, image.height), points)
}

/// Returns a picture of the page with crosshairs on it.
pub(in crate::report) fn screen(
    id: &str,
    (width, height): (u32, u32),
    points: &[PixelPoint],
) -> String {
    let radius = f64::from(width.max(height)) / 70.0;
    format!(
        "<figure><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\
         <use href=\"#{id}\"/>{}</svg></figure>\n",
        label(points),
        marks(points, radius),
    )
}

/// Returns what is around a point, close up, or nothing if the picture is gone.
fn close_up(image: &ImageRef, point: PixelPoint, pictures: &Pictures) -> String {
    let Some(id) = pictures.id(image) else { return String::new() };
    let (width, height) = (CLOSE_UP.0.min(image.width), CLOSE_UP.1.min(image.height));
    let start = |at: i32, length: u32, whole: u32| {
        let last = i64::from(whole - length);
        (i64::from(at) - i64::from(length / 2)).clamp(0, last)
    };
    let x = start(point.x, width, image.width);
    let y = start(point.y, height, image.height);
    format!(
        "<figure class=\"close-up\"><svg viewBox=\"{x} {y} {width} {height}\" role=\"img\" \
         aria-label=\"close-up\"><use href=\"#{id}\"/>{}</svg></figure>\n",
        marks(&[point], 9.0),
    )
}

/// Returns a crosshair at each point, and a line between two.
fn marks(points: &[PixelPoint], radius: f64) -> String {
    let mut path = String::new();
    for point in points {
        // Through the middle of the pixel, which is half a unit from its corner.
        let (x, y) = (f64::from(point.x) + 0.5, f64::from(point.y) + 0.5);
        let (inner, outer) = (radius * 0.45, radius * 1.9);
        let _ = write!(
            path,
            "M{:.1} {y:.1}a{radius:.1} {radius:.1} 0 1 0 {:.1} 0a{radius:.1} {radius:.1} 0 1 0 \
             {:.1} 0",
            x - radius,
            2.0 * radius,
            -2.0 * radius,
        );
        for (dx, dy) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
            let at = |distance: f64| format!("{:.1} {:.1}", x + dx * distance, y + dy * distance);
            let _ = write!(path, "M{}L{}", at(inner), at(outer));
        }
    }
    if let [from, to] = points {
        let _ = write!(path, "M{} {}L{} {}", from.x, from.y, to.x, to.y);
    }
    if path.is_empty() {
        return path;
    }
    format!("<path class=\"halo\" d=\"{path}\"/><path class=\"mark\" d=\"{path}\"/>")
}

/// Returns what a screen reader says of a screenshot.
pub(in crate::report) fn label(points: &[PixelPoint]) -> String {
    let places: Vec<_> = points.iter().map(PixelPoint::to_string).collect();
    if places.is_empty() {
        return "the screen".to_owned();
    }
    format!("the screen, with a mark at {}", places.join(" and "))
}
