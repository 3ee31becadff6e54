//! `doctor --calibrate` finds no error where there is none, and finds one that is made.

use std::process::Command;

use handsight_actions::Rect;
use handsight_tests::binary::Binary;
use handsight_tests::wayland::Wayland;
use handsight_tests::xserver::XServer;
use serde_json::Value;
use x11rb::protocol::xinput::{ConnectionExt as _, XIChangePropertyAux};
use x11rb::protocol::xproto::{ConnectionExt as _, PropMode};

fn calibrate(server: &XServer, args: &[&str]) -> (i32, Value) {
    run(|command| server.adopt(command), args)
}

fn run(adopt: impl FnOnce(&mut Command), args: &[&str]) -> (i32, Value) {
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let mut command = handsight.command(&["doctor", "--calibrate", "--json"]);
    adopt(command.args(args));
    let output = command.output().unwrap();
    let said = serde_json::from_slice(&output.stdout);
    let said = said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), said)
}

fn errors(said: &Value) -> Vec<(&str, Option<f64>, usize)> {
    let monitors = said["monitors"].as_array().unwrap();
    let error = |monitor: &'_ Value| monitor["error_px"].as_f64();
    let targets = |monitor: &Value| monitor["targets"].as_array().unwrap().len();
    monitors.iter().map(|m| (m["name"].as_str().unwrap(), error(m), targets(m))).collect()
}

#[test]
fn every_click_arrives_on_one_monitor() {
    let server = XServer::start_managed("801x603x24").unwrap();
    server.warp_pointer(11, 12).unwrap();
    let (code, said) = calibrate(&server, &[]);
    assert_eq!((code, errors(&said)), (0, vec![("screen", Some(0.0), 9)]), "{said}");
    assert_eq!(server.pointer().unwrap(), (11, 12), "the pointer was not put back");
    server.check_nothing_held().unwrap();
}

#[test]
fn every_click_arrives_on_monitors_that_are_out_of_line() {
    let server = XServer::start("1000x700x24").unwrap();
    let low = Rect { x: 0, y: 301, width: 399, height: 399 };
    let high = Rect { x: 399, y: 0, width: 601, height: 377 };
    server.set_monitors(&[("low", low), ("high", high)]).unwrap();
    let (code, said) = calibrate(&server, &[]);
    let expected = vec![("low", Some(0.0), 9), ("high", Some(0.0), 9)];
    assert_eq!((code, errors(&said)), (0, expected), "{said}");
    let (code, said) = calibrate(&server, &["--monitor", "high"]);
    assert_eq!((code, errors(&said)), (0, vec![("high", Some(0.0), 9)]), "{said}");
}

#[test]
fn every_click_arrives_on_the_outputs_of_a_graphics_card() {
    // The first lies lower than the second, so that its corner is not that of the desktop.
    let outputs = [("800x600", [0, 120]), ("640x480", [800, 0])];
    let server = XServer::start_outputs(&outputs).unwrap();
    let (code, said) = calibrate(&server, &[]);
    let expected = vec![("DUMMY0", Some(0.0), 9), ("DUMMY1", Some(0.0), 9)];
    assert_eq!((code, errors(&said)), (0, expected), "{said}");
    let places: Vec<_> = said["monitors"].as_array().unwrap().iter().map(|m| &m["y"]).collect();
    assert_eq!(places, [120, 0]);
}

#[test]
fn a_pointer_that_goes_elsewhere_is_found_out() {
    let server = XServer::start("640x480x24").unwrap();
    let x11 = server.connection();
    let atom = |name: &[u8]| x11.intern_atom(false, name).unwrap().reply().unwrap().atom;
    // As of a touchscreen that was fitted to another monitor: everything lies too far right.
    let matrix = [1.0, 0.0, 19.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0_f32].map(f32::to_bits);
    let devices = x11.xinput_xi_query_device(0_u16).unwrap().reply().unwrap().infos;
    let pointer = devices.iter().find(|device| device.name.ends_with(b"XTEST pointer")).unwrap();
    x11.xinput_xi_change_property(
        pointer.deviceid,
        PropMode::REPLACE,
        atom(b"Coordinate Transformation Matrix"),
        atom(b"FLOAT"),
        9,
        &XIChangePropertyAux::Data32(matrix.to_vec()),
    )
    .unwrap()
    .check()
    .unwrap();
    let (code, said) = calibrate(&server, &[]);
    assert_eq!((code, said["ok"].as_bool()), (1, Some(false)), "{said}");
    let error = said["monitors"][0]["error_px"].as_f64().unwrap();
    assert!((error - 19.0).abs() < 0.1, "{said}");
}

#[test]
fn every_click_arrives_on_the_outputs_of_a_wayland_session() {
    let session = Wayland::start_outputs(&[
        "resolution 800x600 position 0 0",
        "resolution 1280x960 position 800 -200 scale 2",
        "resolution 600x400 position -900 30 transform 90",
        "resolution 1000x750 position 1440 0 scale 1.25",
    ])
    .unwrap();
    let (code, said) = run(|command| session.adopt(command), &[]);
    let names = ["HEADLESS-1", "HEADLESS-2", "HEADLESS-3", "HEADLESS-4"];
    assert_eq!(
        (code, errors(&said)),
        (0, names.map(|name| (name, Some(0.0), 9)).to_vec()),
        "{said}"
    );
    let (code, said) = run(|command| session.adopt(command), &["--monitor", "HEADLESS-2"]);
    assert_eq!((code, errors(&said)), (0, vec![("HEADLESS-2", Some(0.0), 9)]), "{said}");
}

#[test]
fn a_click_that_goes_to_another_output_is_found_out() {
    // Two that show the same part of the desktop: a click can arrive on one of them only.
    let outputs = ["resolution 640x480 position 0 0", "resolution 640x480 position 0 0"];
    let session = Wayland::start_outputs(&outputs).unwrap();
    let (code, said) = run(|command| session.adopt(command), &[]);
    assert_eq!((code, said["ok"].as_bool()), (1, Some(false)), "{said}");
}
