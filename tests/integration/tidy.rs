//! Rules about the source itself. ARCHITECTURE.md explains each.

use std::path::{Path, PathBuf};

use fs_err as fs;

/// Which workspace crates each crate may depend on. Anything else is an error.
const ALLOWED: &[(&str, &[&str])] = &[
    ("actions", &[]),
    ("model", &[]),
    ("agent", &["handsight-actions", "handsight-model"]),
    ("scenarios", &["handsight-actions", "handsight-agent"]),
    ("cli", &["handsight-actions", "handsight-model", "handsight-agent", "handsight-scenarios"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn crates_depend_only_downwards() {
    for (name, allowed) in ALLOWED {
        let manifest = root().join(name).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap();
        for (dependency, _) in dependencies {
            let is_ours = dependency.starts_with("handsight");
            assert!(
                !is_ours || allowed.contains(&dependency.as_str()),
                "`{name}` may not depend on `{dependency}`; if the design changed, change \
                 ALLOWED here and the diagram in ARCHITECTURE.md together",
            );
        }
    }
}

#[test]
fn async_stays_at_the_edge() {
    for name in ["actions", "model", "agent", "scenarios"] {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("tokio"), "`{name}` must block: tokio belongs in `cli`");
    }
}

#[test]
fn source_files_say_what_they_are_and_stay_short() {
    let mut files = Vec::new();
    for name in ["actions", "model", "agent", "scenarios", "cli", "tests"] {
        rust_files(&root().join(name), &mut files);
    }
    assert!(files.len() > 40, "only {} source files were found", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root()).unwrap().display();
        assert!(text.starts_with("//!"), "{name} does not open with `//!`: say what it is");
        let lines = text.lines().count();
        assert!(lines <= 600, "{name} has {lines} lines: split it by idea");
    }
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
