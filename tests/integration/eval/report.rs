//! The report, in a real browser: it runs its own script and nothing else, and shows what failed.

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::page::dom_of;
use serde_json::Value;

use super::own_set;

#[test]
fn a_report_opens_in_a_browser_and_its_files_agree() {
    let binary = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let file = own_set(&binary.dir().join("set"), 6);
    let eval = |args: &[&str]| {
        let output = binary.command(&[&["eval"], args].concat()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    eval(&["import", file.to_str().unwrap(), "--as", "handsight", "--name", "<small>", "-o", "d"]);
    eval(&["infer", "d", "-o", "a", "--ask", "plain", "--max-tokens", "8"]);
    eval(&["infer", "d", "-o", "b"]);
    eval(&["report", "a", "-o", "page"]);

    let page = dom_of(&binary.dir().join("page/report.html")).unwrap();
    // What the script writes: as many failures as there are, and it was allowed to run.
    let summary = fs::read_to_string(binary.dir().join("page/report.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let strict = &summary["summary"]["scores"][0];
    let failed = 6 - strict["overall"]["correct"].as_u64().unwrap();
    assert!(page.contains(&format!(">{failed} of {failed}</output>")), "{page}");
    assert!(page.contains("&lt;small&gt;") && !page.contains("<small>\u{b7}"), "names are text");
    let cards = page.matches("<article class=\"card failure\"").count();
    assert_eq!(u64::try_from(cards).unwrap(), failed);

    let markdown = fs::read_to_string(binary.dir().join("page/report.md")).unwrap();
    let accuracy = strict["overall"]["accuracy"].as_f64().unwrap() * 100.0;
    assert!(markdown.contains(&format!("| strict | **{accuracy:.1} %**")), "{markdown}");
    let pro = fs::read_to_string(binary.dir().join("page/screenspot-pro.json")).unwrap();
    let pro: Value = serde_json::from_str(&pro).unwrap();
    assert_eq!(pro["details"].as_array().unwrap().len(), 6);
    assert_eq!(pro["metrics"]["overall"]["num_total"], 6);

    let diff: Value =
        serde_json::from_str(&eval(&["diff", "a", "b", "-o", "diff.html", "--json"])).unwrap();
    let flips = diff["only_a"].as_array().unwrap().len() + diff["only_b"].as_array().unwrap().len();
    let page = dom_of(&binary.dir().join("diff.html")).unwrap();
    assert!(page.contains(&format!(">{flips} of {flips}</output>")), "{page}");
    assert_eq!(diff["differences"][0], "prompt");
}
