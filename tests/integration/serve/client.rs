//! The official `openai` client for Python, against our server.

use std::process::Command;

use handsight_tests::binary::Binary;

use super::Server;
use crate::{python, root};

#[test]
fn programs_written_for_the_real_api_work() {
    let binary = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let mut command = binary.command(&["serve", "--addr", "127.0.0.1:0", "--served-name", "gui"]);
    command.env("HANDSIGHT_API_KEY", "sk-test");
    let server = Server::spawn(binary, command);
    let image = root().join("fixtures/embedded_eval/img");
    let image = fs_err::read_dir(image).unwrap().next().unwrap().unwrap().path();
    let output = Command::new(python())
        .arg(root().join("python/openai_client.py"))
        .args([&format!("http://{}/v1", server.addr), "sk-test", "gui"])
        .arg(image)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}{errors}{}", server.log());
    assert!(shown.ends_with("ok together\n"), "{shown}");
    assert!(!server.log().contains("sk-test"));
}
