//! `cargo run --release -p handsight-tests --example anchor_eval [FOLDER]`: what anchors find on
//! screens that have changed, and whether they err. Pictures of wrong clicks go into FOLDER.

use std::io::Write as _;

use anyhow::Result;
use handsight_agent::annotate::draw_crosshair;
use handsight_tests::anchor_eval::{Alteration, Counts, Layout, remember};
use handsight_tests::xserver::XServer;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1);
    let server = XServer::start_managed("1024x768x24")?;
    let remembered = Layout::ALL.into_iter().map(|layout| remember(&server, layout));
    let remembered = remembered.collect::<Result<Vec<_>>>()?;
    let mut tell = |name: &str, screen: &image::RgbImage, point| {
        let _ = writeln!(std::io::stderr(), "wrong: {name} at {point}");
        if let Some(folder) = &folder {
            let mut marked = screen.clone();
            draw_crosshair(&mut marked, point);
            let _ = marked.save(format!("{folder}/{name}.png"));
        }
    };
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| what changed | found | left to the model | wrong clicks |\n|---|---|---|---|"
    )?;
    let mut row = |name: &str, counts: Counts| {
        writeln!(out, "| {name} | {} | {} | {} |", counts.found, counts.left, counts.wrong)
    };
    let mut all = Counts::default();
    for alteration in Alteration::ALL {
        let mut counts = Counts::default();
        for layout in &remembered {
            counts += layout.measure(&server, alteration, &mut tell)?;
        }
        all += counts;
        row(alteration.name(), counts)?;
    }
    row("all", all)?;
    let without = all.without / Alteration::ALL.len();
    writeln!(out, "\n{without} of the targets have no anchor")?;
    Ok(())
}
