//! The report as Markdown, for the summary of a CI job and for papers.

use std::fmt::Write as _;

use super::{Reported, interval, percent};
use crate::benchmark::summary::Cell;

pub(super) fn render(of: &Reported<'_>) -> String {
    let summary = of.summary;
    let mut text = format!(
        "# {} · {} · {}\n\nRun `{}`: {} items, {} without a prediction.\n\n",
        summary.dataset, summary.model, summary.prompt, summary.run, summary.items, summary.missing
    );
    text += "| scorer | its own | micro | 95 % Wilson | by picture | macro | format errors | infer errors | \
             random clicks |\n|---|---|---|---|---|---|---|---|---|\n";
    for scores in &summary.scores {
        let count = |name: &str| scores.outcomes.get(name).copied().unwrap_or(0);
        let _ = writeln!(
            text,
            "| {} | **{}** | {} ({}/{}) | {} | {} | {} | {} | {} | {} |",
            scores.scorer,
            percent(scores.headline),
            percent(scores.overall.accuracy),
            scores.overall.correct,
            scores.overall.n,
            interval(scores.overall.interval),
            scores.by_picture.map_or("—".to_owned(), interval),
            scores.macro_average.map_or("—".to_owned(), percent),
            count("format error"),
            count("infer error"),
            percent(scores.random_floor),
        );
    }
    if let Some(scores) = summary.scores.first() {
        for (tag, cells) in &scores.breakdown {
            table(&mut text, &format!("By {tag} ({})", scores.scorer), cells);
        }
    }
    if let Some(first) = &summary.first_look {
        table(&mut text, "Without the closer look (strict)", std::slice::from_ref(first));
    }
    let counted: Vec<Cell> = summary.if_counted.iter().map(|(_, cell)| cell.clone()).collect();
    table(&mut text, "If the numbers had counted (strict)", &counted);
    table(&mut text, "By the side of the target, in pixels (strict)", &summary.by_size);
    if !summary.calibration.is_empty() {
        text += "\n## How sure, how right (strict)\n\n| said | right | n |\n|---|---|---|\n";
        for bin in &summary.calibration {
            let (said, right) = (percent(bin.said), percent(bin.cell.accuracy));
            let _ = writeln!(text, "| {said} | {right} | {} |", bin.cell.n);
        }
    }
    let tokens = summary.tokens;
    text += "\n## Cost\n\n| for each item | median | 95 % below | total |\n|---|---|---|---|\n";
    for (name, spread) in [
        ("image tokens", tokens.image),
        ("prompt tokens", tokens.prompt),
        ("output tokens", tokens.output),
    ] {
        let _ = writeln!(text, "| {name} | {} | {} | {} |", spread.p50, spread.p95, spread.total);
    }
    if let Some(costs) = of.costs {
        for (name, spread) in [
            ("vision, ms", costs.vision_ms),
            ("prefill, ms", costs.prefill_ms),
            ("decode, ms", costs.decode_ms),
            ("all, ms", costs.total_ms),
        ] {
            let _ = writeln!(
                text,
                "| {name} | {:.0} | {:.0} | {:.0} |",
                spread.p50, spread.p95, spread.total
            );
        }
    }
    text
}

fn table(text: &mut String, title: &str, cells: &[Cell]) {
    if cells.is_empty() {
        return;
    }
    let _ = write!(text, "\n## {title}\n\n| | right | 95 % Wilson | n |\n|---|---|---|---|\n");
    for cell in cells {
        let few = if cell.few { " (few)" } else { "" };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {}{few} |",
            cell.name.replace('|', "\\|"),
            percent(cell.accuracy),
            interval(cell.interval),
            cell.n
        );
    }
}
