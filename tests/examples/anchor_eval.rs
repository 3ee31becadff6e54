//! `cargo run --release -p handsight-tests --example anchor_eval [FOLDER]`: what anchors find on
//! screens that have changed, and whether they err. Pictures of wrong clicks go into FOLDER.

use anyhow::Result;
use handsight_agent::annotate::draw_crosshair;
use handsight_tests::anchor_eval::{Alteration, Counts, Layout, remember};
use handsight_tests::xserver::XServer;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1);
    let server = XServer::start_managed("1024x768x24")?;
    let remembered = Layout::ALL
        .map(|layout| remember(&server, layout))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let mut tell = |name: &str, screen: &image::RgbImage, point| {
        eprintln!("wrong: {name} at {point}");
        if let Some(folder) = &folder {
            let mut marked = screen.clone();
            draw_crosshair(&mut marked, point);
            let _ = marked.save(format!("{folder}/{name}.png"));
        }
    };
    println!("| what changed | found | left to the model | wrong clicks |\n|---|---|---|---|");
    let mut all = Counts::default();
    for alteration in Alteration::ALL {
        let mut counts = Counts::default();
        for layout in &remembered {
            counts += layout.measure(&server, alteration, &mut tell)?;
        }
        all += counts;
        row(alteration.name(), counts);
    }
    row("all", all);
    println!("\n{} of the targets have no anchor", all.without / Alteration::ALL.len());
    Ok(())
}

fn row(name: &str, counts: Counts) {
    println!("| {name} | {} | {} | {} |", counts.found, counts.left, counts.wrong);
}
