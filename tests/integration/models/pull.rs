//! Pulling: what is fetched, how an interrupted pull goes on, and who else finds the result.

use std::process::Stdio;

use fs_err as fs;
use handsight_model::CancelFlag;
use handsight_model::hub::{Hub, HubOptions};
use handsight_tests::hub_server::{Fault, Hit, HubServer, TOKEN};
use handsight_tests::wait::{STARTING, wait_until};
use insta::assert_snapshot;
use serde_json::Value;

use super::{cached, command, handsight, names_in, pull, tiny};

/// The larger of the two weights files.
const SHARD: &str = "model-00002-of-00002.safetensors";

/// What was sent of a file.
fn downloads(hits: &[Hit], file: &str) -> Vec<(Option<u64>, usize)> {
    let of_file = hits.iter().filter(|hit| hit.method == "GET" && hit.path.ends_with(file));
    of_file.filter(|hit| hit.sent > 0).map(|hit| (hit.start, hit.sent)).collect()
}

#[test]
fn a_model_is_pulled_and_used() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let args = ["models", "pull", "org/tiny", "--json"];
    let output = command(&handsight, &server, &args).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let pulled: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&pulled["revision"], &pulled["commit"]), (&"main".into(), &"a".repeat(40).into()));
    let names: Vec<_> = pulled["files"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert!(names.iter().any(|name| *name == SHARD), "{names:?}");
    for unneeded in ["pytorch_model.bin", "assets/a picture.png"] {
        assert!(names.iter().all(|name| *name != unneeded), "{names:?}");
    }
    let total: u64 =
        pulled["files"].as_array().unwrap().iter().map(|f| f["bytes"].as_u64().unwrap()).sum();
    assert_eq!(pulled["received_bytes"], total);
    assert!(text.contains("pulling org/tiny: "), "{text}");

    let white = image::RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
    white.save(handsight.dir().join("white.png")).unwrap();
    let ground = ["ground", "white.png", "Save", "--model", "org/tiny"];
    let output = handsight.command(&ground).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    server.take_hits();
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("org/tiny  was here already"), "{text}");
    let hits = server.take_hits();
    assert_eq!(hits.len(), 1, "only the listing is asked for: {hits:?}");
}

#[test]
fn what_is_shown_is_plain_where_there_is_no_terminal() {
    let (handsight, server) = (handsight(), HubServer::start());
    let files: &[(&str, &[u8])] = &[("a-q4.gguf", &[7; 2000]), ("README.md", b"hello")];
    server.put(handsight_tests::hub_server::Repo::new("org/gguf", 'b', files));
    let mut command =
        command(&handsight, &server, &["models", "pull", "org/gguf", "--parallel", "1"]);
    assert_snapshot!(handsight.snapshot_of(&mut command), @r"
    exit code: 0
    --- stdout ---
    org/gguf  2.00 kB fetched  [DIR]/huggingface/hub/models--org--gguf/snapshots/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    --- stderr ---
    pulling org/gguf: 2 files of 2.00 kB
    ✓ README.md  5 B
    ✓ a-q4.gguf  2.00 kB
    ");
}

#[test]
fn a_cut_connection_is_resumed_at_once() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let size = tiny().file(SHARD).bytes.len();
    server.fail(SHARD, 1, Fault::Cut(1000));
    server.fail(SHARD, 1, Fault::Cut(2000));
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("sent 1000 of {size} bytes of `{SHARD}`")), "{text}");
    let expected = [(None, 1000), (Some(1000), 2000), (Some(3000), size - 3000)];
    assert_eq!(downloads(&server.take_hits(), SHARD), expected);
}

#[test]
fn a_pull_that_failed_goes_on_where_it_stopped() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let size = tiny().file(SHARD).bytes.len();
    server.fail(SHARD, 1, Fault::Cut(5000));
    let (code, text) = pull(&handsight, &server, &["org/tiny", "--retries", "0"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("hint: the same command goes on where it stopped"), "{text}");
    let list = handsight.snapshot(&["models", "list"]);
    assert!(list.contains("incomplete: no "), "{list}");
    assert!(list.contains("5.00 kB under way"), "{list}");
    let used = handsight.snapshot(&["doctor", "--model", "org/tiny"]);
    assert!(used.contains("`handsight models pull org/tiny` fetches it"), "{used}");

    server.take_hits();
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(downloads(&server.take_hits(), SHARD), [(Some(5000), size - 5000)]);
    assert_eq!(names_in(&cached(&handsight, "org/tiny").join("refs")), ["main"]);
}

#[test]
fn an_interrupt_leaves_what_can_be_resumed() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let size = tiny().file(SHARD).bytes.len();
    server.fail(SHARD, 1, Fault::Hang(7000));
    let mut command = command(&handsight, &server, &["models", "pull", "org/tiny"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let blobs = cached(&handsight, "org/tiny").join("blobs");
    let partial = blobs.join(format!("{}.incomplete", tiny().file(SHARD).etag()));
    let has_begun = || Ok(fs::metadata(&partial).is_ok_and(|found| found.len() == 7000));
    wait_until("nothing was fetched", STARTING, has_begun).unwrap();
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));

    server.take_hits();
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(downloads(&server.take_hits(), SHARD), [(Some(7000), size - 7000)]);
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_again() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let size = tiny().file(SHARD).bytes.len();
    server.fail(SHARD, 1, Fault::Cut(1000));
    server.fail(SHARD, 1, Fault::IgnoreRange);
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(downloads(&server.take_hits(), SHARD), [(None, 1000), (Some(1000), size)]);
    let verify = handsight.command(&["models", "verify", "org/tiny"]).output().unwrap();
    assert_eq!(verify.status.code(), Some(0));
}

