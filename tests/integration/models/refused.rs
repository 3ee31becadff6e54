//! Pulls that cannot be: what is said, and that nothing is left that looks whole.

use handsight_model::CancelFlag;
use handsight_model::hub::{Hub, HubError, HubOptions, PullOptions};
use handsight_tests::hub_server::{Fault, HubServer, Repo, TOKEN};
use insta::assert_snapshot;

use super::{cached, command, handsight, names_in, pull, tiny};

const SHARD: &str = "model-00002-of-00002.safetensors";

#[test]
fn a_wrong_checksum_is_refused_and_leaves_nothing() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    server.fail_always(SHARD, Fault::Damage);
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains(&format!("error: `{SHARD}` arrived damaged: its checksum is ")),
        "{text}"
    );
    let dir = cached(&handsight, "org/tiny");
    let etag = tiny().file(SHARD).etag();
    assert!(names_in(&dir.join("blobs")).iter().all(|name| !name.starts_with(&etag)));
    let snapshot = dir.join("snapshots").join("a".repeat(40));
    assert!(names_in(&snapshot).iter().all(|name| name != SHARD));
    assert!(names_in(&dir.join("refs")).is_empty());
    let list = handsight.snapshot(&["models", "list"]);
    assert!(list.contains(&format!("incomplete: no {SHARD}")), "{list}");

    server.mend();
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_damaged_beginning_is_found_out_and_fetched_again() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let blobs = cached(&handsight, "org/tiny").join("blobs");
    fs_err::create_dir_all(&blobs).unwrap();
    let etag = tiny().file(SHARD).etag();
    fs_err::write(blobs.join(format!("{etag}.incomplete")), [1; 100]).unwrap();
    // Longer than the file itself.
    let config = tiny().file("config.json").etag();
    fs_err::write(blobs.join(format!("{config}.incomplete")), vec![1; 1 << 20]).unwrap();
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");
    let verify = handsight.command(&["models", "verify", "org/tiny"]).output().unwrap();
    assert_eq!(verify.status.code(), Some(0));
}

