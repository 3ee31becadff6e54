//! The shipped scenarios on real applications: every target by its anchor, no model.

use std::path::Path;

use fs_err as fs;
use handsight_tests::suite::{SCREEN, desktop, files};
use handsight_tests::xserver::XServer;

use super::{handsight, report_of};

/// Copies a folder, so that what scenarios write is not written where they are kept.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, &there).unwrap();
        }
    }
}

#[test]
fn every_scenario_for_desktops_passes_without_a_model() {
    let count = files(&desktop()).unwrap().len();
    assert!(count >= 12, "{count}");
    let (handsight, server) = (handsight(), XServer::start_managed(SCREEN).unwrap());
    copy(&desktop(), &handsight.dir().join("suite"));
    let mut command =
        handsight.command(&["scenario", "run", "suite", "--anchors", "strict", "--json"]);
    server.adopt(&mut command);
    let (code, result) = report_of(&mut command);
    let summary = (code, &result["passed"], &result["model_calls"]);
    assert_eq!(summary, (0, &count.into(), &0.into()), "{result:#}");
}
