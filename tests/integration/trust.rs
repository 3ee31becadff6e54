//! A hand you can trust: what the safety policy forbids does not reach a real application, whatever
//! a model or a page says.

mod call_user;
mod injection;
mod policy;
mod secrets;
mod stop;

use std::path::PathBuf;

use fs_err as fs;
use handsight_actions::{Guard, PixelPoint, SafetyPolicy};
use handsight_tests::binary::Binary;
use handsight_tests::xserver::XServer;
use serde_json::{Value, json};

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// Writes a safety policy into the folder the binary runs in.
fn with_policy(handsight: &Binary, rules: &str) -> PathBuf {
    let path = handsight.dir().join("policy.yaml");
    fs::write(&path, rules).unwrap();
    path
}

/// Returns the device of a display, behind these rules.
fn guarded(server: &XServer, rules: &str) -> Guard {
    let policy = SafetyPolicy::parse(rules, "policy.yaml".as_ref()).unwrap();
    Guard::new(Box::new(server.device().unwrap()), policy)
}

/// What a model of the Qwen family that is held to a schema writes to do something on a screen that
/// it sees in its own size.
fn call(arguments: &Value) -> String {
    json!({ "name": "computer_use", "arguments": arguments }).to_string()
}

fn click(PixelPoint { x, y }: PixelPoint) -> String {
    call(&json!({ "action": "left_click", "coordinate": [x, y] }))
}
