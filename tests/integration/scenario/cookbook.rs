//! Every recipe of the cookbook, run as it stands there.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fs_err as fs;
use handsight_tests::program::Program;
use handsight_tests::xserver::XServer;

/// How long a recipe may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The fenced blocks of a text: what stands after the three ticks, and what is within.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        match (line.strip_prefix("```"), is_inside) {
            (Some(info), false) => {
                blocks.push((info, String::new()));
                is_inside = true;
            }
            (Some(_), true) => is_inside = false,
            (None, true) => {
                let (_, block) = blocks.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            (None, false) => {}
        }
    }
    blocks
}

#[test]
fn every_recipe_works() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/COOKBOOK.md");
    let text = fs::read_to_string(text).unwrap();
    let recipes: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert!(recipes.len() >= 10, "{}", recipes.len());
    let programs = tempfile::tempdir().unwrap();
    symlink(env!("CARGO_BIN_EXE_handsight-under-test"), programs.path().join("handsight")).unwrap();
    for recipe in recipes {
        let title = recipe.lines().next().unwrap();
        let server = XServer::start_managed("640x480x24").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut commands = 0;
        for (info, block) in blocks(recipe) {
            if info == "sh" {
                run(&server, (programs.path(), folder.path()), &block, title);
                commands += 1;
            } else {
                let (_, name) = info.split_once(' ').expect("a file has a name");
                fs::write(folder.path().join(name), block).unwrap();
            }
        }
        assert!(commands > 0, "{title} runs nothing");
    }
}

/// Runs commands in a folder; each of them has to succeed.
fn run(server: &XServer, (programs, folder): (&Path, &Path), commands: &str, title: &str) {
    let script = format!("PATH=\"$0:$PATH\"\n{commands}");
    let mut command = Command::new("bash");
    server.adopt(&mut command);
    command
        .args(["-e", "-c", &script])
        .arg(programs)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let done = Program::start(&mut command).unwrap().wait(LIMIT).unwrap();
    let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(done.status.success(), "{title}: {}\n{}\n{}", done.status, said[0], said[1]);
}
