//! Episodes on devices of clients: what they are answered, and what is refused. The screens are those of the
//! committed cases, so that where the embedded checkpoint clicks can be judged.

use std::io::Write as _;
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err as fs;
use handsight_agent::read_trace;
use handsight_tests::embedded_eval::{Case, cases, fixtures};
use handsight_tests::http::request;
use handsight_tests::wait::{ANSWERING, wait_until};
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};

use crate::serve::{Server, with};

/// Returns a picture as it is sent.
fn screenshot(case: &Case) -> String {
    STANDARD.encode(fs::read(fixtures().join(&case.image)).unwrap())
}

/// Returns a white picture as it is sent.
fn white(width: u32, height: u32) -> String {
    let mut png = std::io::Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(width, height, [255; 3].into());
    image.write_to(&mut png, ImageFormat::Png).unwrap();
    STANDARD.encode(png.into_inner())
}

fn begin(server: &Server, wanted: &Value) -> Value {
    let reply = server.post("/agent/episodes", wanted);
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json().unwrap()
}

fn step(server: &Server, episode: &Value, seen: &Value) -> (u16, Value) {
    let path = format!("/agent/episodes/{}/step", episode["episode"].as_str().unwrap());
    let reply = server.post(&path, seen);
    let body = reply.json().unwrap();
    (reply.status, body)
}

#[track_caller]
fn refused((found, body): (u16, Value), status: u16, code: &str) -> String {
    let error = &body["error"];
    assert_eq!((found, error["code"].as_str()), (status, Some(code)), "{body}");
    error["message"].as_str().unwrap().to_owned()
}

/// A button that the checkpoint finds among the committed cases.
pub(super) fn easy() -> Case {
    first(|case| case.set == "a" && case.kind == "button" && case.verb == "left_click")
}

fn first(is_it: impl Fn(&Case) -> bool) -> Case {
    cases().unwrap().into_iter().find(is_it).unwrap()
}

#[test]
fn a_client_with_a_screen_of_its_own_is_told_what_to_do_on_it() {
    let server = Server::start(&["--traces", "traces"]);
    let case = easy();
    let wanted = json!({
        "protocol": 1, "goal": case.goal, "platform": "desktop", "benchmark": "ours", "task": case.id,
        "max_steps": 5, "seed": 7,
    });
    let episode = begin(&server, &wanted);
    assert_eq!(episode["model"]["id"], "embedded");
    let seen = json!({ "screenshot": screenshot(&case), "request_id": "one", "step": 0 });
    let (status, first) = step(&server, &episode, &seen);
    assert_eq!(status, 200, "{first}");
    assert_eq!(first["actions"].as_array().unwrap().len(), 1, "{first}");
    let [x0, y0, x1, y1] = case.r#box.unwrap();
    let at = &first["actions"][0]["coordinate"];
    let (x, y) = (at[0].as_f64().unwrap(), at[1].as_f64().unwrap());
    assert!((x0..x1).contains(&x) && (y0..y1).contains(&y), "{first}");
    assert_eq!((&first["done"], &first["error"]), (&json!(false), &Value::Null));
    assert!(first["usage"]["image_tokens"].as_u64().unwrap() > 0, "{first}");
    assert!(first["raw_output"].as_str().unwrap().contains("left_click"), "{first}");
    assert!(first["probability"].as_f64().unwrap() > 0.0);

    // Sent again it is the same answer and no second step.
    assert_eq!(step(&server, &episode, &seen), (200, first));
    let late = with(seen.clone(), &json!({ "request_id": "two" }));
    let message = refused(step(&server, &episode, &late), 409, "wrong_step");
    assert_eq!(message, "Step 0 was sent, and step 1 is due.");

    // The model hears that it failed. It insists, on a screen that did not change, and that is an end and no error
    // of HTTP.
    let failed = json!({
        "screenshot": screenshot(&case), "step": 1, "last_results": [{ "ok": false, "error": "offline" }],
    });
    let (status, second) = step(&server, &episode, &failed);
    assert_eq!((status, &second["done"]), (200, &json!(true)), "{second}");
    assert_eq!(second["error"]["code"], "no_progress", "{second}");
    assert_eq!(second["actions"], json!([]));
    let id = episode["episode"].as_str().unwrap();
    assert_eq!(server.send("DELETE", &format!("/agent/episodes/{id}"), &[], None).status, 204);
    let message = refused(step(&server, &episode, &failed), 404, "not_found");
    assert!(message.contains("or it has ended"), "{message}");

    let trace = server.path().join("traces").join(id);
    wait_until("the trace ends", ANSWERING, || {
        Ok(read_trace(&trace).is_ok_and(|trace| trace.stopped.is_some()))
    })
    .unwrap();
    let trace = read_trace(&trace).unwrap();
    assert_eq!(trace.started.goal, case.goal);
    let acted = serde_json::to_string(&trace.steps[0].acted).unwrap();
    assert!(acted.contains("offline"), "{acted}");
}

