//! The report as one HTML page that needs nothing else: figures, plots, and failures to look at.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::gallery::{FailureClass, Pictures, Shown, card};
use super::plot::{self, bars, reliability};
use super::{Reported, interval, percent};
use crate::benchmark::curve::Point;
use crate::benchmark::diff::Diff;
use crate::benchmark::scorer::Judged;
use crate::benchmark::summary::{Cell, Spread};
use crate::report::html::text::escape;
use crate::report::html::{STYLE, head};

const MORE_STYLE: &str = include_str!("page.css");

/// What filters the failures.
const SCRIPT: &str = include_str!("page.js");

/// Returns the page of a run.
pub(super) fn render(of: &Reported<'_>) -> String {
    let summary = of.summary;
    let title = format!("{} · {}", summary.dataset, summary.model);
    let mut body = header(of, &title);
    body += &scorers(of);
    if let Some(scores) = summary.scores.first() {
        for (tag, cells) in &scores.breakdown {
            let name = format!("By {} <small>{}</small>", escape(tag), scores.scorer);
            body += &section(&name, &bars(cells));
        }
    }
    if let Some(first) = &summary.first_look {
        let zoomed = summary.scores.first().map(|scores| scores.overall.clone());
        let cells: Vec<_> = std::iter::once(first.clone()).chain(zoomed).collect();
        body += &section("The closer look <small>strict</small>", &bars(&cells));
    }
    let counted: Vec<_> = summary.if_counted.iter().map(|(_, cell)| cell.clone()).collect();
    if !counted.is_empty() {
        let note = format!(
            "<p>The answers of this prompt count <strong>{}</strong>. A much higher bar at another name \
             means that the coordinates were taken for what they are not.</p>{}",
            of.run.manifest.prompt.counts.as_str(),
            bars(&counted)
        );
        body += &section("If the numbers had counted <small>strict, first looks</small>", &note);
    }
    if !summary.by_size.is_empty() {
        body += &section(
            "By the side of the target, in pixels <small>strict</small>",
            &bars(&summary.by_size),
        );
    }
    if !summary.calibration.is_empty() {
        let cells: Vec<_> = summary.calibration.iter().map(|group| group.cell.clone()).collect();
        let plots = format!(
            "<p>Tenths of the answers by the probability of their digits. It is that of these digits and no \
             others, so a click that is right may have little of it.</p>{}{}",
            bars(&cells),
            reliability(&summary.calibration)
        );
        body += &section("How sure, how right <small>strict</small>", &plots);
    }
    body += &section("Cost for each item", &costs(of));
    body += &section("What the figures depend on", &pins(of));
    let mut pictures = Pictures::default();
    body += &failures(of, &mut pictures);
    document(&title, &pictures, &body)
}

/// Returns the page of two runs side by side.
pub(super) fn render_diff(diff: &Diff, first: &Reported<'_>, second: &Reported<'_>) -> String {
    let title = format!("{} against {}", first.summary.run, second.summary.run);
    let verdict = match diff.p {
        p if p < 0.05 && diff.delta > 0.0 => ("good", "better"),
        p if p < 0.05 => ("bad", "worse"),
        _ => ("plain", "no difference that could not be chance"),
    };
    let asked = match &diff.differences[..] {
        [] => "asked the same way".to_owned(),
        differences => format!("they differ in {}", differences.join(", ")),
    };
    let mut body = format!(
        "<header>\n<p class=\"brand\">Handsight · benchmark</p>\n<h1>{}</h1>\n<p class=\"verdict \
         {}\"><strong>{:+.1} points {}</strong><span>p = {:.4} (McNemar, exact) · {} only the first, {} \
         only the second · {}</span></p>\n</header>\n",
        escape(&title),
        verdict.0,
        diff.delta * 100.0,
        diff.interval.map_or(String::new(), interval),
        diff.p,
        diff.only_a.len(),
        diff.only_b.len(),
        asked,
    );
    let mut cells = vec![diff.a.clone(), diff.b.clone()];
    for (name, a, b) in &diff.breakdown {
        cells.push(Cell { name: format!("{name} · first"), ..a.clone() });
        cells.push(Cell { name: format!("{name} · second"), ..b.clone() });
    }
    body += &section(&format!("Figures <small>{}</small>", diff.scorer), &bars(&cells));
    let mut pictures = Pictures::default();
    let mut cards = String::new();
    let flips =
        [("only the first is right", &diff.only_a), ("only the second is right", &diff.only_b)];
    for (class, ids) in flips {
        for id in ids.iter().take(first.gallery) {
            let Some((at, item)) = first.dataset.find(id) else { continue };
            let judged = |of: &Reported<'_>| judged_by(of, diff.scorer, at);
            let (Some(a), Some(b)) = (judged(first), judged(second)) else { continue };
            let shown = [
                Shown { name: "first", of: first, judged: &a },
                Shown { name: "second", of: second, judged: &b },
            ];
            cards += &card(&mut pictures, at, item, class, &shown);
        }
    }
    let counts = flips.map(|(class, ids)| (class, ids.len()));
    body += &gallery("What flipped", &counts, &cards, first.gallery);
    document(&title, &pictures, &body)
}

