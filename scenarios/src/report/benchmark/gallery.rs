//! Failures to look at: the picture, the target, the click, what was written, and what kind of failure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err as fs;
use handsight_agent::Counts;
use image::codecs::jpeg::JpegEncoder;

use super::Reported;
use crate::benchmark::item::{Item, Target};
use crate::benchmark::scorer::{Asked, Judged, Outcome, Scorer};
use crate::report::html::text::escape;

/// The longest side of a picture on the page, in pixels.
const LONGEST: u32 = 900;

/// The most characters of an answer that are shown.
const MAX_RAW: usize = 1200;

/// What kind of failure an answer is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FailureClass {
    /// There is no answer.
    NoAnswer,
    /// It has no place that can be read.
    Format,
    /// It would be right if its numbers counted something else.
    WrongFrame,
    /// It says that there is no such thing, and there is.
    RefusedWrongly,
    /// It clicks, and there is no such thing.
    MissedRefusal,
    /// It is less than the target's shorter side away.
    NearMiss,
    /// It is in the same half of the picture, across and down.
    WrongElement,
    /// It is in another half.
    WrongSide,
    /// The step is of another kind, or not the same.
    WrongStep,
}

impl FailureClass {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAnswer => "no answer",
            Self::Format => "format",
            Self::WrongFrame => "wrong frame",
            Self::RefusedWrongly => "refused wrongly",
            Self::MissedRefusal => "missed refusal",
            Self::NearMiss => "near miss",
            Self::WrongElement => "wrong element",
            Self::WrongSide => "wrong side",
            Self::WrongStep => "wrong step",
        }
    }

    /// Returns what kind of failure a judgement is; nothing if it is right.
    pub(super) fn of(of: &Reported<'_>, at: usize, item: &Item, judged: &Judged) -> Option<Self> {
        match judged.outcome {
            Outcome::Correct => return None,
            Outcome::InferError => return Some(Self::NoAnswer),
            Outcome::FormatError => return Some(Self::Format),
            Outcome::Wrong => {}
        }
        match &item.target {
            Target::Step(_) | Target::Desktop(_) => return Some(Self::WrongStep),
            Target::Refusal => return Some(Self::MissedRefusal),
            Target::Box(_) | Target::Polygon(_) => {}
        }
        let Some([x, y]) = judged.point else { return Some(Self::RefusedWrongly) };
        if is_right_in_another_frame(of, at, item) {
            return Some(Self::WrongFrame);
        }
        let [left, top, right, bottom] = item.target.bounds()?;
        let target = (right - left).min(bottom - top);
        if judged.distance.is_some_and(|distance| distance < target) {
            return Some(Self::NearMiss);
        }
        let (width, height) = (f64::from(item.size.width), f64::from(item.size.height));
        let (middle_x, middle_y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        let same = (x < width / 2.0) == (middle_x < width / 2.0)
            && (y < height / 2.0) == (middle_y < height / 2.0);
        Some(if same { Self::WrongElement } else { Self::WrongSide })
    }
}

fn is_right_in_another_frame(of: &Reported<'_>, at: usize, item: &Item) -> bool {
    let Some(prediction) = of.predictions.get(&at).filter(|there| there.click.is_none()) else {
        return false;
    };
    let own = of.run.manifest.prompt.counts;
    Counts::ALL.into_iter().filter(|counts| *counts != own).any(|counts| {
        let as_asked = Asked::of(&of.run.manifest, &of.dataset.info);
        let asked = Asked { counts, first_look_only: true, ..as_asked };
        Scorer::Strict.judge(item, prediction, asked).outcome == Outcome::Correct
    })
}

/// The pictures of a page, each once: an id and an SVG image.
#[derive(Default)]
pub(super) struct Pictures {
    ids: BTreeMap<String, (String, bool)>,
    defs: String,
}

impl Pictures {
    /// Returns the id of an item's picture, which is put on the page; nothing if it cannot be read.
    fn id(&mut self, of: &Reported<'_>, item: &Item) -> Option<String> {
        if let Some((id, there)) = self.ids.get(&item.image) {
            return there.then(|| id.clone());
        }
        let id = format!("i{}", self.ids.len());
        let uri = shrunk(of, item);
        self.ids.insert(item.image.clone(), (id.clone(), uri.is_some()));
        let (width, height) = (item.size.width, item.size.height);
        let _ = writeln!(
            self.defs,
            "<image id=\"{id}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
             href=\"{}\"/>",
            uri?
        );
        Some(id)
    }

    /// Returns the element that holds all pictures and shows none.
    pub(super) fn symbols(&self) -> String {
        format!("<svg class=\"pictures\" aria-hidden=\"true\"><defs>\n{}</defs></svg>\n", self.defs)
    }
}

/// Returns a picture as a data URI, no larger than a page needs.
fn shrunk(of: &Reported<'_>, item: &Item) -> Option<String> {
    let image = image::load_from_memory(&fs::read(of.dataset.picture(item)).ok()?).ok()?;
    let longest = image.width().max(image.height());
    let image = if longest > LONGEST {
        image.resize(LONGEST, LONGEST, image::imageops::FilterType::Triangle)
    } else {
        image
    };
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 72);
    image.into_rgb8().write_with_encoder(encoder).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}

/// One answer on a card: who wrote it, and what a scorer says of it.
pub(super) struct Shown<'a> {
    pub(super) name: &'a str,
    pub(super) of: &'a Reported<'a>,
    pub(super) judged: &'a Judged,
}