#[test]
fn a_phone_s_client_is_told_in_androidworld_s_words_too() {
    let server = Server::start(&[]);
    let case = easy();
    let wanted =
        json!({ "goal": case.goal, "platform": "android", "actions": ["left_click", "terminate"] });
    let episode = begin(&server, &wanted);
    assert_eq!(episode["actions"], json!(["left_click", "terminate"]));
    let seen = json!({
        "screenshot": screenshot(&case), "foreground_activity": "com.android.settings/.Settings",
        "ui_elements": [{ "text": "anything" }],
    });
    let (status, answer) = step(&server, &episode, &seen);
    assert_eq!(status, 200, "{answer}");
    let at = &answer["actions"][0]["coordinate"];
    let json_action = json!({ "action_type": "click", "x": at[0], "y": at[1] });
    assert_eq!(answer["android_world"], json!([json_action]));

    // What is nowhere to be seen is the end, and afterwards there is no more.
    let absent = first(|case| case.id == "absent-0018");
    let episode = begin(&server, &json!({ "goal": absent.goal, "platform": "android" }));
    let size = image::image_dimensions(fixtures().join(&absent.image)).unwrap();
    let seen = json!({ "screenshot": screenshot(&absent), "logical_size": [size.0, size.1] });
    let (_, last) = step(&server, &episode, &seen);
    assert_eq!((&last["done"], &last["stop_reason"]), (&json!(true), &json!("claimed_failure")));
    let status = json!({ "action_type": "status", "goal_status": "infeasible" });
    assert_eq!(last["android_world"], json!([status]), "{last}");
    let message = refused(step(&server, &episode, &seen), 409, "episode_over");
    assert_eq!(message, "The episode is over: the model says the goal cannot be reached.");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_place() {
    let server = Server::start(&["--max-image-pixels", "100000"]);
    let post = |body: Value| {
        let reply = server.post("/agent/episodes", &body);
        let body = reply.json().unwrap();
        (reply.status, body)
    };
    let message =
        refused(post(json!({ "platform": "android" })), 400, "missing_required_parameter");
    assert_eq!(message, "Missing required parameter: 'goal'.");
    refused(post(json!({ "goal": "x", "platform": "ios" })), 400, "invalid_value");
    refused(post(json!({ "goal": " ", "platform": "android" })), 400, "bad_input");
    refused(
        post(json!({ "goal": "x", "platform": "desktop", "steps": 3 })),
        400,
        "unknown_parameter",
    );
    refused(
        post(json!({ "goal": "x", "platform": "desktop", "protocol": 2 })),
        400,
        "unsupported_protocol",
    );
    refused(
        post(json!({ "goal": "x", "platform": "desktop", "actions": ["wait", "open_app"] })),
        400,
        "invalid_value",
    );
    refused(
        post(json!({ "goal": "x", "platform": "desktop", "max_steps": 0 })),
        400,
        "integer_below_min_value",
    );
    let episode = begin(&server, &json!({ "goal": "click \"Save\"", "platform": "desktop" }));
    let send = |seen: Value| step(&server, &episode, &seen);
    refused(send(json!({})), 400, "missing_required_parameter");
    let message = refused(send(json!({ "screenshot": "no base64!" })), 400, "invalid_image");
    assert!(message.starts_with("Invalid 'screenshot': not base64"), "{message}");
    refused(send(json!({ "screenshot": STANDARD.encode("no picture") })), 400, "invalid_image");
    let message = refused(send(json!({ "screenshot": white(400, 300) })), 400, "invalid_image");
    assert!(message.contains("100000"), "{message}");
    let other = json!({ "screenshot": white(300, 200), "logical_size": [600, 400] });
    let message = refused(send(other), 400, "size_mismatch");
    assert!(message.contains("the screenshot has 300 x 200 pixels, not 600 x 400"), "{message}");
    let results = json!([{ "ok": true }, { "error": "why" }]);
    let seen = json!({ "screenshot": white(300, 200), "last_results": results });
    let message = refused(send(seen), 400, "missing_required_parameter");
    assert_eq!(message, "Missing required parameter: 'last_results[1].ok'.");
    let reply = server.send("PUT", "/agent/episodes", &[], None);
    assert_eq!(reply.status, 405, "{}", reply.body);

    // None of this was a step.
    let (status, answer) = send(json!({ "screenshot": white(300, 200), "step": 0 }));
    assert_eq!((status, &answer["step"]), (200, &json!(0)), "{answer}");

    // There is an end to how many there may be.
    let wanted = json!({ "goal": "x", "platform": "desktop" });
    for _ in 1..16 {
        begin(&server, &wanted);
    }
    let message = refused(post(wanted), 429, "rate_limit_exceeded");
    assert!(message.contains("16 episodes are open already"), "{message}");
    let open = server.get("/agent/episodes").json().unwrap();
    assert_eq!(open["episodes"].as_array().unwrap().len(), 16);
}

/// Sends a request and waits for no answer.
fn hang_up(server: &Server, request: &[u8]) {
    let mut stream = TcpStream::connect(&server.addr).unwrap();
    stream.write_all(request).unwrap();
    // Until it is read, so that it is more than a connection that came to nothing.
    wait_until("the step is under way", ANSWERING, || {
        let rows = server.get("/agent/episodes").json()?;
        Ok(rows["episodes"][0]["deciding"] == true)
    })
    .unwrap();
}

#[test]
fn a_client_that_hangs_up_finds_its_answer_when_it_asks_again() {
    let server = Server::start(&[]);
    let case = easy();
    let episode = begin(&server, &json!({ "goal": case.goal, "platform": "desktop" }));
    let path = format!("/agent/episodes/{}/step", episode["episode"].as_str().unwrap());
    let seen = json!({ "screenshot": screenshot(&case), "request_id": "once" });
    // The whole request is sent, and nobody waits for the answer.
    hang_up(&server, &request("POST", &path, &[], Some(&seen.to_string())));
    let (status, answer) = step(&server, &episode, &seen);
    assert_eq!((status, &answer["step"]), (200, &json!(0)), "{answer}");
    let (status, next) = step(&server, &episode, &with(seen, &json!({ "request_id": "next" })));
    assert_eq!((status, &next["step"]), (200, &json!(1)), "{next}");
}