/// Returns the page of several runs by what they cost.
pub(super) fn render_curve(dataset: &str, points: &[Point]) -> String {
    let cells: Vec<_> = points.iter().map(|point| point.cell.clone()).collect();
    let mut rows = String::new();
    for point in points {
        let ms = point.ms.map_or("—".to_owned(), |ms| format!("{ms:.0}"));
        let _ = write!(
            rows,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{:.0}</td><td>{ms}</td><td>{}</td></tr>",
            escape(&point.name),
            percent(point.cell.accuracy),
            interval(point.cell.interval),
            point.image_tokens,
            point.run
        );
    }
    let title = format!("{dataset} by what it costs");
    let body = format!(
        "<header>\n<p class=\"brand\">Handsight · benchmark</p>\n<h1>{}</h1>\n</header>\n{}{}{}",
        escape(&title),
        section("Accuracy against image tokens <small>strict</small>", &plot::curve(points)),
        section("Figures <small>strict</small>", &bars(&cells)),
        section(
            "Cost for each item, medians",
            &format!(
                "<div class=\"scroll\"><table><thead><tr><th></th><th>right</th><th>95 % Wilson</th><th>image \
                 tokens</th><th>ms</th><th>run</th></tr></thead><tbody>{rows}</tbody></table></div>"
            )
        )
    );
    document(&title, &Pictures::default(), &body)
}

fn judged_by(of: &Reported<'_>, scorer: crate::benchmark::Scorer, at: usize) -> Option<Judged> {
    let scores = of.summary.scores.iter().find(|scores| scores.scorer == scorer)?;
    scores.judged.get(at)?.clone()
}

