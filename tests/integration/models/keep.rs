//! Looking after what was pulled: `verify` and `rm`.

use fs_err as fs;
use handsight_tests::hub_server::HubServer;
use insta::assert_snapshot;
use serde_json::Value;

use super::{cached, handsight, names_in, pull, tiny};

const SHARD: &str = "model-00002-of-00002.safetensors";

#[test]
fn damage_is_found_and_repaired() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    pull(&handsight, &server, &["org/tiny"]);
    let dir = cached(&handsight, "org/tiny");
    let blob = dir.join("blobs").join(tiny().file(SHARD).etag());
    let mut bytes = fs::read(&blob).unwrap();
    bytes[100] ^= 1;
    fs::write(&blob, bytes).unwrap();
    fs::remove_file(dir.join("blobs").join(tiny().file("config.json").etag())).unwrap();

    let output = handsight.command(&["models", "verify", "org/tiny", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let state = |name: &str| {
        let files = report["files"].as_array().unwrap();
        files.iter().find(|file| file["name"] == name).unwrap()["state"].clone()
    };
    assert_eq!((state(SHARD), state("config.json")), ("damaged".into(), "missing".into()));
    assert_eq!(state("model-00001-of-00002.safetensors"), "right");

    let verify = handsight.snapshot(&["models", "verify", "org/tiny", "--remove-damaged"]);
    assert!(verify.contains(&format!("✗ {SHARD}  is damaged")), "{verify}");
    assert!(
        verify.contains("`handsight models pull org/tiny` fetches what is missing"),
        "{verify}"
    );
    server.take_hits();
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    let fetched = server.take_hits().iter().filter(|hit| hit.sent > 0).count();
    assert_eq!(fetched, 3, "the listing and the two files");
    let verify = handsight.command(&["models", "verify", "org/tiny"]).output().unwrap();
    assert_eq!(verify.status.code(), Some(0));
}

#[test]
fn removing_asks_and_leaves_what_is_shared() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let mut second = tiny().with("LICENSE", b"new");
    (second.commit, second.revisions) = ("b".repeat(40), vec!["v2".to_owned()]);
    server.put(second);
    pull(&handsight, &server, &["org/tiny"]);
    pull(&handsight, &server, &["org/tiny@v2"]);
    assert_snapshot!(handsight.snapshot(&["models", "rm", "org/tiny"]), @r"
    exit code: 2
    --- stderr ---
    error: nobody can be asked whether to remove org/tiny with all its revisions
    hint: give `--yes` to remove it
    ");
    assert_snapshot!(handsight.snapshot(&["models", "rm", "org/tiny@v2", "--yes"]), @r"
    exit code: 0
    --- stdout ---
    org/tiny@v2  removed, 3 B freed
    ");
    let dir = cached(&handsight, "org/tiny");
    assert_eq!(names_in(&dir.join("refs")), ["main"]);
    assert_eq!(names_in(&dir.join("snapshots")), ["a".repeat(40)]);
    let verify = handsight.command(&["models", "verify", "org/tiny"]).output().unwrap();
    assert_eq!(verify.status.code(), Some(0), "what is shared was removed");

    let text = handsight.snapshot(&["models", "rm", "org/tiny", "--yes"]);
    assert!(text.contains("org/tiny  removed, "), "{text}");
    assert!(!dir.exists());
    assert_snapshot!(handsight.snapshot(&["models", "rm", "org/tiny", "--yes"]), @r"
    exit code: 3
    --- stderr ---
    error: model `org/tiny` has not been pulled
    hint: `handsight models pull org/tiny` fetches it
    ");
    assert_snapshot!(handsight.snapshot(&["models", "verify", "org/tiny"]), @r"
    exit code: 3
    --- stderr ---
    error: model `org/tiny` has not been pulled
    hint: `handsight models pull org/tiny` fetches it
    ");
}

#[test]
fn what_a_link_leads_to_outside_the_cache_is_not_removed() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    pull(&handsight, &server, &["org/tiny"]);
    let precious = handsight.dir().join("precious.txt");
    fs::write(&precious, "mine").unwrap();
    let snapshot = cached(&handsight, "org/tiny").join("snapshots").join("a".repeat(40));
    std::os::unix::fs::symlink(&precious, snapshot.join("notes.txt")).unwrap();
    std::os::unix::fs::symlink(handsight.dir(), snapshot.join("folder")).unwrap();
    let text = handsight.snapshot(&["models", "rm", "org/tiny", "--yes"]);
    assert!(text.contains("removed"), "{text}");
    assert_eq!(fs::read_to_string(precious).unwrap(), "mine");
}
