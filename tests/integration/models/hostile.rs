//! Servers that lie: bounded, refused, and nothing outside the cache is touched.

use std::fmt::Write;

use handsight_tests::hub_server::{Fault, HubServer, Repo};

use super::{cached, command, handsight, names_in, pull, tiny};

const SHARD: &str = "model-00002-of-00002.safetensors";

/// Pulls from a server that answers with this listing.
fn pull_listing(listing: &str) -> (Option<i32>, String) {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    server.fail_always("/revision/main", Fault::Body(listing.as_bytes().to_vec()));
    let result = pull(&handsight, &server, &["org/tiny"]);
    let cache = handsight.dir().join("huggingface");
    assert!(!cache.exists() || names_in(&cache.join("hub")).len() <= 1, "{:?}", names_in(&cache));
    let others = names_in(handsight.dir());
    assert!(others.iter().all(|name| name == "huggingface"), "{others:?}");
    result
}

fn listing(files: &str) -> String {
    format!(r#"{{"sha":"{}","siblings":[{files}]}}"#, "a".repeat(40))
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["../../../../evil", "/tmp/evil", "a/../../evil", "C:\\\\evil", "a\\u0007"] {
        let files = format!(r#"{{"rfilename":"config.json"}},{{"rfilename":"{name}"}}"#);
        let (code, text) = pull_listing(&listing(&files));
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("in a way that cannot be used: a file is called"), "{text}");
    }
}

#[test]
fn a_listing_of_a_million_files_is_refused() {
    let mut files = r#"{"rfilename":"config.json"}"#.to_owned();
    for index in 0..1_000_000 {
        write!(files, r#",{{"rfilename":"{index}"}}"#).unwrap();
    }
    let (code, text) = pull_listing(&listing(&files));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("more than 16777216 bytes"), "{text}");
}

#[test]
fn giant_and_impossible_sizes_are_refused() {
    for size in ["18446744073709551615", "1152921504606846976", "-5", "1e99"] {
        let sha256 = "0".repeat(64);
        let files = format!(
            r#"{{"rfilename":"a.gguf","size":{size},"lfs":{{"sha256":"{sha256}","size":{size}}}}}"#
        );
        let (code, text) = pull_listing(&listing(&files));
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("in a way that cannot be used"), "{text}");
    }
    // Within what is possible, but not on this disk.
    let sha256 = "0".repeat(64);
    let size = 17_000_000_000_000_u64;
    let files = format!(r#"{{"rfilename":"a.gguf","lfs":{{"sha256":"{sha256}","size":{size}}}}}"#);
    let (code, text) = pull_listing(&listing(&files));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("bytes free, and 17000000000000 more are needed"), "{text}");
}

#[test]
fn an_index_that_leads_elsewhere_is_refused() {
    let index = |name: &str| format!(r#"{{"weight_map":{{"a":"{name}"}}}}"#);
    for name in ["../../../config.json", "/etc/passwd", "not-there.safetensors"] {
        let (handsight, server) = (handsight(), HubServer::start());
        let text = index(name);
        let files: &[(&str, &[u8])] =
            &[("config.json", b"{}"), ("model.safetensors.index.json", text.as_bytes())];
        server.put(Repo::new("org/vlm", 'a', files));
        let (code, text) = pull(&handsight, &server, &["org/vlm"]);
        assert_eq!(code, Some(3), "{text}");
        assert!(
            text.contains("in a way that cannot be used: model.safetensors.index.json"),
            "{text}"
        );
    }
}

#[test]
fn a_checksum_that_is_a_path_names_no_file() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    server.become_mirror("");
    server.fail_always(SHARD, Fault::Header("X-Linked-Etag", "\"../../../../evil\"".to_owned()));
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains(&format!("it gives no checksum of `{SHARD}`")), "{text}");
}

#[test]
fn a_file_that_changed_since_it_was_listed_is_refused() {
    for (header, value) in [
        ("X-Linked-Etag", "0".repeat(64)),
        ("X-Linked-Size", "5".to_owned()),
        ("X-Repo-Commit", "b".repeat(40)),
    ] {
        let (handsight, server) = (handsight(), HubServer::start());
        server.put(tiny());
        server.fail_always(SHARD, Fault::Header(header, value));
        let (code, text) = pull(&handsight, &server, &["org/tiny"]);
        assert_eq!(code, Some(3), "{header}: {text}");
        assert!(text.contains("is not the file that was listed"), "{header}: {text}");
    }
}

#[test]
fn a_server_that_promises_too_much_ends_in_an_error() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    // What arrives is whole all the same.
    server.fail_always(SHARD, Fault::Promise(1 << 40));
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "{text}");

    // A listing is read to its end, which never comes.
    let (handsight, server) = (super::handsight(), HubServer::start());
    server.put(tiny());
    server.fail_always("/revision/main", Fault::Promise(1000));
    let (code, text) = pull(&handsight, &server, &["org/tiny", "--retries", "1"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("could not talk to 127.0.0.1:"), "{text}");
}

#[test]
fn a_server_that_never_ends_is_cut_off() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    server.fail_always(SHARD, Fault::Endless);
    let (code, text) = pull(&handsight, &server, &["org/tiny"]);
    assert_eq!(code, Some(0), "only what was promised is read: {text}");
    server.mend();
    server.fail_always("/revision/main", Fault::Endless);
    let (code, text) = pull(&handsight, &server, &["org/tiny", "--retries", "0"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("more than 16777216 bytes"), "{text}");
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let (handsight, server) = (handsight(), HubServer::start());
    server.put(tiny());
    server.fail_always(SHARD, Fault::Hang(3000));
    let mut command =
        command(&handsight, &server, &["models", "pull", "org/tiny", "--retries", "1"]);
    let output = command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("could not talk to 127.0.0.1:"), "{text}");
    let blobs = cached(&handsight, "org/tiny").join("blobs");
    let partial = fs_err::metadata(blobs.join(format!("{}.incomplete", tiny().file(SHARD).etag())));
    assert_eq!(partial.unwrap().len(), 6000, "what arrived in both attempts is kept");
}

#[test]
fn redirects_that_lead_nowhere_are_not_followed() {
    let server = HubServer::start();
    let here = format!("{}/api/models/org/tiny/revision/main", server.endpoint());
    for (to, said) in [
        (here.as_str(), "redirects more than 8 times"),
        ("file:///etc/passwd", "redirects to an address that is not of the web"),
        ("http://[", "redirects to what is no address"),
    ] {
        let (handsight, server) = (handsight(), HubServer::start());
        server.put(tiny());
        let to =
            to.replace(&here, &format!("{}/api/models/org/tiny/revision/main", server.endpoint()));
        server.fail_always("/revision/main", Fault::Redirect(to));
        let (code, text) = pull(&handsight, &server, &["org/tiny"]);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains(said), "{text}");
    }
}