fn document(title: &str, pictures: &Pictures, body: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    let mut page = head(&escape(title), &format!("{STYLE}{MORE_STYLE}"), &hash);
    page += &pictures.symbols();
    let _ = write!(page, "<main>\n{body}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

fn section(title: &str, inside: &str) -> String {
    format!("<section class=\"card\">\n<h2>{title}</h2>\n{inside}\n</section>\n")
}

fn header(of: &Reported<'_>, title: &str) -> String {
    let summary = of.summary;
    let verdict = summary.scores.first().map_or_else(String::new, |scores| {
        let few = if scores.overall.few { " · few items: the interval is wide" } else { "" };
        format!(
            "<p class=\"verdict plain\"><strong>{} {}</strong><span>{} of {} right by {} · random clicks \
             {}{few}</span></p>\n",
            percent(scores.overall.accuracy),
            interval(scores.overall.interval),
            scores.overall.correct,
            scores.overall.n,
            scores.scorer,
            percent(scores.random_floor)
        )
    });
    let missing = match summary.missing {
        0 => String::new(),
        missing => format!(
            "<p class=\"verdict bad\"><strong>{missing} of {} items have no prediction yet</strong></p>\n",
            summary.items
        ),
    };
    format!(
        "<header>\n<p class=\"brand\">Handsight · benchmark</p>\n<h1>{}</h1>\n{missing}{verdict}<dl \
         class=\"facts\"><div><dt>prompt</dt><dd>{}</dd></div><div><dt>run</dt><dd>{}</dd></div><div>\
         <dt>items</dt><dd>{}</dd></div></dl>\n</header>\n",
        escape(title),
        escape(&summary.prompt),
        escape(&summary.run),
        summary.items
    )
}

fn scorers(of: &Reported<'_>) -> String {
    let mut table = "<div class=\"scroll\"><table><thead><tr><th>scorer</th><th>its own</th><th>micro</th><th>95 % \
                     Wilson</th><th>by picture</th><th>macro</th><th>correct</th><th>wrong</th><th>format \
                     error</th><th>infer error</th><th>random clicks</th><th>rule</th></tr></thead><tbody>"
        .to_owned();
    for scores in &of.summary.scores {
        let count = |name: &str| scores.outcomes.get(name).copied().unwrap_or(0);
        let _ = write!(
            table,
            "<tr><th>{}</th><td><strong>{}</strong></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"rule\">{}</td></tr>",
            scores.scorer,
            percent(scores.headline),
            percent(scores.overall.accuracy),
            interval(scores.overall.interval),
            scores.by_picture.map_or("—".to_owned(), interval),
            scores.macro_average.map_or("—".to_owned(), percent),
            count("correct"),
            count("wrong"),
            count("format error"),
            count("infer error"),
            percent(scores.random_floor),
            scores.rule
        );
    }
    section("The same answers by every scorer", &(table + "</tbody></table></div>"))
}

fn costs(of: &Reported<'_>) -> String {
    let tokens = of.summary.tokens;
    let mut rows = vec![
        ("image tokens", tokens.image),
        ("prompt tokens", tokens.prompt),
        ("output tokens", tokens.output),
    ];
    if let Some(costs) = of.costs {
        rows.extend([
            ("vision, ms", costs.vision_ms),
            ("prefill, ms", costs.prefill_ms),
            ("decode, ms", costs.decode_ms),
            ("all, ms", costs.total_ms),
        ]);
    }
    let mut table =
        "<table><thead><tr><th></th><th>median</th><th>95 % below</th><th>total</th></tr></thead><tbody>"
            .to_owned();
    for (name, Spread { total, p50, p95 }) in rows {
        let _ = write!(
            table,
            "<tr><th>{name}</th><td>{p50:.0}</td><td>{p95:.0}</td><td>{total:.0}</td></tr>"
        );
    }
    table + "</tbody></table>"
}

fn pins(of: &Reported<'_>) -> String {
    let manifest = &of.run.manifest;
    let hash = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "not known".to_owned());
    let budget =
        |limit: Option<u64>| limit.map_or("as the checkpoint says".to_owned(), |n| n.to_string());
    let frames: Vec<_> =
        manifest.frames.iter().map(|(size, shown)| format!("{size} → {shown}")).collect();
    let mut facts = vec![
        ("dataset", format!("{} {}", manifest.dataset.name, manifest.dataset.sha256)),
        ("weights", format!("{} {}", manifest.model.name, hash(&manifest.model.sha256))),
        ("prompt", format!("{} {}", manifest.prompt.name, hash(&manifest.prompt.sha256))),
        ("numbers count", manifest.prompt.counts.as_str().to_owned()),
        ("fewest pixels", budget(manifest.ask.min_pixels)),
        ("most pixels", budget(manifest.ask.max_pixels)),
        ("closer look", manifest.zoom.map_or("none".to_owned(), |zoom| format!("{zoom} times"))),
        ("shown at", frames.join(", ")),
        ("repetition penalty", manifest.ask.repetition_penalty.to_string()),
        ("most tokens", manifest.ask.max_new_tokens.to_string()),
        ("handsight", manifest.build.clone()),
    ];
    for (name, value) in &manifest.model.loaded {
        facts.push((name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    let rows = facts.iter().map(|(name, value)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value))
    });
    format!("<dl class=\"facts pins\">{}</dl>", rows.collect::<String>())
}

fn failures(of: &Reported<'_>, pictures: &mut Pictures) -> String {
    let Some(scores) = of.summary.scores.first() else { return String::new() };
    let mut by_class: BTreeMap<FailureClass, Vec<usize>> = BTreeMap::new();
    for (at, judged) in scores.judged.iter().enumerate() {
        let Some(judged) = judged.as_ref().filter(|judged| !judged.left_out) else { continue };
        if let Some(class) = FailureClass::of(of, at, &of.dataset.items[at], judged) {
            by_class.entry(class).or_default().push(at);
        }
    }
    let counts: Vec<_> =
        by_class.iter().map(|(class, items)| (class.as_str(), items.len())).collect();
    let mut cards = String::new();
    // As many of each kind as there is room for: a rare kind is not crowded out by a common one.
    let room = of.gallery.div_ceil(by_class.len().max(1));
    for (class, items) in &by_class {
        for &at in items.iter().take(room) {
            let item = &of.dataset.items[at];
            if let Some(judged) = &scores.judged[at] {
                let shown = [Shown { name: "", of, judged }];
                cards += &card(pictures, at, item, class.as_str(), &shown);
            }
        }
    }
    gallery("Failures", &counts, &cards, room)
}

fn gallery(title: &str, counts: &[(&str, usize)], cards: &str, room: usize) -> String {
    let mut filters = String::new();
    for (class, count) in counts {
        let shown = if *count > room { format!(", {room} shown") } else { String::new() };
        let _ = write!(
            filters,
            "<label><input type=\"checkbox\" value=\"{class}\" checked> {class} <small>{count}{shown}\
             </small></label> "
        );
    }
    format!(
        "<section class=\"gallery\">\n<h2>{title}</h2>\n<form class=\"filters\">{filters}<input \
         type=\"search\" placeholder=\"words of the item\" aria-label=\"search\"> <output></output></form>\
         \n{cards}</section>\n"
    )
}