#[test]
fn two_pulls_at_once_share_the_work() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let start = || {
        let mut command = command(&handsight, &server, &["models", "pull", "org/tiny"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = [start(), start(), start()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let hits = server.take_hits();
    for file in tiny().files.iter().filter(|file| file.name.ends_with(".safetensors")) {
        assert_eq!(downloads(&hits, &file.name), [(None, file.bytes.len())], "{}", file.name);
    }
    let verify = handsight.command(&["models", "verify", "org/tiny"]).output().unwrap();
    assert_eq!(verify.status.code(), Some(0));
}

#[test]
fn a_moment_of_weakness_of_the_server_is_waited_out() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    server.fail("/revision/main", 1, Fault::Status(503, ""));
    server.fail("config.json", 1, Fault::Status(429, "Retry-After: 0"));
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("answered with status 503 when asked for `org/tiny`; again in"),
        "{text}"
    );
    server.fail_always("/revision/main", Fault::Status(500, ""));
    let (code, text) = pull(&handsight, &server, &["org/tiny", "--retries", "1"]);
    assert_eq!(code, Some(3), "{text}");
    assert_eq!(text.matches("status 500").count(), 2, "{text}");
}

#[test]
fn a_mirror_that_lists_only_names_is_asked_for_the_rest() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    server.become_mirror("/mirrors/hf");
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    let hits = server.take_hits();
    assert!(hits.iter().any(|hit| hit.method == "HEAD" && hit.path.ends_with(SHARD)));
    assert!(hits.iter().filter(|hit| !hit.store).all(|hit| hit.path.starts_with("/mirrors/hf/")));
    let verify = handsight.command(&["models", "verify", "org/tiny"]).output().unwrap();
    assert_eq!(verify.status.code(), Some(0));
}

#[test]
fn the_token_is_shown_to_the_hub_alone() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(handsight_tests::hub_server::Repo { private: true, ..tiny() });
    let mut command = command(&handsight, &server, &["models", "pull", "org/tiny"]);
    let output = command.env("HF_TOKEN", TOKEN).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains("hf_"), "{text}");
    let (store, hub): (Vec<Hit>, Vec<Hit>) = server.take_hits().into_iter().partition(|h| h.store);
    assert!(!store.is_empty() && store.iter().all(|hit| !hit.token), "{store:?}");
    assert!(hub.iter().all(|hit| hit.token), "{hub:?}");
}

#[test]
fn a_token_in_a_file_will_do() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(handsight_tests::hub_server::Repo { private: true, ..tiny() });
    fs::create_dir_all(handsight.dir().join("huggingface")).unwrap();
    fs::write(handsight.dir().join("huggingface/token"), format!("{TOKEN}\n")).unwrap();
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_revision_is_pulled_beside_another() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let mut second = tiny().with("LICENSE", b"new");
    (second.commit, second.revisions) = ("b".repeat(40), vec!["v2".to_owned()]);
    server.put(second);
    for name in ["org/tiny", "org/tiny@v2", &format!("org/tiny@{}", "b".repeat(40))] {
        let (code, text) = pull(&handsight, &server, &[name]);
        assert_eq!(code, Some(0), "{name}: {text}");
    }
    let hits = server.take_hits();
    assert_eq!(downloads(&hits, SHARD).len(), 1, "the same bytes are fetched once");
    let dir = cached(&handsight, "org/tiny");
    assert_eq!(names_in(&dir.join("refs")), ["main", "v2"]);
    assert_eq!(names_in(&dir.join("snapshots")), ["a".repeat(40), "b".repeat(40)]);
}

/// The official client is the judge: it takes our server for a hub, we find what it fetched, and it
/// finds what we fetched.
#[test]
fn the_cache_is_shared_with_the_official_client() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let theirs = handsight.dir().join("theirs");
    let api = hf_hub::api::sync::ApiBuilder::new()
        .with_endpoint(server.endpoint())
        .with_cache_dir(theirs.clone())
        .with_progress(false)
        .build()
        .unwrap();
    let repo = api.model("org/tiny".to_owned());
    for file in repo.info().unwrap().siblings {
        if !file.rfilename.contains("picture") {
            repo.get(&file.rfilename).unwrap();
        }
    }
    let hub = Hub::new(HubOptions { cache: Some(theirs), ..Default::default() });
    let models = hub.list().unwrap();
    assert_eq!((models.len(), models[0].is_complete()), (1, true), "{models:?}");
    let verified = hub.verify(&models[0], &CancelFlag::default(), &mut |_, _| {}).unwrap();
    let is_right = |file: &handsight_model::hub::VerifiedFile| {
        file.state == handsight_model::hub::FileState::Right
    };
    assert!(verified.iter().all(is_right), "{verified:?}");

    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    let cache = hf_hub::Cache::new(handsight.dir().join("huggingface/hub"));
    let found = cache.model("org/tiny".to_owned()).get(SHARD).unwrap();
    assert_eq!(fs::read(found).unwrap(), tiny().file(SHARD).bytes);
}
