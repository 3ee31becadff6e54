//! A cache as the Python client leaves it, and what of it is understood.

use fs_err as fs;
use tempfile::TempDir;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A cache with one repository, `org/vlm`, of these files.
fn cache(files: &[(&str, &str)]) -> (TempDir, Cache) {
    let dir = TempDir::new().unwrap();
    let repo = dir.path().join("models--org--vlm");
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for (name, text) in files {
        let path = repo.join("snapshots").join(COMMIT).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let cache = Cache::new(dir.path().to_owned());
    (dir, cache)
}

fn resolve(cache: &Cache, name: &str) -> Result<Resolved, HubError> {
    cache.resolve(&name.parse().unwrap())
}

const CONFIG: (&str, &str) = ("config.json", r#"{"model_type":"qwen2_5_vl"}"#);
const SHARDS: (&str, &str) =
    (INDEX, r#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#);

#[test]
fn a_folder_with_all_shards_is_complete() {
    let weights = [("one.safetensors", "1"), ("two.safetensors", "22")];
    let (dir, cache) = cache(&[CONFIG, ("tokenizer.json", "{}"), SHARDS, weights[0], weights[1]]);
    let models = cache.list().unwrap();
    assert_eq!(models.len(), 1);
    let model = &models[0];
    assert_eq!((model.repo.as_str(), model.commit.as_str()), ("org/vlm", COMMIT));
    assert_eq!(model.revisions, ["main"]);
    assert!(model.is_complete() && model.is_of_this_family(), "{model:?}");
    assert_eq!(model.files.len(), 5);
    let folder = dir.path().join("models--org--vlm/snapshots").join(COMMIT);
    for name in ["org/vlm", "org/vlm@main", &format!("org/vlm@{COMMIT}"), "org/vlm@0123456"] {
        assert_eq!(resolve(&cache, name).unwrap(), Resolved::Folder(folder.clone()), "{name}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let (_dir, cache) = cache(&[CONFIG, ("vocab.json", "{}"), SHARDS, ("one.safetensors", "1")]);
    let models = cache.list().unwrap();
    assert_eq!(models[0].missing, ["tokenizer.json", "two.safetensors"]);
    let error = resolve(&cache, "org/vlm").unwrap_err();
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
    assert!(error.hint().unwrap().contains("models pull org/vlm"));
    let error = resolve(&cache, "org/other").unwrap_err();
    assert!(matches!(error, HubError::NotPulled { .. }), "{error}");
    let error = resolve(&cache, "org/vlm@v9").unwrap_err();
    assert!(matches!(error, HubError::NotPulled { .. }), "{error}");
}

#[test]
fn a_gguf_file_is_found_by_itself() {
    let files = [("q4.gguf", "x"), ("mmproj-f16.gguf", "y")];
    let (_one, one) = cache(&files);
    assert!(resolve(&one, "org/vlm").unwrap().path().ends_with("q4.gguf"));
    let (_two, two) = cache(&[files[0], files[1], ("q8.gguf", "z")]);
    let error = resolve(&two, "org/vlm").unwrap_err();
    assert!(error.hint().unwrap().contains("org/vlm:q4.gguf"), "{error}");
    assert!(resolve(&two, "org/vlm:q8.gguf").unwrap().path().ends_with("q8.gguf"));
    let error = resolve(&two, "org/vlm:q2.gguf").unwrap_err();
    assert!(error.to_string().contains("q2.gguf"), "{error}");
}

#[test]
fn a_split_gguf_file_needs_all_its_parts() {
    let parts = [("q4-00001-of-00002.gguf", "x"), ("q4-00002-of-00002.gguf", "y")];
    let (_one, one) = cache(&parts[..1]);
    assert_eq!(one.list().unwrap()[0].missing, ["q4-00002-of-00002.gguf"]);
    let (_both, both) = cache(&parts);
    assert!(resolve(&both, "org/vlm").unwrap().path().ends_with("q4-00001-of-00002.gguf"));
}

#[test]
fn an_index_that_leads_out_of_the_folder_is_not_followed() {
    let index = (INDEX, r#"{"weight_map":{"a":"../../../../etc/passwd"}}"#);
    let (_dir, cache) = cache(&[CONFIG, ("tokenizer.json", "{}"), index]);
    assert_eq!(cache.list().unwrap()[0].missing, ["model.safetensors"]);
}

#[test]
fn what_is_no_model_is_passed_over() {
    let (dir, cache) = cache(&[]);
    for name in ["datasets--org--x", "models--gpt2", "models--a--b--c", "version.txt"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::create_dir_all(dir.path().join("models--org--vlm/snapshots/..x")).unwrap();
    assert!(cache.list().unwrap().is_empty());
    assert!(Cache::new(dir.path().join("nowhere")).list().unwrap().is_empty());

    let blobs = dir.path().join("models--org--vlm/blobs");
    fs::create_dir(&blobs).unwrap();
    fs::write(blobs.join("abc.incomplete"), [0; 10]).unwrap();
    let models = cache.list().unwrap();
    assert_eq!((models[0].partial_bytes, models[0].is_complete()), (10, false));
}

#[test]
fn what_another_program_is_just_making_is_not_there() {
    let (dir, cache) = cache(&[CONFIG]);
    let place = cache.place("org/vlm");
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2000 {
                place.set_ref("main", COMMIT).unwrap();
            }
            is_done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !is_done.load(std::sync::atomic::Ordering::SeqCst) {
            assert_eq!(cache.refs("org/vlm").unwrap(), [("main".to_owned(), COMMIT.to_owned())]);
        }
    });
    // What a program that was killed left is no branch either.
    fs::write(dir.path().join("models--org--vlm/refs/.main.1-ThreadId(1).new"), COMMIT).unwrap();
    assert_eq!(cache.refs("org/vlm").unwrap().len(), 1);
}