#[test]
fn refusals_of_the_hub_are_explained() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(Repo { gated: true, ..tiny() });
    let host = server.endpoint().replace("http://", "");
    let said = |args: &[&str], token: Option<&str>| {
        let args: Vec<&str> = ["models", "pull"].iter().chain(args).copied().collect();
        let mut command = command(&handsight, &server, &args);
        let text = handsight.snapshot_of(command.env("HF_TOKEN", token.unwrap_or_default()));
        text.replace(&host, "[HOST]")
    };
    assert_snapshot!(said(&["org/nothing"], None), @r"
    exit code: 3
    --- stderr ---
    error: [HOST] has no model `org/nothing`, or not for everybody
    hint: check the name; a private model needs a token in HF_TOKEN
    ");
    assert_snapshot!(said(&["org/nothing"], Some(TOKEN)), @r"
    exit code: 3
    --- stderr ---
    error: [HOST] has no model `org/nothing`, or not for everybody
    hint: check the name, and that the token in HF_TOKEN may see the model
    ");
    assert_snapshot!(said(&["org/tiny@v9"], None), @r"
    exit code: 3
    --- stderr ---
    error: model `org/tiny` has no revision `v9`
    hint: `org/tiny` alone is its newest revision
    ");
    assert_snapshot!(said(&["org/tiny"], None), @r"
    exit code: 3
    --- stderr ---
    error: [HOST] does not give out `org/tiny` (status 403): Access to this model is restricted
    hint: accept the model's terms at http://[HOST]/org/tiny, then put a token of that account into HF_TOKEN
    ");
    assert_snapshot!(said(&["org/tiny", "--file", "q2.gguf"], Some(TOKEN)), @r"
    exit code: 2
    --- stderr ---
    error: model `org/tiny` has no file `q2.gguf`
    ");
    assert_snapshot!(said(&["tiny"], None), @r"
    exit code: 2
    --- stderr ---
    error: `tiny` is not the name of a model: it is no short name that is known, and has no `/`
    hint: a name is `qwen2.5-vl-3b` or another short name, or `org/name`, with `@revision` if it is to be a certain one
    ");
    server.fail_always("/revision/main", Fault::Status(401, ""));
    assert_snapshot!(said(&["org/tiny"], Some("hf_expired")), @r"
    exit code: 3
    --- stderr ---
    error: [HOST] does not give out `org/tiny` (status 401)
    hint: the token in HF_TOKEN is not accepted: it may have expired
    ");
}

#[test]
fn a_repository_without_weights_is_refused() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(Repo::new("org/old", 'c', &[("config.json", b"{}"), ("pytorch_model.bin", b"x")]));
    server.put(Repo::new("org/many", 'd', &[("a-q4.gguf", b"x"), ("a-q8.gguf", b"y")]));
    let mut old = command(&handsight, &server, &["models", "pull", "org/old"]);
    assert_snapshot!(handsight.snapshot_of(&mut old), @r"
    exit code: 3
    --- stderr ---
    error: model `org/old` has no weights in safetensors or GGUF files
    hint: look for a repository with the converted weights
    ");
    let mut many = command(&handsight, &server, &["models", "pull", "org/many"]);
    assert_snapshot!(handsight.snapshot_of(&mut many), @r"
    exit code: 2
    --- stderr ---
    error: model `org/many` has several GGUF files: a-q4.gguf, a-q8.gguf
    hint: name one of them, such as `org/many:a-q4.gguf`
    ");
    let (code, text) = pull(&handsight, &server, &["org/many:a-q8.gguf"]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn offline_means_offline() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    let offline = |args: &[&str]| {
        let mut command = command(&handsight, &server, args);
        handsight.snapshot_of(command.env("HF_HUB_OFFLINE", "1"))
    };
    assert_snapshot!(offline(&["models", "pull", "org/tiny"]), @r"
    exit code: 3
    --- stderr ---
    error: model `org/tiny` is not in the cache, and the network is not to be used
    hint: unset HF_HUB_OFFLINE, or copy the model into the cache from another machine
    ");
    assert!(server.take_hits().is_empty());
    pull(&handsight, &server, &["org/tiny"]);
    server.take_hits();
    let text = offline(&["models", "pull", "org/tiny"]);
    assert!(text.contains("org/tiny  was here already"), "{text}");
    assert!(server.take_hits().is_empty());
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let handsight = handsight();
    let mut command = handsight.command(&["models", "pull", "org/tiny", "--retries", "0"]);
    let text = handsight.snapshot_of(command.env("HF_ENDPOINT", "http://127.0.0.1:9"));
    assert_snapshot!(text, @r"
    exit code: 3
    --- stderr ---
    error: could not talk to 127.0.0.1:9
      caused by: io: Connection refused (os error 111)
    hint: check the connection, and HF_ENDPOINT and HTTPS_PROXY if they are set; the same command goes on where it stopped
    ");
    let mut command = handsight.command(&["models", "pull", "org/tiny"]);
    let text = handsight.snapshot_of(command.env("HF_ENDPOINT", "https://me:secret@mirror"));
    assert_snapshot!(text, @r"
    exit code: 2
    --- stderr ---
    error: the address of the hub (HF_ENDPOINT) cannot be used: it holds a name or password; put a token into HF_TOKEN instead
    ");
}

#[test]
fn a_disk_that_is_too_small_is_noticed_before_anything_is_fetched() {
    let (handsight, server) = (handsight(), HubServer::start());
    let repo = Repo::new("org/gguf", 'e', &[("a.gguf", &[7; 5_000])]);
    server.put(repo);
    let cache = handsight.dir().join("cache");
    let options = HubOptions {
        cache: Some(cache.clone()),
        endpoint: server.endpoint(),
        ..Default::default()
    };
    let pull_options = PullOptions { available_space: |_| Ok(1000), ..Default::default() };
    let name = "org/gguf".parse().unwrap();
    let pulled = Hub::new(options).pull(&name, &pull_options, &CancelFlag::default(), &|_| {});
    let error = pulled.unwrap_err();
    assert!(matches!(error, HubError::Space { needed: 5_000, available: 1000, .. }), "{error:?}");
    assert!(error.to_string().ends_with("has 1000 bytes free, and 5000 more are needed"));
    assert!(server.take_hits().iter().all(|hit| !hit.store));
    assert!(!cache.exists());
}
