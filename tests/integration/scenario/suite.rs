//! The shipped scenarios on real applications: every target by its anchor, no model.

use std::path::Path;

use fs_err as fs;
use handsight_actions::{FakeAndroid, FakeAndroidOptions};
use handsight_tests::binary::Binary;
use handsight_tests::suite::{SCREEN, Suite, files};
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

/// Copies a suite beside the binary, and returns how many scenarios it has.
fn bring(suite: Suite, handsight: &Binary) -> usize {
    copy(&suite.folder(), &handsight.dir().join("suite"));
    files(&suite.folder()).unwrap().len()
}

#[test]
fn every_scenario_for_desktops_passes_without_a_model() {
    let (handsight, server) = (handsight(), XServer::start_managed(SCREEN).unwrap());
    let count = bring(Suite::Desktop, &handsight);
    assert!(count >= 12, "{count}");
    let args = ["scenario", "run", "suite", "--anchors", "strict", "--json"];
    let mut command = handsight.command(&args);
    server.adopt(&mut command);
    let (code, result) = report_of(&mut command);
    let summary = (code, &result["passed"], &result["model_calls"]);
    assert_eq!(summary, (0, &count.into(), &0.into()), "{result:#}");
}

#[test]
fn every_scenario_for_phones_passes_without_a_model() {
    let (handsight, phone) = (handsight(), FakeAndroid::start(&FakeAndroidOptions::default()));
    let phone = format!("android:tcp:{}", phone.as_ref().unwrap().address());
    let count = bring(Suite::Android, &handsight);
    assert!(count >= 8, "{count}");
    let args = ["scenario", "run", "suite", "--anchors", "strict", "--json", "--device", &phone];
    let (code, result) = report_of(&mut handsight.command(&args));
    let summary = (code, &result["passed"], &result["model_calls"]);
    assert_eq!(summary, (0, &count.into(), &0.into()), "{result:#}");
}