/// Returns the card of an item, with the answers of one run or of two.
pub(super) fn card(
    pictures: &mut Pictures,
    at: usize,
    item: &Item,
    class: &str,
    shown: &[Shown<'_>],
) -> String {
    let Some(first) = shown.first() else { return String::new() };
    let (width, height) = (f64::from(item.size.width), f64::from(item.size.height));
    let unit = width.max(height) / 160.0;
    let mut marks = target_marks(item, unit);
    for (index, one) in shown.iter().enumerate() {
        if let Some([x, y]) = one.judged.point {
            let _ = write!(
                marks,
                "<g class=\"click c{index}\"><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\"/><path \
                 d=\"M{:.1} {y:.1}h{:.1}M{x:.1} {:.1}v{:.1}\"/></g>",
                unit * 2.2,
                x - unit * 3.4,
                unit * 6.8,
                y - unit * 3.4,
                unit * 6.8
            );
        }
    }
    let picture = match pictures.id(first.of, item) {
        Some(id) => format!(
            "<figure><svg viewBox=\"0 0 {width} {height}\"><use href=\"#{id}\"/>{marks}</svg></figure>"
        ),
        None => "<figure class=\"gone\">the picture is gone</figure>".to_owned(),
    };
    let tags: Vec<_> = item.tags.values().map(|value| escape(value)).collect();
    let mut facts = String::new();
    for one in shown {
        facts += &answer(at, item, one);
    }
    format!(
        "<article class=\"card failure\" data-class=\"{class}\" data-text=\"{}\">\n<h2><span \
         class=\"badge plain\">{class}</span> {} <small>{} · {} {}</small></h2>\n<div \
         class=\"columns\">{picture}<div class=\"aside\">{facts}</div></div>\n</article>\n",
        escape(&format!("{} {} {}", item.id, item.instruction, tags.join(" ")).to_lowercase()),
        escape(&item.instruction),
        escape(&item.id),
        tags.join(" · "),
        escape(&meant(&item.target)),
    )
}

fn target_marks(item: &Item, unit: f64) -> String {
    let grown = unit / 3.0;
    match &item.target {
        Target::Box([left, top, right, bottom]) => format!(
            "<rect class=\"target\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            left - grown,
            top - grown,
            right - left + 2.0 * grown,
            bottom - top + 2.0 * grown
        ),
        Target::Polygon(corners) => {
            let points: Vec<_> = corners.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
            format!("<polygon class=\"target\" points=\"{}\"/>", points.join(" "))
        }
        Target::Step(step) => {
            let (width, height) = (f64::from(item.size.width), f64::from(item.size.height));
            let touch = step.touch.map(|[x, y]| {
                let (x, y, r) = (x * width, y * height, unit * 2.2);
                format!("<circle class=\"target\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\"/>")
            });
            let way = step.touch.zip(step.lift).map(|([x, y], [to_x, to_y])| {
                let (x, y, to_x, to_y) = (x * width, y * height, to_x * width, to_y * height);
                format!("<path class=\"target\" d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\"/>")
            });
            touch.unwrap_or_default() + &way.unwrap_or_default()
        }
        Target::Desktop(ways) => {
            let (width, height) = (f64::from(item.size.width), f64::from(item.size.height));
            let boxes = ways.first().into_iter().flatten().flat_map(|action| &action.boxes);
            let marks = boxes.map(|[left, top, right, bottom]| {
                let (left, top, wide) = (left * width, top * height, (right - left) * width);
                let high = bottom * height - top;
                format!(
                    "<rect class=\"target\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" \
                     height=\"{high:.1}\"/>"
                )
            });
            marks.collect()
        }
        Target::Refusal => String::new(),
    }
}

/// Returns what a right answer would have been, where it is no place.
fn meant(target: &Target) -> String {
    match target {
        Target::Step(step) => {
            let text = step.text.as_deref().map_or(String::new(), |text| format!(" “{text}”"));
            format!("meant: {}{text}", step.kind.as_str())
        }
        Target::Desktop(ways) => {
            let done = ways.first().into_iter().flatten().map(|action| {
                let keys = action.keys.as_ref().map(|keys| keys.join("+"));
                let what =
                    action.text.clone().or(keys).map_or(String::new(), |what| format!(" “{what}”"));
                format!("{}{what}", action.kind)
            });
            format!("meant: {}", done.collect::<Vec<_>>().join(", "))
        }
        Target::Refusal => "meant: that there is none".to_owned(),
        Target::Box(_) | Target::Polygon(_) => String::new(),
    }
}

/// Returns what one run wrote about an item, and how far off it is.
fn answer(at: usize, item: &Item, shown: &Shown<'_>) -> String {
    let mut raw = shown.of.predictions.get(&at).map_or_else(String::new, |prediction| {
        let looks = || prediction.looks.iter().map(|look| look.raw.as_str()).collect::<Vec<_>>();
        prediction.error.clone().unwrap_or_else(|| looks().join("\n\n"))
    });
    if raw.chars().count() > MAX_RAW {
        raw = raw.chars().take(MAX_RAW).chain(['…']).collect();
    }
    let away = shown.judged.distance.zip(width_of(item)).map_or_else(String::new, |(far, wide)| {
        format!("{far:.0} px from the target, {:.1} of its widths", far / wide)
    });
    let point = shown.judged.point.map_or_else(String::new, |[x, y]| format!("({x:.0}, {y:.0})"));
    format!(
        "<div class=\"answer\"><p><strong>{}</strong> {} {point} <small>{away}</small></p><pre>{}</pre></div>",
        escape(shown.name),
        shown.judged.outcome.as_str(),
        escape(&raw)
    )
}

/// Returns the width of a target, for distances in it.
fn width_of(item: &Item) -> Option<f64> {
    let [left, _, right, _] = item.target.bounds()?;
    Some((right - left).max(1.0))
}
